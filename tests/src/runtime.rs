//! Whatever runs the WebAssembly module, behind one face, and the suites' questions put to it: every case, and generated ones.

use crate::cases::{self, CaseFile, answer_json};
use crate::token_cases::{RulesCase, TokenFile};
use crate::world::{Ask, World};
use crate::{convert, generate, numbers, oracle, shrink};
use policy_core::token::{VerifyingKey, write_document};
use serde_json::Value;
use std::path::PathBuf;

/// Questions asked about each generated world, by one batch.
const QUESTIONS: u64 = 48;

/// Something that answers by the module. What it could not answer, it says in words, and the test fails.
pub trait Runtime {
    /// Takes the policy that is asked about from now on.
    ///
    /// # Errors
    /// Why it is refused.
    fn load(&mut self, bundle: &[u8]) -> Result<(), String>;

    /// The decisions with their reasons, in the JSON form of every path.
    ///
    /// # Errors
    /// Why there is no answer.
    fn decide(&mut self, asks: &[Ask]) -> Result<Vec<Value>, String>;

    /// Whether each is allowed, by the way that is made for many questions.
    ///
    /// # Errors
    /// Why there is no answer.
    fn check(&mut self, asks: &[Ask]) -> Result<Vec<bool>, String>;

    /// What the user of a question may do, and until when that holds.
    ///
    /// # Errors
    /// Why there is no answer.
    fn session(&mut self, ask: &Ask) -> Result<(Vec<String>, Option<i64>), String>;

    /// Every permission of the user of a question.
    ///
    /// # Errors
    /// Why there is no answer.
    fn permissions_of(&mut self, ask: &Ask) -> Result<Vec<String>, String>;

    /// The explanation, as JSON.
    ///
    /// # Errors
    /// Why there is no answer.
    fn explain(&mut self, ask: &Ask) -> Result<Value, String>;

    /// What each of these tokens says at its time, or why it is refused, by the key ring of a document.
    ///
    /// # Errors
    /// Why there is no answer, or the document is refused.
    fn verify(
        &mut self,
        document: &str,
        tokens: &[(String, i64)],
    ) -> Result<Vec<Result<Value, String>>, String>;
}

/// The module, as `scripts/test` builds it, or where `PBAC_WASM_MODULE` says.
///
/// # Panics
/// When it is not there.
#[must_use]
pub fn module() -> PathBuf {
    let path = std::env::var_os("PBAC_WASM_MODULE").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/wasm/pbac.wasm")),
        PathBuf::from,
    );
    assert!(path.is_file(), "`{}` is not there: build it with `scripts/wasm`", path.display());
    path
}

