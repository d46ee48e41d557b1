//! Key rings and tokens.

use crate::Component;
use crate::exports::pbac::policy::keys::{Claims, Guest, GuestRing, Refusal, Ring, UserId};
use crate::memory::{OUT_OF_MEMORY, limit};
use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use pbac_wasm::{of_ring, of_token};
use policy_core::Timestamp;
use policy_core::keys::Algorithm;
use policy_core::token::{KeyRing, TokenBuffer, TokenError, UserClaim};

impl Guest for Component {
    type Ring = Keys;
}

/// A key ring.
pub struct Keys(KeyRing);

impl GuestRing for Keys {
    fn load(document: String) -> Result<Ring, String> {
        // It holds secrets.
        let document = pbac_wasm::Secret::new(document);
        limit().room(of_ring(document.len())).map_err(|_| String::from(OUT_OF_MEMORY))?;
        KeyRing::from_document(&document).map(|ring| Ring::new(Self(ring))).map_err(|error| error.to_string())
    }

    fn candidates(&self, kid: Option<String>, algorithm: String, now: i64) -> Vec<String> {
        let Some(algorithm) = Algorithm::from_name(&algorithm) else { return Vec::new() };
        let keys = self.0.history().candidates(kid.as_deref(), algorithm, Timestamp::from_micros(now));
        keys.map(|key| key.id.to_string()).collect()
    }

    fn verify(&self, token: String, now: i64) -> Result<Claims, Refusal> {
        if limit().room(of_token(token.len())).is_err() {
            return Err(Refusal { reason: String::from("out_of_memory"), claim: None });
        }
        let mut buffer = TokenBuffer::default();
        let verified = self.0.verify(&token, Timestamp::from_micros(now), &mut buffer);
        let verified = verified.map_err(|error| Refusal {
            reason: String::from(error.reason()),
            claim: if let TokenError::InvalidClaim(claim) = error { Some(String::from(claim)) } else { None },
        })?;
        let claims = verified.claims;
        Ok(Claims {
            key: verified.key.id.to_string(),
            named_key: verified.named_key,
            user_id: claims.user_id.map(|id| match id {
                UserClaim::Number(number) => UserId::Number(number),
                UserClaim::Text(text) => UserId::Text(text.into_owned()),
            }),
            username: claims.username.map(Cow::into_owned),
            email: claims.email.map(Cow::into_owned),
            roles: claims.roles.into_iter().map(Cow::into_owned).collect(),
            exp: claims.exp.micros(),
            iat: claims.iat.map(Timestamp::micros),
        })
    }
}
