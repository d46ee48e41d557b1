//! The gateway against the oracle: every decision of the case files, and generated ones. A denial has the oracle's reason, and
//! where a request passes the application is told exactly the permissions that the oracle gives the user.

use crate::setup::{bearer, configuration, now, request, token};
use fastrand::Rng;
use pbac_tests::cases;
use pbac_tests::envoy::{self, Envoy};
use pbac_tests::http::{Client, Server, answer};
use pbac_tests::numbers;
use pbac_tests::oracle::{self, Answer};
use pbac_tests::world::{Ask, World};
use pbac_tests::{convert, generate, shrink};
use policy_core::encode;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Generated worlds, each with a filter of its own, and how many questions are asked altogether unless more are wanted.
const WORLDS: usize = 40;
const QUESTIONS: u64 = 100_000;
/// Ten years, in microseconds: far from now either way.
const FAR: i64 = 315_360_000_000_000;

/// A world and questions about it, all at one moment and all with roles of one source.
struct Exam {
    world: World,
    asks: Vec<Ask>,
    of_token: bool,
}

impl Exam {
    /// What was meant at `then`, moved to the gateway's own time: what had expired has expired, what had not, has not. Of two
    /// expiries the later one stays the later. Questions about what is no permission are left out: no route can have one.
    fn new(mut world: World, then: i64, mut asks: Vec<Ask>, of_token: bool) -> Self {
        let now = now() * 1_000_000;
        for over in &mut world.overrides {
            over.expires_at = over.expires_at.map(|end| if end > then { now + FAR } else { now - FAR });
        }
        asks.retain(|ask| oracle::check_permission(&ask.permission).is_ok());
        for ask in &mut asks {
            ask.now = now;
            ask.roles = of_token.then(|| ask.roles.clone().unwrap_or_default());
        }
        Self { world, asks, of_token }
    }

    /// The filter's configuration: a route for each permission that is asked about.
    fn configuration(&self) -> String {
        let policy = convert::policy(&self.world).expect("a policy");
        let routes: Vec<Value> = self
            .paths()
            .iter()
            .map(|(permission, path)| json!({ "method": "GET", "path": path, "permission": permission }))
            .collect();
        let more = json!({
            "route_table": { "routes": routes },
            "roles": if self.of_token { "token" } else { "bundle" },
            "permissions_header_bytes": 50_000,
        });
        configuration(Some(&encode(&policy).expect("a bundle")), more)
    }

    fn paths(&self) -> BTreeMap<&str, String> {
        let mut permissions: Vec<&str> = self.asks.iter().map(|ask| ask.permission.as_str()).collect();
        permissions.sort_unstable();
        permissions.dedup();
        permissions.into_iter().enumerate().map(|(number, name)| (name, format!("/{number}"))).collect()
    }

    /// Asks everything on one connection, and panics with a case file where an answer is another than the oracle's.
    fn sit(&self, port: u16) {
        let paths = self.paths();
        let mut client = Client::connect(port).expect("a connection");
        for ask in &self.asks {
            let roles: Vec<&str> = ask.roles.iter().flatten().map(String::as_str).collect();
            let path = paths.get(ask.permission.as_str()).expect("each has a route");
            let request = request("GET", path, &bearer(&token("k1", &ask.user, &roles)));
            let message = client.ask(request.as_bytes()).expect("an answer");
            let found = match message.status() {
                200 => String::from_utf8(message.body).expect("text"),
                status => format!("{status} {}", message.json()["reason"].as_str().unwrap_or_default()),
            };
            let expected = match oracle::decide(&self.world, ask) {
                answer if answer.is_allowed() => oracle::permissions_of(&self.world, ask).join(","),
                Answer::InvalidRequest => "403 invalid_request".to_owned(),
                Answer::UnknownPermission => "403 unknown_permission".to_owned(),
                Answer::ExplicitDeny { .. } => "403 explicit_deny".to_owned(),
                _ => "403 no_grant".to_owned(),
            };
            let case = || shrink::case_file(&self.world, ask, "found by the gateway");
            assert_eq!(found, expected, "put this into tests/cases:\n{}", case());
        }
    }
}

/// Lets several threads ask, each about some of the worlds.
fn examine(exams: &[Exam]) {
    const THREADS: usize = 4;
    let Some(program) = envoy::program() else { return };
    // The application says what it was told.
    let application = Server::start(|request| {
        answer("200 OK", "", request.values("x-user-permissions").join("|").as_bytes())
    });
    let setup = envoy::Setup { upstream: application.port, source: application.port, threads: 2 };
    let configurations: Vec<String> = exams.iter().map(Exam::configuration).collect();
    let envoy = Envoy::start_several(&program, &setup, &configurations);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let envoy = &envoy;
            scope.spawn(move || {
                for (exam, port) in exams.iter().zip(&envoy.ports).skip(thread).step_by(THREADS) {
                    exam.sit(*port);
                }
            });
        }
    });
    let asked: usize = exams.iter().map(|exam| exam.asks.len()).sum();
    println!("{asked} decisions about {} worlds agree", exams.len());
}

#[test]
fn every_case_file_is_answered_as_it_says() {
    let mut exams = Vec::new();
    for file in cases::load_all() {
        let mut groups: BTreeMap<(i64, bool), Vec<Ask>> = BTreeMap::new();
        for case in &file.decide {
            groups.entry((case.now, case.roles.is_some())).or_default().push(case.ask());
        }
        for ((then, of_token), asks) in groups {
            exams.push(Exam::new(file.policy.clone(), then, asks, of_token));
        }
    }
    exams.retain(|exam| !exam.asks.is_empty());
    assert!(exams.len() > 5, "there are cases");
    examine(&exams);
}

#[test]
fn generated_requests_are_answered_as_the_oracle_says() {
    let wanted = usize::try_from(numbers::cases(QUESTIONS)).expect("a number of questions");
    let mut rng = Rng::with_seed(numbers::first_seed());
    let mut exams = Vec::new();
    while exams.len() < WORLDS {
        let world = generate::world(&mut rng);
        let then = generate::ask(&mut rng, &world).now;
        let asks = (0..wanted.div_ceil(WORLDS) * 5 / 4).map(|_| generate::ask(&mut rng, &world)).collect();
        let exam = Exam::new(world, then, asks, rng.bool());
        if !exam.asks.is_empty() {
            exams.push(exam);
        }
    }
    examine(&exams);
    let asked: usize = exams.iter().map(|exam| exam.asks.len()).sum();
    assert!(asked >= wanted, "too few questions have a permission: {asked}");
}
