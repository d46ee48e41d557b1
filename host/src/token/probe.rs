//! Trying keys, before anybody depends on them.

use policy_core::Timestamp;
use policy_core::keys::KeyPhase;
use policy_core::token::{TokenBuffer, TokenRules};
use serde::Serialize;

use super::issue::sign;
use crate::error::HostError;
use crate::exit::Exit;
use crate::keys::KeySet;

/// What a probe says: nothing about anybody.
#[derive(Serialize)]
struct Claims {
    exp: i64,
    iat: i64,
}

/// Signs something with each key that may verify at `now`, and verifies it with the ring of all of them.
///
/// # Errors
///
/// When a key does not verify what it signed; the error names it.
pub fn probe(keys: &KeySet, now: Timestamp) -> Result<(), HostError> {
    let ring = keys.ring(TokenRules::default())?;
    let mut buffer = TokenBuffer::default();
    for key in keys.history().keys().iter().filter(|key| key.verifies_at(now)) {
        let Some(material) = keys.material(&key.id) else { continue };
        // A retired key verifies what it signed before its retirement.
        let issued = match key.phase {
            KeyPhase::Retired { since: Some(since), .. } => since.min(now),
            _ => now,
        };
        let iat = issued.micros().div_euclid(1_000_000);
        let exp = now.micros().div_euclid(1_000_000).saturating_add(60);
        let token = sign(material, Some(key.id.to_string()), &Claims { exp, iat })?;
        let verified = ring.verify(&token, now, &mut buffer);
        if let Err(reason) = verified {
            return Err(HostError::new(
                Exit::Mismatch,
                format_args!("key `{}` does not verify what it signs: {reason}", key.id),
            )
            .help("report this as a fault of pbac"));
        }
    }
    Ok(())
}
