//! Texts as TOML writes them.

/// The text as a basic string, quotes and all.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len().saturating_add(2));
    quoted.push('"');
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            letter if letter.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(letter))),
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

/// The texts as a list on one line.
pub(crate) fn quoted_list<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> String {
    let texts: Vec<String> = texts.into_iter().map(|text| quoted(text.as_ref())).collect();
    format!("[{}]", texts.join(", "))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for text in ["", "a", "\"\\\n\t\r\u{0}\u{7f}\u{85}\u{1b}", "Zoë's \\u0041", "'''\"\"\""] {
            let line = format!("a = {}\nb = {}", quoted(text), quoted_list([text, "x"]));
            let table: toml::Table = toml::from_str(&line).unwrap();
            assert_eq!(table.get("a").unwrap().as_str().unwrap(), text);
            assert_eq!(table.get("b").unwrap().as_array().unwrap().first().unwrap().as_str().unwrap(), text);
        }
    }
}
