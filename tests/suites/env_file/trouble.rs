//! Trouble on the way: other programs write to the file, the probe finds fault, the file is mounted on its own.

use std::cell::Cell;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use pbac::env_file::{EnvFileError, EnvText, LockedEnvFile, MountedElsewhere, ReplaceError, Step};
use pbac::error::HostError;
use pbac::exit::Exit;
use pbac_tests::env_stepper::{EnvJob, EnvWork};
use pbac_tests::stepper::Stepper;

use crate::folder::{Folder, fine, mode, quiet};

/// A change during which another program does something at a step, the first time that it begins.
fn meanwhile(
    folder: &Folder,
    step: Step,
    harm: impl Fn(&Path),
    probe: impl FnOnce(&EnvText) -> Result<(), HostError>,
) -> Result<(), ReplaceError<HostError>> {
    let done = Cell::new(false);
    let observer = |begun: Step| {
        if begun == step && !done.replace(true) {
            harm(&folder.env());
        }
    };
    let mut file = LockedEnvFile::lock(&folder.env(), &observer).unwrap();
    let text = file.text().with_values(&[("KEY", "new")], None).unwrap();
    file.replace(text, probe)
}

fn fault(_: &EnvText) -> Result<(), HostError> {
    Err(HostError::new(Exit::Mismatch, "the new key does not verify").help("look at it"))
}

#[test]
fn a_file_that_another_program_changed_is_left_as_it_is() {
    type Harm = fn(&Path);
    let harms: [(&str, Harm); 4] = [
        ("written to", |path| fs::write(path, "KEY=theirs\n").unwrap()),
        ("replaced", |path| {
            fs::write(path.with_extension("new"), "KEY=theirs\n").unwrap();
            fs::rename(path.with_extension("new"), path).unwrap();
        }),
        ("linked", |path| fs::hard_link(path, path.with_extension("other")).unwrap()),
        ("made readable", |path| {
            fs::set_permissions(path, Permissions::from_mode(0o640)).unwrap();
        }),
    ];
    for step in [Step::Write, Step::Sync, Step::Compare] {
        for (how, harm) in harms {
            let folder = Folder::with("KEY=old\n");
            let result = meanwhile(&folder, step, harm, fine);
            let Err(ReplaceError::Unchanged(error)) = result else { panic!("{how} at {step:?}: {result:?}") };
            let hint = HostError::from(error).to_string();
            assert!(
                hint.contains("was changed by another program") || hint.contains("has 2 hard links"),
                "{hint}"
            );
            let theirs = how == "written to" || how == "replaced";
            assert_eq!(folder.bytes(), if theirs { &b"KEY=theirs\n"[..] } else { b"KEY=old\n" });
            assert!(folder.names().iter().all(|name| !name.contains("tmp")), "{:?}", folder.names());
        }
    }
}

#[test]
fn a_file_that_goes_away_stays_away() {
    let folder = Folder::with("KEY=old\n");
    let result = meanwhile(&folder, Step::Compare, |path| fs::remove_file(path).unwrap(), fine);
    assert!(matches!(result, Err(ReplaceError::Unchanged(EnvFileError::Io { .. }))), "{result:?}");
    assert_eq!(folder.names(), [".env.lock"]);
}

#[test]
fn what_another_program_wrote_to_the_new_file_is_not_taken_back() {
    let write = |path: &Path| fs::write(path, "KEY=theirs\n").unwrap();
    for step in [Step::ReadBack, Step::Probe, Step::PutBack] {
        let folder = Folder::with("KEY=old\n");
        let result = meanwhile(&folder, step, write, fault);
        let Err(error @ ReplaceError::Stuck { .. }) = result else { panic!("at {step:?}: {result:?}") };
        let error = HostError::from(error);
        assert_eq!(error.exit(), Exit::NeedsPerson);
        assert!(error.to_string().contains("could not be put back"), "{error}");
        assert_eq!(folder.bytes(), b"KEY=theirs\n");
    }
}

