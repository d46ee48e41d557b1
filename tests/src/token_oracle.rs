//! jsonwebtoken as the oracle of tokens: a ring that tries each key with it, in the order of SPEC section 5, for reading and not
//! for speed. It takes nothing from policy-core but how a key is written down.
//!
//! jsonwebtoken asks the system what time it is, so the oracle answers for now only.

use crate::tokens::Signer;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{DecodingKey, Validation};
use policy_core::keys::Algorithm;
use serde_json::Value;

/// How much later than the retirement of its key a token may say it was issued, and how much longer it may live.
const SKEW: i64 = 60_000_000;

/// A key of the ring. The keys stand in the order in which they are tried.
#[derive(Clone, Debug)]
pub struct OracleKey {
    /// Its `kid`.
    pub id: String,
    /// What it signs and verifies with.
    pub signer: Signer,
    /// Since when it is retired, in microseconds since 1970; none for a key that is not.
    pub retired: Option<i64>,
    /// When it ceases to verify.
    pub not_after: Option<i64>,
}

/// What a token has to say; spans in seconds.
#[derive(Clone, Debug, Default)]
pub struct OracleRules {
    /// How far clocks may be apart.
    pub leeway: u64,
    /// The longest life of a token, where it is known.
    pub token_life: Option<i64>,
    /// The issuers that are accepted; none: all.
    pub issuers: Vec<String>,
    /// The audiences that we are; none: all.
    pub audiences: Vec<String>,
}

/// Verifies a token at `now`, which has to be the second that the system's clock shows, in microseconds. Gives the key that
/// signed it.
///
/// # Errors
/// Why it is refused, in jsonwebtoken's words where it refuses.
pub fn verify(keys: &[OracleKey], rules: &OracleRules, token: &str, now: i64) -> Result<String, String> {
    let header = jsonwebtoken::decode_header(token).map_err(|error| error.to_string())?;
    let verifies = |key: &&OracleKey| key.not_after.is_none_or(|end| now < end);
    let tried: Vec<&OracleKey> = match &header.kid {
        Some(kid) => {
            let key = keys.iter().find(|key| key.id == *kid).ok_or("no key has this kid")?;
            vec![Some(key).filter(verifies).ok_or("the key is over")?]
        }
        None => {
            keys.iter().filter(|key| theirs(key.signer.algorithm()) == header.alg).filter(verifies).collect()
        }
    };
    for key in tried {
        match jsonwebtoken::decode::<Value>(token, &decoding_key(&key.signer), &validation(key, rules)) {
            Ok(data) => {
                check_age(key, rules, &data.claims)?;
                return Ok(key.id.clone());
            }
            // Only a bad signature leads to the next key.
            Err(error) if *error.kind() == ErrorKind::InvalidSignature => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    Err("no key signed it".to_owned())
}

/// A retired key signs nothing after its retirement, and nothing that lives longer than tokens do.
fn check_age(key: &OracleKey, rules: &OracleRules, claims: &Value) -> Result<(), String> {
    let Some(retired) = key.retired else { return Ok(()) };
    let iat = micros(&claims["iat"]);
    if iat.is_some_and(|iat| iat > retired + SKEW) {
        return Err("issued after the retirement".to_owned());
    }
    let exp = micros(&claims["exp"]).ok_or("no exp")?;
    match rules.token_life {
        Some(life) if exp - iat.unwrap_or(retired) > life * 1_000_000 + SKEW => {
            Err("lives too long".to_owned())
        }
        _ => Ok(()),
    }
}

fn micros(value: &Value) -> Option<i64> {
    value
        .as_i64()
        .map(|seconds| seconds * 1_000_000)
        .or_else(|| value.as_f64().map(|seconds| (seconds * 1e6) as i64))
}

/// jsonwebtoken's settings for what SPEC section 5 asks. It looks at `nbf` only when told to, takes a token without `iss` or
/// `aud` for one with the right ones unless they are required, and refuses every `aud` where none is configured.
fn validation(key: &OracleKey, rules: &OracleRules) -> Validation {
    let mut validation = Validation::new(theirs(key.signer.algorithm()));
    validation.leeway = rules.leeway;
    validation.validate_nbf = true;
    validation.validate_aud = !rules.audiences.is_empty();
    let mut required = vec!["exp"];
    if !rules.issuers.is_empty() {
        validation.set_issuer(&rules.issuers);
        required.push("iss");
    }
    if !rules.audiences.is_empty() {
        validation.set_audience(&rules.audiences);
        required.push("aud");
    }
    validation.set_required_spec_claims(&required);
    validation
}

/// jsonwebtoken's name for an algorithm.
pub fn theirs(algorithm: Algorithm) -> jsonwebtoken::Algorithm {
    match algorithm {
        Algorithm::Hs256 => jsonwebtoken::Algorithm::HS256,
        Algorithm::EdDsa => jsonwebtoken::Algorithm::EdDSA,
        Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
    }
}

/// A key as jsonwebtoken verifies with it.
pub fn decoding_key(signer: &Signer) -> DecodingKey {
    let public = signer.public();
    match signer.algorithm() {
        Algorithm::Hs256 => DecodingKey::from_secret(&public),
        Algorithm::EdDsa => DecodingKey::from_ed_der(&public),
        Algorithm::Es256 => DecodingKey::from_ec_der(&public),
    }
}
