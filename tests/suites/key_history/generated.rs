//! Random operations over simulated decades: policy-core and the oracle do the same, and what a history promises holds.
//!
//! `PBAC_CASES` raises the number of operations, `PBAC_SEED` repeats a run.

use super::Picture;
use fastrand::Rng;
use pbac_tests::key_cases::{self, Op};
use pbac_tests::key_line::{Line, time, time_text};
use pbac_tests::key_oracle::{Key, Keys, Rules, State};
use pbac_tests::numbers;
use pbac_tests::tokens::Signer;
use policy_core::Timestamp;
use policy_core::keys::{Algorithm, KeyHistory};
use policy_core::token::{KeyRing, TokenBuffer, TokenError, TokenRules};
use std::collections::BTreeMap;
use std::time::Duration;

/// Operations when `PBAC_CASES` does not say otherwise, and how many of them a decade has at least.
const OPERATIONS: u64 = 200_000;
const A_DECADE: u64 = 100;
/// How long tokens live; every grace but none is at least as long.
const LIFE: &str = "8h";
/// Every refusal and event: each has to come up often.
const WORDS: [&str; 15] = [
    "already_staged",
    "nothing_staged",
    "staging_not_over",
    "must_stage",
    "would_push_out",
    "clock_went_back",
    "unknown_key",
    "already_revoked",
    "name_taken",
    "staged",
    "promoted",
    "retired",
    "gone",
    "pushed_out",
    "revoked",
];

#[test]
fn decades_agree_with_the_oracle() {
    let decades = numbers::cases(OPERATIONS).div_ceil(A_DECADE);
    let mut words: BTreeMap<String, u64> = BTreeMap::new();
    let (mut verified, mut refused) = (0, 0);
    for seed in numbers::seeds().take(usize::try_from(decades).expect("a number of decades")) {
        let mut decade = Decade::new(seed);
        decade.run().unwrap_or_else(|failure| {
            panic!("seed {seed}: {failure}\n{:?}\n{}", decade.rules, decade.log.join("\n"))
        });
        for word in decade.words {
            *words.entry(word).or_default() += 1;
        }
        verified += decade.verified;
        refused += decade.refused;
    }
    println!("{decades} decades, {verified} tokens verified, {refused} refused: {words:?}");
    for word in WORDS {
        assert!(
            words.get(word).is_some_and(|count| *count * 4 >= decades),
            "`{word}` hardly came up: {words:?}"
        );
    }
    assert!(verified > decades * 20 && refused > decades * 20, "{verified} verified, {refused} refused");
}

/// Ten years of one issuer.
struct Decade {
    rng: Rng,
    rules: Rules,
    life: i64,
    now: i64,
    /// The latest that it ever was.
    latest: i64,
    core: KeyHistory,
    oracle: Keys,
    /// Names made so far.
    names: u32,
    issued: Vec<Issued>,
    /// Keys that went before their time, by force or revocation.
    taken_away: Vec<String>,
    words: Vec<String>,
    log: Vec<String>,
    verified: u64,
    refused: u64,
}

/// A token of an honest issuer.
struct Issued {
    key: String,
    iat: i64,
    exp: i64,
    /// Whether the clock went back to before it was issued.
    ahead: bool,
    named: String,
    nameless: String,
}

