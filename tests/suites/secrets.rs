//! Nothing of a key is ever printed: not in an output, a log, a report, a panic, a `Debug` or `--json`, not even its first six
//! characters.
//!
//! Every command that touches keys runs here as a process of its own, to success and to failure, on keys that the test
//! knows. Only the files that are there to hold keys may hold them.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap or a panic is a failed test")]

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pbac_tests::binary::pbac;
use pbac_tests::database::TestDatabase;
use pbac_tests::secrecy::{Search, held};
use pbac_tests::{memory, record};
use sqlx::AssertSqlSafe;

const ACTIVE: &str = "Xq7vT2mRz9Lw4KcB8nYp1HsJ6dFgA3eUoIiQ-_WtZxV";
const RETIRED: &str = "Jk5Nw8PzQe3Xr7Vt1Ym9Lb4Hc6Gd2SaFuIoTi_-RqBn";
const OLDEST: &str = "Zt1Rb6Wy3Mq9Xc5Kn8Vp2Lj7Hf4Ds_GaEuOi-TrQwYz";
/// Too short to be a key, and a secret all the same.
const WEAK: &str = "Hv3Qz!weak";
const KEY_ENCRYPTION_KEY: [u8; 32] = *b"Uc8Lw2Rk5Tz7Xn1Vb4Mj9Ph3Gd6Fs0Aq";

