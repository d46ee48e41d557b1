//! What a rotation does: a staged or new key signs, the one before it verifies for a while, and what is over goes.

use super::{Algorithm, KeyHistory, KeyId, KeyPhase, KeyRecord, RotationRules};
use crate::time::Timestamp;
use alloc::vec::Vec;
use core::time::Duration;
use serde::Serialize;
use thiserror::Error;

/// A key that is to be made: its new, random name, and what it is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fresh {
    /// Its name.
    pub id: KeyId,
    /// What it signs and verifies with.
    pub algorithm: Algorithm,
}

/// A history that follows another one, and what happened in between. Only the transitions make one, so that none of
/// their checks can be left out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    pub(super) history: KeyHistory,
    pub(super) events: Vec<KeyEvent>,
}

impl Change {
    /// The keys afterwards.
    #[must_use]
    pub const fn history(&self) -> &KeyHistory {
        &self.history
    }

    /// What happened, in order.
    #[must_use]
    pub fn events(&self) -> &[KeyEvent] {
        &self.events
    }

    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }
}

/// One thing that happened to a key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum KeyEvent {
    /// It verifies from now on, and signs later.
    Staged {
        /// The key.
        id: KeyId,
    },
    /// It signs from now on.
    Promoted {
        /// The key.
        id: KeyId,
    },
    /// It signs no more.
    Retired {
        /// The key.
        id: KeyId,
        /// From then on it verifies nothing.
        not_after: Timestamp,
    },
    /// Its time was over, and it is gone.
    Gone {
        /// The key.
        id: KeyId,
    },
    /// It had to go before its time, for lack of a place.
    PushedOut {
        /// The key.
        id: KeyId,
        /// Until when it would have verified.
        not_after: Option<Timestamp>,
    },
    /// It verifies nothing from now on, and never again.
    Revoked {
        /// The key.
        id: KeyId,
    },
}

/// Why a change is refused.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum RotationError {
    /// A second key cannot wait.
    #[error("key `{id}` is staged already")]
    AlreadyStaged {
        /// The key that waits.
        id: KeyId,
    },
    /// There is no key to promote.
    #[error("no key is staged")]
    NothingStaged,
    /// Some node may not have loaded the key yet, and would refuse its tokens.
    #[error("key `{id}` has not been staged for long enough")]
    StagingNotOver {
        /// The key that waits.
        id: KeyId,
        /// When it may be promoted.
        over_at: Timestamp,
    },
    /// Other nodes would refuse the tokens of a key that they were never told of.
    #[error("several processes verify, and no key is staged")]
    MustStage,
    /// A retired key would have to go while it still verifies.
    #[error("key `{id}` still verifies, and there is no place for one more retired key")]
    WouldPushOut {
        /// The oldest key; with no place at all, the one that signs.
        id: KeyId,
        /// Until when it verifies, or would.
        not_after: Option<Timestamp>,
    },
    /// The time given lies before what already happened.
    #[error("key `{id}` is from a later time than now: a clock is wrong")]
    ClockWentBack {
        /// The key.
        id: KeyId,
        /// Its time.
        since: Timestamp,
    },
    /// No key has this name.
    #[error("no key is called `{id}`")]
    UnknownKey {
        /// The name.
        id: KeyId,
    },
    /// It is revoked already.
    #[error("key `{id}` is revoked already")]
    AlreadyRevoked {
        /// The key.
        id: KeyId,
    },
    /// The new name is not new.
    #[error("a key is called `{id}` already")]
    NameTaken {
        /// The name.
        id: KeyId,
    },
}

impl KeyHistory {
    /// Adds a key that verifies and does not sign yet, and sweeps what is over.
    ///
    /// # Errors
    ///
    /// When one is staged already, the name is taken, or `now` lies before what already happened: a staging period counted
    /// from too early a time would be over too early.
    pub fn stage(&self, fresh: &Fresh, now: Timestamp) -> Result<Change, RotationError> {
        if let Some(staged) = self.staged() {
            return Err(RotationError::AlreadyStaged { id: staged.id.clone() });
        }
        self.check_name(fresh)?;
        self.check_clock(now)?;
        let mut change = self.sweep(now);
        change.events.push(KeyEvent::Staged { id: fresh.id.clone() });
        change.history.insert(fresh, KeyPhase::Staged { since: now });
        Ok(change)
    }

    /// Lets the staged key sign and retires the active one until `now + grace`.
    ///
    /// # Errors
    ///
    /// When none is staged. Unless `force`: when it was not staged for long enough, or a key that still verifies would have
    /// to go.
    pub fn promote(
        &self,
        rules: &RotationRules,
        now: Timestamp,
        force: bool,
    ) -> Result<Change, RotationError> {
        let staged = self.staged().ok_or(RotationError::NothingStaged)?;
        self.check_staging(rules, now, force)?;
        let id = staged.id.clone();
        self.succeed(id, rules, now, force)
    }

