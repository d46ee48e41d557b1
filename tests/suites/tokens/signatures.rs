//! Signatures of the three algorithms: RustCrypto's, of today's versions, against jsonwebtoken's, which brings older ones.

use fastrand::Rng;
use jsonwebtoken::EncodingKey;
use pbac_tests::token_oracle::{decoding_key, theirs};
use pbac_tests::tokens::{Signer, base64};
use policy_core::Timestamp;
use policy_core::keys::{Algorithm, KeyHistory, KeyId, KeyPhase, KeyRecord};
use policy_core::token::{KeyRing, TokenBuffer, TokenError, TokenRules, VerifyingKey};

const ALGORITHMS: [Algorithm; 3] = [Algorithm::Hs256, Algorithm::EdDsa, Algorithm::Es256];
/// The start of a private key in PKCS #8 (RFC 8410 section 7, RFC 5915): its last bytes are the key's own.
const ED25519_PKCS8: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
const P256_PKCS8: [u8; 35] = [
    0x30, 0x41, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
    0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04, 0x27, 0x30, 0x25, 0x02, 0x01, 0x01, 0x04,
    0x20,
];

fn encoding_key(algorithm: Algorithm, private: &[u8; 32]) -> EncodingKey {
    match algorithm {
        Algorithm::Hs256 => EncodingKey::from_secret(private),
        Algorithm::EdDsa => EncodingKey::from_ed_der(&[&ED25519_PKCS8[..], private].concat()),
        Algorithm::Es256 => EncodingKey::from_ec_der(&[&P256_PKCS8[..], private].concat()),
    }
}

/// A ring of one key.
pub(crate) fn ring_of(key: VerifyingKey) -> KeyRing {
    let id = KeyId::parse("k").expect("a name");
    let phase = KeyPhase::Active { since: None };
    let history = KeyHistory::new([KeyRecord { id: id.clone(), algorithm: key.algorithm(), phase }], []);
    KeyRing::new(&history.expect("one key"), [(id, key)], TokenRules::default()).expect("a ring")
}

