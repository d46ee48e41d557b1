//! Who there is, told apart only where the policy or the legacy rules could tell them apart.
//!
//! A million users are a few dozen kinds: the same labels, the same activity, the same overrides. Users are read once, as
//! they come, in the order of their ids, and each is counted to its kind, so that memory grows with the kinds.

use std::collections::{BTreeMap, HashMap};

use futures_util::TryStreamExt;
use policy_core::{
    Effect, MAX_USER_ID_BYTES, Override, Pattern, PermissionName, Policy, PolicyError, PolicyParts,
    Timestamp, UserId, UserRoles,
};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, Row};

use crate::postgres::policy_store::StoreError;
use crate::postgres::{Identifier, Moment};

/// Which users to count, and how.
#[derive(Clone, Copy, Debug)]
pub struct Census<'a> {
    /// A query with the columns of [`LegacyUser`](crate::postgres::source_functions::LegacyUser).
    pub users: &'a str,
    /// The schema of the overrides, where there are any.
    pub overrides: Option<&'a Identifier>,
    /// A query of overrides that are still to be stored: `user_id`, `pattern`, `effect`.
    pub coming: Option<&'a str>,
    /// The moment at which overrides are active or not.
    pub now: Timestamp,
    /// Users of whom something is known that the database does not hold: each is told apart by the number.
    pub marked: &'a BTreeMap<String, usize>,
    /// How many ids of each kind are kept, the least in byte order.
    pub keep: usize,
}

/// Everybody, by kinds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Population {
    /// How many users the legacy tables have.
    pub users: u64,
    /// How many of them are active.
    pub active: u64,
    /// How many have overrides and are in no legacy table: they hold no role and are not inactive.
    pub strangers: u64,
    /// The kinds, in the order in which they were met.
    pub kinds: Vec<Kind>,
    label_sets: Vec<Vec<SpelledLabel>>,
    override_sets: Vec<Vec<Exception>>,
}

/// An override, as far as it tells users apart.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Exception {
    effect: Effect,
    pattern: Pattern,
    /// Whether it is still to be stored.
    coming: bool,
}

/// A label as it is stored, and the role or alias that it is by the policy's renames.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpelledLabel {
    /// As stored.
    pub label: String,
    /// What the policy calls it.
    pub role: String,
}

/// Users that nothing tells apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    /// How many they are.
    pub users: u64,
    /// The first of their ids.
    pub first: Vec<String>,
    /// Whether they are active.
    pub active: bool,
    /// Whether they are in a legacy table.
    pub stranger: bool,
    /// The number by which they are marked.
    pub mark: Option<usize>,
    labels: usize,
    overrides: usize,
}

impl Population {
    /// Reads everybody, in the caller's transaction.
    ///
    /// # Errors
    ///
    /// When the server refuses the query, or a stored override is none.
    pub async fn read(connection: &mut PgConnection, census: &Census<'_>) -> Result<Self, StoreError> {
        // A query over rows whose number nobody knows yet: compiling it takes longer than it runs.
        sqlx::query("SELECT set_config('jit', 'off', true)").execute(&mut *connection).await?;
        let mut counter = Counter::new(census);
        let sql = query(census);
        let mut query = sqlx::query(AssertSqlSafe(sql));
        if census.overrides.is_some() {
            query = query.bind(Moment(census.now));
        }
        let mut rows = query.fetch(connection);
        let mut person: Option<Person> = None;
        while let Some(row) = rows.try_next().await? {
            let found: Option<&str> = row.try_get("user_id")?;
            // Preflight names ids that are none; nobody can ask for them.
            let Some(id) = found.filter(|id| (1..=MAX_USER_ID_BYTES).contains(&id.len())) else { continue };
            match &mut person {
                Some(same) if same.id == id => Counter::more(same, &row)?,
                other => {
                    let next = counter.person(id, &row)?;
                    if let Some(done) = other.replace(next) {
                        counter.count(done);
                    }
                }
            }
        }
        if let Some(done) = person {
            counter.count(done);
        }
        Ok(counter.population)
    }

