//! The file on disk: whose it is and stays, its links, its backups, and what is refused before anything is changed.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::Command;

use pbac::env_file::{EnvFileError, EnvText, LockedEnvFile, MAX_BYTES, ModeChange};
use pbac::error::HostError;
use pbac::exit::Exit;
use pbac_tests::env_stepper::{EnvJob, EnvWork};
use pbac_tests::stepper::{Ended, Stepper};
use policy_core::Timestamp;

use crate::folder::{Folder, fine, mode, quiet, value};

const STEPPER: &str = env!("CARGO_BIN_EXE_env_stepper");

fn rotate(path: &Path, new: &str) -> Result<(), HostError> {
    let mut file = LockedEnvFile::lock(path, &quiet)?;
    let text = file.text().with_values(&[("KEY", new)], None).unwrap();
    Ok(file.replace(text, fine)?)
}

fn refusal(path: &Path) -> (Exit, String, String) {
    let error = rotate(path, "new").unwrap_err();
    (error.exit(), error.to_string(), error.advice().unwrap().to_owned())
}

#[test]
fn the_mode_stays_but_for_what_others_could_read() {
    for (old, new) in [(0o600, 0o600), (0o644, 0o600), (0o660, 0o600), (0o400, 0o400), (0o755, 0o600)] {
        let folder = Folder::with("KEY=old\n");
        folder.set_mode(old);
        let file = LockedEnvFile::lock(&folder.env(), &quiet).unwrap();
        assert_eq!(file.mode_change(), (old != new).then_some(ModeChange { from: old, to: new }));
        drop(file);
        rotate(&folder.env(), "new").unwrap();
        assert_eq!(mode(&folder.env()), new, "{old:o}");
        assert_eq!(folder.bytes(), b"KEY=new\n");
    }
}

#[test]
fn owner_and_group_stay_and_the_lock_and_the_backups_are_theirs() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can give files away");
        return;
    }
    let folder = Folder::with("KEY=old\n");
    chown(folder.env(), Some(4711), Some(4712)).unwrap();
    let mut file = LockedEnvFile::lock(&folder.env(), &quiet).unwrap();
    file.backup(Timestamp::from_seconds(0), None).unwrap();
    let text = file.text().with_values(&[("KEY", "new")], None).unwrap();
    file.replace(text, fine).unwrap();
    for name in [".env", ".env.lock", ".env.backup.19700101_000000"] {
        let data = fs::metadata(folder.path().join(name)).unwrap();
        assert_eq!((data.uid(), data.gid(), data.mode() & 0o777), (4711, 4712, 0o600), "{name}");
    }
    assert_eq!(folder.names().len(), 3);
}

#[test]
fn a_file_of_somebody_else_is_refused_before_anything_is_changed() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can run a process as somebody else");
        return;
    }
    let folder = Folder::with("KEY=old\n");
    folder.set_mode(0o644);
    // Whoever owns the directory may replace what is in it, but cannot give anything away.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let ended = as_somebody(&folder.env(), "new");
    assert_eq!(ended.status, Some(i32::from(Exit::Refused.code())), "{}", ended.answer);
    let file = folder.env().display().to_string();
    let message =
        format!("`{file}` belongs to user 0 and group 0, to whom a new file cannot be given from here");
    assert_eq!(ended.answer["message"], message);
    assert_eq!(ended.answer["help"], "run this as user 0 or as root");
    assert_eq!(folder.names(), [".env"]);
    assert_eq!(folder.bytes(), b"KEY=old\n");
}

#[test]
fn its_owner_can_lock_it_after_root() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can run a process as somebody else");
        return;
    }
    let folder = Folder::with("KEY=old\n");
    for path in [folder.env(), folder.path().to_owned()] {
        chown(path, Some(4711), Some(4712)).unwrap();
    }
    rotate(&folder.env(), "by-root").unwrap();
    let ended = as_somebody(&folder.env(), "by-owner");
    assert_eq!(ended.status, Some(0), "{}", ended.answer);
    assert_eq!(folder.bytes(), b"KEY=by-owner\n");
}

