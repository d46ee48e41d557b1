//! What the demo does, step by step, and what each step proves.

use std::time::Duration;

use super::Cast;
use crate::exit::Exit;

/// One step: a command, how it must end, and what that proves.
#[derive(Clone, Debug)]
pub struct Scene {
    /// What it shows, as a heading.
    pub title: &'static str,
    /// What is proved when the command ends as it must.
    pub proves: &'static str,
    /// The arguments of `pbac`.
    pub command: Vec<String>,
    /// How the command must end.
    pub ends: Exit,
    /// How long to wait before it.
    pub pause: Duration,
}

/// How long the override of the demo lasts: long enough to be asked about once while it is active.
const LASTING_SECONDS: u64 = 4;

/// The steps after the legacy database is there.
#[must_use]
pub fn script(cast: &Cast) -> Vec<Scene> {
    let Cast { purchasing_head: head, warehouse_staff: staff, superadmin, inactive } = cast;
    let lasting = format!("+{LASTING_SECONDS}s");
    vec![
        scene(
            "Plan",
            "what would be done is known before anything is; planning changes nothing",
            Exit::Done,
            &["plan"],
        ),
        scene(
            "Rehearse",
            "the whole migration works on this database, and leaves no trace when it is rolled back",
            Exit::Done,
            &["migrate", "--dry-run"],
        ),
        scene(
            "Migrate",
            "schema, catalog, grants and the four validations commit together; every legacy endpoint answers as before",
            Exit::Done,
            &["migrate"],
        ),
        scene("Migrate again", "a second run with the same policy changes nothing", Exit::Done, &["migrate"]),
        scene(
            "Validate",
            "what is stored is the policy, and SQL and the core give every role the same",
            Exit::Done,
            &["validate"],
        ),
        scene(
            "A question, allowed",
            "a role's wildcard or name answers, and says which",
            Exit::Done,
            &["check", head, "po.approve"],
        ),
        scene(
            "The same question, denied",
            "who does not hold it is denied: status 3",
            Exit::Denied,
            &["check", staff, "po.approve"],
        ),
        scene(
            "A typo opens no door",
            "a permission that is not in the catalog is denied, even to `*`",
            Exit::Denied,
            &["check", superadmin, "po.aprove"],
        ),
        scene(
            "An inactive account",
            "who cannot log in holds nothing",
            Exit::Denied,
            &["check", inactive, "sewing.start"],
        ),
        scene(
            "An override that expires",
            "one user gets one permission for a while, from somebody who holds it",
            Exit::Done,
            &[
                "grant",
                staff,
                "po.approve",
                "--by",
                head,
                "--expires",
                &lasting,
                "--reason",
                "covers for a colleague",
            ],
        ),
        scene("While it lasts", "the override allows", Exit::Done, &["check", staff, "po.approve"]),
        Scene {
            pause: Duration::from_secs(LASTING_SECONDS),
            ..scene(
                "After it has expired",
                "nobody had to take it away, and the explanation shows it",
                Exit::Denied,
                &["explain", staff, "po.approve"],
            )
        },
        scene(
            "Nobody gives what they do not hold",
            "a grant is refused unless the granting user holds all of it: status 6",
            Exit::Refused,
            &["grant", staff, "users.*", "--by", staff],
        ),
        scene(
            "A deny",
            "a permission can be taken from one user, whatever the roles say",
            Exit::Done,
            &[
                "grant",
                superadmin,
                "po.*",
                "--deny",
                "--by",
                superadmin,
                "--reason",
                "leaves the purchasing board",
            ],
        ),
        scene(
            "A deny beats `*`",
            "the superadmin's `*` no longer gives it",
            Exit::Denied,
            &["check", superadmin, "po.approve"],
        ),
        scene(
            "Roll back",
            "a tested backup is written, the tables are parked at once, the legacy tables are as they were",
            Exit::Done,
            &["rollback", "--yes", "--backup-dir", "."],
        ),
        scene(
            "Bring it back",
            "what was parked returns exactly, the deny among it",
            Exit::Done,
            &["restore"],
        ),
        scene("It is all there", "the deny still counts", Exit::Denied, &["check", superadmin, "po.approve"]),
        scene(
            "Roll back once more",
            "the way back works as often as it is needed",
            Exit::Done,
            &["rollback", "--yes", "--backup-dir", "."],
        ),
        scene(
            "Migrate anew",
            "a migration after a rollback starts from the actual state",
            Exit::Done,
            &["migrate"],
        ),
        scene(
            "Read the record",
            "every step is in the audit log, and its chain of hashes holds",
            Exit::Done,
            &["audit", "verify"],
        ),
    ]
}

fn scene(title: &'static str, proves: &'static str, ends: Exit, command: &[&str]) -> Scene {
    Scene {
        title,
        proves,
        command: command.iter().map(ToString::to_string).collect(),
        ends,
        pause: Duration::ZERO,
    }
}
