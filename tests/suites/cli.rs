//! The command line's contract: `tests/cli/<command>/<case>.toml` with arguments, standard output, standard error and
//! status. `TRYCMD=overwrite` writes what is printed now into the cases; read the difference before keeping it.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use pbac_tests::binary;
use pbac_tests::record::{self, Recorded};
use policy_core::Timestamp;
use policy_core::keys::KeyId;
use policy_core::signed::{TrustedKey, detach, detach_settings, verify, verify_settings};

/// Variables that would change an answer.
const VARIABLES: [&str; 12] = [
    "DATABASE_URL",
    "PBAC_DATABASE_URL",
    "PBAC_CONFIG",
    "PBAC_ENV_FILE",
    "PBAC_KEYS_STORE",
    "PBAC_KEY_ENCRYPTION_KEY",
    "PBAC_ENDPOINTS",
    "PBAC_LOCK_TIMEOUT_MS",
    "PBAC_POLICY",
    "PBAC_SCHEMA",
    "CLICOLOR_FORCE",
    "NO_COLOR",
];

/// What the keys of the fixtures have after a word that says whose they are.
const FIXTURE_SECRETS: [&str; 3] = [
    "kQ7vT2mRz9Lw4KcB8nYp1HsJ6dFgA3eUo",
    "Nw8PzQe3Xr7Vt1Ym9Lb4Hc6Gd2SaFuIoT",
    "b6Wy3Mq9Xc5Kn8Vp2Lj7Hf4DsGaEuOiTr",
];

#[test]
fn arguments_output_and_status_are_as_recorded() {
    let cases = trycmd::TestCases::new();
    cases.register_bin("pbac", binary::pbac()).default_bin_path(binary::pbac());
    for name in VARIABLES {
        // Empty counts as not set.
        cases.env(name, "");
    }
    // What is printed is what is recorded there, or the test fails.
    let golden = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/cli"));
    for file in record::files(golden).iter().filter(|path| !path.starts_with(golden.join("fixtures"))) {
        record::said(&file.display().to_string(), &std::fs::read(file).unwrap());
    }
    FIXTURE_SECRETS.iter().for_each(|secret| record::secret(secret.as_bytes()));
    cases.case("cli/*/*.toml");
}

/// The command in the directory of the fixtures, without variables that would change an answer.
fn pbac(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary::pbac());
    command.args(arguments).current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/cli/fixtures/shop"));
    for name in VARIABLES {
        command.env_remove(name);
    }
    command
}

const ALLOWED: [&str; 6] = ["check", "42", "po.view", "--policy=policy.toml", "--role", "PURCHASING"];

#[test]
fn colours_are_for_terminals_and_for_who_asks_for_them() {
    let shown = |variables: &[(&str, &str)], more: &[&str]| {
        let mut command = pbac(&ALLOWED);
        command.args(more).envs(variables.iter().copied());
        String::from_utf8(command.output().unwrap().recorded().stdout).unwrap()
    };
    assert!(!shown(&[], &[]).contains('\u{1b}'));
    let forced = [("CLICOLOR_FORCE", "1")];
    assert!(shown(&forced, &[]).contains("\u{1b}[1m\u{1b}[32mallow"), "{:?}", shown(&forced, &[]));
    assert!(!shown(&forced, &["--no-color"]).contains('\u{1b}'));
    assert!(!shown(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], &[]).contains('\u{1b}'));
    assert!(!shown(&forced, &["--json"]).contains('\u{1b}'));
}

