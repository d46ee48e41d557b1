//! What a rotation goes by.

use core::time::Duration;

/// The length of a day.
const DAY: Duration = Duration::from_secs(86_400);

/// How often keys rotate and how long they verify (SPEC section 5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RotationRules {
    /// How long a key signs before the next rotation is due.
    pub rotation: Duration,
    /// How many retired keys there may be. A staged key takes none of these places.
    pub history: usize,
    /// How long a key verifies after it ceased to sign.
    pub grace: Duration,
    /// How long a key is staged before it may sign: as long as the slowest node takes to load it.
    pub staging: Duration,
    /// Whether several processes verify, so that no key may sign that was not staged.
    pub fleet: bool,
    /// The longest life of a token, where it is known.
    pub token_life: Option<Duration>,
    /// How far clocks may be apart.
    pub leeway: Duration,
}

impl RotationRules {
    /// Those of the source document: every 90 days, three retired keys, and so 270 days of grace.
    #[must_use]
    pub const fn document() -> Self {
        Self {
            rotation: DAY.saturating_mul(90),
            history: 3,
            grace: DAY.saturating_mul(270),
            staging: Duration::from_secs(15 * 60),
            fleet: false,
            token_life: None,
            leeway: Duration::ZERO,
        }
    }

    /// The grace that would be enough: the longest token life and the leeway, where the life is known.
    #[must_use]
    pub fn enough_grace(&self) -> Option<Duration> {
        self.token_life.map(|life| life.saturating_add(self.leeway))
    }

    /// The grace when it is shorter than enough: tokens outlive the key that signed them.
    #[must_use]
    pub fn short_grace(&self) -> Option<Duration> {
        self.enough_grace().filter(|enough| self.grace < *enough).map(|_| self.grace)
    }

    /// The grace when it is longer than enough: an old secret is dangerous for as long as it verifies.
    #[must_use]
    pub fn excessive_grace(&self) -> Option<Duration> {
        self.enough_grace().filter(|enough| self.grace > *enough).map(|_| self.grace)
    }
}