    /// The labels of a kind, in byte order.
    #[must_use]
    pub fn labels(&self, kind: &Kind) -> &[SpelledLabel] {
        self.label_sets.get(kind.labels).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether an allow that is still to be stored gives users of this kind the permission by a wildcard. Nobody granted
    /// that to them: the file says what a legacy permission stands for, and that it stands for so much is to be answered for.
    #[must_use]
    pub fn comes_by_wildcard(&self, kind: &Kind, permission: &PermissionName) -> bool {
        let overrides = self.override_sets.get(kind.overrides).into_iter().flatten();
        let mut giving =
            overrides.filter(|one| one.effect == Effect::Allow && one.pattern.matches(permission)).peekable();
        giving.peek().is_some() && giving.all(|one| one.coming && one.pattern.as_str().contains('*'))
    }

    /// `policy` with one user for each kind, whose id is the place of the kind in the list: what holds for that user holds
    /// for every user of the kind. An inactive one holds no role, and no allow counts.
    ///
    /// # Errors
    ///
    /// When that is no policy.
    pub fn with_kinds(&self, policy: &Policy) -> Result<Policy, PolicyError> {
        let mut parts =
            PolicyParts { overrides: Vec::new(), users: Vec::new(), ..policy.clone().into_parts() };
        for (place, kind) in self.kinds.iter().enumerate() {
            // The digits of a number are a user id.
            let Ok(user) = UserId::parse(&place.to_string()) else { continue };
            let overrides = self.override_sets.get(kind.overrides).into_iter().flatten();
            let counting = overrides.filter(|one| kind.active || one.effect == Effect::Deny);
            parts.overrides.extend(counting.map(|one| Override {
                user: user.clone(),
                effect: one.effect,
                pattern: one.pattern.clone(),
                expires_at: None,
                reason: String::new(),
            }));
            let labels = if kind.active { self.labels(kind) } else { &[] };
            let roles = labels.iter().filter_map(|label| policy.role(&label.role));
            let roles = roles.map(|role| role.name.clone()).collect();
            parts.users.push(UserRoles { user, roles });
        }
        Policy::new(parts)
    }
}

/// Somebody whose rows are being read.
struct Person {
    id: String,
    labels: Vec<SpelledLabel>,
    active: bool,
    stranger: bool,
    overrides: usize,
}

/// Counts people to kinds.
struct Counter<'a> {
    census: &'a Census<'a>,
    population: Population,
    kinds: HashMap<Key, usize>,
    label_sets: HashMap<Vec<SpelledLabel>, usize>,
    /// By the text that the query makes of them.
    override_sets: HashMap<String, usize>,
}

/// What tells kinds apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    labels: usize,
    overrides: usize,
    active: bool,
    stranger: bool,
    mark: Option<usize>,
}

impl<'a> Counter<'a> {
    fn new(census: &'a Census<'a>) -> Self {
        Self {
            census,
            population: Population::default(),
            kinds: HashMap::new(),
            label_sets: HashMap::new(),
            override_sets: HashMap::new(),
        }
    }

    fn person(&mut self, id: &str, row: &PgRow) -> Result<Person, StoreError> {
        let stranger = !row.try_get::<bool, _>("known")?;
        let overrides = self.overrides(row.try_get::<Option<&str>, _>("overrides")?.unwrap_or_default())?;
        let mut person = Person { id: id.to_owned(), labels: Vec::new(), active: true, stranger, overrides };
        Self::more(&mut person, row)?;
        Ok(person)
    }

    /// Another row of the same user: labels add up, and one inactive row is enough.
    fn more(person: &mut Person, row: &PgRow) -> Result<(), StoreError> {
        person.active &= person.stranger || row.try_get::<Option<bool>, _>("active")? == Some(true);
        let label: Option<String> = row.try_get("label")?;
        let role: Option<String> = row.try_get("role")?;
        if let Some(label) = label {
            // A label that the policy ignores is no role of it, and may be one of the legacy rules.
            let role = role.unwrap_or_else(|| label.clone());
            person.labels.push(SpelledLabel { label, role });
        }
        Ok(())
    }

    /// The place of a set of overrides, which is read when it is met for the first time.
    fn overrides(&mut self, text: &str) -> Result<usize, StoreError> {
        if let Some(place) = self.override_sets.get(text) {
            return Ok(*place);
        }
        let place = self.population.override_sets.len();
        self.population.override_sets.push(read_overrides(text)?);
        self.override_sets.insert(text.to_owned(), place);
        Ok(place)
    }

