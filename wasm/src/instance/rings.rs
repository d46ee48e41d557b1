//! Key rings, and tokens verified with them.

use super::{Instance, Object, flat};
use crate::buffer::Output;
use crate::code::{Code, token_number};
use crate::json;
use crate::memory::{of_ring, of_token};
use crate::slots::Slots;
use alloc::boxed::Box;
use core::fmt::Write;
use policy_core::Timestamp;
use policy_core::keys::Algorithm;
use policy_core::token::{KeyRing, TokenError, UserClaim, Verified};

fn ring(objects: &Slots<Object>, handle: i32) -> Result<&KeyRing, Code> {
    match objects.get(handle)? {
        Object::Ring(ring) => Ok(ring),
        _ => Err(Code::BadHandle),
    }
}

impl Instance {
    /// `pbac_ring_load`
    pub fn ring_load(&mut self, document: i32) -> i32 {
        self.output.begin(self.limit);
        let handle = self.objects.reserve().and_then(|()| self.read_ring(document));
        self.input.wipe(document);
        flat(handle.and_then(|ring| self.objects.insert(Object::Ring(ring))))
    }

    /// `pbac_ring_replace`
    pub fn ring_replace(&mut self, handle: i32, document: i32) -> i32 {
        self.output.begin(self.limit);
        let known = ring(&self.objects, handle).map(|_| ());
        let replaced = known.and_then(|()| self.read_ring(document)).and_then(|ring| {
            *self.objects.get_mut(handle)? = Object::Ring(ring);
            Ok(0)
        });
        self.input.wipe(document);
        flat(replaced)
    }

    fn read_ring(&mut self, document: i32) -> Result<Box<KeyRing>, Code> {
        let output = self.output.begin(self.limit);
        let text = self.input.arguments().text(document)?;
        self.limit.room(of_ring(text.len()))?;
        KeyRing::from_document(text).map(Box::new).map_err(|error| {
            // Where there is no memory for all of the reason, its beginning has to do.
            let _ = write!(output, "{error}");
            Code::BadRing
        })
    }

    /// `pbac_ring_candidates`
    pub fn ring_candidates(&mut self, handle: i32, kid: i32, algorithm: i32, now: i64) -> i32 {
        let output = self.output.begin(self.limit);
        let count = ring(&self.objects, handle).and_then(|ring| {
            let mut arguments = self.input.arguments();
            let kid = if kid == -1 { None } else { Some(arguments.text(kid)?) };
            let Some(algorithm) = Algorithm::from_name(arguments.text(algorithm)?) else { return Ok(0) };
            let keys = ring.history().candidates(kid, algorithm, Timestamp::from_micros(now));
            output.lines(keys.map(|key| key.id.as_str()))
        });
        flat(self.output.finish(count))
    }

    /// `pbac_token_verify`
    pub fn token_verify(&mut self, handle: i32, token: i32, now: i64) -> i32 {
        let output = self.output.begin(self.limit);
        let written = ring(&self.objects, handle).and_then(|ring| {
            let token = self.input.arguments().bytes(token)?;
            self.limit.room(of_token(token.len()))?;
            let buffer = self.token.get_or_insert_default();
            // What is no text is no token either.
            let token = core::str::from_utf8(token).map_err(|_| TokenError::MalformedToken);
            match token.and_then(|token| ring.verify(token, Timestamp::from_micros(now), buffer)) {
                Ok(verified) => accept(output, &verified),
                Err(error) => refuse(output, error),
            }
        });
        match written {
            Err(code) => flat(self.output.finish(Err(code))),
            Ok(length) => length,
        }
    }
}

fn refuse(output: &mut Output, error: TokenError) -> Result<i32, Code> {
    let claim = if let TokenError::InvalidClaim(claim) = error { Some(claim) } else { None };
    json::write(output, |json| {
        json.object(|json| {
            json.member("reason", error.reason());
            if let Some(claim) = claim {
                json.member("claim", claim);
            }
        });
    })?;
    Ok(token_number(error))
}

/// The claims of a token that holds.
fn accept(output: &mut Output, verified: &Verified<'_, '_>) -> Result<i32, Code> {
    let claims = &verified.claims;
    json::write(output, |json| {
        json.object(|json| {
            json.member("key", verified.key.id.as_str());
            json.boolean("named_key", verified.named_key);
            match &claims.user_id {
                None => json.null("user_id"),
                Some(UserClaim::Number(number)) => json.number("user_id", *number),
                Some(UserClaim::Text(text)) => json.member("user_id", text),
            }
            json.optional("username", claims.username.as_deref());
            json.optional("email", claims.email.as_deref());
            json.texts("roles", &claims.roles);
            json.moment("exp", Some(claims.exp));
            json.moment("iat", claims.iat);
        });
    })?;
    Ok(output.length())
}
