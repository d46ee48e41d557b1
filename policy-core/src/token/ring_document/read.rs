//! From the text to keys.

use super::super::TokenRules;
use super::super::value::{Value, object};
use super::super::verifier::{VerifyingKey, is_built};
use super::{KeyProblem, RingDocumentError};
use crate::keys::{Algorithm, HmacSecret, KeyHistory, KeyId, KeyPhase, KeyRecord, Revocation};
use crate::time::Timestamp;
use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use core::time::Duration;
use serde::Deserialize;
use zeroize::Zeroizing;

/// What a document says.
pub(super) struct Read {
    pub(super) history: KeyHistory,
    pub(super) keys: Vec<(KeyId, VerifyingKey)>,
    pub(super) rules: TokenRules,
}

/// Reads a document. What is secret in it is borrowed until it is a [`HmacSecret`]; a text with escapes, which the reader
/// would have copied, is no base64url.
pub(super) fn read(json: &str) -> Result<Read, RingDocumentError> {
    let wrong = |error: serde_json::Error| {
        let (line, column) = (error.line(), error.column());
        // The reader's own words may repeat what it read.
        if error.is_data() {
            RingDocumentError::Form { line, column }
        } else {
            RingDocumentError::NotJson { line, column }
        }
    };
    object(json.as_bytes()).ok_or(RingDocumentError::Form { line: 1, column: 1 })?;
    let document: Document<'_> = serde_json::from_str(json).map_err(wrong)?;
    let mut records = Vec::new();
    let mut keys = Vec::new();
    for (place, key) in (1..).zip(document.keys.ok_or(RingDocumentError::Missing("keys"))?) {
        let (record, verifying) = key.read().map_err(|problem| RingDocumentError::Key { place, problem })?;
        keys.push((record.id.clone(), verifying));
        records.push(record);
    }
    let mut revoked = Vec::new();
    for (place, entry) in (1..).zip(document.revoked.ok_or(RingDocumentError::Missing("revoked"))?) {
        let id = text(&entry.kid).and_then(|kid| KeyId::parse(kid).ok());
        let (Some(id), Some(at)) = (id, micros(&entry.at)) else {
            return Err(RingDocumentError::Revocation { place });
        };
        revoked.push(Revocation { id, at });
    }
    let rules = document.rules.ok_or(RingDocumentError::Missing("rules"))?.read()?;
    Ok(Read { history: KeyHistory::new(records, revoked)?, keys, rules })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document<'a> {
    #[serde(borrow)]
    keys: Option<Vec<Key<'a>>>,
    #[serde(borrow)]
    revoked: Option<Vec<Revoked<'a>>>,
    #[serde(borrow)]
    rules: Option<Rules<'a>>,
}

#[derive(Deserialize)]
struct Revoked<'a> {
    #[serde(borrow, default = "absent")]
    kid: Value<'a>,
    #[serde(borrow, default = "absent")]
    at: Value<'a>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules<'a> {
    #[serde(borrow, default = "absent")]
    leeway: Value<'a>,
    #[serde(borrow, default = "absent")]
    token_life: Value<'a>,
    #[serde(borrow, default = "absent")]
    issuers: Value<'a>,
    #[serde(borrow, default = "absent")]
    audiences: Value<'a>,
}

#[derive(Deserialize)]
struct Key<'a> {
    #[serde(borrow, default = "absent")]
    kid: Value<'a>,
    #[serde(borrow, default = "absent")]
    alg: Value<'a>,
    #[serde(borrow, default = "absent")]
    kty: Value<'a>,
    #[serde(borrow, default = "absent")]
    crv: Value<'a>,
    #[serde(borrow, default = "absent")]
    k: Value<'a>,
    #[serde(borrow, default = "absent")]
    x: Value<'a>,
    #[serde(borrow, default = "absent")]
    y: Value<'a>,
    #[serde(borrow, default = "absent")]
    state: Value<'a>,
    #[serde(borrow, default = "absent")]
    since: Value<'a>,
    #[serde(borrow, default = "absent")]
    not_after: Value<'a>,
}

const fn absent<'a>() -> Value<'a> {
    Value::Absent
}

