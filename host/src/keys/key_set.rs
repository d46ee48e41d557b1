//! The keys of a store: their history, and what each is made of.

use std::collections::{BTreeMap, BTreeSet};

use policy_core::Timestamp;
use policy_core::keys::{Change, KeyHistory, KeyHistoryError, KeyId, KeyRecord, Revocation, WeakSecret};
use policy_core::token::{KeyRing, RingError, TokenRules};

use super::material::{KeyMaterial, MaterialError};
use crate::error::HostError;
use crate::exit::Exit;

/// Everything that a store holds, at one moment. Each key of the history has its material.
#[derive(Clone, Debug)]
pub struct KeySet {
    history: KeyHistory,
    material: BTreeMap<KeyId, KeyMaterial>,
    /// Keys whose names are not stored, since the store was not written by pbac: the names are made up for this reading.
    unnamed: BTreeSet<KeyId>,
    /// The key that signs, where it began to before it had a name: a verifier may know it without one.
    nameless: Option<KeyId>,
    refused: Vec<RefusedKey>,
    notes: Vec<String>,
    rotation_days: Option<u32>,
    last_rotated: Option<Timestamp>,
}

/// A secret that a store holds and that is none of its keys, since anybody could guess it (SPEC section 5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedKey {
    /// Where it stands, in words.
    pub place: String,
    /// Whether it stands where the key does that signs.
    pub signs: bool,
    /// What is wrong with it.
    pub why: WeakSecret,
}

