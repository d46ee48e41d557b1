//! Small adversarial worlds and questions from a seed.
//!
//! Names are drawn from few segments that share prefixes, so that patterns, catalog and questions meet often; times are drawn
//! from few moments, so that questions fall before, at and after an expiry.

use crate::world::{Ask, Effect, Override, Role, User, World};
use fastrand::Rng;

const SEGMENTS: [&str; 14] =
    ["a", "aa", "ab", "a-", "a_", "b", "0", "view", "view_", "view_x", "view-x", "views", "po", "warehouse"];
const ROLE_NAMES: [&str; 12] =
    ["A", "AA", "A B", "a", "a_b", "a.b", "B", "Ä", "*", "Z", "purchasing head", "PURCHASING_HEAD"];
const ALIASES: [&str; 8] = ["0", "A ", "b", "Z Z", "ä", "_", "~", "Purchasing Head"];
const UNKNOWN_ROLES: [&str; 4] = ["", "A\n", "nobody", "ZZ"];
const USERS: [&str; 6] = ["1", "11", "u", "U", "ü", "O'Brien"];
const BAD_PERMISSIONS: [&str; 12] =
    ["", "*", "a", "a.*", "a.", ".a", "a..b", "A.b", "a.b ", "a.é", "_a.b", "a.b.a.b.a.b.a.b.a"];
/// The moments at which overrides stop and questions are asked.
const MOMENTS: [i64; 7] = [i64::MIN, -1, 0, 1, 999, 1_000, i64::MAX];

/// A policy that is accepted.
pub fn world(rng: &mut Rng) -> World {
    let permissions = distinct(rng, 12, permission);
    let names = subset(rng, &ROLE_NAMES, 6);
    let mut aliases = subset(rng, &ALIASES, 5);
    let mut roles: Vec<Role> = Vec::new();
    for name in names {
        // Roles inherit only those made before them, so no circle can arise; shared ancestors make diamonds.
        let earlier: Vec<String> = roles.iter().map(|role| role.name.clone()).collect();
        let inherits = earlier.into_iter().filter(|_| rng.u8(..3) == 0).collect();
        let taken = aliases.len().min(rng.usize(..3));
        let grants = (0..rng.usize(..5)).map(|_| pattern(rng, &permissions)).collect();
        roles.push(Role { name, grants, inherits, aliases: aliases.split_off(aliases.len() - taken) });
    }
    rng.shuffle(&mut roles);
    let mut world = World { permissions, roles, ..World::default() };
    for user in subset(rng, &USERS, 4) {
        let roles = role_names(rng, &world, &["nobody", "ZZ"]);
        world.users.push(User { user, roles });
    }
    for _ in 0..rng.usize(..12) {
        let over = one_override(rng, &world);
        world.overrides.push(over);
    }
    if let Some(over) = world.overrides.first().cloned().filter(|_| rng.bool()) {
        // The same override again with another expiry: the two are one (SPEC section 3).
        world.overrides.push(Override { expires_at: expiry(rng), ..over });
    }
    world
}

/// A question about a world, often about something the world does not know.
pub fn ask(rng: &mut Rng, world: &World) -> Ask {
    let permission = match rng.u8(..24) {
        0 => choose(rng, &BAD_PERMISSIONS).to_owned(),
        1 | 2 => permission(rng),
        3 => pattern(rng, &world.permissions),
        _ => rng.choice(&world.permissions).cloned().unwrap_or_else(|| "a.b".to_owned()),
    };
    let roles = rng.bool().then(|| role_names(rng, world, &UNKNOWN_ROLES));
    Ask { user: user(rng, world), roles, permission, now: moment(rng) }
}

/// Who asks: mostly someone the world knows, sometimes nobody, sometimes no user id at all.
fn user(rng: &mut Rng, world: &World) -> String {
    match rng.u8(..64) {
        0 => String::new(),
        1 => "u\0".to_owned(),
        2 => "u".repeat(257),
        3..=9 => choose(rng, &USERS).to_owned(),
        10..=42 => rng.choice(&world.overrides).map_or_else(|| "u".to_owned(), |over| over.user.clone()),
        _ => rng.choice(&world.users).map_or_else(|| "u".to_owned(), |user| user.user.clone()),
    }
}

fn one_override(rng: &mut Rng, world: &World) -> Override {
    Override {
        user: choose(rng, &USERS[..4]).to_owned(),
        effect: if rng.bool() { Effect::Allow } else { Effect::Deny },
        pattern: pattern(rng, &world.permissions),
        expires_at: expiry(rng),
        reason: String::new(),
    }
}

fn expiry(rng: &mut Rng) -> Option<i64> {
    (rng.u8(..3) != 0).then(|| moment(rng))
}

fn moment(rng: &mut Rng) -> i64 {
    MOMENTS[rng.usize(..MOMENTS.len())]
}

/// Up to four names or aliases of the world's roles or of no role, in any order, some twice.
fn role_names(rng: &mut Rng, world: &World, unknown: &[&str]) -> Vec<String> {
    let name = |rng: &mut Rng| {
        let Some(role) = rng.choice(&world.roles).filter(|_| rng.u8(..6) != 0) else {
            return choose(rng, unknown).to_owned();
        };
        rng.choice(&role.aliases).filter(|_| rng.bool()).unwrap_or(&role.name).clone()
    };
    (0..rng.usize(..5)).map(|_| name(rng)).collect()
}

fn permission(rng: &mut Rng) -> String {
    let segments = if rng.u8(..8) == 0 { rng.usize(4..=8) } else { rng.usize(2..=3) };
    let segments: Vec<&str> = (0..segments).map(|_| choose(rng, &SEGMENTS)).collect();
    segments.join(".")
}

/// A pattern: mostly a permission of the catalog with stars put into it, so that it matches or misses by little.
pub fn pattern(rng: &mut Rng, permissions: &[String]) -> String {
    if rng.u8(..10) == 0 {
        return "*".to_owned();
    }
    let base =
        rng.choice(permissions).cloned().filter(|_| rng.u8(..4) != 0).unwrap_or_else(|| permission(rng));
    let mut segments: Vec<String> = base.split('.').map(str::to_owned).collect();
    for segment in &mut segments {
        match rng.u8(..8) {
            0 | 1 => *segment = "*".to_owned(),
            2 => {
                segment.truncate(rng.usize(1..=segment.len()));
                segment.push('*');
            }
            3 => *segment = choose(rng, &SEGMENTS).to_owned(),
            _ => {}
        }
    }
    match rng.u8(..8) {
        0 if segments.len() > 2 => drop(segments.pop()),
        1 if segments.len() < 8 => segments.push("*".to_owned()),
        _ => {}
    }
    segments.join(".")
}

fn choose<'a>(rng: &mut Rng, from: &[&'a str]) -> &'a str {
    from[rng.usize(..from.len())]
}

/// Up to `most` of the names, in any order.
fn subset(rng: &mut Rng, from: &[&str], most: usize) -> Vec<String> {
    let count = rng.usize(..=most.min(from.len()));
    rng.choose_multiple(from.iter(), count).into_iter().map(|name| (*name).to_owned()).collect()
}

/// Up to `most` made texts, none twice.
fn distinct(rng: &mut Rng, most: usize, make: impl Fn(&mut Rng) -> String) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    for _ in 0..rng.usize(1..=most) {
        let text = make(rng);
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    texts
}
