//! SPEC section 5 for the history of keys, as it is written: for reading and not for speed.
//!
//! It works on plain strings and numbers, and takes nothing from policy-core. Times are microseconds since 1970. What
//! happens, and why something is refused, is said in [`Line`]s, as the cases say it.

use crate::key_line::Line;

/// Where a key stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Verifies, does not sign.
    Staged,
    /// Signs.
    Active,
    /// Verifies until its time is over.
    Retired,
}

/// A key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Key {
    /// Its `kid`.
    pub id: String,
    /// What it is for.
    pub algorithm: String,
    /// Where it stands.
    pub state: State,
    /// Since when, where anybody knows.
    pub since: Option<i64>,
    /// When a retired key ceases to verify, where that is settled.
    pub until: Option<i64>,
}

/// What a rotation goes by; spans in microseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rules {
    /// How long a key signs.
    pub rotation: i64,
    /// How many retired keys there may be.
    pub history: usize,
    /// How long a retired key verifies.
    pub grace: i64,
    /// How long a key is staged.
    pub staging: i64,
    /// Whether several processes verify.
    pub fleet: bool,
}

/// All keys, in the order in which a token without a `kid` tries them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Keys {
    /// The keys.
    pub keys: Vec<Key>,
    /// Names that must never verify again, and since when, by name.
    pub revoked: Vec<(String, i64)>,
}

/// The keys afterwards and what happened, or why nothing does.
pub type Outcome = Result<(Keys, Vec<Line>), Line>;

impl Key {
    /// A retired key verifies until `not_after`; a staged and an active one always.
    pub fn verifies(&self, now: i64) -> bool {
        self.state != State::Retired || self.until.is_none_or(|until| now < until)
    }

    /// What a case writes for it.
    pub fn line(&self) -> Line {
        let word = match self.state {
            State::Staged => "staged",
            State::Active => "active",
            State::Retired => "retired",
        };
        let algorithm = (self.algorithm != "HS256").then(|| self.algorithm.clone());
        Line {
            word: word.to_owned(),
            id: Some(self.id.clone()),
            algorithm,
            since: self.since,
            until: self.until,
        }
    }
}

impl Keys {
    /// What a store holds. A key that was revoked does not come back.
    pub fn from_store(keys: Vec<Key>, revoked: Vec<(String, i64)>) -> Self {
        let kept = keys.into_iter().filter(|key| revoked.iter().all(|(id, _)| *id != key.id));
        let mut all = Self { keys: kept.collect(), revoked };
        all.sort();
        all
    }

    /// The key that signs.
    pub fn active(&self) -> Option<&Key> {
        self.keys.iter().find(|key| key.state == State::Active)
    }

    /// The key that signs next.
    pub fn staged(&self) -> Option<&Key> {
        self.keys.iter().find(|key| key.state == State::Staged)
    }

    /// The active key, then retired ones, newest first; a staged one, with which nobody ought to sign yet, last.
    fn sort(&mut self) {
        let of = |state| self.keys.iter().filter(move |key| key.state == state).cloned().collect::<Vec<_>>();
        let mut retired = of(State::Retired);
        // One without a time is older than those with one.
        retired.sort_by_key(|key| std::cmp::Reverse(key.since));
        self.keys = [of(State::Active), retired, of(State::Staged)].concat();
        self.revoked.sort();
    }

    /// The names of those that verify a token of this algorithm, in the order in which they are tried.
    pub fn candidates(&self, kid: Option<&str>, algorithm: &str, now: i64) -> Vec<String> {
        let may = |key: &&Key| {
            kid.is_none_or(|kid| kid == key.id) && key.algorithm == algorithm && key.verifies(now)
        };
        self.keys.iter().filter(may).map(|key| key.id.clone()).collect()
    }

    /// Every node knows the next key before the first token that it signs.
    pub fn stage(&self, fresh: &str, algorithm: &str, now: i64) -> Outcome {
        if let Some(staged) = self.staged() {
            return Err(Line::of("already_staged", &staged.id));
        }
        self.refuse_taken(fresh)?;
        self.refuse_clock(now)?;
        let (mut after, mut events) = self.sweep(now);
        after.keys.push(new_key(fresh, algorithm, State::Staged, now));
        events.push(Line::of("staged", fresh));
        Ok((after, events))
    }

    /// The staged key signs, once every node had the time to load it.
    pub fn promote(&self, rules: &Rules, now: i64, force: bool) -> Outcome {
        let staged = self.staged().ok_or(Line::word("nothing_staged"))?;
        let over = staged.since.expect("a staged key has a time") + rules.staging;
        // Without a key that signs there is nothing to wait for.
        if now < over && self.active().is_some() && !force {
            return Err(Line::of("staging_not_over", &staged.id).until(Some(over)));
        }
        self.succeed(staged, rules, now, force)
    }

    /// Promotes the staged key, or on a single node a new one.
    pub fn rotate(&self, fresh: &str, algorithm: &str, rules: &Rules, now: i64, force: bool) -> Outcome {
        if self.staged().is_some() {
            return self.promote(rules, now, force);
        }
        if rules.fleet && self.active().is_some() && !force {
            return Err(Line::word("must_stage"));
        }
        self.refuse_taken(fresh)?;
        self.succeed(&new_key(fresh, algorithm, State::Active, now), rules, now, force)
    }

