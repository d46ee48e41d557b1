//! What the filter is told: the plugin's configuration, one JSON object.

use crate::published::Published;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use policy_core::keys::KeyId;
use policy_core::route::{RouteTable, RouteTableError};
use policy_core::signed::TrustedKey;
use policy_core::token::{KeyRing, RingDocumentError};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::time::Duration;
use thiserror::Error;

/// The longest that `x-user-permissions` becomes unless the configuration says otherwise: a quarter of what many servers take
/// for all headers together.
const PERMISSIONS_HEADER_BYTES: usize = 4096;
const INTERVAL_SECONDS: u64 = 10;
const TIMEOUT_SECONDS: u64 = 5;

/// A configuration that makes sense.
#[derive(Debug)]
pub struct Config {
    /// The keys that verify tokens, unless the source has others. None where it has to.
    pub ring: Option<KeyRing>,
    /// Which permission a request asks for, likewise.
    pub routes: Option<RouteTable>,
    /// The bundle to begin with, with or without a signature before it.
    pub bundle: Option<Vec<u8>>,
    /// Who may publish policies. When there are any, an unsigned bundle is refused.
    pub trusted_keys: Vec<TrustedKey>,
    /// Whether a denial is one.
    pub mode: Mode,
    /// Where the roles of a user come from.
    pub roles: RoleSource,
    /// The realm in `WWW-Authenticate`.
    pub realm: String,
    /// The longest `x-user-permissions`, in bytes; a longer one is left out.
    pub permissions_header_bytes: usize,
    /// What the names of the counters begin with.
    pub counters: String,
    /// Where newer bundles come from, and newer settings.
    pub refresh: Option<Refresh>,
}

/// Whether a denial is one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It is.
    #[default]
    Enforce,
    /// It is counted and logged, and the request passes.
    Shadow,
}

impl Mode {
    pub(crate) const fn is_shadow(self) -> bool {
        matches!(self, Self::Shadow)
    }
}

/// Where the roles of a user come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoleSource {
    /// The token's claim `roles`.
    #[default]
    Token,
    /// The bundle, which says the roles of its users.
    Bundle,
}

/// Where newer bundles come from, and newer settings: files of a signature and what it signs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refresh {
    /// Where bundles come from.
    pub bundle: Source,
    /// Where keys and routes come from, if they do.
    pub settings: Option<Source>,
    /// How long after one question the next one is asked.
    pub interval: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
}

/// Where something comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Source {
    /// The proxy's name for where it is.
    pub cluster: String,
    /// The `Host` that is asked for.
    pub authority: String,
    /// The path.
    pub path: String,
}

impl Refresh {
    /// The source of this, if there is one.
    #[must_use]
    pub const fn source(&self, what: Published) -> Option<&Source> {
        match what {
            Published::Bundle => Some(&self.bundle),
            Published::Settings => self.settings.as_ref(),
        }
    }
}

