//! Every case of `tests/cases` against policy-core, and against the oracle: the data and the oracle must agree too.

use pbac_tests::cases::{self, CaseFile, PatternCase};
use pbac_tests::world::Ask;
use pbac_tests::{convert, oracle};
use policy_core::{Decision, Index, Pattern, PatternError, PermissionName, RoleName, Timestamp, UserId};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;

/// Asserts for each case of each file, naming both.
fn each<C>(
    pick: impl Fn(&CaseFile) -> &[C],
    name: impl Fn(&C) -> &str,
    check: impl Fn(&CaseFile, &C) -> Result<(), String>,
) {
    let (mut checked, mut failures) = (0, Vec::new());
    for file in cases::load_all() {
        for case in pick(&file) {
            checked += 1;
            if let Err(failure) = check(&file, case) {
                failures.push(format!("{}: {}: {failure}", file.path.display(), name(case)));
            }
        }
    }
    assert!(checked > 0, "no case of this kind was found");
    assert!(failures.is_empty(), "{} of {checked} cases failed:\n{}", failures.len(), failures.join("\n"));
}

fn same<T: PartialEq + std::fmt::Debug>(who: &str, found: T, expected: &T) -> Result<(), String> {
    if found == *expected {
        return Ok(());
    }
    Err(format!("{who} says {found:?}, expected {expected:?}"))
}

fn check_text(
    case: &PatternCase,
    core: Option<PatternError>,
    oracle: Result<(), usize>,
) -> Result<(), String> {
    same("the oracle", oracle.err(), &case.error_at)?;
    same("policy-core", core.as_ref().map(|error| error.byte), &case.error_at)?;
    if let (Some(error), Some(byte)) = (core, case.error_at) {
        let shown = error.to_string();
        let named = shown.starts_with(&format!("`{}`", case.text.escape_debug()))
            && shown.contains(&format!(": byte {byte} ("));
        same("the message names the text and the byte", named, &true).map_err(|e| format!("{e}: {shown}"))?;
    }
    Ok(())
}

#[test]
fn no_case_file_is_missed() {
    let count: usize = cases::load_all().iter().map(CaseFile::count).sum();
    assert!(count >= 450, "{count} cases were found");
    println!("{count} cases");
}

#[test]
fn permissions_are_read_and_errors_name_the_byte() {
    each(
        |file| &file.permission,
        |case| &case.name,
        |_, case| {
            check_text(case, PermissionName::parse(&case.text).err(), oracle::check_permission(&case.text))
        },
    );
}

#[test]
fn patterns_are_read_and_errors_name_the_byte() {
    each(
        |file| &file.pattern,
        |case| &case.name,
        |_, case| check_text(case, Pattern::parse(&case.text).err(), oracle::check_pattern(&case.text)),
    );
}

#[test]
fn names_of_roles_are_read() {
    each(
        |file| &file.role_name,
        |case| &case.name,
        |_, case| same("policy-core", RoleName::parse(&case.text).is_ok(), &case.valid),
    );
}

#[test]
fn user_ids_are_read() {
    each(
        |file| &file.user_id,
        |case| &case.name,
        |_, case| {
            same("policy-core", UserId::parse(&case.text).is_ok(), &case.valid)?;
            same("the oracle", oracle::is_user(&case.text), &case.valid)
        },
    );
}

#[test]
fn patterns_match_both_columns() {
    each(
        |file| &file.matching,
        |case| &case.name,
        |_, case| {
            let pattern = Pattern::parse(&case.pattern).map_err(|error| error.to_string())?;
            let expected = case.matches.iter().map(|text| (text, true));
            for (text, expected) in expected.chain(case.rejects.iter().map(|text| (text, false))) {
                let oracle = oracle::check_permission(text).is_ok() && oracle::matches(&case.pattern, text);
                same(&format!("of `{text}` the oracle"), oracle, &expected)?;
                let core = PermissionName::parse(text).is_ok_and(|name| pattern.matches(&name));
                same(&format!("of `{text}` policy-core"), core, &expected)?;
            }
            Ok(())
        },
    );
}

#[test]
fn refused_policies_say_why() {
    each(
        |file| &file.refused,
        |case| &case.name,
        |_, case| same("policy-core", convert::policy(&case.policy).err(), &Some(case.message.clone())),
    );
}

#[test]
fn accepted_policies_are_accepted() {
    each(
        |file| &file.accepted,
        |case| &case.name,
        |_, case| same("policy-core", convert::policy(&case.policy).err(), &None),
    );
}

fn index(file: &CaseFile) -> Index {
    let policy =
        convert::policy(&file.policy).unwrap_or_else(|error| panic!("{}: {error}", file.path.display()));
    Index::compile(&policy).expect("a small policy compiles")
}

#[test]
fn decisions_and_their_reasons() {
    each(
        |file| &file.decide,
        |case| &case.name,
        |file, case| {
            let (ask, index) = (case.ask(), index(file));
            same("the oracle", cases::answer_json(&oracle::decide(&file.policy, &ask)), &case.expect)?;
            let (decision, allowed) =
                convert::with_request(&ask, |request| (json(&index.decide(request)), index.allows(request)));
            same("policy-core", decision, &case.expect)?;
            same("allows", allowed, &(case.expect["decision"] == "allow"))
        },
    );
}

#[test]
fn every_permission_of_a_user() {
    each(
        |file| &file.permissions_of,
        |case| &case.name,
        |file, case| {
            let (ask, index) = (cases::ask_user(&case.user, &case.roles, case.now), index(file));
            same("the oracle", oracle::permissions_of(&file.policy, &ask), &case.expect)?;
            let core = convert::with_request(&ask, |request| {
                owned(index.permissions_of(request.user, request.roles, request.now))
            });
            same("policy-core", core, &case.expect)
        },
    );
}

