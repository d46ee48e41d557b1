//! Whether somebody is left who holds enough.

use futures_util::TryStreamExt;
use sqlx::{AssertSqlSafe, PgConnection};

use crate::policy_file::Source;
use crate::postgres::Identifier;
use crate::postgres::source_functions::Reading;

/// Whose labels are looked at, and when they are enough.
pub struct Candidates<'a> {
    /// Labels of which each alone is enough.
    pub alone: &'a [&'a str],
    /// Labels that give something of it, those of `alone` among them.
    pub useful: &'a [&'a str],
    /// Whether labels together are enough.
    pub together: &'a (dyn Fn(&[String]) -> bool + Sync),
    /// Where overrides are stored, if anywhere.
    pub overrides: Option<&'a Identifier>,
    /// Whether what users are denied in the legacy tables will become overrides.
    pub importing: bool,
}

/// Whether an active user has labels that are enough, and no active deny.
///
/// # Errors
///
/// When the server refuses a query.
pub async fn any_undenied(
    connection: &mut PgConnection,
    source: &Source,
    candidates: &Candidates<'_>,
) -> Result<bool, sqlx::Error> {
    let mut reading = Reading::of(connection, source).await?;
    let mut undenied = candidates.overrides.map_or_else(String::new, |schema| {
        format!(
            " and not exists (select from {}.user_custom_permissions o where o.user_id = b.user_id collate \"C\" \
             and o.effect = 'deny' and (o.expires_at is null or now() < o.expires_at))",
            schema.quoted().replace('%', "%%")
        )
    });
    if candidates.importing
        && let Some(permissions) = reading.permissions()
    {
        undenied.push_str(&format!(
            " and b.user_id not in (select d.user_id from ({permissions}) d where d.effect = 'deny' and d.user_id is not null)"
        ));
    }
    let users = reading.all_users()?;
    if !candidates.alone.is_empty() {
        let text = format!(
            "select exists (select from ({users}) b where b.label = any ($1) and b.active{undenied})"
        );
        let text = reading.ask(connection, &text).await?;
        let one: bool = sqlx::query_scalar(AssertSqlSafe(text))
            .bind(candidates.alone)
            .fetch_one(&mut *connection)
            .await?;
        if one {
            return Ok(true);
        }
    }
    if reading.only_column().is_some() || candidates.useful.len() <= 1 {
        return Ok(false);
    }
    let text = format!(
        "select distinct s.labels from (select array_agg(b.label order by b.label) as labels from ({users}) b \
         where b.label = any ($1) and b.active{undenied} group by b.user_id having count(*) > 1) s"
    );
    let text = reading.ask(connection, &text).await?;
    let mut sets =
        sqlx::query_scalar::<_, Vec<String>>(AssertSqlSafe(text)).bind(candidates.useful).fetch(connection);
    while let Some(labels) = sets.try_next().await? {
        if (candidates.together)(&labels) {
            return Ok(true);
        }
    }
    Ok(false)
}
