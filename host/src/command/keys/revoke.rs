//! `pbac keys revoke`: drops a key at once and for ever.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use policy_core::Timestamp;
use policy_core::keys::{KeyId, KeyPhase};
use policy_core::token::TokenBuffer;
use serde::Serialize;

use super::change::{Changed, Plain, make};
use crate::context::Context;
use crate::error::HostError;
use crate::exit::Exit;
use crate::keys::{KeySet, Operation, Store};
use crate::report::time::{serialize_time, show_time};
use crate::report::{Report, Severity};

/// The arguments of `pbac keys revoke`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Asks for the key's name before it does so. Where the key is the one that signs, the staged one takes its \
    place, or a new one. A backup that comes back later does not bring it back."
)]
pub struct Args {
    /// The key, as `pbac keys list` shows it
    #[arg(value_name = "KID", value_parser = parse_kid)]
    kid: KeyId,
    /// Also where no key has this name any more
    #[arg(long)]
    unknown: bool,
    /// Count the live tokens that die among those of FILE, a token a line; `-` is the standard input
    #[arg(long, value_name = "FILE")]
    tokens: Option<PathBuf>,
    /// Remove the backups of the `.env` file that hold the key
    #[arg(long)]
    purge_backups: bool,
    #[command(flatten)]
    plain: Plain,
}

/// What was done, and to whose tokens.
#[derive(Debug, Serialize)]
struct Revoked {
    #[serde(flatten)]
    changed: Changed,
    tokens: Dying,
    /// Backups that hold the key.
    backups: Vec<PathBuf>,
    backups_removed: bool,
}

/// The tokens of a key. How many there are, only a list of them can tell: nobody keeps count of tokens.
#[derive(Debug, Serialize)]
struct Dying {
    /// How many of the tokens that were given are alive, and die.
    counted: Option<u64>,
    #[serde(serialize_with = "serialize_time")]
    issued_from: Option<Timestamp>,
    #[serde(serialize_with = "serialize_time")]
    issued_until: Option<Timestamp>,
    /// When the last of them would have expired by itself, where the longest life of a token is configured.
    #[serde(serialize_with = "serialize_time")]
    alive_until: Option<Timestamp>,
}

impl Dying {
    fn people(&self) -> String {
        let time =
            |time: Option<Timestamp>| time.map_or_else(|| "a time that is not known".to_owned(), show_time);
        let number = match self.counted {
            Some(counted) => format!("{counted} live token(s) of those given"),
            None => "every live token that it signed".to_owned(),
        };
        let mut text =
            format!("{number}, issued from {} to {}", time(self.issued_from), time(self.issued_until));
        if let Some(end) = self.alive_until {
            text.push_str(&format!("; the last would have lived until {}", show_time(end)));
        }
        text
    }
}

impl Report for Revoked {
    fn people(&self) -> String {
        let mut text = self.changed.people();
        text.push_str(&format!("refused from now on: {}\n", self.tokens.people()));
        for path in &self.backups {
            let done = if self.backups_removed { "removed" } else { "still holds the key:" };
            text.push_str(&format!("{done} {}\n", path.display()));
        }
        text
    }
}

/// Revokes it.
///
/// # Errors
///
/// When no key has the name, nobody confirmed it, or the store cannot be written.
pub async fn run(args: Args, context: &Context) -> Result<Exit, HostError> {
    let settings = &context.config.keys;
    let now = context.clock.now();
    let store = Store::open(&context.config)?;
    let keys = store.load_leaving(settings, &args.kid).await?;
    let operation = Operation::Revoke { id: args.kid.clone(), unknown: args.unknown };
    // What is refused is not asked about.
    let rules = settings.rotation_rules(keys.rotation_days());
    operation.plan(&keys, &rules, settings.algorithm, now)?;
    let tokens = dying(&keys, &args, context, now)?;
    if !args.plain.dry_run {
        let about = format!("refuse {}", tokens.people());
        context.output.confirm(&about, Severity::Severe { name: args.kid.as_str() }).await?;
    }
    let (changed, _) = make(&operation, &args.plain, context).await?;
    let backups = match &store {
        Store::Env(store) => store.backups_that_hold(&keys, &args.kid)?,
        Store::Postgres(_) => Vec::new(),
    };
    let purge = args.purge_backups && !args.plain.dry_run;
    if !purge && !backups.is_empty() {
        context.output.warn("backups hold the key: remove them; --purge-backups does so with the revocation");
    }
    let removed = backups
        .iter()
        .filter(|_| purge)
        .map(|path| std::fs::remove_file(path).map_err(|error| HostError::file("remove", path, &error)));
    let failed = removed.filter_map(Result::err).next();
    let backups_removed = purge && failed.is_none();
    // The key is revoked in any case, which comes first.
    context.output.show(&Revoked { changed, tokens, backups, backups_removed })?;
    failed.map_or(Ok(Exit::Done), |error| {
        Err(error.help("the key is revoked, but this backup of the file holds it still: remove it by hand"))
    })
}

fn dying(keys: &KeySet, args: &Args, context: &Context, now: Timestamp) -> Result<Dying, HostError> {
    let settings = &context.config.keys;
    let (from, until) = match keys.history().key(args.kid.as_str()).map(|key| key.phase) {
        Some(KeyPhase::Active { since }) => (since, Some(now)),
        Some(KeyPhase::Retired { since, .. }) => (None, since),
        _ => (None, None),
    };
    let counted = match &args.tokens {
        Some(path) => Some(count(keys, &args.kid, path, settings.token_rules(), now)?),
        None => None,
    };
    let alive_until = until.zip(settings.token_life).map(|(until, life)| until.after(life));
    Ok(Dying { counted, issued_from: from, issued_until: until, alive_until })
}

/// How many tokens of a file hold now and are of this key.
fn count(
    keys: &KeySet,
    kid: &KeyId,
    path: &Path,
    rules: policy_core::token::TokenRules,
    now: Timestamp,
) -> Result<u64, HostError> {
    let fail = |error: std::io::Error| HostError::file("read", path, &error);
    let source: Box<dyn Read> = if path == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(path).map_err(fail)?)
    };
    let ring = keys.ring(rules)?;
    let mut buffer = TokenBuffer::default();
    let mut number: u64 = 0;
    for line in BufReader::new(source).split(b'\n') {
        // What is no text is no token.
        let line = String::from_utf8(line.map_err(fail)?).unwrap_or_default();
        if ring.verify(line.trim(), now, &mut buffer).is_ok_and(|verified| verified.key.id == *kid) {
            number = number.saturating_add(1);
        }
    }
    Ok(number)
}

/// Reads a name. For clap.
fn parse_kid(text: &str) -> Result<KeyId, String> {
    KeyId::parse(text).map_err(|error| error.to_string())
}
