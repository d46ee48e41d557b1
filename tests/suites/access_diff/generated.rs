//! Generated worlds: every user, every permission and every endpoint, one by one, against what is computed kind by kind.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use pbac::access_diff::{AccessDiff, Question};
use pbac::endpoints::{Endpoint, Endpoints};
use pbac::policy_file::{Activity, Gainer, PolicyFile, SignOff, Source};
use pbac::postgres::{Identifier, QualifiedName, policy_store, schema};
use pbac_tests::database::TestDatabase;
use pbac_tests::world::{Ask, World};
use pbac_tests::{convert, generate, oracle};
use policy_core::{PermissionName, PolicyParts, Timestamp, UserId};
use sqlx::{Connection, PgConnection};

/// Worlds compared when `PBAC_CASES` does not ask for more.
const WORLDS: usize = 250;
const NOW: i64 = 0;
const IDS: [&str; 10] = ["1", "11", "u", "U", "ü", "O'Brien", "2", "10", "x y", "{}"];

/// Somebody in the legacy table, who may have several rows.
struct LegacyUser {
    id: &'static str,
    labels: Vec<String>,
    active: bool,
}

struct Case {
    world: World,
    users: Vec<LegacyUser>,
    rename: BTreeMap<String, String>,
    endpoints: Endpoints,
    signed_off: Vec<SignOff>,
}

/// What users of the same labels gain or lose of one permission.
type Differences = BTreeMap<Key, Users>;

/// Whether they are strangers, their labels, whether they gain, and what.
type Key = (bool, Vec<String>, bool, String);

#[derive(Debug, Default, PartialEq, Eq)]
struct Users {
    ids: BTreeSet<String>,
    endpoints: Vec<String>,
    /// Of how many of them it is what.
    standings: BTreeMap<Standing, u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Open,
    SignedOff,
    ByOverride,
    Plain,
}

#[tokio::test]
async fn agrees_with_every_user_asked_one_by_one() {
    let cases = std::env::var("PBAC_CASES").ok().and_then(|text| text.parse::<usize>().ok());
    // Each world is some hundreds of decisions.
    let worlds = cases.map_or(WORLDS, |cases| (cases / 10_000).max(WORLDS));
    let database = TestDatabase::create().await;
    let mut connection = database.connect().await;
    prepare(&mut connection).await;
    let mut seen: BTreeMap<(bool, Standing), usize> = BTreeMap::new();
    let (mut strangers, mut kinds_shared) = (0, 0);
    for seed in 0..worlds {
        let case = Case::make(&mut Rng::with_seed(seed as u64 ^ 0xACCE55));
        let found = case.compute(&mut connection).await;
        let expected = case.expected();
        assert_eq!(differences(&found), expected, "seed {seed}");
        let count = |gained: bool, standing: Standing| {
            let of = expected.iter().filter(|((.., up, _), _)| *up == gained);
            of.filter_map(|(_, users)| users.standings.get(&standing)).sum::<u64>()
        };
        let people = |gained: bool| {
            let of = expected.iter().filter(|((.., up, _), _)| *up == gained);
            of.flat_map(|(_, users)| &users.ids).collect::<BTreeSet<_>>().len() as u64
        };
        let gained = [Standing::Open, Standing::SignedOff, Standing::ByOverride].map(|is| count(true, is));
        let lost = [Standing::Plain, Standing::ByOverride].map(|is| count(false, is));
        assert_eq!(
            [found.gained.open, found.gained.signed_off, found.gained.by_override],
            gained,
            "seed {seed}"
        );
        assert_eq!(
            [
                found.gained.pairs,
                found.gained.users,
                found.lost.pairs,
                found.lost.users,
                found.lost.by_override
            ],
            [gained.iter().sum(), people(true), lost.iter().sum(), people(false), lost[1]],
            "seed {seed}"
        );
        assert_eq!(found.users as usize, case.users.len(), "seed {seed}");
        assert_eq!(found.active as usize, case.users.iter().filter(|user| user.active).count());
        strangers += found.strangers;
        kinds_shared += usize::from(found.kinds < (found.users + found.strangers) as usize);
        for ((.., gained, _), users) in &expected {
            for standing in users.standings.keys() {
                *seen.entry((*gained, *standing)).or_default() += 1;
            }
        }
    }
    println!("{worlds} worlds agree: {seen:?}");
    // What hardly ever came up would hardly be tested.
    for kind in [
        (true, Standing::Open),
        (true, Standing::SignedOff),
        (true, Standing::ByOverride),
        (false, Standing::Plain),
        (false, Standing::ByOverride),
    ] {
        assert!(seen.get(&kind).is_some_and(|count| *count >= 20), "{kind:?}: {seen:?}");
    }
    assert!(strangers > 20 && kinds_shared > 20, "{strangers} {kinds_shared}");
}

