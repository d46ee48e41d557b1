//! What must hold whatever bytes come: one function for each target of `tests/fuzz`, which feeds them. The suite `fuzz_corpus` runs
//! them on the inputs that were kept, so a finding stays found on any compiler.

use crate::oracle;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use pbac::env_file::EnvText;
use pbac_wasm::{Instance, Subject};
use policy_core::token::{KeyRing, TokenBuffer, TokenError};
use policy_core::{
    Index, Label, Pattern, Permission, PermissionName, Policy, PolicyParts, Role, RoleName, Timestamp,
    UserId, UserRoles, decode, encode,
};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde::de::IgnoredAny;
use sha2::{Digest, Sha256};

/// One input of a target.
pub type Target = fn(&[u8]);

/// Every target by its name, which is that of its directory of inputs.
pub const TARGETS: [(&str, Target); 6] = [
    ("abi_calls", abi_calls),
    ("bundle", bundle),
    ("env_file", env_file),
    ("pattern", pattern),
    ("policy_file", policy_file),
    ("token", token),
];

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

const RING: &str = r#"{"keys":[{"kty":"oct","kid":"k1","alg":"HS256","k":"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY","state":"active","since":null}],"revoked":[{"kid":"k0","at":0}],"rules":{"leeway":0,"token_life":null,"issuers":[],"audiences":[]}}"#;

const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);

/// The bytes of a bundle: as they are, and as the payload of a header that fits them, since hardly any would by chance.
pub fn bundle(data: &[u8]) {
    for bytes in [data.to_vec(), with_header(data)] {
        let index = Index::from_bundle(&bytes);
        let Ok(policy) = decode(&bytes) else {
            index.expect_err("what is no policy makes no compiled form");
            continue;
        };
        assert_eq!(encode(&policy).unwrap(), bytes, "there is one bundle for a policy");
        match (index, Index::compile(&policy)) {
            (Ok(index), Ok(compiled)) => assert_eq!(format!("{index:?}"), format!("{compiled:?}")),
            (Err(error), Err(limit)) => assert_eq!(error, limit.into()),
            (index, compiled) => panic!("{index:?} and {compiled:?}"),
        }
    }
}

/// A pattern, and after a line feed a permission.
pub fn pattern(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (left, right) = text.split_once('\n').unwrap_or((text, "po.approve"));
    let (pattern, permission) = (Pattern::parse(left), PermissionName::parse(right));
    assert_eq!(pattern.is_ok(), oracle::check_pattern(left).is_ok(), "{left:?}");
    assert_eq!(permission.is_ok(), oracle::check_permission(right).is_ok(), "{right:?}");
    if let (Ok(pattern), Ok(permission)) = (pattern, permission) {
        assert_eq!(pattern.matches(&permission), oracle::matches(left, right), "{left:?} and {right:?}");
    }
}

/// What others read of a token's payload. Of members that it does not name they, as we, look at the form alone.
#[derive(Deserialize)]
struct Expiry {
    exp: f64,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
}

