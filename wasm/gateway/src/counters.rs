//! What is counted, and how it is called.

use crate::judge::Verdict;
use crate::published::Published;

/// Something that a proxy counts or measures. Its whole name is the configured prefix, an underscore and [`Counter::name`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Counter {
    /// Requests that passed since the user may.
    Allowed,
    /// Requests of routes that ask for nothing.
    Public,
    /// Requests that did not pass (in shadow mode: would not have), by reason.
    Denied(&'static str),
    /// Requests that brought headers along that only the gateway may set.
    Spoofed,
    /// Requests whose user has more permissions than the header takes.
    PermissionsLeftOut,
    /// How long a decision took, in nanoseconds, answers of the proxy included: a histogram.
    DecisionNanoseconds,
    /// Bundles, or settings, that took the place of others.
    Accepted(Published),
    /// Those that were refused, by reason.
    Refused(Published, &'static str),
    /// Times the source had nothing new.
    Unchanged(Published),
    /// Times the source could not be asked, or did not answer as it should.
    RefreshFailed,
    /// Seconds since the source last said that it is the newest: a gauge.
    AgeSeconds(Published),
    /// Its sequence number: a gauge.
    Sequence(Published),
    /// The first six bytes of the bundle's content hash as a number: a gauge. Six, so that a floating-point number holds it.
    BundleHash,
}

impl Counter {
    /// Its name.
    #[must_use]
    pub fn name(self) -> String {
        let name = match self {
            Self::Denied(reason) => return format!("denied_{reason}"),
            Self::Refused(what, reason) => return format!("{}_refused_{reason}", what.name()),
            Self::Accepted(what) => return format!("{}_accepted", what.name()),
            Self::Unchanged(what) => return format!("{}_unchanged", what.name()),
            Self::AgeSeconds(what) => return format!("{}_age_seconds", what.name()),
            Self::Sequence(what) => return format!("{}_sequence", what.name()),
            Self::Allowed => "allowed",
            Self::Public => "public",
            Self::Spoofed => "spoofed_headers",
            Self::PermissionsLeftOut => "permissions_left_out",
            Self::DecisionNanoseconds => "decision_nanoseconds",
            Self::RefreshFailed => "refresh_failed",
            Self::BundleHash => "bundle_hash",
        };
        name.to_owned()
    }

    /// What a verdict counts as.
    #[must_use]
    pub const fn of(verdict: &Verdict<'_>) -> Self {
        match verdict {
            Verdict::Allow(_) => Self::Allowed,
            Verdict::Public => Self::Public,
            Verdict::Deny(denial) => Self::Denied(denial.reason),
        }
    }
}

/// The first six bytes of a content hash as a number.
#[must_use]
pub fn hash_number(hash: policy_core::ContentHash) -> u64 {
    hash.0.iter().take(6).fold(0, |number, &byte| (number << 8) | u64::from(byte))
}