async fn prepare(connection: &mut PgConnection) {
    let schema = Identifier::new("pbac").unwrap();
    let mut transaction = connection.begin().await.unwrap();
    schema::ensure_audit_log(&mut transaction, &schema, "test").await.unwrap();
    schema::apply(&mut transaction, &schema, "test").await.unwrap();
    transaction.commit().await.unwrap();
    // Several rows of one user are what a join of tables gives.
    sqlx::raw_sql("CREATE TABLE public.users (id text, role text, active boolean)")
        .execute(connection)
        .await
        .unwrap();
}

/// What was found, by the same keys.
fn differences(found: &AccessDiff) -> Differences {
    let mut differences = Differences::new();
    for group in &found.groups {
        let gained = group.gained.iter().map(|change| (true, change));
        for (gained, change) in gained.chain(group.lost.iter().map(|change| (false, change))) {
            let plain = change.users - change.open - change.signed_off - change.by_override;
            let standings = [
                (Standing::Open, change.open),
                (Standing::SignedOff, change.signed_off),
                (Standing::ByOverride, change.by_override),
                (Standing::Plain, plain),
            ];
            let users = Users {
                ids: change.first.iter().cloned().collect(),
                endpoints: change.endpoints.clone(),
                standings: standings.into_iter().filter(|(_, users)| *users > 0).collect(),
            };
            assert_eq!(users.ids.len() as u64, change.users, "{group:?}");
            let key = (group.strangers, group.labels.clone(), gained, change.permission.clone());
            assert_eq!(differences.insert(key, users), None);
        }
    }
    differences
}

impl Case {
    fn make(rng: &mut Rng) -> Self {
        let mut world = generate::world(rng);
        for over in &mut world.overrides {
            // PostgreSQL holds fewer times than 64 bits; what matters is before, at or after now.
            over.expires_at = over.expires_at.map(|end| end.clamp(-1, 1_000));
        }
        world.users.clear();
        let mut labels: Vec<String> =
            world.roles.iter().flat_map(|role| role.aliases.iter().chain([&role.name]).cloned()).collect();
        let mut rename = BTreeMap::new();
        for at in 0..rng.usize(..3) {
            if let Some(role) = rng.choice(&world.roles) {
                rename.insert(format!("OLD {at}"), role.name.clone());
                labels.push(format!("OLD {at}"));
            }
        }
        labels.push("nobody".to_owned());
        let mut users = Vec::new();
        for id in IDS {
            if rng.u8(..5) == 0 {
                continue;
            }
            let count = [0, 1, 1, 1, 2, 3][rng.usize(..6)];
            let labels = rng.choose_multiple(labels.iter(), count).into_iter().cloned().collect();
            users.push(LegacyUser { id, labels, active: rng.u8(..6) != 0 });
        }
        let endpoints = endpoints(rng, &world, &labels);
        let signed_off = signed_off(rng, &world);
        Self { world, users, rename, endpoints, signed_off }
    }

