//! The keys that were revoked, in a file beside the `.env` file: `NAME.revoked`.
//!
//! A `.env` file that comes back from a backup holds the revoked key and knows nothing of the revocation. So each line
//! says by which name, and by which salted tag of the secret, a key is known: a backup from before there were names has
//! no name in it. The file is for its owner alone, as the one is that holds the secrets.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use policy_core::Timestamp;
use policy_core::keys::{KeyId, Revocation};
use sha2::Sha256;

use crate::error::HostError;
use crate::exit::Exit;
use crate::keys::material::{KeyMaterial, MaterialError};
use crate::keys::operation::Planned;
use crate::report::files::read_text;

/// The most bytes the file may have.
const MAX_BYTES: u64 = 1 << 20;

/// What the file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Revocations(Vec<Line>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    revocation: Revocation,
    /// A salt, and the tag of the secret under it; none where the secret was not there any more.
    mark: Option<(String, String)>,
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
                self.0.push(Line { revocation: revocation.clone(), mark });
            }
        }
        self.0.len() > before
    }

    /// Writes the file whole or not at all.
    pub(super) fn write(&self, env_file: &Path) -> Result<(), HostError> {
        let path = path(env_file);
        let fail = |error: std::io::Error| HostError::file("write", &path, &error);
        let directory =
            env_file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // A new one is for its owner alone.
        let mut file = tempfile::NamedTempFile::new_in(directory).map_err(fail)?;
        file.write_all(self.text().as_bytes()).map_err(fail)?;
        file.as_file().sync_all().map_err(fail)?;
        file.persist(&path).map_err(|error| fail(error.error))?;
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(fail)
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
                .is_some_and(|(salt, known)| tag(salt, secret.as_bytes()).as_ref() == Some(known))
        })
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for Line { revocation, mark } in &self.0 {
            let (salt, tag) = mark.as_ref().map_or(("-", "-"), |(salt, tag)| (salt, tag));
            // Writing into a string cannot fail.
            let _ = writeln!(text, "{} {} {salt} {tag}", revocation.id, revocation.at.micros());
        }
        text
    }
}

fn parse(line: &str) -> Option<Line> {
    let [id, at, salt, tag] = <[&str; 4]>::try_from(line.split(' ').collect::<Vec<_>>()).ok()?;
    Some(Line {
        revocation: Revocation { id: KeyId::parse(id).ok()?, at: Timestamp::from_micros(at.parse().ok()?) },
        mark: (salt != "-").then(|| (salt.to_owned(), tag.to_owned())),
    })
}

/// A new salt, and the tag of a key under it.
fn mark(material: &KeyMaterial) -> Result<(String, String), MaterialError> {
    let mut salt = [0; 32];
    getrandom::fill(&mut salt).map_err(|_| MaterialError::NoRandomness)?;
    let salt = URL_SAFE_NO_PAD.encode(salt);
    let tag = tag(&salt, material.text()?.as_bytes()).ok_or(MaterialError::NoText)?;
    Ok((salt, tag))
}

fn tag(salt: &str, secret: &[u8]) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(salt.as_bytes()).ok()?;
    mac.update(secret);
    Some(URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

fn path(env_file: &Path) -> PathBuf {
    let mut name = env_file.file_name().unwrap_or_default().to_owned();
    name.push(".revoked");
    env_file.with_file_name(name)
}