/// Where commands run, and all that they said.
struct Place {
    directory: tempfile::TempDir,
    variables: Vec<(&'static str, String)>,
    said: Vec<(String, Vec<u8>)>,
}

impl Place {
    fn new(settings: &str, variables: Vec<(&'static str, String)>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("pbac.toml"), settings).unwrap();
        Self { directory, variables, said: Vec::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Runs a command for people and for programs; returns what the second one printed.
    fn run(&mut self, arguments: &[&str], input: &str) -> String {
        let mut last = String::new();
        for json in [false, true] {
            let mut command = Command::new(pbac());
            command.args(arguments).current_dir(self.directory.path());
            if json {
                command.arg("--json");
            }
            command
                .env("RUST_BACKTRACE", "full")
                .envs(self.variables.iter().map(|(name, value)| (name, value)));
            let output = feed(&mut command, input);
            last = String::from_utf8(output.stdout.clone()).unwrap();
            let what = format!("pbac {} (json: {json})", arguments.join(" "));
            self.said.push((what.clone(), output.stdout));
            self.said.push((what, output.stderr));
        }
        last
    }

    /// Looks through everything that was said, and through every file but those that are there to hold keys.
    fn scan(&self, secrets: &[String]) {
        let mut texts = self.said.clone();
        for path in record::files(self.directory.path()) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if !name.starts_with(".env") && name != "keys.jwks" && name != "ring.json" {
                texts.push((name, std::fs::read(&path).unwrap()));
            }
        }
        let bytes: usize = texts.iter().map(|(_, text)| text.len()).sum();
        assert!(bytes > 2_000, "there is something to look through");
        secrets.iter().for_each(|secret| record::secret(secret.as_bytes()));
        let search = Search::new(secrets.iter().map(String::as_bytes));
        for (what, text) in &texts {
            record::said(what, text);
            let found = search.find(text).map(|(_, length)| length);
            assert_eq!(found, None, "{what}: shows that many bytes of a secret");
        }
    }
}

fn feed(command: &mut Command, input: &str) -> std::process::Output {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Who does not read it has ended.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// A token of the key that signs.
fn issued(place: &mut Place) -> String {
    let answer = place.run(&["token", "issue", "--user", "42"], "");
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    answer["token"].as_str().unwrap().to_owned()
}

/// The secrets of the database, which can be seen in an exported key set alone; none while there is no such file.
fn exported(path: &Path) -> Vec<String> {
    let Ok(text) = std::fs::read_to_string(path) else { return Vec::new() };
    let set: serde_json::Value = serde_json::from_str(&text).unwrap();
    let keys = set["keys"].as_array().unwrap().iter();
    keys.map(|key| String::from_utf8(URL_SAFE_NO_PAD.decode(key["k"].as_str().unwrap()).unwrap()).unwrap())
        .collect()
}

fn kid(list: &str, state: &str) -> String {
    let list: serde_json::Value = serde_json::from_str(list).unwrap();
    let keys = list["keys"].as_array().unwrap();
    keys.iter().find(|key| key["state"] == state).unwrap()["kid"].as_str().unwrap().to_owned()
}

#[test]
fn nothing_of_a_key_in_a_file_is_shown() {
    let settings = "[keys]\nstaging = '0s'\nlogs = 'logs'\n";
    let mut place = Place::new(settings, Vec::new());
    let env = place.path(".env");
    std::fs::write(&env, format!("SECRET_KEY={ACTIVE}\nSECRET_KEYS_HISTORY={RETIRED},{WEAK},{OLDEST}\n"))
        .unwrap();
    let mut secrets = vec![ACTIVE.to_owned(), RETIRED.to_owned(), OLDEST.to_owned(), WEAK.to_owned()];
    let token = issued(&mut place);
    for arguments in [
        &["keys", "status"][..],
        &["keys", "list"],
        &["keys", "verify"],
        &["keys", "rotate", "--if-due", "--dry-run"],
        &["keys", "rotate"],
        &["keys", "rotate", "--force"],
        &["keys", "stage"],
        &["keys", "stage"],
        &["keys", "promote", "--dry-run"],
        &["keys", "promote"],
        &["keys", "promote", "--force"],
        &["keys", "export", "--jwks", "keys.jwks"],
        &["keys", "export", "--jwks", "keys.jwks", "--public"],
        &["keys", "export", "--jwks", "no/such/directory/keys.jwks"],
        &["keys", "export", "--ring", "ring.json"],
        &["keys", "export", "--ring", "no/such/directory/ring.json"],
        &["keys", "revoke", "no-such-key", "--yes"],
        &["token", "verify"],
        &["token", "inspect"],
        &["keys", "status"],
    ] {
        place.run(arguments, &token);
        secrets.extend(held(&std::fs::read_to_string(&env).unwrap()));
    }
    let list = place.run(&["keys", "list"], "");
    let (active, retired) = (kid(&list, "active"), kid(&list, "retired"));
    place.run(&["keys", "revoke", &retired, "--yes", "--tokens", "-"], &token);
    place.run(&["keys", "revoke", &active, "--yes", "--purge-backups"], "");
    secrets.extend(held(&std::fs::read_to_string(&env).unwrap()));
    // What cannot be read is not quoted.
    for text in [
        format!("SECRET_KEY={ACTIVE}\nSECRET_KEY={RETIRED}\n"),
        format!("SECRET_KEY=\"{ACTIVE}\n"),
        format!("SECRET_KEY={ACTIVE} {RETIRED}\n"),
        format!("SECRET_KEY=${{{ACTIVE}}}\n"),
        format!("SECRET_KEY={ACTIVE}\nKEY_ROTATION_DAYS={RETIRED}\nKEY_LAST_ROTATED={OLDEST}\n"),
        format!("SECRET_KEY={ACTIVE}\nPBAC_KEYS={RETIRED}\n"),
        format!("SECRET_KEY={WEAK}\nSECRET_KEYS_HISTORY=,,\n"),
        format!("{ACTIVE}\n"),
    ] {
        std::fs::write(&env, text).unwrap();
        for arguments in [
            &["keys", "status"][..],
            &["keys", "rotate"],
            &["keys", "rotate", "--force"],
            &["token", "issue", "--user", "1"],
        ] {
            place.run(arguments, "");
        }
    }
    secrets.sort();
    secrets.dedup();
    assert!(secrets.len() > 6, "rotations made keys");
    place.scan(&secrets);
}

#[test]
fn a_panic_shows_nothing() {
    let mut place = Place::new("[keys]\n", Vec::new());
    std::fs::write(
        place.path(".env"),
        format!("SECRET_KEY={ACTIVE}\nSECRET_KEYS_HISTORY={RETIRED},{WEAK}\n"),
    )
    .unwrap();
    let mut node = Command::new(env!("CARGO_BIN_EXE_fleet_node"));
    let output = feed(node.arg(place.path("pbac.toml")).env("RUST_BACKTRACE", "full"), "panic\n");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("KeyMaterial(HS256, hidden)") && text.contains("panicked"), "{text}");
    place.said.push(("a panic".to_owned(), output.stderr));
    place.scan(&[ACTIVE.to_owned(), RETIRED.to_owned(), WEAK.to_owned()]);
}

#[tokio::test]
async fn nothing_of_a_key_in_the_database_is_shown() {
    let database = TestDatabase::create().await;
    let sealing = URL_SAFE_NO_PAD.encode(KEY_ENCRYPTION_KEY);
    let mut place = Place::new(
        "[keys]\nstore = 'postgres'\nstaging = '0s'\nlogs = 'logs'\n",
        vec![("DATABASE_URL", database.url_text().to_owned()), ("PBAC_KEY_ENCRYPTION_KEY", sealing.clone())],
    );
    let mut secrets = vec![sealing, String::from_utf8(KEY_ENCRYPTION_KEY.to_vec()).unwrap()];
    for arguments in [
        &["keys", "status"][..],
        &["keys", "rotate"],
        &["keys", "stage"],
        &["keys", "promote"],
        &["keys", "rotate", "--force"],
        &["keys", "list"],
        &["keys", "verify"],
        &["keys", "export", "--jwks", "keys.jwks"],
        &["audit", "list"],
        &["audit", "verify"],
    ] {
        place.run(arguments, "");
        secrets.extend(exported(&place.path("keys.jwks")));
    }
    assert!(secrets.len() > 4, "rotations made keys");
    // Everything that the database holds, as text.
    let mut connection = database.connect().await;
    for table in ["signing_keys", "revoked_keys", "audit_log"] {
        let sql = format!("SELECT t::text FROM pbac.{table} t");
        let rows: Vec<String> =
            sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap();
        place.said.push((table.to_owned(), rows.join("\n").into_bytes()));
    }
    place.variables[1].1 = URL_SAFE_NO_PAD.encode([7; 32]);
    for arguments in [&["keys", "status"][..], &["keys", "rotate"]] {
        let said = place.run(arguments, "");
        assert!(said.is_empty(), "another key opens nothing");
    }
    place.scan(&secrets);
}

/// Starts a verifier, has it accept the token, and looks through its memory.
fn remembers_none(place: &Place, token: &str, secrets: &[String]) {
    let mut verifier = Command::new(env!("CARGO_BIN_EXE_verifier"))
        .arg(place.path("pbac.toml"))
        .envs(place.variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(verifier.stdin.as_mut().unwrap(), "{token}").unwrap();
    let mut answer = String::new();
    BufReader::new(verifier.stdout.as_mut().unwrap()).read_line(&mut answer).unwrap();
    let memory = memory::snapshot(verifier.id());
    verifier.kill().unwrap();
    verifier.wait().unwrap();
    assert!(answer.starts_with("ok "), "{answer}");
    let search = Search::new(secrets.iter().map(String::as_bytes));
    assert!(memory.iter().map(Vec::len).sum::<usize>() > 100_000);
    // What it has to remember is found this way, so the search would find the rest.
    let known = Search::new([token.as_bytes()]);
    assert!(memory.iter().any(|part| known.find(part).is_some()));
    for part in &memory {
        if let Some((at, length)) = search.find(part) {
            let end = part.len().min(at + 100);
            let around = String::from_utf8_lossy(&part[at.saturating_sub(60)..end]).into_owned();
            panic!("{length} bytes of a secret at {at} of {}: {around:?}", part.len());
        }
    }
}

#[test]
fn who_verifies_remembers_no_secret() {
    let mut place = Place::new("[keys]\nstaging = '0s'\n", Vec::new());
    std::fs::write(
        place.path(".env"),
        format!("SECRET_KEY={ACTIVE}\nSECRET_KEYS_HISTORY={RETIRED},{OLDEST}\n"),
    )
    .unwrap();
    let token = issued(&mut place);
    let secrets = [ACTIVE, RETIRED, OLDEST].map(str::to_owned);
    remembers_none(&place, &token, &secrets);
}

#[tokio::test]
async fn who_verifies_from_the_database_remembers_no_secret() {
    let database = TestDatabase::create().await;
    let settings = "[keys]\nstore = 'postgres'\nstaging = '0s'\nkey_encryption_key_file = 'sealing'\n";
    let mut place = Place::new(settings, vec![("DATABASE_URL", database.url_text().to_owned())]);
    let sealing = URL_SAFE_NO_PAD.encode(KEY_ENCRYPTION_KEY);
    std::fs::write(place.path("sealing"), &sealing).unwrap();
    std::fs::set_permissions(place.path("sealing"), std::fs::Permissions::from_mode(0o600)).unwrap();
    place.run(&["keys", "rotate"], "");
    let token = issued(&mut place);
    place.run(&["keys", "export", "--jwks", "keys.jwks"], "");
    let mut secrets = vec![sealing, String::from_utf8(KEY_ENCRYPTION_KEY.to_vec()).unwrap()];
    secrets.extend(exported(&place.path("keys.jwks")));
    assert!(secrets.len() > 2);
    remembers_none(&place, &token, &secrets);
}

#[test]
fn a_command_that_holds_keys_leaves_no_core_file() {
    let place = Place::new("[keys]\n", Vec::new());
    std::fs::write(place.path(".env"), format!("SECRET_KEY={ACTIVE}\n")).unwrap();
    let mut command = Command::new("sh")
        .args(["-c", "ulimit -c unlimited; exec \"$0\" token verify"])
        .arg(pbac())
        .current_dir(place.directory.path())
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // The shell has allowed core files before it becomes the command, which waits for a token when it has forbidden them.
    let process = format!("/proc/{}", command.id());
    let (limits, name) = (format!("{process}/limits"), format!("{process}/comm"));
    let is_pbac = || std::fs::read_to_string(&name).unwrap().trim_end() == "pbac";
    let forbidden = |text: String| {
        let line = text.lines().find(|line| line.starts_with("Max core file size")).unwrap().to_owned();
        line.split_whitespace().nth(4) == Some("0")
    };
    let patience = Instant::now() + Duration::from_secs(60);
    while !(is_pbac() && forbidden(std::fs::read_to_string(&limits).unwrap())) {
        assert!(Instant::now() < patience, "core files stay allowed");
        std::thread::sleep(Duration::from_millis(5));
    }
    let killed = Command::new("kill").args(["-ABRT", &command.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let status = command.wait().unwrap();
    assert!(status.signal().is_some() && !status.core_dumped(), "{status}");
    assert!(record::files(place.directory.path()).iter().all(|path| !path.ends_with("core")));
}
