//! What a rollback runs when the tables are gone: the application's restart, then whether it is up and lets users in.

use crate::config::{Check, Rollback};
use crate::subprocess::check::{CheckOutcome, Surroundings, run};

/// The configured commands by name, in the order in which they run.
#[must_use]
pub fn configured(settings: &Rollback) -> [(&'static str, Option<&Check>); 3] {
    [
        ("restart", settings.restart.as_ref()),
        ("health_check", settings.health_check.as_ref()),
        ("login_check", settings.login_check.as_ref()),
    ]
}

/// Runs all of them, also after one has failed: whether users can log in is worth knowing all the more then.
pub async fn run_all(settings: &Rollback) -> Vec<CheckOutcome> {
    let mut outcomes = Vec::new();
    for (name, check) in configured(settings) {
        outcomes.push(match check {
            Some(check) => run(name, check, Surroundings::default()).await,
            None => CheckOutcome::skipped(name),
        });
    }
    outcomes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::CommandLine;
    use crate::subprocess::check::CheckStatus;

    #[tokio::test]
    async fn a_failure_stops_none_of_the_rest() {
        let shell =
            |line: &str| Some(Check { command: CommandLine::Shell(line.to_owned()), timeout_ms: 5000 });
        let settings =
            Rollback { restart: shell("exit 3"), health_check: shell("exit 0"), login_check: None };
        let outcomes = run_all(&settings).await;
        let status: Vec<CheckStatus> = outcomes.iter().map(|outcome| outcome.status).collect();
        assert_eq!(status, [CheckStatus::Failed, CheckStatus::Succeeded, CheckStatus::Skipped]);
    }
}
