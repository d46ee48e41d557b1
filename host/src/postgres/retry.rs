//! Running a step again when it could not get a lock in time, and only then.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::error::HostError;
use crate::exit::Exit;

/// PostgreSQL's `lock_not_available`: `lock_timeout` ran out, or `NOWAIT` found the lock taken.
pub const LOCK_NOT_AVAILABLE: &str = "55P03";

/// How often to try, and how long to wait in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How many times the step runs in all; at least once.
    pub attempts: u32,
    /// The longest wait before the second attempt; it doubles from there.
    pub first_pause: Duration,
    /// The longest wait before any attempt.
    pub longest_pause: Duration,
}

impl Default for RetryPolicy {
    /// Ten attempts, 100 ms doubling to 2 s: about 12 s of waiting at most, half of that on average.
    fn default() -> Self {
        Self { attempts: 10, first_pause: Duration::from_millis(100), longest_pause: Duration::from_secs(2) }
    }
}

/// An error that may carry PostgreSQL's five-character code.
pub trait SqlState {
    /// The code, where the error comes from the server.
    fn sql_state(&self) -> Option<String>;
}

impl SqlState for sqlx::Error {
    fn sql_state(&self) -> Option<String> {
        self.as_database_error().and_then(|error| error.code()).map(Into::into)
    }
}

/// Why a step that was tried again did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum RetryError<E: std::error::Error + 'static> {
    /// The lock was taken every time.
    #[error("a table is locked by others: {attempts} attempts in {:.1} s got no lock; try again when less is going on", .waited.as_secs_f64())]
    Busy {
        /// How many times the step ran.
        attempts: u32,
        /// From the first attempt to the end of the last.
        waited: Duration,
        /// What the last attempt said.
        #[source]
        last: E,
    },
    /// Something other than a lock.
    #[error(transparent)]
    Step(E),
}

impl<E> From<RetryError<E>> for HostError
where
    E: std::error::Error + Into<HostError> + 'static,
{
    fn from(error: RetryError<E>) -> Self {
        match error {
            RetryError::Busy { .. } => Self::new(Exit::Busy, error),
            RetryError::Step(error) => error.into(),
        }
    }
}

/// Runs `step` until it succeeds, fails with anything but [`LOCK_NOT_AVAILABLE`], or has been tried often enough.
/// Each run has to be a whole transaction of its own, rolled back when it fails.
///
/// # Errors
///
/// [`RetryError::Busy`] after the last attempt, [`RetryError::Step`] at once for any other error.
pub async fn retry_when_locked<T, E>(
    policy: &RetryPolicy,
    mut step: impl AsyncFnMut() -> Result<T, E>,
) -> Result<T, RetryError<E>>
where
    E: SqlState + std::error::Error + 'static,
{
    let began = Instant::now();
    let mut attempt: u32 = 1;
    let mut ceiling = policy.first_pause;
    loop {
        let error = match step().await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        if error.sql_state().as_deref() != Some(LOCK_NOT_AVAILABLE) {
            return Err(RetryError::Step(error));
        }
        if attempt >= policy.attempts {
            return Err(RetryError::Busy { attempts: attempt, waited: began.elapsed(), last: error });
        }
        sleep(jittered(ceiling.min(policy.longest_pause))).await;
        attempt = attempt.saturating_add(1);
        ceiling = ceiling.saturating_mul(2);
    }
}

/// Somewhere between nothing and `ceiling`, so that those who wait for the same lock do not come back together.
pub(super) fn jittered(ceiling: Duration) -> Duration {
    ceiling.mul_f64(fastrand::f64())
}
