//! The figures for the textfile collector of Prometheus's node exporter.
//!
//! Its times are those of what happened, so that an alert can be set on nothing having happened; the counter of failures
//! is read from the file and goes on.

use std::fmt;
use std::path::{Path, PathBuf};

use policy_core::Timestamp;
use serde::Serialize;

use super::job::ScheduleName;
use crate::error::HostError;
use crate::report::files::{read_text, write_whole_as};
use crate::report::time::serialize_time;

/// The most bytes that are read: ours are some hundreds.
const MOST_BYTES: u64 = 64 * 1024;
/// The node exporter runs as a user of its own.
const MODE: u32 = 0o644;
const SECOND: i64 = 1_000_000;
const SECONDS_A_DAY: f64 = 86_400.0;

const LAST_SUCCESS: &str = "pbac_key_rotation_last_success_timestamp_seconds";
const LAST_RUN: &str = "pbac_key_rotation_last_run_timestamp_seconds";
const FAILURES: &str = "pbac_key_rotation_failures_total";
const DUE: &str = "pbac_key_rotation_due_timestamp_seconds";
const DAYS_TO_DUE: &str = "pbac_key_rotation_days_to_due";

/// What the file says. Times are whole seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Metrics {
    /// When it last ran to its end, well or not.
    #[serde(serialize_with = "serialize_time")]
    pub last_run: Option<Timestamp>,
    /// When it last did what it should.
    #[serde(serialize_with = "serialize_time")]
    pub last_success: Option<Timestamp>,
    /// How many runs have failed.
    pub failures: u64,
    /// When the next rotation is due, as far as was last known.
    #[serde(serialize_with = "serialize_time")]
    pub due: Option<Timestamp>,
}

/// Why the figures cannot be read or written.
#[derive(Debug)]
pub enum MetricsError {
    /// The file is there and cannot be read.
    Unreadable(HostError),
    /// The file holds the figures of somebody else.
    Foreign {
        /// The file.
        path: PathBuf,
        /// A line that is not ours.
        line: usize,
    },
    /// The file cannot be written.
    Unwritable(HostError),
}

impl fmt::Display for MetricsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) | Self::Unwritable(error) => error.fmt(f),
            Self::Foreign { path, line } => {
                write!(f, "line {line} of `{}` is not from `pbac schedule run` of this name", path.display())
            }
        }
    }
}

impl std::error::Error for MetricsError {}

impl From<MetricsError> for HostError {
    fn from(error: MetricsError) -> Self {
        match error {
            MetricsError::Unreadable(error) | MetricsError::Unwritable(error) => error,
            MetricsError::Foreign { .. } => Self::refused(&error).help(
                "name a file that nobody else writes, one for each schedule, as `textfile` in [schedule]",
            ),
        }
    }
}

impl Metrics {
    /// Reads the file; nothing where there is none.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is not that of this schedule.
    pub fn read(path: &Path, name: &ScheduleName) -> Result<Option<Self>, MetricsError> {
        if !path.try_exists().unwrap_or(true) {
            return Ok(None);
        }
        let text = read_text(path, MOST_BYTES).map_err(MetricsError::Unreadable)?;
        let label = label(name);
        let mut metrics = Self::default();
        for (index, line) in text.lines().enumerate() {
            if line.starts_with('#') || line.trim().is_empty() {
                continue;
            }
            let foreign =
                || MetricsError::Foreign { path: path.to_path_buf(), line: index.saturating_add(1) };
            let (metric, value) = line.split_once(&label).ok_or_else(foreign)?;
            let value = value.trim();
            let time = || {
                value.parse().ok().map(|seconds: i64| Timestamp::from_micros(seconds.saturating_mul(SECOND)))
            };
            match metric {
                LAST_SUCCESS => metrics.last_success = time(),
                LAST_RUN => metrics.last_run = time(),
                // A counter that cannot be read begins anew, which Prometheus understands.
                FAILURES => metrics.failures = value.parse().unwrap_or(0),
                DUE => metrics.due = time(),
                DAYS_TO_DUE => {}
                _ => return Err(foreign()),
            }
        }
        Ok(Some(metrics))
    }

    /// The figures after a run that ended now. `due` is what the run learnt of it.
    #[must_use]
    pub fn after(self, now: Timestamp, failed: bool, due: Option<Timestamp>) -> Self {
        Self {
            last_run: Some(now),
            last_success: if failed { self.last_success } else { Some(now) },
            failures: self.failures.saturating_add(u64::from(failed)),
            // A run that failed learnt nothing; a run that did not and says nothing knows of none.
            due: if failed { due.or(self.due) } else { due },
        }
    }

