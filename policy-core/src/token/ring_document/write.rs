//! From keys to the text.

use super::super::{RingError, TokenRules, VerifyingKey};
use crate::keys::{KeyHistory, KeyId, KeyPhase, KeyRecord};
use crate::time::Timestamp;
use alloc::string::String;
use alloc::vec;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use core::fmt::Write;
use zeroize::Zeroizing;

/// What a key takes beside its material, and what the rest of a document takes beside its texts.
const ROOM: usize = 512;

/// Writes a history with what its keys verify with as a ring document, which [`KeyRing::from_document`] reads. Keys that
/// the history does not name are left out. Every key of it is written, whether its time is over or not: the reader judges that
/// by its own time.
///
/// The text holds the secrets of symmetric keys. It is wiped when dropped, and never moved while it grows.
///
/// [`KeyRing::from_document`]: crate::token::KeyRing::from_document
///
/// # Errors
///
/// When a key of the history is missing or is for another algorithm.
pub fn write_document(
    history: &KeyHistory,
    keys: &[(KeyId, VerifyingKey)],
    rules: &TokenRules,
) -> Result<Zeroizing<String>, RingError> {
    let mut parts = Parts { text: Zeroizing::new(String::with_capacity(capacity(history, keys, rules))) };
    parts.push("{\"keys\":[");
    for (at, record) in history.keys().iter().enumerate() {
        let (_, key) = keys
            .iter()
            .find(|(id, _)| *id == record.id)
            .ok_or_else(|| RingError::Missing(record.id.clone()))?;
        if key.algorithm() != record.algorithm {
            return Err(RingError::Unusable(record.id.clone()));
        }
        parts.separate(at);
        parts.key(record, key);
    }
    parts.push("],\"revoked\":[");
    for (at, revocation) in history.revoked().iter().enumerate() {
        parts.separate(at);
        parts.format(format_args!("{{\"kid\":\"{}\",\"at\":{}}}", revocation.id, revocation.at.micros()));
    }
    parts.format(format_args!("],\"rules\":{{\"leeway\":{}", rules.leeway.as_secs()));
    if let Some(life) = rules.token_life {
        parts.format(format_args!(",\"token_life\":{}", life.as_secs()));
    }
    parts.texts("issuers", &rules.issuers);
    parts.texts("audiences", &rules.audiences);
    parts.push("}}");
    Ok(parts.text)
}

/// More than the document will take.
pub(super) fn capacity(history: &KeyHistory, keys: &[(KeyId, VerifyingKey)], rules: &TokenRules) -> usize {
    let key = |(_, key): &(KeyId, VerifyingKey)| match key {
        VerifyingKey::Hs256(secret) => secret.expose().len().saturating_mul(2),
        VerifyingKey::EdDsa(_) | VerifyingKey::Es256(_) => 0,
    };
    // The longest escape of a byte is `\u0000`.
    let texts = rules.issuers.iter().chain(&rules.audiences).map(|text| text.len().saturating_mul(6));
    let entries = history.keys().len().saturating_add(history.revoked().len());
    let entries = entries.saturating_add(rules.issuers.len()).saturating_add(rules.audiences.len());
    let lengths = keys.iter().map(key).chain(texts);
    lengths.fold(entries.saturating_add(1).saturating_mul(ROOM), usize::saturating_add)
}

struct Parts {
    text: Zeroizing<String>,
}

impl Parts {
    fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn format(&mut self, arguments: core::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.text.write_fmt(arguments);
    }

    fn separate(&mut self, at: usize) {
        if at > 0 {
            self.push(",");
        }
    }

    fn key(&mut self, record: &KeyRecord, key: &VerifyingKey) {
        self.format(format_args!("{{\"kid\":\"{}\",\"alg\":\"{}\"", record.id, record.algorithm));
        match key {
            VerifyingKey::Hs256(secret) => {
                self.push(",\"kty\":\"oct\"");
                self.base64("k", secret.expose());
            }
            VerifyingKey::EdDsa(key) => {
                self.push(",\"kty\":\"OKP\",\"crv\":\"Ed25519\"");
                self.base64("x", key);
            }
            VerifyingKey::Es256(point) => {
                // After the byte that says "uncompressed" come both coordinates.
                let (_, coordinates) = point.split_at(1);
                let (x, y) = coordinates.split_at(32);
                self.push(",\"kty\":\"EC\",\"crv\":\"P-256\"");
                self.base64("x", x);
                self.base64("y", y);
            }
        }
        self.format(format_args!(",\"state\":\"{}\"", record.phase.name()));
        self.time("since", record.phase.since());
        if let KeyPhase::Retired { not_after, .. } = record.phase {
            self.time("not_after", not_after);
        }
        self.push("}");
    }

    fn base64(&mut self, member: &str, bytes: &[u8]) {
        let mut encoded = Zeroizing::new(vec![0; bytes.len().saturating_mul(2).saturating_add(4)]);
        // There is room for four characters for every three bytes.
        let length = URL_SAFE_NO_PAD.encode_slice(bytes, &mut encoded).unwrap_or(0);
        let encoded = encoded.get(..length).and_then(|text| core::str::from_utf8(text).ok());
        self.format(format_args!(",\"{member}\":\"{}\"", encoded.unwrap_or_default()));
    }

    fn time(&mut self, member: &str, at: Option<Timestamp>) {
        match at {
            Some(at) => self.format(format_args!(",\"{member}\":{}", at.micros())),
            None => self.format(format_args!(",\"{member}\":null")),
        }
    }

    fn texts(&mut self, member: &str, texts: &[String]) {
        self.format(format_args!(",\"{member}\":["));
        for (at, text) in texts.iter().enumerate() {
            self.separate(at);
            self.push("\"");
            for character in text.chars() {
                match character {
                    '"' | '\\' => self.format(format_args!("\\{character}")),
                    '\0'..' ' => self.format(format_args!("\\u{:04x}", u32::from(character))),
                    _ => self.text.push(character),
                }
            }
            self.push("\"");
        }
        self.push("]");
    }
}
