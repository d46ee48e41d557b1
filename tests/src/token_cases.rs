//! The cases of tokens: `tests/cases/tokens/*.toml`, which `tests/cases/README.md` describes. They name no engine: whatever
//! verifies tokens can read them.

use crate::tokens::{Signer, base64, from_base64};
use policy_core::Timestamp;
use policy_core::keys::{Algorithm, KeyHistory, KeyId, KeyPhase, KeyRecord, Revocation};
use policy_core::token::{KeyRing, TokenBuffer, TokenRules, UserClaim};
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A file of cases: a ring, and tokens.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TokenFile {
    /// Where it was read from.
    #[serde(skip)]
    pub path: PathBuf,
    /// When the tokens are looked at, in microseconds since 1970.
    pub now: i64,
    /// The keys of the ring.
    pub key: Vec<KeyCase>,
    /// Keys that sign and are not in the ring.
    pub outsider: Vec<KeyCase>,
    /// What was revoked.
    pub revoked: Vec<RevokedCase>,
    /// What a token has to say.
    pub rules: RulesCase,
    /// The tokens.
    pub token: Vec<TokenCase>,
    /// Changes of a token at every place of it.
    pub every: Vec<EveryCase>,
}

/// A key with what it signs with.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyCase {
    /// Its `kid`.
    pub id: String,
    /// What it is for.
    #[serde(default = "hs256")]
    pub algorithm: String,
    /// The text whose bytes are the secret.
    pub secret: Option<String>,
    /// The private bytes in base64url: a secret that is no text, the seed of an Ed25519 key, the `d` of a P-256 key.
    pub private: Option<String>,
    /// The public bytes in base64url: 32 of Ed25519, 65 of P-256.
    pub public: Option<String>,
    /// `staged`, `active` or `retired`; none for a key that is not in the ring.
    pub state: Option<String>,
    /// Since when, in microseconds since 1970.
    pub since: Option<i64>,
    /// From when on a retired key verifies nothing, likewise.
    pub not_after: Option<i64>,
}

/// A key that must never verify again.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokedCase {
    /// Its `kid`.
    pub id: String,
    /// When it was revoked, in microseconds since 1970.
    pub at: i64,
}

/// What a token has to say beside its signature.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RulesCase {
    /// In seconds.
    pub leeway: u64,
    /// In seconds; none: not known.
    pub token_life: Option<u64>,
    /// The issuers that are accepted; none: all.
    pub issuers: Vec<String>,
    /// The audiences that we are; none: all.
    pub audiences: Vec<String>,
}

/// A token, and what becomes of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenCase {
    /// What it shows.
    pub name: String,
    /// The token as it is; or it is made of what follows.
    pub token: Option<String>,
    /// The text that becomes the first part.
    pub header: Option<String>,
    /// The first part itself.
    pub header_part: Option<String>,
    /// The text that becomes the second part.
    pub claims: Option<String>,
    /// The second part itself.
    pub claims_part: Option<String>,
    /// The id of the key, in the ring or not, that signs the first two parts.
    pub signed_by: Option<String>,
    /// The third part itself.
    pub signature_part: Option<String>,
    /// What stands for `%FILL%` in the texts and parts.
    pub fill: Option<Fill>,
    /// What comes before the whole token.
    #[serde(default)]
    pub before: String,
    /// What comes after it.
    #[serde(default)]
    pub after: String,
    /// When it is looked at, if not when all of the file are.
    pub now: Option<i64>,
    /// The rules, if not those of the file.
    pub rules: Option<RulesCase>,
    /// Why it is refused.
    pub reason: Option<String>,
    /// The claim that is wrong, where the reason is `invalid_claim`.
    pub claim: Option<String>,
    /// What it says, where it is accepted.
    pub accepted: Option<Accepted>,
}

/// A text that would be too long to write down.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fill {
    /// Written so many times,
    pub open: String,
    /// and then this as often.
    #[serde(default)]
    pub close: String,
    /// How often.
    pub times: usize,
}

