//! The words in which cases and oracle speak of keys: `retired A since 90d until 360d`.

use std::fmt;

/// One thing said of a key: where it stands, what happened to it, or why something is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// What is said.
    pub word: String,
    /// Of which key.
    pub id: Option<String>,
    /// What the key is for, where it is not HS256.
    pub algorithm: Option<String>,
    /// Since when, in microseconds since 1970.
    pub since: Option<i64>,
    /// Until when, likewise.
    pub until: Option<i64>,
}

impl Line {
    /// A word of no key.
    pub fn word(word: &str) -> Self {
        Self { word: word.to_owned(), id: None, algorithm: None, since: None, until: None }
    }

    /// A word of a key.
    pub fn of(word: &str, id: &str) -> Self {
        Self { id: Some(id.to_owned()), ..Self::word(word) }
    }

    /// The same, since then.
    pub fn since(self, since: Option<i64>) -> Self {
        Self { since, ..self }
    }

    /// The same, until then.
    pub fn until(self, until: Option<i64>) -> Self {
        Self { until, ..self }
    }

    /// Reads `word id algorithm since TIME until TIME`; all but the first may be left out.
    ///
    /// # Panics
    /// When it is not of that form.
    pub fn parse(text: &str) -> Self {
        let mut words = text.split(' ');
        let mut line = Self::word(words.next().unwrap_or_default());
        while let Some(word) = words.next() {
            match word {
                "since" => line.since = words.next().map(time),
                "until" => line.until = words.next().map(time),
                "EdDSA" | "ES256" => line.algorithm = Some(word.to_owned()),
                id if line.id.is_none() => line.id = Some(id.to_owned()),
                other => panic!("`{text}`: `{other}` has no place"),
            }
        }
        line
    }
}

/// As [`Line::parse`] reads it.
impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.word)?;
        for word in [&self.id, &self.algorithm].into_iter().flatten() {
            write!(f, " {word}")?;
        }
        for (word, time) in [("since", self.since), ("until", self.until)] {
            if let Some(time) = time {
                write!(f, " {word} {}", time_text(time))?;
            }
        }
        Ok(())
    }
}

/// The units of a time and how many microseconds each is, the longest first.
const UNITS: [(&str, i64); 5] =
    [("d", 86_400_000_000), ("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("us", 1)];

/// Reads a time or a span, a sum of whole units: `90d`, `1d12h`, `270d-1us`, `-1d`.
///
/// # Panics
/// When it is not of that form.
pub fn time(text: &str) -> i64 {
    let mut rest = text;
    let mut sum = 0;
    while !rest.is_empty() {
        let sign = if rest.starts_with('-') { -1 } else { 1 };
        rest = rest.trim_start_matches(['-', '+']);
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let (_, micros) =
            UNITS.iter().find(|(name, _)| *name == unit).unwrap_or_else(|| panic!("`{text}` is no time"));
        let number: i64 = number.parse().unwrap_or_else(|_| panic!("`{text}` is no time"));
        sum += sign * number * micros;
        rest = after;
    }
    sum
}

/// A time as [`time`] reads it.
pub fn time_text(micros: i64) -> String {
    let mut rest = micros.abs();
    let mut text = String::new();
    for (unit, size) in UNITS {
        if rest >= size || (micros == 0 && unit == "d") {
            if micros < 0 {
                text.push('-');
            }
            text += &format!("{}{unit}", rest / size);
            rest %= size;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for text in ["0d", "90d", "1d12h", "-1d", "269d23h59m59s999999us", "-1d-1us"] {
            assert_eq!(time_text(time(text)), text);
        }
        assert_eq!(time("270d-1us"), time("269d23h59m59s999999us"));
        for text in ["must_stage", "active A", "retired B EdDSA since 1d until 2d", "gone A"] {
            assert_eq!(Line::parse(text).to_string(), text);
        }
    }
}
