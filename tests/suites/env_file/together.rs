//! Many processes at once: one changes the file, the others say so, and nothing is lost.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use pbac_tests::env_stepper::{EnvJob, EnvWork, number};
use pbac_tests::stepper::Stepper;

use crate::folder::{Folder, quiet};

const STEPPER: &str = env!("CARGO_BIN_EXE_env_stepper");
const PROCESSES: u32 = 8;
const TIMES: u32 = 25;

#[test]
fn while_one_changes_the_file_all_others_say_so() {
    let folder = Folder::with("SECRET_KEY=old\n");
    let job = |value: String, pauses| {
        let values = vec![("SECRET_KEY".to_owned(), value)];
        let work =
            EnvWork::Change { values, anchor: "SECRET_KEY".to_owned(), keep: 9, now: 0, at_fault: false };
        EnvJob { path: folder.env(), work, pauses }
    };
    for step in ["tidy", "backup", "write", "rename", "probe"] {
        let before = folder.names().len();
        let mut first = Stepper::start(Path::new(STEPPER), &job("first".to_owned(), true));
        first.go_to(step);
        let seen = folder.bytes();
        for other in 0..3 {
            let ended = Stepper::start(Path::new(STEPPER), &job(format!("other{other}"), false)).finish();
            assert_eq!(ended.status, Some(5), "{}", ended.answer);
            let file = folder.env().display().to_string();
            let busy = format!("another process is changing `{file}`: it holds the lock of `{file}.lock`");
            assert_eq!(ended.answer["message"], busy);
        }
        assert_eq!(folder.bytes(), seen, "{step}");
        assert_eq!(first.finish().status, Some(0));
        assert_eq!(folder.bytes(), b"SECRET_KEY=first\n", "{step}");
        // A backup and, the first time, the lock.
        assert!(folder.names().len() - before <= 2, "{:?}", folder.names());
    }
}

#[test]
fn no_change_of_many_at_once_is_lost() {
    let folder = Folder::with("# how many\nCOUNT=0\n");
    let job = EnvJob {
        path: folder.env(),
        work: EnvWork::Count { name: "COUNT".to_owned(), times: TIMES },
        pauses: false,
    };
    let started: Vec<Stepper> = (0..PROCESSES).map(|_| Stepper::start(Path::new(STEPPER), &job)).collect();
    let watched = folder.env();
    let watcher = thread::spawn(move || {
        // Who only reads sees a whole file at every moment, and the number never falls.
        let (mut last, mut reads) = (0, 0_u32);
        while last < PROCESSES * TIMES {
            let now = number(&pbac::env_file::read(&watched).unwrap(), "COUNT");
            assert!(now >= last);
            (last, reads) = (now, reads + 1);
        }
        reads
    });
    let ended: Vec<_> = started.into_iter().map(Stepper::finish).collect();
    for end in &ended {
        assert_eq!(end.status, Some(0), "{}", end.answer);
    }
    let text = pbac::env_file::read(&folder.env()).unwrap();
    assert_eq!(number(&text, "COUNT"), PROCESSES * TIMES);
    assert!(watcher.join().unwrap() > 0);
    let busy: u64 = ended.iter().map(|end| end.answer["busy"].as_u64().unwrap()).sum();
    println!("{busy} times another held the lock");
    assert_eq!(folder.names(), [".env", ".env.lock"]);
}

#[test]
fn threads_keep_each_other_out_as_processes_do() {
    let folder = Folder::with("A=1\n");
    let first = pbac::env_file::LockedEnvFile::lock(&folder.env(), &quiet).unwrap();
    let second = thread::scope(|scope| {
        let second = || pbac::env_file::LockedEnvFile::lock(&folder.env(), &quiet).map(drop);
        scope.spawn(second).join().unwrap()
    });
    assert!(matches!(second, Err(pbac::env_file::EnvFileError::Busy { .. })));
    drop(first);
    // A process that another test starts holds what this one had open, until it becomes another program.
    let patience = Instant::now() + Duration::from_secs(10);
    while let Err(error) = pbac::env_file::LockedEnvFile::lock(&folder.env(), &quiet) {
        assert!(matches!(error, pbac::env_file::EnvFileError::Busy { .. }), "{error}");
        assert!(Instant::now() < patience, "the lock stays");
        thread::sleep(Duration::from_millis(5));
    }
}
