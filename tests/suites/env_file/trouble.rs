//! Trouble on the way: other programs write to the file, the probe finds fault, the file is mounted on its own.

use std::cell::Cell;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use pbac::env_file::{EnvFileError, EnvText, LockedEnvFile, ReplaceError, Step};
use pbac::error::HostError;
use pbac::exit::Exit;

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
            fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
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

#[test]
fn a_file_that_is_mounted_on_its_own_is_refused_within_and_told_of_outside() {
    let folder = Folder::with("KEY=old\n");
    let point = folder.path().join("mounted");
    fs::write(&point, "").unwrap();
    // It ends with its input.
    let script = r#"mount --bind "$1" "$2" && echo mounted && cat >/dev/null"#;
    let mut mounter = Command::new("unshare");
    mounter.args(["--mount", "sh", "-c", script, "sh"]).arg(folder.env()).arg(&point);
    mounter.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let Ok(mut child) = mounter.spawn() else {
        eprintln!("skipped: there is no unshare on this machine");
        return;
    };
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line)
        .unwrap();
    if line != "mounted\n" {
        child.wait().unwrap();
        eprintln!("skipped: nothing can be mounted here");
        return;
    }

    // Outside the file can be replaced, but the mount goes on showing the old one, and later still does.
    for new in ["new", "newer"] {
        let mut file = LockedEnvFile::lock(&folder.env(), &quiet).unwrap();
        let seen = file.mounted_elsewhere();
        assert_eq!(seen.len(), 1, "{seen:?}");
        assert_eq!((seen[0].process, seen[0].path.as_path()), (child.id(), point.as_path()));
        let text = file.text().with_values(&[("KEY", new)], None).unwrap();
        file.replace(text, fine).unwrap();
    }

    // Within it cannot.
    let process = child.id().to_string();
    let inside = pbac_tests::env_stepper::EnvJob {
        path: point.clone(),
        work: pbac_tests::env_stepper::EnvWork::Count { name: "KEY".to_owned(), times: 1 },
        pauses: false,
    };
    let wrapper = folder.path().join("inside");
    let stepper = env!("CARGO_BIN_EXE_env_stepper");
    fs::write(&wrapper, format!("#!/bin/sh\nexec nsenter --mount --target {process} {stepper}\n")).unwrap();
    fs::set_permissions(&wrapper, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let ended = pbac_tests::stepper::Stepper::start(&wrapper, &inside).finish();
    assert_eq!(ended.status, Some(i32::from(Exit::Refused.code())), "{}", ended.answer);
    let message = ended.answer["message"].as_str().unwrap();
    assert!(message.contains("is mounted on its own, as Docker mounts a single file"), "{message}");
    drop(child.stdin.take());
    child.wait().unwrap();
}
