//! Verifying one token.

use super::claims::{self, Claims, Read};
use super::header::{Header, header};
use super::ring::KeyRing;
use super::verifier::Verifier;
use super::{TokenError, TokenRules};
use crate::keys::{Algorithm, KeyPhase, KeyRecord};
use crate::time::Timestamp;
use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use core::time::Duration;

/// The longest token, in bytes (SPEC section 6).
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// How much later than its key's retirement a token may say it was issued, and how much longer than tokens do it may
/// live: nodes do not switch at one moment, and clocks differ (SPEC section 5).
pub const SKEW: Duration = Duration::from_secs(60);

/// Room for the longest signature of any algorithm, 64 bytes, as the decoder estimates it.
const MAX_SIGNATURE_BYTES: usize = 66;

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
        let json = decode(parts.header, &mut buffer.0).ok_or(TokenError::MalformedHeader)?;
        let header = header(json)?;
        let named_key = header.kid.is_some();
        let tried = self.tried(&header, now)?;
        let mut signature = [0; MAX_SIGNATURE_BYTES];
        let length = URL_SAFE_NO_PAD.decode_slice(parts.signature, &mut signature);
        let signature =
            length.ok().and_then(|length| signature.get(..length)).ok_or(TokenError::BadSignature)?;
        let key = self.signer(tried, parts.signed, signature, now).ok_or(TokenError::BadSignature)?;

        let json = decode(parts.claims, &mut buffer.0).ok_or(TokenError::MalformedClaims)?;
        let read = claims::read(json)?;
        self.rules.check_age(key, &read.claims)?;
        self.rules.check(&read, now)?;
        Ok(Verified { key, named_key, claims: read.claims })
    }

    /// Which keys may have signed a token with this header.
    fn tried(&self, header: &Header<'_>, now: Timestamp) -> Result<Tried, TokenError> {
        let keys = self.history().keys();
        let algorithm = Algorithm::from_name(&header.algorithm);
        let Some(kid) = header.kid.as_deref() else {
            let fits = |key: &KeyRecord| Some(key.algorithm) == algorithm;
            return match algorithm {
                _ if keys.is_empty() => Err(TokenError::NoKey),
                Some(algorithm) if keys.iter().any(fits) => Ok(Tried::All(algorithm)),
                _ => Err(TokenError::AlgorithmMismatch),
            };
        };
        if self.history().revocation(kid).is_some() {
            return Err(TokenError::RevokedKey);
        }
        let place = keys.iter().position(|key| key.id.as_str() == kid).ok_or(TokenError::UnknownKey)?;
        match keys.get(place) {
            Some(key) if Some(key.algorithm) != algorithm => Err(TokenError::AlgorithmMismatch),
            Some(key) if !key.verifies_at(now) => Err(TokenError::ExpiredKey),
            _ => Ok(Tried::One(place)),
        }
    }

    /// The first of them that did.
    fn signer(&self, tried: Tried, signed: &str, signature: &[u8], now: Timestamp) -> Option<&KeyRecord> {
        let mut keys = self.history().keys().iter().zip(&self.verifiers);
        let verifies =
            |(_, verifier): &(&KeyRecord, &Verifier)| verifier.verifies(signed.as_bytes(), signature);
        let found = match tried {
            Tried::One(place) => keys.nth(place).filter(verifies),
            Tried::All(algorithm) => {
                keys.filter(|(key, _)| key.algorithm == algorithm && key.verifies_at(now)).find(verifies)
            }
        };
        found.map(|(key, _)| key)
    }
}

/// The keys that may have signed a token.
#[derive(Clone, Copy)]
enum Tried {
    /// The one at this place.
    One(usize),
    /// All of an algorithm, in the history's order.
    All(Algorithm),
}

impl TokenRules {
    /// Whether a token is of an age that its key could have signed: a key that is retired, and so may have been stolen by
    /// somebody who dates tokens back, signs nothing new and nothing that lives long.
    fn check_age(&self, key: &KeyRecord, claims: &Claims<'_>) -> Result<(), TokenError> {
        let KeyPhase::Retired { since: Some(retired), .. } = key.phase else { return Ok(()) };
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
        let is_one_of = |accepted: &[String], text: &Cow<'_, str>| accepted.iter().any(|one| one == text);
        if now >= read.claims.exp.after(self.leeway) {
            return Err(TokenError::Expired);
        }
        if read.not_before.is_some_and(|start| start > now.after(self.leeway)) {
            return Err(TokenError::NotYetValid);
        }
        if !self.issuers.is_empty() && !read.issuer.as_ref().is_some_and(|iss| is_one_of(&self.issuers, iss))
        {
            return Err(TokenError::WrongIssuer);
        }
        if !self.audiences.is_empty() && !read.audiences.iter().any(|aud| is_one_of(&self.audiences, aud)) {
            return Err(TokenError::WrongAudience);
        }
        Ok(())
    }
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
    // What a token's length bounds, and more than enough.
    buffer.resize(text.len(), 0);
    let length = URL_SAFE_NO_PAD.decode_slice(text, buffer).ok()?;
    buffer.get(..length)
}
