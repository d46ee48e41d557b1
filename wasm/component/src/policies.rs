//! Policies and sessions.

use crate::Component;
use crate::exports::pbac::policy::policies::{
    Answer, Decision, Guest, GuestPolicy, GuestSession, Policy, Roles, Session,
};
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use policy_core::{Denial, Grant, Index, Request, Timestamp};

impl Guest for Component {
    type Policy = Loaded;
    type Session = Resolved;
}

/// A policy, shared with its sessions.
pub struct Loaded(Rc<Index>);

/// A session, with the policy that its permissions are looked up in.
pub struct Resolved {
    index: Rc<Index>,
    session: policy_core::Session,
}

impl GuestPolicy for Loaded {
    fn load(bundle: Vec<u8>) -> Result<Policy, String> {
        let policy = policy_core::decode(&bundle).map_err(|error| error.to_string())?;
        let index = Index::compile(&policy).map_err(|error| error.to_string())?;
        Ok(Policy::new(Self(Rc::new(index))))
    }

    fn hash(&self) -> String {
        self.0.content_hash().to_string()
    }

    fn catalog(&self) -> Vec<String> {
        self.0.permissions().map(String::from).collect()
    }

    fn check(&self, user: String, roles: Roles, permission: String, now: i64) -> Answer {
        asked(&user, &roles, &permission, now, |request| answer(self.0.answer(request)))
    }

    fn check_batch(&self, user: String, roles: Roles, permissions: Vec<String>, now: i64) -> Vec<Answer> {
        asked(&user, &roles, "", now, |request| {
            let one = |permission: &String| answer(self.0.answer(&Request { permission, ..*request }));
            permissions.iter().map(one).collect()
        })
    }

    fn decide(&self, user: String, roles: Roles, permission: String, now: i64) -> Decision {
        asked(&user, &roles, &permission, now, |request| {
            let decision = self.0.decide(request);
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

    fn explain(&self, user: String, roles: Roles, permission: String, now: i64) -> String {
        asked(&user, &roles, &permission, now, |request| pbac_wasm::to_json(&self.0.explain(request)))
    }

    fn permissions_of(&self, user: String, roles: Roles, now: i64) -> Vec<String> {
        asked(&user, &roles, "", now, |&Request { user, roles, now, .. }| {
            self.0.permissions_of(user, roles, now).into_iter().map(String::from).collect()
        })
    }

    fn resolve(&self, user: String, roles: Roles, now: i64) -> Session {
        asked(&user, &roles, "", now, |&Request { user, roles, now, .. }| {
            let session = self.0.session(user, roles, now);
            Session::new(Resolved { index: Rc::clone(&self.0), session })
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

    fn valid_until(&self) -> Option<i64> {
        self.session.valid_until().map(Timestamp::micros)
    }
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
