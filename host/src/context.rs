//! What every command is given: the settings, the way to answer, and the clock.

use jiff::Timestamp as Instant;
use policy_core::Timestamp;

use crate::config::Config;
use crate::report::Output;

/// What every command is given beside its own arguments.
#[derive(Debug)]
pub struct Context {
    /// Flags over environment over `pbac.toml` over defaults.
    pub config: Config,
    /// Where answers, notes, questions and progress go.
    pub output: Output,
    /// The only clock: the core and the database are told the time.
    pub clock: Clock,
}

/// The source of `now`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock;

impl Clock {
    /// The time of the system's clock, in microseconds.
    #[must_use]
    pub fn now(self) -> Timestamp {
        Timestamp::from_micros(Instant::now().as_microsecond())
    }
}
