//! Lines that were there before us: the old rotation, whose days count further than any month, and second ones.

use super::Entry;
use crate::report::printable;
use crate::schedule::finding::{Finding, FindingCode};

/// The script of the old rotation.
const OLD_SCRIPT: &str = "rotate_secret_key";
/// The longest month; a step beyond it never takes a second step.
const LONGEST_MONTH: u32 = 31;

/// A line that is worth a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldLine {
    /// Its number, from 1.
    pub line: usize,
    /// Whether it rotates the keys too, so that ours would be the second.
    pub rotates: bool,
    /// What about it.
    pub finding: Finding,
}

/// What is worth a word among the lines of a crontab, but for those of the schedule `name`. `config` is the settings
/// file of that schedule: a line that calls pbac for it, without being marked as ours, was written by hand.
#[must_use]
pub fn old_lines(entries: &[Entry], place: &str, name: &str, config: Option<&str>) -> Vec<OldLine> {
    let others = entries.iter().filter(|entry| entry.schedule() != Some(name));
    others.filter_map(|entry| old_line(entry, place, config)).collect()
}

fn old_line(entry: &Entry, place: &str, config: Option<&str>) -> Option<OldLine> {
    let place = format!("{place} line {}", entry.line);
    let when = entry.fields.join(" ");
    let when = printable(&when);
    let monthly = first_day(entry).map(|(field, day)| {
        format!("`{when}` does not run every so many days: no month has a day for the second step of `{field}`, so it runs on day {day} of every month")
    });
    let old =
        |rotates, finding: Finding| Some(OldLine { line: entry.line, rotates, finding: finding.at(&place) });
    if entry.command.contains(OLD_SCRIPT) {
        let message = match monthly {
            Some(monthly) => {
                format!("it runs the old rotation; {monthly}, and three old keys then last 90 days, not 270")
            }
            None => format!("it runs the old rotation (`{when}`)"),
        };
        let finding = Finding::stops(FindingCode::OldRotation, message)
            .help("--replace-old takes the line away, --keep-old leaves it; two rotations shorten the time for which old keys hold");
        return old(true, finding);
    }
    let calls_pbac = entry.command.contains("pbac")
        && (entry.command.contains("keys rotate") || entry.command.contains("schedule run"));
    if calls_pbac && config.is_some_and(|config| names(&entry.command, config)) {
        let finding = Finding::stops(
            FindingCode::Duplicate,
            format!("it rotates the same keys (`{when}`), and this schedule did not write it"),
        )
        .help("--replace-old takes the line away, --keep-old leaves it");
        return old(true, finding);
    }
    let finding = Finding::worth_a_look(FindingCode::MonthlyLine, monthly?)
        .help("if it should run less often, let it run daily and decide by itself whether it is time");
    old(false, finding)
}

/// Whether the path stands in the command, and not only as the beginning of a longer one. Quoted for cron, a `%` has a
/// backslash before it.
pub(super) fn names(command: &str, path: &str) -> bool {
    let command = command.replace("\\%", "%");
    command.match_indices(path).any(|(at, found)| {
        let after = command.get(at.saturating_add(found.len())..).and_then(|rest| rest.chars().next());
        after.is_none_or(|letter| {
            letter.is_whitespace() || matches!(letter, '\'' | '"' | ';' | '&' | '|' | ')')
        })
    })
}

/// The part of the days of the month whose step is longer than a month, and the one day it comes to.
fn first_day(entry: &Entry) -> Option<(&str, u32)> {
    let days = entry.fields.get(2)?;
    days.split(',').find_map(|part| {
        let (range, step) = part.split_once('/')?;
        let step: u32 = step.parse().ok()?;
        let first = match range {
            "*" => 1,
            range => range.split('-').next()?.parse().ok()?,
        };
        (step > LONGEST_MONTH).then_some((part, first))
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::super::entries;
    use super::*;

    fn of(text: &str) -> Vec<OldLine> {
        old_lines(&entries(text.as_bytes(), false), "the crontab", "ours", Some("/srv/erp/pbac.toml"))
    }

    #[test]
    fn the_line_of_the_document_runs_every_month() {
        let found = of(
            "0 2 */90 * * cd /erp && python scripts/rotate_secret_key.py && docker-compose restart backend\n",
        );
        let line = found.first().unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((line.rotates, line.finding.code), (true, FindingCode::OldRotation));
        let message = &line.finding.message;
        assert!(
            message.contains("day 1 of every month") && message.contains("90 days, not 270"),
            "{message}"
        );
        assert_eq!(line.finding.place.as_deref(), Some("the crontab line 1"));
    }

    #[test]
    fn steps_beyond_a_month_are_told_from_those_within() {
        for (days, first) in [("*/90", 1), ("*/32", 1), ("5-20/45", 5), ("1,7/99", 7), ("1-31/100", 1)] {
            let found = of(&format!("0 2 {days} * * backup\n"));
            assert_eq!(found.len(), 1, "{days}: {found:?}");
            let line = found.first().unwrap();
            assert_eq!((line.rotates, line.finding.code), (false, FindingCode::MonthlyLine));
            assert!(
                !line.finding.stops && line.finding.message.contains(&format!("on day {first} of")),
                "{line:?}"
            );
        }
        for sound in ["*/31", "*/2", "1", "*", "1-5", "L", "*/x", "*/99999999999"] {
            assert!(of(&format!("0 2 {sound} * * backup\n")).is_empty(), "{sound}");
        }
        assert!(of("@daily rest */90\n*/90 * * * * x\n# 0 2 */90 * * rotate_secret_key.py\n").is_empty());
    }

    #[test]
    fn a_second_rotation_of_the_same_keys_is_one() {
        let line = |config: &str| format!("1 2 * * * pbac --config {config} keys rotate --if-due\n");
        let codes = |text: &str| of(text).into_iter().map(|line| line.finding.code).collect::<Vec<_>>();
        assert_eq!(codes(&line("/srv/erp/pbac.toml")), [FindingCode::Duplicate]);
        assert_eq!(codes(&line("'/srv/erp/pbac.toml'")), [FindingCode::Duplicate]);
        assert!(codes(&line("/srv/erp/pbac.toml.old")).is_empty());
        assert!(codes(&line("/srv/other/pbac.toml")).is_empty());
        let marked = |name: &str| {
            format!("1 2 * * * pbac --config /srv/erp/pbac.toml schedule run # pbac schedule: {name}\n")
        };
        assert!(codes(&marked("ours")).is_empty());
        assert_eq!(codes(&marked("other")), [FindingCode::Duplicate]);
    }
}
