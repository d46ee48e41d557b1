//! The steps of a migration, told to whoever watches, and timed.

use std::time::Instant;

use serde::Serialize;

/// The steps, in their order. Whoever tests what happens when one fails takes them from [`Step::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Keeps every other pbac out of the schema.
    Lock,
    /// Looks at what is there, and at everything that could forbid to go on.
    Plan,
    /// Creates the audit log where there is none and records the attempt; committed on its own.
    AuditLog,
    /// Applies the SQL files.
    Schema,
    /// Writes catalog, roles and conflicts.
    Policy,
    /// Makes the functions that read the legacy roles.
    Source,
    /// Counts and hashes the legacy roles, and records the run.
    Ledger,
    /// Computes the four validations.
    Validate,
    /// Records the success, and makes sure that the lock is still held.
    Audit,
    /// Makes it last.
    Commit,
}

impl Step {
    /// Every step.
    pub const ALL: [Self; 10] = [
        Self::Lock,
        Self::Plan,
        Self::AuditLog,
        Self::Schema,
        Self::Policy,
        Self::Source,
        Self::Ledger,
        Self::Validate,
        Self::Audit,
        Self::Commit,
    ];

    /// The word for it in JSON, in the audit log and in progress.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lock => "lock",
            Self::Plan => "plan",
            Self::AuditLog => "audit_log",
            Self::Schema => "schema",
            Self::Policy => "policy",
            Self::Source => "source",
            Self::Ledger => "ledger",
            Self::Validate => "validate",
            Self::Audit => "audit",
            Self::Commit => "commit",
        }
    }

    /// What it does, for a person who watches.
    #[must_use]
    pub const fn doing(self) -> &'static str {
        match self {
            Self::Lock => "taking the schema's lock",
            Self::Plan => "looking at what is there",
            Self::AuditLog => "recording the attempt",
            Self::Schema => "applying the SQL files",
            Self::Policy => "writing catalog, roles and conflicts",
            Self::Source => "making the functions that read the legacy roles",
            Self::Ledger => "recording the policy",
            Self::Validate => "validating",
            Self::Audit => "recording the success",
            Self::Commit => "committing",
        }
    }
}

/// Told of every step when it begins.
pub type Observer<'a> = &'a dyn Fn(Step);

/// How long a step took.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct StepTime {
    /// Which one.
    pub step: Step,
    /// For how long.
    pub milliseconds: f64,
}

/// Tells of each step, and takes its time.
pub(super) struct StepClock<'a> {
    observer: Observer<'a>,
    begun: Instant,
    steps: Vec<(Step, Instant)>,
}

impl<'a> StepClock<'a> {
    pub(super) fn new(observer: Observer<'a>) -> Self {
        Self { observer, begun: Instant::now(), steps: Vec::new() }
    }

    pub(super) fn begin(&mut self, step: Step) {
        // A transaction that is tried again does its steps again.
        self.steps.retain(|(done, _)| *done < step);
        self.steps.push((step, Instant::now()));
        (self.observer)(step);
    }

    pub(super) fn current(&self) -> Option<Step> {
        self.steps.last().map(|(step, _)| *step)
    }

    /// How long each step took, the last until now.
    pub(super) fn times(&self) -> Vec<StepTime> {
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
