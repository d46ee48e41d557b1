//! The draft as `policy.toml`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::toml_text::{comments, key, list, string};
use super::{Draft, DraftRole, Part};
use crate::legacy::foreign_wildcards::Entry;
use crate::policy_file::{Activity, Condition, Form, Hop, RoleWay, Source, SourceKind, SourcePath};

/// The whole file.
pub(in super::super) fn policy_toml(draft: &Draft, preset: &str) -> String {
    let mut text = String::from(
        "# A draft by `pbac init`. Read every line that says `guessed` before `pbac plan`; what is not right is yours to correct.\n\n",
    );
    text.push_str(&format!("[policy]\nname = {}\nversion = 1\n", string(&draft.name)));
    catalog(draft, preset, &mut text);
    text.push('\n');
    if let Some(lines) = draft.comments.get(&Part::Roles) {
        text.push_str(&comments(lines));
        text.push('\n');
    }
    for drafted in &draft.roles {
        role(drafted, &mut text);
    }
    source(draft, &mut text);
    text
}

fn above(draft: &Draft, part: Part, text: &mut String) {
    text.push_str(&draft.comments.get(&part).map(|lines| comments(lines)).unwrap_or_default());
}

fn catalog(draft: &Draft, preset: &str, text: &mut String) {
    text.push('\n');
    above(draft, Part::Catalog, text);
    let mut modules: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    for entry in &draft.catalog.entries {
        let module = entry.name.as_str().split('.').next().unwrap_or_default();
        modules.entry(module).or_default().push(entry);
    }
    if modules.is_empty() {
        // What a role may do is in the application: an empty module would say nothing.
        text.push_str("# [modules.orders.permissions]\n# \"orders.view\" = \"See orders\"\n");
    }
    for (module, entries) in modules {
        text.push_str(&format!("[modules.{}.permissions]\n", key(module)));
        for entry in entries {
            let given = draft.catalog.descriptions.get(&entry.legacy).map_or("", String::as_str);
            let description = if given.is_empty() { entry.legacy.as_str() } else { given };
            let renamed = draft.catalog.renamed.iter().find(|renamed| renamed.legacy == entry.legacy);
            if let Some(renamed) = renamed {
                let line = format!("guessed: `{}` in {preset}; {}", renamed.legacy, renamed.why);
                text.push_str(&comments(&[line]));
            }
            text.push_str(&format!("{} = {}\n", string(entry.name.as_str()), string(description)));
        }
        text.push('\n');
    }
    while text.ends_with("\n\n") {
        text.pop();
    }
}

fn role(role: &DraftRole, text: &mut String) {
    text.push_str(&comments(&role.comments));
    text.push_str(&format!("[roles.{}]\n", key(&role.name)));
    if !role.description.is_empty() {
        text.push_str(&format!("description = {}\n", string(&role.description)));
    }
    text.push_str(&format!("grants = {}\n", list(&role.grants)));
    if !role.inherits.is_empty() {
        text.push_str(&format!("inherits = {}\n", list(&role.inherits)));
    }
    if !role.aliases.is_empty() {
        text.push_str(&format!("aliases = {}\n", list(&role.aliases)));
    }
    text.push('\n');
}

