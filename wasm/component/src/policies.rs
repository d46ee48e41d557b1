//! Policies and sessions.

use crate::Component;
use crate::exports::pbac::policy::policies::{
    Answer, Decision, Failure, Guest, GuestPolicy, GuestSession, Holders, Policy, Roles, Session,
};
use crate::memory::{OUT_OF_MEMORY, limit, set_limit};
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use pbac_wasm::{Code, Numbers, of_holders, of_session};
use policy_core::{Denial, Grant, Index, PermissionId, Request, Timestamp};

impl Guest for Component {
    type Policy = Loaded;
    type Session = Resolved;

    fn limit_memory(max_bytes: u32) {
        set_limit(max_bytes);
    }

    fn memory_used() -> u32 {
        u32::try_from(pbac_wasm::used()).unwrap_or(u32::MAX)
    }
}

/// A policy, shared with its sessions.
pub struct Loaded {
    index: Rc<Index>,
    numbers: Numbers,
}

/// A session, with the policy that its permissions are looked up in.
pub struct Resolved {
    index: Rc<Index>,
    numbers: Numbers,
    session: policy_core::Session,
}

impl GuestPolicy for Loaded {
    fn load(bundle: Vec<u8>) -> Result<Policy, String> {
        let read = limit().read_bundle(&bundle);
        let index = read.map_err(|(_, reason)| match reason {
            Some(reason) => reason.to_string(),
            None => String::from(OUT_OF_MEMORY),
        })?;
        Ok(Policy::new(Self { numbers: Numbers::of(&index), index: Rc::new(index) }))
    }

    fn hash(&self) -> String {
        self.index.content_hash().to_string()
    }

    fn catalog(&self) -> Result<Vec<String>, Failure> {
        names(|| self.index.permissions())
    }

    fn permission_number(&self, permission: String) -> Result<u32, Failure> {
        match self.index.permission_id(&permission) {
            Some(id) => Ok(self.numbers.number(id).cast_unsigned()),
            // Nobody has what is not there; why not is the policy's to say.
            None => {
                let request = Request {
                    user: "-",
                    roles: policy_core::Roles::Stored,
                    permission: &permission,
                    now: Timestamp::from_micros(0),
                };
                Err(Failure::Refused(answer(self.index.answer(&request))))
            }
        }
    }

    fn permission_name(&self, number: u32) -> Result<String, Failure> {
        Ok(String::from(self.index.permission(id(self.numbers, number)?)))
    }

    fn check(&self, user: String, roles: Roles, permission: String, now: i64) -> Answer {
        asked(&user, &roles, &permission, now, |request| answer(self.index.answer(request)))
    }

    fn check_number(&self, user: String, roles: Roles, number: u32, now: i64) -> Result<Answer, Failure> {
        let id = id(self.numbers, number)?;
        Ok(asked(&user, &roles, "", now, |&Request { user, roles, now, .. }| {
            answer(self.index.answer_by_id(user, roles, id, now))
        }))
    }

    fn check_batch(&self, user: String, roles: Roles, permissions: Vec<String>, now: i64) -> Vec<Answer> {
        asked(&user, &roles, "", now, |request| {
            let one = |permission: &String| answer(self.index.answer(&Request { permission, ..*request }));
            permissions.iter().map(one).collect()
        })
    }

    fn decide(&self, user: String, roles: Roles, permission: String, now: i64) -> Decision {
        asked(&user, &roles, &permission, now, |request| {
            let decision = self.index.decide(request);
            let (role, pattern) = match decision {
                policy_core::Decision::Allow(Grant::Role { role, pattern }) => (Some(role), Some(pattern)),
                policy_core::Decision::Allow(Grant::Override { pattern })
                | policy_core::Decision::Deny(Denial::ExplicitDeny { pattern }) => (None, Some(pattern)),
                policy_core::Decision::Deny(_) => (None, None),
            };
            let answer = answer(policy_core::Answer::from(&decision));
            Decision { answer, role: role.map(String::from), pattern: pattern.map(String::from) }
        })
    }

    fn explain(&self, user: String, roles: Roles, permission: String, now: i64) -> Result<String, Failure> {
        asked(&user, &roles, &permission, now, |request| {
            find_room(self.index.explain_memory(request.user, request.roles) as u64)?;
            pbac_wasm::to_json(&self.index.explain(request), limit()).map_err(failure)
        })
    }