#[test]
fn each_library_verifies_what_the_other_signs() {
    let mut rng = Rng::with_seed(1);
    let mut buffer = TokenBuffer::default();
    for round in 0..60 {
        for algorithm in ALGORITHMS {
            let mut private = [0; 32];
            rng.fill(&mut private);
            let signer = Signer::new(algorithm, &private);
            let encoding = encoding_key(algorithm, &private);
            let decoding = decoding_key(&signer);
            let length = rng.usize(..300);
            let claims = format!(r#"{{"exp":2000000000,"x":"{}"}}"#, "x".repeat(length));
            let token = signer.token(&format!(r#"{{"alg":"{algorithm}"}}"#), &claims);
            let (parts, ours) = token.rsplit_once('.').expect("three parts");

            let signed = jsonwebtoken::crypto::sign(parts.as_bytes(), &encoding, theirs(algorithm));
            let signed = signed.expect("jsonwebtoken signs");
            // All three are deterministic (RFC 8032; RFC 6979).
            assert_eq!(signed, ours, "{algorithm}, round {round}");
            let verified = jsonwebtoken::crypto::verify(ours, parts.as_bytes(), &decoding, theirs(algorithm));
            assert_eq!(verified.ok(), Some(true), "{algorithm}, round {round}");
            let ring = ring_of(signer.verifying());
            let verified = ring.verify(&format!("{parts}.{signed}"), Timestamp::from_seconds(0), &mut buffer);
            assert!(verified.is_ok(), "{algorithm}, round {round}: {verified:?}");
        }
    }
}

#[test]
fn each_library_refuses_signatures_that_are_a_bit_off() {
    let mut buffer = TokenBuffer::default();
    for algorithm in ALGORITHMS {
        let signer = Signer::made_up(algorithm, "bit by bit");
        let ring = ring_of(signer.verifying());
        let parts = format!("{}.{}", base64(format!(r#"{{"alg":"{algorithm}"}}"#).as_bytes()), base64(b"{}"));
        let right = signer.signature(parts.as_bytes());
        for bit in 0..right.len() * 8 {
            let mut signature = right.clone();
            signature[bit / 8] ^= 1 << (bit % 8);
            let signature = base64(&signature);
            let ours = ring.verify(&format!("{parts}.{signature}"), Timestamp::from_seconds(0), &mut buffer);
            assert_eq!(ours.err(), Some(TokenError::BadSignature), "{algorithm}, bit {bit}");
            let decoding = decoding_key(&signer);
            let theirs =
                jsonwebtoken::crypto::verify(&signature, parts.as_bytes(), &decoding, theirs(algorithm));
            assert_ne!(theirs.ok(), Some(true), "{algorithm}, bit {bit}");
        }
    }
}

/// The comparison is RustCrypto's, in constant time (`Mac::verify_slice`), and nothing in policy-core compares signatures
/// itself. Time cannot be measured in a test that has to give the same result on every machine; what can be told is that
/// there is one place that compares, and what it is.
#[test]
fn signatures_are_compared_in_one_place_and_in_constant_time() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../policy-core/src/token");
    let mut compares = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            continue;
        }
        let source = std::fs::read_to_string(&path).expect("a source");
        for (number, line) in source.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let about_signatures = code.contains("signature") || code.contains("mac");
            if about_signatures && (code.contains("==") || code.contains("!=") || code.contains("into_bytes"))
            {
                panic!("{}:{}: `{line}` compares a signature itself", path.display(), number + 1);
            }
            if code.contains("verify_slice(")
                || code.contains("verify_strict(")
                || code.contains("key.verify(")
            {
                compares.push(code.trim().to_owned());
            }
        }
    }
    assert_eq!(compares.len(), 3, "one for each algorithm: {compares:?}");
    assert!(compares.iter().any(|line| line.contains("mac.verify_slice(signature)")), "{compares:?}");
}

#[test]
fn a_public_key_that_is_none_makes_no_ring() {
    let id = KeyId::parse("k").expect("a name");
    let ring = |key: VerifyingKey, algorithm| {
        let phase = KeyPhase::Active { since: None };
        let history = KeyHistory::new([KeyRecord { id: id.clone(), algorithm, phase }], []).expect("one key");
        KeyRing::new(&history, [(id.clone(), key)], TokenRules::default())
            .map(|_| ())
            .map_err(|e| e.to_string())
    };
    let unusable = Err("key `k` cannot be used for its algorithm".to_owned());
    // y = 2 is on no point of Ed25519; a point of P-256 begins with 4 and lies on the curve.
    let mut y = [0; 32];
    y[0] = 2;
    assert_eq!(ring(VerifyingKey::EdDsa(y), Algorithm::EdDsa), unusable);
    let mut point: [u8; 65] = Signer::made_up(Algorithm::Es256, "a").public().try_into().expect("65 bytes");
    assert_eq!(ring(VerifyingKey::Es256(point), Algorithm::Es256), Ok(()));
    point[64] ^= 1;
    assert_eq!(ring(VerifyingKey::Es256(point), Algorithm::Es256), unusable);
    assert_eq!(ring(VerifyingKey::Es256([0; 65]), Algorithm::Es256), unusable);
    // A key of another algorithm than its record says.
    assert_eq!(ring(Signer::made_up(Algorithm::EdDsa, "a").verifying(), Algorithm::Hs256), unusable);
    let history = KeyHistory::new(
        [KeyRecord { id: id.clone(), algorithm: Algorithm::Hs256, phase: KeyPhase::Active { since: None } }],
        [],
    );
    let missing = KeyRing::new(&history.expect("one key"), [], TokenRules::default()).map(|_| ());
    assert_eq!(missing.map_err(|error| error.to_string()), Err("key `k` is known by name only".to_owned()));
}

#[test]
fn weak_points_of_ed25519_sign_nothing() {
    // The points of small order: with one as the public key, R the neutral point and s = 0 is a signature of anything for
    // who does not look (jsonwebtoken does not).
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let mut signature = [0; 64];
    signature[0] = 1;
    let token =
        format!("{}.{}.{}", base64(br#"{"alg":"EdDSA"}"#), base64(br#"{"exp":9}"#), base64(&signature));
    let (parts, text) = token.rsplit_once('.').expect("three parts");
    let theirs = jsonwebtoken::crypto::verify(
        text,
        parts.as_bytes(),
        &jsonwebtoken::DecodingKey::from_ed_der(&neutral),
        jsonwebtoken::Algorithm::EdDSA,
    );
    assert_eq!(theirs.ok(), Some(true), "jsonwebtoken takes it");
    let mut buffer = TokenBuffer::default();
    let ring = ring_of(VerifyingKey::EdDsa(neutral));
    let ours = ring.verify(&token, Timestamp::from_seconds(0), &mut buffer);
    assert_eq!(ours.err(), Some(TokenError::BadSignature));
}
