//! Whatever ends a migration, a rollback or a restoration, at whichever step: the database is as before or as after, the
//! audit log is whole, and the next run says which it is and goes on to the end.
//!
//! The steps are those that the code enumerates; a step that is added is ended here too.

#[path = "crash/harm.rs"]
mod harm;
#[path = "crash/place.rs"]
mod place;
#[path = "crash/scenario.rs"]
mod scenario;
#[path = "crash/stage.rs"]
mod stage;
#[path = "crash/words.rs"]
mod words;

use harm::Harm;
use place::Place;
use scenario::Scenario;
use stage::Stage;

/// How many moments of each piece of work are picked at random.
const MOMENTS: u64 = 8;

/// Every step of one piece of work, ended in one way.
async fn at_every_step(scenario: Scenario, harm: Harm) {
    let place = match harm {
        Harm::Crash => Place::of_its_own(),
        _ => Place::shared(),
    };
    let mut stage = Stage::set(place, scenario).await;
    for step in stage.steps() {
        stage.end_at(step, harm).await;
    }
}

macro_rules! every_way_to_end {
    ($($name:ident: $scenario:expr;)+) => {
        $(mod $name {
            use super::*;

            #[tokio::test]
            async fn by_killing_the_process() {
                at_every_step($scenario, Harm::Kill).await;
            }

            #[tokio::test]
            async fn by_ending_its_connections() {
                at_every_step($scenario, Harm::Connections).await;
            }

            #[tokio::test]
            async fn by_ending_the_connection_of_its_lock() {
                at_every_step($scenario, Harm::Lock).await;
            }

            #[tokio::test]
            async fn by_an_interrupt() {
                at_every_step($scenario, Harm::Interrupt).await;
            }

            #[tokio::test]
            async fn by_a_crash_of_the_server() {
                at_every_step($scenario, Harm::Crash).await;
            }

            #[tokio::test]
            async fn by_killing_it_at_any_moment() {
                let mut stage = Stage::set(Place::shared(), $scenario).await;
                for seed in 0..MOMENTS {
                    stage.end_at_any_moment(seed).await;
                }
            }

            #[tokio::test]
            async fn and_the_steps_are_those_that_the_code_enumerates() {
                Stage::set(Place::shared(), $scenario).await.tells_every_step().await;
            }
        })+
    };
}

every_way_to_end! {
    the_first_migration: Scenario::First;
    a_later_migration: Scenario::Later;
    a_rollback_that_parks: Scenario::Park;
    a_rollback_that_drops: Scenario::Drop;
    a_restoration_of_what_is_parked: Scenario::Unpark;
    a_restoration_of_a_backup: Scenario::FromBackup;
}
