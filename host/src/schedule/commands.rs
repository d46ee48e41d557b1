//! What a command of the settings runs, as far as its text says: no shell is asked.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::config::CommandLine;

/// Words of a shell that are no programs, or after which the program stands somewhere else.
const NOT_PROGRAMS: [&str; 33] = [
    ".", ":", "!", "[", "{", "alias", "case", "cd", "command", "do", "done", "echo", "elif", "else", "env",
    "eval", "exec", "exit", "export", "fi", "for", "if", "nohup", "read", "set", "shift", "test", "then",
    "trap", "true", "until", "wait", "while",
];
/// Programs that need the rights of another user, or a file with the set-user-id bit.
const RAISES_RIGHTS: [&str; 7] = ["sudo", "doas", "su", "pkexec", "podman", "podman-compose", "newuidmap"];

/// A word of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Word {
    text: String,
    /// Whether the text is what the program gets: nothing in it is for the shell to replace.
    literal: bool,
}

/// A command, split into those that it is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parsed(Vec<Vec<Word>>);

/// A restart that leaves the old environment, and with it the old key, in the containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeepsEnvironment {
    /// `docker compose restart`.
    Compose,
    /// `docker restart`.
    Container,
}

impl Parsed {
    pub(super) fn new(line: &CommandLine) -> Self {
        match line {
            CommandLine::Arguments(arguments) => {
                let word = |text: &String| Word { text: text.clone(), literal: true };
                Self(vec![arguments.iter().map(word).collect()])
            }
            CommandLine::Shell(line) => Self(split(line)),
        }
    }

    /// The first program that is run, where that can be told.
    pub(super) fn program(&self) -> Option<&str> {
        let first = self.0.first()?.iter().find(|word| !is_assignment(&word.text))?;
        let is_program = first.literal && !NOT_PROGRAMS.contains(&first.text.as_str());
        is_program.then_some(first.text.as_str())
    }

    /// Whether it restarts containers without making them anew.
    pub(super) fn keeps_environment(&self) -> Option<KeepsEnvironment> {
        self.0.iter().find_map(|words| {
            let mut rest = words.iter().map(|word| name(&word.text));
            let tool = rest.find(|name| is_compose(name) || is_container_tool(name))?;
            if is_compose(tool) {
                return rest.any(|name| name == "restart").then_some(KeepsEnvironment::Compose);
            }
            let mut verbs = rest.filter(|name| !name.starts_with('-') && *name != "container");
            match verbs.next()? {
                "restart" => Some(KeepsEnvironment::Container),
                "compose" => verbs.any(|name| name == "restart").then_some(KeepsEnvironment::Compose),
                _ => None,
            }
        })
    }

    /// The program behind `docker compose`, where the command calls that and not `docker-compose`.
    pub(super) fn compose_plugin_of(&self) -> Option<&str> {
        self.0.iter().find_map(|words| {
            let at = words.iter().position(|word| is_container_tool(name(&word.text)))?;
            let mut rest = words.iter().skip(at.saturating_add(1));
            rest.any(|word| word.text == "compose").then(|| words.get(at).map(|word| word.text.as_str()))?
        })
    }

    /// Whether it runs something that the bit `NoNewPrivileges` would break.
    pub(super) fn raises_rights(&self) -> bool {
        self.0.iter().flatten().any(|word| RAISES_RIGHTS.contains(&name(&word.text)))
    }
}

/// The program that a name stands for: a path counts from `directory`, anything else is looked for on `path`.
pub(super) fn find_program(name: &str, path: &str, directory: &Path) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(directory.join(name)).filter(|path| is_executable(path));
    }
    let mut candidates =
        path.split(':').filter(|part| !part.is_empty()).map(|part| Path::new(part).join(name));
    candidates.find(|path| is_executable(path))
}

/// Whether it is a file that somebody may run.
pub(super) fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// The last part of a path.
fn name(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or_default()
}

fn is_compose(name: &str) -> bool {
    matches!(name, "docker-compose" | "podman-compose")
}

fn is_container_tool(name: &str) -> bool {
    matches!(name, "docker" | "podman")
}

