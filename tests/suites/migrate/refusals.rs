//! What preflight finds, with its count and first ids; nothing is touched then.

use pbac::error::HostError;
use pbac::exit::Exit;
use pbac::legacy::FindingCode;
use pbac::migrate::apply::{Ending, Manner, migrate};
use pbac::migrate::plan::Wanted;
use pbac::migrate::preflight::Tolerance;
use pbac::policy_file::PolicyFile;
use pbac::postgres::DatabaseUrl;
use policy_core::{Pattern, Policy};

use crate::world::{SMALL, World, erp_endpoints, erp_policy, policy, small};

/// Refused, and nothing is there afterwards that was not before.
async fn refused(world: &World, file: &PolicyFile) -> HostError {
    let before = world.snapshot().await;
    let error = world.migrate(file).await.unwrap_err();
    assert_eq!(world.snapshot().await, before);
    error
}

fn says(error: &HostError, exit: Exit, words: &[&str]) {
    assert_eq!(error.exit(), exit, "{error}");
    for word in words {
        assert!(error.to_string().contains(word), "`{word}` is not in: {error}");
    }
}

#[tokio::test]
async fn labels_that_stand_for_no_role() {
    let world = World::small().await;
    world.run("INSERT INTO public.users SELECT n, 'GONE', true FROM generate_series(10, 17) n").await;
    let error = refused(&world, &small()).await;
    says(
        &error,
        Exit::Mismatch,
        &["8 label `GONE` stands for no role", "first: `10`, `11`, `12`, `13`, `14`)"],
    );

    // Case counts, and blanks do.
    world.run("UPDATE public.users SET role = 'boss ' WHERE role = 'GONE'").await;
    says(&refused(&world, &small()).await, Exit::Mismatch, &["`boss `"]);

    let renamed = policy(&format!("{SMALL}[source.rename]\n\"boss \" = \"BOSS\"\n\"NEVER\" = \"CLERK\"\n"));
    let migration = world.migrate(&renamed).await.unwrap();
    assert_eq!(migration.ending, Ending::Migrated);
    let unused: Vec<_> = migration.findings.iter().filter(|f| f.code == FindingCode::UnusedRename).collect();
    assert_eq!(unused[0].first, ["NEVER"]);
    assert!(world.one::<bool>("SELECT pbac.has_permission('10', 'po.approve')").await);
}

#[tokio::test]
async fn labels_of_the_enumeration_that_nobody_has() {
    let world = World::empty().await;
    world
        .run(
            "CREATE TYPE public.job AS ENUM ('BOSS', 'CLERK', 'FUTURE'); \
             CREATE TABLE public.users (id int PRIMARY KEY, role public.job NOT NULL, active boolean NOT NULL); \
             INSERT INTO public.users VALUES (1, 'BOSS', true)",
        )
        .await;
    says(&refused(&world, &small()).await, Exit::Mismatch, &["0 label `FUTURE` stands for no role"]);
    let with = policy(&SMALL.replace("[source]", "[roles.FUTURE]\n[source]"));
    let plan = world.plan(&with).await.unwrap();
    let labels: Vec<_> =
        plan.preflight.legacy.unwrap().labels.into_iter().map(|l| (l.label, l.users)).collect();
    assert_eq!(labels, [("BOSS".to_owned(), 1), ("CLERK".to_owned(), 0), ("FUTURE".to_owned(), 0)]);
    // A domain over the enumeration has its labels too.
    world
        .run("CREATE DOMAIN public.post AS public.job; ALTER TABLE public.users ALTER role TYPE public.post")
        .await;
    says(&refused(&world, &small()).await, Exit::Mismatch, &["`FUTURE`"]);
    assert_eq!(world.migrate(&with).await.unwrap().ending, Ending::Migrated);
}

