//! Permissions of parts and subparts: Shiro's, and laravel-permission's, which were taken from them and differ.

use std::collections::BTreeSet;

use super::RefusalKind;

/// Shiro's `WildcardPermission`: the subparts of each part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts(Vec<BTreeSet<String>>);

impl Parts {
    /// Reads one as Shiro does: trimmed, in lower case.
    ///
    /// # Errors
    ///
    /// When it, a part or a subpart is empty.
    pub fn parse(text: &str) -> Result<Self, RefusalKind> {
        split(&text.trim().to_lowercase(), ':', str::trim).map(Self)
    }

    /// Whether who holds this one may do what `asked` names. A part that is missing here means everything; one that is
    /// missing there must be a star here.
    #[must_use]
    pub fn implies(&self, asked: &str) -> bool {
        let Ok(Self(asked)) = Self::parse(asked) else { return false };
        let given =
            self.0.iter().zip(&asked).all(|(held, asked)| held.contains("*") || asked.is_subset(held));
        given && self.0.iter().skip(asked.len()).all(|held| held.contains("*"))
    }

    pub(super) fn candidates(&self) -> Vec<Vec<String>> {
        candidates(&self.0)
    }
}

/// A permission of laravel-permission, as its index since version 6 holds it: the subparts of each part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trie(Vec<BTreeSet<String>>);

impl Trie {
    /// Reads one as laravel-permission does: as it is.
    ///
    /// # Errors
    ///
    /// When it, a part or a subpart is blank.
    pub fn parse(text: &str) -> Result<Self, RefusalKind> {
        split(text, '.', |part| part).map(Self)
    }

    /// Whether who holds this one may do what `asked` names. Where this one ends, everything below is given; where
    /// `asked` ends first, nothing is, not even by a star. The parts of `asked` are taken as they are, commas and all.
    #[must_use]
    pub fn implies(&self, asked: &str) -> bool {
        let asked: Vec<&str> = asked.split('.').collect();
        self.0.len() <= asked.len()
            && self.0.iter().zip(asked).all(|(held, asked)| held.contains("*") || held.contains(asked))
    }

    pub(super) fn candidates(&self) -> Vec<Vec<String>> {
        candidates(&self.0)
    }
}

fn split(text: &str, by: char, trim: fn(&str) -> &str) -> Result<Vec<BTreeSet<String>>, RefusalKind> {
    let subparts = |part: &str| -> Result<BTreeSet<String>, RefusalKind> {
        part.split(',')
            .map(|subpart| match trim(subpart) {
                blank if blank.trim().is_empty() => Err(RefusalKind::EmptyPart),
                subpart => Ok(subpart.to_owned()),
            })
            .collect()
    };
    text.split(by).map(subparts).collect()
}

/// The most patterns that one grant may unfold into.
const MAX_UNFOLDED: usize = 256;

/// Every choice of subparts, joined by dots: as they are, with all that is below, and both.
fn candidates(parts: &[BTreeSet<String>]) -> Vec<Vec<String>> {
    let mut plain = vec![String::new()];
    for part in parts {
        // A star among the subparts makes the others nothing more.
        let star = BTreeSet::from(["*".to_owned()]);
        let part = if part.contains("*") { &star } else { part };
        if plain.len().saturating_mul(part.len()) > MAX_UNFOLDED {
            return Vec::new();
        }
        plain = plain
            .iter()
            .flat_map(|begun| {
                part.iter().map(move |subpart| {
                    let dot = if begun.is_empty() { "" } else { "." };
                    format!("{begun}{dot}{}", subpart.to_lowercase())
                })
            })
            .collect();
    }
    let below: Vec<String> = plain.iter().map(|text| format!("{text}.*")).collect();
    let both = plain.iter().chain(&below).cloned().collect();
    // In last place `*` matches one segment or more, so a run of stars at the end says no more than one.
    let shortened = plain.iter().map(|text| shortened(text)).collect();
    vec![shortened, plain, below, both]
}

