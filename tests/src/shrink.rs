//! Makes a failing world smaller by leaving out whatever the failure does not need, and prints it as a case file.

use crate::cases::answer_json;
use crate::oracle;
use crate::world::{Ask, Effect, World};
use std::fmt::Write;

/// The smallest world and question, as far as leaving out one thing at a time leads, that still fail.
pub fn shrink(mut world: World, mut ask: Ask, fails: impl Fn(&World, &Ask) -> bool) -> (World, Ask) {
    while let Some((smaller, question)) =
        smaller(&world, &ask).into_iter().find(|(world, ask)| fails(world, ask))
    {
        (world, ask) = (smaller, question);
    }
    (world, ask)
}

/// Every world and question with one thing less.
fn smaller(world: &World, ask: &Ask) -> Vec<(World, Ask)> {
    let mut found = Vec::new();
    let mut change = |edit: &dyn Fn(&mut World, &mut Ask)| {
        let (mut world, mut ask) = (world.clone(), ask.clone());
        edit(&mut world, &mut ask);
        found.push((world, ask));
    };
    for at in 0..world.overrides.len() {
        change(&|world, _| drop(world.overrides.remove(at)));
        if world.overrides[at].expires_at.is_some() {
            change(&|world, _| world.overrides[at].expires_at = None);
        }
    }
    for at in 0..world.users.len() {
        change(&|world, _| drop(world.users.remove(at)));
        for role in 0..world.users[at].roles.len() {
            change(&|world, _| drop(world.users[at].roles.remove(role)));
        }
    }
    for at in 0..world.permissions.len() {
        change(&|world, _| drop(world.permissions.remove(at)));
    }
    for (at, role) in world.roles.iter().enumerate() {
        if !world.roles.iter().any(|other| other.inherits.contains(&role.name)) {
            change(&|world, _| drop(world.roles.remove(at)));
        }
        for grant in 0..role.grants.len() {
            change(&|world, _| drop(world.roles[at].grants.remove(grant)));
        }
        for inherited in 0..role.inherits.len() {
            change(&|world, _| drop(world.roles[at].inherits.remove(inherited)));
        }
        for alias in 0..role.aliases.len() {
            change(&|world, _| drop(world.roles[at].aliases.remove(alias)));
        }
    }
    for at in 0..ask.roles.as_ref().map_or(0, Vec::len) {
        change(&|_, ask| drop(ask.roles.as_mut().map(|roles| roles.remove(at))));
    }
    found
}

/// The world and the question in the format of `tests/cases`, with the oracle's decision as the expected one.
pub fn case_file(world: &World, ask: &Ask, name: &str) -> String {
    let mut out = format!("[policy]\npermissions = {}\n", list(&world.permissions));
    for role in &world.roles {
        let (grants, inherits, aliases) = (list(&role.grants), list(&role.inherits), list(&role.aliases));
        let name = quoted(&role.name);
        let _ = write!(
            out,
            "\n[[policy.roles]]\nname = {name}\ngrants = {grants}\ninherits = {inherits}\naliases = {aliases}\n"
        );
    }
    for user in &world.users {
        let _ =
            write!(out, "\n[[policy.users]]\nuser = {}\nroles = {}\n", quoted(&user.user), list(&user.roles));
    }
    for over in &world.overrides {
        let effect = match over.effect {
            Effect::Allow => "allow",
            Effect::Deny => "deny",
        };
        let (user, pattern) = (quoted(&over.user), quoted(&over.pattern));
        let _ = write!(
            out,
            "\n[[policy.overrides]]\nuser = {user}\neffect = \"{effect}\"\npattern = {pattern}\n"
        );
        if let Some(end) = over.expires_at {
            let _ = writeln!(out, "expires_at = {end}");
        }
    }
    let _ = write!(out, "\n[[decide]]\nname = {}\nuser = {}\n", quoted(name), quoted(&ask.user));
    if let Some(roles) = &ask.roles {
        let _ = writeln!(out, "roles = {}", list(roles));
    }
    let expected = answer_json(&oracle::decide(world, ask));
    let fields: Vec<String> =
        expected.as_object().into_iter().flatten().map(|(key, value)| format!("{key} = {value}")).collect();
    let _ = write!(
        out,
        "permission = {}\nnow = {}\nexpect = {{ {} }}\n",
        quoted(&ask.permission),
        ask.now,
        fields.join(", ")
    );
    out
}

fn list(items: &[String]) -> String {
    let items: Vec<String> = items.iter().map(|item| quoted(item)).collect();
    format!("[{}]", items.join(", "))
}

/// A TOML basic string: what JSON writes is one, but for U+007F.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007F")
}