    fn permissions_of(&self, user: String, roles: Roles, now: i64) -> Result<Vec<String>, Failure> {
        asked(&user, &roles, "", now, |&Request { user, roles, now, .. }| {
            find_room(of_session(self.numbers.count()))?;
            let session = self.index.session(user, roles, now);
            names(|| session.permissions().map(|id| self.index.permission(id)))
        })
    }

    fn who_can(&self, permission: String, now: i64) -> Result<Holders, Failure> {
        find_room(of_holders(&self.index))?;
        let holders = self.index.who_can(&permission, Timestamp::from_micros(now));
        let holders = holders.map_err(|denial| Failure::Refused(answer(denial.into())))?;
        Ok(Holders {
            roles: names(|| holders.roles.iter().copied())?,
            users: names(|| holders.users.iter().copied())?,
        })
    }

    fn resolve(&self, user: String, roles: Roles, now: i64) -> Result<Session, Failure> {
        asked(&user, &roles, "", now, |&Request { user, roles, now, .. }| {
            find_room(of_session(self.numbers.count()))?;
            let session = self.index.session(user, roles, now);
            Ok(Session::new(Resolved { index: Rc::clone(&self.index), numbers: self.numbers, session }))
        })
    }
}

impl GuestSession for Resolved {
    fn allows(&self, permission: String, now: i64) -> Option<bool> {
        if !self.session.is_valid_at(Timestamp::from_micros(now)) {
            return None;
        }
        Some(self.index.permission_id(&permission).is_some_and(|id| self.session.allows(id)))
    }

    fn allows_number(&self, number: u32, now: i64) -> Result<Option<bool>, Failure> {
        let id = id(self.numbers, number)?;
        let is_valid = self.session.is_valid_at(Timestamp::from_micros(now));
        Ok(is_valid.then(|| self.session.allows(id)))
    }

    fn words(&self) -> Vec<u64> {
        self.session.words().to_vec()
    }

    fn valid_until(&self) -> Option<i64> {
        self.session.valid_until().map(Timestamp::micros)
    }
}

fn failure(code: Code) -> Failure {
    match code {
        Code::BadPermission => Failure::BadNumber,
        _ => Failure::OutOfMemory,
    }
}

fn find_room(bytes: u64) -> Result<(), Failure> {
    limit().room(bytes).map_err(failure)
}

fn id(numbers: Numbers, number: u32) -> Result<PermissionId, Failure> {
    numbers.id(number.cast_signed()).map_err(failure)
}

/// Names as texts of their own, when there is room for all of them.
fn names<'n, Names: Iterator<Item = &'n str>>(names: impl Fn() -> Names) -> Result<Vec<String>, Failure> {
    // A list that grows by doubling, and the texts.
    let one = |name: &str| (name.len() as u64).saturating_add(size_of::<[String; 3]>() as u64);
    find_room(names().map(one).fold(0, u64::saturating_add))?;
    Ok(names().map(String::from).collect())
}

/// Calls `ask` with a question of the world as one of the core.
fn asked<R>(user: &str, roles: &Roles, permission: &str, now: i64, ask: impl FnOnce(&Request<'_>) -> R) -> R {
    let names: Vec<&str>;
    let roles = match roles {
        Roles::Stored => policy_core::Roles::Stored,
        Roles::Named(named) => {
            names = named.iter().map(String::as_str).collect();
            policy_core::Roles::Named(&names)
        }
    };
    ask(&Request { user, roles, permission, now: Timestamp::from_micros(now) })
}

const fn answer(answer: policy_core::Answer) -> Answer {
    match answer {
        policy_core::Answer::AllowedByRole => Answer::AllowedByRole,
        policy_core::Answer::AllowedByOverride => Answer::AllowedByOverride,
        policy_core::Answer::NoGrant => Answer::NoGrant,
        policy_core::Answer::ExplicitDeny => Answer::ExplicitDeny,
        policy_core::Answer::UnknownPermission => Answer::UnknownPermission,
        policy_core::Answer::InvalidRequest => Answer::InvalidRequest,
    }
}
