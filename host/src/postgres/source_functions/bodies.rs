//! The bodies of the functions, and the same queries for who reads directly.

use sqlx::PgConnection;

use super::reading::Reading;
use crate::policy_file::{RoleWay, Source};

/// The bodies of the three functions.
pub(super) struct Bodies {
    pub(super) roles: String,
    pub(super) active: String,
    pub(super) users: String,
}

impl Bodies {
    pub(super) async fn ask(connection: &mut PgConnection, source: &Source) -> Result<Self, sqlx::Error> {
        let mut reading = Reading::of(connection, source).await?;
        let roles = reading.roles_of_user()?;
        let is_user = reading.is_user();
        let inactive = format!("({}) is not true", reading.active());
        let inactive = reading.users("", &[&is_user, &inactive]);
        let active = format!("begin return not exists (select from {inactive}); end");
        let users = reading.all_users()?;
        let [roles, active, users] = reading.literals.render(connection, [&roles, &active, &users]).await?;
        Ok(Self { roles, active, users })
    }

    /// As `migrations/0004_questions.sql` creates them.
    pub(super) fn nowhere() -> Self {
        Self {
            roles: "select null::text where false".to_owned(),
            active: "begin return true; end".to_owned(),
            users: "select null::text, null::text, null::text, null::boolean where false".to_owned(),
        }
    }
}

impl Reading<'_> {
    /// The roles of the user `$1` who is active.
    fn roles_of_user(&mut self) -> Result<String, sqlx::Error> {
        let (is_user, active) = (self.is_user(), self.active());
        if let Some(label) = self.only_column() {
            let role = self.role(&label)?;
            // A label that is ignored has none.
            let role_is_there = format!("nullif({role}, '') is not null");
            let users = self.users("", &[&is_user, &active, &role_is_there]);
            return Ok(format!("select {role} from {users}"));
        }
        let labels = self.labels(&[&is_user, &active]);
        let role = self.role("l.label")?;
        Ok(format!("{labels} select {role} from labels l where {role} is not null"))
    }

    /// One row for each user and label, and one with NULL for a user without any: `user_id`, `label`, `role`, `active`.
    pub(crate) fn all_users(&mut self) -> Result<String, sqlx::Error> {
        let (id, active) = (self.id(), self.active());
        if let Some(label) = self.only_column() {
            let role = self.role(&format!("nullif({label}, '')"))?;
            let users = self.users("", &[]);
            return Ok(format!(
                "select {id} as user_id, nullif({label}, '') as label, {role} as role, {active} as active from {users}"
            ));
        }
        let labels = self.labels(&[]);
        let role = self.role("l.label")?;
        let users = self.each_user(&format!("{id} as id, {active} as active"));
        Ok(format!(
            "{labels} select u.id as user_id, l.label, {role} as role, u.active from {users} left join labels l on l.id = u.id"
        ))
    }

    /// One row for each user and label as stored: `user_id`, `label`, `activity` as text.
    pub(super) fn stored(&mut self) -> String {
        let (id, activity) = (self.id(), self.stored_activity());
        if let Some(label) = self.only_column() {
            let users = self.users("", &[]);
            return format!("select {id} as user_id, {label} as label, {activity} as activity from {users}");
        }
        let labels = self.labels(&[]);
        let users = self.each_user(&format!("{id} as id, {activity} as activity"));
        format!(
            "{labels} select u.id as user_id, l.label, u.activity from {users} left join labels l on l.id = u.id"
        )
    }

    /// One row for each legacy permission of a user: `user_id`, `name`, `effect`.
    pub(crate) fn permissions(&mut self) -> Option<String> {
        let source = self.source;
        let (mut expressions, mut arms) = (Vec::new(), Vec::new());
        for (number, way) in source.permissions.iter().enumerate() {
            let chain = self.chain(number, &way.path, &[]);
            let text = chain.text();
            let from = chain.from();
            arms.push(format!(
                "select p.id as user_id, {text} as name, '{}'::text as effect from {from} where {text} <> ''",
                way.effect.as_str()
            ));
            expressions.extend(chain.expressions);
        }
        let arms = distinct(&arms);
        arms.map(|arms| format!("with recursive {} {arms}", expressions.join(", ")))
    }

    /// The users, each once.
    pub(crate) fn each_user(&mut self, select: &str) -> String {
        let distinct = if self.source.distinct { "distinct " } else { "" };
        format!("(select {distinct}{select} from {}) u", self.users("", &[]))
    }

    /// `with …`, of which the last is `labels (id, label)`: every label of the users that fulfil `who`, each once.
    fn labels(&mut self, who: &[&str]) -> String {
        let source = self.source;
        let (mut expressions, mut arms) = (Vec::new(), Vec::new());
        for (number, way) in source.roles.iter().enumerate() {
            match way {
                RoleWay::Flag { flag, label } => {
                    let label = self.literals.add(label);
                    let set = format!("u.{}", super::text::name(flag));
                    let conditions: Vec<&str> = who.iter().copied().chain([set.as_str()]).collect();
                    let (id, users) = (self.id(), self.users("", &conditions));
                    arms.push(format!("select {id}, {label} collate \"C\" from {users}"));
                }
                RoleWay::Path(path) => {
                    let chain = self.chain(number, path, who);
                    let text = chain.text();
                    arms.push(format!("select p.id, {text} from {} where {text} <> ''", chain.from()));
                    expressions.extend(chain.expressions);
                }
            }
        }
        // The policy file has a way at least.
        let arms = distinct(&arms).unwrap_or_else(|| "select null::text, null::text where false".to_owned());
        expressions.push(format!("labels (id, label) as ({arms})"));
        format!("with recursive {}", expressions.join(", "))
    }

    /// The role that a label stands for; NULL for one that is ignored.
    fn role(&mut self, label: &str) -> Result<String, sqlx::Error> {
        let mut role = label.to_owned();
        if !self.source.rename.is_empty() {
            let rename = serde_json::to_string(&self.source.rename)
                .map_err(|error| sqlx::Error::Encode(error.into()))?;
            role = format!("coalesce({}::jsonb ->> {label}, {label})", self.literals.add(&rename));
        }
        if !self.source.ignore_labels.is_empty() {
            let source = self.source;
            let ignored: Vec<String> =
                source.ignore_labels.iter().map(|label| self.literals.add(label)).collect();
            role = format!("case when {label} in ({}) then null else {role} end", ignored.join(", "));
        }
        Ok(role)
    }
}

/// The rows of all queries, none twice.
fn distinct(arms: &[String]) -> Option<String> {
    match arms {
        [] => None,
        [only] => Some(format!("select distinct * from ({only}) a")),
        several => Some(several.join(" union ")),
    }
}
