//! The runtimes that a Rust program embeds.

use crate::runtime::Runtime;
use crate::world::Ask;
use pbac::wasm::{self, Instance, Policy, Question};
use policy_core::Timestamp;
use serde_json::Value;

/// An instance of the module, with one policy.
#[derive(Debug)]
pub struct Embedded<I> {
    instance: I,
    policy: Option<Policy>,
}

impl<I: Instance> Embedded<I> {
    /// In this instance.
    pub fn new(instance: I) -> Self {
        Self { instance, policy: None }
    }

    fn ask<T>(
        &mut self,
        ask: &Ask,
        question: impl FnOnce(&mut I, Policy, Question<'_>) -> Result<T, wasm::WasmError>,
    ) -> Result<T, String> {
        let roles: Option<Vec<&str>> =
            ask.roles.as_ref().map(|roles| roles.iter().map(String::as_str).collect());
        let asked =
            Question { user: &ask.user, roles: roles.as_deref(), now: Timestamp::from_micros(ask.now) };
        let policy = self.policy.ok_or("no policy is loaded")?;
        question(&mut self.instance, policy, asked).map_err(|error| error.to_string())
    }
}

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("{error}: {text}"))
}

impl<I: Instance> Runtime for Embedded<I> {
    fn load(&mut self, bundle: &[u8]) -> Result<(), String> {
        let loaded = match self.policy {
            Some(policy) => self.instance.replace(policy, bundle),
            None => self.instance.load(bundle).map(|policy| self.policy = Some(policy)),
        };
        loaded.map_err(|error| error.to_string())
    }

    fn decide(&mut self, asks: &[Ask]) -> Result<Vec<Value>, String> {
        let decide = |ask: &Ask| {
            let text = self
                .ask(ask, |instance, policy, question| instance.decide(policy, question, &ask.permission))?;
            let decision = json(&text)?;
            let code = self
                .ask(ask, |instance, policy, question| instance.check(policy, question, &ask.permission))?;
            if decision["reason"] == code.reason() {
                Ok(decision)
            } else {
                Err(format!("check says {code:?}, decide {text}"))
            }
        };
        asks.iter().map(decide).collect()
    }

    fn check(&mut self, asks: &[Ask]) -> Result<Vec<bool>, String> {
        let check = |ask: &Ask| {
            let permissions = [ask.permission.as_str(), "a.b", ask.permission.as_str()];
            let answers = self.ask(ask, |instance, policy, question| {
                instance.check_batch(policy, question, &permissions)
            })?;
            match answers.as_slice() {
                [first, _, last] if first == last => Ok(first.is_allowed()),
                other => Err(format!("{other:?} of {permissions:?}")),
            }
        };
        asks.iter().map(check).collect()
    }

    fn session(&mut self, ask: &Ask) -> Result<(Vec<String>, Option<i64>), String> {
        let set = self.ask(ask, |instance, policy, question| instance.session(policy, question))?;
        let allowed = self.permissions_of(ask)?;
        for permission in &allowed {
            let allows = self.ask(ask, |instance, policy, _| {
                instance.permission_id(policy, permission).map(|id| set.allows_id(id))
            })?;
            if !allows {
                return Err(format!("the session denies {permission}"));
            }
        }
        if set.places().count() != allowed.len() || !set.is_valid_at(Timestamp::from_micros(ask.now)) {
            return Err(format!("the session {set:?} is of {allowed:?}"));
        }
        Ok((allowed, set.valid_until().map(Timestamp::micros)))
    }

    fn permissions_of(&mut self, ask: &Ask) -> Result<Vec<String>, String> {
        self.ask(ask, |instance, policy, question| instance.permissions(policy, question))
    }

    fn explain(&mut self, ask: &Ask) -> Result<Value, String> {
        json(
            &self
                .ask(ask, |instance, policy, question| instance.explain(policy, question, &ask.permission))?,
        )
    }

    fn verify(
        &mut self,
        document: &str,
        tokens: &[(String, i64)],
    ) -> Result<Vec<Result<Value, String>>, String> {
        let ring = self.instance.load_ring(document).map_err(|error| error.to_string())?;
        let verify = |(token, now): &(String, i64)| {
            let verified = self.instance.verify(ring, token, Timestamp::from_micros(*now));
            match verified.map_err(|error| error.to_string())? {
                Ok(claims) => json(&claims).map(Ok),
                Err(reason) => Ok(Err(reason)),
            }
        };
        tokens.iter().map(verify).collect()
    }
}
