//! Keys in a `.env` file: the document's cycle, what is left when a process is killed at each step, several at once, backups
//! that come back, and keys without a shared secret.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap or a panic is a failed test")]

use std::collections::BTreeSet;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use pbac::cli::Global;
use pbac::config::Config;
use pbac::env_file::Step;
use pbac::error::HostError;
use pbac::exit::Exit;
use pbac::keys::{Applied, Applying, KeySet, LiveKeys, Operation, Reload, Store, jwks, ring_file};
use pbac::migrate::step::WorkStep;
use pbac::token::{NewToken, UserId, issue};
use pbac_tests::record;
use policy_core::Timestamp;
use policy_core::keys::{Algorithm, KeyId};
use policy_core::token::{KeyRing, TokenBuffer, TokenError, TokenRules};

const DAY: i64 = 86_400;
/// 2026-01-20T10:30:45Z.
const START: i64 = 1_768_905_045;
const KEY_B: &str = "kBw3Rt8Nz5Qx2Mc7Yv4Lp9Hs6JdFgA1eUoIiT-_KxZb";
const KEY_A: &str = "kAq7vT2mRz9Lw4KcB8nYp1HsJ6dFgA3eUoIiQ-_WtZx";

/// The process that is to be killed finds here which step, what it does, and where.
const KILL_AT: &str = "PBAC_TEST_KILL_AT";

struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new(env: &str, settings: &str) -> Self {
        let place = Self { directory: tempfile::tempdir().unwrap() };
        std::fs::write(place.env(), env).unwrap();
        std::fs::write(
            place.directory.path().join("pbac.toml"),
            format!("[keys]\nstaging = '0s'\n{settings}"),
        )
        .unwrap();
        place
    }

    fn env(&self) -> PathBuf {
        self.directory.path().join(".env")
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.env()).unwrap()
    }

    async fn load(&self) -> KeySet {
        let config = config(self.directory.path());
        Store::open(&config).unwrap().load(&config.keys).await.unwrap()
    }

    async fn apply(&self, operation: Operation, now: i64) -> Result<Applied, HostError> {
        apply(self.directory.path(), &operation, now, &|_| {}).await
    }

    async fn verify(&self, token: &str, now: i64) -> Result<(), TokenError> {
        let ring = self.load().await.ring(config(self.directory.path()).keys.token_rules()).unwrap();
        ring.verify(token, Timestamp::from_seconds(now), &mut TokenBuffer::default()).map(drop)
    }

    async fn sign(&self, now: i64, days: i64) -> String {
        let token = NewToken { user_id: Some(UserId::Number(42)), ..NewToken::default() };
        let life = Duration::from_secs(u64::try_from(days * DAY).unwrap());
        issue(&self.load().await, &token, Timestamp::from_seconds(now), life).unwrap()
    }

    async fn active(&self) -> KeyId {
        self.load().await.history().active().unwrap().id.clone()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        record::directory(self.directory.path());
    }
}

fn config(directory: &Path) -> Config {
    Config::load(&Global { config: Some(directory.join("pbac.toml")), ..Global::default() }, &|_| None)
        .unwrap()
}

