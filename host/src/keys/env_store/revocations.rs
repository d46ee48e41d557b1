//! The keys that were revoked, in a file beside the `.env` file: `NAME.revoked`.
//!
//! A `.env` file that comes back from a backup holds the revoked key and knows nothing of the revocation. So each line
//! says by which name, and by which salted tag of the secret, a key is known: a backup from before there were names has
//! no name in it. The file is for its owner alone, as the one is that holds the secrets.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use policy_core::Timestamp;
use policy_core::keys::{KeyId, Revocation};
use sha2::Sha256;

use crate::env_file::LockedEnvFile;
use crate::error::HostError;
use crate::exit::Exit;
use crate::keys::material::{KeyMaterial, MaterialError};
use crate::keys::operation::Planned;
use crate::report::files::read_text;

/// The most bytes the file may have.
const MAX_BYTES: u64 = 1 << 20;

/// What the file's name ends with.
const SUFFIX: &str = ".revoked";

/// What the file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Revocations(Vec<RevokedKey>);

/// A key that was revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RevokedKey {
    pub(super) revocation: Revocation,
    /// None where the secret was not there any more.
    pub(super) mark: Option<Mark>,
}

/// By what a secret is known that is there no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) salt: String,
    /// That of the secret under the salt.
    pub(super) tag: String,
}

impl Revocations {
    /// Reads the file that lies beside this one; there may be none.
    pub(super) fn read(env_file: &Path) -> Result<Self, HostError> {
        let path = path(env_file);
        if !path.try_exists().map_err(|error| HostError::file("read", &path, &error))? {
            return Ok(Self::default());
        }
        let text = read_text(&path, MAX_BYTES)?;
        let lines = text.lines().enumerate().map(|(number, line)| {
            parse(line).ok_or_else(|| {
                let number = number.saturating_add(1);
                HostError::new(
                    Exit::NeedsPerson,
                    format_args!("`{}`: line {number} is not what pbac writes", path.display()),
                )
                .help("put the file back as it was: without it revoked keys would verify again")
            })
        });
        Ok(Self(lines.collect::<Result<_, _>>()?))
    }

    /// Adds what a change revokes; says whether there is anything new.
    pub(super) fn extend(&mut self, planned: &Planned) -> bool {
        let before = self.0.len();
        for revocation in planned.after.history().revoked() {
            if self.0.iter().all(|line| line.revocation.id != revocation.id) {
                let mark = planned.before.material(&revocation.id).and_then(|material| mark(material).ok());
                self.0.push(RevokedKey { revocation: revocation.clone(), mark });
            }
        }
        self.0.len() > before
    }

    /// Adds what the `.env` file itself says was revoked; says whether there is anything new. Who was killed before this file
    /// was written has left it there.
    pub(super) fn adopt(&mut self, said: &[RevokedKey]) -> bool {
        let new = said.iter().filter(|key| self.mark_of(&key.revocation.id).is_none());
        let new: Vec<RevokedKey> = new.cloned().collect();
        self.0.extend(new.iter().cloned());
        !new.is_empty()
    }

    /// What of the keys with these names is known.
    pub(super) fn of(&self, revoked: &[Revocation]) -> Vec<RevokedKey> {
        let key = |revocation: &Revocation| RevokedKey {
            revocation: revocation.clone(),
            mark: self.mark_of(&revocation.id).cloned().flatten(),
        };
        revoked.iter().map(key).collect()
    }

    fn mark_of(&self, id: &KeyId) -> Option<&Option<Mark>> {
        self.0.iter().find(|line| line.revocation.id == *id).map(|line| &line.mark)
    }

    /// Writes the file whole or not at all, for whom the `.env` file belongs to: who reads the one has to read the other.
    pub(super) fn write(&self, env_file: &LockedEnvFile<'_>) -> Result<(), HostError> {
        Ok(env_file.write_beside(SUFFIX, self.text().as_bytes())?)
    }

    /// Every revocation.
    pub(super) fn list(&self) -> impl Iterator<Item = Revocation> {
        self.0.iter().map(|line| line.revocation.clone())
    }

    /// Whether a secret is that of a revoked key, whatever it is called now.
    pub(super) fn has(&self, secret: &str) -> bool {
        self.0.iter().any(|line| {
            line.mark
                .as_ref()
                .is_some_and(|mark| tag(&mark.salt, secret.as_bytes()).as_ref() == Some(&mark.tag))
        })
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for RevokedKey { revocation, mark } in &self.0 {
            let (salt, tag) = mark.as_ref().map_or(("-", "-"), |mark| (&mark.salt, &mark.tag));
            // Writing into a string cannot fail.
            let _ = writeln!(text, "{} {} {salt} {tag}", revocation.id, revocation.at.micros());
        }
        text
    }
}

fn parse(line: &str) -> Option<RevokedKey> {
    let [id, at, salt, tag] = <[&str; 4]>::try_from(line.split(' ').collect::<Vec<_>>()).ok()?;
    Some(RevokedKey {
        revocation: Revocation { id: KeyId::parse(id).ok()?, at: Timestamp::from_micros(at.parse().ok()?) },
        mark: (salt != "-").then(|| Mark { salt: salt.to_owned(), tag: tag.to_owned() }),
    })
}

/// A new salt, and the tag of a key under it.
fn mark(material: &KeyMaterial) -> Result<Mark, MaterialError> {
    let mut salt = [0; 32];
    getrandom::fill(&mut salt).map_err(|_| MaterialError::NoRandomness)?;
    let salt = URL_SAFE_NO_PAD.encode(salt);
    let tag = tag(&salt, material.text()?.as_bytes()).ok_or(MaterialError::NoText)?;
    Ok(Mark { salt, tag })
}

fn tag(salt: &str, secret: &[u8]) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(salt.as_bytes()).ok()?;
    mac.update(secret);
    Some(URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

fn path(env_file: &Path) -> PathBuf {
    let mut name = env_file.file_name().unwrap_or_default().to_owned();
    name.push(SUFFIX);
    env_file.with_file_name(name)
}
