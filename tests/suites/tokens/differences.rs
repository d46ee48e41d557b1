//! Where SPEC section 5 deliberately differs from jsonwebtoken: which tokens those are, and what each of the two says.
//!
//! A token that is none of them is accepted by both or by neither: `jsonwebtoken.rs` holds them to that.

use pbac_tests::token_oracle::{self, OracleKey, OracleRules};
use pbac_tests::tokens::Signer;
use policy_core::Timestamp;
use policy_core::keys::Algorithm;
use policy_core::token::{MAX_TOKEN_BYTES, TokenBuffer, TokenRules};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A deliberate difference.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Difference {
    /// Ours: a token is worth nothing from `exp` on (RFC 7519 section 4.1.4), to the microsecond, and likewise `nbf`. Theirs
    /// rounds to seconds, and takes a token at the second of `exp`.
    Moment,
    /// Ours: what microseconds in 64 bits cannot hold is no date. Theirs takes any number up to 2^64, and never reads `iat`.
    FarDate,
    /// Ours: a claim that is read has its type, whether or not anything is configured for it. Theirs leaves it to the
    /// application.
    WrongType,
    /// Ours: a claim that is read is there once (RFC 7519 section 4). Theirs takes the last one.
    NamedTwice,
    /// Ours: claims are an object. Theirs takes a list of the values that it checks.
    ListOfClaims,
    /// Ours: nothing critical is understood, so `crit` is refused (RFC 7515 section 4.1.11). Theirs passes it over.
    Crit,
    /// Ours: a `kid` that is `null` is malformed. Theirs takes it for none.
    NullKid,
    /// Ours: `alg` is a text. Theirs takes an object with that name, too.
    AlgObject,
    /// Ours: 16 KiB (SPEC section 6). Theirs has no limit.
    TooLong,
    /// Ours: `iss` is one text (RFC 7519 section 4.1.1). Theirs takes a list with the right one in it.
    ListOfIssuers,
    /// Theirs refuses an `nbf` before 1970, or one that is `null`. Ours: the first is long over, the second is not there.
    OddNotBefore,
    /// Theirs reads every member that it knows of, and so refuses what has a wrong type or is there twice (`typ`, `jwk`, `sub`).
    /// Ours: what means nothing is passed over.
    ReadForNothing,
    /// Theirs builds every value, and so refuses half of a surrogate pair, a number past the range, and lists more than 127
    /// deep. Ours: what means nothing is passed over.
    BuiltForNothing,
}

use Difference::{
    AlgObject, BuiltForNothing, Crit, FarDate, ListOfClaims, ListOfIssuers, Moment, NamedTwice, NullKid,
    OddNotBefore, ReadForNothing, TooLong, WrongType,
};

impl Difference {
    pub(crate) const ALL: [Self; 13] = [
        Moment,
        FarDate,
        WrongType,
        NamedTwice,
        ListOfClaims,
        Crit,
        NullKid,
        AlgObject,
        TooLong,
        ListOfIssuers,
        OddNotBefore,
        ReadForNothing,
        BuiltForNothing,
    ];
}

/// The members of an object in their order, those that are there twice included.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Members;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(All)
    }
}

impl Members {
    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Value> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value)
    }

    fn twice(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.all(name).count() > 1)
    }
}

/// The differences that there are about a token of these texts, `now` in seconds.
pub(crate) fn of(header: &[u8], claims: &[u8], rules: &OracleRules, now: i64) -> BTreeSet<Difference> {
    let mut found = BTreeSet::new();
    // A header, a claim or a signature more than 16 KiB is told by its texts: base64 makes four of three, with two dots.
    if (header.len() + claims.len()) * 4 / 3 + 50 > MAX_TOKEN_BYTES {
        found.insert(TooLong);
    }
    for json in [header, claims] {
        let skipped = serde_json::from_slice::<IgnoredAny>(json).is_ok();
        if skipped && serde_json::from_slice::<Value>(json).is_err() {
            found.insert(BuiltForNothing);
        }
    }
    if let Ok(header) = serde_json::from_slice::<Members>(header) {
        found.extend(of_header(&header));
    }
    match serde_json::from_slice::<Members>(claims) {
        Ok(claims) => found.extend(of_claims(&claims, rules, now)),
        Err(_) if serde_json::from_slice::<Vec<Value>>(claims).is_ok() => {
            found.insert(ListOfClaims);
        }
        Err(_) => {}
    }
    found
}

fn of_header(header: &Members) -> BTreeSet<Difference> {
    const TEXTS: [&str; 9] = ["typ", "cty", "jku", "x5u", "x5t", "x5t#S256", "enc", "zip", "url"];
    let mut found = BTreeSet::new();
    if header.all("crit").next().is_some() {
        found.insert(Crit);
    }
    if header.all("kid").any(Value::is_null) {
        found.insert(NullKid);
    }
    if header.all("alg").any(Value::is_object) {
        found.insert(AlgObject);
    }
    let no_text = |value: &Value| !value.is_string() && !value.is_null();
    let read = TEXTS.iter().any(|name| header.all(name).any(no_text))
        || header.all("nonce").any(no_text)
        || header.all("x5c").any(|value| !value.is_null() && !is_texts(value))
        || header.all("jwk").any(|value| !value.is_null());
    if read || header.twice(&TEXTS) || header.twice(&["nonce", "x5c", "jwk"]) {
        found.insert(ReadForNothing);
    }
    found
}