    fn count(&mut self, mut person: Person) {
        let found = &mut self.population;
        if person.stranger {
            found.strangers = found.strangers.saturating_add(1);
        } else {
            found.users = found.users.saturating_add(1);
            found.active = found.active.saturating_add(u64::from(person.active));
        }
        person.labels.sort_unstable();
        person.labels.dedup();
        let labels = match self.label_sets.get(&person.labels) {
            Some(place) => *place,
            None => {
                let place = found.label_sets.len();
                found.label_sets.push(person.labels.clone());
                self.label_sets.insert(person.labels, place);
                place
            }
        };
        let Person { id, active, stranger, overrides, .. } = person;
        let mark = self.census.marked.get(&id).copied();
        let place =
            *self.kinds.entry(Key { labels, overrides, active, stranger, mark }).or_insert_with(|| {
                let kind = Kind { users: 0, first: Vec::new(), active, stranger, mark, labels, overrides };
                found.kinds.push(kind);
                found.kinds.len().saturating_sub(1)
            });
        if let Some(kind) = found.kinds.get_mut(place) {
            kind.users = kind.users.saturating_add(1);
            if kind.first.len() < self.census.keep {
                kind.first.push(id);
            }
        }
    }
}

/// `-po.approve +reports.* ~+po.view`: what the query makes of a user's overrides; those still to be stored begin with `~`.
/// No pattern holds a blank.
fn read_overrides(text: &str) -> Result<Vec<Exception>, StoreError> {
    let damaged = |reason: String| StoreError::Damaged { table: "user_custom_permissions", reason };
    let one = |word: &str| {
        let (coming, word) = word.strip_prefix('~').map_or((false, word), |word| (true, word));
        let (effect, pattern) = match (word.strip_prefix('-'), word.strip_prefix('+')) {
            (Some(pattern), _) => (Effect::Deny, pattern),
            (_, Some(pattern)) => (Effect::Allow, pattern),
            _ => return Err(damaged(format!("`{}` has no effect", word.escape_debug()))),
        };
        let pattern = Pattern::parse(pattern).map_err(|error| damaged(error.to_string()))?;
        Ok(Exception { effect, pattern, coming })
    };
    text.split(' ').filter(|word| !word.is_empty()).map(one).collect()
}

/// Every row of every user in the byte order of the ids, with all active overrides in one text. Two streams could not be
/// read at once over one connection, so the server merges them.
fn query(census: &Census<'_>) -> String {
    let users = census.users;
    let stored = census.overrides.map(|schema| {
        format!(
            "SELECT user_id, pattern, effect, '' FROM {}.user_custom_permissions WHERE expires_at IS NULL OR $1 < expires_at",
            schema.quoted()
        )
    });
    let coming = census.coming.map(|coming| {
        format!("SELECT c.user_id COLLATE \"C\", c.pattern COLLATE \"C\", c.effect COLLATE \"C\", '~' FROM ({coming}) c")
    });
    let overrides: Vec<String> = stored.into_iter().chain(coming).collect();
    if overrides.is_empty() {
        return format!(
            "SELECT u.user_id COLLATE \"C\" AS user_id, true AS known, u.label, u.role, u.active, NULL::text AS overrides \
             FROM ({users}) u ORDER BY 1"
        );
    }
    format!(
        "SELECT coalesce(u.user_id COLLATE \"C\", o.user_id) AS user_id, o.user_id IS NULL OR u.user_id IS NOT NULL AS known, \
         u.label, u.role, u.active, o.overrides \
         FROM ({users}) u FULL JOIN (SELECT s.user_id, string_agg(s.mark || CASE s.effect WHEN 'deny' THEN '-' ELSE '+' END || s.pattern, ' ' \
             ORDER BY s.effect, s.pattern, s.mark) AS overrides FROM ({}) s (user_id, pattern, effect, mark) GROUP BY s.user_id) o \
             ON u.user_id COLLATE \"C\" = o.user_id \
         ORDER BY 1",
        overrides.join(" UNION ")
    )
}
