//! What has to hold before a schedule is installed: whatever runs at night has to be there by then.

use std::path::Path;
use std::time::Duration;

use tokio::process::Command;

use super::commands::{KeepsEnvironment, Parsed, find_program, is_executable};
use super::finding::{Finding, FindingCode};
use super::job::{JOB_PATH, Job, parent};
use super::metrics::{Metrics, MetricsError};
use crate::config::{Check, Environment};
use crate::subprocess::capture;

/// The longest that `docker compose version` may take.
const LIMIT: Duration = Duration::from_secs(30);
const MOST_BYTES: usize = 64 * 1024;
/// Variables of this shell that the scheduled run would need and does not get.
const VARIABLES: [&str; 7] = [
    "PBAC_KEY_ENCRYPTION_KEY",
    "PBAC_KEYS_STORE",
    "PBAC_ENV_FILE",
    "PBAC_SCHEMA",
    "PBAC_DATABASE_URL",
    "DATABASE_URL",
    "PGPASSWORD",
];
/// Those of them that matter only where the keys lie in the database.
const OF_THE_DATABASE: [&str; 4] = ["PBAC_SCHEMA", "PBAC_DATABASE_URL", "DATABASE_URL", "PGPASSWORD"];

/// What is wrong with the job, or worth a look. `environment` is that of the shell which installs it.
pub async fn check(job: &Job, environment: Environment<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !is_executable(&job.program) {
        let message = format!("`{}` is not there, or is not executable", job.program.display());
        findings.push(
            Finding::stops(FindingCode::ProgramMissing, message)
                .help("name the pbac that the schedule calls with --program"),
        );
    }
    if job.places.in_env_file && !job.places.env_file.is_file() {
        let message = format!("the file of the keys is not there: `{}`", job.places.env_file.display());
        findings.push(
            Finding::worth_a_look(FindingCode::EnvFileMissing, message)
                .help("set `env_file` in [keys]; its path counts from the directory of the settings"),
        );
    }
    restart(job, environment, &mut findings).await;
    if let Some(alert) = &job.settings.alert {
        findings.extend(missing(job, "alert", alert, FindingCode::AlertMissing, environment));
    }
    findings.extend(textfile(job));
    findings.extend(variables(job, environment));
    findings
}

async fn restart(job: &Job, environment: Environment<'_>, findings: &mut Vec<Finding>) {
    let Some(restart) = &job.settings.restart else {
        if job.places.in_env_file {
            let message =
                "no restart is configured, and a process that runs does not see that the file was changed";
            findings.push(
                Finding::worth_a_look(FindingCode::NoRestart, message).help(
                    "set `restart` in [schedule], unless the application reads its keys again by itself",
                ),
            );
        }
        return;
    };
    findings.extend(missing(job, "restart", restart, FindingCode::RestartMissing, environment));
    let parsed = Parsed::new(&restart.command);
    let advice = match parsed.keeps_environment() {
        Some(KeepsEnvironment::Compose) => Some((
            "`compose restart` starts the containers with the environment that they were made with: the old key",
            "use `docker compose up -d`, which makes those anew whose environment has changed",
        )),
        Some(KeepsEnvironment::Container) => Some((
            "restarting a container keeps the environment that it was made with: the old key",
            "make the container anew, or mount the file and read it at the start",
        )),
        None => None,
    };
    if let Some((message, help)) = advice {
        findings.push(Finding::worth_a_look(FindingCode::RestartKeepsKey, message).help(help));
    }
    if let Some(tool) = parsed.compose_plugin_of()
        && let Some(program) = find_program(tool, JOB_PATH, &job.directory())
        && !has_compose(&program).await
    {
        let message =
            format!("`schedule.restart` calls `{tool} compose`, and `{tool} compose version` fails");
        findings.push(Finding::stops(FindingCode::RestartMissing, message).help(
            "install the plugin (Debian: apt-get install docker-compose-plugin), or use `docker-compose`",
        ));
    }
}

/// That a command's program is not where the scheduled run looks for it.
fn missing(
    job: &Job,
    name: &str,
    check: &Check,
    code: FindingCode,
    environment: Environment<'_>,
) -> Option<Finding> {
    let parsed = Parsed::new(&check.command);
    let program = parsed.program()?;
    let directory = job.directory();
    if find_program(program, JOB_PATH, &directory).is_some() {
        return None;
    }
    let here = environment("PATH").and_then(|path| path.into_string().ok()).unwrap_or_default();
    let help = match find_program(program, &here, &directory) {
        Some(found) => format!("write `{}`: the scheduled run looks in {JOB_PATH}", found.display()),
        None => format!("install it, or write where it is; the scheduled run looks in {JOB_PATH}"),
    };
    let message = format!("the program of `schedule.{name}` is not there or is not executable: `{program}`");
    Some(Finding::stops(code, message).help(help))
}

async fn has_compose(program: &Path) -> bool {
    let mut command = Command::new(program);
    command.args(["compose", "version"]);
    capture(command, b"", LIMIT, MOST_BYTES).await.is_ok_and(|captured| captured.succeeded())
}

fn textfile(job: &Job) -> Option<Finding> {
    let path = job.settings.textfile.as_ref()?;
    let directory = parent(path);
    if !directory.is_dir() {
        let message = format!("the directory of `textfile` is not there: `{}`", directory.display());
        return Some(
            Finding::stops(FindingCode::Textfile, message)
                .help("make it, and name it to the node exporter with --collector.textfile.directory"),
        );
    }
    if let Err(error) = Metrics::read(path, &job.name) {
        let help = match error {
            MetricsError::Foreign { .. } => "name a file of its own for each schedule",
            _ => "check the file",
        };
        return Some(Finding::stops(FindingCode::Textfile, error).help(help));
    }
    if path.extension().is_none_or(|extension| extension != "prom") {
        let message = format!("the node exporter reads files that end in `.prom`, not `{}`", path.display());
        return Some(Finding::worth_a_look(FindingCode::Textfile, message).help("rename it in [schedule]"));
    }
    None
}

/// Names alone are looked at, never values.
fn variables(job: &Job, environment: Environment<'_>) -> Option<Finding> {
    let is_set = |name: &&&str| environment(name).is_some_and(|value| !value.is_empty());
    let matters = |name: &&&str| !job.places.in_env_file || !OF_THE_DATABASE.contains(*name);
    let set: Vec<&str> = VARIABLES.iter().filter(matters).filter(is_set).copied().collect();
    if set.is_empty() {
        return None;
    }
    let message = format!("set in this shell, and not for the scheduled run: {}", set.join(", "));
    Some(Finding::worth_a_look(FindingCode::Environment, message).help(
        "write it into the settings, or for systemd into a drop-in with EnvironmentFile= (docs/schedule.md)",
    ))
}