async fn apply(
    directory: &Path,
    operation: &Operation,
    now: i64,
    watch: &(dyn Fn(&'static str) + Sync),
) -> Result<Applied, HostError> {
    let config = config(directory);
    let now = Timestamp::from_seconds(now);
    let applying = Applying { operation, settings: &config.keys, now, who: "the test", watch };
    Store::open(&config).unwrap().apply(applying).await
}

#[tokio::test]
async fn the_cycle_of_the_source_document() {
    let place = Place::new(
        &format!("SECRET_KEY={KEY_A}\nKEY_LAST_ROTATED=2026-01-20T10:30:45\nKEY_ROTATION_DAYS=90\n"),
        "",
    );
    let first = place.sign(START, 400).await;
    for (day, retired) in [(90, 1), (180, 2), (270, 3)] {
        let now = START + day * DAY;
        assert!(
            place.apply(Operation::RotateIfDue, now - 1).await.unwrap().planned.is_none(),
            "a second early"
        );
        assert!(place.apply(Operation::RotateIfDue, now).await.unwrap().planned.is_some());
        assert_eq!(place.load().await.history().retired().count(), retired);
        assert!(place.text().contains(KEY_A));
        assert_eq!(place.verify(&first, now).await, Ok(()));
    }
    assert_eq!(place.verify(&first, START + 360 * DAY - 1).await, Ok(()));
    // Its time is over whether or not anything rotates.
    assert_eq!(place.verify(&first, START + 360 * DAY).await, Err(TokenError::BadSignature));
    place.apply(Operation::RotateIfDue, START + 360 * DAY).await.unwrap();
    assert!(!place.text().contains(KEY_A), "on day 360 key A is gone");
    assert_eq!(place.load().await.history().retired().count(), 3);
    assert!(place.text().contains("KEY_LAST_ROTATED=2027-01-15T10:30:45\n"));
}

/// What is done in the process that is to be killed. As a test of its own it does nothing.
#[tokio::test]
async fn in_a_process_of_its_own() {
    let Ok(told) = std::env::var(KILL_AT) else { return };
    let words: Vec<&str> = told.split(' ').collect();
    let [step, what, directory, kid] = words[..] else { panic!("{told}") };
    let operation = operation(what, kid);
    let watch = |name: &'static str| {
        if name == step {
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).unwrap();
        }
    };
    apply(Path::new(directory), &operation, START + DAY, &watch).await.unwrap();
}

fn operation(what: &str, kid: &str) -> Operation {
    match what {
        "stage" => Operation::Stage,
        "rotate" => Operation::Rotate { force: false },
        _ => Operation::Revoke { id: KeyId::parse(kid).unwrap(), unknown: false },
    }
}

#[tokio::test]
async fn killed_at_each_step_it_is_as_before_or_as_after() {
    let steps = Step::ALL.iter().map(|step| step.name()).chain(["revocations", "report"]);
    let mut killed = BTreeSet::new();
    for step in steps {
        for what in ["stage", "rotate", "revoke"] {
            let place = Place::new(&format!("# mine\nSECRET_KEY={KEY_A}\nOTHER=1\n"), "");
            place.apply(Operation::Rotate { force: false }, START).await.unwrap();
            let (before, old) = (place.load().await, place.active().await);
            let token = place.sign(START + DAY, 30).await;
            let told = format!("{step} {what} {} {old}", place.directory.path().display());
            let status = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "in_a_process_of_its_own"])
                .env(KILL_AT, told)
                .output()
                .unwrap()
                .status;
            if status.signal() == Some(9) {
                killed.insert(step);
            } else {
                assert!(status.success(), "{step} {what}");
            }

            let after = place.load().await;
            assert!(place.text().starts_with("# mine\nSECRET_KEY=") && place.text().ends_with("OTHER=1\n"));
            assert_eq!(place.env().metadata().unwrap().permissions().mode() & 0o777, 0o600);
            let changed = after.history() != before.history();
            match what {
                "stage" => assert_eq!(after.history().staged().is_some(), changed),
                _ => assert_eq!(place.active().await != old, changed, "{step} {what}"),
            }
            // Who loads the keys now signs what everybody who loads them can verify.
            let fresh = place.sign(START + DAY, 30).await;
            assert_eq!(place.verify(&fresh, START + DAY).await, Ok(()), "{step} {what}");
            let revoked = after.history().revocation(old.as_str()).is_some();
            let holds = place.verify(&token, START + DAY).await;
            assert_eq!(holds.is_ok(), !revoked, "{step} {what}: {holds:?}");

            // The next one goes on as if nothing had been.
            if what == "revoke" && !revoked {
                place.apply(operation(what, old.as_str()), START + DAY).await.unwrap();
            }
            place.apply(Operation::Rotate { force: true }, START + 2 * DAY).await.unwrap();
            if what == "revoke" {
                // Nor does a backup bring the key back, whenever the revocation was cut off.
                let text = place.text();
                let secret = before.material(&old).unwrap().text().unwrap();
                std::fs::write(place.env(), format!("SECRET_KEY={}\n", *secret)).unwrap();
                assert!(place.load().await.signing().is_none(), "{step}");
                std::fs::write(place.env(), text).unwrap();
            }
            let strays = std::fs::read_dir(place.directory.path())
                .unwrap()
                .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains("pbac-tmp"));
            assert_eq!(strays.count(), 0, "{step} {what}: something is left behind");
        }
    }
    // All but what happens only in trouble, or only where backups are bounded.
    for step in Step::ALL.iter().filter(|step| **step != Step::PutBack) {
        assert!(killed.contains(step.name()), "nothing was killed at `{}`", step.name());
    }
    assert!(killed.contains("revocations") && killed.contains("report"));
}