#[test]
fn unknown_roles_are_reported() {
    each(
        |file| &file.unknown_roles,
        |case| &case.name,
        |file, case| {
            let (ask, index) = (cases::ask_user(&case.user, &case.roles, case.now), index(file));
            same("the oracle", oracle::unknown_roles(&file.policy, &ask), &case.expect)?;
            let core: BTreeSet<String> = convert::with_request(&ask, |request| {
                index.unknown_roles(request.user, request.roles).map(str::to_owned).collect()
            });
            same("policy-core", core.into_iter().collect(), &case.expect)
        },
    );
}

#[test]
fn sessions_hold_what_they_say_for_as_long_as_they_say() {
    each(
        |file| &file.session,
        |case| &case.name,
        |file, case| {
            let (ask, index) = (cases::ask_user(&case.user, &case.roles, case.now), index(file));
            same("the oracle", oracle::permissions_of(&file.policy, &ask), &case.allowed)?;
            same("the oracle", oracle::valid_until(&file.policy, &ask), &case.valid_until)?;
            let session = convert::with_request(&ask, |request| {
                index.session(request.user, request.roles, request.now)
            });
            let listed = session.permissions().map(|id| index.permission(id));
            same("the session", owned(listed), &case.allowed)?;
            let bits = index.permissions().filter(|name| {
                index.permission_id(name).is_some_and(|permission| session.allows(permission))
            });
            same("the session, bit by bit", owned(bits), &case.allowed)?;
            same("valid_until", session.valid_until().map(Timestamp::micros), &case.valid_until)
        },
    );
}

#[test]
fn everyone_who_holds_a_permission() {
    each(
        |file| &file.who_can,
        |case| &case.name,
        |file, case| {
            let expected = match &case.denied {
                Some(reason) => Err(reason.clone()),
                None => Ok((case.roles.clone(), case.users.clone())),
            };
            let oracle = oracle::who_can(&file.policy, &case.permission, case.now);
            let reason =
                |answer| cases::answer_json(&answer)["reason"].as_str().unwrap_or_default().to_owned();
            same("the oracle", oracle.map_err(reason), &expected)?;
            let index = index(file);
            let core = index.who_can(&case.permission, Timestamp::from_micros(case.now));
            let core = core.map(|holders| (owned(holders.roles), owned(holders.users)));
            let core = core.map_err(|denial| Decision::Deny(denial).reason().to_owned());
            same("policy-core", core, &expected)
        },
    );
}

#[test]
fn explanations_name_what_had_a_say() {
    each(
        |file| &file.explain,
        |case| &case.name,
        |file, case| {
            let ask = Ask {
                permission: case.permission.clone(),
                ..cases::ask_user(&case.user, &case.roles, case.now)
            };
            let index = index(file);
            let found = convert::with_request(&ask, |request| json(&index.explain(request)));
            says("policy-core", &found, &case.expect)
        },
    );
}

#[test]
fn differences_say_who_gains_and_loses() {
    each(
        |file| &file.diff,
        |case| &case.name,
        |file, case| {
            let (old, new) = (convert::policy(&file.policy)?, convert::policy(&file.new_policy)?);
            let found = policy_core::diff(&old, &new, Timestamp::from_micros(case.now));
            says("policy-core", &json(&found.map_err(|error| error.to_string())?), &case.expect)
        },
    );
}

#[test]
fn conflicts_say_who_breaks_them() {
    each(
        |file| &file.conflicts,
        |case| &case.name,
        |file, case| {
            let policy = convert::policy(&file.policy)?;
            let found = policy_core::breaches(&policy, Timestamp::from_micros(case.now));
            says("policy-core", &json(&found.map_err(|error| error.to_string())?), &case.expect)
        },
    );
}

#[test]
fn lints_say_what_is_odd() {
    each(
        |file| &file.lint,
        |case| &case.name,
        |file, case| {
            says("policy-core", &json(&policy_core::lint(&convert::policy(&file.policy)?)), &case.expect)
        },
    );
}

#[test]
fn new_catalog_entries_say_whom_they_reach() {
    each(
        |file| &file.newly_granted,
        |case| &case.name,
        |file, case| {
            let (old, new) = (convert::policy(&file.policy)?, convert::policy(&file.new_policy)?);
            let found = policy_core::newly_granted(&old, &new).map_err(|error| error.to_string())?;
            says("policy-core", &json(&found), &case.expect)
        },
    );
}

fn owned<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    names.into_iter().map(str::to_owned).collect()
}

fn json(value: &impl Serialize) -> Value {
    serde_json::to_value(value).expect("what is reported can be written as JSON")
}

/// Whether `found` says all that is expected: of objects the expected keys, of lists every entry. `(none)` stands for null.
fn says(who: &str, found: &Value, expected: &Value) -> Result<(), String> {
    if covers(found, expected) { Ok(()) } else { Err(format!("{who} says {found}, expected {expected}")) }
}

fn covers(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Null, Value::String(text)) => text == "(none)",
        (Value::Object(found), Value::Object(expected)) => {
            expected.iter().all(|(key, value)| found.get(key).is_some_and(|found| covers(found, value)))
        }
        (Value::Array(found), Value::Array(expected)) => {
            found.len() == expected.len()
                && found.iter().zip(expected).all(|(found, expected)| covers(found, expected))
        }
        _ => found == expected,
    }
}
