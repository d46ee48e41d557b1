//! SQL text in which the server puts the literals: `format` of PostgreSQL quotes them, never we.

use sqlx::PgConnection;

use super::super::identifier::{Identifier, QualifiedName};

/// The literals of SQL text that is being put together. Whatever goes into the text comes from here or is fixed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Literals(Vec<String>);

impl Literals {
    /// A literal: a mark in the text, for which [`Literals::render`] has the server put the value.
    pub(crate) fn add(&mut self, value: &str) -> String {
        let known = self.0.iter().position(|known| known == value);
        let place = known.unwrap_or_else(|| {
            self.0.push(value.to_owned());
            self.0.len().saturating_sub(1)
        });
        format!("%{}$L::text", place.saturating_add(1))
    }

    /// Texts in which the literals stand.
    pub(super) async fn render<const N: usize>(
        &self,
        connection: &mut PgConnection,
        texts: [&str; N],
    ) -> Result<[String; N], sqlx::Error> {
        let rendered: Vec<String> = sqlx::query_scalar(
            "SELECT format(t.text, VARIADIC $2::text[]) FROM unnest($1::text[]) WITH ORDINALITY AS t (text, place) ORDER BY t.place",
        )
        .bind(texts.as_slice())
        .bind(&self.0)
        .fetch_all(connection)
        .await?;
        <[String; N]>::try_from(rendered).map_err(|rendered| {
            sqlx::Error::Protocol(format!("format gave {} texts, not {N}", rendered.len()))
        })
    }
}

/// A name for text that goes through [`Literals::render`].
pub(crate) fn name(identifier: &Identifier) -> String {
    identifier.quoted().replace('%', "%%")
}

/// A table for text that goes through [`Literals::render`].
pub(crate) fn table(qualified: &QualifiedName) -> String {
    qualified.quoted().replace('%', "%%")
}
