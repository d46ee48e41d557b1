//! The timer: written, switched on, looked at, and gone without a trace.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use pbac::error::HostError;
use pbac::exit::Exit;
use pbac::report::time::show_time;
use pbac::schedule::change::{Change, ChangeStatus, InstallOptions, OldLines};
use pbac::schedule::systemd::{Scope, Systemd};
use pbac::schedule::{FindingCode, Machine, ScheduleError, Target};

use crate::place::{NOW, Place, name};

#[tokio::test]
async fn a_timer_is_installed_once_and_removed_whole() {
    let place = Place::new("");
    let machine = place.with_systemd();
    let report = place.install(&machine).await.unwrap();
    assert_eq!(report.status, ChangeStatus::Installed);
    let units = ["service", "timer"].map(|kind| place.units().join(format!("erp.{kind}")));
    assert_eq!(report.written, units);
    for unit in &units {
        assert_eq!(unit.metadata().unwrap().permissions().mode() & 0o777, 0o644);
    }
    let asked = place.read("systemctl.log");
    assert!(asked.starts_with("daemon-reload\nenable --now erp.timer\nshow erp.timer "), "{asked}");

    let again = place.install(&machine).await.unwrap();
    assert_eq!(again.status, ChangeStatus::Unchanged);
    assert!(!place.read("systemctl.log")[asked.len()..].contains("enable"));

    let status = place.status(&machine).await;
    let [timer] = status.systemd.as_slice() else { panic!("{status:?}") };
    let state = timer.state.as_ref().unwrap();
    assert!(state.enabled && state.active);
    assert_eq!(state.next_run.map(show_time).as_deref(), Some("2026-11-24T00:31:11Z"));
    assert!(!status.is_wrong(), "{status:?}");

    let removed = place.remove(&machine).await.unwrap();
    assert_eq!((removed.status, removed.removed.as_slice()), (ChangeStatus::Removed, units.as_slice()));
    assert!(place.read("systemctl.log").ends_with("disable --now erp.timer\ndaemon-reload\n"));
    assert_eq!(std::fs::read_dir(place.units()).unwrap().count(), 0);
    assert_eq!(place.remove(&machine).await.unwrap().status, ChangeStatus::NothingToDo);
}

#[tokio::test]
async fn what_was_switched_off_or_changed_is_found_and_set_right() {
    let place = Place::new("");
    let machine = place.with_systemd();
    place.install(&machine).await.unwrap();
    std::fs::remove_file(place.bin("enabled")).unwrap();
    assert_eq!(place.wrong(&machine).await, [FindingCode::NotRunning]);
    assert_eq!(place.install(&machine).await.unwrap().status, ChangeStatus::Updated);
    assert!(place.wrong(&machine).await.is_empty());

    let service = place.units().join("erp.service");
    let text = std::fs::read_to_string(&service).unwrap();
    std::fs::write(&service, text.replace("ProtectSystem=strict", "ProtectSystem=no")).unwrap();
    assert_eq!(place.wrong(&machine).await, [FindingCode::Differs]);
    let change = place.plan(&machine, OldLines::Ask).await.unwrap();
    assert!(change.diff().contains("-ProtectSystem=no\n+ProtectSystem=strict\n"), "{}", change.diff());
    change.carry_out(NOW).await.unwrap();
    assert_eq!(std::fs::read_to_string(&service).unwrap(), text);

    std::fs::remove_file(place.path("pbac.toml")).unwrap();
    let blind = pbac::schedule::status::StatusReport::new(&machine, &name("erp"), None, NOW).await.unwrap();
    let codes: Vec<FindingCode> = blind.findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, [FindingCode::SettingsMissing]);
}

#[tokio::test]
async fn a_timer_that_does_not_start_leaves_nothing() {
    for (ill, words) in [("failing", "Access denied"), ("idle", "is not running: not enabled, not active")] {
        let place = Place::new("");
        let machine = place.with_systemd();
        place.write("systemctl.ill", ill);
        let error = HostError::from(place.install(&machine).await.unwrap_err());
        assert_eq!(error.exit(), Exit::Failed);
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(std::fs::read_dir(place.units()).unwrap().count(), 0, "{ill}");
        assert!(place.read("systemctl.log").ends_with("daemon-reload\n"));
    }
}

#[tokio::test]
async fn units_of_others_are_not_touched() {
    let place = Place::new("");
    let machine = place.with_systemd();
    let service = place.units().join("erp.service");
    std::fs::write(&service, "[Service]\nExecStart=/bin/true\n").unwrap();
    for result in [place.install(&machine).await, place.remove(&machine).await] {
        let error = result.unwrap_err();
        assert!(matches!(error, ScheduleError::Foreign { .. }), "{error}");
        assert_eq!(HostError::from(error).exit(), Exit::Refused);
    }
    std::fs::remove_file(&service).unwrap();

    let other = Place::new("");
    place.install(&machine).await.unwrap();
    let theirs = Machine { systemd: machine.systemd.clone(), ..other.with_systemd() };
    let error = other.install(&theirs).await.unwrap_err();
    assert!(
        matches!(&error, ScheduleError::Taken { config: Some(config), .. } if config.ends_with("erp/pbac.toml"))
    );
    assert!(std::fs::read_to_string(&service).unwrap().contains(place.path("").to_str().unwrap()));
}