#[tokio::test]
async fn of_several_at_once_one_wins_and_the_others_say_so() {
    let place = Place::new(&format!("SECRET_KEY={KEY_A}\n"), "history = 50\n");
    let mut done = 0;
    for round in 0..5 {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let directory = place.directory.path().to_owned();
                thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                    let operation = Operation::Rotate { force: false };
                    runtime.block_on(apply(&directory, &operation, START + round, &|_| {})).map(drop)
                })
            })
            .collect();
        for thread in threads {
            match thread.join().unwrap() {
                Ok(()) => done += 1,
                Err(error) => assert_eq!(error.exit(), Exit::Busy, "{error}"),
            }
        }
    }
    assert!(done >= 5);
    assert_eq!(place.load().await.history().retired().count(), done, "no rotation is lost");
}

/// The second one has read the file before the first one took the lock.
#[tokio::test]
async fn a_rotation_that_was_overtaken_does_nothing() {
    let place = Place::new(&format!("SECRET_KEY={KEY_A}\n"), "");
    let directory = place.directory.path().to_owned();
    let overtaken = Mutex::new(None);
    let watch = |step: &'static str| {
        if step == Step::Lock.name() && overtaken.lock().unwrap().is_none() {
            let directory = directory.clone();
            let first = thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                let operation = Operation::Rotate { force: false };
                runtime.block_on(apply(&directory, &operation, START, &|_| {})).map(drop)
            });
            *overtaken.lock().unwrap() = Some(first.join().unwrap());
        }
    };
    let operation = Operation::Rotate { force: false };
    let error = apply(place.directory.path(), &operation, START, &watch).await.unwrap_err();
    assert_eq!(overtaken.into_inner().unwrap(), Some(Ok(())));
    assert_eq!(error.exit(), Exit::Busy, "{error}");
    assert_eq!(place.load().await.history().retired().count(), 1);
}

/// A verifier may have read the file before its keys had names.
#[tokio::test]
async fn tokens_do_not_name_a_key_that_began_to_sign_without_a_name() {
    let place = Place::new(&format!("SECRET_KEY={KEY_A}\n"), "");
    let before = place.load().await;
    let names = |token: &str| jsonwebtoken::decode_header(token).unwrap().kid;
    place.apply(Operation::Stage, START).await.unwrap();
    assert_eq!(place.load().await.history().active().unwrap().id, place.active().await);
    let token = place.sign(START, 30).await;
    assert_eq!(names(&token), None);
    let rules = config(place.directory.path()).keys.token_rules();
    let ring = before.ring(rules).unwrap();
    ring.verify(&token, Timestamp::from_seconds(START), &mut TokenBuffer::default()).unwrap();
    // Everybody learned the next one's name while it was staged.
    place.apply(Operation::Promote { force: false }, START + DAY).await.unwrap();
    assert_eq!(names(&place.sign(START + DAY, 30).await).as_deref(), Some(place.active().await.as_str()));
    assert_eq!(place.verify(&token, START + DAY).await, Ok(()));
}

/// A process that serves goes on with what it has while a file is half written, and hears of what comes then.
#[tokio::test]
async fn a_file_without_a_key_that_signs_changes_nothing_in_a_running_process() {
    let place = Place::new(&format!("SECRET_KEY={KEY_A}\n"), "");
    let config = config(place.directory.path());
    let live = LiveKeys::load(Store::open(&config).unwrap(), config.keys.clone()).await.unwrap();
    let token = place.sign(START, 30).await;
    let holds = || {
        let mut buffer = TokenBuffer::default();
        live.verify(&token, Timestamp::from_seconds(START), &mut buffer, |_| ()).is_ok()
    };
    let text = place.text();
    for half in ["", "SECRET_KEY=\n", "SECRET_KEY=kAq7vT2m\n"] {
        std::fs::write(place.env(), half).unwrap();
        assert!(matches!(live.reload().await, Reload::Failed(_)), "{half}");
        assert!(holds(), "{half}");
    }
    std::fs::write(place.env(), &text).unwrap();
    assert_eq!(live.reload().await, Reload::Unchanged);
    place.apply(Operation::Rotate { force: false }, START).await.unwrap();
    assert_eq!(live.reload().await, Reload::Changed);
    assert!(holds());
    let active = place.active().await;
    place.apply(Operation::Revoke { id: active.clone(), unknown: false }, START).await.unwrap();
    assert_eq!(live.reload().await, Reload::Changed);
    assert!(live.history().revocation(active.as_str()).is_some());
}

