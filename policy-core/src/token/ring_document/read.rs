//! From the text to keys.

use super::super::TokenRules;
use super::super::base64url;
use super::super::json::{Fault, Json};
use super::super::value::Value;
use super::super::verifier::{VerifyingKey, is_built};
use super::{KeyProblem, RingDocumentError};
use crate::keys::{Algorithm, HmacSecret, KeyHistory, KeyId, KeyPhase, KeyRecord, Revocation};
use crate::time::Timestamp;
use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;
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
    let mut document = Document::default();
    let mut reader = Json::new(json);
    document.read(&mut reader).map_err(|fault| {
        let (line, column) = reader.position();
        match fault {
            Fault::Form => RingDocumentError::Form { line, column },
            Fault::Syntax => RingDocumentError::NotJson { line, column },
        }
    })?;
    let mut records = Vec::new();
    let mut keys = Vec::new();
    for (place, key) in (1..).zip(document.keys.ok_or(RingDocumentError::Missing("keys"))?) {
        let (record, verifying) =
            Key::new(&key).read().map_err(|problem| RingDocumentError::Key { place, problem })?;
        keys.push((record.id.clone(), verifying));
        records.push(record);
    }
    let mut revoked = Vec::new();
    for (place, entry) in (1..).zip(document.revoked.ok_or(RingDocumentError::Missing("revoked"))?) {
        let [kid, at, ..] = &entry;
        let id = text(kid).and_then(|kid| KeyId::parse(kid).ok());
        let (Some(id), Some(at)) = (id, micros(at)) else {
            return Err(RingDocumentError::Revocation { place });
        };
        revoked.push(Revocation { id, at });
    }
    let rules = rules(&document.rules.ok_or(RingDocumentError::Missing("rules"))?)?;
    Ok(Read { history: KeyHistory::new(records, revoked)?, keys, rules })
}

/// A document as JSON has it: the parts that it has.
#[derive(Default)]
struct Document<'a> {
    keys: Option<Vec<Members<'a>>>,
    revoked: Option<Vec<Members<'a>>>,
    rules: Option<Members<'a>>,
}

/// The members of any of its objects, in the order of their names below.
type Members<'a> = [Value<'a>; 10];

const OF_KEY: [&str; 10] = ["kid", "alg", "kty", "crv", "k", "x", "y", "state", "since", "not_after"];
const OF_REVOCATION: [&str; 2] = ["kid", "at"];
const OF_RULES: [&str; 4] = ["leeway", "token_life", "issuers", "audiences"];

impl<'a> Document<'a> {
    fn read(&mut self, json: &mut Json<'a>) -> Result<(), Fault> {
        json.object(&mut |json, part| {
            match part {
                "keys" if self.keys.is_none() => self.keys = Some(list(json, &OF_KEY)?),
                "revoked" if self.revoked.is_none() => self.revoked = Some(list(json, &OF_REVOCATION)?),
                "rules" if self.rules.is_none() => {
                    let rules = self.rules.insert([const { Value::Absent }; 10]);
                    json.members(&OF_RULES, rules, true)?;
                }
                _ => return Err(Fault::Form),
            }
            Ok(())
        })?;
        json.end()
    }
}

/// Reads a list of objects whose members have these names.
fn list<'a>(json: &mut Json<'a>, names: &[&str]) -> Result<Vec<Members<'a>>, Fault> {
    let mut objects = Vec::new();
    json.list(&mut |json| {
        let mut values = [const { Value::Absent }; 10];
        json.members(names, &mut values, false)?;
        objects.push(values);
        Ok(())
    })?;
    Ok(objects)
}

/// The members of a key.
struct Key<'v, 'a> {
    kid: &'v Value<'a>,
    alg: &'v Value<'a>,
    kty: &'v Value<'a>,
    crv: &'v Value<'a>,
    k: &'v Value<'a>,
    x: &'v Value<'a>,
    y: &'v Value<'a>,
    state: &'v Value<'a>,
    since: &'v Value<'a>,
    not_after: &'v Value<'a>,
}

impl<'v, 'a> Key<'v, 'a> {
    const fn new(members: &'v Members<'a>) -> Self {
        let [kid, alg, kty, crv, k, x, y, state, since, not_after] = members;
        Self { kid, alg, kty, crv, k, x, y, state, since, not_after }
    }
}

impl Key<'_, '_> {
    fn read(&self) -> Result<(KeyRecord, VerifyingKey), KeyProblem> {
        let id = text(self.kid).and_then(|kid| KeyId::parse(kid).ok()).ok_or(KeyProblem::Id)?;
        let algorithm = text(self.alg).and_then(Algorithm::from_name).ok_or(KeyProblem::Algorithm)?;
        let wanted = match algorithm {
            Algorithm::Hs256 => (Some("oct"), None),
            Algorithm::EdDsa => (Some("OKP"), Some("Ed25519")),
            Algorithm::Es256 => (Some("EC"), Some("P-256")),
        };
        if (text(self.kty), text(self.crv)) != wanted {
            return Err(KeyProblem::Type);
        }
        let phase = self.phase()?;
        if !is_built(algorithm) {
            return Err(KeyProblem::NotBuilt(algorithm));
        }
        Ok((KeyRecord { id, algorithm, phase }, self.material(algorithm)?))
    }

    fn phase(&self) -> Result<KeyPhase, KeyProblem> {
        let since = || time(self.since, "since");
        match text(self.state) {
            Some("staged") => Ok(KeyPhase::Staged { since: since()?.ok_or(KeyProblem::Time("since"))? }),
            Some("active") if *self.since == Value::Absent => Ok(KeyPhase::Active { since: None }),
            Some("active") => Ok(KeyPhase::Active { since: since()? }),
            Some("retired") => {
                Ok(KeyPhase::Retired { since: since()?, not_after: time(self.not_after, "not_after")? })
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
            Algorithm::EdDsa => coordinate(self.x).map(VerifyingKey::EdDsa).ok_or(KeyProblem::Material("x")),
            Algorithm::Es256 => {
                let x = coordinate(self.x).ok_or(KeyProblem::Material("x"))?;
                let y = coordinate(self.y).ok_or(KeyProblem::Material("y"))?;
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
        let Value::Text(Cow::Borrowed(text)) = self.k else { return None };
        let mut secret = Zeroizing::new(vec![0; text.len()]);
        let length = base64url::decode(text, &mut secret)?.len();
        secret.truncate(length);
        Some(secret)
    }
}

fn rules(members: &Members<'_>) -> Result<TokenRules, RingDocumentError> {
    let [leeway, token_life, issuers, audiences, ..] = members;
    Ok(TokenRules {
        leeway: seconds(leeway, "leeway")?.unwrap_or_default(),
        token_life: seconds(token_life, "token_life")?,
        issuers: texts(issuers, "issuers")?,
        audiences: texts(audiences, "audiences")?,
    })
}

fn text<'v>(value: &'v Value<'_>) -> Option<&'v str> {
    match value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

/// 32 bytes.
fn coordinate(value: &Value<'_>) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let length = base64url::decode(text(value)?, &mut bytes)?.len();
    (length == bytes.len()).then_some(bytes)
}

fn micros(value: &Value<'_>) -> Option<Timestamp> {
    match *value {
        Value::Integer(micros) => Some(Timestamp::from_micros(micros)),
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
        Value::Integer(seconds) => u64::try_from(*seconds)
            .map(Duration::from_secs)
            .map(Some)
            .map_err(|_| RingDocumentError::Rule(rule)),
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