/// What an accepted token says. What is left out, the token does not say.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accepted {
    /// The key that signed it.
    pub key: String,
    /// Whether it names that key.
    pub named_key: bool,
    /// Whom it is about.
    pub user_id: Option<UserId>,
    /// Their name.
    pub username: Option<String>,
    /// Their address.
    pub email: Option<String>,
    /// Their roles.
    #[serde(default)]
    pub roles: Vec<String>,
    /// When it expires, in microseconds since 1970.
    pub exp: i64,
    /// When it was issued, likewise.
    pub iat: Option<i64>,
}

/// A number or a text.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(untagged)]
pub enum UserId {
    /// A number.
    Number(i64),
    /// A text.
    Text(String),
}

/// A token of the file, changed at each place of it in turn: every one is refused.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EveryCase {
    /// What it shows.
    pub name: String,
    /// The name of the token.
    pub of: String,
    /// `truncated` to each shorter length, each byte `removed`, `doubled`, or `flipped` in each of its lower seven bits.
    pub change: String,
    /// The reasons of which each is one.
    pub reasons: Vec<String>,
}

/// Why a token is refused: the reason, and the claim that it names.
pub type Refusal = (String, Option<String>);

impl TokenFile {
    /// Every file, in the order of their paths.
    ///
    /// # Panics
    /// When one cannot be read or is not of the form.
    pub fn load_all() -> Vec<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/tokens");
        let entries = fs::read_dir(folder).expect("the folder of the cases");
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
        paths.sort();
        let load = |path: PathBuf| {
            let text =
                fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let file: Self =
                toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            Self { path, ..file }
        };
        paths.into_iter().map(load).collect()
    }

    /// The ring with its keys.
    ///
    /// # Panics
    /// When they make none.
    pub fn ring(&self, rules: &RulesCase) -> KeyRing {
        let revoked =
            self.revoked.iter().map(|one| Revocation { id: id(&one.id), at: Timestamp::from_micros(one.at) });
        let history = KeyHistory::new(self.key.iter().map(KeyCase::record), revoked)
            .unwrap_or_else(|error| panic!("{}: {error}", self.path.display()));
        let keys = self.key.iter().map(|key| (id(&key.id), key.signer().verifying()));
        KeyRing::new(&history, keys, rules.rules())
            .unwrap_or_else(|error| panic!("{}: {error}", self.path.display()))
    }

    /// The token of a case.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn token(&self, case: &TokenCase) -> String {
        if let Some(token) = &case.token {
            return token.clone();
        }
        let filled = |text: &String| match &case.fill {
            Some(fill) => {
                text.replace("%FILL%", &(fill.open.repeat(fill.times) + &fill.close.repeat(fill.times)))
            }
            None => text.clone(),
        };
        let part = |text: &Option<String>, part: &Option<String>| match (text, part) {
            (Some(text), None) => base64(filled(text).as_bytes()),
            (None, Some(part)) => filled(part),
            _ => panic!("`{}` has either a text or a part", case.name),
        };
        let header = part(&case.header, &case.header_part);
        let claims = part(&case.claims, &case.claims_part);
        let parts = format!("{header}.{claims}");
        let token = match (&case.signed_by, &case.signature_part) {
            (Some(id), None) => self.signer(id).sign(&parts),
            (None, Some(signature)) => format!("{parts}.{}", filled(signature)),
            _ => panic!("`{}` has either a key that signs or a signature", case.name),
        };
        format!("{}{token}{}", case.before, case.after)
    }

    /// Every changed token of a case, with the place of the change.
    ///
    /// # Panics
    /// When its token is not of the file.
    pub fn changed(&self, case: &EveryCase) -> Vec<(usize, String)> {
        let of = self.token.iter().find(|token| token.name == case.of);
        let token = self.token(of.unwrap_or_else(|| panic!("no token is called `{}`", case.of)));
        let bytes = token.as_bytes();
        let mut changed: Vec<(usize, Vec<u8>)> = Vec::new();
        for (at, byte) in bytes.iter().enumerate() {
            let (before, after) = (&bytes[..at], &bytes[at + 1..]);
            match case.change.as_str() {
                "truncated" => changed.push((at, before.to_vec())),
                "removed" => changed.push((at, [before, after].concat())),
                "doubled" => changed.push((at, [before, &[*byte, *byte], after].concat())),
                "flipped" => {
                    let flipped = (0..7).map(|bit| (at, [before, &[byte ^ (1 << bit)], after].concat()));
                    changed.extend(flipped);
                }
                other => panic!("`{other}` is no change"),
            }
        }
        let text = |bytes| String::from_utf8(bytes).expect("seven bits are text");
        changed.into_iter().map(|(at, bytes)| (at, text(bytes))).collect()
    }

    fn signer(&self, id: &str) -> Signer {
        let key = self.key.iter().chain(&self.outsider).find(|key| key.id == id);
        key.unwrap_or_else(|| panic!("{}: no key is called `{id}`", self.path.display())).signer()
    }
}

