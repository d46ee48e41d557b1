//! What happens to a key that somebody else may hold.

use super::{Change, Fresh, KeyEvent, KeyHistory, KeyId, KeyPhase, Revocation, RotationError};
use crate::time::Timestamp;

impl KeyHistory {
    /// Drops a key at once and for ever. Where it was the one that signs, the staged key takes its place, or else the new
    /// one; nobody waits for a staging period while a thief signs.
    ///
    /// A name that is no key's can be revoked too, with `unknown`: of a key that is gone, which a backup may still hold.
    ///
    /// # Errors
    ///
    /// When it is revoked already, the new name is taken, or, unless `unknown`, no key has the name.
    pub fn revoke(
        &self,
        id: &KeyId,
        fresh: &Fresh,
        now: Timestamp,
        unknown: bool,
    ) -> Result<Change, RotationError> {
        if self.revocation(id.as_str()).is_some() {
            return Err(RotationError::AlreadyRevoked { id: id.clone() });
        }
        if !unknown && self.key(id.as_str()).is_none() {
            return Err(RotationError::UnknownKey { id: id.clone() });
        }
        let Change { mut history, mut events } = self.sweep(now);
        history.keys.retain(|key| key.id != *id);
        let place = history.revoked.partition_point(|revocation| revocation.id < *id);
        history.revoked.insert(place, Revocation { id: id.clone(), at: now });
        events.retain(|event| *event != KeyEvent::Gone { id: id.clone() });
        events.push(KeyEvent::Revoked { id: id.clone() });
        let signed = self.active().is_some_and(|active| active.id == *id);
        if signed {
            if history.staged().is_none() {
                self.check_name(fresh)?;
                history.insert(fresh, KeyPhase::Staged { since: now });
            }
            for key in &mut history.keys {
                if let KeyPhase::Staged { .. } = key.phase {
                    key.phase = KeyPhase::Active { since: Some(now) };
                    events.push(KeyEvent::Promoted { id: key.id.clone() });
                }
            }
            history.order();
        }
        Ok(Change { history, events })
    }
}