/// The payload of a token: signed, so that it is read, and the bytes as a whole token, which nobody has signed.
pub fn token(data: &[u8]) {
    let ring = KeyRing::from_document(RING).unwrap();
    let mut buffer = TokenBuffer::default();
    if let Ok(text) = std::str::from_utf8(data) {
        ring.verify(text, NOW, &mut buffer).expect_err("nobody signed it");
    }
    let signed = signed_parts(br#"{"typ":"JWT","alg":"HS256","kid":"k1"}"#, data);
    match ring.verify(&signed, NOW, &mut buffer) {
        Ok(verified) => {
            let there = serde_json::from_slice::<Expiry>(data);
            let Expiry { exp } = there.expect("JSON with a time, as others read it");
            assert!(exp > 1_700_000_000.0 && verified.claims.exp > NOW, "{exp}");
        }
        // A member twice, a lone surrogate and great depth are refused by us alone.
        Err(TokenError::TooLong | TokenError::MalformedClaims) => {}
        Err(_) => {
            serde_json::from_slice::<IgnoredAny>(data).expect("JSON, since its claims were looked at");
        }
    }
    let header_too = signed_parts(data, br#"{"user_id":1,"exp":1800000000}"#);
    if let Ok(verified) = ring.verify(&header_too, NOW, &mut buffer) {
        let header = serde_json::from_slice::<Header>(data).expect("JSON, as others read it");
        assert_eq!(header.alg, "HS256");
        assert_eq!(verified.named_key, header.kid.as_deref() == Some("k1"));
    }
}

/// The text of a policy file. What is read makes a bundle.
pub fn policy_file(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match pbac::policy_file::parse(text, "fuzz.toml") {
        Ok(file) => assert_eq!(decode(&encode(&file.policy).unwrap()).unwrap(), file.policy),
        Err(error) => assert!(error.to_string().starts_with("fuzz.toml"), "{error}"),
    }
}

/// The bytes of a `.env` file, into which a rotation is written.
pub fn env_file(data: &[u8]) {
    let Ok(text) = EnvText::parse(data) else { return };
    assert_eq!(text.bytes(), data);
    let news =
        [("SECRET_KEY", "new-secret"), ("SECRET_KEYS_HISTORY", "[\"a b\", 'c'"), ("KEY_LAST_ROTATED", "1")];
    let Ok(changed) = text.with_values(&news, Some("SECRET_KEY")) else { return };
    for (name, value) in news {
        let read = changed.value(name).expect("what was written is clear").expect("it was written");
        assert_eq!(read.expose_secret(), value, "{name}");
    }
    let again =
        changed.with_values(&news, Some("SECRET_KEY")).expect("what was written can be written again");
    assert_eq!(again.bytes(), changed.bytes(), "the same values change nothing");
    // Other variables say what they said.
    for name in ["A", "B", "DATABASE_URL"] {
        let [before, after] = [&text, &changed].map(|text| {
            text.value(name).map(|value| value.map(|value| value.expose_secret().to_owned())).map_err(drop)
        });
        assert_eq!(before, after, "{name}");
    }
}

/// Calls of the module, each of seven bytes: which one, the numbers, and what to put into the input buffer before.
pub fn abi_calls(data: &[u8]) {
    let mut instance = Instance::new();
    instance.init(4 << 20);
    let mut bytes = data.iter().copied();
    let small = small_bundle();
    let mut handle = 0;
    while let Some(which) = bytes.next() {
        let mut number = || {
            let byte = bytes.next().unwrap_or(0);
            match byte {
                0..=99 => i32::from(byte),
                100..=199 => 150 - i32::from(byte),
                200..=209 => i32::MAX - i32::from(byte - 200),
                210..=219 => i32::MIN + i32::from(byte - 210),
                _ => handle,
            }
        };
        let subject = Subject { policy: number(), user: number(), roles: number() };
        let (other, length) = (number(), number());
        let now = i64::from(number()).saturating_mul(1 << 33);
        if which >= 64 {
            // Otherwise whatever is there from before is used again.
            let wanted = u32::from(bytes.next().unwrap_or(0));
            if let Some(buffer) = instance.reserve_input(wanted) {
                let prefix: &[u8] = match which % 4 {
                    0 => &small,
                    1 => RING.as_bytes(),
                    _ => b"42ADMINpo.approve",
                };
                for (place, byte) in buffer.iter_mut().zip(prefix.iter().copied().chain(&mut bytes)) {
                    *place = byte;
                }
            }
        }
        let answer = call(&mut instance, which % 32, subject, other, length, now);
        if answer > 0 && matches!(which % 32, 0 | 1 | 2 | 14) {
            handle = answer;
        }
        assert!(instance.output().len() <= 4 << 20);
    }
}

fn call(instance: &mut Instance, which: u8, subject: Subject, other: i32, length: i32, now: i64) -> i32 {
    let policy = subject.policy;
    match which {
        0 => instance.policy_load(length),
        1 => instance.ring_load(length),
        2 => instance.session(subject, now),
        3 => instance.policy_replace(policy, length),
        4 => instance.policy_hash(policy),
        5 => instance.permission_count(policy),
        6 => instance.permission_id(policy, length),
        7 => instance.permission_name(policy, other),
        8 => instance.catalog(policy),
        10 => instance.check_id(subject, other, now),
        11 => instance.check_batch(subject, length, now),
        12 => instance.decide(subject, length, now),
        13 => instance.explain(subject, length, now),
        14 => instance.session(subject, 0),
        15 => instance.permissions(subject, now),
        16 => instance.who_can(policy, length, now),
        17 => instance.session_set(subject, now),
        18 => instance.session_check(policy, other, now),
        19 => instance.session_read(policy),
        20 => instance.ring_replace(policy, length),
        21 => instance.ring_candidates(policy, other, length, now),
        22 => instance.token_verify(policy, length, now),
        23 => instance.free(policy),
        24 => instance.describe(other),
        25 => instance.trim(),
        26 => instance.init(other.cast_unsigned()),
        _ => instance.check(subject, length, now),
    }
}

/// A bundle that anything may follow: one role of one user.
fn small_bundle() -> Vec<u8> {
    let role = RoleName::parse("ADMIN").unwrap();
    let mut parts = PolicyParts::default();
    parts.permissions.push(Permission {
        name: PermissionName::parse("po.approve").unwrap(),
        module: Label::parse("po").unwrap(),
        description: String::new(),
    });
    parts.roles.push(Role { grants: vec![Pattern::parse("po.*").unwrap()], ..Role::named(role.clone()) });
    parts.users.push(UserRoles { user: UserId::parse("42").unwrap(), roles: vec![role] });
    encode(&Policy::new(parts).unwrap()).unwrap()
}

fn with_header(payload: &[u8]) -> Vec<u8> {
    let any = encode(&Policy::new(PolicyParts::default()).unwrap()).unwrap();
    let before_the_hash = &any[..6];
    let hash = Sha256::new_with_prefix(before_the_hash).chain_update(payload).finalize();
    [before_the_hash, &hash, payload].concat()
}

fn signed_parts(header: &[u8], claims: &[u8]) -> String {
    let parts = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET).unwrap();
    mac.update(parts.as_bytes());
    format!("{parts}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}
