//! Verifying tokens (SPEC section 5): the cases of `tests/cases/tokens`, jsonwebtoken as the oracle, and whatever bytes there are.

#[path = "tokens/arbitrary.rs"]
mod arbitrary;
#[path = "tokens/differences.rs"]
mod differences;
#[path = "tokens/jsonwebtoken.rs"]
mod oracle;
#[path = "tokens/signatures.rs"]
mod signatures;

use pbac_tests::token_cases::{self, TokenCase, TokenFile};
use policy_core::token::{TokenBuffer, TokenError};
use std::collections::{BTreeMap, BTreeSet};

#[test]
fn every_case() {
    let (mut count, mut failures) = (0, Vec::new());
    let mut buffer = TokenBuffer::default();
    for file in TokenFile::load_all() {
        for case in &file.token {
            count += 1;
            if let Err(failure) = run(&file, case, &mut buffer) {
                failures.push(format!("{}: {}: {failure}", file.path.display(), case.name));
            }
        }
    }
    println!("{count} cases");
    assert!(count >= 380, "{count} cases were found");
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}

fn run(file: &TokenFile, case: &TokenCase, buffer: &mut TokenBuffer) -> Result<(), String> {
    let ring = file.ring(case.rules.as_ref().unwrap_or(&file.rules));
    let found = token_cases::verify(&ring, &file.token(case), case.now.unwrap_or(file.now), buffer);
    let expected = match (&case.accepted, &case.reason) {
        (Some(accepted), None) => Ok(accepted.clone()),
        (None, Some(reason)) => Err((reason.clone(), case.claim.clone())),
        _ => return Err("a case has either `accepted` or a `reason`".to_owned()),
    };
    if found == expected { Ok(()) } else { Err(format!("found {found:?}, expected {expected:?}")) }
}

#[test]
fn every_reason_has_a_case() {
    let files = TokenFile::load_all();
    let reasons: BTreeSet<&str> =
        files.iter().flat_map(|file| &file.token).filter_map(|case| case.reason.as_deref()).collect();
    assert_eq!(reasons, TokenError::ALL.map(TokenError::reason).into_iter().collect());
}

#[test]
fn names_of_cases_are_theirs_alone() {
    for file in TokenFile::load_all() {
        let names: BTreeSet<&str> = file.token.iter().map(|case| case.name.as_str()).collect();
        assert_eq!(names.len(), file.token.len(), "{}: two cases have one name", file.path.display());
    }
}

#[test]
fn a_token_that_is_changed_anywhere_is_refused() {
    let mut buffer = TokenBuffer::default();
    let (mut count, mut failures) = (0, Vec::new());
    for file in TokenFile::load_all() {
        let ring = file.ring(&file.rules);
        for case in &file.every {
            let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
            for (at, token) in file.changed(case) {
                count += 1;
                match token_cases::verify(&ring, &token, file.now, &mut buffer) {
                    Ok(_) => panic!("{}: at {at}: accepted: {token}", case.name),
                    Err((reason, _)) => *reasons.entry(reason).or_default() += 1,
                }
            }
            let expected: BTreeSet<&str> = case.reasons.iter().map(String::as_str).collect();
            let found: BTreeSet<&str> = reasons.keys().map(String::as_str).collect();
            if found != expected {
                failures.push(format!("{}: {}: {reasons:?}", file.path.display(), case.name));
            }
        }
    }
    println!("{count} changed tokens");
    assert!(failures.is_empty(), "other reasons came up:\n{}", failures.join("\n"));
    assert!(count > 4_500, "{count} changed tokens");
}
