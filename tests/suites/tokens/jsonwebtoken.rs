//! policy-core against jsonwebtoken, on generated headers, claims and changes of tokens: both accept or both refuse, but for the
//! differences that `differences.rs` lists.
//!
//! `PBAC_CASES` raises the number of tokens, `PBAC_SEED` repeats a run.

use super::differences::{self, Difference, within_a_second};
use fastrand::Rng;
use pbac_tests::numbers;
use pbac_tests::token_oracle::{self, OracleKey, OracleRules};
use pbac_tests::tokens::{Signer, base64};
use policy_core::Timestamp;
use policy_core::keys::{Algorithm, KeyHistory, KeyId, KeyPhase, KeyRecord};
use policy_core::token::{KeyRing, TokenBuffer, TokenRules, UserClaim};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Tokens when `PBAC_CASES` does not say otherwise.
const TOKENS: u64 = 150_000;

/// Values as JSON has them; `%N` is a moment near now. The first ones are right, and come up more often.
const DATES: [&str; 16] = [
    "%N",
    "%N",
    "%N",
    "%N.5",
    "%N.25",
    "%N.0",
    "1.9e9",
    "0",
    "-1",
    "null",
    "\"%N\"",
    "9223372036854",
    "1e18",
    "true",
    "[%N]",
    "-0",
];
const TEXTS: [&str; 9] =
    ["\"a\"", "\"alice\"", "\"\"", "\"\\u0061\"", "null", "7", "[\"a\"]", "\"\\ud83d\\ude00é\"", "{}"];
const LISTS: [&str; 9] =
    ["[\"A\"]", "[]", "[\"a\",\"B b\"]", "null", "[\"\\n\"]", "\"A\"", "[1]", "{\"A\":1}", "[[\"A\"]]"];
const USERS: [&str; 9] =
    ["42", "\"u-7\"", "-1", "null", "9223372036854775807", "9223372036854775808", "4.2", "\"\"", "[]"];
const AUDIENCES: [&str; 8] =
    ["\"a\"", "\"b\"", "[\"a\",\"b\"]", "[\"b\",\"c\"]", "[]", "null", "7", "[\"a\",null]"];
const OTHERS: [&str; 8] = ["1", "\"x\"", "{\"y\":[1,2]}", "[[[]]]", "null", "1e5", "1e999", "\"\\ud800\""];
const ALGORITHMS: [&str; 8] =
    ["\"none\"", "\"HS384\"", "\"hs256\"", "\"\"", "null", "7", "{\"HS256\":null}", "[\"HS256\"]"];
const KIDS: [&str; 7] = ["null", "7", "\"\"", "\"x\"", "[]", "\"../k0\"", "\"k0' OR 1=1\""];
const HEADERS: [&str; 12] = [
    "\"typ\":\"JWT\"",
    "\"typ\":\"at+jwt\"",
    "\"typ\":7",
    "\"cty\":\"JWT\"",
    "\"jku\":\"https://x.example\"",
    "\"jwk\":{\"kty\":\"oct\",\"k\":\"AA\"}",
    "\"crit\":[\"x\"]",
    "\"b64\":false",
    "\"x\":1e999",
    "\"x5c\":[\"AA\"]",
    "\"zip\":\"DEF\"",
    "\"\":{}",
];

/// A ring, as both know it.
struct Ring {
    keys: Vec<OracleKey>,
    rules: OracleRules,
    ours: KeyRing,
}

/// What a token is made of.
struct Made {
    header: String,
    claims: String,
    token: String,
    /// Whether the token was changed after it was signed.
    changed: bool,
}

