//! Shadow mode: every line of a log is answered as the oracle answers, and every disagreement is found and counted, in
//! memory that does not grow with the log.

use std::collections::BTreeMap;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::Command;

use pbac::endpoints::{self, Endpoints};
use pbac::policy_file;
use pbac::shadow::{Comparison, Direction, MAX_GROUPS, MAX_LINE_BYTES, MAX_NAMED, Shadow, cases};
use pbac_tests::counting::{Counting, measure};
use pbac_tests::record::Recorded;
use pbac_tests::{binary, cases as data, convert, generate, oracle};
use policy_core::{Index, Policy, Timestamp};
use serde_json::json;

#[global_allocator]
static COUNTING: Counting = Counting;

fn erp(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/erp").join(file)
}

fn erp_policy() -> Policy {
    policy_file::load(&erp("policy.toml")).unwrap().policy
}

fn erp_rules() -> Endpoints {
    endpoints::load(&erp("endpoints.toml")).unwrap()
}

fn compare(policy: &Policy, endpoints: Option<&Endpoints>, log: &str) -> Comparison {
    let index = Index::compile(policy).unwrap();
    let rename = BTreeMap::new();
    let shadow = Shadow::new(&index, endpoints, &rename, false, Timestamp::from_micros(0));
    shadow.compare(&mut log.as_bytes(), |_| true).unwrap()
}

/// A request to the rule of the example, with values in place of the parameters.
fn request(rule: &endpoints::Endpoint, value: &str) -> String {
    let segments = rule.path.split('/').map(|segment| if segment.starts_with('{') { value } else { segment });
    format!("{} {}", rule.method, segments.collect::<Vec<_>>().join("/"))
}

#[test]
fn finds_every_wrong_verdict_among_requests_to_the_example() {
    let (policy, rules) = (erp_policy(), erp_rules());
    let mut rng = fastrand::Rng::with_seed(3);
    let (mut log, mut gained, mut lost) = (String::new(), 0, 0);
    for number in 0..20_000 {
        let rule = &rules.endpoints[rng.usize(..rules.endpoints.len())];
        let role = &rules.roles[rng.usize(..rules.roles.len())];
        let truth = rules.legacy_allows(role, rule);
        let verdict = if rng.u8(..100) == 0 { !truth } else { truth };
        match (truth, verdict) {
            (true, false) => gained += 1,
            (false, true) => lost += 1,
            _ => {}
        }
        let line = json!({
            "user": number, "roles": [role], "endpoint": request(rule, "7f3"),
            "legacy": if verdict { "allow" } else { "deny" },
        });
        log.push_str(&format!("{line}\n"));
    }
    let found = compare(&policy, Some(&rules), &log);
    assert!(gained > 10 && lost > 10);
    assert_eq!((found.lines, found.compared, found.gained, found.lost), (20_000, 20_000, gained, lost));
    assert_eq!(found.agreeing, 20_000 - gained - lost);
    assert_eq!((found.malformed, found.unmatched, found.unknown_roles.len()), (0, 0, 0));
    let grouped = |direction| -> u64 {
        found.groups.iter().filter(|group| group.direction == direction).map(|group| group.count).sum()
    };
    assert_eq!((grouped(Direction::Gained), grouped(Direction::Lost)), (gained, lost));
    for group in &found.groups {
        // The policy is as the rules are, so the log is what is odd, and the report says so.
        let rule = if group.direction == Direction::Gained { "allow" } else { "deny" };
        assert_eq!(group.rule, Some(rule), "{group:?}");
    }
    assert!(!found.agrees());
}

#[test]
fn answers_as_the_oracle_with_overrides_aliases_and_stored_roles() {
    let (mut lines, mut disagreements) = (0, 0);
    for seed in 0..300 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let world = generate::world(&mut rng);
        let policy = convert::policy(&world).unwrap();
        let (mut log, mut gained, mut lost) = (String::new(), 0, 0);
        for _ in 0..40 {
            let ask = generate::ask(&mut rng, &world);
            // A log has times of whole microseconds that RFC 3339 can write, and users with ids.
            let Ok(time) = jiff::Timestamp::from_microsecond(ask.now) else { continue };
            if !oracle::is_user(&ask.user) {
                continue;
            }
            let allowed = oracle::decide(&world, &ask).is_allowed();
            let legacy = rng.bool();
            match (legacy, allowed) {
                (false, true) => gained += 1,
                (true, false) => lost += 1,
                _ => {}
            }
            lines += 1;
            let verdict = if legacy { "allow" } else { "deny" };
            let line = json!({
                "user": ask.user, "roles": ask.roles, "permission": ask.permission, "legacy": verdict,
                "at": time.to_string(),
            });
            log.push_str(&format!("{line}\n"));
        }
        let found = compare(&policy, None, &log);
        assert_eq!((found.gained, found.lost, found.malformed), (gained, lost, 0), "seed {seed}\n{log}");
        disagreements += gained + lost;
        check_cases(&cases(&found, &policy, "log"), found.groups.len());
    }
    assert!(lines > 5_000 && disagreements > 1_000, "{lines} lines, {disagreements} disagreements");
}

