//! What verifying a token allocates.

use pbac_tests::counting::measure;
use pbac_tests::token_cases::TokenFile;
use pbac_tests::tokens::{Signer, base64};
use policy_core::Timestamp;
use policy_core::keys::{Algorithm, KeyHistory, KeyId, KeyPhase, KeyRecord};
use policy_core::token::{KeyRing, MAX_TOKEN_BYTES, TokenBuffer, TokenRules};
use std::hint::black_box;

/// A ring of four keys of HS256, `k0` the active one, and what they sign with.
fn ring() -> (KeyRing, Vec<Signer>) {
    let id = |at: usize| KeyId::parse(&format!("k{at}")).expect("a name");
    let signers: Vec<Signer> =
        (0..4).map(|at| Signer::made_up(Algorithm::Hs256, &format!("allocation {at}"))).collect();
    let records = (0..4).map(|at| KeyRecord {
        id: id(at),
        algorithm: Algorithm::Hs256,
        phase: match at {
            0 => KeyPhase::Active { since: None },
            _ => KeyPhase::Retired { since: Some(Timestamp::from_seconds(100 - at as i64)), not_after: None },
        },
    });
    let history = KeyHistory::new(records, []).expect("four keys");
    let keys = signers.iter().enumerate().map(|(at, signer)| (id(at), signer.verifying()));
    (KeyRing::new(&history, keys, TokenRules::default()).expect("a ring"), signers)
}

#[test]
fn a_token_costs_its_list_of_roles_and_nothing_else() {
    let (ring, signers) = ring();
    let mut buffer = TokenBuffer::default();
    let now = Timestamp::from_seconds(1_000);
    // Claims, and how often they make it ask for memory: the list of four roles is the first that a list holds, and grows once for
    // each doubling beyond.
    let cases = [
        (r#"{"exp":2000}"#, 0),
        (
            r#"{"user_id":42,"username":"alice","email":"a@example.com","exp":2000,"iat":50,"nbf":1,"iss":"x","aud":"y"}"#,
            0,
        ),
        (r#"{"user_id":"u-7","roles":[],"exp":2000}"#, 0),
        (r#"{"roles":["PURCHASING_HEAD"],"exp":2000}"#, 1),
        (r#"{"roles":["A","B","C","D"],"exp":2000}"#, 1),
        (r#"{"roles":["A","B","C","D","E"],"exp":2000}"#, 2),
        // A text with an escape is put together.
        (r#"{"username":"al\u0069ce","exp":2000}"#, 1),
    ];
    let warm =
        signers[0].token(r#"{"alg":"HS256"}"#, &format!(r#"{{"exp":2000,"x":"{}"}}"#, "x".repeat(400)));
    ring.verify(&warm, now, &mut buffer).expect("it holds");
    for (claims, allocations) in cases {
        for (at, signer) in signers.iter().enumerate() {
            for header in
                [r#"{"alg":"HS256"}"#.to_owned(), format!(r#"{{"typ":"JWT","alg":"HS256","kid":"k{at}"}}"#)]
            {
                let token = signer.token(&header, claims);
                let (verified, usage) =
                    measure(|| ring.verify(black_box(&token), now, &mut buffer).map(drop));
                assert_eq!(verified, Ok(()), "{header} {claims}");
                assert_eq!(usage.allocations, allocations, "{header} {claims}");
            }
        }
    }
}

#[test]
fn a_refused_token_costs_no_more() {
    let (ring, signers) = ring();
    let mut buffer = TokenBuffer::default();
    let now = Timestamp::from_seconds(1_000);
    let warm = "A".repeat(2_000);
    let _ = ring.verify(&format!("{warm}.."), now, &mut buffer);
    let refused = [
        String::new(),
        "a.b.c".to_owned(),
        "A".repeat(1024 * 1024),
        signers[1].token(r#"{"alg":"HS256","kid":"k0"}"#, r#"{"exp":2000}"#),
        signers[0].token(r#"{"alg":"HS256","kid":"nobody"}"#, r#"{"exp":2000}"#),
        signers[0].token(r#"{"alg":"none"}"#, r#"{"exp":2000}"#),
        signers[0].token(r#"{"alg":"HS256"}"#, r#"{"exp":1000}"#),
        signers[0].token(r#"{"alg":"HS256"}"#, "{}"),
    ];
    for token in refused {
        let (verified, usage) = measure(|| ring.verify(black_box(&token), now, &mut buffer).map(drop));
        assert!(verified.is_err());
        assert_eq!(usage.allocations, 0, "{verified:?}");
    }
}

/// Memory for hostile tokens stays within what their own size justifies: a list of empty roles takes 24 bytes for each three of
/// JSON, four of base64, and a list doubles when it grows.
#[test]
fn memory_is_bounded_by_the_size_of_the_token() {
    let (ring, signers) = ring();
    let now = Timestamp::from_seconds(1_000);
    let claims = [
        format!(r#"{{"exp":2000,"roles":[{}""]}}"#, r#""","#.repeat(4_000)),
        format!(r#"{{"exp":2000,"roles":[{}""]}}"#, r#"["","",""],"#.repeat(1_000)),
        format!(r#"{{"exp":2000,"roles":{}{}}}"#, "[".repeat(6_000), "]".repeat(6_000)),
        format!(r#"{{"exp":2000,"aud":[{}""]}}"#, r#""\n","#.repeat(2_400)),
        format!(r#"{{"exp":2000,"x":{}{}}}"#, "[".repeat(6_000), "]".repeat(6_000)),
        format!(r#"{{"exp":2000,"username":"{}"}}"#, r"\u0041".repeat(2_000)),
        format!(r#"{{{}"exp":2000}}"#, r#""x":1,"#.repeat(2_000)),
    ];
    for claims in claims {
        for header in [r#"{"alg":"HS256","kid":"k0"}"#.to_owned(), claims.clone()] {
            let token = signers[0].token(&header, if header == claims { "{}" } else { &claims });
            assert!(token.len() <= MAX_TOKEN_BYTES, "{} bytes", token.len());
            let mut buffer = TokenBuffer::default();
            let (_, usage) = measure(|| ring.verify(black_box(&token), now, &mut buffer).map(drop));
            let most = 16 * i64::try_from(token.len()).expect("a length");
            assert!(usage.peak_bytes < most, "{} bytes for a token of {}", usage.peak_bytes, token.len());
        }
    }
    for file in TokenFile::load_all() {
        for case in &file.token {
            let ring = file.ring(&file.rules);
            let token = file.token(case);
            let mut buffer = TokenBuffer::default();
            let (_, usage) =
                measure(|| ring.verify(&token, Timestamp::from_micros(file.now), &mut buffer).map(drop));
            let most = 16 * i64::try_from(token.len().min(MAX_TOKEN_BYTES)).expect("a length") + 200;
            assert!(usage.peak_bytes < most, "{}: {} bytes", case.name, usage.peak_bytes);
        }
    }
}

#[test]
fn the_decoder_takes_no_more_than_the_token() {
    let (ring, _) = ring();
    let mut buffer = TokenBuffer::default();
    let token = format!("{}..", base64(&[b' '; 12_000]));
    let (_, usage) = measure(|| ring.verify(&token, Timestamp::from_seconds(0), &mut buffer).map(drop));
    assert!(usage.allocations <= 1 && usage.peak_bytes <= 16_002, "{usage:?}");
}
