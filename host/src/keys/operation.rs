//! What is done to keys, as one plan for every store.

use policy_core::Timestamp;
use policy_core::keys::{Algorithm, Change, DueStep, Fresh, KeyEvent, KeyId, RotationError, RotationRules};

use super::key_set::KeySet;
use super::material::KeyMaterial;
use crate::error::HostError;
use crate::exit::Exit;
use crate::report::time::show_time;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Add a key that verifies and does not sign yet.
    Stage,
    /// Let the staged key sign.
    Promote {
        /// Also where that breaks something.
        force: bool,
    },
    /// Let the staged key sign, or a new one.
    Rotate {
        /// Also where that breaks something.
        force: bool,
    },
    /// What the calendar asks for, if anything.
    RotateIfDue,
    /// Drop a key for ever.
    Revoke {
        /// The key.
        id: KeyId,
        /// Also where no key has the name.
        unknown: bool,
    },
}

/// A change that is ready to be stored.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The keys as they are, each with a name that can be stored.
    pub before: KeySet,
    /// The keys as they will be.
    pub after: KeySet,
    /// What happens in between.
    pub change: Change,
    /// Why it would have been refused, where it was forced: what it breaks.
    pub forced: Option<String>,
}

impl Operation {
    /// The word for it in the audit log and in reports.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Stage => "keys.stage",
            Self::Promote { .. } => "keys.promote",
            Self::Rotate { .. } | Self::RotateIfDue => "keys.rotate",
            Self::Revoke { .. } => "keys.revoke",
        }
    }

    /// The key that it was done to, as the audit log names it: the revoked one, or the one that was made or signs now.
    pub(super) fn subject(&self, planned: &Planned) -> String {
        if let Self::Revoke { id, .. } = self {
            return id.to_string();
        }
        let promoted = planned.change.events().iter().find_map(|event| match event {
            KeyEvent::Promoted { id } | KeyEvent::Staged { id } => Some(id.to_string()),
            _ => None,
        });
        promoted.unwrap_or_default()
    }

    /// What it would make of these keys at `now`; nothing where there is nothing to do.
    ///
    /// # Errors
    ///
    /// When it is refused, with what a person can do about it.
    pub fn plan(
        &self,
        keys: &KeySet,
        rules: &RotationRules,
        algorithm: Algorithm,
        now: Timestamp,
    ) -> Result<Option<Planned>, HostError> {
        let before = keys.named()?;
        let history = before.history();
        let fresh = Fresh { id: KeyMaterial::new_id()?, algorithm };
        let weak = keys.refused().iter().find(|refused| refused.signs);
        let forced = matches!(self, Self::Promote { force: true } | Self::Rotate { force: true });
        let change = match self {
            // A new key leaves the weak one where it is.
            Self::Stage => history.stage(&fresh, now),
            Self::Promote { .. } | Self::Rotate { .. } | Self::RotateIfDue if weak.is_some() && !forced => {
                return Err(weak_refusal(weak));
            }
            Self::Promote { force } => history.promote(rules, now, *force),
            Self::Rotate { force } => history.rotate(&fresh, rules, now, *force),
            Self::RotateIfDue => match history.due(rules, now) {
                DueStep::Nothing => return Ok(None),
                DueStep::Stage => history.stage(&fresh, now),
                DueStep::Promote => history.promote(rules, now, false),
                DueStep::Rotate => history.rotate(&fresh, rules, now, false),
            },
            Self::Revoke { id, unknown } => history.revoke(&keys.name_in(&before, id), &fresh, now, *unknown),
        };
        let change = change.map_err(|error| refusal(&error, rules))?;
        let made = match change.history().key(fresh.id.as_str()) {
            Some(_) => Some((fresh.id, KeyMaterial::generate(algorithm)?)),
            None => None,
        };
        let after = before.after(&change, made)?;
        Ok(Some(Planned { before, after, change, forced: self.forced(keys, rules, algorithm, now) }))
    }
}

impl Operation {
    /// Why the same is refused where it is not forced.
    fn forced(
        &self,
        keys: &KeySet,
        rules: &RotationRules,
        algorithm: Algorithm,
        now: Timestamp,
    ) -> Option<String> {
        let unforced = match self {
            Self::Promote { force: true } => Self::Promote { force: false },
            Self::Rotate { force: true } => Self::Rotate { force: false },
            _ => return None,
        };
        unforced.plan(keys, rules, algorithm, now).err().map(|error| error.to_string())
    }
}

fn weak_refusal(weak: Option<&super::RefusedKey>) -> HostError {
    let (place, why) = weak
        .map_or_else(|| (String::new(), String::new()), |weak| (weak.place.clone(), weak.why.to_string()));
    HostError::refused(format_args!(
        "{place} {why}: it is no key, and the tokens that it signed would be refused"
    ))
    .help("give --force to put a new key in its place; everybody has to log in again then")
}

/// What to do about a refusal.
fn refusal(error: &RotationError, rules: &RotationRules) -> HostError {
    let until =
        |end: &Option<Timestamp>| end.map_or_else(|| "a time that is not known".to_owned(), show_time);
    match error {
        RotationError::AlreadyStaged { .. } => HostError::refused(error)
            .help("promote it with `pbac keys promote`, or drop it with `pbac keys revoke`"),
        RotationError::NothingStaged => {
            HostError::refused(error).help("stage one with `pbac keys stage`, and promote it when every node has it")
        }
        RotationError::StagingNotOver { over_at, .. } => HostError::refused(format_args!(
            "{error}: a node that has not loaded it yet refuses what it signs"
        ))
        .help(format_args!(
            "wait until {} ({} s after it was staged); --force promotes it now, and those nodes turn its tokens away",
            show_time(*over_at),
            rules.staging.as_secs()
        )),
        RotationError::MustStage => HostError::refused(format_args!(
            "{error}: a node that was never told of a key refuses what it signs"
        ))
        .help("run `pbac keys stage` and, when every node has it, `pbac keys promote`; --force rotates at once"),
        RotationError::WouldPushOut { not_after, .. } => HostError::refused(format_args!(
            "{error} (until {}, {} at most)",
            until(not_after),
            rules.history
        ))
        .help("wait until then, or raise `history`; --force drops the key, and every token that it signed is refused"),
        RotationError::ClockWentBack { since, .. } => {
            HostError::refused(format_args!("{error} ({})", show_time(*since)))
                .help("set the clock right, then try again")
        }
        RotationError::UnknownKey { .. } => HostError::usage(error).help(
            "`pbac keys list` shows the names; --unknown revokes a key that is gone, so that no backup brings it back",
        ),
        RotationError::AlreadyRevoked { .. } => HostError::usage(error).help("there is nothing to do"),
        _ => HostError::new(Exit::Failed, error).help("try again"),
    }
}