/// A change by a process of user 4711.
fn as_somebody(path: &Path, new: &str) -> Ended {
    let work = EnvWork::Change {
        values: vec![("KEY".to_owned(), new.to_owned())],
        anchor: "KEY".to_owned(),
        keep: 1,
        now: 0,
        at_fault: false,
    };
    // The program may lie where that user cannot go.
    let copy = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir().unwrap();
    let program = copy.path().join("env_stepper");
    fs::copy(STEPPER, &program).unwrap();
    let wrapper = copy.path().join("as_somebody");
    let script =
        format!("#!/bin/sh\nexec setpriv --reuid 4711 --regid 4712 --clear-groups {}\n", program.display());
    fs::write(&wrapper, script).unwrap();
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).unwrap();
    Stepper::start(&wrapper, &EnvJob { path: path.to_owned(), work, pauses: false }).finish()
}

#[test]
fn the_target_of_a_link_changes_and_the_link_stays() {
    let folder = Folder::with("KEY=old\n");
    let elsewhere = tempfile::tempdir().unwrap();
    let (link, chain) = (elsewhere.path().join(".env"), elsewhere.path().join("chain"));
    symlink(folder.env(), &link).unwrap();
    symlink(&link, &chain).unwrap();
    rotate(&chain, "new").unwrap();
    assert_eq!(folder.bytes(), b"KEY=new\n");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 2);
    assert_eq!(folder.names(), [".env", ".env.lock"]);
    // Whichever way it is named, there is one lock.
    let _held = LockedEnvFile::lock(&folder.env(), &quiet).unwrap();
    assert_eq!(rotate(&chain, "newer").unwrap_err().exit(), Exit::Busy);
}

#[test]
fn what_no_new_file_can_stand_for_is_refused() {
    let folder = Folder::with("KEY=old\n");
    let file = folder.env().display().to_string();
    fs::hard_link(folder.env(), folder.path().join("other")).unwrap();
    assert_eq!(
        refusal(&folder.env()),
        (
            Exit::Refused,
            format!("`{file}` has 2 hard links: the other names would keep the old text"),
            "remove the other names, or make symbolic links of them".to_owned()
        )
    );
    assert_eq!(folder.names(), [".env", "other"]);

    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for path in [folder.path(), pipe.as_path(), Path::new("/dev/null")] {
        assert_eq!(refusal(path).1, format!("`{}` is no regular file", path.display()));
        assert!(matches!(pbac::env_file::read(path), Err(EnvFileError::NotRegular { .. })));
    }

    let none = folder.path().join("none");
    symlink(folder.path().join("nowhere"), &none).unwrap();
    assert_eq!(refusal(&none).0, Exit::Failed);
    assert_eq!(refusal(&none).2, "check the path, or create the file");

    let long = Folder::with(vec![b'#'; MAX_BYTES + 1]);
    let file = long.env().display().to_string();
    assert_eq!(
        refusal(&long.env()).1,
        format!("`{file}`: it has more than 1048576 bytes, the most that is read")
    );
    assert_eq!(long.names(), [".env", ".env.lock"]);
}

#[test]
fn what_is_no_file_of_ours_is_not_taken_for_the_lock() {
    let folder = Folder::with("KEY=old\n");
    let lock = folder.path().join(".env.lock");
    symlink(folder.path().join("victim"), &lock).unwrap();
    assert_eq!(refusal(&folder.env()).0, Exit::Failed);
    assert!(!folder.path().join("victim").exists());
    fs::remove_file(&lock).unwrap();
    fs::create_dir(&lock).unwrap();
    assert!(rotate(&folder.env(), "new").is_err());
    assert_eq!(folder.bytes(), b"KEY=old\n");
}