#[tokio::test]
async fn a_crontab_takes_over_from_a_timer() {
    let place = Place::new("");
    let machine = place.with_systemd();
    place.install(&machine).await.unwrap();
    let report = place.install_with(&machine, Target::Crontab).await.unwrap();
    assert_eq!((report.status, report.removed.len()), (ChangeStatus::Updated, 2));
    let status = place.status(&machine).await;
    assert_eq!((status.systemd.len(), status.crontab.len()), (0, 1));
}

#[tokio::test]
async fn only_root_writes_the_units_of_the_machine() {
    let place = Place::new("");
    let machine = Machine { root: false, ..place.with_systemd() };
    let error = HostError::from(place.install(&machine).await.unwrap_err());
    assert_eq!(error.exit(), Exit::Usage);
    assert!(error.advice().unwrap().contains("--user"));
    assert_eq!(std::fs::read_dir(place.units()).unwrap().count(), 0);

    // Of the user's own, anybody; they stop when the user logs out, unless they linger.
    let user = Systemd {
        scope: Scope::User,
        unit_directory: place.units().join("of/the/user"),
        control: Some(place.bin("systemctl")),
        linger_file: Some(place.bin("linger")),
    };
    let machine = Machine { systemd: vec![user], ..machine };
    let options = InstallOptions { target: None, scope: Scope::User, old_lines: OldLines::Ask };
    let change = Change::install(&machine, &place.job(), options).await.unwrap();
    let report = change.carry_out(NOW).await.unwrap();
    assert_eq!(report.findings.first().map(|finding| finding.code), Some(FindingCode::NoLinger));
    assert!(place.read("systemctl.log").starts_with("--user daemon-reload\n--user enable --now erp.timer\n"));
    std::fs::write(place.bin("linger"), "").unwrap();
    assert!(
        place.status(&machine).await.findings.iter().all(|finding| finding.code != FindingCode::NoLinger)
    );
}

#[tokio::test]
async fn what_the_run_writes_to_is_there_and_writable() {
    let place = Place::new("logs = '../elsewhere/reports'\n");
    let machine = place.with_systemd();
    place.install(&machine).await.unwrap();
    let reports = place.path("../elsewhere/reports").canonicalize().unwrap();
    assert_eq!(reports.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    let service = std::fs::read_to_string(place.units().join("erp.service")).unwrap();
    let writable: Vec<&str> =
        service.lines().filter_map(|line| line.strip_prefix("ReadWritePaths=")).collect();
    let settings = place.path("").canonicalize().unwrap();
    assert_eq!(writable, [reports.to_str().unwrap(), settings.to_str().unwrap()]);
}

#[tokio::test]
async fn units_hold_no_secret() {
    let settings =
        "[schedule]\nrestart.command = ['/bin/true', 'SENTINEL']\nalert.command = 'X=SENTINEL true'\n";
    let place = Place::new(settings);
    let text = std::fs::read_to_string(place.path("pbac.toml")).unwrap();
    std::fs::write(place.path("pbac.toml"), format!("database_url = 'postgres://u:SENTINEL@h/d'\n{text}"))
        .unwrap();
    let change = place.plan(&place.with_systemd(), OldLines::Ask).await.unwrap();
    assert!(!format!("{change:?} {}", change.diff()).contains("SENTINEL"));
    let change = place.plan(&place.without_systemd(), OldLines::Ask).await.unwrap();
    assert!(!format!("{change:?} {}", change.diff()).contains("SENTINEL"));
}

/// `systemd-analyze verify` says on standard error what it does not understand, and succeeds all the same.
#[tokio::test]
async fn systemd_understands_the_units() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        eprintln!("skipped: there is no systemd-analyze");
        return;
    }
    for settings in [
        "",
        "[schedule]\nrestart.command = ['/bin/true']\ntextfile = 'keys.prom'\n",
        "[schedule]\nrestart.command = 'sudo true'\n",
    ] {
        for directory in ["erp", "50% of 'it' $x"] {
            let place = Place::within(directory, settings);
            let job = place.job();
            for scope in [Scope::System, Scope::User] {
                let systemd =
                    Systemd { scope, unit_directory: place.units(), control: None, linger_file: None };
                let machine = Machine { systemd: vec![systemd], ..place.without_systemd() };
                let options = InstallOptions { target: None, scope, old_lines: OldLines::Ask };
                let change = Change::install(&machine, &job, options).await.unwrap();
                change.carry_out(NOW).await.unwrap();
                let output = Command::new("systemd-analyze")
                    .args(["verify", "--man=no"])
                    .args(["erp.service", "erp.timer"].map(|unit| place.units().join(unit)))
                    .output()
                    .unwrap();
                let words = String::from_utf8_lossy(&output.stderr);
                let ours: Vec<&str> = words.lines().filter(|line| line.contains("/units/erp.")).collect();
                assert!(output.status.success() && ours.is_empty(), "{ours:?}");
            }
        }
    }
}
