//! The text of a `.env` file as keys.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use policy_core::Timestamp;
use policy_core::keys::{Algorithm, KeyHistory, KeyId, KeyPhase, KeyRecord, RotationRules};
use secrecy::{ExposeSecret, SecretString};

use super::EnvStore;
use super::metadata::{Metadata, tag};
use super::revocations::Revocations;
use crate::env_file::EnvText;
use crate::error::HostError;
use crate::exit::Exit;
use crate::keys::key_set::{KeySet, KeySetError, RefusedKey};
use crate::keys::material::{KeyMaterial, MaterialError};
use crate::keys::settings::KeySettings;

/// What the names of keys begin with that no file holds. Tokens never carry them.
const UNNAMED: &str = "unnamed";

/// How far behind UTC a clock may be that writes a time without a zone.
const FARTHEST_WEST: Duration = Duration::from_secs(12 * 3600);

/// The day of the source document's cycle on which the key that signs began to, and the rules of the cycle.
#[derive(Clone, Copy)]
struct Cycle {
    last_rotated: Option<Timestamp>,
    /// When the keys before it had surely ceased to sign.
    retired_by: Option<Timestamp>,
    rules: RotationRules,
}

/// The keys that were read so far.
#[derive(Default)]
struct Reading {
    keys: Vec<KeyRecord>,
    material: BTreeMap<KeyId, KeyMaterial>,
    unnamed: BTreeSet<KeyId>,
    refused: Vec<RefusedKey>,
    notes: Vec<String>,
    /// How many retired keys there are of which nothing is known but their place.
    undated: u32,
}

impl EnvStore {
    /// The keys that the text holds, but for those that were revoked.
    pub(super) fn decode(
        &self,
        text: &EnvText,
        revocations: &Revocations,
        settings: &KeySettings,
    ) -> Result<KeySet, HostError> {
        let names = &self.names;
        let mut reading = Reading::default();
        let metadata = self.metadata(text)?;
        let days = self.rotation_days(text)?;
        let last_rotated = self.value(text, &names.last_rotated)?.and_then(|value| {
            let time = parse_moment(value.expose_secret());
            if time.is_none() && !value.expose_secret().is_empty() {
                reading.notes.push(format!("`{}` is no time, and counts as not set", names.last_rotated));
            }
            time
        });
        let skew = if self.has_zone(text)? { Duration::ZERO } else { FARTHEST_WEST };
        let retired_by = last_rotated.map(|last| last.after(skew));
        let cycle = Cycle { last_rotated, retired_by, rules: settings.rotation_rules(days) };

        // An empty one is a template's.
        if let Some(secret) =
            self.value(text, &names.secret)?.filter(|secret| !secret.expose_secret().is_empty())
        {
            let place = format!("`{}`", names.secret);
            let tag = tag(secret.expose_secret());
            let phase = match metadata.key(&tag) {
                Some(KeyRecord { phase: phase @ KeyPhase::Active { .. }, .. }) => *phase,
                // Whatever it was: old readers sign with what stands here.
                _ => KeyPhase::Active { since: last_rotated },
            };
            if !revocations.has(secret.expose_secret()) {
                reading.take(&secret, place, phase, metadata.key(&tag), "active")?;
            }
        }
        let history = self.value(text, &names.history)?;
        for (number, secret) in history.iter().flat_map(split).enumerate() {
            let number = number.saturating_add(1);
            if secret.expose_secret().is_empty() {
                // Never a key, with which anybody could sign.
                reading.notes.push(format!("`{}` has an empty place, the {number}. one", names.history));
                continue;
            }
            let tag = tag(secret.expose_secret());
            let known = metadata.key(&tag);
            if revocations.has(secret.expose_secret()) {
                continue;
            }
            let phase = match known {
                Some(KeyRecord {
                    phase: phase @ (KeyPhase::Staged { .. } | KeyPhase::Retired { .. }),
                    ..
                }) => *phase,
                // A hand has put it there after it signed: it surely did until some time after this.
                Some(KeyRecord { phase: KeyPhase::Active { since }, .. }) if *since >= last_rotated => {
                    KeyPhase::Retired { since: None, not_after: None }
                }
                // Beside keys that are known: one that a hand put there, to be rotated to by hand.
                None if !metadata.keys.is_empty() => {
                    KeyPhase::Retired { since: None, not_after: reading.undated(cycle) }
                }
                _ => KeyPhase::Retired { since: cycle.retired_by, not_after: reading.undated(cycle) },
            };
            let place = format!("the {number}. secret of `{}`", names.history);
            reading.take(&secret, place, phase, known, &number.to_string())?;
        }
        let revoked = metadata.revoked.into_iter().map(|key| key.revocation).chain(revocations.list());
        let history = KeyHistory::new(reading.keys, revoked).map_err(KeySetError::from)?;
        let keys = KeySet::new(history, reading.material)?
            .with_unnamed(reading.unnamed)
            .with_nameless(metadata.nameless)
            .with_refused(reading.refused)
            .with_notes(reading.notes)
            .with_rotation(days, last_rotated);
        Ok(keys)
    }

