//! JSON into the output buffer, which may be full. By hand: what serde makes of these few values is several times as much code.

use crate::buffer::Output;
use crate::code::Code;
use crate::memory::Limit;
use alloc::string::String;
use policy_core::{Decision, Denial, Effect, Explanation, Grant, Holders, Rule, Timestamp};

/// Writes a value.
pub(crate) fn write(output: &mut Output, value: impl FnOnce(&mut Json<'_>)) -> Result<(), Code> {
    let mut json = Json { output, full: Ok(()), any: false };
    value(&mut json);
    json.full
}

/// An explanation as JSON.
///
/// # Errors
///
/// [`Code::OutOfMemory`] when there is no memory for it.
pub fn to_json(explanation: &Explanation<'_>, limit: Limit) -> Result<String, Code> {
    let mut output = Output::new();
    write(output.begin(limit), |json| json.explanation(explanation))?;
    Ok(String::from_utf8(output.into_bytes()).unwrap_or_default())
}

/// What is being written. That there is no memory for more is remembered, and said in the end: less code than to ask each time.
pub(crate) struct Json<'o> {
    output: &'o mut Output,
    full: Result<(), Code>,
    /// Whether what follows in the list or object is not the first.
    any: bool,
}

impl Json<'_> {
    #[inline(never)]
    fn raw(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        if self.full.is_ok() {
            self.full = self.output.push(bytes);
        }
    }

    /// Begins an item of a list, or a member of an object.
    #[inline(never)]
    fn item(&mut self) {
        if self.any {
            self.raw(",");
        }
        self.any = true;
    }

    /// Begins a member.
    #[inline(never)]
    fn name(&mut self, name: &str) {
        self.item();
        self.text(name);
        self.raw(":");
    }

    /// An object with what `members` writes.
    pub(crate) fn object(&mut self, members: impl FnOnce(&mut Self)) {
        self.raw("{");
        self.any = false;
        members(self);
        self.raw("}");
        self.any = true;
    }

    /// A member that is a list of what `item` writes for each.
    fn list<T>(&mut self, name: &str, items: &[T], item: impl Fn(&mut Self, &T)) {
        self.name(name);
        self.raw("[");
        self.any = false;
        for one in items {
            self.item();
            item(self, one);
        }
        self.raw("]");
        self.any = true;
    }

    /// A member that is a list of texts.
    pub(crate) fn texts<T: AsRef<str>>(&mut self, name: &str, texts: &[T]) {
        self.list(name, texts, |json, text| json.text(text.as_ref()));
    }

    /// A member that is a text.
    #[inline(never)]
    pub(crate) fn member(&mut self, name: &str, text: &str) {
        self.name(name);
        self.text(text);
    }

    /// A member that is a text or `null`.
    pub(crate) fn optional(&mut self, name: &str, text: Option<&str>) {
        match text {
            Some(text) => self.member(name, text),
            None => self.null(name),
        }
    }

    /// A member that is `null`.
    pub(crate) fn null(&mut self, name: &str) {
        self.name(name);
        self.raw("null");
    }

    /// A member that is `true` or `false`.
    pub(crate) fn boolean(&mut self, name: &str, value: bool) {
        self.name(name);
        self.raw(if value { "true" } else { "false" });
    }

    /// A member that is a number.
    pub(crate) fn number(&mut self, name: &str, number: i64) {
        self.name(name);
        self.integer(number);
    }

    /// A member that is microseconds or `null`.
    #[inline(never)]
    pub(crate) fn moment(&mut self, name: &str, moment: Option<Timestamp>) {
        match moment {
            Some(moment) => self.number(name, moment.micros()),
            None => self.null(name),
        }
    }

    fn integer(&mut self, number: i64) {
        let mut digits = [b'0'; 20];
        let mut rest = number.unsigned_abs();
        let mut length = 0_usize;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' | (rest % 10) as u8;
            rest /= 10;
            length = length.saturating_add(1);
            if rest == 0 {
                break;
            }
        }
        if number < 0 {
            self.raw("-");
        }
        self.bytes(digits.get(digits.len().saturating_sub(length)..).unwrap_or_default());
    }

    #[inline(never)]
    fn text(&mut self, text: &str) {
        self.raw("\"");
        // Every byte that JSON escapes is a character of its own.
        for piece in text.as_bytes().split_inclusive(|&byte| escaped(byte)) {
            match piece.split_last() {
                Some((&last, before)) if escaped(last) => {
                    self.bytes(before);
                    self.escape(last);
                }
                _ => self.bytes(piece),
            }
        }
        self.raw("\"");
    }

    fn escape(&mut self, byte: u8) {
        let short = match byte {
            b'"' => b'"',
            b'\\' => b'\\',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x08 => b'b',
            0x0c => b'f',
            other => {
                let low = other & 15;
                let low = if low < 10 { b'0' } else { b'a'.wrapping_sub(10) }.wrapping_add(low);
                return self.bytes(&[b'\\', b'u', b'0', b'0', b'0' | (other >> 4), low]);
            }
        };
        self.bytes(&[b'\\', short]);
    }

    /// The members of a decision.
    pub(crate) fn decision(&mut self, decision: &Decision<'_>) {
        self.member("decision", if decision.is_allowed() { "allow" } else { "deny" });
        self.member("reason", decision.reason());
        match decision {
            Decision::Allow(Grant::Role { role, pattern }) => {
                self.member("role", role);
                self.member("pattern", pattern);
            }
            Decision::Allow(Grant::Override { pattern })
            | Decision::Deny(Denial::ExplicitDeny { pattern }) => {
                self.member("pattern", pattern);
            }
            Decision::Deny(_) => {}
        }
    }

    #[inline(never)]
    fn rule(&mut self, rule: &Rule<'_>) {
        match rule {
            Rule::Override { effect, pattern, expires_at, note } => {
                self.member("kind", "override");
                self.member("effect", if *effect == Effect::Allow { "allow" } else { "deny" });
                self.member("pattern", pattern);
                self.moment("expires_at", *expires_at);
                self.member("note", note);
            }
            Rule::Role { role, pattern, through } => {
                self.member("kind", "role");
                self.member("role", role);
                self.member("pattern", pattern);
                self.member("through", through);
            }
        }
    }

    /// An explanation.
    pub(crate) fn explanation(&mut self, explanation: &Explanation<'_>) {
        self.object(|json| {
            json.decision(&explanation.decision);
            match &explanation.winner {
                Some(rule) => {
                    json.name("winner");
                    json.object(|json| json.rule(rule));
                }
                None => json.null("winner"),
            }
            json.list("shadowed", &explanation.shadowed, |json, rule| json.object(|json| json.rule(rule)));
            json.list("expired", &explanation.expired, |json, entry| {
                json.object(|json| json.rule(&entry.rule));
            });
            match &explanation.nearest {
                Some(near) => {
                    json.name("nearest");
                    json.object(|json| {
                        json.rule(&near.rule);
                        json.number(
                            "matching_segments",
                            near.matching_segments.try_into().unwrap_or(i64::MAX),
                        );
                    });
                }
                None => json.null("nearest"),
            }
            json.texts("unknown_roles", &explanation.unknown_roles);
        });
    }

    /// The holders of a permission.
    pub(crate) fn holders(&mut self, holders: &Holders<'_>) {
        self.object(|json| {
            json.texts("roles", &holders.roles);
            json.texts("users", &holders.users);
        });
    }
}