#[test]
fn generated_tokens() {
    let wanted = numbers::cases(TOKENS);
    let started = differences::seconds();
    let (mut accepted, mut refused) = (0_u64, 0_u64);
    let mut known: BTreeMap<Difference, u64> = BTreeMap::new();
    let mut reasons: BTreeMap<&str, u64> = BTreeMap::new();
    let mut buffer = TokenBuffer::default();
    let mut ring = None;
    for (at, seed) in (0..wanted).zip(numbers::seeds()) {
        let rng = Rng::with_seed(seed);
        if at % 64 == 0 {
            ring = None;
        }
        let ring = ring.get_or_insert_with(|| Ring::generate(&mut Rng::with_seed(seed), started));
        let outcome = within_a_second(|now| {
            let made = ring.token(&mut rng.clone(), now);
            let ours = ring.ours.verify(&made.token, Timestamp::from_seconds(now), &mut buffer);
            let theirs = token_oracle::verify(&ring.keys, &ring.rules, &made.token, now * 1_000_000);
            let differences =
                differences::of(made.header.as_bytes(), made.claims.as_bytes(), &ring.rules, now);
            let told = || format!("seed {seed} of {at}: {} {} {}", made.header, made.claims, made.token);
            match (&ours, &theirs) {
                (Ok(ours), Ok(theirs)) => {
                    assert_eq!(ours.key.id.as_str(), theirs, "{}", told());
                    // The oracle read the same claims; jsonwebtoken gives them as a value.
                    assert_eq!(as_json(ours), normal(&made.claims), "{}", told());
                }
                (Err(_), Err(_)) => {}
                (Ok(_), Err(theirs)) => {
                    assert!(!differences.is_empty(), "ours accepts, theirs: {theirs}: {}", told());
                }
                (Err(ours), Ok(_)) => {
                    assert!(!differences.is_empty(), "ours: {ours}, theirs accepts: {}", told());
                }
            }
            if made.changed {
                assert!(ours.is_err(), "a changed token is accepted: {}", told());
            }
            (ours.map(drop), theirs.map(drop), differences)
        });
        match &outcome {
            (Ok(()), Ok(()), _) => accepted += 1,
            (Err(_), Err(_), _) => refused += 1,
            (_, _, differences) => {
                differences.iter().for_each(|difference| *known.entry(*difference).or_default() += 1);
            }
        }
        *reasons.entry(outcome.0.err().map_or("accepted", |error| error.reason())).or_default() += 1;
    }
    println!("{accepted} accepted and {refused} refused by both; differences {known:?}; ours {reasons:?}");
    assert!(accepted * 10 > wanted && refused * 10 > wanted, "{accepted} accepted, {refused} refused");
    // Those that a generated token comes to; the others are too rare, and shown by a case.
    let rare = BTreeSet::from([Difference::TooLong, Difference::ListOfClaims]);
    for difference in Difference::ALL.into_iter().filter(|one| !rare.contains(one)) {
        assert!(
            known.get(&difference).is_some_and(|count| *count > 10),
            "{difference:?} never made one: {known:?}"
        );
    }
}

/// The claims that policy-core read, as JSON.
fn as_json(verified: &policy_core::token::Verified<'_, '_>) -> Value {
    let claims = &verified.claims;
    let user = claims.user_id.as_ref().map(|user| match user {
        UserClaim::Number(number) => json!(number),
        UserClaim::Text(text) => json!(text),
    });
    json!({ "user_id": user, "username": claims.username, "email": claims.email, "roles": claims.roles })
}

/// The same of the claims' text, by serde_json's own value.
fn normal(claims: &str) -> Value {
    let claims: Value = serde_json::from_str(claims).expect("jsonwebtoken read it");
    let roles = if claims["roles"].is_null() { json!([]) } else { claims["roles"].clone() };
    json!({ "user_id": claims["user_id"], "username": claims["username"], "email": claims["email"], "roles": roles })
}

/// The ring of these keys as policy-core has it. They come in the order in which they are tried.
pub(crate) fn ring(keys: &[OracleKey], rules: TokenRules) -> KeyRing {
    let id = |key: &OracleKey| KeyId::parse(&key.id).expect("a name");
    let micros = |time: i64| Timestamp::from_micros(time);
    let records = keys.iter().map(|key| KeyRecord {
        id: id(key),
        algorithm: key.signer.algorithm(),
        phase: match key.retired {
            None => KeyPhase::Active { since: None },
            Some(since) => {
                KeyPhase::Retired { since: Some(micros(since)), not_after: key.not_after.map(micros) }
            }
        },
    });
    let history = KeyHistory::new(records, []).expect("keys that agree");
    KeyRing::new(&history, keys.iter().map(|key| (id(key), key.signer.verifying())), rules).expect("a ring")
}

