//! Verifying one token.

use super::base64url;
use super::claims::{self, Claims, Read};
use super::header::header;
use super::ring::{KeyRing, Tried};
use super::value::Value;
use super::verifier::Verifier;
use super::{TokenError, TokenRules};
use crate::keys::{KeyPhase, KeyRecord};
use crate::time::Timestamp;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

/// The longest token, in bytes (SPEC section 6).
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// How much later than its key's retirement a token may say it was issued, and how much longer than tokens do it may
/// live: nodes do not switch at one moment, and clocks differ (SPEC section 5).
pub const SKEW: Duration = Duration::from_secs(60);

/// Room for the longest signature of any algorithm.
const MAX_SIGNATURE_BYTES: usize = 64;

/// Room for the parts of a token, to be used again: the claims borrow from it, so that nothing is copied for each token.
#[derive(Default)]
pub struct TokenBuffer(Vec<u8>);

impl core::fmt::Debug for TokenBuffer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("TokenBuffer")
    }
}

/// A token that holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verified<'ring, 'buffer> {
    /// The key that signed it.
    pub key: &'ring KeyRecord,
    /// Whether the token named that key. One that did not is from before there were names: worth counting, since they have
    /// to die out some day.
    pub named_key: bool,
    /// What it says.
    pub claims: Claims<'buffer>,
}

impl KeyRing {
    /// Verifies a token at `now` (SPEC section 5). With a `kid` that key alone is tried; without one every key of its
    /// algorithm, one after the other, and only a bad signature leads to the next.
    ///
    /// # Errors
    ///
    /// The one reason why not.
    pub fn verify<'ring, 'buffer>(
        &'ring self,
        token: &str,
        now: Timestamp,
        buffer: &'buffer mut TokenBuffer,
    ) -> Result<Verified<'ring, 'buffer>, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLong);
        }
        let parts = Parts::split(token)?;
        let tried = match self.known(parts.header) {
            Some(tried) => tried,
            None => {
                let json = decode(parts.header, &mut buffer.0).ok_or(TokenError::MalformedHeader)?;
                self.tried(&header(json)?)?
            }
        };
        let mut signature = [0; MAX_SIGNATURE_BYTES];
        let signature = base64url::decode(parts.signature, &mut signature).ok_or(TokenError::BadSignature)?;
        let key = self.signer(tried, parts.signed, signature, now)?;

        let json = decode(parts.claims, &mut buffer.0).ok_or(TokenError::MalformedClaims)?;
        let read = claims::read(json)?;
        self.rules.check_age(key, &read.claims, now)?;
        self.rules.check(&read, now)?;
        Ok(Verified { key, named_key: matches!(tried, Tried::One(_)), claims: read.claims })
    }

    /// The first of these keys that signed the token and verifies at `now`.
    fn signer(
        &self,
        tried: Tried,
        signed: &str,
        signature: &[u8],
        now: Timestamp,
    ) -> Result<&KeyRecord, TokenError> {
        let mut keys = self.history().keys().iter().zip(&self.verifiers);
        let is_by = |(_, verifier): &(&KeyRecord, &Verifier)| verifier.verifies(signed.as_bytes(), signature);
        let found = match tried {
            Tried::One(place) => match keys.nth(place) {
                Some((key, _)) if !key.verifies_at(now) => return Err(TokenError::ExpiredKey),
                one => one.filter(is_by),
            },
            Tried::All(algorithm) => {
                keys.filter(|(key, _)| key.algorithm == algorithm && key.verifies_at(now)).find(is_by)
            }
        };
        found.map(|(key, _)| key).ok_or(TokenError::BadSignature)
    }
}

impl TokenRules {
    /// Whether a token is of an age that its key could have signed: a key that is retired, and so may have been stolen by
    /// somebody who dates tokens back, signs nothing new and nothing that lives long.
    fn check_age(&self, key: &KeyRecord, claims: &Claims<'_>, now: Timestamp) -> Result<(), TokenError> {
        let KeyPhase::Retired { since, .. } = key.phase else { return Ok(()) };
        // Where nobody knows when it was, it surely was before now.
        let retired = since.unwrap_or(now);
        let issued = match claims.iat {
            Some(issued) if issued > retired.after(SKEW) => return Err(TokenError::IssuedAfterRetirement),
            Some(issued) => issued,
            // It was issued before the retirement, if it is honest.
            None => retired,
        };
        match self.token_life {
            Some(life) if claims.exp > issued.after(life).after(SKEW) => Err(TokenError::LivesTooLong),
            _ => Ok(()),
        }
    }

    /// Whether a token holds at `now`, and is from and for whom it has to be.
    fn check(&self, read: &Read<'_>, now: Timestamp) -> Result<(), TokenError> {
        if now >= read.claims.exp.after(self.leeway) {
            return Err(TokenError::Expired);
        }
        if read.not_before.is_some_and(|start| start > now.after(self.leeway)) {
            return Err(TokenError::NotYetValid);
        }
        if !self.issuers.is_empty() && !read.issuer.as_ref().is_some_and(|iss| is_one_of(iss, &self.issuers))
        {
            return Err(TokenError::WrongIssuer);
        }
        let for_us = match &read.audience {
            Value::Text(aud) => is_one_of(aud, &self.audiences),
            Value::Texts(several) => several.iter().any(|aud| is_one_of(aud, &self.audiences)),
            _ => false,
        };
        if self.audiences.is_empty() || for_us { Ok(()) } else { Err(TokenError::WrongAudience) }
    }
}

fn is_one_of(text: &str, accepted: &[String]) -> bool {
    accepted.iter().any(|one| one == text)
}

/// A token's three parts, as they stand in it.
struct Parts<'a> {
    header: &'a str,
    claims: &'a str,
    signature: &'a str,
    /// The first two and the dot: what the signature is over (RFC 7515 section 5.1).
    signed: &'a str,
}

impl<'a> Parts<'a> {
    fn split(token: &'a str) -> Result<Self, TokenError> {
        let split = || {
            let (signed, signature) = token.rsplit_once('.')?;
            let (header, claims) = signed.split_once('.')?;
            (!claims.contains('.')).then_some(Self { header, claims, signature, signed })
        };
        split().ok_or(TokenError::MalformedToken)
    }
}

/// Decodes base64url without padding, in its one canonical form, into the buffer.
fn decode<'a>(text: &str, buffer: &'a mut Vec<u8>) -> Option<&'a [u8]> {
    // What a token's length bounds, and more than enough. Memory that is there already is not cleared again.
    if buffer.len() < text.len() {
        buffer.resize(text.len(), 0);
    }
    base64url::decode(text, buffer)
}