    /// `next` signs; the key that did retires until `now + grace`; nothing that still verifies goes, unless forced.
    fn succeed(&self, next: &Key, rules: &Rules, now: i64, force: bool) -> Outcome {
        self.refuse_clock(now)?;
        let (left, mut events) = self.sweep(now);
        let end = now + rules.grace;

        let mut retired: Vec<Key> = Vec::new();
        if let Some(old) = left.active() {
            let since = Some(now);
            retired.push(Key { state: State::Retired, since, until: Some(end), ..old.clone() });
        }
        retired.extend(left.keys.iter().filter(|key| key.state == State::Retired).cloned());
        // Without a grace the old key verifies nothing any more, and takes no place.
        let places =
            if rules.grace == 0 { rules.history + left.active().iter().count() } else { rules.history };
        while retired.len() > places {
            let oldest = retired.pop().expect("there are more than none");
            if !force {
                return Err(Line::of("would_push_out", &oldest.id).until(oldest.until));
            }
            events.push(Line::of("pushed_out", &oldest.id).until(oldest.until));
        }
        for key in &mut retired {
            // Times that nobody knew are written down, surely not too early.
            key.since = key.since.or(Some(now));
            key.until = key.until.or(Some(end));
        }
        if let Some(old) = left.active().filter(|old| retired.iter().any(|key| key.id == old.id)) {
            events.push(Line::of("retired", &old.id).until(Some(end)));
        }
        events.push(Line::of("promoted", &next.id));
        retired.insert(0, Key { state: State::Active, since: Some(now), ..next.clone() });
        let mut after = Self { keys: retired, revoked: self.revoked.clone() };
        after.sort();
        Ok((after, events))
    }

    /// A compromised key goes at once and for ever. If it signed, another one signs at once.
    pub fn revoke(&self, id: &str, fresh: &str, algorithm: &str, now: i64, unknown: bool) -> Outcome {
        if self.revoked.iter().any(|(revoked, _)| revoked == id) {
            return Err(Line::of("already_revoked", id));
        }
        if !unknown && self.keys.iter().all(|key| key.id != id) {
            return Err(Line::of("unknown_key", id));
        }
        let signed = self.active().is_some_and(|active| active.id == id);
        if signed && self.staged().is_none() {
            self.refuse_taken(fresh)?;
        }
        let (mut after, mut events) = self.sweep(now);
        after.keys.retain(|key| key.id != id);
        after.revoked.push((id.to_owned(), now));
        events.retain(|event| event.id.as_deref() != Some(id));
        events.push(Line::of("revoked", id));
        if signed {
            let staged = after.staged().cloned();
            let next = staged.unwrap_or_else(|| new_key(fresh, algorithm, State::Active, now));
            events.push(Line::of("promoted", &next.id));
            after.keys.retain(|key| key.state != State::Staged);
            after.keys.push(Key { state: State::Active, since: Some(now), ..next });
        }
        after.sort();
        Ok((after, events))
    }

    /// What is over is gone.
    pub fn sweep(&self, now: i64) -> (Self, Vec<Line>) {
        let (left, gone): (Vec<Key>, Vec<Key>) = self.keys.iter().cloned().partition(|key| key.verifies(now));
        let events = gone.iter().map(|key| Line::of("gone", &key.id)).collect();
        (Self { keys: left, revoked: self.revoked.clone() }, events)
    }

    /// What a scheduler has to do: `nothing`, `stage`, `promote` or `rotate`.
    pub fn due(&self, rules: &Rules, now: i64) -> &'static str {
        if self.active().is_none() {
            // Nobody can log in: at once.
            return if self.staged().is_some() { "promote" } else { "rotate" };
        }
        // A key of unknown age is too old.
        let is_due = |at: i64| self.next_due(rules).is_none_or(|due| due <= at);
        match self.staged() {
            Some(staged) if staged.since.is_some_and(|since| now < since + rules.staging) => "nothing",
            Some(_) => {
                if is_due(now) {
                    "promote"
                } else {
                    "nothing"
                }
            }
            // So early that it may sign when it is due.
            None if rules.fleet => {
                if is_due(now + rules.staging) {
                    "stage"
                } else {
                    "nothing"
                }
            }
            None => {
                if is_due(now) {
                    "rotate"
                } else {
                    "nothing"
                }
            }
        }
    }

    /// When the next rotation is due.
    pub fn next_due(&self, rules: &Rules) -> Option<i64> {
        Some(self.active()?.since? + rules.rotation)
    }

    fn refuse_taken(&self, id: &str) -> Result<(), Line> {
        let known =
            self.keys.iter().any(|key| key.id == id) || self.revoked.iter().any(|(name, _)| name == id);
        if known { Err(Line::of("name_taken", id)) } else { Ok(()) }
    }

    fn refuse_clock(&self, now: i64) -> Result<(), Line> {
        match self.keys.iter().find(|key| key.since.is_some_and(|since| since > now)) {
            Some(key) => Err(Line::of("clock_went_back", &key.id).since(key.since)),
            None => Ok(()),
        }
    }
}

fn new_key(id: &str, algorithm: &str, state: State, now: i64) -> Key {
    Key { id: id.to_owned(), algorithm: algorithm.to_owned(), state, since: Some(now), until: None }
}
