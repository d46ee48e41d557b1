//! What a user may, resolved once.

use super::policies::Loaded;
use super::questions::{Subject, ask};
use super::{Instance, Object, flat};
use crate::buffer::Output;
use crate::code::Code;
use crate::memory::of_session;
use crate::numbers::Numbers;
use policy_core::{Session, Timestamp};

/// A session that has a handle.
pub(super) struct OpenSession {
    /// The handle of its policy, with which it is freed.
    pub(super) policy: i32,
    session: Session,
    numbers: Numbers,
}

impl OpenSession {
    fn write(&self, output: &mut Output) -> Result<i32, Code> {
        let (from, until) = (self.session.resolved_at(), self.session.valid_until());
        output.push(&from.micros().to_le_bytes())?;
        output.push(&until.map_or(i64::MAX, Timestamp::micros).to_le_bytes())?;
        output.push(&self.numbers.tag().to_le_bytes())?;
        output.push(&u32::try_from(self.numbers.count()).unwrap_or(u32::MAX).to_le_bytes())?;
        for word in self.session.words() {
            output.push(&word.to_le_bytes())?;
        }
        Ok(output.length())
    }
}

impl Instance {
    /// `pbac_session`
    pub fn session(&mut self, subject: Subject, now: i64) -> i32 {
        let handle = self.objects.reserve().and_then(|()| self.resolve(subject, now));
        flat(handle.and_then(|session| self.objects.insert(Object::Session(session))))
    }

    /// `pbac_session_set`
    pub fn session_set(&mut self, subject: Subject, now: i64) -> i32 {
        self.output.begin(self.limit);
        let written = self.resolve(subject, now).and_then(|session| session.write(&mut self.output));
        flat(self.output.finish(written))
    }

    fn resolve(&self, subject: Subject, now: i64) -> Result<OpenSession, Code> {
        let now = Timestamp::from_micros(now);
        let mut resolved = None;
        ask(&self.objects, &self.input, self.limit, subject, &mut |loaded, user, roles, _| {
            let &Loaded { ref index, numbers } = loaded;
            self.limit.room(of_session(numbers.count()))?;
            let session = index.session(user, roles, now);
            resolved = Some(OpenSession { policy: subject.policy, session, numbers });
            Ok(0)
        })?;
        // Without an error there is one.
        resolved.ok_or(Code::BadHandle)
    }

    /// `pbac_session_check`
    #[inline(always)]
    #[must_use]
    pub fn session_check(&self, handle: i32, permission: i32, now: i64) -> i32 {
        let answer = self.open_session(handle).and_then(|open| {
            let id = open.numbers.id(permission)?;
            if !open.session.is_valid_at(Timestamp::from_micros(now)) {
                return Err(Code::Stale);
            }
            Ok(i32::from(open.session.allows(id)))
        });
        flat(answer)
    }

    /// `pbac_session_read`
    pub fn session_read(&mut self, handle: i32) -> i32 {
        let output = self.output.begin(self.limit);
        let written = match self.objects.get(handle) {
            Ok(Object::Session(open)) => open.write(output),
            _ => Err(Code::BadHandle),
        };
        flat(self.output.finish(written))
    }

    #[inline(always)]
    fn open_session(&self, handle: i32) -> Result<&OpenSession, Code> {
        match self.objects.get(handle)? {
            Object::Session(open) => Ok(open),
            _ => Err(Code::BadHandle),
        }
    }
}
