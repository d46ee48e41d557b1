//! Casbin's `keyMatch` and `keyMatch2`, over bytes that are never cut inside a letter.

use super::RefusalKind;

/// What an object of a Casbin rule matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyMatch {
    tokens: Vec<Token>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    /// This letter.
    Letter(char),
    /// This letter, any number of times: `keyMatch2` hands `foo*` on to a regular expression.
    Repeated(char),
    /// One letter or more that is not a slash.
    Segment,
    /// Anything, or nothing.
    Rest,
    /// Anything, or nothing, but for line breaks, at which `.` of a regular expression ends.
    Line,
}

impl KeyMatch {
    /// As `keyMatch` reads it: what follows the first `*` counts for nothing.
    #[must_use]
    pub fn first(key: &str) -> Self {
        let letters = key.chars().take_while(|letter| *letter != '*').map(Token::Letter);
        let rest = key.contains('*').then_some(Token::Rest);
        Self { tokens: letters.chain(rest).collect() }
    }

    /// As `keyMatch2` reads it: `/*` is the rest, `:name` a segment, and `x*` any number of `x`.
    ///
    /// # Errors
    ///
    /// When it holds another character that means something in a regular expression.
    pub fn second(key: &str) -> Result<Self, RefusalKind> {
        let mut tokens = Vec::new();
        let mut letters = key.chars().peekable();
        while let Some(letter) = letters.next() {
            match letter {
                '/' if letters.peek() == Some(&'*') => {
                    letters.next();
                    tokens.extend([Token::Letter('/'), Token::Line]);
                }
                ':' if letters.peek().is_some_and(|next| *next != '/') => {
                    while letters.next_if(|next| *next != '/').is_some() {}
                    tokens.push(Token::Segment);
                }
                '*' => match tokens.pop() {
                    Some(Token::Letter(before)) => tokens.push(Token::Repeated(before)),
                    _ => return Err(RefusalKind::Expression),
                },
                '.' | '+' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '|' | '^' | '$' | '\\' => {
                    return Err(RefusalKind::Expression);
                }
                letter => tokens.push(Token::Letter(letter)),
            }
        }
        Ok(Self { tokens })
    }

    /// Whether it matches all of `key`.
    #[must_use]
    pub fn matches(&self, key: &str) -> bool {
        // The places in the tokens that can be reached after each letter. A place may be passed over where nothing is
        // enough for its token.
        let mut reached = vec![false; self.tokens.len().saturating_add(1)];
        if let Some(first) = reached.first_mut() {
            *first = true;
        }
        self.pass(&mut reached);
        for letter in key.chars() {
            let mut next = vec![false; reached.len()];
            for (place, token) in self.tokens.iter().enumerate() {
                if reached.get(place) != Some(&true) {
                    continue;
                }
                let (stays, goes_on) = match token {
                    Token::Letter(wanted) => (false, *wanted == letter),
                    Token::Repeated(wanted) => (*wanted == letter, false),
                    Token::Segment => (letter != '/', letter != '/'),
                    Token::Rest => (true, false),
                    Token::Line => (letter != '\n', false),
                };
                for (place, set) in [(place, stays), (place.saturating_add(1), goes_on)] {
                    if let Some(place) = next.get_mut(place) {
                        *place |= set;
                    }
                }
            }
            self.pass(&mut next);
            reached = next;
        }
        reached.last() == Some(&true)
    }

    /// Marks what is reached without a letter.
    fn pass(&self, reached: &mut [bool]) {
        for (place, token) in self.tokens.iter().enumerate() {
            let optional = matches!(token, Token::Repeated(_) | Token::Rest | Token::Line);
            if optional
                && reached.get(place) == Some(&true)
                && let Some(next) = reached.get_mut(place.saturating_add(1))
            {
                *next = true;
            }
        }
    }

    /// The object as patterns: slashes and dots are the same separator, since the names were made so.
    pub(super) fn candidates(&self) -> Vec<Vec<String>> {
        let mut text = String::new();
        let mut open = false;
        for token in &self.tokens {
            match token {
                Token::Letter('/' | '.' | ':') => text.push('.'),
                Token::Letter(letter) => text.extend(letter.to_lowercase()),
                Token::Segment => text.push('*'),
                Token::Rest | Token::Line => {
                    text.push('*');
                    open = true;
                }
                Token::Repeated(_) => return Vec::new(),
            }
        }
        let text = text.trim_start_matches('.');
        if !open {
            return vec![vec![text.to_owned()]];
        }
        // `*` in last place is one segment or more; one that only ends a segment, such as `ware*`, is that segment only.
        vec![vec![text.to_owned()], vec![format!("{text}.*")], vec![text.to_owned(), format!("{text}.*")]]
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    /// The cases of Casbin's own tests of `KeyMatch`.
    #[test]
    fn key_match_ignores_what_follows_the_star() {
        for (asked, held, matched) in [
            ("/foo", "/foo", true),
            ("/foo", "/foo*", true),
            ("/foo", "/foo/*", false),
            ("/foo/bar", "/foo", false),
            ("/foo/bar", "/foo*", true),
            ("/foo/bar", "/foo/*", true),
            ("/foobar", "/foo", false),
            ("/foobar", "/foo*", true),
            ("/foobar", "/foo/*", false),
            ("/foo/bar/admin", "/foo/*/view", true),
            ("warehouse_secret.read", "warehouse*", true),
            ("/zoë/x", "/zoë/*", true),
        ] {
            assert_eq!(KeyMatch::first(held).matches(asked), matched, "{asked} {held}");
        }
    }

    /// The cases of Casbin's own tests of `KeyMatch2`.
    #[test]
    fn key_match_2_is_a_regular_expression() {
        for (asked, held, matched) in [
            ("/foo", "/foo", true),
            ("/foo", "/foo*", true),
            ("/foo", "/foo/*", false),
            ("/foo/bar", "/foo", false),
            ("/foo/bar", "/foo*", false),
            ("/foo/bar", "/foo/*", true),
            ("/foobar", "/foo", false),
            ("/foobar", "/foo*", false),
            ("/foobar", "/foo/*", false),
            ("/", "/:resource", false),
            ("/resource1", "/:resource", true),
            ("/myid", "/:id/using/:resId", false),
            ("/myid/using/myresid", "/:id/using/:resId", true),
            ("/proxy/myid", "/proxy/:id/*", false),
            ("/proxy/myid/", "/proxy/:id/*", true),
            ("/proxy/myid/res", "/proxy/:id/*", true),
            ("/proxy/myid/res/res2", "/proxy/:id/*", true),
            ("/proxy/myid/res/res2/res3", "/proxy/:id/*", true),
            ("/proxy/", "/proxy/:id/*", false),
            ("/alice", "/:id", true),
            ("/alice/all", "/:id/all", true),
            ("/alice", "/:id/all", false),
            ("/alice/all", "/:id", false),
            ("/alice/all", "/:/all", false),
        ] {
            let held = KeyMatch::second(held).unwrap();
            assert_eq!(held.matches(asked), matched, "{asked} {held:?}");
        }
        for expression in ["/file.txt", "*", "/(a|b)", "/a+", "/a[b]"] {
            assert_eq!(KeyMatch::second(expression), Err(RefusalKind::Expression), "{expression}");
        }
    }

    #[test]
    fn a_long_key_costs_no_more_than_its_length() {
        let held = KeyMatch::second(&"/a*".repeat(200)).unwrap();
        assert!(!held.matches(&format!("{}b", "/a".repeat(5_000))));
    }
}
