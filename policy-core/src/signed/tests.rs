#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed unwrap is a failed test")]

use super::*;
use crate::{Label, Permission, PermissionName, PolicyParts, encode};
use alloc::string::String;
use alloc::{format, vec};

const NOW: Timestamp = Timestamp::from_seconds(1_000);
const END: Timestamp = Timestamp::from_seconds(2_000);

fn bundle(permission: &str) -> Vec<u8> {
    let permission = Permission {
        name: PermissionName::parse(permission).unwrap(),
        module: Label::parse("m").unwrap(),
        description: String::new(),
    };
    encode(&Policy::new(PolicyParts { permissions: vec![permission], ..PolicyParts::default() }).unwrap())
        .unwrap()
}

fn signer(name: &str, seed: u8) -> BundleSigner {
    BundleSigner::new(KeyId::parse(name).unwrap(), &[seed; 32])
}

fn trust(signer: &BundleSigner) -> TrustedKey {
    TrustedKey::new(signer.id.clone(), &signer.public()).unwrap()
}

fn reason(
    bundle: &[u8],
    signature: &[u8],
    trusted: &[TrustedKey],
    now: Timestamp,
    last: Option<Release>,
) -> Option<&'static str> {
    verify(bundle, signature, trusted, now, last).err().map(|error| error.reason())
}

#[test]
fn a_signed_bundle_is_read() {
    let (bundle, signer) = (bundle("a.b"), signer("publisher-1", 7));
    let signature = signer.sign(&bundle, 5, END).unwrap();
    let verified = verify(&bundle, &signature, &[trust(&signer)], NOW, None).unwrap();
    assert_eq!(verified.release().sequence, 5);
    assert_eq!(verified.expires_at(), END);
    assert_eq!(verified.decode().unwrap(), crate::decode(&bundle).unwrap());
    assert_eq!(verified.release().hash, ContentHash::of(&verified.decode().unwrap()).unwrap());
    assert!(signature.len() <= MAX_SIGNATURE_BYTES);
}

#[test]
fn what_is_not_signed_so_is_refused() {
    let (one, other, signer) = (bundle("a.b"), bundle("a.c"), signer("p", 7));
    let signature = signer.sign(&one, 5, END).unwrap();
    let trusted = [trust(&signer)];
    let stranger = self::signer("p", 8);
    assert_eq!(reason(&other, &signature, &trusted, NOW, None), Some("other_content"));
    assert_eq!(
        reason(&one, &stranger.sign(&one, 5, END).unwrap(), &trusted, NOW, None),
        Some("bad_signature")
    );
    assert_eq!(reason(&one, &signature, &[], NOW, None), Some("unknown_key"));
    let named_otherwise = [TrustedKey::new(KeyId::parse("q").unwrap(), &signer.public()).unwrap()];
    assert_eq!(reason(&one, &signature, &named_otherwise, NOW, None), Some("unknown_key"));
    assert_eq!(reason(&one, &signature, &trusted, END, None), Some("expired"));
    assert_eq!(reason(&one, &signature, &trusted, Timestamp::from_micros(END.micros() - 1), None), None);
    let mut damaged = one.clone();
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(reason(&damaged, &signature, &trusted, NOW, None), Some("bad_bundle"));
    assert!(signer.sign(&damaged, 5, END).is_err());
}

#[test]
fn a_superseded_bundle_does_not_come_back() {
    let (one, other, signer) = (bundle("a.b"), bundle("a.c"), signer("p", 7));
    let trusted = [trust(&signer)];
    let sign = |bundle, sequence| signer.sign(bundle, sequence, END).unwrap();
    let last = Some(verify(&one, &sign(&one, 5), &trusted, NOW, None).unwrap().release());
    assert_eq!(reason(&one, &sign(&one, 5), &trusted, NOW, last), None, "the same again");
    assert_eq!(reason(&other, &sign(&other, 6), &trusted, NOW, last), None);
    assert_eq!(reason(&one, &sign(&one, 6), &trusted, NOW, last), None, "the same policy, published again");
    assert_eq!(reason(&other, &sign(&other, 4), &trusted, NOW, last), Some("older_sequence"));
    assert_eq!(reason(&one, &sign(&one, 4), &trusted, NOW, last), Some("older_sequence"));
    assert_eq!(reason(&other, &sign(&other, 5), &trusted, NOW, last), Some("reused_sequence"));
}

