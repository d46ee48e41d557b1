//! `[[conflicts]]`: duties that must be apart (SPEC section 4).

use std::collections::HashMap;

use policy_core::{Conflict, Label, Pattern, PolicyError};

use crate::toml_file::{Reader, Section};

pub(super) fn read(reader: &mut Reader<'_>, root: &Section<'_, '_>) -> Vec<Conflict> {
    let sections = reader.tables(root, "conflicts", "a conflict", &["name", "patterns", "reason"]);
    let mut places = HashMap::new();
    let mut conflicts = Vec::new();
    for section in &sections {
        let name = reader.required_string(section, "name", "name = \"…\"");
        let name = name.and_then(|(text, place)| {
            let name = reader.parsed(text, place.clone(), Label::parse)?;
            if let Some(first) = places.insert(name.clone(), place.start) {
                let error = PolicyError::DuplicateConflict(name.clone());
                let already = reader.already(first);
                reader.fault(place, format_args!("{error}{already}"));
            }
            Some(name)
        });
        let patterns = patterns(reader, section);
        let reason = reader.text(section, "reason");
        if let (Some(name), Some((left, right))) = (name, patterns) {
            conflicts.push(Conflict { name, left, right, reason });
        }
    }
    conflicts
}

fn patterns(reader: &mut Reader<'_>, section: &Section<'_, '_>) -> Option<(Pattern, Pattern)> {
    const EXAMPLE: &str = "patterns = [\"po.create\", \"po.approve\"]";
    let value = reader.required(section, "patterns", EXAMPLE)?;
    let there = value.get_ref().as_array().map(|list| list.len());
    let texts = reader.strings(section, "patterns");
    match there {
        Some(2) | None => {}
        Some(count) => {
            reader.fault(
                value.span(),
                format_args!("a conflict has exactly two patterns, not {count}; write one conflict a pair"),
            );
        }
    }
    let mut patterns = texts.into_iter().filter_map(|(text, place)| reader.pattern(text, place));
    Some((patterns.next()?, patterns.next()?))
}