/// Why what a store holds makes no keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeySetError {
    /// The keys contradict each other.
    #[error("the stored keys contradict each other: {0}")]
    History(#[from] KeyHistoryError),
    /// A key of the history has nothing to sign or verify with.
    #[error("key `{0}` is known by name only")]
    NoMaterial(KeyId),
    /// A key cannot be used.
    #[error(transparent)]
    Ring(#[from] RingError),
    /// A key is none.
    #[error(transparent)]
    Material(#[from] MaterialError),
}

impl From<KeySetError> for HostError {
    fn from(error: KeySetError) -> Self {
        Self::new(Exit::NeedsPerson, error).help("look into the store: somebody else has changed it")
    }
}

impl KeySet {
    /// Keys with what they are made of. Those that were revoked are left out of the history already.
    ///
    /// # Errors
    ///
    /// When a key of the history has no material.
    pub fn new(history: KeyHistory, material: BTreeMap<KeyId, KeyMaterial>) -> Result<Self, KeySetError> {
        let material: BTreeMap<KeyId, KeyMaterial> =
            material.into_iter().filter(|(id, _)| history.key(id.as_str()).is_some()).collect();
        if let Some(key) = history.keys().iter().find(|key| !material.contains_key(&key.id)) {
            return Err(KeySetError::NoMaterial(key.id.clone()));
        }
        Ok(Self {
            history,
            material,
            unnamed: BTreeSet::new(),
            nameless: None,
            refused: Vec::new(),
            notes: Vec::new(),
            rotation_days: None,
            last_rotated: None,
        })
    }

    /// The same, where these names are not stored.
    #[must_use]
    pub fn with_unnamed(mut self, unnamed: BTreeSet<KeyId>) -> Self {
        self.unnamed = unnamed;
        self
    }

    /// The same, where the tokens of this key do not name it.
    #[must_use]
    pub fn with_nameless(mut self, nameless: Option<KeyId>) -> Self {
        self.nameless = nameless;
        self
    }

    /// The same, with secrets that are none of the keys.
    #[must_use]
    pub fn with_refused(mut self, refused: Vec<RefusedKey>) -> Self {
        self.refused = refused;
        self
    }

    /// The same, with what is odd about the store.
    #[must_use]
    pub fn with_notes(mut self, notes: Vec<String>) -> Self {
        self.notes = notes;
        self
    }

    /// The same, with what the store itself says about rotations.
    #[must_use]
    pub const fn with_rotation(mut self, days: Option<u32>, last: Option<Timestamp>) -> Self {
        self.rotation_days = days;
        self.last_rotated = last;
        self
    }

    /// The names and times.
    #[must_use]
    pub const fn history(&self) -> &KeyHistory {
        &self.history
    }

    /// What a key is made of.
    #[must_use]
    pub fn material(&self, id: &KeyId) -> Option<&KeyMaterial> {
        self.material.get(id)
    }

    /// The secrets that are none of the keys.
    #[must_use]
    pub fn refused(&self) -> &[RefusedKey] {
        &self.refused
    }

    /// What is odd about the store without being wrong, for a person to read.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// How many days the store itself says a key signs.
    #[must_use]
    pub const fn rotation_days(&self) -> Option<u32> {
        self.rotation_days
    }

    /// When the store says it was rotated last.
    #[must_use]
    pub const fn last_rotated(&self) -> Option<Timestamp> {
        self.last_rotated
    }

    /// Whether the name of a key is made up, since none is stored.
    #[must_use]
    pub fn is_unnamed(&self, id: &KeyId) -> bool {
        self.unnamed.contains(id)
    }

    /// Whether the tokens of a key do not name it: it has no name that is stored, or it began to sign before it had one, and a
    /// verifier that has not looked since would turn the name away.
    #[must_use]
    pub fn is_nameless(&self, id: &KeyId) -> bool {
        self.is_unnamed(id) || self.nameless.as_ref() == Some(id)
    }

    /// The key that signs.
    #[must_use]
    pub fn signing(&self) -> Option<(&KeyRecord, &KeyMaterial)> {
        let active = self.history.active()?;
        self.material.get(&active.id).map(|material| (active, material))
    }

    /// The keys made ready to verify with.
    ///
    /// # Errors
    ///
    /// When one of them cannot be used.
    pub fn ring(&self, rules: TokenRules) -> Result<KeyRing, KeySetError> {
        let keys = self.material.iter().map(|(id, material)| Ok((id.clone(), material.verifying_key()?)));
        let keys = keys.collect::<Result<Vec<_>, MaterialError>>()?;
        Ok(KeyRing::new(&self.history, keys, rules)?)
    }

    /// The same keys, each with a name that can be stored.
    ///
    /// # Errors
    ///
    /// When the system has no randomness to give.
    pub fn named(&self) -> Result<Self, KeySetError> {
        let mut names = BTreeMap::new();
        for id in &self.unnamed {
            names.insert(id.clone(), KeyMaterial::new_id()?);
        }
        let name = |id: &KeyId| names.get(id).unwrap_or(id).clone();
        let keys = self.history.keys().iter().map(|key| KeyRecord { id: name(&key.id), ..key.clone() });
        let history = KeyHistory::new(keys, self.history.revoked().iter().cloned())?;
        let material = self.material.iter().map(|(id, material)| (name(id), material.clone())).collect();
        let nameless = self.history.active().filter(|key| self.is_nameless(&key.id));
        let nameless = nameless.map(|key| name(&key.id));
        Ok(Self { history, material, unnamed: BTreeSet::new(), nameless, ..self.clone() })
    }

    /// The name under which [`KeySet::named`] has the key that this reading calls `id`.
    #[must_use]
    pub fn name_in(&self, named: &Self, id: &KeyId) -> KeyId {
        let same = |material: &KeyMaterial| {
            let found = named.material.iter().find(|(_, other)| other.bytes() == material.bytes());
            found.map(|(id, _)| id.clone())
        };
        self.material.get(id).and_then(same).unwrap_or_else(|| id.clone())
    }

    /// The same without the keys that were revoked elsewhere.
    ///
    /// # Errors
    ///
    /// As [`KeySet::new`].
    pub fn without(self, revoked: &[Revocation]) -> Result<Self, KeySetError> {
        if revoked.iter().all(|revocation| self.history.revocation(revocation.id.as_str()).is_some()) {
            return Ok(self);
        }
        let all = self.history.revoked().iter().chain(revoked).cloned();
        let history = KeyHistory::new(self.history.keys().iter().cloned(), all)?;
        let material = self.material.iter().filter(|(id, _)| history.key(id.as_str()).is_some());
        let material = material.map(|(id, material)| (id.clone(), material.clone())).collect();
        Ok(Self { history, material, ..self })
    }

    /// Whether each key is made of the same as in `other`.
    #[must_use]
    pub fn same_material(&self, other: &Self) -> bool {
        self.material.len() == other.material.len()
            && self.material.iter().all(|(id, material)| {
                other.material.get(id).is_some_and(|other| other.bytes() == material.bytes())
            })
    }

    /// The keys after a change, with the one that was made for it.
    ///
    /// # Errors
    ///
    /// When the change has a key that neither has.
    pub fn after(&self, change: &Change, fresh: Option<(KeyId, KeyMaterial)>) -> Result<Self, KeySetError> {
        let mut material = self.material.clone();
        material.extend(fresh);
        let next = Self::new(change.history().clone(), material)?;
        let Self { rotation_days, last_rotated, .. } = *self;
        Ok(Self { rotation_days, last_rotated, nameless: self.nameless.clone(), ..next })
    }
}