impl Ring {
    fn generate(rng: &mut Rng, started: i64) -> Self {
        // Elliptic curves take their time.
        let algorithm = match rng.u8(..24) {
            0 => Algorithm::EdDsa,
            1 => Algorithm::Es256,
            _ => Algorithm::Hs256,
        };
        let day = 86_400_000_000_i64;
        let keys = (0..rng.i64(1..=4)).map(|at| {
            let mixed = if rng.u8(..16) == 0 { Algorithm::EdDsa } else { algorithm };
            // An active key, then retired ones from the newest, one of which may be over.
            let retired = (at > 0).then_some(started * 1_000_000 - at * day);
            let not_after = retired.filter(|_| rng.bool()).map(|since| since + rng.i64(1..6) * day);
            OracleKey {
                id: format!("k{at}"),
                signer: Signer::made_up(mixed, &format!("k{at}")),
                retired,
                not_after,
            }
        });
        let keys: Vec<OracleKey> = keys.collect();
        let some = |rng: &mut Rng| if rng.u8(..3) == 0 { vec!["a".to_owned()] } else { Vec::new() };
        let rules = OracleRules {
            leeway: [0, 0, 60][rng.usize(..3)],
            token_life: [None, Some(3_600), Some(200_000)][rng.usize(..3)],
            issuers: some(rng),
            audiences: some(rng),
        };
        let of_ours = TokenRules {
            leeway: Duration::from_secs(rules.leeway),
            token_life: rules.token_life.map(|life| Duration::from_secs(life.unsigned_abs())),
            issuers: rules.issuers.clone(),
            audiences: rules.audiences.clone(),
        };
        Self { ours: ring(&keys, of_ours), keys, rules }
    }

    fn token(&self, rng: &mut Rng, now: i64) -> Made {
        let key = &self.keys[rng.usize(..self.keys.len())];
        let mut header = self.header(rng, key);
        let mut claims = self.claims(rng, key, now);
        if rng.u8(..10) == 0 {
            let text = if rng.u8(..3) == 0 { &mut header } else { &mut claims };
            *text = change(rng, text, b"{}[]\":,.\\u0123456789-eE+ \t\nabcxyzntr");
        }
        let other = self.keys.iter().find(|other| other.id != key.id).filter(|_| rng.u8(..16) == 0);
        let token = other.unwrap_or(key).signer.token(&header, &claims);
        if rng.u8(..8) != 0 {
            return Made { header, claims, token, changed: false };
        }
        let changed = change(rng, &token, b"ABCDwxyz0189-_.=+/ \n");
        let changed = if changed == token { format!("{token}A") } else { changed };
        // A change in the first two parts makes other texts of them, which decide what differs.
        let part = |at: usize| changed.split('.').nth(at).and_then(decoded).unwrap_or_default();
        Made { header: part(0), claims: part(1), token: changed, changed: true }
    }

    fn header(&self, rng: &mut Rng, key: &OracleKey) -> String {
        let mut members = Vec::new();
        let right = format!("\"{}\"", key.signer.algorithm());
        members.push(format!("\"alg\":{}", odd(rng, 20, &right, &ALGORITHMS)));
        match rng.u8(..8) {
            0..=3 => members.push(format!("\"kid\":{}", odd(rng, 12, &format!("\"{}\"", key.id), &KIDS))),
            4 => members.push("\"kid\":\"k0\"".to_owned()),
            _ => {}
        }
        while rng.u8(..3) == 0 {
            members.push(HEADERS[rng.usize(..HEADERS.len())].to_owned());
        }
        object(rng, members)
    }

