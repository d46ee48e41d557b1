//! The crontab: our line goes in, is found again and goes out, and every other byte stays.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use pbac::error::HostError;
use pbac::exit::Exit;
use pbac::schedule::change::{Change, ChangeStatus, InstallOptions, OldLines};
use pbac::schedule::systemd::Scope;
use pbac::schedule::{FindingCode, ScheduleError};

use crate::place::{NOW, Place, name};

/// A crontab as people have them: variables, blanks at ends, a line that is no UTF-8 in the tests below.
const THEIRS: &str = "# m h  dom mon dow   command\nMAILTO=ops@example.com\nCRON_TZ=Asia/Jakarta\n\n*/5 * * * *   /usr/local/bin/sync 50\\% \n@reboot sleep 1\r\n";
const OLD: &str =
    "0 2 */90 * * cd /srv/erp && python scripts/rotate_secret_key.py && docker-compose restart backend\n";

#[tokio::test]
async fn the_line_is_added_and_the_rest_stays_byte_for_byte() {
    let place = Place::new("");
    let machine = place.without_systemd();
    let theirs = [THEIRS.as_bytes(), b"# caf\xe9\n"].concat();
    std::fs::write(place.bin("crontab.txt"), &theirs).unwrap();
    let report = place.install(&machine).await.unwrap();
    assert_eq!(report.status, ChangeStatus::Installed);
    let written = std::fs::read(place.bin("crontab.txt")).unwrap();
    let ours = written.strip_prefix(theirs.as_slice()).unwrap();
    let ours = std::str::from_utf8(ours).unwrap();
    assert!(ours.ends_with(" >/dev/null # pbac schedule: erp\n") && ours.lines().count() == 1, "{ours}");

    let backup = report.crontab_backup.unwrap();
    assert_eq!(backup, place.path("crontab.backup.20251124_160000"));
    assert_eq!(std::fs::read(&backup).unwrap(), theirs);
    assert_eq!(backup.metadata().unwrap().permissions().mode() & 0o777, 0o600);

    let again = place.install(&machine).await.unwrap();
    assert_eq!((again.status, again.crontab_backup), (ChangeStatus::Unchanged, None));
    assert!(again.diff.is_empty() && again.written.is_empty());
    assert_eq!(std::fs::read(place.bin("crontab.txt")).unwrap(), written);

    assert_eq!(place.remove(&machine).await.unwrap().status, ChangeStatus::Removed);
    assert_eq!(std::fs::read(place.bin("crontab.txt")).unwrap(), theirs);
    assert_eq!(place.remove(&machine).await.unwrap().status, ChangeStatus::NothingToDo);
}

#[tokio::test]
async fn a_user_without_a_crontab_gets_one_and_nothing_is_backed_up() {
    let place = Place::new("");
    let machine = place.without_systemd();
    let report = place.install(&machine).await.unwrap();
    assert_eq!((report.status, report.crontab_backup), (ChangeStatus::Installed, None));
    assert_eq!(place.read("crontab.txt").lines().count(), 1);
    assert_eq!(place.beside_settings(), [".env", "pbac.toml"]);
}

#[tokio::test]
async fn the_diff_shows_no_line_of_others() {
    let place = Place::new("");
    place.write("crontab.txt", "PASSWORD=SENTINEL\n1 1 * * * mysqldump --password=SENTINEL\n");
    let change = place.plan(&place.without_systemd(), OldLines::Ask).await.unwrap();
    let diff = change.diff();
    assert!(diff.contains("+") && diff.contains("# pbac schedule: erp"), "{diff}");
    assert!(!diff.contains("SENTINEL"), "{diff}");
}

#[tokio::test]
async fn a_line_is_updated_where_it_stands_and_keeps_its_time() {
    let place = Place::new("");
    let machine = place.without_systemd();
    place.install(&machine).await.unwrap();
    let line = place.read("crontab.txt");
    let (_, command) = line.split_once(" * * * ").unwrap();
    // Moved by a person, with another program, twice, and lines around it.
    let old = command.replace(place.bin("pbac").to_str().unwrap(), "/opt/old/pbac");
    place.write("crontab.txt", &format!("A=1\n30 4 * * * {old}B=2\n5 5 * * * {old}"));
    assert!(place.wrong(&machine).await.contains(&FindingCode::Duplicate));
    assert!(place.wrong(&machine).await.contains(&FindingCode::ProgramMissing));
    assert_eq!(place.install(&machine).await.unwrap().status, ChangeStatus::Updated);
    assert_eq!(place.read("crontab.txt"), format!("A=1\n30 4 * * * {command}B=2\n"));
    assert!(place.wrong(&machine).await.is_empty());

    // A line that does not run daily any more is set right.
    place.write("crontab.txt", &format!("0 2 */90 * * {command}"));
    assert!(place.wrong(&machine).await.contains(&FindingCode::Differs));
    place.install(&machine).await.unwrap();
    assert_eq!(place.read("crontab.txt"), line);
}

