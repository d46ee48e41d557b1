//! A process that verifies tokens and signs none: it makes a ring of the store that the settings name, forgets the rest, and
//! answers each line, a token, with `ok KID` or the reason.

use pbac::cli::Global;
use pbac::config::Config;
use pbac::keys::Store;
use policy_core::Timestamp;
use policy_core::token::{KeyRing, TokenBuffer};

fn main() {
    let ring = ring();
    let mut buffer = TokenBuffer::default();
    for token in std::io::stdin().lines() {
        let token = token.expect("the test writes text");
        let now = Timestamp::from_micros(jiff::Timestamp::now().as_microsecond());
        match ring.verify(&token, now, &mut buffer) {
            Ok(verified) => println!("ok {}", verified.key.id),
            Err(error) => println!("{}", error.reason()),
        }
    }
}

fn ring() -> KeyRing {
    let settings = std::env::args_os().nth(1).expect("the settings are named");
    let flags = Global { config: Some(settings.into()), ..Global::default() };
    let config = Config::load(&flags, &|name| std::env::var_os(name)).expect("settings");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let store = Store::open(&config).expect("the store can be opened");
    let keys = runtime.block_on(store.load(&config.keys)).expect("the keys can be loaded");
    keys.ring(config.keys.token_rules()).expect("a ring")
}