#[test]
fn backups_are_named_by_the_second_and_the_oldest_go() {
    let folder = Folder::with("KEY=old\n");
    let others =
        [".env.backup", ".env.backup.20200101_000000.gz", ".env.backup.2020", "x.env.backup.20200101_000000"];
    for other in others {
        fs::write(folder.path().join(other), "").unwrap();
    }
    let directory = folder.path().join(".env.backup.20190101_000000");
    fs::create_dir(&directory).unwrap();
    fs::write(folder.path().join(".env.backup.20200101_000000"), "oldest").unwrap();
    let second = Timestamp::from_seconds(1_768_905_045);
    let backups = || -> Vec<String> {
        let names =
            folder.names().into_iter().filter(|name| name.starts_with(".env.backup.202") && name.len() > 20);
        names.filter(|name| !name.ends_with("gz")).collect()
    };
    let file = LockedEnvFile::lock(&folder.env(), &quiet).unwrap();
    for number in 1..=11 {
        let path = file.backup(second, None).unwrap();
        let suffix = if number == 1 { String::new() } else { format!("_{number}") };
        assert_eq!(
            path.file_name().unwrap().to_str().unwrap(),
            format!(".env.backup.20260120_103045{suffix}")
        );
        assert_eq!(fs::read(&path).unwrap(), b"KEY=old\n");
        assert_eq!(mode(&path), 0o600);
    }
    assert_eq!(backups().len(), 12);
    let path = file.backup(second, Some(3)).unwrap();
    assert!(path.ends_with(".env.backup.20260120_103045_12"));
    let names = [
        ".env.backup.20260120_103045_10",
        ".env.backup.20260120_103045_11",
        ".env.backup.20260120_103045_12",
    ];
    assert_eq!(backups(), names);
    // A clock that went back, and a number that makes no sense: the new one stays.
    let path = file.backup(Timestamp::from_seconds(1_600_000_000), Some(0)).unwrap();
    assert_eq!(backups(), [path.file_name().unwrap().to_str().unwrap()]);
    assert!(directory.is_dir() && others.iter().all(|other| folder.path().join(other).exists()));
}

#[test]
fn what_a_killed_run_left_goes_and_nothing_else() {
    let folder = Folder::with("KEY=old\n");
    let others =
        [".env.pbac-tmp-", ".env.pbac-tmp-abc", ".env.pbac-tmp-abcdefgh.txt", "x.env.pbac-tmp-abcdefgh"];
    for name in others.iter().chain(&[".env.pbac-tmp-AbCdEf09"]) {
        fs::write(folder.path().join(name), "KEY=secret").unwrap();
    }
    rotate(&folder.env(), "new").unwrap();
    let mut wanted = [&[".env", ".env.lock"], &others[..]].concat();
    wanted.sort_unstable();
    assert_eq!(folder.names(), wanted);

    // A name without a dot gets one.
    let plain = folder.path().join("prod.env");
    fs::write(&plain, "KEY=old\n").unwrap();
    fs::write(folder.path().join(".prod.env.pbac-tmp-AbCdEf09"), "").unwrap();
    rotate(&plain, "new").unwrap();
    assert!(!folder.path().join(".prod.env.pbac-tmp-AbCdEf09").exists());
}

#[test]
fn one_lock_serves_several_changes() {
    let folder = Folder::with("KEY=old\n");
    let mut file = LockedEnvFile::lock(&folder.env(), &quiet).unwrap();
    for new in ["one", "two"] {
        let text = file.text().with_values(&[("KEY", new)], None).unwrap();
        file.replace(text, fine).unwrap();
        assert_eq!(value(file.text(), "KEY"), new);
    }
    assert_eq!(folder.bytes(), b"KEY=two\n");
    assert_eq!(format!("{file:?}"), format!("LockedEnvFile {{ path: {:?}, .. }}", folder.env()));
    assert!(!format!("{:?}", EnvText::parse(b"KEY=two").unwrap()).contains("two"));
}