#[tokio::test]
async fn users_without_a_role_or_of_unknown_activity() {
    let world = World::small().await;
    world.run("INSERT INTO public.users VALUES (7, NULL, true), (6, 'CLERK', NULL), (8, NULL, NULL)").await;
    let error = refused(&world, &small()).await;
    says(
        &error,
        Exit::Mismatch,
        &[
            "2 users have no role",
            "(first: `7`, `8`)",
            "2 users are neither active nor inactive",
            "(first: `6`, `8`)",
        ],
    );
    world.run("UPDATE public.users SET role = 'CLERK' WHERE role IS NULL").await;
    for (meaning, held) in [("inactive", 0), ("active", 1)] {
        let file = policy(
            &SMALL
                .replace("active = \"active\"", &format!("active = \"active\"\nnull_active = \"{meaning}\"")),
        );
        assert_eq!(world.migrate(&file).await.unwrap().ending, Ending::Migrated);
        let count: i64 = world.one("SELECT count(*) FROM pbac.effective_permissions('6')").await;
        assert_eq!(count, held, "{meaning}");
    }
}

#[tokio::test]
async fn a_source_that_is_not_there() {
    let world = World::small().await;
    let with = |from: &str, to: &str| policy(&SMALL.replace(from, to));
    for (from, to, words) in [
        ("public.users", "public.people", "the table `public.people` is not there"),
        ("\"id\"", "\"uid\"", "`public.users` has no column `uid`; check `user_id`"),
        ("role = \"role\"", "role = \"job\"", "no column `job`; check `role`"),
        ("active = \"active\"", "active = \"on\"", "no column `on`; check `active`"),
        (
            "active = \"active\"",
            "active = \"role\"",
            "the column `role` of `public.users` is `text`, and `active` takes a boolean",
        ),
    ] {
        says(&refused(&world, &with(from, to)).await, Exit::Mismatch, &[words]);
    }
    world.run("ALTER TABLE public.users ALTER role TYPE text[] USING ARRAY[role]").await;
    says(
        &refused(&world, &small()).await,
        Exit::Mismatch,
        &["is `text[]`, and `role` takes one value a user"],
    );
}

#[tokio::test]
async fn user_ids_that_tell_nobody_apart() {
    let world = World::empty().await;
    world
        .run(
            "CREATE TABLE public.users (id text, role text, active boolean); \
             INSERT INTO public.users VALUES ('a', 'BOSS', true), ('a', 'CLERK', true), ('', 'CLERK', true), \
             (NULL, 'CLERK', true), (repeat('x', 257), 'CLERK', true)",
        )
        .await;
    let error = refused(&world, &small()).await;
    says(&error, Exit::Mismatch, &["3 user ids are null, empty or longer than 256 bytes", "`NULL`"]);
    says(
        &error,
        Exit::Mismatch,
        &["user ids are there more than once; name a column that tells users apart", "(first: `a`)"],
    );
}

#[tokio::test]
async fn the_last_administrator() {
    let world = World::small().await;
    world.run("UPDATE public.users SET active = false WHERE id = 1").await;
    let error = refused(&world, &small()).await;
    says(&error, Exit::Refused, &["no active user without a deny will hold the whole catalog"]);

    world.run("UPDATE public.users SET active = true WHERE id = 1").await;
    world.migrate(&small()).await.unwrap();
    // The only one is denied something: whoever else there is holds less.
    world
        .run("INSERT INTO pbac.user_custom_permissions VALUES ('1', 'po.approve', 'deny', NULL, 'r', 'me')")
        .await;
    let changed = policy(&SMALL.replace("grants = [\"po.view\"]", "grants = [\"po.v*\"]"));
    says(&world.migrate(&changed).await.unwrap_err(), Exit::Refused, &["no active user without a deny"]);
    world.run("UPDATE pbac.user_custom_permissions SET expires_at = now() - interval '1 s'").await;
    assert_eq!(world.migrate(&changed).await.unwrap().ending, Ending::Migrated);

    world.run("UPDATE public.users SET active = false WHERE id = 1").await;
    let file = small();
    let tolerance = Tolerance { no_administrator: true, strict: false };
    let wanted = Wanted { file: &file, endpoints: None, tolerance };
    let migration = migrate(&world.target(), &wanted, Manner::default(), &|_| {}).await.unwrap();
    assert_eq!(migration.ending, Ending::Migrated);
    assert!(migration.findings.iter().any(|finding| finding.code == FindingCode::NoAdministrator));
}

