//! The settings of `[keys]`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::{Span, SpanRelativeTo};
use policy_core::keys::{Algorithm, RotationRules};
use policy_core::token::TokenRules;
use serde::Deserialize;

use super::env_store::EnvNames;
use crate::error::HostError;

/// Where keys are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// In a `.env` file.
    #[default]
    Env,
    /// In the table `signing_keys`, sealed.
    Postgres,
}

/// What a key must hold, how often it changes, and where it lies: `[keys]` in `pbac.toml`. Everything has a default, that
/// of the source document.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeySettings {
    /// Where keys are kept.
    pub store: StoreKind,
    /// The `.env` file.
    pub env_file: PathBuf,
    /// What the variables of the `.env` file are called.
    pub names: EnvNames,
    /// How many backups of the `.env` file are kept; all, where it is not said.
    pub keep_backups: Option<usize>,
    /// Where the reports of rotations go.
    pub logs: PathBuf,
    /// The file with the key that seals those of the database; else `PBAC_KEY_ENCRYPTION_KEY` holds it.
    pub key_encryption_key_file: Option<PathBuf>,
    /// What new keys are for.
    #[serde(deserialize_with = "algorithm")]
    pub algorithm: Algorithm,
    /// Days for which a key signs; else those of the `.env` file, or 90.
    pub rotation_days: Option<u32>,
    /// How many retired keys there may be.
    pub history: usize,
    /// Days for which a retired key verifies; else `history` times `rotation_days`.
    pub grace_days: Option<u32>,
    /// How long a key is staged before it may sign.
    #[serde(deserialize_with = "span")]
    pub staging: Duration,
    /// Whether several processes verify.
    pub fleet: bool,
    /// The longest life of a token.
    #[serde(deserialize_with = "some_span")]
    pub token_life: Option<Duration>,
    /// How far clocks may be apart.
    #[serde(deserialize_with = "span")]
    pub leeway: Duration,
    /// The issuers that are accepted; the first one goes into new tokens.
    #[serde(deserialize_with = "one_or_several")]
    pub issuer: Vec<String>,
    /// The audiences that are accepted; the first one goes into new tokens.
    #[serde(deserialize_with = "one_or_several")]
    pub audience: Vec<String>,
}

impl Default for KeySettings {
    fn default() -> Self {
        let RotationRules { history, staging, leeway, .. } = RotationRules::document();
        Self {
            store: StoreKind::Env,
            env_file: PathBuf::from(".env"),
            names: EnvNames::default(),
            keep_backups: None,
            logs: PathBuf::from("logs/secret_key_rotation"),
            key_encryption_key_file: None,
            algorithm: Algorithm::Hs256,
            rotation_days: None,
            history,
            grace_days: None,
            staging,
            fleet: false,
            token_life: None,
            leeway,
            issuer: Vec::new(),
            audience: Vec::new(),
        }
    }
}

/// The length of a day.
const DAY: Duration = Duration::from_secs(86_400);

/// The longest number of days that is taken for anything: a century.
const MAX_DAYS: u32 = 36_500;

/// The largest leeway: beyond it an expired token is one that holds.
const MAX_LEEWAY: Duration = Duration::from_secs(300);

impl KeySettings {
    /// The same, with paths that count from this directory.
    #[must_use]
    pub fn beside(mut self, directory: &Path) -> Self {
        for path in
            [&mut self.env_file, &mut self.logs].into_iter().chain(self.key_encryption_key_file.as_mut())
        {
            *path = directory.join(&*path);
        }
        self
    }

    /// What rotations go by, where the store itself may say for how many days a key signs.
    #[must_use]
    pub fn rotation_rules(&self, stored_days: Option<u32>) -> RotationRules {
        let document = RotationRules::document();
        let rotation = match self.rotation_days.or(stored_days) {
            Some(days) => DAY.saturating_mul(days),
            None => document.rotation,
        };
        let places = u32::try_from(self.history).unwrap_or(u32::MAX);
        RotationRules {
            rotation,
            history: self.history,
            grace: match self.grace_days {
                Some(days) => DAY.saturating_mul(days),
                None => rotation.saturating_mul(places),
            },
            staging: self.staging,
            fleet: self.fleet,
            token_life: self.token_life,
            leeway: self.leeway,
        }
    }

    /// What a token has to say.
    #[must_use]
    pub fn token_rules(&self) -> TokenRules {
        TokenRules {
            leeway: self.leeway,
            token_life: self.token_life,
            issuers: self.issuer.clone(),
            audiences: self.audience.clone(),
        }
    }

    /// Looks at what the types do not exclude.
    ///
    /// # Errors
    ///
    /// When a value makes no sense.
    pub(crate) fn check(&self, file: &Path) -> Result<(), HostError> {
        let wrong = |what: &str, help: &str| {
            Err(HostError::usage(format_args!("`{}`: `keys.{what}`", file.display())).help(help))
        };
        if self.history == 0 || self.history > 100 {
            return wrong("history` has no place, or more than 100", "give 1 to 100; the document has 3");
        }
        for (name, days) in [("rotation_days", self.rotation_days), ("grace_days", self.grace_days)] {
            if days.is_some_and(|days| days == 0 || days > MAX_DAYS) {
                return wrong(
                    &format!("{name}` is 0, or more than a century"),
                    "give a number of days, such as 90",
                );
            }
        }
        if self.leeway > MAX_LEEWAY {
            return wrong(
                "leeway` is longer than 5 minutes",
                "set the clocks right instead: within the leeway expired tokens still hold",
            );
        }
        if self.token_life.is_some_and(|life| life.is_zero()) {
            return wrong("token_life` is nothing", "give how long the longest token lives, such as \"8h\"");
        }
        self.names
            .check()
            .or_else(|what| wrong(&what, "give each variable a name of its own, such as SECRET_KEY"))
    }
}

/// A span such as `8h`, `15m` or `7d` (a day is 24 hours).
///
/// # Errors
///
/// When it is none, or counts months or years, whose length differs.
pub(crate) fn parse_span(text: &str) -> Result<Duration, String> {
    text.parse::<Span>()
        .ok()
        .filter(|span| span.get_years() == 0 && span.get_months() == 0)
        .and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok())
        .and_then(|span| Duration::try_from(span).ok())
        .ok_or_else(|| format!("`{text}` is no duration; write \"15m\", \"8h\" or \"7d\""))
}

fn span<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_span(&text).map_err(serde::de::Error::custom)
}

fn some_span<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    span(deserializer).map(Some)
}

fn algorithm<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Algorithm, D::Error> {
    let text = String::deserialize(deserializer)?;
    Algorithm::from_name(&text).ok_or_else(|| {
        serde::de::Error::custom(format!("`{text}` is no algorithm; write \"HS256\", \"EdDSA\" or \"ES256\""))
    })
}

fn one_or_several<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a text or a list of texts")]
    enum Texts {
        One(String),
        Several(Vec<String>),
    }
    Ok(match Texts::deserialize(deserializer)? {
        Texts::One(text) => vec![text],
        Texts::Several(texts) => texts,
    })
}