fn shortened(text: &str) -> String {
    let mut text = text;
    while let Some(shorter) = text.strip_suffix(".*").filter(|shorter| shorter.ends_with('*')) {
        text = shorter;
    }
    text.to_owned()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    /// The examples of Shiro's documentation and of its own test of `WildcardPermission`.
    #[test]
    fn shiro_means_what_its_documentation_says() {
        for (held, asked, implied) in [
            ("printer:print,query", "printer:print", true),
            ("printer:print,query", "printer:query", true),
            ("printer:print,query", "printer:manage", false),
            ("printer:*", "printer:manage", true),
            ("*:view", "printer:view", true),
            ("*:view", "printer:print", false),
            ("printer:query:lp7200", "printer:query:lp7200", true),
            ("printer:query:lp7200", "printer:query:epsoncolor", false),
            ("printer:*:lp7200", "printer:print:lp7200", true),
            ("printer:query,print:lp7200", "printer:print:lp7200", true),
            // Missing parts give everything below.
            ("printer:print", "printer:print:lp7200", true),
            ("printer", "printer:print:lp7200", true),
            ("printer:print:lp7200", "printer:print", false),
            ("printer:*", "printer", true),
            ("printer:*:*", "printer", true),
            ("printer:*:lp7200", "printer", false),
            // Upper and lower case, blanks.
            ("Printer:Print", "printer:print", true),
            (" printer : print ", "printer:print", true),
            // Of what is asked for, every subpart must be held.
            ("one,two", "two,one", true),
            ("one,two,three:four,five,six", "one:two", false),
            ("one,two,three:one,two,three,four", "one:two", true),
            ("*:*:*", "one:two:three:four", true),
            ("newsletter:*:*:123:*", "newsletter:123:list:123", true),
            ("newsletter:*:*:123:*", "newsletter:123:list:456", false),
        ] {
            assert_eq!(Parts::parse(held).unwrap().implies(asked), implied, "{held} {asked}");
        }
        for empty in ["", ":", "a::b", ",", "a:,", " "] {
            assert_eq!(Parts::parse(empty), Err(RefusalKind::EmptyPart), "{empty:?}");
        }
    }

    /// The examples of laravel-permission's documentation, and where its index differs from them.
    #[test]
    fn laravel_means_what_its_index_says() {
        for (held, asked, implied) in [
            ("posts.*", "posts.create", true),
            ("posts.*", "posts.edit", true),
            ("posts", "posts.delete", true),
            ("posts.*", "posts.create.1", true),
            ("posts,users.create,update,view", "users.view", true),
            ("posts,users.create,update,view", "users.delete", false),
            ("*.create,update,view", "anything.update", true),
            ("posts.*.1,4,6", "posts.edit.4", true),
            ("posts.*.1,4,6", "posts.edit.5", false),
            ("posts.create.1", "posts.create", false),
            // The documentation calls `posts.*` and `posts` the same; the index does not.
            ("posts.*", "posts", false),
            ("posts", "posts", true),
            // `*` in a question means all, and only a star gives it.
            ("posts.*", "posts.*", true),
            ("posts.create", "posts.*", false),
            ("Posts.view", "posts.view", false),
        ] {
            assert_eq!(Trie::parse(held).unwrap().implies(asked), implied, "{held} {asked}");
        }
        for empty in ["", ".", "a..b", "a.,b"] {
            assert_eq!(Trie::parse(empty), Err(RefusalKind::EmptyPart), "{empty:?}");
        }
    }

    #[test]
    fn a_grant_does_not_unfold_without_end() {
        let part = (0..20).map(|number| format!("s{number}")).collect::<Vec<_>>().join(",");
        assert!(Trie::parse(&format!("{part}.{part}.{part}")).unwrap().candidates().is_empty());
    }
}
