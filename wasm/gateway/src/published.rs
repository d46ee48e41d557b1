//! What a source publishes, and how fresh what it published is.

use policy_core::Timestamp;
use policy_core::signed::Release;

/// What a source publishes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Published {
    /// Policies.
    Bundle,
    /// Keys and routes.
    Settings,
}

impl Published {
    /// The word for it in counters and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bundle => "bundle",
            Self::Settings => "settings",
        }
    }
}

/// Which one of its publisher's something is, until when it may be used, and when its source last had it as the newest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Freshness {
    /// What is not signed has neither.
    signed: Option<(Release, Timestamp)>,
    confirmed_at: Timestamp,
}

impl Freshness {
    pub(crate) const fn new(signed: Option<(Release, Timestamp)>, now: Timestamp) -> Self {
        Self { signed, confirmed_at: now }
    }

    /// Which one of its publisher's it is, if it is signed.
    #[must_use]
    pub fn release(&self) -> Option<Release> {
        self.signed.map(|(release, _)| release)
    }

    /// Whether its publisher no longer wants it used.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.signed.is_some_and(|(_, expires_at)| now >= expires_at)
    }

    /// For how long nobody has said that it is the newest, in whole seconds.
    #[must_use]
    pub const fn age_seconds(&self, now: Timestamp) -> u64 {
        now.since(self.confirmed_at).as_secs()
    }

    /// Notes that its source still has it as the newest.
    pub(crate) const fn confirm(&mut self, now: Timestamp) {
        self.confirmed_at = now;
    }
}

/// The newer one of the release that is used here and the one that another thread accepted.
pub(crate) fn newest(own: Option<Release>, last: Option<Release>) -> Option<Release> {
    match (own, last) {
        (Some(own), Some(last)) if own.sequence >= last.sequence => Some(own),
        (own, last) => last.or(own),
    }
}
