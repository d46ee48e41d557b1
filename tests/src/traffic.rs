//! An application at work on its table of users: people log in, rows are changed and added, and every statement is timed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection};
use tokio::task::JoinHandle;

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Connections that change and add users.
    pub writers: usize,
    /// Connections that look users up by name, as a login does.
    pub readers: usize,
    /// The ids 1 to this are there from the beginning.
    pub users: usize,
    /// How long each connection rests between two statements.
    pub pause: Duration,
}

/// What kind of statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Statement {
    /// Looks a user up.
    Login,
    /// Changes a user's row.
    Update,
    /// Adds a user.
    Insert,
}

/// One statement.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// What went on beside it when it began; see [`Traffic::during`].
    pub phase: usize,
    /// What it did.
    pub statement: Statement,
    /// How long it took, for the application.
    pub took: Duration,
}

/// All that happened.
#[derive(Debug, Default)]
pub struct Record {
    /// The statements that succeeded.
    pub samples: Vec<Sample>,
    /// The errors of those that did not.
    pub failures: Vec<String>,
}

/// Traffic that flows until it is stopped.
#[derive(Debug)]
pub struct Traffic {
    stop: Arc<AtomicBool>,
    phase: Arc<AtomicUsize>,
    workers: Vec<JoinHandle<Record>>,
}

/// What the connections call themselves to the server.
pub const APPLICATION: &str = "traffic";

impl Traffic {
    /// Begins with phase 0.
    ///
    /// # Panics
    ///
    /// When the database cannot be reached.
    pub async fn start(url: &str, load: Load) -> Self {
        let (stop, phase) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut workers = Vec::new();
        for number in 0..load.writers + load.readers {
            let url = format!("{url}&application_name={APPLICATION}");
            let worker = Worker {
                connection: PgConnection::connect(&url).await.expect("the database can be reached"),
                load,
                number,
                random: fastrand::Rng::with_seed(number as u64),
            };
            workers.push(tokio::spawn(worker.work(Arc::clone(&stop), Arc::clone(&phase))));
        }
        Self { stop, phase, workers }
    }

    /// Statements that begin from now on count to this phase.
    pub fn during(&self, phase: usize) {
        self.phase.store(phase, Ordering::SeqCst);
    }

    /// Ends it.
    ///
    /// # Panics
    ///
    /// When a connection's task has panicked.
    pub async fn stop(self) -> Record {
        self.stop.store(true, Ordering::SeqCst);
        let mut all = Record::default();
        for worker in self.workers {
            let record = worker.await.expect("the worker ends");
            all.samples.extend(record.samples);
            all.failures.extend(record.failures);
        }
        all
    }
}

struct Worker {
    connection: PgConnection,
    load: Load,
    number: usize,
    random: fastrand::Rng,
}

impl Worker {
    async fn work(mut self, stop: Arc<AtomicBool>, phase: Arc<AtomicUsize>) -> Record {
        let mut record = Record::default();
        let mut added = 0;
        while !stop.load(Ordering::SeqCst) {
            let statement = match self.number {
                number if number >= self.load.writers => Statement::Login,
                _ if self.random.usize(..8) == 0 => Statement::Insert,
                _ => Statement::Update,
            };
            let phase = phase.load(Ordering::SeqCst);
            let began = Instant::now();
            let outcome = match statement {
                Statement::Login => self.log_in().await,
                Statement::Update => self.update().await,
                Statement::Insert => {
                    added += 1;
                    self.insert(added).await
                }
            };
            match outcome {
                Ok(()) => record.samples.push(Sample { phase, statement, took: began.elapsed() }),
                Err(error) => record.failures.push(format!("{statement:?}: {error}")),
            }
            tokio::time::sleep(self.load.pause).await;
        }
        record
    }

    async fn log_in(&mut self) -> Result<(), sqlx::Error> {
        let id = self.random.usize(1..=self.load.users);
        let (_, name): (String, String) =
            sqlx::query_as("SELECT hashed_password::text, username::text FROM public.users WHERE id = $1")
                .bind(i32::try_from(id).unwrap_or(i32::MAX))
                .fetch_one(&mut self.connection)
                .await?;
        sqlx::query("SELECT role::text, is_active FROM public.users WHERE username = $1")
            .bind(name)
            .fetch_one(&mut self.connection)
            .await
            .map(drop)
    }

    /// Each writer has users of its own, so that no writer waits for the row of another.
    async fn update(&mut self) -> Result<(), sqlx::Error> {
        let share = self.load.users / self.load.writers;
        let id = self.number * share + self.random.usize(1..=share);
        let done = sqlx::query(
            "UPDATE public.users SET last_login = now(), login_attempts = coalesce(login_attempts, 0) + 1, \
             role = CASE role WHEN 'OPERATOR_SEW' THEN 'OPERATOR_CUT'::public.userrole ELSE role END WHERE id = $1",
        )
        .bind(i32::try_from(id).unwrap_or(i32::MAX))
        .execute(&mut self.connection)
        .await?;
        if done.rows_affected() == 1 { Ok(()) } else { Err(sqlx::Error::RowNotFound) }
    }

    async fn insert(&mut self, added: usize) -> Result<(), sqlx::Error> {
        let name = format!("new.{}.{added}.{}", self.number, self.random.u64(..));
        sqlx::query(
            "INSERT INTO public.users (username, email, hashed_password, full_name, role, is_active) \
             VALUES ($1, $1 || '@example.com', 'no password: synthetic user', $1, 'SECURITY', true)",
        )
        .bind(name)
        .execute(&mut self.connection)
        .await
        .map(drop)
    }
}