    /// Writes the file whole, with mode 0644.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn write(&self, path: &Path, name: &ScheduleName, now: Timestamp) -> Result<(), MetricsError> {
        write_whole_as(path, self.text(name, now).as_bytes(), MODE).map_err(MetricsError::Unwritable)
    }

    /// The text of the file, in the format of Prometheus.
    #[must_use]
    pub fn text(&self, name: &ScheduleName, now: Timestamp) -> String {
        let seconds = |time: Timestamp| time.micros().div_euclid(SECOND);
        let days = |due: Timestamp| {
            // As far as the file knows: in whole seconds.
            let left = seconds(due).saturating_sub(seconds(now));
            // Exact: seconds between dates are far below 2^53.
            #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
            let left = left as f64;
            format!("{:.3}", left / SECONDS_A_DAY)
        };
        let whole = |time: Option<Timestamp>| time.map(|time| seconds(time).to_string());
        let figures = [
            (LAST_RUN, "gauge", "When the scheduled rotation last ran to its end.", whole(self.last_run)),
            (LAST_SUCCESS, "gauge", "When the scheduled rotation last succeeded.", whole(self.last_success)),
            (
                FAILURES,
                "counter",
                "How many scheduled rotations have failed.",
                Some(self.failures.to_string()),
            ),
            (DUE, "gauge", "When the next rotation of the signing key is due.", whole(self.due)),
            (
                DAYS_TO_DUE,
                "gauge",
                "Days from the last run to the next rotation; negative when overdue.",
                self.due.map(days),
            ),
        ];
        let label = label(name);
        let lines = figures.into_iter().filter_map(|(metric, kind, help, value)| {
            let value = value?;
            Some(format!("# HELP {metric} {help}\n# TYPE {metric} {kind}\n{metric}{label} {value}\n"))
        });
        lines.collect()
    }
}

/// Two schedules on one machine are two series: the node exporter refuses one that is there twice.
fn label(name: &ScheduleName) -> String {
    format!("{{schedule=\"{name}\"}}")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn name(text: &str) -> ScheduleName {
        text.parse().unwrap()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn what_is_written_is_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys.prom");
        let name = name("a");
        assert_eq!(Metrics::read(&path, &name).unwrap(), None);
        let first = Metrics::default().after(at(1000), true, None);
        first.write(&path, &name, at(1000)).unwrap();
        assert_eq!(Metrics::read(&path, &name).unwrap(), Some(first));
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o644);
        let second = first.after(at(2000), false, Some(at(2000 + 86_400 / 2)));
        second.write(&path, &name, at(2000)).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(
            text,
            "# HELP pbac_key_rotation_last_run_timestamp_seconds When the scheduled rotation last ran to its end.
# TYPE pbac_key_rotation_last_run_timestamp_seconds gauge
pbac_key_rotation_last_run_timestamp_seconds{schedule=\"a\"} 2000
# HELP pbac_key_rotation_last_success_timestamp_seconds When the scheduled rotation last succeeded.
# TYPE pbac_key_rotation_last_success_timestamp_seconds gauge
pbac_key_rotation_last_success_timestamp_seconds{schedule=\"a\"} 2000
# HELP pbac_key_rotation_failures_total How many scheduled rotations have failed.
# TYPE pbac_key_rotation_failures_total counter
pbac_key_rotation_failures_total{schedule=\"a\"} 1
# HELP pbac_key_rotation_due_timestamp_seconds When the next rotation of the signing key is due.
# TYPE pbac_key_rotation_due_timestamp_seconds gauge
pbac_key_rotation_due_timestamp_seconds{schedule=\"a\"} 45200
# HELP pbac_key_rotation_days_to_due Days from the last run to the next rotation; negative when overdue.
# TYPE pbac_key_rotation_days_to_due gauge
pbac_key_rotation_days_to_due{schedule=\"a\"} 0.500
"
        );
        assert_eq!(Metrics::read(&path, &name).unwrap(), Some(second));
    }

    #[test]
    fn a_failure_leaves_success_where_it_was() {
        let good = Metrics::default().after(at(1000), false, Some(at(5000)));
        let bad = good.after(at(90_000), true, None);
        assert_eq!((bad.last_success, bad.last_run), (Some(at(1000)), Some(at(90_000))));
        assert_eq!((bad.failures, bad.due), (1, Some(at(5000))));
        assert!(bad.text(&name("a"), at(91_400)).ends_with("{schedule=\"a\"} -1.000\n"));
    }

    #[test]
    fn the_figures_of_others_are_not_touched() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("node.prom");
        for foreign in [
            "node_boot_time 5\n",
            "pbac_key_rotation_failures_total{schedule=\"b\"} 1\n",
            "x{schedule=\"a\"} 1",
        ] {
            std::fs::write(&path, foreign).unwrap();
            assert!(matches!(Metrics::read(&path, &name("a")), Err(MetricsError::Foreign { line: 1, .. })));
        }
        std::fs::write(&path, "# nothing yet\n\npbac_key_rotation_failures_total{schedule=\"a\"} many\n")
            .unwrap();
        assert_eq!(Metrics::read(&path, &name("a")).unwrap(), Some(Metrics::default()));
    }
}
