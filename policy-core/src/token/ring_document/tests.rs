use super::*;
use crate::keys::{HmacSecret, KeyHistory, KeyId, KeyPhase, KeyRecord, Revocation};
use crate::time::Timestamp;
use crate::token::{TokenRules, VerifyingKey};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

const SECRET: &[u8] = b"q3J9tq7pV0m2Zx8sLw4nB6yR1cK5dF-hGjT_uEoAiXk";
/// The same in base64url.
const K: &str = "cTNKOXRxN3BWMG0yWng4c0x3NG5CNnlSMWNLNWRGLWhHalRfdUVvQWlYaw";

fn id(text: &str) -> KeyId {
    KeyId::parse(text).ok().unwrap()
}

fn history() -> KeyHistory {
    let at = Timestamp::from_micros;
    let record = |name: &str, phase| KeyRecord { id: id(name), algorithm: Algorithm::Hs256, phase };
    KeyHistory::new(
        [
            record("new", KeyPhase::Staged { since: at(30) }),
            record("k1", KeyPhase::Active { since: None }),
            record("k0", KeyPhase::Retired { since: Some(at(-5)), not_after: None }),
        ],
        [Revocation { id: id("stolen"), at: at(7) }],
    )
    .unwrap()
}

fn keys(secret: &[u8]) -> Vec<(KeyId, VerifyingKey)> {
    let key = || VerifyingKey::Hs256(HmacSecret::new(secret).unwrap());
    ["new", "k1", "k0"].map(|name| (id(name), key())).into()
}

fn rules() -> TokenRules {
    TokenRules {
        leeway: Duration::from_secs(5),
        token_life: Some(Duration::from_secs(3600)),
        issuers: ["a \"quoted\" one\n".to_string()].into(),
        audiences: Vec::new(),
    }
}