#[tokio::test]
async fn access_that_somebody_would_gain() {
    let world = World::erp(200).await;
    let endpoints = erp_endpoints();
    let security = |change: &dyn Fn(&mut Vec<Pattern>)| {
        let mut parts = erp_policy().policy.into_parts();
        change(&mut parts.roles.iter_mut().find(|role| role.name.as_str() == "SECURITY").unwrap().grants);
        PolicyFile { policy: Policy::new(parts).unwrap(), ..erp_policy() }
    };
    let generous = security(&|grants| grants.push(Pattern::parse("po.approve").unwrap()));
    let before = world.snapshot().await;
    let error = world.migrate_with(&generous, Some(&endpoints), Manner::default()).await.unwrap_err();
    says(
        &error,
        Exit::Refused,
        &["are allowed by the policy, were not by the legacy rules", "`SECURITY po.approve (6)`"],
    );
    assert_eq!(world.snapshot().await, before);

    // What is lost is shown and counted, and does not stop.
    let strict = security(&|grants| grants.clear());
    let migration = world.migrate_with(&strict, Some(&endpoints), Manner::default()).await.unwrap();
    let lost = migration.findings.iter().find(|finding| finding.code == FindingCode::AccessLost).unwrap();
    assert!(lost.count > 0 && lost.first.iter().all(|pair| pair.starts_with("SECURITY ")), "{lost:?}");
}

#[tokio::test]
async fn conflicts_only_where_it_is_strict() {
    let world = World::small().await;
    let file = policy(&SMALL.replace(
        "[source]",
        "[[conflicts]]\nname = \"c\"\npatterns = [\"po.view\", \"po.approve\"]\n[source]",
    ));
    let strict = Tolerance { no_administrator: false, strict: true };
    let wanted = Wanted { file: &file, endpoints: None, tolerance: strict };
    let error = migrate(&world.target(), &wanted, Manner::default(), &|_| {}).await.unwrap_err();
    says(&error, Exit::Refused, &["roles hold both duties of the conflict `c` (first: `BOSS`)"]);
    assert_eq!(world.migrate(&file).await.unwrap().ending, Ending::Migrated);
}

#[tokio::test]
async fn a_user_who_may_not() {
    let world = World::small().await;
    let user = format!("{}_user", world.database.name().as_str());
    world.run(&format!("CREATE ROLE {user} LOGIN")).await;
    let text = world.database.url_text();
    let mut url = url::Url::parse(text).unwrap();
    let pairs: Vec<(String, String)> =
        url.query_pairs().into_owned().filter(|(name, _)| name != "user").collect();
    url.query_pairs_mut().clear().extend_pairs(&pairs).append_pair("user", &user);
    let url: DatabaseUrl = url.as_str().parse().unwrap();
    let file = small();
    let wanted = Wanted { file: &file, endpoints: None, tolerance: Tolerance::default() };
    let target = pbac::migrate::apply::Target { url: &url, ..world.target() };
    let go = async || migrate(&target, &wanted, Manner::default(), &|_| {}).await;

    let error = go().await.unwrap_err();
    says(
        &error,
        Exit::Failed,
        &["may not create the schema `pbac`", "may not read the column `id` of `public.users`"],
    );
    world.run(&format!("GRANT SELECT ON public.users TO {user}; CREATE SCHEMA pbac")).await;
    says(&go().await.unwrap_err(), Exit::Failed, &["may not create tables in `pbac`"]);
    // Whoever may read the users and make a schema may migrate: nothing more is needed.
    world.run(&format!("ALTER SCHEMA pbac OWNER TO {user}")).await;
    assert_eq!(go().await.unwrap().ending, Ending::Migrated);
    assert!(world.one::<bool>("SELECT pbac.has_permission('1', 'po.approve')").await);

    world.run("ALTER TABLE public.users ENABLE ROW LEVEL SECURITY").await;
    says(&go().await.unwrap_err(), Exit::Mismatch, &["row security of `public.users` may hide users"]);
    world.run(&format!("REASSIGN OWNED BY {user} TO postgres; DROP OWNED BY {user}; DROP ROLE {user}")).await;
}

#[tokio::test]
async fn tables_that_are_not_all_there() {
    let world = World::small().await;
    world.run("CREATE SCHEMA pbac; CREATE TABLE pbac.permissions (id int)").await;
    let error = refused(&world, &small()).await;
    says(
        &error,
        Exit::NeedsPerson,
        &["has some of pbac's tables and lacks others", "`audit_log`, `pbac_migrations`"],
    );
}
