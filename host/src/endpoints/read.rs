//! `[legacy]` and `[[endpoints]]`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

use policy_core::RoleName;

use super::{Endpoint, Endpoints, METHODS};
use crate::report::printable;
use crate::toml_file::{Reader, Section, Texts, listed};

pub(super) fn read(reader: &mut Reader<'_>, root: &Section<'_, '_>) -> Option<Endpoints> {
    reader.only(root, &["legacy", "endpoints"]);
    let mut legacy = Endpoints {
        roles: Vec::new(),
        bypass: BTreeSet::new(),
        inherits: BTreeMap::new(),
        endpoints: Vec::new(),
    };
    if let Some(value) = reader.required(root, "legacy", "[legacy]") {
        let place = root.key_place("legacy").unwrap_or(value.span());
        let keys = ["roles", "bypass", "inherits"];
        if let Some(section) = reader.section(value, place, "`[legacy]`".to_owned(), &keys) {
            legacy.roles = roles(reader, &section);
            let known = Known::of(&legacy.roles);
            let bypass = reader.strings(&section, "bypass");
            legacy.bypass = known.all(reader, bypass).into_iter().collect();
            legacy.inherits = inherits(reader, &section, &known);
        }
    }
    let known = Known::of(&legacy.roles);
    let keys = ["method", "path", "roles", "permission"];
    let mut places = HashMap::new();
    for section in reader.tables(root, "endpoints", "an endpoint", &keys) {
        if let Some((endpoint, place)) = endpoint(reader, &section, &known) {
            let rule = (endpoint.method.clone(), endpoint.path.clone());
            match places.get(&rule) {
                Some(first) => {
                    let already = reader.already(*first);
                    let (method, path) = rule;
                    reader.fault(place, format_args!("endpoint `{method} {path}` is there twice{already}"));
                }
                None => {
                    places.insert(rule, place.start);
                }
            }
            legacy.endpoints.push(endpoint);
        }
    }
    reader.is_content().then_some(legacy)
}

/// The closed list of legacy roles: a typo in a rule must not look like a role that nobody has.
struct Known<'r> {
    names: BTreeSet<&'r str>,
}

impl<'r> Known<'r> {
    fn of(roles: &'r [String]) -> Self {
        Self { names: roles.iter().map(String::as_str).collect() }
    }

    /// The texts, of which those that are not on the list are reported.
    fn all(&self, reader: &mut Reader<'_>, texts: Texts<'_>) -> Vec<String> {
        let mut known = Vec::with_capacity(texts.len());
        for (text, place) in texts {
            self.check(reader, text, place);
            known.push(text.to_owned());
        }
        known
    }

    fn check(&self, reader: &mut Reader<'_>, text: &str, place: Range<usize>) {
        // Without the list, that it is missing is the fault.
        if self.names.is_empty() || self.names.contains(text) {
            return;
        }
        let hint = reader.did_you_mean(text, self.names.iter().copied());
        let hint = hint.unwrap_or_else(|| "; add it there, or correct it here".to_owned());
        let text = printable(text);
        reader.fault(place, format_args!("`{text}` is not among the `roles` of `[legacy]`{hint}"));
    }
}

fn roles(reader: &mut Reader<'_>, section: &Section<'_, '_>) -> Vec<String> {
    if reader.required(section, "roles", "roles = [\"…\"]").is_none() {
        return Vec::new();
    }
    let mut names = Vec::new();
    for (text, place) in reader.strings(section, "roles") {
        names.extend(reader.parsed(text, place, RoleName::parse).map(|name| name.to_string()));
    }
    names
}

fn inherits(
    reader: &mut Reader<'_>,
    section: &Section<'_, '_>,
    known: &Known<'_>,
) -> BTreeMap<String, Vec<String>> {
    let mut inherits = BTreeMap::new();
    let Some(value) = section.get("inherits") else { return inherits };
    let place = section.key_place("inherits").unwrap_or(value.span());
    let Some(table) = reader.table(value, place, "`[legacy.inherits]`".to_owned()) else { return inherits };
    for (key, _) in table.entries() {
        known.check(reader, key.get_ref(), key.span());
        let texts = reader.strings(&table, key.get_ref());
        let inherited = known.all(reader, texts);
        inherits.insert(key.get_ref().clone().into_owned(), inherited);
    }
    inherits
}

/// The rule, and the place of its path.
fn endpoint(
    reader: &mut Reader<'_>,
    section: &Section<'_, '_>,
    known: &Known<'_>,
) -> Option<(Endpoint, Range<usize>)> {
    let method = reader.required_string(section, "method", "method = \"GET\"");
    let method = method.and_then(|(text, place)| method_of(reader, text, place));
    let path = reader.required_string(section, "path", "path = \"/…\"");
    let path = path.and_then(|(text, place)| {
        if let Some(what) = wrong_in_path(text) {
            let text = printable(text);
            reader.fault(place, format_args!("`{text}` is not a path: {what}"));
            return None;
        }
        Some((text.to_owned(), place))
    });
    let mut roles = Vec::new();
    if let Some(value) = reader.required(section, "roles", "roles = [\"…\"]") {
        let texts = reader.strings(section, "roles");
        if value.get_ref().as_array().is_some_and(|list| list.is_empty()) {
            reader.fault(value.span(), "an endpoint lists one role or more; bypass roles count too");
        }
        roles = known.all(reader, texts);
    }
    let permission = reader.required_string(section, "permission", "permission = \"…\"");
    let permission = permission.and_then(|(text, place)| reader.permission(text, place));
    let (path, place) = path?;
    Some((Endpoint { method: method?, path, roles, permission: permission? }, place))
}

fn method_of(reader: &mut Reader<'_>, text: &str, place: Range<usize>) -> Option<String> {
    if METHODS.contains(&text) {
        return Some(text.to_owned());
    }
    let shown = printable(text);
    reader.fault(place, format_args!("`{shown}` is not a method; write one of {}", listed(METHODS)));
    None
}

/// What is wrong with a path, if anything.
pub(super) fn wrong_in_path(text: &str) -> Option<&'static str> {
    if !text.starts_with('/') {
        return Some("it begins with `/`");
    }
    if text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '?' || c == '#') {
        return Some("it has no white space, `?` or `#`");
    }
    let whole = |segment: &str| {
        let inner = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        !inner.unwrap_or(segment).contains(['{', '}']) && inner != Some("")
    };
    if !text.split('/').all(whole) {
        return Some("a parameter is a whole segment, such as `/users/{id}`");
    }
    None
}
