//! What the two variables of the source document cannot hold: names, algorithms, states and times.
//!
//! The value is `v1` and one entry a key: `tag:kid:algorithm:state:since:not_after`, with commas in between. Times are
//! microseconds since 1970, or nothing where they are not known. A key that began to sign before it had a name is
//! `active-nameless`. Of a revoked key there is `mark:kid::revoked:at:`, where the mark is a salt, a dot and a tag, or nothing.
//! Every character is one that all loaders of `.env` files read alike.
//!
//! The tag tells which secret of the file an entry is about. It is computed from the secret, and stands in the same file
//! and nowhere else, so that it helps nobody who has not the secret already.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use policy_core::Timestamp;
use policy_core::keys::{Algorithm, KeyId, KeyPhase, KeyRecord, Revocation};
use sha2::Sha256;

use super::revocations::{Mark, RevokedKey};

/// What the entries begin with.
const VERSION: &str = "v1";
/// How many bytes a tag has.
const TAG_BYTES: usize = 16;
/// The state of a key that signs and whose tokens do not name it.
const NAMELESS: &str = "active-nameless";

/// What a file says of its keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Metadata {
    /// Each with the tag of the secret that it is about.
    pub(super) keys: Vec<(String, KeyRecord)>,
    pub(super) revoked: Vec<RevokedKey>,
    /// The key that signs, where its tokens do not name it.
    pub(super) nameless: Option<KeyId>,
}

impl Metadata {
    /// Reads a value. None where it is of no form that we write.
    pub(super) fn parse(value: &str) -> Option<Self> {
        let mut entries = value.split(',');
        if entries.next() != Some(VERSION) {
            return None;
        }
        let mut metadata = Self::default();
        for entry in entries {
            let fields: Vec<&str> = entry.split(':').collect();
            let [tag, id, algorithm, state, since, not_after] = <[&str; 6]>::try_from(fields).ok()?;
            let id = KeyId::parse(id).ok()?;
            let (since, not_after) = (time(since)?, time(not_after)?);
            let phase = match state {
                "staged" => KeyPhase::Staged { since: since? },
                "active" => KeyPhase::Active { since },
                NAMELESS => {
                    metadata.nameless = Some(id.clone());
                    KeyPhase::Active { since }
                }
                "retired" => KeyPhase::Retired { since, not_after },
                "revoked" => {
                    let mark = tag.split_once('.');
                    let mark = mark.map(|(salt, tag)| Mark { salt: salt.to_owned(), tag: tag.to_owned() });
                    metadata.revoked.push(RevokedKey { revocation: Revocation { id, at: since? }, mark });
                    continue;
                }
                _ => return None,
            };
            let algorithm = Algorithm::from_name(algorithm)?;
            metadata.keys.push((tag.to_owned(), KeyRecord { id, algorithm, phase }));
        }
        Some(metadata)
    }

    /// The value that [`Metadata::parse`] reads.
    pub(super) fn value(&self) -> String {
        let mut value = VERSION.to_owned();
        for (tag, key) in &self.keys {
            let (id, algorithm) = (&key.id, key.algorithm);
            let nameless = self.nameless.as_ref() == Some(id) && matches!(key.phase, KeyPhase::Active { .. });
            let state = if nameless { NAMELESS } else { key.phase.name() };
            let (since, not_after) = (micros(key.phase.since()), micros(key.not_after()));
            // Writing into a string cannot fail.
            let _ = write!(value, ",{tag}:{id}:{algorithm}:{state}:{since}:{not_after}");
        }
        for RevokedKey { revocation: Revocation { id, at }, mark } in &self.revoked {
            let mark = mark.as_ref().map_or_else(String::new, |mark| format!("{}.{}", mark.salt, mark.tag));
            let _ = write!(value, ",{mark}:{id}::revoked:{}:", at.micros());
        }
        value
    }

    /// What is said of the key with this tag.
    pub(super) fn key(&self, tag: &str) -> Option<&KeyRecord> {
        self.keys.iter().find(|(known, _)| known == tag).map(|(_, key)| key)
    }
}

/// The tag of a secret, as it stands in the file. A hash of the right length takes every key.
pub(super) fn tag(secret: &str) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(b"pbac: a key of a .env file");
    let full = mac.finalize().into_bytes();
    URL_SAFE_NO_PAD.encode(full.get(..TAG_BYTES).unwrap_or_default())
}

/// A time that may be missing; none where it is no number.
#[expect(clippy::option_option, reason = "whether it is well-formed, and whether it is there")]
fn time(text: &str) -> Option<Option<Timestamp>> {
    if text.is_empty() {
        return Some(None);
    }
    text.parse().ok().map(Timestamp::from_micros).map(Some)
}

fn micros(time: Option<Timestamp>) -> String {
    time.map_or_else(String::new, |time| time.micros().to_string())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let text = "v1,t1:k1:HS256:active:5:,t2:k2:EdDSA:retired:1:9,t3:k3:ES256:retired::,t4:k4:HS256:staged:7:,:k5::revoked:3:,s.t:k6::revoked:4:";
        let metadata = Metadata::parse(text).unwrap();
        assert_eq!(metadata.value(), text);
        assert_eq!(metadata.key("t2").unwrap().not_after(), Some(Timestamp::from_micros(9)));
        assert_eq!(metadata.nameless, None);
        let nameless = "v1,t1:k1:HS256:active-nameless:5:";
        let metadata = Metadata::parse(nameless).unwrap();
        assert_eq!(metadata.nameless, metadata.keys.first().map(|(_, key)| key.id.clone()));
        assert_eq!(metadata.value(), nameless);
        for wrong in [
            "",
            "v2",
            "v1,",
            "v1,a:b",
            "v1,t:k:HS256:staged::",
            "v1,t:k:none:active::",
            "v1,t:k:HS256:gone::",
        ] {
            assert_eq!(Metadata::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_tag_tells_secrets_apart() {
        assert_eq!(tag("a").len(), 22);
        assert_ne!(tag("a"), tag("b"));
    }
}
