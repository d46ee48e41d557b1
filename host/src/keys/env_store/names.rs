//! What the variables are called.

use std::collections::BTreeSet;

use serde::Deserialize;

/// The names of the variables that hold the keys. The defaults are those of the source document.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EnvNames {
    /// The key that signs.
    pub secret: String,
    /// The retired keys and the staged one, with commas in between.
    pub history: String,
    /// When the key that signs began to.
    pub last_rotated: String,
    /// For how many days a key signs.
    pub rotation_days: String,
    /// The names, states and times of the keys; ours alone.
    pub metadata: String,
}

impl Default for EnvNames {
    fn default() -> Self {
        Self {
            secret: "SECRET_KEY".to_owned(),
            history: "SECRET_KEYS_HISTORY".to_owned(),
            last_rotated: "KEY_LAST_ROTATED".to_owned(),
            rotation_days: "KEY_ROTATION_DAYS".to_owned(),
            metadata: "PBAC_KEYS".to_owned(),
        }
    }
}

impl EnvNames {
    /// The variables that hold secrets, and the one that tells of them.
    #[must_use]
    pub fn secrets(&self) -> [&str; 3] {
        [&self.secret, &self.history, &self.metadata]
    }

    /// Whether each is a name, and none is there twice.
    pub(in crate::keys) fn check(&self) -> Result<(), String> {
        let names = [&self.secret, &self.history, &self.last_rotated, &self.rotation_days, &self.metadata];
        let is_name = |name: &str| {
            name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
                && name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit())
        };
        if let Some(name) = names.iter().find(|name| !is_name(name)) {
            return Err(format!(
                "names` has `{}`, which is no name of a variable",
                crate::report::printable(name)
            ));
        }
        if names.iter().collect::<BTreeSet<_>>().len() < names.len() {
            return Err("names` has one name twice".to_owned());
        }
        Ok(())
    }
}