/// Why a configuration is refused. No key and no token is in it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// It is not JSON of the form.
    #[error(
        "line {line}, column {column}: {problem}; README.md of the gateway has the members and an example"
    )]
    Malformed {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What is wrong there.
        problem: &'static str,
    },
    /// A member that cannot be left out.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// The keys.
    #[error("`ring`: {0}")]
    Ring(#[from] RingDocumentError),
    /// The routes.
    #[error("`route_table`: {0}")]
    Routes(#[from] RouteTableError),
    /// A trusted key.
    #[error(
        "`trusted_keys`, number {0}: it needs a `kid` of 1 to 64 characters of `A-Z a-z 0-9 _ -`, and as `x` the base64url of an Ed25519 public key"
    )]
    TrustedKey(usize),
    /// The bundle is no base64.
    #[error("`bundle` is no base64 (the standard alphabet, with padding)")]
    Bundle,
    /// There is no policy, and nowhere to get one from.
    #[error("there is neither a `bundle` nor a `refresh`: there would never be a policy")]
    NoPolicy,
    /// Nobody may publish.
    #[error("`refresh` needs `trusted_keys`: what comes over the network has to be signed")]
    NoTrustedKeys,
    /// A value that cannot be.
    #[error("`{member}` {problem}")]
    Value {
        /// The member.
        member: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document<'a> {
    #[serde(borrow)]
    ring: Option<&'a RawValue>,
    #[serde(borrow)]
    route_table: Option<&'a RawValue>,
    #[serde(default)]
    bundle: Option<String>,
    #[serde(default)]
    trusted_keys: Vec<TrustedKeyDocument>,
    #[serde(default)]
    mode: Mode,
    #[serde(default)]
    roles: RoleSource,
    #[serde(default)]
    realm: Option<String>,
    #[serde(default)]
    permissions_header_bytes: Option<usize>,
    #[serde(default)]
    counters: Option<String>,
    #[serde(default)]
    refresh: Option<RefreshDocument>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TrustedKeyDocument {
    kid: String,
    x: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RefreshDocument {
    cluster: String,
    path: String,
    settings_path: Option<String>,
    authority: Option<String>,
    interval_seconds: Option<u64>,
    timeout_seconds: Option<u64>,
}

impl Config {
    /// Reads a configuration.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with it. Whether the bundle is one is seen when it is loaded.
    pub fn from_json(json: &[u8]) -> Result<Self, ConfigError> {
        let document: Document<'_> = serde_json::from_slice(json).map_err(|error| malformed(&error))?;
        let ring = document.ring.map(|json| KeyRing::from_document(json.get())).transpose()?;
        let routes = routes(document.route_table)?;
        let keys = document.trusted_keys.iter().zip(1_usize..);
        let trusted_keys = keys
            .map(|(key, place)| trusted_key(key).ok_or(ConfigError::TrustedKey(place)))
            .collect::<Result<Vec<_>, _>>()?;
        let bundle = document.bundle.map(|text| STANDARD.decode(text).map_err(|_| ConfigError::Bundle));
        let bundle = bundle.transpose()?;
        let refresh = document.refresh.map(refresh).transpose()?;
        if refresh.as_ref().is_none_or(|refresh| refresh.settings.is_none()) {
            if ring.is_none() {
                return Err(ConfigError::Missing("ring"));
            }
            if routes.is_none() {
                return Err(ConfigError::Missing("route_table"));
            }
        }
        match (&bundle, &refresh) {
            (None, None) => return Err(ConfigError::NoPolicy),
            (_, Some(_)) if trusted_keys.is_empty() => return Err(ConfigError::NoTrustedKeys),
            _ => {}
        }
        let realm = document.realm.unwrap_or_else(|| "pbac".to_owned());
        if !realm.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'"' && byte != b'\\') {
            return Err(ConfigError::Value {
                member: "realm",
                problem: "is not ASCII without quotes and `\\`",
            });
        }
        let counters = document.counters.unwrap_or_else(|| "pbac".to_owned());
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if counters.is_empty() || !counters.bytes().all(fits) {
            return Err(ConfigError::Value {
                member: "counters",
                problem: "is not a word of `A-Z a-z 0-9 _`",
            });
        }
        Ok(Self {
            ring,
            routes,
            bundle,
            trusted_keys,
            mode: document.mode,
            roles: document.roles,
            realm,
            permissions_header_bytes: document.permissions_header_bytes.unwrap_or(PERMISSIONS_HEADER_BYTES),
            counters,
            refresh,
        })
    }
}

/// Reads the member `route_table`, where there is one.
pub(crate) fn routes(json: Option<&RawValue>) -> Result<Option<RouteTable>, ConfigError> {
    Ok(json.map(|json| RouteTable::from_document(json.get())).transpose()?)
}

fn trusted_key(document: &TrustedKeyDocument) -> Option<TrustedKey> {
    let id = KeyId::parse(&document.kid).ok()?;
    let public: [u8; 32] = URL_SAFE_NO_PAD.decode(&document.x).ok()?.try_into().ok()?;
    TrustedKey::new(id, &public).ok()
}

fn refresh(document: RefreshDocument) -> Result<Refresh, ConfigError> {
    let wrong = |member, problem| Err(ConfigError::Value { member, problem });
    let RefreshDocument { cluster, path, settings_path, authority, interval_seconds, timeout_seconds } =
        document;
    let is_token = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_token(&cluster) {
        return wrong("refresh.cluster", "is not the name of a cluster");
    }
    let is_path = |text: &str| is_token(text) && text.starts_with('/');
    if !is_path(&path) {
        return wrong("refresh.path", "is not a path");
    }
    match settings_path.as_deref() {
        Some(settings) if !is_path(settings) => return wrong("refresh.settings_path", "is not a path"),
        Some(settings) if settings == path => {
            return wrong("refresh.settings_path", "is that of the bundle: each needs its own");
        }
        _ => {}
    }
    let authority = authority.unwrap_or_else(|| cluster.clone());
    if !is_token(&authority) {
        return wrong("refresh.authority", "is not a host");
    }
    let interval = interval_seconds.unwrap_or(INTERVAL_SECONDS);
    let timeout = timeout_seconds.unwrap_or(TIMEOUT_SECONDS);
    if !(1..=86_400).contains(&interval) {
        return wrong("refresh.interval_seconds", "is not from 1 to 86400");
    }
    if !(1..=300).contains(&timeout) {
        return wrong("refresh.timeout_seconds", "is not from 1 to 300");
    }
    let (interval, timeout) = (Duration::from_secs(interval), Duration::from_secs(timeout));
    let source = |path| Source { cluster: cluster.clone(), authority: authority.clone(), path };
    Ok(Refresh { bundle: source(path), settings: settings_path.map(source), interval, timeout })
}

/// The reader's own words would quote what stands there, and that may be a secret.
pub(crate) fn malformed(error: &serde_json::Error) -> ConfigError {
    let problem = if error.is_data() {
        "a member is not known, is there twice, or has another type than it should have"
    } else {
        "it is no JSON"
    };
    ConfigError::Malformed { line: error.line(), column: error.column(), problem }
}
