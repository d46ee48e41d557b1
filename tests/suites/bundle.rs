//! Bundles: what is written is read back, and no byte string, however made, panics, reads as something else than it says, or
//! allocates beyond what its length justifies.

use pbac_tests::counting::{Counting, measure};
use pbac_tests::world::{Conflict, Effect, Override, Role, User, World};
use pbac_tests::{convert, generate};
use policy_core::{BundleError, FORMAT_VERSION, Index, Label, Policy, PolicyParts, decode, encode};
use sha2::{Digest, Sha256};

#[global_allocator]
static COUNTING: Counting = Counting;

/// Where the payload begins: four bytes of magic, two of version, 32 of hash.
const HEADER: usize = 38;
/// The most bytes that reading may hold at one time, for each byte of the bundle: one byte can stand for an entry of a list,
/// which takes some tens of bytes as it is read and again as a part of a policy. The inputs below come to 52.
const BYTES_PER_BYTE: i64 = 64;
/// What reading may hold for a bundle of no length: the message of the error.
const BYTES_BASE: i64 = 1_024;

/// A small policy that has something in every field.
fn parts() -> PolicyParts {
    let role = |name: &str, grants: &[&str], inherits: &[&str], aliases: &[&str]| Role {
        name: name.to_owned(),
        grants: texts(grants),
        inherits: texts(inherits),
        aliases: texts(aliases),
    };
    let over = |effect, pattern: &str, expires_at| Override {
        user: "42".to_owned(),
        effect,
        pattern: pattern.to_owned(),
        expires_at,
        reason: "why".to_owned(),
    };
    let world = World {
        permissions: texts(&["po.approve", "po.view", "stock.adjust"]),
        roles: vec![role("BUYER", &["po.*"], &[], &["buyer"]), role("HEAD", &["stock.a*"], &["BUYER"], &[])],
        overrides: vec![over(Effect::Deny, "po.approve", Some(-1)), over(Effect::Allow, "*", None)],
        users: vec![User { user: "42".to_owned(), roles: texts(&["HEAD", "nobody"]) }],
        conflicts: vec![Conflict {
            name: "both".to_owned(),
            left: "po.view".to_owned(),
            right: "po.approve".to_owned(),
        }],
    };
    let mut parts = convert::parts(&world).expect("parts");
    parts.permissions[0].module = Label::parse("purchasing").expect("a label");
    parts.permissions[0].description = "Approve".to_owned();
    parts.roles[0].description = "Buys".to_owned();
    parts.conflicts[0].reason = "four eyes".to_owned();
    parts
}

