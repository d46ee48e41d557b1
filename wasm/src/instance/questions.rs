//! What a user may, and why.

use super::policies::{Loaded, policy};
use super::{Instance, Object, flat};
use crate::buffer::{Arguments, Input, text, with_roles};
use crate::code::{Code, number};
use crate::json;
use crate::memory::{Limit, of_holders, of_session};
use crate::slots::Slots;
use policy_core::{Answer, Request, Roles, Timestamp};

/// Of whom a question is, as a call names it: the policy's handle, and the lengths of the user and of the roles.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    /// The handle of the policy.
    pub policy: i32,
    /// The length of the user's id.
    pub user: i32,
    /// The length of the list of roles; -1 for those that the policy stores.
    pub roles: i32,
}

/// What is asked of a policy about a user with these roles; the arguments are those that are left.
type Ask<'a> = dyn FnMut(&Loaded, &str, Roles<'_>, Arguments<'_>) -> Result<i32, Code> + 'a;

/// Reads the subject of a question and calls `ask` with it and the arguments that are left. One function for all questions but those
/// that are asked most, since the module would carry a copy for each.
#[inline(never)]
pub(super) fn ask(
    objects: &Slots<Object>,
    input: &Input,
    limit: Limit,
    subject: Subject,
    ask: &mut Ask<'_>,
) -> Result<i32, Code> {
    ask_at_once(objects, input, limit, subject, ask)
}

/// As [`ask`], without a call that the compiler cannot see through: for single checks.
#[inline(always)]
fn ask_at_once(
    objects: &Slots<Object>,
    input: &Input,
    limit: Limit,
    subject: Subject,
    ask: impl FnOnce(&Loaded, &str, Roles<'_>, Arguments<'_>) -> Result<i32, Code>,
) -> Result<i32, Code> {
    let loaded = policy(objects, subject.policy)?;
    let mut arguments = input.arguments();
    let user = arguments.text(subject.user)?;
    let roles = arguments.roles(subject.roles)?;
    with_roles(roles, limit, |roles| ask(loaded, user, roles, arguments))?
}

impl Instance {
    /// `pbac_check`
    #[must_use]
    pub fn check(&self, subject: Subject, permission: i32, now: i64) -> i32 {
        let now = Timestamp::from_micros(now);
        let answer =
            ask_at_once(&self.objects, &self.input, self.limit, subject, |loaded, user, roles, mut rest| {
                let permission = rest.text(permission)?;
                Ok(number(loaded.index.answer(&Request { user, roles, permission, now })))
            });
        flat(answer)
    }

    /// `pbac_check_id`
    #[must_use]
    pub fn check_id(&self, subject: Subject, permission: i32, now: i64) -> i32 {
        let now = Timestamp::from_micros(now);
        let answer =
            ask_at_once(&self.objects, &self.input, self.limit, subject, |loaded, user, roles, _| {
                let id = loaded.numbers.id(permission)?;
                Ok(number(loaded.index.answer_by_id(user, roles, id, now)))
            });
        flat(answer)
    }

    /// `pbac_check_batch`
    pub fn check_batch(&mut self, subject: Subject, permissions: i32, now: i64) -> i32 {
        let now = Timestamp::from_micros(now);
        let output = self.output.begin(self.limit);
        let count =
            ask(&self.objects, &self.input, self.limit, subject, &mut |loaded, user, roles, mut rest| {
                for item in rest.list(permissions)?.items() {
                    let permission = text(item)?;
                    let answer = number(loaded.index.answer(&Request { user, roles, permission, now }));
                    output.push(&i8::try_from(answer).unwrap_or(i8::MIN).to_le_bytes())?;
                }
                Ok(output.length())
            });
        flat(self.output.finish(count))
    }

    /// `pbac_decide`
    pub fn decide(&mut self, subject: Subject, permission: i32, now: i64) -> i32 {
        let now = Timestamp::from_micros(now);
        let output = self.output.begin(self.limit);
        let answer =
            ask(&self.objects, &self.input, self.limit, subject, &mut |loaded, user, roles, mut rest| {
                let permission = rest.text(permission)?;
                let decision = loaded.index.decide(&Request { user, roles, permission, now });
                json::write(output, |json| json.object(|json| json.decision(&decision)))?;
                Ok(number(Answer::from(&decision)))
            });
        flat(self.output.finish(answer))
    }

    /// `pbac_explain`
    pub fn explain(&mut self, subject: Subject, permission: i32, now: i64) -> i32 {
        let now = Timestamp::from_micros(now);
        let (output, limit) = (self.output.begin(self.limit), self.limit);
        let answer = ask(&self.objects, &self.input, limit, subject, &mut |loaded, user, roles, mut rest| {
            let permission = rest.text(permission)?;
            limit.room(loaded.index.explain_memory(user, roles) as u64)?;
            let explanation = loaded.index.explain(&Request { user, roles, permission, now });
            json::write(output, |json| json.explanation(&explanation))?;
            Ok(number(Answer::from(&explanation.decision)))
        });
        flat(self.output.finish(answer))
    }

    /// `pbac_permissions`
    pub fn permissions(&mut self, subject: Subject, now: i64) -> i32 {
        let now = Timestamp::from_micros(now);
        let (output, limit) = (self.output.begin(self.limit), self.limit);
        let count = ask(&self.objects, &self.input, limit, subject, &mut |loaded, user, roles, _| {
            limit.room(of_session(loaded.numbers.count()))?;
            let session = loaded.index.session(user, roles, now);
            output.lines(session.permissions().map(|id| loaded.index.permission(id)))
        });
        flat(self.output.finish(count))
    }

    /// `pbac_who_can`
    pub fn who_can(&mut self, handle: i32, permission: i32, now: i64) -> i32 {
        let now = Timestamp::from_micros(now);
        let (output, limit) = (self.output.begin(self.limit), self.limit);
        let written = policy(&self.objects, handle).and_then(|loaded| {
            let permission = self.input.arguments().text(permission)?;
            limit.room(of_holders(&loaded.index))?;
            match loaded.index.who_can(permission, now) {
                Ok(holders) => json::write(output, |json| json.holders(&holders)).map(|()| output.length()),
                Err(denial) => Ok(number(denial.into())),
            }
        });
        flat(self.output.finish(written))
    }
}