#[tokio::test]
async fn an_empty_variable_is_one_that_is_not_set() {
    let place = Place::new(&format!("SECRET_KEY={KEY_A}\nPBAC_KEYS=\nKEY_ROTATION_DAYS=\n"), "");
    assert!(place.load().await.signing().is_some());
    place.apply(Operation::Rotate { force: false }, START).await.unwrap();
    assert_eq!(place.load().await.history().keys().len(), 2);
}

/// West of Greenwich the source document's script writes a time that is earlier than it was.
#[tokio::test]
async fn a_time_without_a_zone_does_not_refuse_what_was_signed_before_it() {
    let place = Place::new(
        &format!("SECRET_KEY={KEY_A}\nSECRET_KEYS_HISTORY={KEY_B}\nKEY_LAST_ROTATED=2026-01-20T05:30:45\n"),
        "",
    );
    let other = Place::new(&format!("SECRET_KEY={KEY_B}\n"), "");
    // Five hours later by the clock of UTC: the key was not retired yet.
    let token = other.sign(START - 60, 30).await;
    assert_eq!(place.verify(&token, START).await, Ok(()));
    let late = other.sign(START + DAY, 30).await;
    assert_eq!(place.verify(&late, START + DAY).await, Err(TokenError::IssuedAfterRetirement));
}

/// By hand, as an application that knows the two variables alone has to be rotated.
#[tokio::test]
async fn keys_that_a_hand_swapped_verify_what_they_signed() {
    let place = Place::new(&format!("SECRET_KEY={KEY_A}\n"), "");
    place.apply(Operation::Rotate { force: false }, START).await.unwrap();
    let token = place.sign(START + 5 * DAY, 30).await;
    // `KEY_LAST_ROTATED` stays as it is.
    let text = place.text();
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
    let (signs, history) = (value("SECRET_KEY="), value("SECRET_KEYS_HISTORY="));
    let swapped = text.replace(&format!("SECRET_KEY={signs}"), &format!("SECRET_KEY={KEY_B}")).replace(
        &format!("SECRET_KEYS_HISTORY={history}"),
        &format!("SECRET_KEYS_HISTORY={signs},{history}"),
    );
    std::fs::write(place.env(), swapped).unwrap();
    assert_eq!(place.verify(&token, START + 6 * DAY).await, Ok(()));
    assert_eq!(place.verify(&place.sign(START + 6 * DAY, 1).await, START + 6 * DAY).await, Ok(()));
}

#[tokio::test]
async fn who_owns_the_keys_can_read_what_root_revoked() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can give files away");
        return;
    }
    let place = Place::new(&format!("SECRET_KEY={KEY_A}\n"), "");
    chown(place.env(), Some(4711), Some(4712)).unwrap();
    place.apply(Operation::Rotate { force: false }, START).await.unwrap();
    let id = place.load().await.history().retired().next().unwrap().id.clone();
    place.apply(Operation::Revoke { id, unknown: false }, START).await.unwrap();
    for name in [".env", ".env.revoked"] {
        let data = std::fs::metadata(place.directory.path().join(name)).unwrap();
        assert_eq!((data.uid(), data.gid(), data.mode() & 0o777), (4711, 4712, 0o600), "{name}");
    }
}