/// Exported cases hold for the oracle and for policy-core, as those in `tests/cases` do.
fn check_cases(text: &str, count: usize) {
    let file = data::parse(text, PathBuf::from("exported.toml"));
    assert_eq!(file.decide.len(), count);
    let index = Index::compile(&convert::policy(&file.policy).unwrap()).unwrap();
    for case in &file.decide {
        let ask = case.ask();
        assert_eq!(data::answer_json(&oracle::decide(&file.policy, &ask)), case.expect, "{}", case.name);
        convert::with_request(&ask, |request| {
            assert_eq!(serde_json::to_value(index.decide(request)).unwrap(), case.expect, "{}", case.name);
        });
    }
}

#[test]
fn a_line_that_is_cut_short_or_too_long_is_named_and_the_rest_is_read() {
    let good = r#"{"user":"1","roles":["SUPERADMIN"],"permission":"po.view","legacy":"allow"}"#;
    let long = "x".repeat(MAX_LINE_BYTES as usize * 3);
    let log = format!("{good}\n{long}\n\n  \n{good}\n\u{0}\n{good}\n{}", &good[..40]);
    let found = compare(&erp_policy(), None, &log);
    assert_eq!((found.lines, found.agreeing, found.malformed), (6, 3, 3));
    let lines: Vec<u64> = found.malformed_lines.iter().map(|bad| bad.line).collect();
    assert_eq!(lines, [2, 6, 8]);
    assert_eq!(found.malformed_lines[0].problem, "it has more than 65536 bytes");
    let exact = format!("{good}{}", " ".repeat(MAX_LINE_BYTES as usize - good.len()));
    let found = compare(&erp_policy(), None, &format!("{exact}\n{good}"));
    assert_eq!((found.agreeing, found.malformed), (1, 1), "the end of the line counts");
    assert!(!compare(&erp_policy(), None, "").agrees(), "nothing proves nothing");
}

#[test]
fn what_is_named_is_bounded_and_what_is_counted_is_not() {
    let mut log = String::new();
    let lines = MAX_GROUPS as u64 + 50;
    for number in 0..lines {
        let line =
            json!({"user": "1", "roles": [format!("R{number}")], "permission": "po.view", "legacy": "allow"});
        log.push_str(&format!("{line}\nbad {number}\n"));
        let line = json!({"user": "1", "endpoint": format!("GET /no/{number}?x"), "legacy": "allow"});
        log.push_str(&format!("{line}\n"));
    }
    let found = compare(&erp_policy(), Some(&erp_rules()), &log);
    assert_eq!((found.lost, found.malformed, found.unmatched), (lines, lines, lines));
    assert_eq!((found.groups.len(), found.ungrouped), (MAX_GROUPS, 50));
    assert_eq!(found.malformed_lines.len(), MAX_NAMED);
    assert_eq!(found.unmatched_endpoints.len(), MAX_NAMED);
    assert_eq!(found.unknown_roles.len(), MAX_NAMED);
    assert_eq!(found.unmatched_endpoints[7].name, "GET /no/7");
}

/// A log without an end in memory: the same lines over and over.
struct Endless<'t> {
    text: &'t [u8],
    at: usize,
    left: usize,
}

impl Read for Endless<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let rest = &self.text[self.at..];
        let count = rest.len().min(buffer.len()).min(self.left);
        buffer[..count].copy_from_slice(&rest[..count]);
        self.at = (self.at + count) % self.text.len();
        self.left -= count;
        Ok(count)
    }
}