#[tokio::test]
async fn the_line_of_the_document_is_named_and_left_to_a_person() {
    let place = Place::new("");
    let machine = place.without_systemd();
    let before = format!("{THEIRS}{OLD}");
    place.write("crontab.txt", &before);

    let asked = place.plan(&machine, OldLines::Ask).await.unwrap();
    let finding = asked.findings.iter().find(|finding| finding.stops).unwrap();
    assert_eq!(finding.code, FindingCode::OldRotation);
    assert!(finding.message.contains("day 1 of every month"), "{}", finding.message);
    let error = HostError::from(ScheduleError::Found(Box::new(finding.clone())));
    assert_eq!(error.exit(), Exit::NeedsPerson);
    assert_eq!(place.wrong(&machine).await, [FindingCode::OldRotation]);

    let kept = place.plan(&machine, OldLines::Keep).await.unwrap();
    assert!(kept.replaced.is_empty() && kept.findings.iter().all(|finding| !finding.stops));
    assert!(!kept.diff().contains("rotate_secret_key"));

    let replaced = place.plan(&machine, OldLines::Replace).await.unwrap();
    let report = replaced.carry_out(NOW).await.unwrap();
    assert_eq!(report.replaced, ["the crontab, line 7"]);
    let after = place.read("crontab.txt");
    assert!(after.starts_with(THEIRS) && !after.contains("rotate_secret_key"), "{after}");
    assert_eq!(std::fs::read_to_string(report.crontab_backup.unwrap()).unwrap(), before);
    assert!(place.wrong(&machine).await.is_empty());
}

#[tokio::test]
async fn a_timer_takes_over_from_old_lines_and_from_our_own() {
    let place = Place::new("");
    place.install(&place.without_systemd()).await.unwrap();
    let ours = place.read("crontab.txt");
    place.write("crontab.txt", &format!("{THEIRS}{OLD}{ours}"));
    let machine = place.with_systemd();
    let change = place.plan(&machine, OldLines::Replace).await.unwrap();
    assert_eq!(change.carry_out(NOW).await.unwrap().status, ChangeStatus::Updated);
    assert_eq!(place.read("crontab.txt"), THEIRS);
    let status = place.status(&machine).await;
    assert_eq!((status.systemd.len(), status.crontab.len()), (1, 0));
}

#[tokio::test]
async fn lines_of_the_system_are_named_and_stop_nothing() {
    let place = Place::new("");
    place.system_crontab(&OLD.replace("* * cd", "* * root cd"));
    let change = place.plan(&place.without_systemd(), OldLines::Ask).await.unwrap();
    let [finding] = change.findings.as_slice() else { panic!("{:?}", change.findings) };
    assert_eq!((finding.code, finding.stops), (FindingCode::OldRotation, false));
    assert!(finding.place.as_deref().unwrap().ends_with("/cron.d/erp line 1"), "{finding:?}");
}

#[tokio::test]
async fn a_name_belongs_to_one_settings_file() {
    let (place, other) = (Place::new(""), Place::new(""));
    other.install(&other.without_systemd()).await.unwrap();
    place.write("crontab.txt", &other.read("crontab.txt"));
    let error = place.install(&place.without_systemd()).await.unwrap_err();
    assert!(matches!(error, ScheduleError::Taken { .. }), "{error}");
    assert_eq!(place.read("crontab.txt"), other.read("crontab.txt"));
}

#[tokio::test]
async fn whatever_goes_wrong_the_crontab_is_as_before() {
    for (ill, exit) in [
        ("denied", Exit::Failed),
        ("full", Exit::Failed),
        ("raced", Exit::Busy),
        // What was written is not what was read back: the old one is put back.
        ("forgetful", Exit::Failed),
        // And where that cannot be, it is said.
        ("deaf", Exit::NeedsPerson),
    ] {
        let place = Place::new("");
        place.write("crontab.txt", THEIRS);
        place.write("crontab.ill", ill);
        let error = HostError::from(place.install(&place.without_systemd()).await.unwrap_err());
        assert_eq!(error.exit(), exit, "{ill}: {error}");
        let after = place.read("crontab.txt");
        match ill {
            "deaf" => {
                let (_, backup) = error
                    .to_string()
                    .split_once("is in `")
                    .map(|(a, b)| (a.to_owned(), b.to_owned()))
                    .unwrap();
                assert_eq!(std::fs::read_to_string(backup.trim_end_matches('`')).unwrap(), THEIRS);
            }
            "raced" => assert!(after.starts_with(THEIRS) && !after.contains("pbac"), "{after}"),
            _ => assert_eq!(after, THEIRS, "{ill}"),
        }
    }
}