#[tokio::test]
async fn a_backup_that_comes_back_does_not_bring_a_revoked_key_back() {
    let place = Place::new(&format!("SECRET_KEY={KEY_A}\n"), "");
    let document = place.text();
    let stolen = place.sign(START, 30).await;
    place.apply(Operation::Rotate { force: false }, START).await.unwrap();
    let named = place.text();
    let id = place.load().await.history().retired().next().unwrap().id.clone();
    place.apply(Operation::Revoke { id, unknown: false }, START).await.unwrap();
    for backup in [document, named] {
        std::fs::write(place.env(), backup).unwrap();
        assert!(place.verify(&stolen, START).await.is_err());
        assert!(place.load().await.history().keys().iter().all(|key| place_holds(&place, &key.id)));
    }
    // A backup from before there were names leaves no key that signs, and a rotation makes one.
    let gone = Place::new(&format!("SECRET_KEY={KEY_A}\n"), "");
    std::fs::copy(place.directory.path().join(".env.revoked"), gone.directory.path().join(".env.revoked"))
        .unwrap();
    assert!(gone.load().await.signing().is_none());
    gone.apply(Operation::Rotate { force: false }, START).await.unwrap();
    assert!(!gone.text().contains(KEY_A));
}

fn place_holds(place: &Place, id: &KeyId) -> bool {
    !std::fs::read_to_string(place.directory.path().join(".env.revoked")).unwrap().contains(id.as_str())
}

#[tokio::test]
async fn keys_without_a_shared_secret_rotate_alike() {
    for (algorithm, kty) in [(Algorithm::EdDsa, "OKP"), (Algorithm::Es256, "EC")] {
        let place = Place::new(&format!("SECRET_KEY={KEY_A}\n"), &format!("algorithm = '{algorithm}'\n"));
        let old = place.sign(START, 30).await;
        place.apply(Operation::Rotate { force: false }, START).await.unwrap();
        let new = place.sign(START, 30).await;
        place.apply(Operation::Rotate { force: false }, START + DAY).await.unwrap();
        for token in [&old, &new, &place.sign(START + DAY, 30).await] {
            assert_eq!(place.verify(token, START + DAY).await, Ok(()));
        }
        let keys = place.load().await;
        let public = jwks(&keys, Timestamp::from_seconds(START + DAY), true).unwrap();
        assert!(!public.is_secret());
        let set: jsonwebtoken::jwk::JwkSet = serde_json::from_slice(&public.json().unwrap()).unwrap();
        assert_eq!(set.keys.len(), 2);
        let json: serde_json::Value = serde_json::from_slice(&public.json().unwrap()).unwrap();
        assert!(
            json["keys"].as_array().unwrap().iter().all(|key| key["kty"] == kty && key.get("d").is_none())
        );
        // A standard verifier that holds the public set alone.
        let kid = jsonwebtoken::decode_header(&new).unwrap().kid.unwrap();
        let key = jsonwebtoken::DecodingKey::from_jwk(set.find(&kid).unwrap()).unwrap();
        let mut rules = jsonwebtoken::Validation::new(match algorithm {
            Algorithm::EdDsa => jsonwebtoken::Algorithm::EdDSA,
            _ => jsonwebtoken::Algorithm::ES256,
        });
        rules.validate_exp = false;
        jsonwebtoken::decode::<serde_json::Value>(&new, &key, &rules).unwrap();
        let all = jwks(&keys, Timestamp::from_seconds(START + DAY), false).unwrap();
        assert!(all.is_secret() && all.len() == 3, "the retired HS256 key is one");
        // The ring that goes to the gateway says the same of every token.
        let now = Timestamp::from_seconds(START + DAY);
        let file = ring_file(&keys, &TokenRules::default(), false).unwrap();
        assert!(file.secret && file.keys == 3);
        let ring = KeyRing::from_document(&file.text).unwrap();
        assert_eq!(ring.history(), keys.history());
        for token in [&old, &new] {
            assert!(ring.verify(token, now, &mut TokenBuffer::default()).is_ok());
        }
        let file = ring_file(&keys, &TokenRules::default(), true).unwrap();
        assert!(!file.secret && file.keys == 2 && !file.text.contains("\"k\""));
        let ring = KeyRing::from_document(&file.text).unwrap();
        assert!(ring.verify(&new, now, &mut TokenBuffer::default()).is_ok());
        let refused = ring.verify(&old, now, &mut TokenBuffer::default()).map(|_| ());
        assert!(
            matches!(refused, Err(TokenError::UnknownKey | TokenError::AlgorithmMismatch)),
            "{refused:?}"
        );
    }
}
