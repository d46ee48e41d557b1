//! Runs the demo's commands as processes of their own.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use tokio::process::Command;

use super::{Scene, files};
use crate::error::HostError;

/// What the settings file of the demo says.
const SETTINGS: &str = "policy = \"policy.toml\"\nendpoints = \"endpoints.toml\"\n";

/// The directory that the commands run in, and the database they work on.
#[derive(Debug)]
pub struct Stage {
    program: PathBuf,
    directory: PathBuf,
    url: String,
    coloured: bool,
}

/// What one command printed and how it ended.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Performed {
    /// The command, as it would be typed.
    pub command: String,
    /// What it proves.
    pub proves: &'static str,
    /// Its status.
    pub status: i32,
    /// How long it took, from its start to its end, in milliseconds.
    pub milliseconds: u128,
    /// What it printed, on both outputs.
    #[serde(skip)]
    pub printed: String,
}

impl Stage {
    /// Writes the example's policy, endpoint rules and settings into `directory`.
    ///
    /// # Errors
    ///
    /// When a file cannot be written, or this program cannot be found again.
    pub fn set(directory: &Path, url: String, coloured: bool) -> Result<Self, HostError> {
        for (name, text) in
            [("policy.toml", files::POLICY), ("endpoints.toml", files::ENDPOINTS), ("pbac.toml", SETTINGS)]
        {
            let path = directory.join(name);
            std::fs::write(&path, text).map_err(|error| HostError::file("write", &path, &error))?;
        }
        let program = std::env::current_exe()
            .map_err(|error| HostError::failed(format_args!("cannot find this program: {error}")))?;
        Ok(Self { program, directory: directory.to_path_buf(), url, coloured })
    }

    /// Runs one step.
    ///
    /// # Errors
    ///
    /// When the command cannot be run, or ends otherwise than it must; then with what it printed.
    pub async fn perform(&self, scene: &Scene) -> Result<Performed, HostError> {
        tokio::time::sleep(scene.pause).await;
        let mut command = Command::new(&self.program);
        command.args(&scene.command).arg("--no-input").current_dir(&self.directory);
        // Settings of the person who runs the demo must not lead it to another database.
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"PBAC_") || name.as_encoded_bytes().starts_with(b"PG") {
                command.env_remove(name);
            }
        }
        command.env("DATABASE_URL", &self.url).stdin(Stdio::null()).kill_on_drop(true);
        if self.coloured {
            command.env("CLICOLOR_FORCE", "1");
        }
        let began = Instant::now();
        let output = command
            .output()
            .await
            .map_err(|error| HostError::failed(format_args!("cannot run `{}`: {error}", typed(scene))))?;
        let milliseconds = began.elapsed().as_millis();
        let printed = [output.stderr, output.stdout].concat();
        let printed = String::from_utf8_lossy(&printed).into_owned();
        let status = output.status.code().unwrap_or(-1);
        if status != i32::from(scene.ends.code()) {
            return Err(HostError::failed(format_args!(
                "`{}` ended with status {status}, not {}; it printed:\n{printed}",
                typed(scene),
                scene.ends.code()
            )));
        }
        Ok(Performed { command: typed(scene), proves: scene.proves, status, milliseconds, printed })
    }
}

/// The command as a person would type it.
fn typed(scene: &Scene) -> String {
    let words = scene.command.iter().map(|word| {
        let plain = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.+/".contains(&byte));
        if plain { word.clone() } else { format!("'{word}'") }
    });
    core::iter::once(String::from("pbac")).chain(words).collect::<Vec<_>>().join(" ")
}
