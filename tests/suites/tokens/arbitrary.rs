//! Whatever bytes there are: an answer, and never a panic (SPEC section 6).

use super::signatures::ring_of;
use fastrand::Rng;
use pbac_tests::numbers;
use pbac_tests::token_cases::TokenFile;
use pbac_tests::tokens::{Signer, base64};
use policy_core::Timestamp;
use policy_core::keys::{Algorithm, KeyId};
use policy_core::token::{TokenBuffer, TokenError, header};
use std::collections::BTreeMap;

/// Texts when `PBAC_CASES` does not say otherwise.
const TEXTS: u64 = 200_000;

#[test]
fn arbitrary_texts_are_refused_for_a_reason() {
    let rings: Vec<_> = [Algorithm::Hs256, Algorithm::EdDsa, Algorithm::Es256]
        .map(|algorithm| ring_of(Signer::made_up(algorithm, "arbitrary").verifying()))
        .into();
    let mut reasons: BTreeMap<&str, u64> = BTreeMap::new();
    let mut buffer = TokenBuffer::default();
    for seed in numbers::seeds().take(usize::try_from(numbers::cases(TEXTS)).expect("a number of texts")) {
        let mut rng = Rng::with_seed(seed);
        let text = text(&mut rng);
        let ring = &rings[rng.usize(..rings.len())];
        let now = Timestamp::from_micros(rng.i64(..));
        let error = ring.verify(&text, now, &mut buffer).err();
        let reason = error.map_or("accepted", TokenError::reason);
        *reasons.entry(reason).or_default() += 1;
        assert_ne!(reason, "accepted", "seed {seed}: {text}");
        let bytes = bytes(&mut rng, 40);
        let _ = header(&bytes);
        let _ = KeyId::parse(&String::from_utf8_lossy(&bytes));
    }
    println!("{reasons:?}");
    for reason in
        ["malformed_token", "malformed_header", "bad_signature", "algorithm_mismatch", "unknown_key"]
    {
        assert!(reasons.contains_key(reason), "{reason} never came up: {reasons:?}");
    }
}

/// Texts that are signed: only whoever holds the key can send them, and they must not stop the process either.
#[test]
fn arbitrary_claims_that_are_signed_give_an_answer() {
    let signer = Signer::made_up(Algorithm::Hs256, "arbitrary");
    let ring = ring_of(signer.verifying());
    let mut buffer = TokenBuffer::default();
    let mut reasons: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in numbers::seeds().take(usize::try_from(numbers::cases(TEXTS / 2)).expect("a number of texts"))
    {
        let mut rng = Rng::with_seed(seed);
        let claims = json(&mut rng, 0);
        let now = Timestamp::from_micros(rng.i64(..));
        let token = signer.token(r#"{"alg":"HS256"}"#, &claims);
        let answer = ring.verify(&token, now, &mut buffer);
        *reasons.entry(answer.err().map_or("accepted", TokenError::reason)).or_default() += 1;
    }
    println!("{reasons:?}");
    for reason in ["accepted", "malformed_claims", "invalid_claim", "missing_expiry", "expired"] {
        assert!(reasons.contains_key(reason), "{reason} never came up: {reasons:?}");
    }
}

/// What the cases are made of, at any time at all.
#[test]
fn at_any_time() {
    let mut buffer = TokenBuffer::default();
    let moments = [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX];
    for file in TokenFile::load_all() {
        for case in &file.token {
            let ring = file.ring(case.rules.as_ref().unwrap_or(&file.rules));
            let token = file.token(case);
            for now in moments {
                let _ = ring.verify(&token, Timestamp::from_micros(now), &mut buffer);
            }
        }
    }
}

fn text(rng: &mut Rng) -> String {
    match rng.u8(..6) {
        0 => String::from_utf8_lossy(&bytes(rng, 300)).into_owned(),
        1 => (0..rng.usize(..200)).map(|_| rng.char(..)).collect(),
        2 => {
            (0..rng.usize(..200)).map(|_| if rng.u8(..20) == 0 { '.' } else { rng.alphanumeric() }).collect()
        }
        3 => [base64(&bytes(rng, 60)), base64(&bytes(rng, 60)), base64(&bytes(rng, 70))].join("."),
        4 => {
            let header = json(rng, 0);
            [base64(header.as_bytes()), base64(&bytes(rng, 60)), base64(&bytes(rng, 70))].join(".")
        }
        _ => {
            let algorithm = ["HS256", "EdDSA", "ES256", "none"][rng.usize(..4)];
            let kid = ["", r#","kid":"k""#, r#","kid":"x""#][rng.usize(..3)];
            let header = format!(r#"{{"alg":"{algorithm}"{kid}}}"#);
            let length = [0, 32, 63, 64, 65][rng.usize(..5)];
            let signature: Vec<u8> = (0..length).map(|_| rng.u8(..)).collect();
            [base64(header.as_bytes()), base64(json(rng, 0).as_bytes()), base64(&signature)].join(".")
        }
    }
}

fn bytes(rng: &mut Rng, most: usize) -> Vec<u8> {
    (0..rng.usize(..most)).map(|_| rng.u8(..)).collect()
}

/// Something like JSON, with names that mean something.
fn json(rng: &mut Rng, depth: usize) -> String {
    let names =
        ["alg", "kid", "crit", "exp", "iat", "nbf", "iss", "aud", "roles", "user_id", "username", "x"];
    let values = [
        "null",
        "true",
        "0",
        "-1",
        "1e18",
        "99999999999",
        "1.5",
        "1e999",
        "\"HS256\"",
        "\"k\"",
        "\"\\u0000\"",
    ];
    match rng.u8(..12) {
        0 if depth > 0 => values[rng.usize(..values.len())].to_owned(),
        1 => String::from_utf8_lossy(&bytes(rng, 20)).into_owned(),
        2 | 3 if depth > 0 && depth < 6 => {
            let items: Vec<String> = (0..rng.usize(..4)).map(|_| json(rng, depth + 1)).collect();
            format!("[{}]", items.join(","))
        }
        4 => "[".repeat(rng.usize(..300)),
        _ if depth > 3 => values[rng.usize(..values.len())].to_owned(),
        _ if depth > 0 && rng.bool() => values[rng.usize(..values.len())].to_owned(),
        _ => {
            let member = |rng: &mut Rng| {
                let name = names[rng.usize(..names.len())];
                let value = if rng.bool() {
                    values[rng.usize(..values.len())].to_owned()
                } else {
                    json(rng, depth + 1)
                };
                format!("\"{name}\":{value}")
            };
            let members: Vec<String> = (0..rng.usize(..6)).map(|_| member(rng)).collect();
            format!("{{{}}}", members.join(","))
        }
    }
}
