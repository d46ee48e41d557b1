//! Wildcards of other frameworks, which look like ours and mean something else.
//!
//! A grant is never translated letter by letter: what it means there is worked out over the whole catalog, and it becomes
//! patterns only when they match exactly that; else the permissions are named one by one, or it is refused.

mod key_match;
mod parts;

use std::collections::BTreeSet;
use std::fmt;

use policy_core::{Pattern, PermissionName};
use serde::Serialize;

pub use key_match::KeyMatch;
pub use parts::{Parts, Trie};

/// What `*` means in the permissions of a framework.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// Nothing: a permission means itself.
    Exact,
    /// Apache Shiro's `WildcardPermission`: parts by `:`, subparts by `,`, a shorter one implies every longer one, and
    /// missing parts are stars. Upper and lower case are the same.
    Shiro,
    /// spatie/laravel-permission since version 6: parts by `.`, subparts by `,`, a shorter one implies every longer one.
    Laravel,
    /// Casbin's `keyMatch`: everything from the first `*` on matches anything, slashes too.
    KeyMatch,
    /// Casbin's `keyMatch2`: `/*` matches the rest, `:name` one segment.
    KeyMatch2,
}

impl Dialect {
    /// Every dialect.
    pub const ALL: [Self; 5] = [Self::Exact, Self::Shiro, Self::Laravel, Self::KeyMatch, Self::KeyMatch2];

    /// Its name, as `--choose wildcards=…` takes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Shiro => "shiro",
            Self::Laravel => "laravel",
            Self::KeyMatch => "keymatch",
            Self::KeyMatch2 => "keymatch2",
        }
    }

    /// The grant as the framework reads it.
    ///
    /// # Errors
    ///
    /// When the framework itself would refuse it, or means more by it than can be worked out here.
    pub fn read(self, grant: &str) -> Result<ForeignGrant, RefusalKind> {
        Ok(match self {
            Self::Exact => ForeignGrant::Exact(grant.to_owned()),
            Self::Shiro => ForeignGrant::Parts(Parts::parse(grant)?),
            Self::Laravel => ForeignGrant::Trie(Trie::parse(grant)?),
            Self::KeyMatch => ForeignGrant::KeyMatch(KeyMatch::first(grant)),
            Self::KeyMatch2 => ForeignGrant::KeyMatch(KeyMatch::second(grant)?),
        })
    }
}

/// A grant as a framework reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForeignGrant {
    /// It means itself.
    Exact(String),
    /// Shiro's.
    Parts(Parts),
    /// laravel-permission's.
    Trie(Trie),
    /// Casbin's.
    KeyMatch(KeyMatch),
}

impl ForeignGrant {
    /// Whether the framework lets through who holds it and asks for `asked`.
    #[must_use]
    pub fn implies(&self, asked: &str) -> bool {
        match self {
            Self::Exact(grant) => grant == asked,
            Self::Parts(parts) => parts.implies(asked),
            Self::Trie(trie) => trie.implies(asked),
            Self::KeyMatch(key) => key.matches(asked),
        }
    }

    /// Sets of patterns that may mean the same here, those that name the least first. Each is proved before it is used.
    #[must_use]
    pub fn candidates(&self) -> Vec<Vec<String>> {
        match self {
            Self::Exact(_) => Vec::new(),
            Self::Parts(parts) => parts.candidates(),
            Self::Trie(trie) => trie.candidates(),
            Self::KeyMatch(key) => key.candidates(),
        }
    }
}

/// A permission of the catalog, as it is called there and here.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// What the framework calls it.
    pub legacy: String,
    /// What the policy calls it.
    pub name: PermissionName,
}

/// What a grant of a framework means, and what it becomes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rewritten {
    /// The grant as it stands in the database.
    pub grant: String,
    /// Every permission of the catalog that it gave there, by the framework's name for it.
    pub meant: Vec<String>,
    /// The patterns that give exactly the same here.
    pub patterns: Vec<Pattern>,
    /// How it was rewritten.
    pub how: How,
}

/// How a grant was rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// It is a permission, and means that one only.
    Same,
    /// A pattern with `*` gives the same over this catalog.
    Pattern,
    /// No pattern does; the permissions are named.
    Named,
}

