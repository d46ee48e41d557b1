//! The ERP workload: 13 modules, 112 permissions, 22 roles (2 hold `*`, 6 hold one to three wildcards, the rest 5 to 15
//! exact permissions), 10,000 users with one to three roles, one in twenty of them with one to three overrides, and
//! 100,000 questions, half of which are allowed. All of it comes from one seed.

use crate::peers::RolePatterns;
use fastrand::Rng;
use policy_core::{
    Effect, Index, Label, Override, Pattern, Permission, PermissionName, Policy, PolicyParts, Role, RoleName,
    Timestamp, UserId, UserRoles,
};

const SEED: u64 = 20_260_801;
const MODULES: usize = 13;
const PERMISSIONS: usize = 112;
const ROLES: usize = 22;
const FULL_ROLES: usize = 2;
const WILDCARD_ROLES: usize = 6;
const USERS: usize = 10_000;
const QUESTIONS: usize = 100_000;
const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);

/// One question of the stream, as each path wants it.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// The place of the user in [`Workload::users`].
    pub user: usize,
    /// The place of the permission in [`Workload::names`].
    pub permission: usize,
    /// The right answer.
    pub allowed: bool,
}

/// A policy, its compiled form, and questions with their answers.
#[derive(Debug)]
pub struct Workload {
    /// The policy, with its users and overrides.
    pub policy: Policy,
    /// The policy as it travels.
    pub bundle: Vec<u8>,
    /// Its compiled form.
    pub index: Index,
    /// The moment of all questions; one override in three has expired by then.
    pub now: Timestamp,
    /// The ids of all users.
    pub users: Vec<String>,
    /// The roles of each user, as a token would carry them.
    pub roles: Vec<Vec<String>>,
    /// The names of the catalog.
    pub names: Vec<String>,
    /// The stream.
    pub questions: Vec<Question>,
}

impl Workload {
    /// The workload of the fixed seed.
    ///
    /// # Panics
    ///
    /// When the generator made something that is not a policy.
    #[must_use]
    pub fn erp() -> Self {
        let mut rng = Rng::with_seed(SEED);
        let names = names();
        let policy = policy(&mut rng, &names);
        let users: Vec<String> = policy.users().iter().map(|user| user.user.to_string()).collect();
        let roles =
            policy.users().iter().map(|user| user.roles.iter().map(ToString::to_string).collect()).collect();
        let questions = questions(&mut rng, &RolePatterns::new(&policy), &users, &names);
        Self {
            bundle: policy_core::encode(&policy).unwrap(),
            index: Index::compile(&policy).unwrap(),
            policy,
            now: NOW,
            users,
            roles,
            names,
            questions,
        }
    }

    /// Holds one path to the answers of the stream.
    ///
    /// # Panics
    ///
    /// At the first question to which the path gives another answer.
    pub fn assert_answers(&self, path: &str, mut allows: impl FnMut(&Question) -> bool) {
        for question in &self.questions {
            assert_eq!(
                allows(question),
                question.allowed,
                "{path}: may user `{}` do `{}`?",
                self.users[question.user],
                self.names[question.permission]
            );
        }
    }
}

fn names() -> Vec<String> {
    let mut names: Vec<String> =
        (0..PERMISSIONS).map(|at| format!("module{}.action_{}", at % MODULES, at / MODULES)).collect();
    names.sort_unstable();
    names
}

fn policy(rng: &mut Rng, names: &[String]) -> Policy {
    let permissions = names.iter().map(|name| Permission {
        name: PermissionName::parse(name).unwrap(),
        module: Label::parse(name.split('.').next().unwrap()).unwrap(),
        description: String::from("What the permission is good for"),
    });
    let roles = (0..ROLES).map(|at| Role {
        grants: grants(rng, at, names).iter().map(|text| Pattern::parse(text).unwrap()).collect(),
        ..Role::named(role_name(at))
    });
    let mut parts =
        PolicyParts { permissions: permissions.collect(), roles: roles.collect(), ..PolicyParts::default() };
    for number in 0..USERS {
        let user = UserId::parse(&format!("user-{number}")).unwrap();
        let count = rng.usize(1..=3);
        let held = rng.choose_multiple(0..ROLES, count);
        parts.users.push(UserRoles { user: user.clone(), roles: held.into_iter().map(role_name).collect() });
        if rng.usize(0..20) == 0 {
            for _ in 0..rng.usize(1..=3) {
                parts.overrides.push(Override {
                    user: user.clone(),
                    effect: if rng.bool() { Effect::Allow } else { Effect::Deny },
                    pattern: Pattern::parse(&override_pattern(rng, names)).unwrap(),
                    expires_at: expiry(rng),
                    reason: String::from("covers for a colleague"),
                });
            }
        }
    }
    Policy::new(parts).unwrap()
}

fn role_name(at: usize) -> RoleName {
    RoleName::parse(&format!("ROLE_{at:02}")).unwrap()
}

fn grants(rng: &mut Rng, role: usize, names: &[String]) -> Vec<String> {
    if role < FULL_ROLES {
        vec![String::from("*")]
    } else if role < FULL_ROLES + WILDCARD_ROLES {
        (0..rng.usize(1..=3)).map(|_| format!("module{}.*", rng.usize(0..MODULES))).collect()
    } else {
        let count = rng.usize(5..=15);
        rng.choose_multiple(names.iter().cloned(), count)
    }
}

fn override_pattern(rng: &mut Rng, names: &[String]) -> String {
    if rng.usize(0..4) == 0 {
        format!("module{}.*", rng.usize(0..MODULES))
    } else {
        names[rng.usize(0..names.len())].clone()
    }
}

fn expiry(rng: &mut Rng) -> Option<Timestamp> {
    match rng.usize(0..3) {
        0 => None,
        1 => Some(Timestamp::from_seconds(1_700_086_400)),
        _ => Some(Timestamp::from_seconds(1_699_913_600)),
    }
}

/// Random questions, each kept while fewer than half of the stream has its answer.
fn questions(rng: &mut Rng, answers: &RolePatterns, users: &[String], names: &[String]) -> Vec<Question> {
    let mut wanted = [QUESTIONS / 2, QUESTIONS - QUESTIONS / 2];
    let mut questions = Vec::with_capacity(QUESTIONS);
    while questions.len() < QUESTIONS {
        let (user, permission) = (rng.usize(0..users.len()), rng.usize(0..names.len()));
        let allowed = answers.allows(&users[user], &names[permission], NOW);
        let left = &mut wanted[usize::from(allowed)];
        if *left > 0 {
            *left -= 1;
            questions.push(Question { user, permission, allowed });
        }
    }
    questions
}