    fn claims(&self, rng: &mut Rng, key: &OracleKey, now: i64) -> String {
        let near = |rng: &mut Rng, text: &str| {
            let offset =
                [-3600, -61, -60, -59, -1, 0, 1, 59, 60, 61, 3000, 100_000, 250_000][rng.usize(..13)];
            text.replace("%N", &(now + offset).to_string())
        };
        let exp = format!("{}", now + rng.i64(100..3_000));
        let odd_date = |rng: &mut Rng| {
            let text = one_of(rng, &DATES).to_owned();
            near(rng, &text)
        };
        let mut members = Vec::new();
        let date = odd_date(rng);
        if rng.u8(..30) != 0 {
            members.push(format!("\"exp\":{}", if rng.u8(..4) == 0 { date } else { exp }));
        }
        if rng.bool() {
            // Of a retired key mostly before its retirement.
            let issued = key.retired.map_or(now, |retired| retired / 1_000_000) - rng.i64(-70..1_000);
            let date = odd_date(rng);
            members.push(format!("\"iat\":{}", if rng.u8(..6) == 0 { date } else { issued.to_string() }));
        }
        if rng.u8(..4) == 0 {
            members.push(format!("\"nbf\":{}", odd_date(rng)));
        }
        for (name, values) in
            [("user_id", &USERS), ("username", &TEXTS), ("email", &TEXTS), ("roles", &LISTS)]
        {
            if rng.bool() {
                members.push(format!("\"{name}\":{}", mostly_first(rng, values)));
            }
        }
        for (name, needed) in
            [("iss", !self.rules.issuers.is_empty()), ("aud", !self.rules.audiences.is_empty())]
        {
            if rng.u8(..8) < if needed { 7 } else { 1 } {
                let values: &[&str] = if name == "iss" { &TEXTS } else { &AUDIENCES };
                members.push(format!("\"{name}\":{}", mostly_first(rng, values)));
            }
        }
        while rng.u8(..3) == 0 {
            members.push(format!(
                "\"{}\":{}",
                one_of(rng, &["x", "sub", "jti", "EXP"]),
                mostly_first(rng, &OTHERS)
            ));
        }
        object(rng, members)
    }
}

/// An object of these members in any order, now and then with one of them twice or white space between.
fn object(rng: &mut Rng, mut members: Vec<String>) -> String {
    if rng.u8(..40) == 0 {
        members.extend(rng.choice(&members).cloned());
    }
    rng.shuffle(&mut members);
    let between = if rng.u8(..8) == 0 { " ,\n" } else { "," };
    format!("{{{}}}", members.join(between))
}

fn one_of<'a>(rng: &mut Rng, values: &[&'a str]) -> &'a str {
    values[rng.usize(..values.len())]
}

fn mostly_first<'a>(rng: &mut Rng, values: &[&'a str]) -> &'a str {
    if rng.u8(..3) != 0 { values[rng.usize(..2)] } else { one_of(rng, values) }
}

/// The right value, but once in so many times an odd one.
fn odd(rng: &mut Rng, once_in: u8, right: &str, values: &[&str]) -> String {
    if rng.u8(..once_in) == 0 { one_of(rng, values).to_owned() } else { right.to_owned() }
}

/// A text with a byte replaced, removed, put in, or two of them exchanged.
fn change(rng: &mut Rng, text: &str, letters: &[u8]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let letter = letters[rng.usize(..letters.len())];
    let at = rng.usize(..bytes.len().max(1));
    match rng.u8(..4) {
        _ if bytes.is_empty() => bytes.push(letter),
        0 => bytes[at] = letter,
        1 => drop(bytes.remove(at)),
        2 => bytes.insert(at, letter),
        _ => {
            let other = rng.usize(..bytes.len());
            bytes.swap(at, other);
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn decoded(part: &str) -> Option<String> {
    use base64::Engine;
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).ok()?;
    debug_assert_eq!(base64(&bytes), part);
    String::from_utf8(bytes).ok()
}
