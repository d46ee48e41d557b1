//! The gateway's state: its configuration and the policy that decides.

use crate::config::Config;
use crate::live::{LivePolicy, LoadError};
use policy_core::Timestamp;
use policy_core::signed::{Release, SignatureError};

/// A configuration with the policy that decides, once there is one.
#[derive(Debug)]
pub struct Gateway {
    config: Config,
    policy: Option<LivePolicy>,
}

impl Gateway {
    /// Takes a configuration and loads its bundle, if it has one. `last` is the newest release that was accepted before, in
    /// this process or another thread of it.
    ///
    /// # Errors
    ///
    /// When the bundle is refused. Where there is a source of newer ones, it may be superseded or expired: then there is no
    /// policy until the source has been asked.
    pub fn new(mut config: Config, last: Option<Release>, now: Timestamp) -> Result<Self, LoadError> {
        let bundle = config.bundle.take();
        let is_refreshed = config.refresh.is_some();
        let mut gateway = Self { config, policy: None };
        if let Some(bundle) = bundle {
            match gateway.offer(&bundle, last, now) {
                Err(LoadError::Signature(SignatureError::Older { .. } | SignatureError::Expired(_)))
                    if is_refreshed => {}
                loaded => loaded?,
            }
        }
        Ok(gateway)
    }

    /// The configuration.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// The policy that decides.
    #[must_use]
    pub const fn policy(&self) -> Option<&LivePolicy> {
        self.policy.as_ref()
    }

    /// Offers a bundle. It decides from now on, or the one before stays.
    ///
    /// # Errors
    ///
    /// Why it stays.
    pub fn offer(&mut self, bytes: &[u8], last: Option<Release>, now: Timestamp) -> Result<(), LoadError> {
        let own = self.policy.as_ref().and_then(LivePolicy::release);
        let newest = match (own, last) {
            (Some(own), Some(last)) if own.sequence >= last.sequence => Some(own),
            (own, last) => last.or(own),
        };
        self.policy = Some(LivePolicy::load(bytes, &self.config.trusted_keys, newest, now)?);
        Ok(())
    }

    /// Notes that the source still has the policy as the newest.
    pub const fn confirm(&mut self, now: Timestamp) {
        if let Some(policy) = self.policy.as_mut() {
            policy.confirm(now);
        }
    }
}