const fn escaped(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;
    use alloc::vec;
    use policy_core::{Decision, Denial, Explanation, Grant, NearMiss, Rule, Timestamp};

    fn written(value: impl Fn(&mut Json<'_>)) -> String {
        let mut output = Output::new();
        write(output.begin(Limit::DEFAULT), value).unwrap();
        String::from_utf8(output.bytes().to_vec()).unwrap()
    }

    #[test]
    fn writes_what_serde_json_writes() {
        let role = Rule::Role { role: "a\"b\\c\n\u{1}é", pattern: "po.*", through: "" };
        let rule = Rule::Override {
            effect: policy_core::Effect::Deny,
            pattern: "*",
            expires_at: Some(Timestamp::from_micros(-7)),
            note: "\u{8}\u{c}\r\t\u{1f}",
        };
        let explanation = Explanation {
            decision: Decision::Allow(Grant::Role { role: "R", pattern: "po.*" }),
            winner: Some(role),
            shadowed: vec![rule, role],
            expired: vec![],
            nearest: Some(NearMiss { rule, matching_segments: 2 }),
            unknown_roles: vec!["x", "y"],
        };
        let expired = Explanation {
            expired: vec![policy_core::Expired { rule }],
            nearest: None,
            winner: None,
            ..explanation.clone()
        };
        for explanation in [explanation, expired] {
            assert_eq!(
                to_json(&explanation, Limit::DEFAULT).unwrap(),
                serde_json::to_string(&explanation).unwrap()
            );
        }
        for decision in [
            Decision::Deny(Denial::NoGrant),
            Decision::Deny(Denial::UnknownPermission),
            Decision::Deny(Denial::InvalidRequest),
            Decision::Deny(Denial::ExplicitDeny { pattern: "*" }),
            Decision::Allow(Grant::Override { pattern: "a.b" }),
            Decision::Allow(Grant::Role { role: "R", pattern: "a.*" }),
        ] {
            let json = written(|json| json.object(|json| json.decision(&decision)));
            assert_eq!(json, serde_json::to_string(&decision).unwrap());
        }
        for number in [0, -1, 10, 1_234_567_890, i64::MIN, i64::MAX] {
            assert_eq!(written(|json| json.integer(number)), serde_json::to_string(&number).unwrap());
        }
        let holders = policy_core::Holders { roles: vec![], users: vec!["a", "b"] };
        assert_eq!(written(|json| json.holders(&holders)), serde_json::to_string(&holders).unwrap());
    }

    #[test]
    fn stops_where_memory_ends() {
        let long = "x".repeat(1000);
        let mut output = Output::new();
        assert_eq!(
            write(output.begin(Limit(crate::memory::used() + 999)), |json| json.text(&long)),
            Err(Code::OutOfMemory)
        );
    }
}
