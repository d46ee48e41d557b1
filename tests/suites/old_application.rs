//! The application that is there, in Python, and ours on one `.env` file: what either signs, both verify, before and after each
//! change of the keys.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap or a panic is a failed test")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use pbac::cli::Global;
use pbac::config::Config;
use pbac::keys::{Applying, KeySet, Operation, Store};
use pbac::token::{NewToken, UserId, issue};
use pbac_tests::record::{self, Recorded};
use policy_core::Timestamp;
use policy_core::token::{TokenBuffer, TokenError};

const DAY: i64 = 86_400;

struct Site {
    python: PathBuf,
    directory: tempfile::TempDir,
    config: Config,
}

impl Site {
    /// None where there is no Python with the libraries, which is said.
    fn new(env: &str) -> Option<Self> {
        let python = pbac_tests::python::python()?;
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(".env"), env).unwrap();
        let settings = directory.path().join("pbac.toml");
        std::fs::write(&settings, "[keys]\nstaging = '0s'\n").unwrap();
        let flags = Global { config: Some(settings), ..Global::default() };
        let config = Config::load(&flags, &|_| None).unwrap();
        Some(Self { python, directory, config })
    }

    fn python(&self, arguments: &[&str], input: &str) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/old_application.py");
        let mut child = Command::new(&self.python)
            .arg(script)
            .arg(self.directory.path().join(".env"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap().recorded();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    async fn load(&self) -> KeySet {
        Store::open(&self.config).unwrap().load(&self.config.keys).await.unwrap()
    }

    async fn apply(&self, operation: Operation, now: i64) {
        let settings = &self.config.keys;
        let now = Timestamp::from_seconds(now);
        let applying = Applying { operation: &operation, settings, now, who: "the test", watch: &|_| {} };
        let applied = Store::open(&self.config).unwrap().apply(applying).await;
        applied.unwrap_or_else(|error| panic!("{operation:?}: {error}"));
    }

    async fn verify(&self, token: &str, now: i64) -> Result<String, TokenError> {
        let ring = self.load().await.ring(self.config.keys.token_rules()).unwrap();
        let mut buffer = TokenBuffer::default();
        let verified = ring.verify(token, Timestamp::from_seconds(now), &mut buffer)?;
        assert_eq!(verified.claims.roles, ["Purchasing Head"]);
        assert_eq!(verified.claims.username.as_deref(), Some("siti"));
        Ok(verified.claims.user_id.unwrap().to_string())
    }

    /// A token of each library and one of ours, by the key that signs now.
    async fn sign(&self, now: i64, life: i64) -> Vec<String> {
        let (expires, issued) = ((now + life).to_string(), now.to_string());
        let ours = NewToken {
            user_id: Some(UserId::Number(42)),
            username: Some("siti".to_owned()),
            email: Some("siti@quty.example".to_owned()),
            roles: vec!["Purchasing Head".to_owned()],
            ..NewToken::default()
        };
        let life = Duration::from_secs(u64::try_from(life).unwrap());
        vec![
            self.python(&["sign", "jose", &expires, &issued], ""),
            self.python(&["sign", "pyjwt", &expires, &issued], ""),
            issue(&self.load().await, &ours, Timestamp::from_seconds(now), life).unwrap(),
        ]
    }

    /// Every token holds for both applications.
    async fn all_hold(&self, tokens: &[String], now: i64) {
        for token in tokens {
            assert_eq!(self.verify(token, now).await, Ok("42".to_owned()));
        }
        let answers = self.python(&["decode"], &(tokens.join("\n") + "\n"));
        assert!(
            answers.lines().all(|answer| answer == "42") && answers.lines().count() == tokens.len(),
            "{answers}"
        );
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        record::directory(self.directory.path());
    }
}

/// Python's clock cannot be told, so its tokens begin now and live for long.
fn today() -> i64 {
    jiff::Timestamp::now().as_second()
}

#[tokio::test]
async fn what_either_signs_both_verify_through_rotations() {
    let secret = "oLdS3cr3t-of-the-application_4f9a7c2e1b8d6053";
    let env =
        format!("# the application's\nSECRET_KEY={secret}\nJWT_ALGORITHM=HS256\nKEY_ROTATION_DAYS=90\n");
    let Some(site) = Site::new(&env) else { return };
    let now = today();
    let mut tokens = site.sign(now, 400 * DAY).await;
    site.all_hold(&tokens, now).await;

    site.apply(Operation::Rotate { force: false }, now).await;
    site.all_hold(&tokens, now).await;
    tokens.extend(site.sign(now, 400 * DAY).await);
    site.all_hold(&tokens, now).await;

    site.apply(Operation::Stage, now).await;
    site.all_hold(&tokens, now).await;
    site.apply(Operation::Promote { force: false }, now).await;
    tokens.extend(site.sign(now, 400 * DAY).await);
    site.all_hold(&tokens, now).await;

    // The first key verifies for 270 days more, and not a moment longer, though the old application would go on.
    assert_eq!(site.verify(&tokens[0], now + 270 * DAY - 1).await, Ok("42".to_owned()));
    assert_eq!(site.verify(&tokens[0], now + 270 * DAY).await, Err(TokenError::BadSignature));
    assert_eq!(site.verify(tokens.last().unwrap(), now + 270 * DAY).await, Ok("42".to_owned()));
    // The key of the first token is gone from the file with the next rotation after that.
    site.apply(Operation::Rotate { force: false }, now + 270 * DAY).await;
    assert_eq!(site.python(&["decode"], &format!("{}\n", tokens[0])), "None");
}

#[tokio::test]
async fn a_revoked_key_verifies_for_neither() {
    let Some(site) = Site::new("SECRET_KEY=oLdS3cr3t-of-the-application_4f9a7c2e1b8d6053\n") else { return };
    let now = today();
    let stolen = site.sign(now, DAY).await;
    site.apply(Operation::Stage, now).await;
    let id = site.load().await.history().active().unwrap().id.clone();
    site.apply(Operation::Revoke { id, unknown: false }, now).await;
    for token in &stolen {
        assert!(site.verify(token, now).await.is_err());
        assert_eq!(site.python(&["decode"], &format!("{token}\n")), "None");
    }
    let tokens = site.sign(now, DAY).await;
    site.all_hold(&tokens, now).await;
}