#[test]
fn memory_does_not_grow_with_the_log() {
    let (policy, rules) = (erp_policy(), erp_rules());
    let index = Index::compile(&policy).unwrap();
    let rename = BTreeMap::new();
    let shadow = Shadow::new(&index, Some(&rules), &rename, false, Timestamp::from_micros(0));
    let mut text = String::new();
    for rule in &rules.endpoints {
        for role in &rules.roles {
            let endpoint = request(rule, "12345");
            text.push_str(&format!(
                "{}\n",
                json!({"user": "1", "roles": [role], "endpoint": endpoint, "legacy": "deny"})
            ));
        }
    }
    let peak = |times: usize| {
        let log = Endless { text: text.as_bytes(), at: 0, left: text.len() * times };
        let (found, usage) = measure(|| shadow.compare(&mut BufReader::new(log), |_| true).unwrap());
        assert_eq!(found.lines, (2_288 * times) as u64);
        assert!(found.gained > 100 * times as u64);
        usage.peak_bytes
    };
    let (once, often) = (peak(1), peak(40));
    assert!(often < once + once / 10, "{once} bytes for 2,288 lines, {often} for 40 times as many");
}

fn pbac(arguments: &[&str], directory: &Path) -> (i32, String, String) {
    let mut command = Command::new(binary::pbac());
    for name in ["DATABASE_URL", "PBAC_DATABASE_URL", "PBAC_CONFIG", "PBAC_ENDPOINTS", "PBAC_POLICY"] {
        command.env_remove(name);
    }
    let output = command.args(arguments).current_dir(directory).output().unwrap().recorded();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn exports_cases_that_hold_and_never_over_others() {
    let directory = tempfile::tempdir().unwrap();
    let log = concat!(env!("CARGO_MANIFEST_DIR"), "/cli/fixtures/shop/differing.jsonl");
    let shop = Path::new(log).parent().unwrap();
    let to = directory.path().join("new/cases");
    let to_text = to.to_str().unwrap();
    let arguments =
        ["shadow", log, "--policy=policy.toml", "--endpoints=rules.toml", "--export", to_text, "--json"];
    let (status, output, errors) = pbac(&arguments, shop);
    assert_eq!((status, errors.as_str()), (4, ""));
    let answer: serde_json::Value = serde_json::from_str(&output).unwrap();
    assert_eq!(answer["exported"], to.join("shadow.toml").to_str().unwrap());
    let text = std::fs::read_to_string(to.join("shadow.toml")).unwrap();
    check_cases(&text, answer["groups"].as_array().unwrap().len());

    let (status, output, errors) = pbac(&arguments, shop);
    assert_eq!((status, output.as_str()), (6, ""));
    assert!(errors.contains("is there already"), "{errors}");
    assert_eq!(std::fs::read_to_string(to.join("shadow.toml")).unwrap(), text);

    let agreeing = shop.join("agreeing.jsonl");
    let unused = directory.path().join("unused");
    let arguments = [
        "shadow",
        agreeing.to_str().unwrap(),
        "--policy=policy.toml",
        "--endpoints=rules.toml",
        "--export",
        unused.to_str().unwrap(),
    ];
    assert_eq!(pbac(&arguments, shop).0, 0);
    assert!(!unused.exists(), "nothing disagrees, nothing is written");
}

#[test]
fn a_rename_of_the_policy_file_counts() {
    let directory = tempfile::tempdir().unwrap();
    let policy = concat!(env!("CARGO_MANIFEST_DIR"), "/cli/fixtures/shop/policy.toml");
    let source = "\n[source]\nkind = \"role-column\"\ntable = \"public.users\"\nuser_id = \"id\"\nrole = \"role\"\n\
        active = \"is_active\"\n[source.rename]\nBUYER = \"PURCHASING\"\n";
    let text = std::fs::read_to_string(policy).unwrap();
    std::fs::write(directory.path().join("policy.toml"), format!("{text}{source}")).unwrap();
    let log = r#"{"user":"1","roles":["BUYER"],"permission":"po.view","legacy":"allow"}"#;
    std::fs::write(directory.path().join("log"), log).unwrap();
    let ask = |more: &[&str]| pbac(&[&["shadow", "log"], more].concat(), directory.path()).0;
    assert_eq!(ask(&["--policy=policy.toml"]), 0);
    assert_eq!(ask(&["--policy", policy]), 4, "where nothing renames it, nobody knows it");
    let build = ["bundle", "build", "--policy=policy.toml", "-o", "shop.pbac"];
    assert_eq!(pbac(&build, directory.path()).0, 0);
    assert_eq!(ask(&["--bundle=shop.pbac"]), 0, "a bundle has no renames: those of policy.toml count");
}
