//! The pieces of work, and what has to be there before each.

use std::path::{Path, PathBuf};

use pbac_tests::stepper::Work;

/// A piece of work on a database that is ready for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// A migration where there is nothing of ours.
    First,
    /// Another policy over one that is in force.
    Later,
    /// A rollback that parks.
    Park,
    /// A rollback that drops.
    Drop,
    /// A restoration of what is parked.
    Unpark,
    /// A restoration of a backup.
    FromBackup,
}

impl Scenario {
    /// What is done before.
    pub fn before(self, directory: &Path) -> Vec<Work> {
        let migrate = || Work::Migrate { policy: policy(FIRST) };
        let rollback = |drop| Work::Rollback { drop, directory: directory.to_owned() };
        match self {
            Self::First => vec![],
            Self::Later | Self::Park | Self::Drop => vec![migrate()],
            Self::Unpark => vec![migrate(), rollback(false)],
            Self::FromBackup => vec![migrate(), rollback(true)],
        }
    }

    /// What is to be done.
    pub fn work(self, directory: &Path) -> Work {
        match self {
            Self::First => Work::Migrate { policy: policy(FIRST) },
            Self::Later => Work::Migrate { policy: policy(LATER) },
            Self::Park | Self::Drop => {
                Work::Rollback { drop: self == Self::Drop, directory: directory.to_owned() }
            }
            Self::Unpark => Work::Restore { backup: None },
            Self::FromBackup => Work::Restore { backup: Some(the_backup(directory)) },
        }
    }

    /// How the next run ends: where nothing of the earlier one stays, and where all of it does.
    pub const fn endings(self) -> [&'static str; 2] {
        match self {
            Self::First | Self::Later => ["migrated", "unchanged"],
            Self::Park | Self::Drop => ["rolled_back", "nothing_to_do"],
            Self::Unpark | Self::FromBackup => ["restored", "nothing_to_do"],
        }
    }
}

/// The only backup in the directory.
fn the_backup(directory: &Path) -> PathBuf {
    let mut found = directory.read_dir().unwrap().map(|entry| entry.unwrap().path());
    found.next().expect("the rollback before wrote a backup")
}

fn policy(roles: &str) -> String {
    format!("{POLICY}{roles}{SOURCE}")
}

const POLICY: &str = r#"
[policy]
name = "shop"
version = 1
[modules.buying.permissions]
"po.view" = "See orders"
"po.approve" = "Approve orders"
"stock.view" = "See the stock"
[[conflicts]]
name = "four eyes"
patterns = ["po.view", "po.approve"]
reason = "nobody approves their own"
"#;

const FIRST: &str = r#"
[roles.HEAD]
grants = ["po.*"]
inherits = ["BUYER"]
aliases = ["Head"]
[roles.BUYER]
grants = ["po.view"]
"#;

const LATER: &str = r#"
[roles.HEAD]
grants = ["*"]
aliases = ["Head", "Chief"]
[roles.BUYER]
grants = ["po.view", "stock.view"]
[roles.AUDITOR]
grants = ["*.view"]
"#;

const SOURCE: &str = r#"
[source]
kind = "role-column"
table = "public.users"
user_id = "id"
role = "role"
active = "is_active"
"#;

/// The legacy tables.
pub const LEGACY: &str = "
    CREATE TABLE public.users (id serial PRIMARY KEY, role text NOT NULL, is_active boolean NOT NULL);
    CREATE TABLE public.orders (id serial PRIMARY KEY, by_user integer REFERENCES public.users (id));
    INSERT INTO public.users (role, is_active)
        SELECT (ARRAY['HEAD', 'BUYER', 'Head'])[i % 3 + 1], i % 5 <> 0 FROM generate_series(1, 60) i;
    INSERT INTO public.orders (by_user) SELECT i FROM generate_series(1, 60) i;
";

/// What was granted since the migration, and only our tables know.
pub const GRANTED: &str = "
    INSERT INTO pbac.user_custom_permissions (user_id, pattern, effect, expires_at, reason, granted_by, granted_at) VALUES
        ('2', 'stock.*', 'allow', '2999-01-01', 'covers for a colleague', '1', '2026-01-01'),
        ('3', 'po.approve', 'deny', NULL, 'left the department', '1', '2026-01-01');
";