fn source(draft: &Draft, text: &mut String) {
    let source = &draft.source;
    above(draft, Part::Users, text);
    text.push_str(&format!("[source]\nkind = {}\n", string(&source.kind.to_string())));
    text.push_str(&format!("table = {}\n", string(&source.table.to_string())));
    text.push_str(&format!("user_id = {}\n", string(source.user_id.as_str())));
    text.push_str(&condition(&source.only).iter().map(|part| format!("{part}\n")).collect::<String>());
    if source.distinct {
        text.push_str("distinct = true\n");
    }
    if let (SourceKind::RoleColumn, Some(column)) = (source.kind, role_column(source)) {
        above(draft, Part::RoleWays, text);
        text.push_str(&format!("role = {}\n", string(column)));
    }
    above(draft, Part::Activity, text);
    if let Some(activity) = &source.activity {
        text.push_str(&format!("{} = {}\n", activity.key(), string(activity.column().as_str())));
    }
    if let (Some(meaning), Some(Activity::Boolean(_))) = (source.null_active, &source.activity) {
        text.push_str(&format!("null_active = {}\n", string(&meaning.to_string())));
    }
    for (treatment, line) in [
        (source.null_role, "null_role = \"none\"\n"),
        (source.orphans, "orphans = \"ignore\"\n"),
        (source.cycles, "cycles = \"ignore\"\n"),
    ] {
        if !treatment.stops() {
            text.push_str(line);
        }
    }
    if !source.ignore_labels.is_empty() {
        text.push_str(&format!("ignore_labels = {}\n", list(&source.ignore_labels)));
    }
    if !source.rename.is_empty() {
        text.push_str("\n[source.rename]\n");
        for (label, role) in &source.rename {
            text.push_str(&format!("{} = {}\n", key(label), string(role)));
        }
    }
    if source.kind == SourceKind::RolePaths {
        text.push('\n');
        above(draft, Part::RoleWays, text);
        let ways: Vec<String> = source.roles.iter().map(role_way).collect();
        text.push_str(&ways.join("\n"));
    }
    if !source.permissions.is_empty() {
        text.push('\n');
        above(draft, Part::PermissionWays, text);
        let ways: Vec<String> = source
            .permissions
            .iter()
            .map(|way| {
                let effect = string(way.effect.as_str());
                format!("[[source.permissions]]\n{}effect = {effect}\n", path(&way.path))
            })
            .collect();
        text.push_str(&ways.join("\n"));
    }
    if !source.permission_names.is_empty() {
        text.push('\n');
        above(draft, Part::PermissionNames, text);
        text.push_str("[source.permission_names]\n");
        for (legacy, patterns) in &source.permission_names {
            let patterns: BTreeSet<&str> = patterns.iter().map(String::as_str).collect();
            text.push_str(&format!("{} = {}\n", key(legacy), list(&patterns)));
        }
    }
}

fn role_column(source: &Source) -> Option<&str> {
    source.roles.iter().find_map(|way| match way {
        RoleWay::Path(path) => path.column.as_ref().map(|column| column.as_str()),
        RoleWay::Flag { .. } => None,
    })
}

fn role_way(way: &RoleWay) -> String {
    match way {
        RoleWay::Flag { flag, label } => {
            format!("[[source.roles]]\nflag = {}\nlabel = {}\n", string(flag.as_str()), string(label))
        }
        RoleWay::Path(way) => format!("[[source.roles]]\n{}", path(way)),
    }
}

fn path(path: &SourcePath) -> String {
    let mut text = String::new();
    if let Some(column) = &path.column {
        text.push_str(&format!("column = {}\n", string(column.as_str())));
    }
    match &path.form {
        Form::One => {}
        Form::Array => text.push_str("form = \"array\"\n"),
        Form::Json => text.push_str("form = \"json\"\n"),
        Form::List { separator } => {
            text.push_str(&format!("form = \"list\"\nseparator = {}\n", string(separator)));
        }
    }
    match path.via.as_slice() {
        [] => {}
        [only] => text.push_str(&format!("via = [{}]\n", hop(only))),
        several => {
            text.push_str("via = [\n");
            for one in several {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "    {},", hop(one));
            }
            text.push_str("]\n");
        }
    }
    text
}

fn hop(hop: &Hop) -> String {
    let mut parts = vec![
        format!("table = {}", string(&hop.table.to_string())),
        format!("from = {}", string(hop.from.as_str())),
        format!("to = {}", string(hop.to.as_str())),
    ];
    parts.extend(hop.suffix.as_ref().map(|suffix| format!("suffix = {}", string(suffix.as_str()))));
    parts.extend(condition(&hop.only));
    parts.extend(hop.closure.then(|| "closure = true".to_owned()));
    format!("{{ {} }}", parts.join(", "))
}

/// `where` and `empty`, where they are needed.
fn condition(only: &Condition) -> Vec<String> {
    let mut parts = Vec::new();
    if !only.equals.is_empty() {
        let pairs: Vec<String> = only
            .equals
            .iter()
            .map(|(column, values)| {
                let values: Vec<String> = values.iter().map(|value| string(value)).collect();
                let value = match values.as_slice() {
                    [only] => only.clone(),
                    several => format!("[{}]", several.join(", ")),
                };
                format!("{} = {value}", key(column.as_str()))
            })
            .collect();
        parts.push(format!("where = {{ {} }}", pairs.join(", ")));
    }
    if !only.empty.is_empty() {
        let columns: BTreeSet<&str> = only.empty.iter().map(|column| column.as_str()).collect();
        parts.push(format!("empty = {}", list(&columns)));
    }
    parts
}