#[test]
fn every_bit_counts() {
    let (bundle, signer) = (bundle("a.b"), signer("p-1", 7));
    let signature = signer.sign(&bundle, 5, END).unwrap();
    let trusted = [trust(&signer)];
    for at in 0..signature.len() {
        for bit in 0..8 {
            let mut changed = signature.clone();
            changed[at] ^= 1 << bit;
            assert!(verify(&bundle, &changed, &trusted, NOW, None).is_err(), "bit {bit} of byte {at}");
        }
        assert_eq!(
            reason(&bundle, &signature[..at], &trusted, NOW, None),
            Some("malformed_signature"),
            "{at}"
        );
    }
    let longer = [&signature[..], &[0]].concat();
    assert_eq!(reason(&bundle, &longer, &trusted, NOW, None), Some("malformed_signature"));
    let mut later = signature.clone();
    later[4] = 2;
    assert_eq!(reason(&bundle, &later, &trusted, NOW, None), Some("unknown_version"));
}

#[test]
fn both_go_into_one_file() {
    let (bundle, signer) = (bundle("a.b"), signer("p", 7));
    let signature = signer.sign(&bundle, 5, END).unwrap();
    let file = attach(&signature, &bundle);
    assert_eq!(detach(&file), Ok((&signature[..], &bundle[..])));
    assert_eq!(detach(&bundle).err().map(|error| error.reason()), Some("malformed_signature"));
    assert_eq!(detach(&[]).err().map(|error| error.reason()), Some("malformed_signature"));
}

/// The bytes of one signature, so that others who write or read it can be held to them.
#[test]
fn the_form_is_the_documented_one() {
    let bundle = bundle("a.b");
    let signature = signer("p", 7).sign(&bundle, 0x0102_0304, Timestamp::from_micros(0x0506)).unwrap();
    let hash = crate::bundle::checked(&bundle).unwrap().0;
    let expected =
        [&b"PBSG\x01\x00\x04\x03\x02\x01\0\0\0\0\x06\x05\0\0\0\0\0\0"[..], &hash.0, &b"\x01p"[..]].concat();
    assert_eq!(signature[..56], expected);
    assert_eq!(signature.len(), 56 + 64);
}

#[test]
fn keys_that_anybody_could_sign_for_are_refused_and_private_ones_are_not_shown() {
    let id = || KeyId::parse("p").unwrap();
    // The neutral element, and y = 2^255 - 1, which is none.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    assert_eq!(TrustedKey::new(id(), &neutral).err(), Some(BadPublicKey));
    assert_eq!(TrustedKey::new(id(), &[2; 32]).err(), Some(BadPublicKey));
    assert_eq!(format!("{:?}", signer("p", 7)), "BundleSigner(p, hidden)");
}

#[test]
fn settings_are_signed_as_bundles_are_and_neither_passes_for_the_other() {
    let (signer, settings) = (signer("p", 7), b"{\"ring\":{}}".as_slice());
    let trusted = [trust(&signer)];
    let signature = signer.sign_settings(settings, 5, END);
    let verified = verify_settings(settings, &signature, &trusted, NOW, None).unwrap();
    assert_eq!((verified.bytes(), verified.release().sequence, verified.expires_at()), (settings, 5, END));
    let file = attach(&signature, settings);
    assert_eq!(detach_settings(&file).unwrap(), (signature.as_slice(), settings));
    let refused = |settings: &[u8], signature: &[u8], now, last| {
        verify_settings(settings, signature, &trusted, now, last).err().map(|error| error.reason())
    };
    let last = |sequence, hash| Some(Release { sequence, hash });
    let hash = verified.release().hash;
    assert_eq!(refused(b"{}", &signature, NOW, None), Some("other_content"));
    assert_eq!(refused(settings, &signature, END, None), Some("expired"));
    assert_eq!(refused(settings, &signature, NOW, last(5, hash)), None);
    assert_eq!(refused(settings, &signature, NOW, last(6, hash)), Some("older_sequence"));
    assert_eq!(refused(settings, &signature, NOW, last(5, ContentHash([0; 32]))), Some("reused_sequence"));
    for at in 0..signature.len() {
        let mut other = signature.clone();
        other[at] ^= 1;
        assert!(refused(settings, &other, NOW, None).is_some(), "byte {at}");
    }
    // Even where both kinds are of the same bytes, one is never taken for the other.
    let bundle = bundle("a.b");
    let of_bundle = signer.sign(&bundle, 5, END).unwrap();
    assert_eq!(refused(&bundle, &of_bundle, NOW, None), Some("malformed_signature"));
    assert_eq!(
        reason(&bundle, &signer.sign_settings(&bundle, 5, END), &trusted, NOW, None),
        Some("malformed_signature")
    );
    assert!(detach(&file).is_err() && detach_settings(&attach(&of_bundle, &bundle)).is_err());
    let mut disguised = of_bundle.clone();
    disguised[..4].copy_from_slice(b"PBSS");
    assert_eq!(refused(&bundle, &disguised, NOW, None), Some("bad_signature"));
}
