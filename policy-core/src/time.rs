//! Time as an input.

use core::fmt;
use core::time::Duration;
use serde::Serialize;

/// A moment: microseconds since 1970-01-01T00:00:00Z, the resolution of PostgreSQL's `timestamptz`, so that SQL
/// and the core agree on both sides of an expiry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The moment `micros` microseconds after (or, negative, before) the epoch.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// The moment `seconds` seconds after the epoch; past the range of the type, its nearest end.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// The moment `span` later; past the range of the type, its end.
    #[must_use]
    pub const fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(micros(span)))
    }

    /// How much later this moment is than `earlier`; nothing where it is not.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        // A difference past the range of the type is shown as the longest that it holds.
        let span = self.0.saturating_sub(earlier.0);
        Duration::from_micros(if span < 0 { 0 } else { span.unsigned_abs() })
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }
}

/// A span in microseconds; past the range of the type, its end.
const fn micros(span: Duration) -> i64 {
    let micros = span.as_micros();
    if micros > i64::MAX as u128 {
        return i64::MAX;
    }
    #[expect(clippy::cast_possible_truncation, reason = "it is within the range, as was just seen")]
    let micros = micros as i64;
    micros
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} µs", self.0)
    }
}