fn of_claims(claims: &Members, rules: &OracleRules, now: i64) -> BTreeSet<Difference> {
    let mut found = BTreeSet::new();
    let any = |name: &str, wrong: &dyn Fn(&Value) -> bool| claims.all(name).any(wrong);
    let no_text = |value: &Value| !value.is_null() && !value.is_string();
    let no_user = |value: &Value| no_text(value) && !value.is_i64();
    let no_list = |value: &Value| !value.is_null() && !is_texts(value);
    let no_audience = |value: &Value| no_text(value) && !is_texts(value);
    let wrong = any("user_id", &no_user)
        || any("username", &no_text)
        || any("email", &no_text)
        || any("roles", &no_list)
        || any("iat", &|value| !value.is_null() && !value.is_number())
        || (rules.issuers.is_empty() && any("iss", &no_text))
        || (rules.audiences.is_empty() && any("aud", &no_audience));
    if wrong {
        found.insert(WrongType);
    }
    if !rules.issuers.is_empty() && any("iss", &Value::is_array) {
        found.insert(ListOfIssuers);
    }
    if claims.twice(&["user_id", "username", "email", "roles", "iat"]) {
        found.insert(NamedTwice);
    }
    if claims.twice(&["sub"]) || any("sub", &no_text) {
        found.insert(ReadForNothing);
    }
    let far = |value: &Value| value.as_f64().is_some_and(|seconds| seconds.abs() >= 9.0e12);
    if ["exp", "nbf", "iat"].iter().any(|name| any(name, &far)) {
        found.insert(FarDate);
    }
    if any("nbf", &|value| value.is_null() || value.as_f64().is_some_and(|seconds| seconds < 0.0)) {
        found.insert(OddNotBefore);
    }
    let leeway = rules.leeway as f64;
    // Past the range of exact numbers nothing is near now.
    let ends = (now as f64) - leeway;
    let starts = (now as f64) + leeway;
    let expires = |value: &Value| value.as_f64().is_some_and(|exp| (exp > ends) != (exp.round() >= ends));
    let begins = |value: &Value| value.as_f64().is_some_and(|nbf| (nbf <= starts) != (nbf.round() <= starts));
    if any("exp", &expires) || any("nbf", &begins) {
        found.insert(Moment);
    }
    found
}

fn is_texts(value: &Value) -> bool {
    value.as_array().is_some_and(|list| list.iter().all(Value::is_string))
}

/// What the clock shows, in seconds.
pub(crate) fn seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    i64::try_from(since.as_secs()).expect("a clock of this age")
}

/// Does the work within one second of the clock, which jsonwebtoken looks at by itself.
pub(crate) fn within_a_second<T>(mut work: impl FnMut(i64) -> T) -> T {
    loop {
        let before = seconds();
        let result = work(before);
        if seconds() == before {
            return result;
        }
    }
}

/// Header, claims, what differs, and why ours and theirs refuse it, if they do.
type Case<'a> = (&'a str, &'a str, Difference, Option<&'a str>, Option<&'a str>);