fn texts(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn small() -> (Policy, Vec<u8>) {
    let policy = Policy::new(parts()).expect("a policy");
    let bytes = encode(&policy).expect("a bundle");
    (policy, bytes)
}

/// A bundle of this payload whose hash is right, so that the payload itself is read.
fn with_hash(payload: &[u8]) -> Vec<u8> {
    let mut bytes = b"PBAC".to_vec();
    bytes.extend(FORMAT_VERSION.to_le_bytes());
    let hash = Sha256::new().chain_update(&bytes).chain_update(payload).finalize();
    bytes.extend(hash);
    bytes.extend(payload);
    bytes
}

/// Reads bytes that may be anything: a policy must be the one that the bytes stand for, and the memory must be in proportion.
fn read(bytes: &[u8]) -> Result<Policy, BundleError> {
    let (result, usage) = measure(|| decode(bytes));
    let most = BYTES_BASE + BYTES_PER_BYTE * i64::try_from(bytes.len()).expect("a length");
    assert!(usage.peak_bytes <= most, "{} bytes held for {}: {bytes:?}", usage.peak_bytes, bytes.len());
    let (index, usage) = measure(|| Index::from_bundle(bytes));
    match &result {
        Ok(policy) => {
            assert_eq!(encode(policy).expect("a bundle"), bytes, "read, it says something else");
            // Compiling what could be read answers too, or names a limit, whichever way it is read.
            match (index, Index::compile(policy)) {
                (Ok(index), Ok(compiled)) => assert_eq!(format!("{index:?}"), format!("{compiled:?}")),
                (Err(error), Err(limit)) => assert_eq!(error, limit.into()),
                (index, compiled) => panic!("{index:?} and {compiled:?}: {bytes:?}"),
            }
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            let refused = index.expect_err("what is no policy makes no compiled form");
            assert!(!refused.to_string().is_empty());
            assert!(
                usage.peak_bytes <= most,
                "{} bytes held for {}: {bytes:?}",
                usage.peak_bytes,
                bytes.len()
            );
        }
    }
    result
}

#[test]
fn what_is_written_is_read_back() {
    for seed in 0..2_000 {
        let world = generate::world(&mut fastrand::Rng::with_seed(seed));
        let policy = convert::policy(&world).expect("a policy");
        let bytes = encode(&policy).expect("a bundle");
        assert_eq!(read(&bytes).as_ref(), Ok(&policy), "seed {seed}");
    }
    let (policy, bytes) = small();
    assert_eq!(read(&bytes).as_ref(), Ok(&policy));
    assert_eq!(Index::compile(&policy).expect("compiles").content_hash().0, bytes[6..HEADER]);
    assert_eq!(with_hash(&bytes[HEADER..]), bytes, "the header is as documented");
    let empty = Policy::new(PolicyParts::default()).expect("a policy");
    assert_eq!(read(&encode(&empty).expect("a bundle")), Ok(empty));
}

#[test]
fn the_order_of_the_parts_does_not_show() {
    let (policy, bytes) = small();
    for seed in 0..50 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut parts = parts();
        rng.shuffle(&mut parts.permissions);
        rng.shuffle(&mut parts.roles);
        rng.shuffle(&mut parts.overrides);
        parts.users[0].roles.reverse();
        let twice = parts.overrides[0].clone();
        parts.overrides.push(twice);
        let other = Policy::new(parts).expect("a policy");
        assert_eq!(other, policy);
        assert_eq!(encode(&other).expect("a bundle"), bytes);
    }
}

#[test]
fn anything_said_otherwise_changes_the_hash() {
    let (_, bytes) = small();
    let edits: [fn(&mut PolicyParts); 9] = [
        |parts| parts.permissions[0].description.push('.'),
        |parts| parts.permissions[1].module = Label::parse("other").expect("a label"),
        |parts| parts.roles[0].description.push('.'),
        |parts| parts.roles[0].aliases.clear(),
        |parts| parts.roles[1].inherits.clear(),
        |parts| parts.overrides[0].expires_at = None,
        |parts| parts.overrides[0].reason.clear(),
        |parts| parts.conflicts[0].reason.clear(),
        |parts| drop(parts.users[0].roles.pop()),
    ];
    for (at, edit) in edits.iter().enumerate() {
        let mut parts = parts();
        edit(&mut parts);
        let other = encode(&Policy::new(parts).expect("a policy")).expect("a bundle");
        assert_ne!(other[6..HEADER], bytes[6..HEADER], "edit {at}");
    }
}

#[test]
fn every_truncation_is_refused() {
    let (_, bytes) = small();
    for length in 0..bytes.len() {
        match read(&bytes[..length]) {
            Err(BundleError::TooShort(found)) if length < HEADER => assert_eq!(found, length),
            Err(BundleError::HashMismatch { .. }) if length >= HEADER => {}
            other => panic!("{length} bytes: {other:?}"),
        }
    }
}

