//! SIGKILL at every step: the file is the old one or the new one, whole and private, and the next run goes to its end.

use std::path::Path;

use pbac::env_file::Step;
use pbac::migrate::step::WorkStep;
use pbac_tests::env_stepper::{EnvJob, EnvWork};
use pbac_tests::stepper::Stepper;

use crate::folder::{Folder, mode};

const STEPPER: &str = env!("CARGO_BIN_EXE_env_stepper");
const OLD: &str = "# ours\r\nexport SECRET_KEY='old' # x\r\nOTHER=\"a b\"";
const NEW: &str = "# ours\r\nexport SECRET_KEY='new' # x\r\nexport MORE=1\r\nOTHER=\"a b\"";
const AFTER: &str = "# ours\r\nexport SECRET_KEY='newer' # x\r\nexport MORE=2\r\nOTHER=\"a b\"";

fn job(folder: &Folder, values: [&str; 2], at_fault: bool, pauses: bool) -> EnvJob {
    let values = ["SECRET_KEY", "MORE"].into_iter().zip(values);
    let values = values.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let anchor = "SECRET_KEY".to_owned();
    let work = EnvWork::Change { values, anchor, keep: 2, now: 1_768_905_045, at_fault };
    EnvJob { path: folder.env(), work, pauses }
}

/// Two backups and the lock, each private.
fn check_rest(folder: &Folder, about: &str) {
    let names = folder.names();
    let backups = names.iter().filter(|name| name.starts_with(".env.backup.20260120_103045"));
    assert!((1..=2).contains(&backups.count()), "{about}: {names:?}");
    assert!(names.iter().all(|name| !name.contains("tmp")), "{about}: {names:?}");
    for name in names {
        assert_eq!(mode(&folder.path().join(&name)), 0o600, "{about}: {name}");
    }
}

#[test]
fn killed_at_any_step_the_file_is_the_old_or_the_new_one() {
    for at_fault in [false, true] {
        for step in Step::ALL {
            if *step == Step::PutBack && !at_fault {
                continue;
            }
            let about = format!("at {} (at fault: {at_fault})", step.name());
            let folder = Folder::with(OLD);
            let mut stepper = Stepper::start(Path::new(STEPPER), &job(&folder, ["new", "1"], at_fault, true));
            stepper.go_to(step.name());
            stepper.kill();
            let renamed = *step >= Step::SyncDirectory;
            let bytes = String::from_utf8(folder.bytes()).unwrap();
            assert_eq!(bytes, if renamed { NEW } else { OLD }, "{about}");
            assert_eq!(mode(&folder.env()), 0o600, "{about}");
            for name in folder.names() {
                assert_eq!(mode(&folder.path().join(&name)), 0o600, "{about}: {name}");
            }

            let next =
                Stepper::start(Path::new(STEPPER), &job(&folder, ["newer", "2"], false, false)).finish();
            assert_eq!(next.status, Some(0), "{about}: {}", next.answer);
            assert_eq!(String::from_utf8(folder.bytes()).unwrap(), AFTER, "{about}");
            check_rest(&folder, &about);
        }
    }
}

#[test]
fn killed_while_the_old_text_is_put_back_it_is_the_old_or_the_new_one() {
    // These steps come twice then.
    for step in [Step::Write, Step::Sync, Step::Compare, Step::Rename, Step::SyncDirectory, Step::ReadBack] {
        let folder = Folder::with(OLD);
        let mut stepper = Stepper::start(Path::new(STEPPER), &job(&folder, ["new", "1"], true, true));
        stepper.go_to(Step::PutBack.name());
        stepper.go_on_to(step.name());
        stepper.kill();
        let back = step >= Step::SyncDirectory;
        let bytes = String::from_utf8(folder.bytes()).unwrap();
        assert_eq!(bytes, if back { OLD } else { NEW }, "at {}", step.name());
        let next = Stepper::start(Path::new(STEPPER), &job(&folder, ["newer", "2"], false, false)).finish();
        assert_eq!(next.status, Some(0), "{}", next.answer);
        check_rest(&folder, step.name());
    }
}

#[test]
fn every_step_is_told_in_its_order() {
    let folder = Folder::with(OLD);
    let ended = Stepper::start(Path::new(STEPPER), &job(&folder, ["new", "1"], false, false)).finish();
    let all: Vec<&str> =
        Step::ALL.iter().map(|step| step.name()).filter(|name| *name != "put_back").collect();
    assert_eq!(ended.steps, all);
    let ended = Stepper::start(Path::new(STEPPER), &job(&folder, ["newer", "2"], true, false)).finish();
    let again = ["put_back", "write", "sync", "compare", "rename", "sync_directory", "read_back"];
    assert_eq!(ended.steps, [all, again.to_vec()].concat());
    assert_eq!(ended.status, Some(1));
    assert_eq!(ended.answer["message"], "the probe finds fault; the old text is back in its place");
}
