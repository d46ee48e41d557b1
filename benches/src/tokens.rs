//! Tokens of the source document's claims, signed with four keys of HS256, and the rings that verify them.

use fastrand::Rng;
use jsonwebtoken::{EncodingKey, Header, encode};
use policy_core::Timestamp;
use policy_core::keys::{Algorithm, HmacSecret, KeyHistory, KeyId, KeyPhase, KeyRecord};
use policy_core::token::{KeyRing, TokenRules, VerifyingKey};
use serde::{Deserialize, Serialize};

const SEED: u64 = 20_260_801;
/// How many keys a ring has: the active one and three retired ones, as in the source document.
pub const KEYS: usize = 4;
/// How many tokens a stream has.
const TOKENS: usize = 1_000;
const ISSUED: i64 = 1_700_000_000;
/// In 2096: jsonwebtoken asks the system what time it is.
const EXPIRES: i64 = 4_000_000_000;

/// The claims of the source document, as an application reads them.
#[derive(Debug, Serialize, Deserialize)]
pub struct Claims {
    /// Whom the token is about.
    pub user_id: i64,
    username: String,
    email: String,
    roles: Vec<String>,
    exp: i64,
    iat: i64,
}

/// What there is to verify.
#[derive(Debug)]
pub struct Tokens {
    /// The secret of each key, the active one's first, then retired ones from the newest.
    pub secrets: Vec<[u8; 32]>,
    /// The users of the tokens of each stream.
    pub users: Vec<i64>,
    /// When the tokens are looked at.
    pub now: Timestamp,
    claims: Vec<Claims>,
}

impl Tokens {
    /// Those of the fixed seed.
    #[must_use]
    pub fn new() -> Self {
        let mut rng = Rng::with_seed(SEED);
        let secrets = (0..KEYS).map(|_| std::array::from_fn(|_| rng.u8(..))).collect();
        let role = |rng: &mut Rng| format!("ROLE_{}", rng.u8(..22));
        let claims: Vec<Claims> = (0..TOKENS)
            .map(|_| {
                let user_id = rng.i64(1..10_000);
                Claims {
                    user_id,
                    username: format!("user-{user_id}"),
                    email: format!("user-{user_id}@example.com"),
                    roles: (0..rng.usize(1..=3)).map(|_| role(&mut rng)).collect(),
                    exp: EXPIRES,
                    iat: ISSUED,
                }
            })
            .collect();
        let users = claims.iter().map(|claims| claims.user_id).collect();
        Self { secrets, users, now: Timestamp::from_seconds(ISSUED + 1_000), claims }
    }

    /// The tokens, signed by this key and naming it.
    #[must_use]
    pub fn named(&self, key: usize) -> Vec<String> {
        self.signed(key, Some(id(key).to_string()))
    }

    /// The tokens, signed by this key without its name.
    #[must_use]
    pub fn nameless(&self, key: usize) -> Vec<String> {
        self.signed(key, None)
    }

    fn signed(&self, key: usize, kid: Option<String>) -> Vec<String> {
        let header = Header { kid, ..Header::new(jsonwebtoken::Algorithm::HS256) };
        let key = EncodingKey::from_secret(&self.secrets[key]);
        self.claims.iter().map(|claims| encode(&header, claims, &key).unwrap()).collect()
    }

    /// A ring of so many of the keys, from the active one.
    ///
    /// # Panics
    ///
    /// When they make none.
    #[must_use]
    pub fn ring(&self, keys: usize) -> KeyRing {
        let records = (0..keys).map(|at| KeyRecord {
            id: id(at),
            algorithm: Algorithm::Hs256,
            phase: match at {
                0 => KeyPhase::Active { since: None },
                // They retired after the tokens were issued, the newest last.
                _ => KeyPhase::Retired {
                    since: Some(Timestamp::from_seconds(ISSUED + 100 - at as i64)),
                    not_after: Some(Timestamp::from_seconds(EXPIRES)),
                },
            },
        });
        let history = KeyHistory::new(records, []).unwrap();
        let secret = |at: usize| VerifyingKey::Hs256(HmacSecret::new(&self.secrets[at]).unwrap());
        KeyRing::new(&history, (0..keys).map(|at| (id(at), secret(at))), TokenRules::default()).unwrap()
    }
}

impl Default for Tokens {
    fn default() -> Self {
        Self::new()
    }
}

/// Names as long as those that are made from 16 random bytes.
fn id(key: usize) -> KeyId {
    KeyId::from_random([key as u8 + 1; 16])
}
