//! Through the command: statuses, questions nobody answers, JSON, and what is missing for the night.

use std::collections::BTreeSet;
use std::process::{Command, Output};

use pbac::config::Environment;
use pbac::schedule::{FindingCode, check};
use pbac_tests::binary;
use pbac_tests::record::Recorded;
use serde_json::Value;

use crate::place::Place;

/// The command with the crontab of the place; the name keeps it from whatever this machine has scheduled.
fn pbac(place: &Place, arguments: &[&str]) -> Output {
    let path = format!("{}:/usr/bin:/bin", place.bin("").display());
    let output = Command::new(binary::pbac())
        .arg("--config")
        .arg(place.path("pbac.toml"))
        .args(arguments)
        .env_clear()
        .env("PATH", path)
        .env("HOME", place.bin("home"))
        .output()
        .unwrap();
    output.recorded()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

const NAME: &str = "--name=suite-of-pbac";
const OLD: &str = "0 2 */90 * * cd /srv && python rotate_secret_key.py\n";

#[test]
fn nobody_to_ask_is_status_8_and_changes_nothing() {
    let place = Place::new("");
    place.write("crontab.txt", OLD);
    let install = ["schedule", "install", "--crontab", NAME];
    for more in [&["--no-input"][..], &[], &["--json"]] {
        let output = pbac(&place, &[&install[..], more].concat());
        assert_eq!(output.status.code(), Some(8), "{}", text(&output.stderr));
        let errors = text(&output.stderr);
        assert!(errors.contains("rotates") || errors.contains("runs the old rotation"), "{errors}");
        assert!(errors.contains("--replace-old takes the line away"), "{errors}");
        assert_eq!(place.read("crontab.txt"), OLD);
    }
    // A dry run says the same, and what it would do.
    let output = pbac(&place, &[&install[..], &["--dry-run"]].concat());
    assert_eq!(output.status.code(), Some(8));
    let shown = text(&output.stdout);
    assert!(shown.contains("+") && shown.contains("dry run: nothing was written"), "{shown}");
    assert_eq!(place.read("crontab.txt"), OLD);

    let output = pbac(&place, &[&install[..], &["--keep-old"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(place.read("crontab.txt").starts_with(OLD));
    let output = pbac(&place, &["schedule", "status", NAME]);
    assert_eq!(output.status.code(), Some(4), "{}", text(&output.stdout));
    let output = pbac(&place, &[&install[..], &["--yes"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(!place.read("crontab.txt").contains("rotate_secret_key"));
    let output = pbac(&place, &["schedule", "status", NAME]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    let output = pbac(&place, &["schedule", "remove", NAME]);
    assert_eq!((output.status.code(), place.read("crontab.txt").as_str()), (Some(0), ""));
}

#[test]
fn a_run_ends_as_the_rotation_does() {
    let place =
        Place::new("[schedule]\nrestart.command = 'echo SENTINEL; exit 3'\nalert.command = 'env >alert'\n");
    let program = place.bin("pbac").display().to_string();
    let run = ["schedule", "run", NAME, "--program", &program];
    place.rotation(6, "", "{\"error\":\"refused\",\"status\":6,\"message\":\"no\",\"help\":null}\n");
    let output = pbac(&place, &run);
    assert_eq!(output.status.code(), Some(6));
    assert!(text(&output.stderr).contains("pbac: `keys rotate` failed: no\n"), "{}", text(&output.stderr));
    place.rotation(0, "{\"rotated\":true}", "");
    let output = pbac(&place, &[&run[..], &["--json"]].concat());
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["failure"]["status"], 1);
    assert_eq!(report["restart"]["exit_code"], 3);
    // What a command prints may be anything: it goes to who looks at the run, and no further.
    let alert = std::fs::read_to_string(place.path("alert")).unwrap();
    assert!(alert.contains("PBAC_STATUS=failed\n") && !alert.contains("SENTINEL"), "{alert}");
}

/// The codes of what is found, with whether each stops.
async fn found(place: &Place, environment: Environment<'_>) -> Vec<(FindingCode, bool)> {
    let findings = check(&place.job(), environment).await;
    findings.into_iter().map(|finding| (finding.code, finding.stops)).collect()
}

#[tokio::test]
async fn what_is_missing_for_the_night_is_found_by_day() {
    use FindingCode::{
        AlertMissing, EnvFileMissing, Environment, NoRestart, ProgramMissing, RestartKeepsKey,
        RestartMissing, Textfile,
    };
    let place = Place::new("");
    let with = async |settings: &str| {
        place.settings(&format!("[schedule]\n{settings}\n"));
        found(&place, &|_| None).await
    };
    assert_eq!(with("").await, [(NoRestart, false)]);
    assert_eq!(with("restart.command = ['true', 'x']").await, []);
    assert_eq!(with("restart.command = 'cd /nowhere && no-such-program'").await, []);
    assert_eq!(with("restart.command = ['no-such-program']").await, [(RestartMissing, true)]);
    assert_eq!(with("restart.command = 'no-such-program restart'").await, [(RestartMissing, true)]);
    // A path counts from the directory of the settings; what is there has to be executable.
    assert_eq!(with("restart.command = '../bin/pbac restart'").await, []);
    assert_eq!(with("restart.command = './pbac.toml'").await, [(RestartMissing, true)]);
    assert_eq!(
        with("restart.command = 'true'\nalert.command = 'no-such-program'").await,
        [(AlertMissing, true)]
    );
    let tool = place.bin("docker").display().to_string();
    place.link("pbac", "docker");
    assert_eq!(
        with(&format!("restart.command = '{tool} compose restart'")).await,
        [(RestartKeepsKey, false)]
    );
    assert_eq!(with(&format!("restart.command = '{tool} compose up -d'")).await, []);
    assert!(place.read("pbac.log").contains("[compose][version]\n"));
    place.write("pbac.status", "1");
    assert_eq!(with(&format!("restart.command = '{tool} compose up -d'")).await, [(RestartMissing, true)]);

    assert_eq!(with("restart.command = 'true'\ntextfile = 'no/such/k.prom'").await, [(Textfile, true)]);
    assert_eq!(with("restart.command = 'true'\ntextfile = 'keys.txt'").await, [(Textfile, false)]);
    assert_eq!(with("restart.command = 'true'\ntextfile = 'keys.prom'").await, []);
    let set = |name: &str| (name == "DATABASE_URL" || name == "PBAC_KEYS_STORE").then(|| "x".into());
    assert_eq!(found(&place, &set).await, [(Environment, false)]);
    std::fs::remove_file(place.path(".env")).unwrap();
    std::fs::remove_file(place.bin("pbac")).unwrap();
    assert_eq!(found(&place, &|_| None).await, [(ProgramMissing, true), (EnvFileMissing, false)]);
}

#[test]
fn a_finding_that_stops_is_status_6() {
    let place = Place::new("[schedule]\nrestart.command = ['no-such-program']\n");
    let output = pbac(&place, &["schedule", "install", "--crontab", NAME]);
    assert_eq!((output.status.code(), place.read("crontab.txt").as_str()), (Some(6), ""));
    let output = pbac(&place, &["schedule", "install", "--crontab", "--dry-run", NAME]);
    assert_eq!(output.status.code(), Some(6), "{}", text(&output.stdout));
}

fn fields(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                found.insert(name.clone());
                fields(value, found);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| fields(value, found)),
        _ => {}
    }
}

#[test]
fn every_field_is_documented() {
    let documentation = include_str!("../../../docs/json.md");
    let section = documentation.split_once("\n## `schedule`\n").unwrap().1.split("\n## ").next().unwrap();
    let settings = "[schedule]\nrestart.command = 'exit 1'\nalert.command = 'true'\ntextfile = 'keys.prom'\n";
    let place = Place::new(settings);
    place.rotation(0, "{\"rotated\":true,\"next_due\":\"2026-02-22T16:00:00Z\"}", "");
    place.write("crontab.txt", OLD);
    let program = place.bin("pbac").display().to_string();
    let units = place.units().display().to_string();
    let commands: &[&[&str]] = &[
        &["schedule", "install", "--unit-dir", &units, "--dry-run"],
        &["schedule", "install", "--unit-dir", &units],
        &["schedule", "run", "--program", &program],
        &["schedule", "status", "--unit-dir", &units],
        &["schedule", "remove", "--unit-dir", &units],
        &["schedule", "install", "--crontab", "--replace-old"],
        &["schedule", "status"],
        &["schedule", "remove"],
    ];
    for arguments in commands {
        let output = pbac(&place, &[arguments, &["--json", NAME][..]].concat());
        let value: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{arguments:?}: {}", text(&output.stderr)));
        let mut names = BTreeSet::new();
        fields(&value, &mut names);
        for name in names {
            assert!(
                section.contains(&format!("`{name}`")),
                "`{name}` of {arguments:?} is not in docs/json.md"
            );
        }
    }
    // Every kind of finding is there too.
    let codes = serde_json::to_value([
        FindingCode::MonthlyLine,
        FindingCode::OldRotation,
        FindingCode::Duplicate,
        FindingCode::ProgramMissing,
        FindingCode::SettingsMissing,
        FindingCode::NoRestart,
        FindingCode::RestartMissing,
        FindingCode::RestartKeepsKey,
        FindingCode::AlertMissing,
        FindingCode::Textfile,
        FindingCode::EnvFileMissing,
        FindingCode::Environment,
        FindingCode::NoLinger,
        FindingCode::NotRunning,
        FindingCode::Differs,
        FindingCode::RestartPending,
        FindingCode::LastRun,
        FindingCode::CrontabUnreadable,
    ]);
    for code in codes.unwrap().as_array().unwrap() {
        let code = code.as_str().unwrap();
        assert!(section.contains(&format!("`{code}`")), "`{code}`");
    }
}