/// Works out what `grant` means over `catalog`, and what gives exactly the same here.
///
/// # Errors
///
/// When the framework would refuse the grant, when it cannot be worked out, or when it gives nothing of the catalog: what
/// it covers is not known then, and nothing is guessed.
pub fn rewrite(dialect: Dialect, grant: &str, catalog: &[Entry]) -> Result<Rewritten, Refusal> {
    let refuse = |kind| Refusal { grant: grant.to_owned(), dialect, kind };
    let foreign = dialect.read(grant).map_err(refuse)?;
    prove(grant, catalog, |entry| foreign.implies(&entry.legacy), foreign.candidates())
        .ok_or_else(|| refuse(RefusalKind::CoversNothing))
}

/// The first of `candidates` that gives exactly what is `implied`, else the permissions by name; `None` where nothing is.
#[must_use]
pub fn prove(
    grant: &str,
    catalog: &[Entry],
    implied: impl Fn(&Entry) -> bool,
    candidates: Vec<Vec<String>>,
) -> Option<Rewritten> {
    let meant: BTreeSet<&Entry> = catalog.iter().filter(|entry| implied(entry)).collect();
    if meant.is_empty() {
        return None;
    }
    let names: BTreeSet<&PermissionName> = meant.iter().map(|entry| &entry.name).collect();
    let exact = |patterns: &[Pattern]| {
        catalog.iter().all(|entry| {
            patterns.iter().any(|pattern| pattern.matches(&entry.name)) == names.contains(&entry.name)
        })
    };
    let named = || names.iter().filter_map(|name| Pattern::parse(name.as_str()).ok()).collect();
    let alone = meant.len() == 1 && meant.iter().any(|entry| entry.legacy == grant);
    let proved = candidates.into_iter().find_map(|candidate| {
        let mut patterns: Vec<Pattern> =
            candidate.iter().map(|text| Pattern::parse(text)).collect::<Result<_, _>>().ok()?;
        // A pattern that matches nothing of the catalog now would give what comes later, which nobody decided.
        patterns.retain(|pattern| catalog.iter().any(|entry| pattern.matches(&entry.name)));
        (patterns.iter().any(|pattern| !pattern.is_literal()) && exact(&patterns)).then_some(patterns)
    });
    let (how, mut patterns) = match proved {
        _ if alone => (How::Same, named()),
        Some(patterns) => (How::Pattern, patterns),
        None => (How::Named, named()),
    };
    patterns.sort_unstable();
    patterns.dedup();
    let meant = meant.into_iter().map(|entry| entry.legacy.clone()).collect();
    Some(Rewritten { grant: grant.to_owned(), meant, patterns, how })
}

/// Why a grant is not taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The grant as it stands in the database.
    pub grant: String,
    /// How it was read.
    pub dialect: Dialect,
    /// Why not.
    pub kind: RefusalKind,
}

