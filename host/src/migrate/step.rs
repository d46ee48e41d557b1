//! The steps of a migration, a rollback and a restoration: enumerated once, told to whoever watches, and timed.

use std::fmt;
use std::time::Instant;

use serde::{Serialize, Serializer};

/// A step of some work. Whoever tests what happens when one fails takes them from [`WorkStep::ALL`].
pub trait WorkStep: Copy + Ord + Serialize + 'static {
    /// Every step, in their order.
    const ALL: &'static [Self];

    /// The word for it in JSON, in the audit log and in progress.
    fn name(self) -> &'static str;

    /// What it does, for a person who watches.
    fn doing(self) -> &'static str;
}

/// An enumeration of steps whose list cannot lack one: each step stands here with its words, once.
macro_rules! steps {
    ($(#[$about:meta])* $name:ident { $($(#[$what:meta])* $step:ident: $word:literal, $doing:literal;)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$what])* $step),+
        }

        impl WorkStep for $name {
            const ALL: &'static [Self] = &[$(Self::$step),+];

            fn name(self) -> &'static str {
                match self {
                    $(Self::$step => $word),+
                }
            }

            fn doing(self) -> &'static str {
                match self {
                    $(Self::$step => $doing),+
                }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }
    };
}
pub(crate) use steps;

steps! {
    /// The steps of a migration.
    Step {
        /// Keeps every other pbac out of the schema.
        Lock: "lock", "taking the schema's lock";
        /// Looks at what is there, and at everything that could forbid to go on.
        Plan: "plan", "looking at what is there";
        /// Creates the audit log where there is none and records the attempt; committed on its own.
        AuditLog: "audit_log", "recording the attempt";
        /// Applies the SQL files.
        Schema: "schema", "applying the SQL files";
        /// Writes catalog, roles and conflicts.
        Policy: "policy", "writing catalog, roles and conflicts";
        /// Makes the functions that read the legacy roles.
        Source: "source", "making the functions that read the legacy roles";
        /// Counts and hashes the legacy roles, and records the run.
        Ledger: "ledger", "recording the policy";
        /// Computes the four validations.
        Validate: "validate", "validating";
        /// Records the success, and makes sure that the lock is still held.
        Audit: "audit", "recording the success";
        /// Makes it last.
        Commit: "commit", "committing";
    }
}

steps! {
    /// The steps of a rollback. What comes after [`RollbackStep::Commit`] changes nothing of ours any more.
    RollbackStep {
        /// Keeps every other pbac out of the schema.
        Lock: "lock", "taking the schema's lock";
        /// Looks at what is there, and at everything that could forbid to go on.
        Look: "look", "looking at what is there";
        /// Creates the audit log where there is none and records the attempt; committed on its own.
        AuditLog: "audit_log", "recording the attempt";
        /// Holds the tables against writers.
        Hold: "hold", "holding the tables against writers";
        /// Writes the backup.
        Backup: "backup", "writing the backup";
        /// Restores the backup beside the tables, and compares.
        Trial: "trial", "restoring the backup for a trial";
        /// Holds the tables against everybody.
        Exclude: "exclude", "holding the tables against everybody";
        /// Parks or drops tables and functions.
        Remove: "remove", "taking tables and functions away";
        /// Makes sure that the lock is still held, and records the success.
        Audit: "audit", "recording the success";
        /// Makes it last.
        Commit: "commit", "committing";
        /// Compares the legacy tables with what they were at the migration.
        Legacy: "legacy", "looking at the legacy tables";
        /// Runs the configured commands.
        Checks: "checks", "running the configured commands";
    }
}

steps! {
    /// The steps of a restoration.
    RestoreStep {
        /// Keeps every other pbac out of the schema.
        Lock: "lock", "taking the schema's lock";
        /// Looks at what is there and at what is to come back, and at everything that could forbid it.
        Look: "look", "looking at what is there";
        /// Creates the audit log where there is none and records the attempt; committed on its own.
        AuditLog: "audit_log", "recording the attempt";
        /// Begins the transaction, and holds parked tables against everybody.
        Hold: "hold", "holding what is to come back";
        /// Moves what was parked, or makes what the backup holds.
        Bring: "bring", "bringing tables and functions back";
        /// Compares what came back with what went.
        Compare: "compare", "comparing with what went";
        /// Makes sure that the lock is still held, and records the success.
        Audit: "audit", "recording the success";
        /// Makes it last.
        Commit: "commit", "committing";
    }
}

/// Told of every step when it begins.
pub type Observer<'a, S = Step> = &'a dyn Fn(S);

/// How long a step took.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct StepTime<S = Step> {
    /// Which one.
    pub step: S,
    /// For how long.
    pub milliseconds: f64,
}

/// Tells of each step, and takes its time.
pub(super) struct StepClock<'a, S = Step> {
    observer: Observer<'a, S>,
    begun: Instant,
    steps: Vec<(S, Instant)>,
}

impl<'a, S: WorkStep> StepClock<'a, S> {
    pub(super) fn new(observer: Observer<'a, S>) -> Self {
        Self { observer, begun: Instant::now(), steps: Vec::new() }
    }

    pub(super) fn begin(&mut self, step: S) {
        // A transaction that is tried again does its steps again.
        self.steps.retain(|(done, _)| *done < step);
        self.steps.push((step, Instant::now()));
        (self.observer)(step);
    }

    pub(super) fn current(&self) -> Option<S> {
        self.steps.last().map(|(step, _)| *step)
    }

    /// How long each step took, the last until now.
    pub(super) fn times(&self) -> Vec<StepTime<S>> {
        let ends = self.steps.iter().skip(1).map(|(_, begun)| *begun).chain([Instant::now()]);
        let times = self.steps.iter().zip(ends).map(|((step, begun), end)| StepTime {
            step: *step,
            milliseconds: end.duration_since(*begun).as_secs_f64() * 1000.0,
        });
        times.collect()
    }

    /// How long all of it took until now, in milliseconds.
    pub(super) fn milliseconds(&self) -> f64 {
        self.begun.elapsed().as_secs_f64() * 1000.0
    }
}

impl<S: WorkStep> fmt::Debug for StepClock<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StepClock").field("current", &self.current().map(S::name)).finish_non_exhaustive()
    }
}