    async fn compute(&self, connection: &mut PgConnection) -> AccessDiff {
        let schema = Identifier::new("pbac").unwrap();
        let mut transaction = connection.begin().await.unwrap();
        sqlx::raw_sql("DELETE FROM public.users; DELETE FROM pbac.user_custom_permissions")
            .execute(&mut *transaction)
            .await
            .unwrap();
        for user in &self.users {
            let rows = user.labels.iter().map(Some).chain(user.labels.is_empty().then_some(None));
            let last = user.labels.len().saturating_sub(1);
            for (at, label) in rows.enumerate() {
                // One row that is not active is enough, be it false or nothing.
                let active = if user.active || at < last { Some(true) } else { [None, Some(false)][at % 2] };
                sqlx::query("INSERT INTO public.users VALUES ($1, $2, $3)")
                    .bind(user.id)
                    .bind(label)
                    .bind(active)
                    .execute(&mut *transaction)
                    .await
                    .unwrap();
            }
        }
        let parts = convert::parts(&self.world).unwrap();
        for entry in &parts.overrides {
            policy_store::grant(&mut transaction, &schema, entry, "test").await.unwrap();
        }
        let file = PolicyFile {
            name: "generated".to_owned(),
            policy: policy_core::Policy::new(PolicyParts { overrides: Vec::new(), ..parts }).unwrap(),
            source: Some(self.source()),
            signed_off: self.signed_off.clone(),
            text_hash: String::new(),
        };
        let question = Question {
            file: &file,
            source: &self.source(),
            endpoints: &self.endpoints,
            overrides: Some(&schema),
            now: Timestamp::from_micros(NOW),
            keep: Some(usize::MAX),
        };
        let found = AccessDiff::compute(&mut transaction, &question).await.unwrap();
        transaction.rollback().await.unwrap();
        found
    }

    fn source(&self) -> Source {
        let column = |name: &str| Identifier::new(name).unwrap();
        Source {
            activity: Some(Activity::Boolean(column("active"))),
            rename: self.rename.clone(),
            ..Source::role_column(QualifiedName::parse("public.users").unwrap(), column("id"), column("role"))
        }
    }

    /// Everybody at every endpoint, by the words of the rules.
    fn expected(&self) -> Differences {
        let strangers: BTreeSet<&str> = self
            .world
            .overrides
            .iter()
            .filter(|over| over.expires_at.is_none_or(|end| NOW < end))
            .map(|over| over.user.as_str())
            .filter(|id| self.users.iter().all(|user| user.id != *id))
            .collect();
        let strangers = strangers.into_iter().map(|id| (true, id, &[][..], true));
        let listed = self.users.iter().map(|user| (false, user.id, user.labels.as_slice(), user.active));
        let mut expected = Differences::new();
        for (stranger, id, labels, active) in listed.chain(strangers) {
            let mut differing: BTreeMap<(bool, &str), (Standing, Vec<String>)> = BTreeMap::new();
            let roles: Vec<String> =
                labels.iter().map(|label| self.rename.get(label).unwrap_or(label).clone()).collect();
            for endpoint in &self.endpoints.endpoints {
                let permission = endpoint.permission.as_str();
                let before = active && labels.iter().any(|label| self.passed(label, endpoint));
                let after = active && self.holds(id, &roles, permission);
                if before == after {
                    continue;
                }
                // A user id that nothing is said about: roles alone.
                let by_roles = self.holds("no override is about me", &roles, permission);
                let standing = match (after, by_roles) {
                    (true, _) if self.is_signed_off(id, &roles, permission) => Standing::SignedOff,
                    (true, true) => Standing::Open,
                    (true, false) | (false, true) => Standing::ByOverride,
                    (false, false) => Standing::Plain,
                };
                let entry = differing.entry((after, permission)).or_insert_with(|| (standing, Vec::new()));
                entry.1.push(format!("{} {}", endpoint.method, endpoint.path));
            }
            let labels: Vec<String> = BTreeSet::from_iter(labels).into_iter().cloned().collect();
            for ((gained, permission), (standing, endpoints)) in differing {
                let key = (stranger, labels.clone(), gained, permission.to_owned());
                let users = expected.entry(key).or_default();
                users.ids.insert(id.to_owned());
                users.endpoints = endpoints;
                *users.standings.entry(standing).or_default() += 1;
            }
        }
        expected
    }

