//! What of a secret must stand nowhere, and the search for it.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// How much of a secret is looked for, in bytes of the secret.
pub const FRAGMENT: usize = 6;

/// The beginning of a secret as it is, and in the forms in which bytes are printed.
///
/// # Panics
///
/// When the secret is shorter than what is looked for.
pub fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let start = secret.get(..FRAGMENT).expect("a secret of six bytes or more");
    let hexadecimal: String = start.iter().map(|byte| format!("{byte:02x}")).collect();
    let decimal = start.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    vec![
        start.to_vec(),
        hexadecimal.to_uppercase().into_bytes(),
        hexadecimal.into_bytes(),
        decimal.into_bytes(),
        // All but the last character, which depends on what follows.
        URL_SAFE_NO_PAD.encode(start).into_bytes(),
        STANDARD.encode(start).into_bytes(),
    ]
}

/// Looks for many secrets in one pass over a text.
#[derive(Debug, Default)]
pub struct Search {
    /// Each form, by its first bytes.
    forms: HashMap<[u8; FRAGMENT], Vec<Vec<u8>>>,
}

impl Search {
    /// A search for these.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut search = Self::default();
        for form in secrets.into_iter().flat_map(forms) {
            if let Some(start) = form.first_chunk::<FRAGMENT>() {
                search.forms.entry(*start).or_default().push(form);
            }
        }
        search
    }

    /// Where the first of them stands in the text, and how many bytes of it.
    pub fn find(&self, text: &[u8]) -> Option<(usize, usize)> {
        text.windows(FRAGMENT).enumerate().find_map(|(at, window)| {
            let found = self.forms.get(window)?;
            let rest = text.get(at..)?;
            found.iter().find(|form| rest.starts_with(form)).map(|form| (at, form.len()))
        })
    }
}

/// The secrets that the text of a `.env` file holds, in the variables of the source document.
pub fn held(env: &str) -> Vec<String> {
    let values = env.lines().filter_map(|line| {
        let (name, value) = line.trim_start_matches("export ").split_once('=')?;
        ["SECRET_KEY", "SECRET_KEYS_HISTORY"].contains(&name).then(|| value.trim_matches(['"', '\'']))
    });
    let parts = values.flat_map(|value| value.split(','));
    parts.filter(|part| part.len() >= 32).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "Xq7vT2mRz9Lw4KcB8nYp1HsJ6dFgA3eUoIiQ-_WtZxV";

    #[test]
    fn finds_what_it_looks_for() {
        let search = Search::new([SECRET.as_bytes(), b"another, which is not there"]);
        for form in forms(SECRET.as_bytes()) {
            let text = [b"x ", form.as_slice(), b" y"].concat();
            assert_eq!(search.find(&text), Some((2, form.len())));
            assert_eq!(search.find(&text[3..]), None);
        }
        assert!(search.find(format!("{:?}", SECRET.as_bytes()).as_bytes()).is_some());
    }

    #[test]
    fn reads_what_a_file_holds() {
        let env =
            format!("export SECRET_KEY='{SECRET}'\nOTHER={SECRET}\nSECRET_KEYS_HISTORY=short,{SECRET}\n");
        assert_eq!(held(&env), [SECRET, SECRET]);
    }
}