#[test]
fn each_is_as_it_is_said_to_be() {
    let header = r#"{"alg":"HS256"}"#;
    // Header, claims, what differs, why ours refuses, and why theirs does; %N is now, %L later.
    let deep = format!(r#"{{"exp":%L,"x":{}1{}}}"#, "[".repeat(200), "]".repeat(200));
    let long = format!(r#"{{"exp":%L,"x":"{}"}}"#, "x".repeat(20_000));
    let cases: [Case<'_>; 35] = [
        (header, r#"{"exp":%N}"#, Moment, Some("expired"), None),
        (header, r#"{"exp":%N.25}"#, Moment, None, None),
        (header, r#"{"exp":%L,"nbf":%N.25}"#, Moment, Some("not_yet_valid"), None),
        (header, r#"{"exp":9300000000000}"#, FarDate, Some("invalid_claim"), None),
        (header, r#"{"exp":1e19}"#, FarDate, Some("invalid_claim"), None),
        (header, r#"{"exp":%L,"iat":1e300}"#, FarDate, Some("invalid_claim"), None),
        (header, r#"{"exp":%L,"user_id":1.5}"#, WrongType, Some("invalid_claim"), None),
        (header, r#"{"exp":%L,"username":7}"#, WrongType, Some("invalid_claim"), None),
        (header, r#"{"exp":%L,"email":[]}"#, WrongType, Some("invalid_claim"), None),
        (header, r#"{"exp":%L,"roles":"SUPERADMIN"}"#, WrongType, Some("invalid_claim"), None),
        (header, r#"{"exp":%L,"iat":"%N"}"#, WrongType, Some("invalid_claim"), None),
        (header, r#"{"exp":%L,"iss":7}"#, WrongType, Some("invalid_claim"), None),
        (header, r#"{"exp":%L,"aud":["a",7]}"#, WrongType, Some("invalid_claim"), None),
        (
            header,
            r#"{"exp":%L,"roles":[],"roles":["SUPERADMIN"]}"#,
            NamedTwice,
            Some("malformed_claims"),
            None,
        ),
        (header, r#"{"exp":%L,"iat":1,"iat":%N}"#, NamedTwice, Some("malformed_claims"), None),
        (header, "[%L,1,null,null,null]", ListOfClaims, Some("malformed_claims"), None),
        (r#"{"alg":"HS256","crit":["x"],"x":1}"#, r#"{"exp":%L}"#, Crit, Some("unsupported_extension"), None),
        (r#"{"alg":"HS256","crit":null}"#, r#"{"exp":%L}"#, Crit, Some("unsupported_extension"), None),
        (r#"{"alg":"HS256","kid":null}"#, r#"{"exp":%L}"#, NullKid, Some("malformed_header"), None),
        (r#"{"alg":{"HS256":null}}"#, r#"{"exp":%L}"#, AlgObject, Some("malformed_header"), None),
        (header, &long, TooLong, Some("too_long"), None),
        (header, r#"{"exp":%L,"nbf":-1}"#, OddNotBefore, None, Some("nbf")),
        (header, r#"{"exp":%L,"nbf":null}"#, OddNotBefore, None, Some("nbf")),
        (r#"{"alg":"HS256","typ":7}"#, r#"{"exp":%L}"#, ReadForNothing, None, Some("invalid type")),
        (r#"{"alg":"HS256","typ":"a","typ":"b"}"#, r#"{"exp":%L}"#, ReadForNothing, None, Some("duplicate")),
        (r#"{"alg":"HS256","x5c":["a",1]}"#, r#"{"exp":%L}"#, ReadForNothing, None, Some("invalid type")),
        (r#"{"alg":"HS256","jwk":7}"#, r#"{"exp":%L}"#, ReadForNothing, None, Some("invalid type")),
        (r#"{"alg":"HS256","zip":[]}"#, r#"{"exp":%L}"#, ReadForNothing, None, Some("invalid type")),
        (header, r#"{"exp":%L,"sub":"a","sub":"b"}"#, ReadForNothing, None, Some("duplicate")),
        (header, r#"{"exp":%L,"sub":[7]}"#, ReadForNothing, None, Some("expected")),
        (header, r#"{"exp":%L,"x":"\ud800"}"#, BuiltForNothing, None, Some("escape")),
        (header, r#"{"exp":%L,"x":1e999}"#, BuiltForNothing, None, Some("range")),
        (header, &deep, BuiltForNothing, None, Some("recursion")),
        (r#"{"alg":"HS256","x":1e999}"#, r#"{"exp":%L}"#, BuiltForNothing, None, Some("range")),
        (header, r#"{"exp":%L,"iss":["a"]}"#, ListOfIssuers, Some("invalid_claim"), None),
    ];
    let key = OracleKey { id: "k".to_owned(), signer: signer(), retired: None, not_after: None };
    let mut shown = BTreeSet::new();
    for (header, claims, difference, ours_says, theirs_says) in cases {
        // Only a list of issuers is about a setting.
        let issuers = if difference == ListOfIssuers { vec!["a".to_owned()] } else { Vec::new() };
        let rules = OracleRules { issuers: issuers.clone(), ..OracleRules::default() };
        let of_ours = TokenRules { leeway: Duration::ZERO, issuers, ..TokenRules::default() };
        let ring = super::oracle::ring(std::slice::from_ref(&key), of_ours);
        let (found, ours, theirs) = within_a_second(|now| {
            let claims = claims.replace("%N", &now.to_string()).replace("%L", &(now + 1_000).to_string());
            let token = key.signer.token(header, &claims);
            let mut buffer = TokenBuffer::default();
            let ours = ring.verify(&token, Timestamp::from_seconds(now), &mut buffer);
            let ours = ours.map(drop).map_err(|error| error.reason());
            let theirs = token_oracle::verify(std::slice::from_ref(&key), &rules, &token, now * 1_000_000);
            (of(header.as_bytes(), claims.as_bytes(), &rules, now), ours, theirs)
        });
        let agree = ours_says.is_none() && theirs_says.is_none();
        assert_eq!(found.contains(&difference), !agree, "{header} {claims}: {found:?}");
        assert_eq!(ours.err(), ours_says, "ours: {header} {claims}");
        match (theirs, theirs_says) {
            (Ok(_), None) => {}
            (Err(error), Some(word)) if error.contains(word) => {}
            (theirs, expected) => panic!("theirs: {header} {claims}: {theirs:?}, expected {expected:?}"),
        }
        shown.insert(difference);
    }
    assert_eq!(shown, Difference::ALL.into_iter().collect(), "each difference is shown");
}

fn signer() -> Signer {
    Signer::made_up(Algorithm::Hs256, "differences")
}