/// A ring with one key, whose members are these.
fn document(members: &str) -> String {
    format!(r#"{{"keys":[{{{members}}}],"revoked":[],"rules":{{}}}}"#)
}

fn message(json: &str) -> String {
    KeyRing::from_document(json).err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn what_is_written_is_read_again() {
    let written = write_document(&history(), &keys(SECRET), &rules()).unwrap();
    let ring = KeyRing::from_document(&written).unwrap();
    assert_eq!(ring.history(), &history());
    assert_eq!(ring.rules(), &rules());
    assert!(
        written.contains(&format!(r#""kty":"oct","k":"{K}","state":"active","since":null}}"#)),
        "{}",
        *written
    );
}

#[test]
fn the_text_is_never_moved_while_it_grows() {
    let mut secret = SECRET.repeat(90);
    secret.truncate(4096);
    let rules = TokenRules { issuers: ["\u{1}".repeat(3000)].into(), ..rules() };
    let written = write_document(&history(), &keys(&secret), &rules).unwrap();
    assert_eq!(written.capacity(), write::capacity(&history(), &keys(&secret), &rules));
}

#[test]
fn a_key_that_is_missing_or_of_another_algorithm_is_not_written() {
    assert_eq!(write_document(&history(), &[], &rules()).err(), Some(RingError::Missing(id("k1"))));
    let other = [(id("k1"), VerifyingKey::EdDsa([1; 32]))];
    assert_eq!(write_document(&history(), &other, &rules()).err(), Some(RingError::Unusable(id("k1"))));
}

#[test]
fn a_plain_key_set_is_told_what_it_lacks() {
    let plain = format!(r#"{{"keys":[{{"kty":"oct","use":"sig","alg":"HS256","kid":"k1","k":"{K}"}}]}}"#);
    assert_eq!(
        message(&plain),
        "key number 1 of the key ring: its `state` is none of `staged`, `active` and `retired`; a plain JWK Set does not say it: add it to each key, and to each retired one `since` and `not_after`"
    );
    let rest = format!(r#"{{"keys":[{{"kty":"oct","alg":"HS256","kid":"k1","k":"{K}","state":"active"}}]}}"#);
    assert_eq!(KeyRing::from_document(&rest).err(), Some(RingDocumentError::Missing("revoked")));
}

#[test]
fn each_fault_of_a_key_is_named_without_its_secret() {
    let key = |problem| Some(RingDocumentError::Key { place: 1, problem });
    let found = |members: &str| KeyRing::from_document(&document(members)).err();
    let good = format!(r#""kty":"oct","kid":"k1","alg":"HS256","k":"{K}","state":"active""#);
    assert_eq!(found(&good), None);
    let changed = |from: &str, to: &str| {
        assert!(good.contains(from));
        let json = document(&good.replace(from, to));
        assert!(!message(&json).contains(&K[..8]), "{}", message(&json));
        KeyRing::from_document(&json).err()
    };
    assert_eq!(changed(r#""k1""#, r#""k 1""#), key(KeyProblem::Id));
    assert_eq!(changed("HS256", "none"), key(KeyProblem::Algorithm));
    assert_eq!(changed("oct", "EC"), key(KeyProblem::Type));
    assert_eq!(changed(r#""k":"#, r#""kk":"#), key(KeyProblem::Material("k")));
    // The last character of 59 has two bits that belong to no byte.
    assert_eq!(changed("Yaw", "Yax"), key(KeyProblem::Material("k")));
    assert_eq!(changed("cTNK", "\\u0063TNK"), key(KeyProblem::Material("k")));
    assert_eq!(changed(&K[40..], ""), key(KeyProblem::Weak(WeakSecret::Short { bytes: 30 })));
    assert_eq!(changed("active", "Active"), key(KeyProblem::State));
    assert_eq!(changed("active", "staged"), key(KeyProblem::Time("since")));
    assert_eq!(changed("active", "retired"), key(KeyProblem::Time("since")));
    assert_eq!(changed(r#""active""#, r#""retired","since":null"#), key(KeyProblem::Time("not_after")));
    assert_eq!(changed(r#""active""#, r#""active","since":1.5"#), key(KeyProblem::Time("since")));
    assert_eq!(changed(r#""active""#, r#""retired","since":1,"not_after":null"#), None);
    // A member that is there twice, in the key and beside it.
    assert!(matches!(changed(r#""kty""#, r#""k":"","kty""#), Some(RingDocumentError::Form { line: 1, .. })));
    assert!(matches!(
        changed(r#""active""#, r#""active","#),
        Some(RingDocumentError::NotJson { line: 1, .. })
    ));
}

#[test]
fn what_is_beside_the_keys_is_read_strictly() {
    let found = |json: &str| KeyRing::from_document(json).err();
    assert_eq!(found(r#"{"keys":[],"revoked":[],"rules":{}}"#), None);
    assert_eq!(found(r#"{"keys":[],"revoked":[]}"#), Some(RingDocumentError::Missing("rules")));
    assert_eq!(
        found(r#"{"keys":[],"revoked":[{"kid":"k1"}],"rules":{}}"#),
        Some(RingDocumentError::Revocation { place: 1 })
    );
    let rule = |rules: &str| found(&format!(r#"{{"keys":[],"revoked":[],"rules":{rules}}}"#));
    assert_eq!(rule(r#"{"leeway":-1}"#), Some(RingDocumentError::Rule("leeway")));
    assert_eq!(rule(r#"{"token_life":0.5}"#), Some(RingDocumentError::Rule("token_life")));
    assert_eq!(rule(r#"{"issuers":"one"}"#), Some(RingDocumentError::Rule("issuers")));
    for form in [r#"{"audience":[]}"#, r#"{"leeway":1,"leeway":1}"#, "7"] {
        assert!(matches!(rule(form), Some(RingDocumentError::Form { .. })), "{form}");
    }
    for json in ["[]", r#"{"keys":{}}"#, r#"{"keys":[],"keys":[]}"#, r#"{"keyz":[]}"#] {
        assert!(matches!(found(json), Some(RingDocumentError::Form { .. })), "{json}");
    }
    for json in ["", "{", r#"{"keys":[],"revoked":[],"rules":{}}}"#] {
        assert!(matches!(found(json), Some(RingDocumentError::NotJson { line: 1 | 0, .. })), "{json}");
    }
    let twice = format!(
        r#"{{"keys":[{0},{0}],"revoked":[],"rules":{{}}}}"#,
        format_args!(r#"{{"kty":"oct","kid":"k1","alg":"HS256","k":"{K}","state":"active"}}"#)
    );
    assert_eq!(found(&twice), Some(RingDocumentError::History(KeyHistoryError::Duplicate(id("k1")))));
}

#[test]
fn an_algorithm_that_is_left_out_is_named() {
    let x = "A".repeat(43);
    let json = document(&format!(
        r#""kty":"OKP","crv":"Ed25519","kid":"k1","alg":"EdDSA","x":"{x}","state":"active","since":0"#
    ));
    let found = KeyRing::from_document(&json).err();
    let left_out = RingDocumentError::Key { place: 1, problem: KeyProblem::NotBuilt(Algorithm::EdDsa) };
    assert_eq!(found == Some(left_out), !cfg!(feature = "eddsa"), "{found:?}");
}