impl KeyCase {
    /// The key that signs.
    ///
    /// # Panics
    /// When the private part does not fit the public one.
    pub fn signer(&self) -> Signer {
        let private = match (&self.secret, &self.private) {
            (Some(text), None) => text.as_bytes().to_vec(),
            (None, Some(bytes)) => from_base64(bytes),
            _ => panic!("`{}` has either a secret or a private key", self.id),
        };
        let algorithm = Algorithm::from_name(&self.algorithm).expect("an algorithm");
        let signer = Signer::new(algorithm, &private);
        if let Some(public) = &self.public {
            assert_eq!(base64(&signer.public()), *public, "the public part of `{}`", self.id);
        }
        signer
    }

    fn record(&self) -> KeyRecord {
        let since = self.since.map(Timestamp::from_micros);
        let not_after = self.not_after.map(Timestamp::from_micros);
        KeyRecord {
            id: id(&self.id),
            algorithm: Algorithm::from_name(&self.algorithm).expect("an algorithm"),
            phase: match self.state.as_deref() {
                Some("staged") => KeyPhase::Staged { since: since.expect("a staged key has a time") },
                Some("active") => KeyPhase::Active { since },
                Some("retired") => KeyPhase::Retired { since, not_after },
                other => panic!("`{}` is {other:?}", self.id),
            },
        }
    }
}

impl RulesCase {
    /// As policy-core takes them.
    pub fn rules(&self) -> TokenRules {
        TokenRules {
            leeway: Duration::from_secs(self.leeway),
            token_life: self.token_life.map(Duration::from_secs),
            issuers: self.issuers.clone(),
            audiences: self.audiences.clone(),
        }
    }
}

/// What policy-core makes of a token.
///
/// # Errors
/// Why it is refused.
pub fn verify(ring: &KeyRing, token: &str, now: i64, buffer: &mut TokenBuffer) -> Result<Accepted, Refusal> {
    let verified = ring.verify(token, Timestamp::from_micros(now), buffer).map_err(|error| {
        let claim = match error {
            policy_core::token::TokenError::InvalidClaim(claim) => Some(claim.to_owned()),
            _ => None,
        };
        (error.reason().to_owned(), claim)
    })?;
    let claims = verified.claims;
    Ok(Accepted {
        key: verified.key.id.to_string(),
        named_key: verified.named_key,
        user_id: claims.user_id.map(|user| match user {
            UserClaim::Number(number) => UserId::Number(number),
            UserClaim::Text(text) => UserId::Text(text.into_owned()),
        }),
        username: claims.username.map(Into::into),
        email: claims.email.map(Into::into),
        roles: claims.roles.into_iter().map(Into::into).collect(),
        exp: claims.exp.micros(),
        iat: claims.iat.map(Timestamp::micros),
    })
}

fn id(name: &str) -> KeyId {
    KeyId::parse(name).unwrap_or_else(|error| panic!("`{name}`: {error}"))
}

fn hs256() -> String {
    "HS256".to_owned()
}
