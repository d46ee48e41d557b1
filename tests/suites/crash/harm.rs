//! What ends a process, its connections or its server while it waits at a step.

use std::thread;
use std::time::Duration;

use pbac::postgres::{Identifier, lock_key};
use pbac_tests::database::TestDatabase;
use pbac_tests::stepper::{Ended, Stepper};
use rustix::process::{Pid, Signal, kill_process};

use crate::place::{Place, run_sql};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    /// SIGKILL.
    Kill,
    /// `pg_terminate_backend` of every connection it has.
    Connections,
    /// The same of the one that holds the schema's lock.
    Lock,
    /// SIGINT.
    Interrupt,
    /// An immediate shutdown of the server, which is started again.
    Crash,
}

impl Harm {
    /// Does it, and lets the process go on where there still is one.
    pub async fn done_to(
        self,
        stepper: Stepper,
        place: &mut Place,
        database: &TestDatabase,
    ) -> Option<Ended> {
        match self {
            Self::Kill => {
                stepper.kill();
                None
            }
            Self::Connections => {
                run_sql(database, ALL).await;
                Some(stepper.finish())
            }
            Self::Lock => {
                let key = lock_key(&Identifier::new("pbac").unwrap());
                run_sql(database, &format!("{ALL} AND pid IN ({} = {key})", HOLDERS)).await;
                Some(stepper.finish())
            }
            Self::Interrupt => {
                let process = Pid::from_raw(i32::try_from(stepper.id()).unwrap()).unwrap();
                kill_process(process, Signal::INT).unwrap();
                // It is told that there was a signal by a thread of its own.
                thread::sleep(Duration::from_millis(20));
                Some(stepper.finish())
            }
            Self::Crash => {
                place.server().crash();
                // It may look for the server until it is there again.
                let process = thread::spawn(|| stepper.finish());
                place.server().start_again();
                Some(process.join().unwrap())
            }
        }
    }
}

const ALL: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'";
const HOLDERS: &str = "SELECT l.pid FROM pg_locks l JOIN pg_database d ON d.oid = l.database \
    WHERE d.datname = current_database() AND l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted \
    AND ((l.classid::bigint << 32) | l.objid::bigint)";
