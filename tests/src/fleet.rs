//! A fleet of processes that hold signing keys, as an application does, while a test changes the keys under them.
//!
//! `src/bin/fleet_node.rs` is one node. It loads the keys of the store that `pbac.toml` names, watches it, and answers one line
//! for each line that it reads: `issue NOW LIFE` with a token, `verify NOW TOKEN` with `ok KID` or a reason, `keys` with what it
//! holds, `panic` with a panic. The time is the test's, in microseconds.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use pbac::cli::Global;
use pbac::config::Config;
use pbac::keys::{LiveKeys, Reload, Store};
use pbac::token::{NewToken, UserId};
use policy_core::Timestamp;
use policy_core::token::TokenBuffer;

use crate::record;

/// A running node, seen from the test.
#[derive(Debug)]
pub struct Node {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Node {
    /// Starts one with these settings, and these variables beside those of the test.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    #[must_use]
    pub fn start(program: &Path, settings: &Path, variables: &[(String, String)]) -> Self {
        let mut child = Command::new(program)
            .arg(settings)
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a node can be started");
        let input = child.stdin.take().expect("it has an input");
        let output = BufReader::new(child.stdout.take().expect("it has an output"));
        Self { child, input, output }
    }

    /// Asks one thing.
    ///
    /// # Panics
    ///
    /// When it has ended.
    pub fn ask(&mut self, line: &str) -> String {
        writeln!(self.input, "{line}").expect("a node reads on");
        let mut answer = String::new();
        let length = self.output.read_line(&mut answer).expect("a node answers");
        assert!(length > 0, "a node ended");
        record::said("a node", answer.as_bytes());
        answer.trim_end().to_owned()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The node itself.
///
/// # Panics
///
/// When it is not asked as agreed, or has no keys to begin with.
pub fn serve() {
    let settings = std::env::args_os().nth(1).expect("the settings are named");
    let flags = Global { config: Some(settings.into()), ..Global::default() };
    let config = Config::load(&flags, &|name| std::env::var_os(name)).expect("settings");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("there are threads");
    let store = Store::open(&config).expect("the store can be opened");
    let keys = runtime.block_on(LiveKeys::load(store, config.keys.clone())).expect("the keys can be loaded");
    let watched = keys.clone();
    runtime.spawn(async move {
        watched
            .watch(|reload| {
                if let Reload::Failed(error) = reload {
                    eprintln!("a node goes on with the keys it has: {error}");
                }
            })
            .await;
    });
    let mut buffer = TokenBuffer::default();
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("the test writes text");
        println!("{}", answer(&keys, &line, &mut buffer));
    }
}

fn answer(keys: &LiveKeys, line: &str, buffer: &mut TokenBuffer) -> String {
    let mut words = line.split(' ');
    let what = words.next().unwrap_or_default();
    let mut now = || Timestamp::from_micros(words.next().expect("a time").parse().expect("a number"));
    match what {
        "issue" => {
            let now = now();
            let life = Duration::from_secs(words.next().expect("a life").parse().expect("a number"));
            let token = NewToken { user_id: Some(UserId::Number(7)), ..NewToken::default() };
            keys.issue(&token, now, life).unwrap_or_else(|error| format!("error {error}"))
        }
        "verify" => {
            let now = now();
            let token = words.next().expect("a token");
            keys.verify(token, now, buffer, |verified| format!("ok {}", verified.key.id))
                .unwrap_or_else(|error| error.reason().to_owned())
        }
        #[expect(clippy::panic, reason = "what a panic shows is what is asked for")]
        "panic" => panic!("{keys:?} {:?}", keys.history()),
        _ => {
            let history = keys.history();
            let held = history.keys().iter().map(|key| format!("{}:{}", key.id, key.phase.name()));
            let revoked = history.revoked().iter().map(|revocation| format!("{}:revoked", revocation.id));
            held.chain(revoked).collect::<Vec<_>>().join(" ")
        }
    }
}
