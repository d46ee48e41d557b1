//! The text of the units, with paths quoted as systemd.unit(5), systemd.service(5) and systemd.exec(5) want it.

use std::path::{Path, PathBuf};

use crate::schedule::commands::Parsed;
use crate::schedule::error::ScheduleError;
use crate::schedule::job::{JOB_PATH, Job};
use crate::schedule::run::ROTATION_LIMIT;
use crate::schedule::systemd::Scope;

/// How the first line of our units begins; the settings file follows.
const WRITTEN_FOR: &str = "# Written by `pbac schedule install` for ";
/// What the time-outs of the steps leave out: starting, reading, writing. In seconds.
const MARGIN_SECONDS: u64 = 60;

/// What is always safe: it takes nothing away that a command of the operator could need.
const ALWAYS: &str = "ProtectClock=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
LockPersonality=yes
RestrictRealtime=yes
";
/// What holds where nothing but pbac runs, whose needs are known.
const PBAC_ALONE: &str = "PrivateTmp=yes
PrivateDevices=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelTunables=yes
MemoryDenyWriteExecute=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
UMask=0077
";

/// The text of the service.
///
/// A system unit sees a read-only file system, but for the directories the job writes to: all of it where only pbac
/// runs, `/usr`, `/boot` and `/etc` where commands of the operator run, which may write elsewhere. A unit of a user gets
/// no file system of its own: that needs user namespaces, which not every kernel allows.
///
/// # Errors
///
/// When a path cannot be written into a unit.
pub(super) fn service(job: &Job, scope: Scope) -> Result<String, ScheduleError> {
    let config = plain(&job.config)?;
    let command: Vec<String> = job.arguments(config).iter().map(|word| argument(word)).collect();
    let mut text = head(job)?;
    text.push_str(
        "# Changes go into a drop-in (`systemctl edit`): the next install writes this file anew.\n\n",
    );
    text.push_str(&format!(
        "[Unit]\nDescription=Rotate the signing key of {} when it is due\n",
        specifiers(config)
    ));
    text.push_str("Documentation=man:pbac-schedule(1)\n");
    if scope == Scope::System {
        // A run that was missed is caught up at boot, when what it needs may still be starting.
        text.push_str("Wants=network-online.target\n");
        text.push_str("After=network-online.target postgresql.service docker.service\n");
    }
    text.push_str("\n[Service]\nType=oneshot\n");
    text.push_str(&format!("WorkingDirectory={}\n", specifiers(plain(&job.directory())?)));
    text.push_str(&format!("Environment=PATH={JOB_PATH}\n"));
    text.push_str(&format!("ExecStart={} {}\n", program(&job.program)?, command.join(" ")));
    text.push_str(&format!("TimeoutStartSec={}\n", seconds(job)));
    // What a restart command leaves running is the application.
    text.push_str("KillMode=process\n");
    text.push_str(&sandbox(job, scope)?);
    Ok(text)
}

/// The text of the timer: daily, caught up after the machine was off.
///
/// # Errors
///
/// When the path of the settings cannot be written into a unit.
pub(super) fn timer(job: &Job) -> Result<String, ScheduleError> {
    let config = specifiers(plain(&job.config)?);
    Ok(format!(
        "{}\n[Unit]\nDescription=Every day: rotate the signing key of {config} when it is due\n\n[Timer]\nOnCalendar=daily\nPersistent=true\nRandomizedDelaySec=1h\n\n[Install]\nWantedBy=timers.target\n",
        head(job)?
    ))
}

/// The settings file that the unit was written for; nothing when pbac did not write it.
pub(super) fn written_for(text: &str) -> Option<&str> {
    text.lines().next()?.strip_prefix(WRITTEN_FOR)
}

/// The program that the service runs.
pub(super) fn program_of(text: &str) -> Option<PathBuf> {
    let rest = text.lines().find_map(|line| line.strip_prefix("ExecStart="))?;
    let program = match rest.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next()?,
        None => rest.split(' ').next()?,
    };
    Some(PathBuf::from(program.replace("%%", "%")))
}

fn head(job: &Job) -> Result<String, ScheduleError> {
    Ok(format!("{WRITTEN_FOR}{}\n", plain(&job.config)?))
}

fn sandbox(job: &Job, scope: Scope) -> Result<String, ScheduleError> {
    let mut text = String::new();
    let raises_rights = job.commands().any(|(_, check)| Parsed::new(&check.command).raises_rights());
    if !raises_rights {
        text.push_str("NoNewPrivileges=yes\n");
    }
    if scope == Scope::User {
        return Ok(text);
    }
    let alone = job.commands().next().is_none();
    text.push_str(if alone { "ProtectSystem=strict\n" } else { "ProtectSystem=full\n" });
    for directory in job.writes_to() {
        text.push_str(&format!("ReadWritePaths={}\n", quoted(plain(&directory)?)));
    }
    if !raises_rights {
        // Who raises rights is left alone: podman, for one, needs some of what these take.
        text.push_str(ALWAYS);
    }
    if alone {
        text.push_str(PBAC_ALONE);
    }
    Ok(text)
}

/// The longest that a run takes.
fn seconds(job: &Job) -> u64 {
    let commands = job.commands().map(|(_, check)| check.timeout_ms.div_ceil(1000));
    let commands = commands.fold(0_u64, u64::saturating_add);
    ROTATION_LIMIT.as_secs().saturating_add(commands).saturating_add(MARGIN_SECONDS)
}