/// Why a grant is not taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// There is nothing in it, or nothing between two separators.
    EmptyPart,
    /// It holds a part of a regular expression, which `keyMatch2` hands on to one.
    Expression,
    /// No permission of the catalog is among what it covers.
    CoversNothing,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { grant, dialect, kind } = self;
        write!(f, "`{grant}`, read as {}, ", dialect.name())?;
        f.write_str(match kind {
            RefusalKind::EmptyPart => "has an empty part, which the framework refuses too",
            RefusalKind::Expression => {
                "holds characters that are a regular expression there; name what it covers instead"
            }
            RefusalKind::CoversNothing => {
                "covers nothing that the database names as a permission, so what it gives is not known"
            }
        })
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    fn catalog(names: &[(&str, &str)]) -> Vec<Entry> {
        let entry = |(legacy, name): &(&str, &str)| Entry {
            legacy: (*legacy).to_owned(),
            name: PermissionName::parse(name).unwrap(),
        };
        names.iter().map(entry).collect()
    }

    fn printers() -> Vec<Entry> {
        catalog(&[
            ("printer:query", "printer.query"),
            ("printer:print", "printer.print"),
            ("printer:manage", "printer.manage"),
            ("scanner:query", "scanner.query"),
        ])
    }

    fn becomes(dialect: Dialect, grant: &str, catalog: &[Entry]) -> (How, String) {
        let rewritten = rewrite(dialect, grant, catalog).unwrap();
        let patterns: Vec<&str> = rewritten.patterns.iter().map(Pattern::as_str).collect();
        (rewritten.how, patterns.join(" "))
    }

    #[test]
    fn a_short_one_of_shiro_becomes_a_wildcard() {
        let catalog = printers();
        for (grant, how, patterns) in [
            ("printer", How::Pattern, "printer.*"),
            ("printer:*", How::Pattern, "printer.*"),
            ("*", How::Pattern, "*"),
            ("*:query", How::Pattern, "*.query"),
            ("printer:print,query", How::Named, "printer.print printer.query"),
            ("printer:query", How::Same, "printer.query"),
            ("PRINTER:Query", How::Named, "printer.query"),
            ("printer,scanner:query", How::Named, "printer.query scanner.query"),
        ] {
            assert_eq!(becomes(Dialect::Shiro, grant, &catalog), (how, patterns.to_owned()), "{grant}");
        }
    }

    #[test]
    fn patterns_that_would_give_more_are_not_used() {
        // There `posts.*` does not give `posts`, which is called `general.posts` here; `posts` gives both.
        let posts = catalog(&[
            ("posts", "general.posts"),
            ("posts.edit", "posts.edit"),
            ("posts.view", "posts.view"),
        ]);
        assert_eq!(becomes(Dialect::Laravel, "posts.*", &posts), (How::Pattern, "posts.*".to_owned()));
        assert_eq!(
            becomes(Dialect::Laravel, "posts", &posts),
            (How::Named, "general.posts posts.edit posts.view".to_owned())
        );
        // keyMatch takes `warehouse*` for every text that begins so.
        let stock = catalog(&[
            ("warehouse.view", "warehouse.view"),
            ("warehouse_secret.read", "warehouse_secret.read"),
            ("vendors.view", "vendors.view"),
        ]);
        let (_, patterns) = becomes(Dialect::KeyMatch, "warehouse*", &stock);
        assert_eq!(patterns, "warehouse*.*");
        assert_eq!(becomes(Dialect::KeyMatch, "warehouse.*", &stock).1, "warehouse.*");
    }

    #[test]
    fn what_covers_nothing_known_is_refused() {
        let catalog = printers();
        let refused = |dialect, grant| rewrite(dialect, grant, &catalog).unwrap_err().kind;
        assert_eq!(refused(Dialect::Shiro, "plotter:*"), RefusalKind::CoversNothing);
        assert_eq!(refused(Dialect::Shiro, "printer::print"), RefusalKind::EmptyPart);
        assert_eq!(refused(Dialect::Exact, "printer:*"), RefusalKind::CoversNothing);
        assert_eq!(refused(Dialect::KeyMatch2, "/a(b)"), RefusalKind::Expression);
    }

    #[test]
    fn what_is_written_means_the_same_for_every_permission() {
        let catalog = catalog(&[
            ("a", "general.a"),
            ("a.b", "a.b"),
            ("a.c", "a.c"),
            ("a.b.c", "a.b.c"),
            ("b.a", "b.a"),
            ("b.c.a", "b.c.a"),
            ("ab.c", "ab.c"),
        ]);
        let parts = ["a", "b", "*", "a,b", "c", "ab"];
        let mut grants: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
        for first in parts {
            for second in parts {
                grants.push(format!("{first}.{second}"));
                grants.extend(parts.iter().map(|third| format!("{first}.{second}.{third}")));
            }
        }
        let mut compared = 0;
        for dialect in [Dialect::Laravel, Dialect::KeyMatch, Dialect::Exact] {
            for grant in &grants {
                let foreign = dialect.read(grant).unwrap();
                let Ok(rewritten) = rewrite(dialect, grant, &catalog) else {
                    assert!(!catalog.iter().any(|entry| foreign.implies(&entry.legacy)), "{grant}");
                    continue;
                };
                for entry in &catalog {
                    let here = rewritten.patterns.iter().any(|pattern| pattern.matches(&entry.name));
                    assert_eq!(here, foreign.implies(&entry.legacy), "{dialect:?} {grant} {}", entry.legacy);
                    compared += 1;
                }
            }
        }
        assert!(compared > 900, "{compared}");
    }
}
