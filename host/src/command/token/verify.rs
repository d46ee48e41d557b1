//! `pbac token verify`: whether a token holds.

use policy_core::Timestamp;
use policy_core::keys::KeyId;
use policy_core::token::{Claims, TokenBuffer, TokenError, UserClaim, Verified};
use serde::Serialize;

use super::Source;
use crate::context::Context;
use crate::error::HostError;
use crate::exit::Exit;
use crate::keys::Store;
use crate::report::time::{serialize_time, show_time};
use crate::report::{Report, printable, style};

/// The arguments of `pbac token verify`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    source: Source,
}

/// What became of it.
#[derive(Debug, Serialize)]
struct Verdict {
    valid: bool,
    /// Why not.
    reason: Option<&'static str>,
    #[serde(skip)]
    error: Option<TokenError>,
    kid: Option<KeyId>,
    /// The state of the key.
    key_state: Option<&'static str>,
    /// Whether the token named its key.
    named_key: Option<bool>,
    claims: Option<ShownClaims>,
}

/// The claims of the source document.
#[derive(Debug, Serialize)]
pub(super) struct ShownClaims {
    user_id: Option<crate::token::UserId>,
    username: Option<String>,
    email: Option<String>,
    roles: Vec<String>,
    #[serde(serialize_with = "serialize_time")]
    expires_at: Option<Timestamp>,
    #[serde(serialize_with = "serialize_time")]
    issued_at: Option<Timestamp>,
}

impl From<&Claims<'_>> for ShownClaims {
    fn from(claims: &Claims<'_>) -> Self {
        Self {
            user_id: claims.user_id.as_ref().map(|user| match user {
                UserClaim::Number(number) => crate::token::UserId::Number(*number),
                UserClaim::Text(text) => crate::token::UserId::Text(text.to_string()),
            }),
            username: claims.username.as_deref().map(str::to_owned),
            email: claims.email.as_deref().map(str::to_owned),
            roles: claims.roles.iter().map(|role| role.to_string()).collect(),
            expires_at: Some(claims.exp),
            issued_at: claims.iat,
        }
    }
}

impl ShownClaims {
    fn people(&self) -> String {
        let text = |text: &Option<String>| printable(text.as_deref().unwrap_or("-")).into_owned();
        let time = |time: Option<Timestamp>| time.map_or_else(|| "-".to_owned(), show_time);
        let user = match &self.user_id {
            None => "-".to_owned(),
            Some(crate::token::UserId::Number(number)) => number.to_string(),
            Some(crate::token::UserId::Text(id)) => printable(id).into_owned(),
        };
        let roles: Vec<_> = self.roles.iter().map(|role| printable(role)).collect();
        format!(
            "user_id:    {user}\nusername:   {}\nemail:      {}\nroles:      {}\nissued at:  {}\nexpires at: {}\n",
            text(&self.username),
            text(&self.email),
            if roles.is_empty() { "-".to_owned() } else { roles.join(", ") },
            time(self.issued_at),
            time(self.expires_at),
        )
    }
}

impl Report for Verdict {
    fn people(&self) -> String {
        let state = self.key_state.unwrap_or_default();
        match (&self.error, &self.claims) {
            (Some(error), _) => format!("{} {error} ({})\n", style::bad("invalid"), error.reason()),
            (None, Some(claims)) => {
                let kid = self.kid.as_ref().map_or("-", KeyId::as_str);
                let named = if self.named_key == Some(true) { "" } else { ", which the token does not name" };
                format!(
                    "{} signed by the {state} key `{kid}`{named}\n{}",
                    style::good("valid"),
                    claims.people()
                )
            }
            (None, None) => String::new(),
        }
    }
}

/// Verifies it.
///
/// # Errors
///
/// When the store or the token cannot be read.
pub async fn run(args: Args, context: &Context) -> Result<Exit, HostError> {
    let settings = &context.config.keys;
    let token = args.source.read()?;
    let ring = Store::open(&context.config)?.load(settings).await?.ring(settings.token_rules())?;
    let mut buffer = TokenBuffer::default();
    let verdict = match ring.verify(&token, context.clock.now(), &mut buffer) {
        Ok(Verified { key, named_key, claims }) => Verdict {
            valid: true,
            reason: None,
            error: None,
            kid: Some(key.id.clone()),
            key_state: Some(key.phase.name()),
            named_key: Some(named_key),
            claims: Some(ShownClaims::from(&claims)),
        },
        Err(error) => Verdict {
            valid: false,
            reason: Some(error.reason()),
            error: Some(error),
            kid: None,
            key_state: None,
            named_key: None,
            claims: None,
        },
    };
    context.output.show(&verdict)?;
    Ok(if verdict.valid { Exit::Done } else { Exit::Denied })
}
