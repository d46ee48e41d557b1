//! `pbac token issue`: signs a token.

use std::time::Duration;

use policy_core::Timestamp;
use policy_core::keys::KeyId;
use serde::Serialize;

use crate::context::Context;
use crate::error::HostError;
use crate::exit::Exit;
use crate::keys::{Store, parse_span};
use crate::report::Report;
use crate::report::time::serialize_moment;
use crate::token::{NewToken, UserId, issue};

/// The arguments of `pbac token issue`.
#[derive(Debug, clap::Args)]
#[command(after_help = "The token is a credential: whoever has it is that user until it expires.")]
pub struct Args {
    /// The user's id; a number is written as a number, as the source document's application does
    #[arg(long = "user", value_name = "ID")]
    user: String,
    /// Write the id as a text, though it looks like a number
    #[arg(long)]
    text_id: bool,
    /// The user's name
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
    /// The user's e-mail address
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// A role of theirs; may be given several times
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// How long it holds, such as 15m or 8h; the configured token life is the most
    #[arg(long, value_name = "SPAN", default_value = "15m", value_parser = parse_span)]
    life: Duration,
}

/// The token.
#[derive(Debug, Serialize)]
struct Issued {
    token: String,
    kid: Option<KeyId>,
    #[serde(serialize_with = "serialize_moment")]
    expires_at: Timestamp,
}

impl Report for Issued {
    fn people(&self) -> String {
        format!("{}\n", self.token)
    }
}

/// Signs it.
///
/// # Errors
///
/// When the store cannot be read, no key signs, or it would live longer than tokens may.
pub async fn run(args: Args, context: &Context) -> Result<Exit, HostError> {
    let settings = &context.config.keys;
    if let Some(most) = settings.token_life.filter(|most| args.life > *most) {
        return Err(HostError::refused(format_args!(
            "a token of {} s would live longer than the {} s of `keys.token_life`",
            args.life.as_secs(),
            most.as_secs()
        ))
        .help("give a shorter --life: verifiers may refuse the token after the next rotation"));
    }
    let keys = Store::open(&context.config)?.load(settings).await?;
    let now = context.clock.now();
    let number =
        args.user.parse::<i64>().ok().filter(|number| number.to_string() == args.user && !args.text_id);
    let token = NewToken {
        user_id: Some(number.map_or(UserId::Text(args.user), UserId::Number)),
        username: args.username,
        email: args.email,
        roles: args.roles,
        issuer: settings.issuer.first().cloned(),
        audience: settings.audience.first().cloned(),
    };
    let text = issue(&keys, &token, now, args.life)?;
    let kid = keys.signing().map(|(key, _)| key.id.clone()).filter(|kid| !keys.is_nameless(kid));
    let expires_at = Timestamp::from_seconds(now.micros().div_euclid(1_000_000)).after(args.life);
    context.output.show(&Issued { token: text, kid, expires_at })?;
    Ok(Exit::Done)
}
