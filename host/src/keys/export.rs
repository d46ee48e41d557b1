//! Keys for other verifiers, as a JSON Web Key Set (RFC 7517).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use policy_core::Timestamp;
use policy_core::keys::{KeyHistory, KeyId};
use policy_core::token::{TokenRules, VerifyingKey, write_document};
use serde::Serialize;
use zeroize::Zeroizing;

use super::key_set::KeySet;
use crate::error::HostError;

/// A key set. That of symmetric keys can sign as well as verify.
#[derive(Serialize)]
pub struct Jwks {
    keys: Vec<Jwk>,
    #[serde(skip)]
    secret: bool,
}

/// One key (RFC 7517 section 4, RFC 7518 section 6, RFC 8037 section 2).
#[derive(Serialize)]
struct Jwk {
    kty: &'static str,
    #[serde(rename = "use")]
    used_for: &'static str,
    alg: &'static str,
    kid: KeyId,
    #[serde(flatten)]
    value: Value,
}

/// What a key of a type has.
#[derive(Serialize)]
#[serde(untagged)]
enum Value {
    Secret { k: Zeroizing<String> },
    Curve { crv: &'static str, x: String },
    Point { crv: &'static str, x: String, y: String },
}

impl Jwks {
    /// Whether it holds secrets, and so goes nowhere but into a file of its owner's.
    #[must_use]
    pub const fn is_secret(&self) -> bool {
        self.secret
    }

    /// How many keys it has.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether it has none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// As JSON, with an end of line.
    ///
    /// # Errors
    ///
    /// Never in practice: all of it is text.
    pub fn json(&self) -> Result<Zeroizing<Vec<u8>>, HostError> {
        let mut json = serde_json::to_vec_pretty(self)
            .map_err(|error| HostError::failed(format_args!("the keys make no JSON: {error}")))?;
        json.push(b'\n');
        Ok(Zeroizing::new(json))
    }
}

impl std::fmt::Debug for Jwks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jwks").field("len", &self.keys.len()).finish_non_exhaustive()
    }
}

/// The keys that verify at `now`, in the order in which a token without a `kid` tries them. With `public`, those only of
/// which no secret need be told.
///
/// A key set has no place for `not_after`: export it again after a rotation, and when a retired key goes.
///
/// # Errors
///
/// When a key is none.
pub fn jwks(keys: &KeySet, now: Timestamp, public: bool) -> Result<Jwks, HostError> {
    let mut set = Jwks { keys: Vec::new(), secret: false };
    for key in keys.history().keys().iter().filter(|key| key.verifies_at(now)) {
        let Some(material) = keys.material(&key.id).filter(|_| !(public && key.algorithm.is_symmetric()))
        else {
            continue;
        };
        let (kty, value) = match material.verifying_key()? {
            VerifyingKey::Hs256(secret) => {
                set.secret = true;
                ("oct", Value::Secret { k: Zeroizing::new(URL_SAFE_NO_PAD.encode(secret.expose())) })
            }
            VerifyingKey::EdDsa(key) => {
                ("OKP", Value::Curve { crv: "Ed25519", x: URL_SAFE_NO_PAD.encode(key) })
            }
            VerifyingKey::Es256(point) => {
                // After the byte that says "uncompressed" come both coordinates.
                let (_, coordinates) = point.split_at(1);
                let (x, y) = coordinates.split_at(32);
                let value =
                    Value::Point { crv: "P-256", x: URL_SAFE_NO_PAD.encode(x), y: URL_SAFE_NO_PAD.encode(y) };
                ("EC", value)
            }
        };
        set.keys.push(Jwk { kty, used_for: "sig", alg: key.algorithm.name(), kid: key.id.clone(), value });
    }
    Ok(set)
}

/// A key ring as the gateway and the WebAssembly module read it: a key set that knows states, ends and revocations.
pub struct RingFile {
    /// The document.
    pub text: Zeroizing<String>,
    /// How many keys it has.
    pub keys: usize,
    /// Whether it holds secrets, and so goes nowhere but into a file of its owner's.
    pub secret: bool,
}

impl std::fmt::Debug for RingFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RingFile").field("keys", &self.keys).finish_non_exhaustive()
    }
}

/// All keys with their states and times, the revoked ones by name, and what a token has to say. With `public`, without the
/// keys that are secrets.
///
/// # Errors
///
/// When a key is none.
pub fn ring_file(keys: &KeySet, rules: &TokenRules, public: bool) -> Result<RingFile, HostError> {
    let history = keys.history();
    let kept = history.keys().iter().filter(|key| !(public && key.algorithm.is_symmetric()));
    let history = KeyHistory::new(kept.cloned(), history.revoked().iter().cloned())
        .map_err(|error| HostError::failed(format_args!("the keys contradict each other: {error}")))?;
    let mut verifying = Vec::new();
    for key in history.keys() {
        if let Some(material) = keys.material(&key.id) {
            verifying.push((key.id.clone(), material.verifying_key()?));
        }
    }
    let secret = history.keys().iter().any(|key| key.algorithm.is_symmetric());
    let text = write_document(&history, &verifying, rules)
        .map_err(|error| HostError::failed(format_args!("the keys make no ring: {error}")))?;
    Ok(RingFile { text, keys: verifying.len(), secret })
}