#[test]
fn a_user_id_cannot_forge_an_answer() {
    let output =
        pbac(&["check", "a\u{1b}[2Jb\n", "po.view", "--policy=policy.toml", "--role", "PURCHASING"]).output();
    let line = String::from_utf8(output.unwrap().recorded().stdout).unwrap();
    assert_eq!(line, "allow `a\\u{1b}[2Jb\\n` `po.view`: role `PURCHASING` holds `po.view`\n");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    for arguments in [&["completions", "zsh"][..], &["--help"], &ALLOWED] {
        let mut child = pbac(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let mut errors = String::new();
        child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        let status = child.wait().unwrap();
        assert_eq!((status.code(), errors.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn a_full_disk_is_a_failure() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = pbac(&ALLOWED).stdout(full).output().unwrap().recorded();
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(
        errors.starts_with("pbac: cannot write to standard output: no storage space\n  help: "),
        "{errors}"
    );
}

#[test]
fn a_bundle_is_replaced_whole_or_not_at_all() {
    let directory = tempfile::tempdir().unwrap();
    let bundle = directory.path().join("shop.pbac");
    let build = |policy: &str| {
        let arguments = ["bundle", "build", "--policy", policy, "--output", bundle.to_str().unwrap()];
        pbac(&arguments).output().unwrap().recorded().status.code()
    };
    assert_eq!(build("policy.toml"), Some(0));
    let first = std::fs::read(&bundle).unwrap();
    assert_eq!(build("broken.toml"), Some(1));
    assert_eq!(std::fs::read(&bundle).unwrap(), first);
    assert_eq!(build("new.toml"), Some(0));
    assert_ne!(std::fs::read(&bundle).unwrap(), first);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "no temporary file stays");
}

#[test]
fn every_subcommand_has_a_manual_page_and_completions() {
    let directory = tempfile::tempdir().unwrap();
    let output = pbac(&["man", directory.path().to_str().unwrap()]).output().unwrap().recorded();
    assert_eq!(output.status.code(), Some(0));
    let completions = pbac(&["completions", "bash"]).output().unwrap().recorded();
    let completions = String::from_utf8(completions.stdout).unwrap();
    let help = pbac(&["--help"]).output().unwrap().recorded();
    let help = String::from_utf8(help.stdout).unwrap();
    let listed =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let mut count = 0;
    for name in listed.filter_map(|line| line.strip_prefix("  ")?.split(' ').find(|word| !word.is_empty())) {
        // Lines that go on with the help of the one before begin with more blanks and are found by no page.
        if name == "help" || !help.contains(&format!("\n  {name}  ")) {
            continue;
        }
        count += 1;
        let page = directory.path().join(format!("pbac-{name}.1"));
        let text =
            std::fs::read_to_string(&page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
        assert!(text.contains(".SH SYNOPSIS"), "{name}");
        assert!(completions.contains(&format!("pbac,{name})")), "{name}");
    }
    assert!(count >= 9, "{count} subcommands in\n{help}");
}

#[test]
fn a_signed_bundle_is_accepted_by_whoever_trusts_its_publisher() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (key, signed) = (path("publisher.jwk"), path("shop.signed"));
    let json = |arguments: &[&str]| -> serde_json::Value {
        let output = pbac(&[arguments, &["--json"]].concat()).output().unwrap().recorded();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let public = json(&["bundle", "publisher", "--output", &key]);
    let mode = std::fs::metadata(&key).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let jwk: serde_json::Value = serde_json::from_slice(&std::fs::read(&key).unwrap()).unwrap();
    record::secret(jwk["d"].as_str().unwrap().as_bytes());
    // A key is never written over.
    let again = pbac(&["bundle", "publisher", "--output", &key]).output().unwrap().recorded();
    assert_eq!(again.status.code(), Some(6));

    let sign = |bundle: &str, expires: &str| {
        let arguments = [
            "bundle",
            "sign",
            bundle,
            "--key",
            &key,
            "--sequence",
            "7",
            "--expires",
            expires,
            "--output",
            &signed,
        ];
        pbac(&arguments).output().unwrap().recorded().status.code()
    };
    assert_eq!(sign("damaged.pbac", "+7d"), Some(1));
    assert_eq!(sign("shop.pbac", "2020-01-01T00:00:00Z"), Some(2));
    assert!(!Path::new(&signed).exists());
    assert_eq!(sign("shop.pbac", "+7d"), Some(0));
    let bytes = std::fs::read(&signed).unwrap();
    let (signature, bundle) = detach(&bytes).unwrap();
    let public_bytes = pbac_tests::tokens::from_base64(public["x"].as_str().unwrap()).try_into().unwrap();
    let id = KeyId::parse(public["kid"].as_str().unwrap()).unwrap();
    let trusted = [TrustedKey::new(id, &public_bytes).unwrap()];
    let now = Timestamp::from_micros(jiff::Timestamp::now().as_microsecond());
    let verified = verify(bundle, signature, &trusted, now, None).unwrap();
    assert_eq!(verified.release().sequence, 7);
    let in_a_week = Timestamp::from_micros(now.micros() + 7 * 86_400_000_000);
    assert!(verify(bundle, signature, &trusted, in_a_week, None).is_err());
}

#[test]
fn signed_settings_are_accepted_by_whoever_trusts_their_publisher() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let [key, ring, routes, signed] =
        ["publisher.jwk", "ring.json", "routes.json", "settings.signed"].map(path);
    assert!(pbac(&["bundle", "publisher", "--output", &key]).output().unwrap().recorded().status.success());
    let jwk: serde_json::Value = serde_json::from_slice(&std::fs::read(&key).unwrap()).unwrap();
    record::secret(jwk["d"].as_str().unwrap().as_bytes());
    let secret = "Yb7Kq2Vn9Xw4Tc6Zr1Lm8Pd3Hs5Jf0Ga-Qe_UoXzKd5w";
    record::secret(secret.as_bytes());
    let of_ring = format!(
        r#"{{"keys":[{{"kty":"oct","kid":"k1","alg":"HS256","k":"{secret}","state":"active"}}],"revoked":[],"rules":{{}}}}"#
    );
    let of_routes = r#"{"routes":[{"method":"GET","path":"/po","permission":"po.view"}]}"#;
    std::fs::write(&ring, &of_ring).unwrap();
    std::fs::write(&routes, of_routes).unwrap();
    let sign = |more: &[&str]| {
        let rest = ["--key", &key, "--sequence", "3", "--expires", "+1d", "--output", &signed];
        pbac(&[&["bundle", "settings"], more, &rest].concat()).output().unwrap().recorded()
    };
    for (arguments, expected) in [
        (vec![], "required arguments"),
        (vec!["--routes", routes.as_str()], "required arguments"),
        (vec!["--ring", routes.as_str()], "another form than expected"),
        (vec!["--ring", ring.as_str(), "--routes", ring.as_str()], "let `pbac routes` write it"),
        (vec!["--ring", directory.path().to_str().unwrap()], "cannot read"),
    ] {
        let output = sign(&arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(expected), "{arguments:?}: {said}");
        assert!(!Path::new(&signed).exists());
    }
    let both = sign(&["--ring", &ring, "--routes", &routes]);
    let said = String::from_utf8_lossy(&both.stdout).into_owned();
    assert!(
        said.starts_with("signed 1 key and 1 route in `"),
        "{said} {}",
        String::from_utf8_lossy(&both.stderr)
    );
    assert_eq!(std::fs::metadata(&signed).unwrap().permissions().mode() & 0o777, 0o600);
    let bytes = std::fs::read(&signed).unwrap();
    let (signature, settings) = detach_settings(&bytes).unwrap();
    assert_eq!(settings, format!(r#"{{"ring":{of_ring},"route_table":{of_routes}}}"#).as_bytes());
    let public = pbac_tests::tokens::from_base64(jwk["x"].as_str().unwrap()).try_into().unwrap();
    let id = KeyId::parse(jwk["kid"].as_str().unwrap()).unwrap();
    let trusted = [TrustedKey::new(id, &public).unwrap()];
    let now = Timestamp::from_micros(jiff::Timestamp::now().as_microsecond());
    let verified = verify_settings(settings, signature, &trusted, now, None).unwrap();
    assert_eq!(verified.release().sequence, 3);
    assert!(detach(&bytes).is_err(), "it is no bundle");

    // As much as is read is not more than a gateway takes.
    let pad = |text: &str| text.to_owned() + &" ".repeat((1 << 19) - 128 - text.len());
    std::fs::write(&ring, pad(&of_ring)).unwrap();
    std::fs::write(&routes, pad(of_routes)).unwrap();
    assert!(sign(&["--ring", &ring, "--routes", &routes]).status.success());
    assert!(std::fs::metadata(&signed).unwrap().len() <= 1 << 20);
    std::fs::write(&routes, pad(of_routes) + " ").unwrap();
    assert!(!sign(&["--ring", &ring, "--routes", &routes]).status.success());
    assert!(sign(&["--ring", &ring]).status.success());
}