    /// Rotates: promotes the staged key or, where none is staged and this process is the only one, the new key.
    ///
    /// # Errors
    ///
    /// As [`KeyHistory::promote`], and unless `force` when several processes verify and no key is staged.
    pub fn rotate(
        &self,
        fresh: &Fresh,
        rules: &RotationRules,
        now: Timestamp,
        force: bool,
    ) -> Result<Change, RotationError> {
        if self.staged().is_some() {
            return self.promote(rules, now, force);
        }
        // The first key of all has nothing to be staged beside.
        if rules.fleet && !force && self.active().is_some() {
            return Err(RotationError::MustStage);
        }
        self.check_name(fresh)?;
        let mut with = self.clone();
        with.insert(fresh, KeyPhase::Staged { since: now });
        with.succeed(fresh.id.clone(), rules, now, force)
    }

    /// Removes the retired keys whose time is over. Nothing depends on it: they verify nothing any more.
    #[must_use]
    pub fn sweep(&self, now: Timestamp) -> Change {
        let mut history = self.clone();
        history.keys.retain(|key| key.verifies_at(now));
        let gone = self.keys.iter().filter(|key| !key.verifies_at(now));
        let events = gone.map(|key| KeyEvent::Gone { id: key.id.clone() }).collect();
        Change { history, events }
    }

    /// Whether the staged key, if there is one, may sign.
    fn check_staging(&self, rules: &RotationRules, now: Timestamp, force: bool) -> Result<(), RotationError> {
        let Some(KeyRecord { id, phase: KeyPhase::Staged { since }, .. }) = self.staged() else {
            return Ok(());
        };
        let over_at = since.after(rules.staging);
        if force || self.active().is_none() || now >= over_at {
            Ok(())
        } else {
            Err(RotationError::StagingNotOver { id: id.clone(), over_at })
        }
    }

    pub(super) fn check_name(&self, fresh: &Fresh) -> Result<(), RotationError> {
        if self.key(fresh.id.as_str()).is_some() || self.revocation(fresh.id.as_str()).is_some() {
            return Err(RotationError::NameTaken { id: fresh.id.clone() });
        }
        Ok(())
    }

    fn check_clock(&self, now: Timestamp) -> Result<(), RotationError> {
        let times = self.keys.iter().filter_map(|key| Some((key, key.phase.since()?)));
        match times.into_iter().find(|(_, since)| *since > now) {
            Some((key, since)) => Err(RotationError::ClockWentBack { id: key.id.clone(), since }),
            None => Ok(()),
        }
    }

    pub(super) fn insert(&mut self, fresh: &Fresh, phase: KeyPhase) {
        // A staged key stands last.
        self.keys.push(KeyRecord { id: fresh.id.clone(), algorithm: fresh.algorithm, phase });
    }

    /// Lets the key of this name sign, in the place of the one that does.
    fn succeed(
        &self,
        successor: KeyId,
        rules: &RotationRules,
        now: Timestamp,
        force: bool,
    ) -> Result<Change, RotationError> {
        self.check_clock(now)?;
        let Change { mut history, mut events } = self.sweep(now);
        let end = now.after(rules.grace);
        // From the newest: the key that retires now, unless that is its end, and those that did before.
        let retires = history.active().filter(|_| now < end);
        let retired = retires.into_iter().chain(history.retired());
        let beyond: Vec<KeyRecord> = retired.skip(rules.history).cloned().collect();
        for KeyRecord { id, phase, .. } in beyond.into_iter().rev() {
            let not_after = match phase {
                KeyPhase::Retired { not_after, .. } => not_after,
                _ => Some(end),
            };
            if !force {
                return Err(RotationError::WouldPushOut { id, not_after });
            }
            history.keys.retain(|key| key.id != id);
            events.push(KeyEvent::PushedOut { id, not_after });
        }
        for key in &mut history.keys {
            key.phase = match key.phase {
                KeyPhase::Active { .. } => {
                    events.push(KeyEvent::Retired { id: key.id.clone(), not_after: end });
                    KeyPhase::Retired { since: Some(now), not_after: Some(end) }
                }
                KeyPhase::Staged { .. } if key.id == successor => KeyPhase::Active { since: Some(now) },
                other => settled(other, now, rules.grace),
            };
        }
        events.push(KeyEvent::Promoted { id: successor });
        history.order();
        Ok(Change { history, events })
    }
}

/// Gives a retired key that came without times those that are surely not too early.
const fn settled(phase: KeyPhase, now: Timestamp, grace: Duration) -> KeyPhase {
    match phase {
        KeyPhase::Retired { since, not_after } => KeyPhase::Retired {
            since: match since {
                Some(since) => Some(since),
                None => Some(now),
            },
            not_after: match not_after {
                Some(end) => Some(end),
                None => Some(now.after(grace)),
            },
        },
        other => other,
    }
}