fn is_assignment(word: &str) -> bool {
    let Some((name, _)) = word.split_once('=') else { return false };
    name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_')
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

/// The commands of a line for the shell, by its rules for quotes and separators.
fn split(line: &str) -> Vec<Vec<Word>> {
    let (mut commands, mut words) = (Vec::new(), Vec::new());
    let mut word: Option<Word> = None;
    let mut quote: Option<char> = None;
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        let open = |word: &mut Option<Word>| {
            word.get_or_insert_with(|| Word { text: String::new(), literal: true }).clone()
        };
        match (quote, letter) {
            (Some(quoted), _) if letter == quoted => quote = None,
            (None, '\'' | '"') => {
                word = Some(open(&mut word));
                quote = Some(letter);
            }
            (None | Some('"'), '\\') => {
                let mut current = open(&mut word);
                current.text.extend(letters.next());
                word = Some(current);
            }
            (None, '#') if word.is_none() => while letters.next_if(|letter| *letter != '\n').is_some() {},
            (None, ' ' | '\t' | '<' | '>') => words.extend(word.take()),
            (None, ';' | '&' | '|' | '\n' | '(' | ')') => {
                words.extend(word.take());
                commands.push(std::mem::take(&mut words));
            }
            _ => {
                let mut current = open(&mut word);
                current.literal &= quote == Some('\'') || !matches!(letter, '$' | '`' | '*' | '?' | '~');
                current.text.push(letter);
                word = Some(current);
            }
        }
    }
    words.extend(word);
    commands.push(words);
    commands.retain(|words| !words.is_empty());
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(line: &str) -> Parsed {
        Parsed::new(&CommandLine::Shell(line.to_owned()))
    }

    fn arguments(words: &[&str]) -> Parsed {
        Parsed::new(&CommandLine::Arguments(words.iter().map(|word| (*word).to_owned()).collect()))
    }

    #[test]
    fn the_first_program() {
        assert_eq!(shell("systemctl restart erp && true").program(), Some("systemctl"));
        assert_eq!(shell("A=1 B='x y' /opt/re\\ start 'a b'").program(), Some("/opt/re start"));
        assert_eq!(shell("'/opt/re start' # as they say").program(), Some("/opt/re start"));
        for unknown in ["cd /srv && x", "$HOME/x", "", "# nothing", "if true; then x; fi", "\"$X\" y"] {
            assert_eq!(shell(unknown).program(), None, "{unknown}");
        }
        assert_eq!(shell("'$HOME/x'").program(), Some("$HOME/x"));
        assert_eq!(arguments(&["cd", "/"]).program(), None);
        assert_eq!(arguments(&["/bin/x y", "restart"]).program(), Some("/bin/x y"));
    }

    #[test]
    fn a_restart_of_containers_keeps_their_environment() {
        use KeepsEnvironment::{Compose, Container};
        for (line, keeps) in [
            ("docker compose restart", Some(Compose)),
            ("cd /srv/erp && docker-compose restart backend", Some(Compose)),
            ("sudo /usr/bin/docker compose -f a.yml --profile x restart backend", Some(Compose)),
            ("docker restart backend", Some(Container)),
            ("docker container restart backend", Some(Container)),
            ("docker compose up -d", None),
            ("docker compose up -d restart", Some(Compose)),
            ("docker compose up -d; systemctl restart nginx", None),
            ("systemctl restart docker", None),
            ("echo 'docker compose restart'", None),
        ] {
            assert_eq!(shell(line).keeps_environment(), keeps, "{line}");
        }
        assert_eq!(arguments(&["docker", "compose", "restart"]).keeps_environment(), Some(Compose));
    }

    #[test]
    fn who_needs_more_rights() {
        assert!(shell("sudo systemctl restart erp").raises_rights());
        assert!(shell("cd x; /usr/bin/podman ps").raises_rights());
        assert!(!shell("systemctl restart sudo-server").raises_rights());
    }

    #[test]
    fn compose_comes_as_a_plugin() {
        assert_eq!(
            shell("cd /x && /usr/bin/docker compose up -d").compose_plugin_of(),
            Some("/usr/bin/docker")
        );
        assert_eq!(shell("docker-compose up -d").compose_plugin_of(), None);
        assert_eq!(shell("docker restart x").compose_plugin_of(), None);
    }
}
