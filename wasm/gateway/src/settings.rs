//! Keys and routes from a source, which take the place of those in the configuration.

use crate::config::{ConfigError, malformed, routes};
use crate::live::LoadError;
use crate::published::Freshness;
use policy_core::Timestamp;
use policy_core::route::RouteTable;
use policy_core::signed::{self, Release, TrustedKey};
use policy_core::token::KeyRing;
use serde::Deserialize;
use serde_json::value::RawValue;

/// The largest file of settings, in bytes.
pub const MAX_SETTINGS_BYTES: usize = 1 << 20;

/// Keys and routes that a source published.
#[derive(Debug)]
pub struct LiveSettings {
    pub(crate) ring: KeyRing,
    pub(crate) routes: Option<RouteTable>,
    pub(crate) freshness: Freshness,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document<'a> {
    /// Not to be left out: settings without keys would bring those back that the settings before have revoked.
    #[serde(borrow)]
    ring: &'a RawValue,
    #[serde(borrow, default)]
    route_table: Option<&'a RawValue>,
}

impl LiveSettings {
    /// Makes settings ready: a signature of somebody who is trusted, not older than `last`, and the JSON object that it signs, with
    /// the members `ring` and, if it has any, `route_table`, as the configuration has them.
    ///
    /// # Errors
    ///
    /// When the signature does not hold, or what is signed makes no sense. Nothing that it says is in the error.
    pub fn load(
        bytes: &[u8],
        trusted: &[TrustedKey],
        last: Option<Release>,
        now: Timestamp,
    ) -> Result<Self, LoadError> {
        if bytes.len() > MAX_SETTINGS_BYTES {
            return Err(LoadError::TooLarge);
        }
        let (signature, settings) = signed::detach_settings(bytes)?;
        let verified = signed::verify_settings(settings, signature, trusted, now, last)?;
        let document: Document<'_> =
            serde_json::from_slice(verified.bytes()).map_err(|error| malformed(&error))?;
        let ring = KeyRing::from_document(document.ring.get()).map_err(ConfigError::Ring)?;
        let routes = routes(document.route_table)?;
        let freshness = Freshness::new(Some((verified.release(), verified.expires_at())), now);
        Ok(Self { ring, routes, freshness })
    }

    /// How fresh they are.
    #[must_use]
    pub const fn freshness(&self) -> &Freshness {
        &self.freshness
    }

    /// Gives something that they say, or the word for that they are over.
    pub(crate) fn unless_expired<'g, T>(
        &self,
        now: Timestamp,
        setting: &'g T,
    ) -> Result<&'g T, &'static str> {
        if self.freshness.is_expired(now) { Err("settings_expired") } else { Ok(setting) }
    }
}
