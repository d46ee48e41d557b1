//! A scheduler that does what is due once a day, for ten years: nothing is ever refused or forced, and no key signs for much
//! longer than it should.

use fastrand::Rng;
use pbac_tests::key_cases::{self, Op};
use pbac_tests::key_line::{time, time_text};
use pbac_tests::key_oracle::Rules;
use policy_core::Timestamp;
use policy_core::keys::{DueStep, KeyHistory};

const DOCUMENT: [&str; 3] = ["90d", "270d", "15m"];

fn rules(fleet: bool) -> Rules {
    let [rotation, grace, staging] = DOCUMENT.map(time);
    Rules { rotation, history: 3, grace, staging, fleet }
}

/// Does what is due at `now`, and says what that was.
fn run_once(history: &mut KeyHistory, rules: &Rules, now: i64, names: &mut u32) -> DueStep {
    let core = key_cases::core_rules(rules);
    let due = history.due(&core, Timestamp::from_micros(now));
    let fresh = || format!("K{names}");
    let op = match due {
        DueStep::Nothing => return due,
        DueStep::Stage => Op::Stage(fresh(), "HS256".to_owned()),
        DueStep::Promote => Op::Promote(false),
        DueStep::Rotate => Op::Rotate(fresh(), "HS256".to_owned(), false),
    };
    *names += 1;
    let (after, _) = key_cases::apply_to_core(history, &op, &core, now)
        .unwrap_or_else(|refusal| panic!("at {}: {op:?} is refused: {refusal}", time_text(now)));
    *history = after;
    assert_ne!(history.due(&core, Timestamp::from_micros(now)), due, "it is done, and due again");
    due
}

#[test]
fn ten_years_of_daily_runs_are_never_refused() {
    for fleet in [false, true] {
        for seed in 0..100 {
            let mut rng = Rng::with_seed(seed);
            let rules = rules(fleet);
            let (mut history, mut names, mut last, mut longest) = (KeyHistory::default(), 0, 0, 0);
            let mut rotations = 0;
            for day in 0..3652 {
                // `RandomizedDelaySec`; sometimes the machine is off for days, and starts up at any hour.
                if rng.u8(..50) == 0 {
                    continue;
                }
                let now = day * time("1d") + rng.i64(0..time("2h"));
                let signed = history.active().map(|key| key.id.clone());
                run_once(&mut history, &rules, now, &mut names);
                if history.active().map(|key| key.id.clone()) != signed {
                    longest = longest.max(now - last);
                    last = now;
                    rotations += 1;
                }
            }
            // A fleet stages on one day and promotes on the next, and a run may fall out.
            assert!(longest <= time("96d"), "a key signed for {}", time_text(longest));
            assert!((38..=41).contains(&rotations), "{rotations} rotations in ten years");
        }
    }
}

#[test]
fn on_time_to_the_microsecond_the_cycle_is_that_of_the_document() {
    let rules = rules(false);
    let (mut history, mut names) = (KeyHistory::default(), 0);
    for day in 0..3652 {
        let now = day * time("1d");
        let due = run_once(&mut history, &rules, now, &mut names);
        assert_eq!(due == DueStep::Rotate, day % 90 == 0, "day {day}");
        let kept = i64::from(history.retired().count() as u32);
        assert_eq!(kept, (day / 90).min(3), "day {day}");
    }
}