#[tokio::test]
async fn without_a_crontab_program_there_is_an_error_and_a_way_out() {
    let place = Place::new("");
    let machine = pbac::schedule::Machine { crontab: None, ..place.without_systemd() };
    let error = HostError::from(place.install(&machine).await.unwrap_err());
    assert_eq!(error.to_string(), "there is neither a running systemd nor a `crontab` program");
    assert!(error.advice().unwrap().contains("apt-get install cron"));
    // A timer needs none; a crontab that cannot be read is only said.
    let both = place.with_systemd();
    place.write("crontab.ill", "denied");
    let report = place.install(&both).await.unwrap();
    assert_eq!(
        report.findings.iter().map(|finding| finding.code).collect::<Vec<_>>(),
        [FindingCode::NoRestart, FindingCode::CrontabUnreadable][1..]
    );
}

/// What cron makes of a command: `\%` is a percent sign, and a bare one would end it.
fn by_cron(command: &str) -> String {
    let command = command.replace("\\%", "\u{0}");
    command.split('%').next().unwrap().replace('\u{0}', "%")
}

#[tokio::test]
async fn the_shell_of_cron_reads_odd_paths_as_they_are() {
    let place = Place::within("50% of \"it\" $x", "");
    place.install(&place.without_systemd()).await.unwrap();
    let line = place.read("crontab.txt");
    let (_, command) = line.trim_end().split_once(" * * * ").unwrap();
    let output = Command::new("/bin/sh")
        .args(["-c", &by_cron(command)])
        .env_clear()
        .env("HOME", "/")
        .env("PATH", "/usr/bin:/bin")
        .current_dir("/")
        .output()
        .unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0), "{output:?}");
    let config = place.path("pbac.toml");
    assert_eq!(
        place.read("pbac.log"),
        format!("[--quiet][--config][{}][--no-input][schedule][run][--name][erp]\n", config.display())
    );
}

/// Debian's cron, or whichever is here, on a spool of its own.
#[tokio::test]
async fn a_real_crontab_program_keeps_what_it_is_given() {
    let place = Place::new("");
    place.link("real-crontab", "real");
    std::fs::create_dir(place.bin("spool")).unwrap();
    let machine = pbac::schedule::Machine { crontab: Some(place.bin("real")), ..place.without_systemd() };
    let listed = || Command::new(place.bin("real")).arg("-l").output().unwrap();
    let first = listed();
    if !String::from_utf8_lossy(&first.stderr).contains("no crontab for") {
        let why = String::from_utf8_lossy(&first.stderr).trim().to_owned();
        eprintln!("skipped: no crontab program, or no right to give it a spool of its own ({why})");
        return;
    }
    place.install(&machine).await.unwrap();
    let ours = String::from_utf8(listed().stdout).unwrap();
    assert_eq!(ours.lines().count(), 1, "{ours}");
    assert_eq!(place.install(&machine).await.unwrap().status, ChangeStatus::Unchanged);
    place.remove(&machine).await.unwrap();
    assert!(listed().stdout.is_empty());

    let theirs = place.bin("theirs");
    std::fs::write(&theirs, format!("{THEIRS}{OLD}").replace("@reboot sleep 1\r\n", "@reboot sleep 1\n"))
        .unwrap();
    let given = std::fs::read(&theirs).unwrap();
    let status =
        Command::new(place.bin("real")).arg("-").stdin(std::fs::File::open(&theirs).unwrap()).status();
    assert!(status.unwrap().success());
    let options = InstallOptions { target: None, scope: Scope::System, old_lines: OldLines::Keep };
    let change = Change::install(&machine, &place.job(), options).await.unwrap();
    change.carry_out(NOW).await.unwrap();
    assert_eq!(listed().stdout, [given.as_slice(), ours.as_bytes()].concat());
    let removed = Change::remove(&machine, &name("erp"), &place.path("")).await.unwrap();
    removed.carry_out(NOW).await.unwrap();
    assert_eq!(listed().stdout, given);
}