    pub(super) fn metadata(&self, text: &EnvText) -> Result<Metadata, HostError> {
        let Some(value) = self.set_value(text, &self.names.metadata)? else { return Ok(Metadata::default()) };
        Metadata::parse(value.expose_secret()).ok_or_else(|| {
            HostError::new(
                Exit::NeedsPerson,
                format_args!("`{}`: `{}` is not what pbac writes", self.path.display(), self.names.metadata),
            )
            .help("use the pbac that wrote it, or a newer one; or take the variable away: every key gets a new name, and tokens that name one of the old ones are refused")
        })
    }

    /// The value of a variable. An empty one is a template's, and counts as not set.
    fn set_value(&self, text: &EnvText, name: &str) -> Result<Option<SecretString>, HostError> {
        Ok(self.value(text, name)?.filter(|value| !value.expose_secret().trim().is_empty()))
    }

    fn rotation_days(&self, text: &EnvText) -> Result<Option<u32>, HostError> {
        let Some(value) = self.set_value(text, &self.names.rotation_days)? else { return Ok(None) };
        match value.expose_secret().trim().parse::<u32>() {
            Ok(days @ 1..=36_500) => Ok(Some(days)),
            _ => Err(HostError::usage(format_args!(
                "`{}`: `{}` is no number of days",
                self.path.display(),
                self.names.rotation_days
            ))
            .help("write a whole number such as 90")),
        }
    }
}

impl Reading {
    /// Takes one secret as a key, or says why it is none.
    fn take(
        &mut self,
        secret: &SecretString,
        place: String,
        phase: KeyPhase,
        known: Option<&KeyRecord>,
        word: &str,
    ) -> Result<(), HostError> {
        let algorithm = known.map_or(Algorithm::Hs256, |known| known.algorithm);
        let material = match KeyMaterial::from_text(algorithm, secret.expose_secret()) {
            Ok(material) => material,
            Err(MaterialError::Weak(why)) => {
                let signs = matches!(phase, KeyPhase::Active { .. });
                self.refused.push(RefusedKey { place, signs, why });
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let twice = self.material.values().any(|other| other.bytes() == material.bytes());
        if twice {
            // A hand has put it there once more; the first place counts.
            self.notes.push(format!("{place} is a key that is there already"));
            return Ok(());
        }
        let id = match known {
            Some(known) => known.id.clone(),
            None => {
                let id = KeyId::parse(&format!("{UNNAMED}-{word}")).map_err(HostError::failed)?;
                self.unnamed.insert(id.clone());
                id
            }
        };
        self.keys.push(KeyRecord { id: id.clone(), algorithm, phase });
        self.material.insert(id, material);
        Ok(())
    }

    /// Until when a retired key verifies of which only the place is known: the source document rotates regularly and puts the
    /// newest first.
    fn undated(&mut self, Cycle { last_rotated, rules, .. }: Cycle) -> Option<Timestamp> {
        let rotations_ago = self.undated;
        self.undated = self.undated.saturating_add(1);
        last_rotated.map(|last| {
            let since_then = rules.rotation.saturating_mul(rotations_ago);
            last.after(rules.grace.saturating_sub(since_then))
        })
    }
}

/// The secrets of a list, as the source document's application reads it: without blanks around them.
fn split(history: &SecretString) -> impl Iterator<Item = SecretString> {
    let text = history.expose_secret();
    let parts: Vec<SecretString> = if text.trim().is_empty() {
        Vec::new()
    } else {
        text.split(',').map(|part| SecretString::from(part.trim())).collect()
    };
    parts.into_iter()
}

/// A time as the source document's script writes it, which has no zone and is taken for UTC, or with one.
fn parse_moment(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let micros = text.parse::<jiff::Timestamp>().map(jiff::Timestamp::as_microsecond).or_else(|_| {
        let civil = text.parse::<jiff::civil::DateTime>()?;
        jiff::tz::Offset::UTC.to_timestamp(civil).map(jiff::Timestamp::as_microsecond)
    });
    micros.ok().map(Timestamp::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_times_with_and_without_a_zone() {
        let micros = |text| parse_moment(text).map(Timestamp::micros);
        assert_eq!(micros("1970-01-01T00:00:01"), Some(1_000_000));
        assert_eq!(micros("1970-01-01 00:00:01.5"), Some(1_500_000));
        assert_eq!(micros("1970-01-01T01:00:01+01:00"), Some(1_000_000));
        assert_eq!(micros("1970-01-02"), Some(86_400_000_000));
        assert_eq!(micros("yesterday"), None);
    }

    #[test]
    fn a_list_has_no_blanks_around_its_secrets() {
        let parts = |text: &str| -> Vec<String> {
            split(&SecretString::from(text)).map(|part| part.expose_secret().to_owned()).collect()
        };
        assert_eq!(parts(" a , b,,c,"), ["a", "b", "", "c", ""]);
        assert!(parts("  ").is_empty());
    }
}