#[test]
fn every_flipped_bit_is_refused() {
    let (_, bytes) = small();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            match (at, read(&damaged)) {
                (0..4, Err(BundleError::NotABundle))
                | (4..6, Err(BundleError::UnknownVersion(_)))
                | (6.., Err(BundleError::HashMismatch { .. })) => {}
                (at, other) => panic!("byte {at}, bit {bit}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_version_that_is_not_known_is_named() {
    let (_, mut bytes) = small();
    bytes[4..6].copy_from_slice(&2_u16.to_le_bytes());
    let error = read(&bytes).expect_err("version 2");
    assert_eq!(error, BundleError::UnknownVersion(2));
    assert!(error.to_string().contains("bundle format 2 is not known"), "{error}");
}

#[test]
fn trailing_bytes_are_refused() {
    let (_, bytes) = small();
    for extra in 1..20 {
        let mut longer = bytes.clone();
        longer.extend(vec![0; extra]);
        assert!(matches!(read(&longer), Err(BundleError::HashMismatch { .. })));
        assert_eq!(read(&with_hash(&longer[HEADER..])), Err(BundleError::TrailingBytes(extra)));
    }
}

#[test]
fn a_forged_hash_gains_nothing_with_every_truncation_and_flipped_bit() {
    let (policy, bytes) = small();
    let payload = &bytes[HEADER..];
    for length in 0..payload.len() {
        assert!(read(&with_hash(&payload[..length])).is_err(), "{length} bytes of payload");
    }
    let mut read_well = 0;
    for at in 0..payload.len() {
        for bit in 0..8 {
            let mut damaged = payload.to_vec();
            damaged[at] ^= 1 << bit;
            if let Ok(other) = read(&with_hash(&damaged)) {
                assert_ne!(other, policy);
                read_well += 1;
            }
        }
    }
    assert!(read_well > 0, "some flips make another policy, written the one way");
}

#[test]
fn a_policy_written_another_way_is_refused() {
    // An empty policy is seven empty lists; a length of two bytes that says none is the same policy, written otherwise.
    let empty = encode(&Policy::new(PolicyParts::default()).expect("a policy")).expect("a bundle");
    let lists = empty.len() - HEADER;
    assert_eq!(empty[HEADER..], vec![0; lists]);
    for at in 0..lists {
        let mut payload = vec![0; lists];
        payload.splice(at..=at, [0x80, 0x00]);
        assert_eq!(read(&with_hash(&payload)), Err(BundleError::NotCanonical), "list {at}");
    }
}

#[test]
fn hostile_lengths_allocate_nothing_to_speak_of() {
    let (_, bytes) = small();
    let payload = &bytes[HEADER..];
    let lengths: [&[u8]; 5] = [
        &[0x7f],
        &[0xff, 0x7f],
        &[0xff, 0xff, 0xff, 0xff, 0x0f],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
        &[0xff; 12],
    ];
    for length in lengths {
        for at in 0..payload.len() {
            // In the place of one byte, and followed by nothing.
            let mut put = payload.to_vec();
            put.splice(at..=at, length.iter().copied());
            let _ = read(&with_hash(&put));
            put.truncate(at + length.len());
            let _ = read(&with_hash(&put));
        }
    }
}

#[test]
fn long_inputs_of_one_byte_keep_the_proportion() {
    for byte in [0x00, 0x01, 0x02, 0x20, b'a', 0x7f, 0x80, 0xff] {
        for length in [100, 10_000, 300_000] {
            let _ = read(&with_hash(&vec![byte; length]));
            // A list said to be as long as the rest, of entries as small as they come.
            let mut payload = vec![0; 8];
            payload.extend([0xa0, 0x8d, 0x06]);
            payload.extend(vec![byte; length]);
            for lists_before in 0..8 {
                let _ = read(&with_hash(&payload[lists_before..]));
            }
        }
    }
}

#[test]
fn random_bytes_are_refused() {
    let mut rng = fastrand::Rng::with_seed(1);
    let (_, bytes) = small();
    for _ in 0..30_000 {
        let random: Vec<u8> = (0..rng.usize(..200)).map(|_| rng.u8(..)).collect();
        assert!(read(&random).is_err());
        let _ = read(&with_hash(&random));
        // A few bytes of a real payload changed, moved or doubled.
        let mut payload = bytes[HEADER..].to_vec();
        for _ in 0..rng.usize(1..6) {
            let at = rng.usize(..payload.len());
            match rng.u8(..4) {
                0 => payload[at] = rng.u8(..),
                1 => drop(payload.remove(at)),
                2 => payload.insert(at, rng.u8(..8)),
                _ => {
                    let end = rng.usize(at..payload.len());
                    let part = payload[at..end].to_vec();
                    payload.splice(at..at, part);
                }
            }
        }
        let _ = read(&with_hash(&payload));
    }
}