#[test]
fn the_old_text_comes_back_when_the_probe_finds_fault() {
    let folder = Folder::with("KEY=old # ours");
    folder.set_mode(0o640);
    let result =
        meanwhile(&folder, Step::Probe, |path| assert_eq!(fs::read(path).unwrap(), b"KEY=new # ours"), fault);
    let Err(error @ ReplaceError::PutBack(_)) = result else { panic!("{result:?}") };
    let error = HostError::from(error);
    assert_eq!(error.exit(), Exit::Mismatch);
    assert_eq!(error.to_string(), "the new key does not verify; the old text is back in its place");
    assert_eq!(error.advice(), Some("look at it"));
    assert_eq!(folder.bytes(), b"KEY=old # ours");
    assert_eq!(mode(&folder.env()), 0o640);
    assert_eq!(folder.names(), [".env", ".env.lock"]);
}

#[test]
fn the_probe_is_handed_what_the_file_holds() {
    let folder = Folder::with("KEY=old\n");
    let mut file = LockedEnvFile::lock(&folder.env(), &quiet).unwrap();
    let text = file.text().with_values(&[("KEY", "new")], None).unwrap();
    let probe = |there: &EnvText| {
        assert_eq!(there.bytes(), fs::read(folder.env()).unwrap());
        fine(there)
    };
    file.replace(text, probe).unwrap();
}

/// A process that sees the file at another place too, through a mount of its own, until its input ends. Nothing, which is
/// said, where that cannot be done.
fn mounter(file: &Path, point: &Path) -> Option<Child> {
    let script = r#"mount --bind "$1" "$2" && echo mounted && cat >/dev/null"#;
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, "sh"]).arg(file).arg(point);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    if let Ok(mut child) = command.spawn() {
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        if line == "mounted\n" {
            return Some(child);
        }
        end(child);
    }
    eprintln!("skipped: nothing can be mounted here");
    None
}

fn end(mut child: Child) {
    drop(child.stdin.take());
    child.wait().unwrap();
}

#[test]
fn a_file_that_is_mounted_on_its_own_is_refused_within_and_told_of_outside() {
    let folder = Folder::with("KEY=old\n");
    let point = folder.path().join("mounted");
    fs::write(&point, "").unwrap();
    let Some(first) = mounter(&folder.env(), &point) else { return };
    let Some(second) = mounter(&folder.env(), &point) else { return };

    // Outside the file can be replaced, but the mounts go on showing the old one, and later still do.
    for new in ["new", "newer"] {
        let mut file = LockedEnvFile::lock(&folder.env(), &quiet).unwrap();
        let mut seen = file.mounted_elsewhere();
        seen.sort_by_key(|mount| mount.process);
        let mut wanted =
            [first.id(), second.id()].map(|process| MountedElsewhere { process, path: point.clone() });
        wanted.sort_by_key(|mount| mount.process);
        assert_eq!(seen, wanted);
        let text = file.text().with_values(&[("KEY", new)], None).unwrap();
        file.replace(text, fine).unwrap();
    }

    // Within it cannot.
    let work = EnvWork::Count { name: "KEY".to_owned(), times: 1 };
    let inside = EnvJob { path: point, work, pauses: false };
    let wrapper = folder.path().join("inside");
    let (process, stepper) = (first.id(), env!("CARGO_BIN_EXE_env_stepper"));
    fs::write(&wrapper, format!("#!/bin/sh\nexec nsenter --mount --target {process} {stepper}\n")).unwrap();
    fs::set_permissions(&wrapper, Permissions::from_mode(0o755)).unwrap();
    let ended = Stepper::start(&wrapper, &inside).finish();
    assert_eq!(ended.status, Some(i32::from(Exit::Refused.code())), "{}", ended.answer);
    let message = ended.answer["message"].as_str().unwrap();
    assert!(message.contains("is mounted on its own, as Docker mounts a single file"), "{message}");
    end(first);
    end(second);
}
