//! Keys as the text of a `.env` file.

use policy_core::Timestamp;
use policy_core::keys::{KeyEvent, KeyPhase};
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use super::metadata::{Metadata, tag};
use super::revocations::Revocations;
use super::{EnvStore, tidies};
use crate::env_file::EnvText;
use crate::error::HostError;
use crate::keys::material::KeyMaterial;
use crate::keys::operation::{Operation, Planned};

impl EnvStore {
    /// The text with the keys after a change: only the bytes of the variables' values differ.
    pub(super) fn encode(
        &self,
        text: &EnvText,
        planned: &Planned,
        revocations: &Revocations,
        operation: &Operation,
    ) -> Result<EnvText, HostError> {
        let names = &self.names;
        let after = &planned.after;
        let nameless = after.history().active().filter(|key| after.is_nameless(&key.id));
        let mut metadata = Metadata {
            keys: Vec::new(),
            revoked: revocations.of(after.history().revoked()),
            nameless: nameless.map(|key| key.id.clone()),
        };
        let mut active: Option<Zeroizing<String>> = None;
        let mut history: Vec<Zeroizing<String>> = Vec::new();
        for key in after.history().keys() {
            let secret = after.material(&key.id).map(KeyMaterial::text).transpose()?;
            let Some(secret) = secret else { continue };
            metadata.keys.push((tag(&secret), key.clone()));
            match key.phase {
                KeyPhase::Active { .. } => active = Some(secret),
                _ if secret.contains(',') => return Err(self.comma(&key.id)),
                _ => history.push(secret),
            }
        }
        // What is no key goes when the keys change places, and stays where it is when one is only added.
        if !tidies(operation, planned) {
            history.extend(self.weak(text)?);
        }
        let list = Zeroizing::new(history.iter().map(|secret| secret.as_str()).collect::<Vec<_>>().join(","));
        let metadata = metadata.value();
        let promoted = planned.change.events().iter().any(|event| matches!(event, KeyEvent::Promoted { .. }));
        let since = after.history().active().and_then(|key| key.phase.since()).filter(|_| promoted);
        let last_rotated = match since {
            Some(since) => Some(show_moment(since, self.has_zone(text)?)),
            None => None,
        };
        let mut values = Vec::new();
        if let Some(active) = &active {
            values.push((names.secret.as_str(), active.as_str()));
        }
        values.push((names.history.as_str(), list.as_str()));
        if let Some(last_rotated) = &last_rotated {
            values.push((names.last_rotated.as_str(), last_rotated.as_str()));
        }
        values.push((names.metadata.as_str(), metadata.as_str()));
        text.with_values(&values, Some(&names.secret)).map_err(|error| error.in_file(&self.path).into())
    }

    /// The secrets of the list that are no keys.
    fn weak(&self, text: &EnvText) -> Result<Vec<Zeroizing<String>>, HostError> {
        let Some(history) = self.value(text, &self.names.history)? else { return Ok(Vec::new()) };
        let secrets = history.expose_secret().split(',').map(str::trim).filter(|secret| !secret.is_empty());
        let weak = secrets.filter(|secret| policy_core::keys::HmacSecret::new(secret.as_bytes()).is_err());
        Ok(weak.map(|secret| Zeroizing::new(secret.to_owned())).collect())
    }

    /// Whether the time of the last rotation is written with a zone; the source document's is not.
    pub(super) fn has_zone(&self, text: &EnvText) -> Result<bool, HostError> {
        let value = self.value(text, &self.names.last_rotated)?;
        Ok(value.is_some_and(|value| value.expose_secret().trim().parse::<jiff::Timestamp>().is_ok()))
    }

    fn comma(&self, id: &policy_core::keys::KeyId) -> HostError {
        HostError::refused(format_args!(
            "`{}`: the secret of key `{id}` has a comma in it, and `{}` is a list with commas in between",
            self.path.display(),
            self.names.history
        ))
        .help("revoke it (everybody logs in again), or keep the keys in PostgreSQL")
    }
}

/// A time to the second, in UTC: in the source document's form, or with a zone that all its readers understand.
fn show_moment(time: Timestamp, zone: bool) -> String {
    let form = if zone { "%Y-%m-%dT%H:%M:%S+00:00" } else { "%Y-%m-%dT%H:%M:%S" };
    jiff::Timestamp::from_microsecond(time.micros())
        .map_or_else(|_| time.micros().to_string(), |time| time.strftime(form).to_string())
}