impl Key<'_> {
    fn read(&self) -> Result<(KeyRecord, VerifyingKey), KeyProblem> {
        let id = text(&self.kid).and_then(|kid| KeyId::parse(kid).ok()).ok_or(KeyProblem::Id)?;
        let algorithm = text(&self.alg).and_then(Algorithm::from_name).ok_or(KeyProblem::Algorithm)?;
        let wanted = match algorithm {
            Algorithm::Hs256 => (Some("oct"), None),
            Algorithm::EdDsa => (Some("OKP"), Some("Ed25519")),
            Algorithm::Es256 => (Some("EC"), Some("P-256")),
        };
        if (text(&self.kty), text(&self.crv)) != wanted {
            return Err(KeyProblem::Type);
        }
        let phase = self.phase()?;
        if !is_built(algorithm) {
            return Err(KeyProblem::NotBuilt(algorithm));
        }
        Ok((KeyRecord { id, algorithm, phase }, self.material(algorithm)?))
    }

    fn phase(&self) -> Result<KeyPhase, KeyProblem> {
        let since = || time(&self.since, "since");
        match text(&self.state) {
            Some("staged") => Ok(KeyPhase::Staged { since: since()?.ok_or(KeyProblem::Time("since"))? }),
            Some("active") if self.since == Value::Absent => Ok(KeyPhase::Active { since: None }),
            Some("active") => Ok(KeyPhase::Active { since: since()? }),
            Some("retired") => {
                Ok(KeyPhase::Retired { since: since()?, not_after: time(&self.not_after, "not_after")? })
            }
            _ => Err(KeyProblem::State),
        }
    }

    fn material(&self, algorithm: Algorithm) -> Result<VerifyingKey, KeyProblem> {
        match algorithm {
            Algorithm::Hs256 => {
                let secret = self.secret().ok_or(KeyProblem::Material("k"))?;
                HmacSecret::new(&secret).map(VerifyingKey::Hs256).map_err(KeyProblem::Weak)
            }
            Algorithm::EdDsa => coordinate(&self.x).map(VerifyingKey::EdDsa).ok_or(KeyProblem::Material("x")),
            Algorithm::Es256 => {
                let x = coordinate(&self.x).ok_or(KeyProblem::Material("x"))?;
                let y = coordinate(&self.y).ok_or(KeyProblem::Material("y"))?;
                // SEC 1 section 2.3.3: a byte that says "uncompressed", and both coordinates.
                let mut point = [4; 65];
                for (place, byte) in point.iter_mut().skip(1).zip(x.iter().chain(&y)) {
                    *place = *byte;
                }
                Ok(VerifyingKey::Es256(point))
            }
        }
    }

    fn secret(&self) -> Option<Zeroizing<Vec<u8>>> {
        let Value::Text(Cow::Borrowed(text)) = &self.k else { return None };
        let mut secret = Zeroizing::new(vec![0; text.len()]);
        let length = URL_SAFE_NO_PAD.decode_slice(text, &mut secret).ok()?;
        secret.truncate(length);
        Some(secret)
    }
}

impl Rules<'_> {
    fn read(&self) -> Result<TokenRules, RingDocumentError> {
        Ok(TokenRules {
            leeway: seconds(&self.leeway, "leeway")?.unwrap_or_default(),
            token_life: seconds(&self.token_life, "token_life")?,
            issuers: texts(&self.issuers, "issuers")?,
            audiences: texts(&self.audiences, "audiences")?,
        })
    }
}

fn text<'v>(value: &'v Value<'_>) -> Option<&'v str> {
    match value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

/// 32 bytes.
fn coordinate(value: &Value<'_>) -> Option<[u8; 32]> {
    // The decoder asks for room for what the text's length could be.
    let mut bytes = [0; 33];
    let length = URL_SAFE_NO_PAD.decode_slice(text(value)?, &mut bytes).ok()?;
    bytes.get(..length)?.try_into().ok()
}

fn micros(value: &Value<'_>) -> Option<Timestamp> {
    match *value {
        Value::Signed(micros) => Some(Timestamp::from_micros(micros)),
        Value::Unsigned(micros) => i64::try_from(micros).ok().map(Timestamp::from_micros),
        _ => None,
    }
}

/// A moment, or `null`.
fn time(value: &Value<'_>, member: &'static str) -> Result<Option<Timestamp>, KeyProblem> {
    match value {
        Value::Null => Ok(None),
        value => micros(value).map(Some).ok_or(KeyProblem::Time(member)),
    }
}

/// A span, where there is one.
fn seconds(value: &Value<'_>, rule: &'static str) -> Result<Option<Duration>, RingDocumentError> {
    match value {
        Value::Absent | Value::Null => Ok(None),
        Value::Unsigned(seconds) => Ok(Some(Duration::from_secs(*seconds))),
        _ => Err(RingDocumentError::Rule(rule)),
    }
}

fn texts(value: &Value<'_>, rule: &'static str) -> Result<Vec<String>, RingDocumentError> {
    match value {
        Value::Absent => Ok(Vec::new()),
        Value::Texts(texts) => Ok(texts.iter().map(|text| String::from(&**text)).collect()),
        _ => Err(RingDocumentError::Rule(rule)),
    }
}