/// The path, when it can stand in a unit: systemd has rules of its own for each setting, and these letters mean
/// something in some of them.
fn plain(path: &Path) -> Result<&str, ScheduleError> {
    let wrong = |why| ScheduleError::Path { path: path.to_path_buf(), into: "a systemd unit", why };
    let text = path.to_str().ok_or_else(|| wrong("is not UTF-8"))?;
    if text.contains(char::is_control) {
        Err(wrong("holds a control character"))
    } else if text.contains(['"', '\\']) {
        Err(wrong("holds `\"` or `\\`"))
    } else if text.trim() != text {
        Err(wrong("begins or ends with a blank"))
    } else {
        Ok(text)
    }
}

/// `%` begins a specifier in every setting.
fn specifiers(text: &str) -> String {
    text.replace('%', "%%")
}

fn quoted(text: &str) -> String {
    let text = specifiers(text);
    let is_safe = |letter: char| letter.is_ascii_alphanumeric() || "/._-%+@:=,".contains(letter);
    if text.chars().all(is_safe) { text } else { format!("\"{text}\"") }
}

/// An argument: `$` begins a variable there, quoted or not.
fn argument(text: &str) -> String {
    quoted(text).replace('$', "$$")
}

/// The program: no variable is replaced in it, so that a `$` could not be written either way.
fn program(path: &Path) -> Result<String, ScheduleError> {
    let text = plain(path)?;
    if text.contains('$') {
        return Err(ScheduleError::Path {
            path: path.to_path_buf(),
            into: "a systemd unit as a program",
            why: "holds `$`",
        });
    }
    Ok(quoted(text))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;
    use crate::config::{Check, CommandLine, Schedule};
    use crate::keys::KeySettings;
    use crate::schedule::{KeyPlaces, ScheduleName};

    fn job(directory: &str, restart: Option<&str>) -> Job {
        let restart =
            restart.map(|line| Check { command: CommandLine::Shell(line.to_owned()), timeout_ms: 1500 });
        Job {
            name: ScheduleName::DEFAULT.parse().unwrap(),
            program: Path::new(directory).join("bin/pbac"),
            config: Path::new(directory).join("pbac.toml"),
            settings: Schedule { restart, ..Schedule::default() },
            places: KeyPlaces::new(&KeySettings::default(), Path::new(directory)),
        }
    }

    #[test]
    fn paths_are_quoted_as_each_setting_wants_it() {
        let text = service(&job("/srv/50% of 'it' $x", None), Scope::System).unwrap_err();
        assert!(text.to_string().contains("holds `$`"), "{text}");
        let mut job = job("/srv/50% of 'it' $x", None);
        job.program = "/opt/a b/pbac".into();
        let text = service(&job, Scope::System).unwrap();
        assert!(text.contains("\nWorkingDirectory=/srv/50%% of 'it' $x\n"), "{text}");
        assert!(
            text.contains("\nExecStart=\"/opt/a b/pbac\" --config \"/srv/50%% of 'it' $$x/pbac.toml\" --no-input schedule run --name pbac-rotate\n"),
            "{text}"
        );
        assert!(text.contains("\nReadWritePaths=\"/srv/50%% of 'it' $x\"\n"), "{text}");
        assert_eq!(written_for(&text), Some("/srv/50% of 'it' $x/pbac.toml"));
        assert_eq!(program_of(&text).as_deref(), Some(Path::new("/opt/a b/pbac")));
        for wrong in ["/a\nExecStart=/bin/evil", "/a\\", "/a\"b", " /a", "/a\u{7f}"] {
            assert!(service(&self::job(wrong, None), Scope::System).is_err(), "{wrong:?}");
            assert!(timer(&self::job(wrong, None)).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn what_runs_beside_pbac_is_hindered_less() {
        let alone = service(&job("/srv/erp", None), Scope::System).unwrap();
        assert!(alone.contains("ProtectSystem=strict\nReadWritePaths=/srv/erp\n"), "{alone}");
        assert!(alone.contains("PrivateDevices=yes") && alone.contains("TimeoutStartSec=660\n"), "{alone}");
        let restarts = service(&job("/srv/erp", Some("docker compose up -d")), Scope::System).unwrap();
        assert!(restarts.contains("ProtectSystem=full\n") && restarts.contains("NoNewPrivileges=yes"));
        assert!(!restarts.contains("PrivateTmp") && restarts.contains("TimeoutStartSec=662\n"), "{restarts}");
        let sudo = service(&job("/srv/erp", Some("sudo x")), Scope::User).unwrap();
        assert!(!sudo.contains("NoNewPrivileges") && !sudo.contains("Protect"), "{sudo}");
        let user = service(&job("/srv/erp", None), Scope::User).unwrap();
        assert!(user.contains("NoNewPrivileges=yes") && !user.contains("Protect"), "{user}");
        assert!(!user.contains("network-online"), "{user}");
    }

    #[test]
    fn the_timer_runs_daily_and_catches_up() {
        let text = timer(&job("/srv/erp", None)).unwrap();
        assert!(text.contains("\nOnCalendar=daily\nPersistent=true\nRandomizedDelaySec=1h\n"), "{text}");
        assert_eq!(written_for(&text), Some("/srv/erp/pbac.toml"));
        assert_eq!(written_for("[Unit]\n"), None);
    }
}