impl Decade {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let one_of = |rng: &mut Rng, texts: &[&str]| time(texts[rng.usize(..texts.len())]);
        let rules = Rules {
            rotation: one_of(&mut rng, &["90d", "90d", "30d", "1d"]),
            history: [3, 3, 3, 1, 0, 5][rng.usize(..6)],
            grace: one_of(&mut rng, &["270d", "270d", "8h", "90d", "0d"]),
            staging: one_of(&mut rng, &["15m", "15m", "0d", "2d"]),
            fleet: rng.bool(),
        };
        let names = ["A", "B", "C", "D"];
        let mut keys = Vec::new();
        if rng.u8(..3) == 0 {
            // What a store of the document's two variables holds.
            for (at, name) in names.iter().enumerate().take(1 + rng.usize(..4)) {
                let state = if at == 0 { State::Active } else { State::Retired };
                let since = (at == 0 && rng.bool()).then_some(-time("1d"));
                let algorithm = "HS256".to_owned();
                keys.push(Key { id: (*name).to_owned(), algorithm, state, since, until: None });
            }
        }
        Self {
            core: key_cases::history(&keys, &[]).expect("keys that agree"),
            oracle: Keys::from_store(keys, Vec::new()),
            now: 0,
            latest: 0,
            life: time(LIFE),
            names: 0,
            issued: Vec::new(),
            taken_away: Vec::new(),
            words: Vec::new(),
            log: Vec::new(),
            verified: 0,
            refused: 0,
            rules,
            rng,
        }
    }

    fn run(&mut self) -> Result<(), String> {
        let end = time("3652d");
        while self.now < end {
            self.pass_time();
            let op = self.op();
            self.step(&op)?;
            self.issue();
            if self.rng.u8(..4) == 0 {
                self.check_tokens()?;
            }
        }
        self.check_tokens()
    }

    /// To a moment at which something may change, or just before or after it, or anywhere; sometimes back.
    fn pass_time(&mut self) {
        let mut moments: Vec<i64> = self.oracle.keys.iter().filter_map(|key| key.until).collect();
        moments.extend(self.oracle.next_due(&self.rules));
        moments
            .extend(self.oracle.staged().and_then(|key| key.since).map(|since| since + self.rules.staging));
        moments.retain(|moment| *moment >= self.now);
        self.now = match (self.rng.u8(..12), self.rng.choice(&moments).copied()) {
            (0, _) => self.now - self.rng.i64(0..time("2d")),
            (1..=5, Some(moment)) => moment + self.rng.i64(-1..=1),
            (6, _) => self.now,
            (7, _) => self.now + self.rng.i64(0..time("1h")),
            (8 | 9, _) => self.now + self.rng.i64(0..time("3d")),
            _ => self.now + self.rng.i64(0..time("120d")),
        };
        self.latest = self.latest.max(self.now);
        for token in &mut self.issued {
            token.ahead |= token.iat > self.now;
        }
    }

    fn op(&mut self) -> Op {
        let force = self.rng.u8(..5) == 0;
        match self.rng.u8(..12) {
            0..=2 => Op::Stage(self.fresh(), algorithm(&mut self.rng)),
            3..=5 => Op::Promote(force),
            6..=8 => Op::Rotate(self.fresh(), algorithm(&mut self.rng), force),
            9 => {
                let known: Vec<&str> = self.oracle.keys.iter().map(|key| key.id.as_str()).collect();
                let id = if self.rng.u8(..3) == 0 { None } else { self.rng.choice(known) };
                let id = id.map_or_else(|| format!("K{}", self.rng.u32(..=self.names)), str::to_owned);
                Op::Revoke(id, self.fresh(), algorithm(&mut self.rng), self.rng.bool())
            }
            _ => Op::Sweep,
        }
    }

    /// A new name, now and then one that is not new.
    fn fresh(&mut self) -> String {
        if self.rng.u8(..8) != 0 {
            self.names += 1;
        }
        format!("K{}", self.names)
    }

    fn step(&mut self, op: &Op) -> Result<(), String> {
        self.log.push(format!("at {}: {op:?}", time_text(self.now)));
        let by_core = key_cases::apply_to_core(&self.core, op, &key_cases::core_rules(&self.rules), self.now);
        let by_oracle = key_cases::apply_to_oracle(&self.oracle, op, &self.rules, self.now);
        match (by_core, by_oracle) {
            (Ok((core, core_events)), Ok((oracle, oracle_events))) => {
                same("events", &core_events, &oracle_events)?;
                self.words.extend(oracle_events.iter().map(|event| event.word.clone()));
                self.check_change(op, &core, &oracle_events)?;
                (self.core, self.oracle) = (core, oracle);
            }
            (Err(core), Err(oracle)) => {
                same("refusal", &core, &oracle)?;
                self.words.push(core.word);
            }
            (core, oracle) => {
                return Err(format!(
                    "policy-core: {:?}, the oracle: {:?}",
                    core.map(|c| c.1),
                    oracle.map(|o| o.1)
                ));
            }
        }
        let core = Picture::of_core(&self.core, &self.rules, self.now);
        same("keys", &core, &Picture::of_oracle(&self.oracle, &self.rules, self.now))
    }

    /// What holds of every change, whatever the oracle says.
    fn check_change(&mut self, op: &Op, after: &KeyHistory, events: &[Line]) -> Result<(), String> {
        let now = Timestamp::from_micros(self.now);
        let again = KeyHistory::new(after.keys().to_vec(), after.revoked().to_vec());
        same("what a store gives back", &again.as_ref(), &Ok(after))?;
        let in_window = after.retired().filter(|key| key.verifies_at(now)).count();
        let before = self.core.retired().filter(|key| key.verifies_at(now)).count();
        if in_window > self.rules.history.max(before) {
            return Err(format!("{in_window} retired keys, and {} may be", self.rules.history));
        }
        let forced = matches!(op, Op::Promote(true) | Op::Rotate(_, _, true));
        for key in self.core.keys().iter().filter(|key| key.verifies_at(now)) {
            let kept = after.key(key.id.as_str());
            let revoked = after.revocation(key.id.as_str()).is_some();
            match kept {
                None if !revoked && !forced => {
                    return Err(format!("`{}` still verified, and is gone", key.id));
                }
                None => self.taken_away.push(key.id.to_string()),
                Some(kept) if key.not_after().is_some() => same("a time that was settled", kept, key)?,
                Some(_) => {}
            }
            let said = |word: &str| {
                events.iter().any(|e| e.word == word && e.id.as_deref() == Some(key.id.as_str()))
            };
            if kept.is_none() != (said("revoked") || said("pushed_out")) {
                return Err(format!("what became of `{}` is not said", key.id));
            }
        }
        let signs = after.active().is_some();
        if self.core.active().is_some() && !signs {
            return Err("no key signs any more".to_owned());
        }
        Ok(())
    }

    /// What an honest issuer signs now.
    fn issue(&mut self) {
        let Some(active) = self.oracle.active().filter(|key| key.since.is_none_or(|since| since <= self.now))
        else {
            return;
        };
        // Whole seconds, as issuers write them; what is cut off is not lived longer.
        let iat = self.now.div_euclid(1_000_000);
        let exp = iat + self.rng.i64(1..=self.life / 1_000_000);
        let signer = signer(&active.id, &active.algorithm);
        let claims = format!(r#"{{"user_id":7,"iat":{iat},"exp":{exp}}}"#);
        let (algorithm, id) = (&active.algorithm, &active.id);
        let named = signer.token(&format!(r#"{{"alg":"{algorithm}","kid":"{id}"}}"#), &claims);
        let nameless = signer.token(&format!(r#"{{"alg":"{algorithm}"}}"#), &claims);
        let (key, iat, exp) = (id.clone(), iat * 1_000_000, exp * 1_000_000);
        self.issued.push(Issued { key, iat, exp, ahead: false, named, nameless });
        if self.issued.len() > 12 {
            let oldest = self.rng.usize(..self.issued.len());
            self.issued.swap_remove(oldest);
        }
    }

    /// No valid token is refused, none of a key that is revoked or over is accepted.
    fn check_tokens(&mut self) -> Result<(), String> {
        let signers: Vec<Signer> =
            self.oracle.keys.iter().map(|key| signer(&key.id, &key.algorithm)).collect();
        let keys =
            self.core.keys().iter().zip(&signers).map(|(key, signer)| (key.id.clone(), signer.verifying()));
        let life = Duration::from_micros(self.life.unsigned_abs());
        let rules = TokenRules { token_life: Some(life), ..TokenRules::default() };
        let ring = KeyRing::new(&self.core, keys, rules).map_err(|error| error.to_string())?;
        let mut buffer = TokenBuffer::default();
        let mut moments: Vec<i64> = self.issued.iter().map(|token| token.exp - 1).collect();
        moments.extend(self.issued.iter().map(|token| token.exp));
        moments.push(self.now);
        for token in &self.issued {
            let key = self.oracle.keys.iter().find(|key| key.id == token.key);
            for now in moments.iter().copied().filter(|now| *now >= self.now) {
                let at = Timestamp::from_micros(now);
                let named = ring.verify(&token.named, at, &mut buffer).map(|found| found.key.id.to_string());
                let nameless =
                    ring.verify(&token.nameless, at, &mut buffer).map(|found| found.key.id.to_string());
                let retired =
                    key.filter(|key| key.state == State::Retired).map(|key| key.since.unwrap_or(now));
                let expected = if self.core.revocation(&token.key).is_some() {
                    Err(TokenError::RevokedKey)
                } else if key.is_none() {
                    Err(TokenError::UnknownKey)
                } else if key.is_some_and(|key| !key.verifies(now)) {
                    Err(TokenError::ExpiredKey)
                } else if retired.is_some_and(|retired| token.iat > retired + time("1m")) {
                    // No honest issuer signs so late, but one whose clock was ahead before it went back.
                    Err(TokenError::IssuedAfterRetirement)
                } else if now >= token.exp {
                    Err(TokenError::Expired)
                } else {
                    Ok(token.key.clone())
                };
                same("a token with a kid", &named, &expected)?;
                let told = |error: TokenError| match error {
                    TokenError::RevokedKey | TokenError::UnknownKey | TokenError::ExpiredKey => "no key",
                    other => other.reason(),
                };
                let blind = |error: TokenError| match error {
                    TokenError::BadSignature | TokenError::AlgorithmMismatch | TokenError::NoKey => "no key",
                    other => other.reason(),
                };
                same("a token without a kid", &nameless.map_err(blind), &expected.clone().map_err(told))?;
                if expected.is_ok() {
                    self.verified += 1
                } else {
                    self.refused += 1
                }
                // What this is all for: a token lives until it expires, if its key was not taken away, the grace is long enough, and
                // no clock went back.
                let steady = !token.ahead && self.now == self.latest;
                let alive = steady && now < token.exp && self.rules.grace >= self.life;
                if alive && !self.taken_away.contains(&token.key) && expected.is_err() {
                    return Err(format!("a valid token of `{}` is refused: {expected:?}", token.key));
                }
            }
        }
        Ok(())
    }
}

fn algorithm(rng: &mut Rng) -> String {
    // Signing with elliptic curves takes time, and a history makes no difference between them.
    if rng.u8(..40) == 0 { "EdDSA" } else { "HS256" }.to_owned()
}

fn signer(id: &str, algorithm: &str) -> Signer {
    Signer::made_up(Algorithm::from_name(algorithm).expect("an algorithm"), id)
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, core: &T, oracle: &T) -> Result<(), String> {
    if core == oracle {
        Ok(())
    } else {
        Err(format!("{what}: policy-core says {core:?}, expected {oracle:?}"))
    }
}
