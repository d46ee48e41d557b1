//! The walk over a parsed file: asks for what is expected, and reports what is there instead.

use std::fmt::Display;
use std::ops::Range;

use policy_core::{Pattern, PatternError, PermissionName};
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::fault::Faults;
use super::place::offset_in_string;
use super::spelling::nearest;
use crate::report::printable;

/// A key with its place.
pub(crate) type Key<'i> = Spanned<DeString<'i>>;
/// A value with its place.
pub(crate) type Value<'i> = Spanned<DeValue<'i>>;
/// Strings with their places.
pub(crate) type Texts<'v> = Vec<(&'v str, Range<usize>)>;

/// How many names a whole file may have compared with wrong ones: a hostile file could ask for billions.
const MAX_COMPARISONS: usize = 20_000;

/// Collects faults while a file is walked.
pub(crate) struct Reader<'t> {
    text: &'t str,
    faults: &'t mut Faults,
    comparisons_left: usize,
}

/// A table of the file.
pub(crate) struct Section<'v, 'i> {
    table: &'v DeTable<'i>,
    /// What it is called in messages: `[policy]`, role `X`.
    name: String,
    /// What is marked when something is missing in it.
    place: Range<usize>,
    is_root: bool,
}

impl<'v, 'i> Section<'v, 'i> {
    /// The whole file.
    pub(super) fn root(table: &'v DeTable<'i>) -> Self {
        Self { table, name: "the file".to_owned(), place: 0..0, is_root: true }
    }

    /// What it is called in messages.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What is marked when something is missing in it.
    pub(crate) fn place(&self) -> Range<usize> {
        self.place.clone()
    }

    /// The value of `key`, when there is one.
    pub(crate) fn get(&self, key: &str) -> Option<&'v Value<'i>> {
        self.table.get(key)
    }

    /// The place of `key` itself.
    pub(crate) fn key_place(&self, key: &str) -> Option<Range<usize>> {
        self.table.get_key_value(key).map(|(key, _)| key.span())
    }

