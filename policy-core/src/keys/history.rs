//! The keys that there are, and which of them may verify.

use super::{Algorithm, KeyId, KeyPhase, KeyRecord, Revocation, RotationRules};
use crate::time::Timestamp;
use alloc::vec::Vec;
use thiserror::Error;

/// All keys of an issuer: at most one that signs, at most one that is staged, the retired ones and the names of those
/// that were revoked. Consistent as soon as it exists; the transitions make new ones (SPEC section 5).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct KeyHistory {
    /// In the order in which a token without a `kid` tries them: active, retired from the newest, staged.
    pub(super) keys: Vec<KeyRecord>,
    /// By name.
    pub(super) revoked: Vec<Revocation>,
}

/// Why keys make no history.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum KeyHistoryError {
    /// Two keys have one name.
    #[error("two keys are called `{0}`")]
    Duplicate(KeyId),
    /// Two keys sign.
    #[error("both `{0}` and `{1}` are active, and exactly one key signs")]
    TwoActive(KeyId, KeyId),
    /// Two keys wait.
    #[error("both `{0}` and `{1}` are staged, and one at a time is")]
    TwoStaged(KeyId, KeyId),
}

impl KeyHistory {
    /// Takes keys and revocations as a store holds them. A key that was revoked is left out, so that a store that was
    /// restored from a backup does not bring it back.
    ///
    /// # Errors
    ///
    /// When they contradict each other.
    pub fn new(
        keys: impl IntoIterator<Item = KeyRecord>,
        revoked: impl IntoIterator<Item = Revocation>,
    ) -> Result<Self, KeyHistoryError> {
        let mut revoked: Vec<Revocation> = revoked.into_iter().collect();
        // Of two revocations of one key the earlier one counts.
        revoked.sort_unstable_by(|a, b| a.id.cmp(&b.id).then(a.at.cmp(&b.at)));
        revoked.dedup_by(|later, earlier| later.id == earlier.id);
        let mut history = Self { keys: Vec::new(), revoked };
        for key in keys {
            if history.key(key.id.as_str()).is_some() {
                return Err(KeyHistoryError::Duplicate(key.id));
            }
            if history.revocation(key.id.as_str()).is_none() {
                history.keys.push(key);
            }
        }
        history.only_one(|phase| matches!(phase, KeyPhase::Active { .. }), KeyHistoryError::TwoActive)?;
        history.only_one(|phase| matches!(phase, KeyPhase::Staged { .. }), KeyHistoryError::TwoStaged)?;
        history.order();
        Ok(history)
    }

    /// Puts the keys into the order of trial. Those without a time stay in the order in which they came, after the others.
    pub(super) fn order(&mut self) {
        // One after the other to its place: there are a few, and a stable sort is much code.
        for key in core::mem::take(&mut self.keys) {
            let goes_before = |other: &KeyRecord| {
                let by_time = || key.phase.since().cmp(&other.phase.since());
                rank(other).cmp(&rank(&key)).then_with(by_time).is_le()
            };
            let place = self.keys.partition_point(goes_before);
            self.keys.insert(place, key);
        }
    }

    fn only_one(
        &self,
        of: impl Fn(&KeyPhase) -> bool,
        error: fn(KeyId, KeyId) -> KeyHistoryError,
    ) -> Result<(), KeyHistoryError> {
        let mut found = self.keys.iter().filter(|key| of(&key.phase));
        match (found.next(), found.next()) {
            (Some(first), Some(second)) => Err(error(first.id.clone(), second.id.clone())),
            _ => Ok(()),
        }
    }

    /// Every key, in the order in which a token without a `kid` tries them: active, retired from the newest, staged.
    #[must_use]
    pub fn keys(&self) -> &[KeyRecord] {
        &self.keys
    }

    /// The key that signs. None where a store holds none that is good enough.
    #[must_use]
    pub fn active(&self) -> Option<&KeyRecord> {
        self.keys.iter().find(|key| matches!(key.phase, KeyPhase::Active { .. }))
    }

    /// The key that will sign next.
    #[must_use]
    pub fn staged(&self) -> Option<&KeyRecord> {
        self.keys.iter().find(|key| matches!(key.phase, KeyPhase::Staged { .. }))
    }

    /// The keys that signed before, from the newest; those whose time is over are among them until a change sweeps them.
    pub fn retired(&self) -> impl Iterator<Item = &KeyRecord> {
        self.keys.iter().filter(|key| matches!(key.phase, KeyPhase::Retired { .. }))
    }

    /// The names that must never verify again, in byte order.
    #[must_use]
    pub fn revoked(&self) -> &[Revocation] {
        &self.revoked
    }

    /// The key of this name.
    #[must_use]
    pub fn key(&self, id: &str) -> Option<&KeyRecord> {
        self.keys.iter().find(|key| key.id.as_str() == id)
    }

    /// The revocation of the key of this name.
    #[must_use]
    pub fn revocation(&self, id: &str) -> Option<&Revocation> {
        let place = self.revoked.binary_search_by(|revocation| revocation.id.as_str().cmp(id)).ok()?;
        self.revoked.get(place)
    }

    /// The keys that may verify a token at `now`, in the order in which they are tried: that of its `kid`, or, for a token
    /// without one, every key of its algorithm. Whether it is of the right age for a retired key, its claims say.
    pub fn candidates<'a>(
        &'a self,
        kid: Option<&'a str>,
        algorithm: Algorithm,
        now: Timestamp,
    ) -> impl Iterator<Item = &'a KeyRecord> {
        self.keys.iter().filter(move |key| {
            kid.is_none_or(|kid| key.id.as_str() == kid) && key.algorithm == algorithm && key.verifies_at(now)
        })
    }

    /// When the next rotation is due. `None` where no key signs, or nothing says since when.
    #[must_use]
    pub fn next_due(&self, rules: &RotationRules) -> Option<Timestamp> {
        self.active()?.phase.since().map(|since| since.after(rules.rotation))
    }

    /// What a scheduler has to do at `now`. A key of unknown age is too old.
    #[must_use]
    pub fn due(&self, rules: &RotationRules, now: Timestamp) -> DueStep {
        let due = self.next_due(rules);
        let is_due = due.is_none_or(|due| due <= now);
        match self.staged().map(|staged| staged.phase) {
            Some(KeyPhase::Staged { since }) => {
                let over = self.active().is_none() || since.after(rules.staging) <= now;
                if is_due && over { DueStep::Promote } else { DueStep::Nothing }
            }
            _ if rules.fleet && self.active().is_some() => {
                // Early enough that the new key signs when it is due.
                let soon = due.is_none_or(|due| due <= now.after(rules.staging));
                if soon { DueStep::Stage } else { DueStep::Nothing }
            }
            _ if is_due => DueStep::Rotate,
            _ => DueStep::Nothing,
        }
    }
}

/// What [`KeyHistory::due`] asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DueStep {
    /// It is not time.
    Nothing,
    /// A key has to be staged, so that every node knows it when it signs.
    Stage,
    /// The staged key has to sign.
    Promote,
    /// A new key has to sign.
    Rotate,
}

/// The place of a key's state in the order of trial.
const fn rank(key: &KeyRecord) -> u8 {
    match key.phase {
        KeyPhase::Active { .. } => 0,
        KeyPhase::Retired { .. } => 1,
        // Last: nobody signs with it yet, but for a node that has promoted it before this one was told.
        KeyPhase::Staged { .. } => 2,
    }
}