    /// A bypass role, a role that is listed, or one from which a listed one is reached.
    fn passed(&self, label: &str, endpoint: &Endpoint) -> bool {
        let mut held = BTreeSet::from([label]);
        for _ in 0..=self.endpoints.roles.len() {
            let more = held.iter().flat_map(|role| self.endpoints.inherits.get(*role).into_iter().flatten());
            held = more.map(String::as_str).chain(held.iter().copied()).collect();
        }
        self.endpoints.bypass.contains(label)
            || endpoint.roles.iter().any(|role| held.contains(role.as_str()))
    }

    fn holds(&self, user: &str, roles: &[String], permission: &str) -> bool {
        let ask = Ask {
            user: user.to_owned(),
            roles: Some(roles.to_vec()),
            permission: permission.to_owned(),
            now: NOW,
        };
        oracle::decide(&self.world, &ask).is_allowed()
    }

    fn is_signed_off(&self, user: &str, roles: &[String], permission: &str) -> bool {
        let held: Vec<&str> = self
            .world
            .roles
            .iter()
            .filter(|role| {
                roles.iter().any(|name| *name == role.name || role.aliases.contains(name))
                    && oracle::permissions_of_role(&self.world, &role.name).contains(&permission.to_owned())
            })
            .map(|role| role.name.as_str())
            .collect();
        self.signed_off.iter().filter(|sign_off| sign_off.permission.as_str() == permission).any(|sign_off| {
            match &sign_off.whom {
                Gainer::Role(role) => held.contains(&role.as_str()),
                Gainer::User(id) => id.as_str() == user,
            }
        })
    }
}

fn endpoints(rng: &mut Rng, world: &World, labels: &[String]) -> Endpoints {
    let roles: Vec<String> = labels.iter().filter(|_| rng.u8(..6) != 0).cloned().collect();
    let some = |rng: &mut Rng, most: usize| -> Vec<String> {
        let count = rng.usize(..=most.min(roles.len()));
        rng.choose_multiple(roles.iter(), count).into_iter().cloned().collect()
    };
    let bypass = if rng.u8(..3) == 0 { some(rng, 1) } else { Vec::new() };
    // Circles among them are the legacy application's own affair.
    let inherits = some(rng, 3).into_iter().map(|heir| (heir, some(rng, 2))).collect();
    let mut rules = Vec::new();
    for at in 0..rng.usize(1..10) {
        let known = rng.choice(&world.permissions).filter(|_| rng.u8(..10) != 0).cloned();
        rules.push(Endpoint {
            method: "GET".to_owned(),
            path: format!("/{at}"),
            roles: some(rng, 3),
            permission: PermissionName::parse(known.as_deref().unwrap_or("no.such")).unwrap(),
        });
    }
    Endpoints { roles, bypass: bypass.into_iter().collect(), inherits, endpoints: rules }
}

fn signed_off(rng: &mut Rng, world: &World) -> Vec<SignOff> {
    let mut signed: Vec<SignOff> = Vec::new();
    for _ in 0..rng.usize(..8) {
        let (Some(role), Some(permission)) = (rng.choice(&world.roles), rng.choice(&world.permissions))
        else {
            continue;
        };
        let whom = if rng.bool() {
            Gainer::Role(role.name.clone())
        } else {
            Gainer::User(UserId::parse(IDS[rng.usize(..IDS.len())]).unwrap())
        };
        let permission = PermissionName::parse(permission).unwrap();
        if signed.iter().all(|known| known.whom != whom || known.permission != permission) {
            signed.push(SignOff { whom, permission, by: "test".to_owned(), reason: "r".to_owned() });
        }
    }
    signed
}