/// Puts every case to it that it can be asked: decisions, sessions, permissions, explanations and tokens. Returns how many.
///
/// # Panics
/// When an answer is not the expected one.
pub fn every_case(runtime: &mut dyn Runtime) -> usize {
    let mut failures = Vec::new();
    let mut asked = 0;
    for file in cases::load_all() {
        match of_file(runtime, &file) {
            Ok(count) => asked += count,
            Err(failure) => failures.push(format!("{}: {failure}", file.path.display())),
        }
    }
    for file in
        TokenFile::load_all().iter().filter(|file| file.key.iter().all(|key| key.algorithm == "HS256"))
    {
        match tokens_of_file(runtime, file) {
            Ok(count) => asked += count,
            Err(failure) => failures.push(format!("{}: {failure}", file.path.display())),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    asked
}

fn of_file(runtime: &mut dyn Runtime, file: &CaseFile) -> Result<usize, String> {
    let asked = file.decide.len() + file.session.len() + file.permissions_of.len() + file.explain.len();
    if asked == 0 {
        return Ok(0);
    }
    load(runtime, &file.policy)?;
    let asks: Vec<Ask> = file.decide.iter().map(cases::DecideCase::ask).collect();
    for (case, (found, allowed)) in
        file.decide.iter().zip(runtime.decide(&asks)?.into_iter().zip(runtime.check(&asks)?))
    {
        same(&case.name, &found, &case.expect)?;
        same(&case.name, &allowed, &(case.expect["decision"] == "allow"))?;
    }
    for case in &file.session {
        let ask = cases::ask_user(&case.user, &case.roles, case.now);
        same(&case.name, &runtime.session(&ask)?, &(case.allowed.clone(), end(case.valid_until)))?;
    }
    for case in &file.permissions_of {
        let ask = cases::ask_user(&case.user, &case.roles, case.now);
        same(&case.name, &runtime.permissions_of(&ask)?, &case.expect)?;
    }
    for case in &file.explain {
        let ask =
            Ask { permission: case.permission.clone(), ..cases::ask_user(&case.user, &case.roles, case.now) };
        same(&case.name, &runtime.explain(&ask)?, &native_explanation(&file.policy, &ask)?)?;
    }
    Ok(asked)
}

/// The end of a session as the module says it: its largest number stands for none (`wasm/ABI.md`, "Sessions").
fn end(valid_until: Option<i64>) -> Option<i64> {
    valid_until.filter(|end| *end != i64::MAX)
}

/// What policy-core explains, which the suite `cases` holds to what is expected.
fn native_explanation(world: &World, ask: &Ask) -> Result<Value, String> {
    let index = policy_core::Index::compile(&convert::policy(world)?).map_err(|error| error.to_string())?;
    convert::with_request(ask, |request| serde_json::to_value(index.explain(request)))
        .map_err(|error| error.to_string())
}

fn tokens_of_file(runtime: &mut dyn Runtime, file: &TokenFile) -> Result<usize, String> {
    let mut asked = 0;
    for case in &file.token {
        let document = document(file, case.rules.as_ref().unwrap_or(&file.rules));
        let token = (file.token(case), case.now.unwrap_or(file.now));
        let found = runtime.verify(&document, std::slice::from_ref(&token))?;
        let [found] = found.as_slice() else { return Err(format!("{}: {} answers", case.name, found.len())) };
        match (&case.accepted, found) {
            (Some(accepted), Ok(claims)) => {
                same(&case.name, &claims["key"], &Value::from(accepted.key.clone()))?;
                same(&case.name, &claims["named_key"], &Value::from(accepted.named_key))?;
                same(&case.name, &claims["username"], &Value::from(accepted.username.clone()))?;
                same(&case.name, &claims["roles"], &Value::from(accepted.roles.clone()))?;
            }
            (None, Err(reason)) => same(&case.name, &Some(reason.clone()), &case.reason)?,
            (_, found) => return Err(format!("{}: found {found:?}", case.name)),
        }
        asked += 1;
    }
    for case in &file.every {
        let tokens = file.changed(case).into_iter().map(|(_, token)| (token, file.now)).collect::<Vec<_>>();
        let found = runtime.verify(&document(file, &file.rules), &tokens)?;
        for (found, (token, _)) in found.iter().zip(&tokens) {
            let refused = found.as_ref().is_err_and(|reason| case.reasons.contains(reason));
            if !refused {
                return Err(format!("{}: {token:?}: found {found:?}", case.name));
            }
        }
        same(&case.name, &found.len(), &tokens.len())?;
        asked += found.len();
    }
    Ok(asked)
}

fn document(file: &TokenFile, rules: &RulesCase) -> String {
    let ring = file.ring(rules);
    let keys: Vec<(_, VerifyingKey)> = ring
        .history()
        .keys()
        .iter()
        .filter_map(|record| {
            let case = file.key.iter().find(|key| key.id == record.id.as_str())?;
            Some((record.id.clone(), case.signer().verifying()))
        })
        .collect();
    write_document(ring.history(), &keys, ring.rules()).expect("a ring has a document").to_string()
}

/// Asks so many generated questions (`PBAC_CASES` raises the number, if it is larger) and holds the answers to the oracle. A
/// disagreement is made small and printed as a case file.
///
/// # Panics
/// When an answer is not the oracle's.
pub fn generated(runtime: &mut dyn Runtime, least: u64) -> u64 {
    let (wanted, seed) = (numbers::cases(0).max(least), numbers::first_seed());
    let mut asked = 0;
    for number in 0..wanted.div_ceil(QUESTIONS) {
        let seed = seed.wrapping_add(number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut rng = fastrand::Rng::with_seed(seed);
        let world = generate::world(&mut rng);
        let asks: Vec<Ask> = (0..QUESTIONS).map(|_| generate::ask(&mut rng, &world)).collect();
        if let Err((ask, failure)) = one_world(runtime, &world, &asks, number % 16 == 0) {
            let fails = |world: &World, ask: &Ask| {
                convert::policy(world).is_ok()
                    && one_world(&mut *runtime, world, std::slice::from_ref(ask), true).is_err()
            };
            let (world, ask) = shrink_with(world, ask, fails);
            panic!("seed {seed}: {failure}\n{}", shrink::case_file(&world, &ask, "to be named"));
        }
        asked += QUESTIONS;
    }
    asked
}

/// [`shrink::shrink`] with a question that changes who is asked.
fn shrink_with(world: World, ask: Ask, fails: impl FnMut(&World, &Ask) -> bool) -> (World, Ask) {
    let fails = std::cell::RefCell::new(fails);
    shrink::shrink(world, ask, |world, ask| (fails.borrow_mut())(world, ask))
}

fn one_world(
    runtime: &mut dyn Runtime,
    world: &World,
    asks: &[Ask],
    sessions: bool,
) -> Result<(), (Ask, String)> {
    let first = asks.first().cloned().unwrap_or_else(|| cases::ask_user("u", &None, 0));
    let whole = |failure| (first.clone(), failure);
    load(runtime, world).map_err(whole)?;
    let found = runtime.decide(asks).map_err(whole)?;
    let allowed = runtime.check(asks).map_err(whole)?;
    same("answers", &(found.len(), allowed.len()), &(asks.len(), asks.len())).map_err(whole)?;
    for (ask, (found, allowed)) in asks.iter().zip(found.iter().zip(&allowed)) {
        let answer = oracle::decide(world, ask);
        let agree = same("decide", found, &answer_json(&answer))
            .and_then(|()| same("check", allowed, &answer.is_allowed()));
        agree.map_err(|failure| (ask.clone(), failure))?;
    }
    for ask in asks.iter().take(if sessions { 8 } else { 0 }) {
        let held = oracle::permissions_of(world, ask);
        let agree = runtime
            .session(ask)
            .and_then(|found| same("session", &found, &(held.clone(), end(oracle::valid_until(world, ask)))))
            .and_then(|()| runtime.permissions_of(ask))
            .and_then(|found| same("permissions_of", &found, &held));
        agree.map_err(|failure| (ask.clone(), failure))?;
    }
    Ok(())
}

fn load(runtime: &mut dyn Runtime, world: &World) -> Result<(), String> {
    let policy = convert::policy(world)?;
    let bundle = policy_core::encode(&policy).map_err(|error| error.to_string())?;
    runtime.load(&bundle)
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, expected: &T) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{what}: found {found:?}, expected {expected:?}")) }
}