    /// All keys and values, in the order of the file.
    pub(crate) fn entries(&self) -> Vec<(&'v Key<'i>, &'v Value<'i>)> {
        let mut entries: Vec<_> = self.table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        entries
    }
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str, faults: &'t mut Faults) -> Self {
        Self { text, faults, comparisons_left: MAX_COMPARISONS }
    }

    /// Reports that something is wrong at `place`.
    pub(crate) fn fault(&mut self, place: Range<usize>, message: impl Display) {
        self.faults.add(place, message.to_string());
    }

    /// Whether nothing was wrong so far.
    pub(crate) fn is_content(&self) -> bool {
        self.faults.is_empty()
    }

    /// `; it is on line 7 already`. Nothing where the fault would not be shown: counting lines costs a pass over the file.
    pub(crate) fn already(&self, offset: usize) -> String {
        if !self.faults.have_room() {
            return String::new();
        }
        let before = self.text.get(..offset).unwrap_or_default();
        let line = before.bytes().filter(|&byte| byte == b'\n').count().saturating_add(1);
        format!("; it is on line {line} already")
    }

    /// `value` as a table whose keys can be anything. `place` is marked when something is missing in it.
    pub(crate) fn table<'v, 'i>(
        &mut self,
        value: &'v Value<'i>,
        place: Range<usize>,
        name: String,
    ) -> Option<Section<'v, 'i>> {
        match value.get_ref() {
            DeValue::Table(table) => Some(Section { table, name, place, is_root: false }),
            other => {
                let found = article(other);
                self.fault(value.span(), format_args!("{name} must be a table, not {found}"));
                None
            }
        }
    }

    /// `value` as a table that has no other keys than `keys`.
    pub(crate) fn section<'v, 'i>(
        &mut self,
        value: &'v Value<'i>,
        place: Range<usize>,
        name: String,
        keys: &[&str],
    ) -> Option<Section<'v, 'i>> {
        let section = self.table(value, place, name)?;
        self.only(&section, keys);
        Some(section)
    }

    /// Reports the keys of `section` that are not among `keys`.
    pub(crate) fn only(&mut self, section: &Section<'_, '_>, keys: &[&str]) {
        for (key, _) in section.entries() {
            if keys.contains(&&**key.get_ref()) {
                continue;
            }
            let hint = self.did_you_mean(key.get_ref(), keys.iter().copied());
            let hint = hint.unwrap_or_else(|| format!("; its keys are {}", listed(keys.iter().copied())));
            let message = format!("`{}` is not a key of {}{hint}", printable(key.get_ref()), section.name);
            self.fault(key.span(), message);
        }
    }

    /// The value of a key that must be there. `example` shows how to write it.
    pub(crate) fn required<'v, 'i>(
        &mut self,
        section: &Section<'v, 'i>,
        key: &str,
        example: &str,
    ) -> Option<&'v Value<'i>> {
        let value = section.get(key);
        if value.is_none() {
            self.fault(section.place(), format_args!("{} has no `{key}`; add `{example}`", section.name));
        }
        value
    }

    /// `value` as a string. `name` says what it is.
    pub(crate) fn string<'v>(&mut self, value: &'v Value<'_>, name: &str) -> Option<&'v str> {
        match value.get_ref() {
            DeValue::String(text) => Some(text),
            other => {
                let found = article(other);
                self.fault(value.span(), format_args!("{name} must be a string, not {found}"));
                None
            }
        }
    }

    /// The string that `key` must have.
    pub(crate) fn required_string<'v>(
        &mut self,
        section: &Section<'v, '_>,
        key: &str,
        example: &str,
    ) -> Option<(&'v str, Range<usize>)> {
        let value = self.required(section, key, example)?;
        let text = self.string(value, &format!("`{key}` of {}", section.name))?;
        Some((text, value.span()))
    }

    /// The string that `key` may have.
    pub(crate) fn optional_string<'v>(
        &mut self,
        section: &Section<'v, '_>,
        key: &str,
    ) -> Option<(&'v str, Range<usize>)> {
        let value = section.get(key)?;
        let text = self.string(value, &format!("`{key}` of {}", section.name))?;
        Some((text, value.span()))
    }

    /// The text of `key`, empty without it.
    pub(crate) fn text(&mut self, section: &Section<'_, '_>, key: &str) -> String {
        self.optional_string(section, key).map(|(text, _)| text.to_owned()).unwrap_or_default()
    }

    /// The strings of the list that `key` may have, none of them twice.
    pub(crate) fn strings<'v>(&mut self, section: &Section<'v, '_>, key: &str) -> Texts<'v> {
        let Some(value) = section.get(key) else { return Vec::new() };
        let name = format!("`{key}` of {}", section.name);
        let DeValue::Array(items) = value.get_ref() else {
            let found = article(value.get_ref());
            self.fault(
                value.span(),
                format_args!("{name} must be a list of strings such as `[\"…\"]`, not {found}"),
            );
            return Vec::new();
        };
        let mut seen = std::collections::HashSet::new();
        let mut texts = Vec::new();
        for item in items {
            let Some(text) = self.string(item, &format!("each entry of {name}")) else { continue };
            if seen.insert(text) {
                texts.push((text, item.span()));
            } else {
                let text = printable(text);
                self.fault(item.span(), format_args!("`{text}` is in {name} twice; keep one of the two"));
            }
        }
        texts
    }

    /// The tables of the list `[[key]]` that a file may have, each with its place in the file.
    pub(crate) fn tables<'v, 'i>(
        &mut self,
        section: &Section<'v, 'i>,
        key: &str,
        name: &str,
        keys: &[&str],
    ) -> Vec<Section<'v, 'i>> {
        let Some(value) = section.get(key) else { return Vec::new() };
        let DeValue::Array(items) = value.get_ref() else {
            let found = article(value.get_ref());
            let place = section.key_place(key).unwrap_or(value.span());
            let example = if section.is_root { format!("[[{key}]]") } else { format!("{key} = [{{ … }}]") };
            self.fault(
                place,
                format_args!("`{key}` must be a list of tables, not {found}; write `{example}`"),
            );
            return Vec::new();
        };
        items.iter().filter_map(|item| self.section(item, item.span(), name.to_owned(), keys)).collect()
    }

    /// What `parse` makes of a text, or its error as a fault.
    pub(crate) fn parsed<T, E: Display>(
        &mut self,
        text: &str,
        place: Range<usize>,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        parse(text).map_err(|error| self.fault(place, error)).ok()
    }

    /// A text as a pattern; a fault marks the byte that is wrong.
    pub(crate) fn pattern(&mut self, text: &str, place: Range<usize>) -> Option<Pattern> {
        Pattern::parse(text).map_err(|error| self.pattern_fault(text, place, &error)).ok()
    }

    /// A text as a permission; a fault marks the byte that is wrong.
    pub(crate) fn permission(&mut self, text: &str, place: Range<usize>) -> Option<PermissionName> {
        PermissionName::parse(text).map_err(|error| self.pattern_fault(text, place, &error)).ok()
    }

    /// `; did you mean …?` when one of `candidates` is near `wanted`.
    pub(crate) fn did_you_mean<'a>(
        &mut self,
        wanted: &str,
        candidates: impl Iterator<Item = &'a str> + Clone,
    ) -> Option<String> {
        if !self.faults.have_room() {
            return None;
        }
        let most = self.comparisons_left;
        self.comparisons_left = most.saturating_sub(candidates.clone().take(most).count());
        nearest(wanted, candidates, most).map(|near| format!("; did you mean `{}`?", printable(near)))
    }

    fn pattern_fault(&mut self, text: &str, place: Range<usize>, error: &PatternError) {
        let raw = self.text.get(place.clone()).unwrap_or_default();
        let at = place.start.saturating_add(offset_in_string(raw, text, error.byte));
        let plain = text.trim().to_ascii_lowercase();
        // Nothing is corrected in silence; that the text would be right without it can be said.
        let hint = if plain != text && Pattern::parse(&plain).is_ok() {
            format!("; did you mean `{plain}`?")
        } else {
            String::new()
        };
        self.fault(at..at.saturating_add(1), format_args!("{error}{hint}"));
    }
}

/// Names for a message: `a`, `b` and `c`.
pub(crate) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut names: Vec<String> = names.into_iter().map(|name| format!("`{}`", printable(name))).collect();
    let last = names.pop().unwrap_or_default();
    if names.is_empty() { last } else { format!("{} and {last}", names.join(", ")) }
}

fn article(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
