//! Questions before what cannot be taken back.

use std::io::{BufRead, IsTerminal, Write};

use super::{Output, printable, style};
use crate::error::HostError;

/// What a person must type to agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity<'a> {
    /// `y`: it can be undone.
    Moderate,
    /// The name of what is hit: it cannot be undone.
    Severe {
        /// The name to type, such as that of the database.
        name: &'a str,
    },
}

impl Output {
    /// Asks whether to go on with what `about` says, for example "drop the tables of schema `pbac`". Passes under
    /// `--yes`.
    ///
    /// # Errors
    ///
    /// Refuses when the person does not agree, when nobody is there to ask, and under `--no-input` without `--yes`.
    pub async fn confirm(&self, about: &str, severity: Severity<'_>) -> Result<(), HostError> {
        if self.yes {
            return Ok(());
        }
        if self.no_input || self.json || !std::io::stdin().is_terminal() {
            return Err(HostError::refused(format_args!("nobody confirmed this: {about}"))
                .help("add --yes if it is what you want, or run it at a terminal"));
        }
        let (ask, wanted) = match severity {
            Severity::Moderate => ("Go on? [y/N] ".to_owned(), None),
            Severity::Severe { name } => {
                (format!("Type `{}` to go on: ", printable(name)), Some(name.to_owned()))
            }
        };
        let _ = write!(anstream::stderr().lock(), "{} {about}\n{ask}", style::caution("This will"));
        // On a thread of its own, which nothing waits for: an interrupt ends the process while it still reads.
        let (sender, answer) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            let read = std::io::stdin().lock().read_line(&mut line).map(|_| line);
            // Nobody listens any more after an interrupt.
            let _ = sender.send(read);
        });
        let answer = answer.await;
        let agreed = match (answer, wanted) {
            (Ok(Ok(line)), None) => matches!(line.trim(), "y" | "Y" | "yes"),
            (Ok(Ok(line)), Some(name)) => line.trim_end_matches(['\r', '\n']) == name,
            _ => false,
        };
        if agreed {
            Ok(())
        } else {
            Err(HostError::refused(format_args!("not confirmed: {about}")).help("nothing was changed"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Global;
    use crate::exit::Exit;

    async fn ask(flags: Global) -> Result<(), HostError> {
        Output::new(&flags).confirm("drop everything", Severity::Severe { name: "erp" }).await
    }

    #[tokio::test]
    async fn yes_agrees_and_silence_does_not() {
        let yes = Global { yes: true, no_input: true, ..Global::default() };
        assert!(ask(yes).await.is_ok());
        let silent = Global { no_input: true, ..Global::default() };
        assert_eq!(ask(silent).await.map_err(|e| e.exit()), Err(Exit::Refused));
    }
}
