//! The gateway's state: its configuration, the policy that decides, and the keys and routes of its source.

use crate::config::Config;
use crate::live::{LivePolicy, LoadError};
use crate::published::{Freshness, Published, newest};
use crate::settings::LiveSettings;
use policy_core::Timestamp;
use policy_core::route::RouteTable;
use policy_core::signed::{Release, SignatureError};
use policy_core::token::KeyRing;

/// A configuration with the policy that decides, once there is one.
#[derive(Debug)]
pub struct Gateway {
    config: Config,
    policy: Option<LivePolicy>,
    settings: Option<LiveSettings>,
    /// Whether the source's settings were accepted before, here or by another thread: then what is configured counts no more, or a key that
    /// they revoke would be back as soon as they are over.
    is_superseded: bool,
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
        let mut gateway = Self { config, policy: None, settings: None, is_superseded: false };
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
        let last = newest(self.release(Published::Bundle), last);
        self.policy = Some(LivePolicy::load(bytes, &self.config.trusted_keys, last, now)?);
        Ok(())
    }

    /// Offers settings. They count from now on, or those before stay. Where there is a `last`, keys and routes of the configuration
    /// count no more, whatever becomes of the settings.
    ///
    /// # Errors
    ///
    /// Why they stay.
    pub fn offer_settings(
        &mut self,
        bytes: &[u8],
        last: Option<Release>,
        now: Timestamp,
    ) -> Result<(), LoadError> {
        let last = newest(self.release(Published::Settings), last);
        self.is_superseded |= last.is_some();
        self.settings = Some(LiveSettings::load(bytes, &self.config.trusted_keys, last, now)?);
        self.is_superseded = true;
        Ok(())
    }

    /// How fresh the policy is, or the settings are, if there are any.
    #[must_use]
    pub fn freshness(&self, what: Published) -> Option<&Freshness> {
        match what {
            Published::Bundle => self.policy.as_ref().map(LivePolicy::freshness),
            Published::Settings => self.settings.as_ref().map(LiveSettings::freshness),
        }
    }

    /// Which of its publisher's it is.
    #[must_use]
    pub fn release(&self, what: Published) -> Option<Release> {
        self.freshness(what).and_then(Freshness::release)
    }

    /// Notes that the source still has it as the newest.
    pub fn confirm(&mut self, what: Published, now: Timestamp) {
        let freshness = match what {
            Published::Bundle => self.policy.as_mut().map(|policy| &mut policy.freshness),
            Published::Settings => self.settings.as_mut().map(|settings| &mut settings.freshness),
        };
        if let Some(freshness) = freshness {
            freshness.confirm(now);
        }
    }

    /// The keys that verify tokens: those of the settings, or those of the configuration until there were settings.
    ///
    /// # Errors
    ///
    /// The word for why there are none.
    pub fn ring(&self, now: Timestamp) -> Result<&KeyRing, &'static str> {
        match &self.settings {
            Some(settings) => settings.unless_expired(now, &settings.ring),
            None => self.configured(self.config.ring.as_ref()),
        }
    }

    /// The routes: those of the settings, where they have some, or those of the configuration.
    ///
    /// # Errors
    ///
    /// The word for why there are none.
    pub fn routes(&self, now: Timestamp) -> Result<&RouteTable, &'static str> {
        let configured = self.config.routes.as_ref();
        match &self.settings {
            Some(settings) => match &settings.routes {
                Some(routes) => settings.unless_expired(now, routes),
                None => configured.ok_or(NONE),
            },
            None => self.configured(configured),
        }
    }

    fn configured<'g, T>(&self, setting: Option<&'g T>) -> Result<&'g T, &'static str> {
        setting.filter(|_| !self.is_superseded).ok_or(NONE)
    }
}

/// The word for that there are no keys, or no routes.
const NONE: &str = "no_settings";
