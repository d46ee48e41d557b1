//! Eight verifiers and two issuers, each a process, under load while the keys change: stage, promote, four rotations, a
//! revocation. Not one valid token is refused, and not one of a revoked or expired key is accepted. Time is the test's.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap or a panic is a failed test")]

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pbac::cli::Global;
use pbac::config::Config;
use pbac::keys::{Applied, Applying, Operation, Store};
use pbac_tests::database::TestDatabase;
use pbac_tests::fleet::Node;
use pbac_tests::record;
use policy_core::Timestamp;
use policy_core::keys::KeyId;

const VERIFIERS: usize = 8;
const ISSUERS: usize = 2;
const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;
/// How long a token lives.
const LIFE: i64 = 8 * HOUR;
/// A Monday in 2026.
const START: i64 = 1_768_780_800_000_000;
/// So that nodes look at the store at different moments.
const BETWEEN_STARTS: Duration = Duration::from_millis(47);
/// Nobody waits longer for a node to load a change.
const PATIENCE: Duration = Duration::from_secs(60);

/// A token, and what the test knows of it.
#[derive(Clone, Debug)]
struct Known {
    text: String,
    kid: Option<String>,
    issued: i64,
}

/// What all threads share.
struct World {
    now: AtomicI64,
    /// No time passes while it is read, so that a request has one time from its beginning to its end.
    clock: RwLock<()>,
    tokens: Mutex<Vec<Known>>,
    /// Keys whose tokens nobody may accept any more.
    dead: Mutex<Vec<String>>,
    /// Keys that are being revoked: some nodes have heard of it, others have not.
    dying: Mutex<Vec<String>>,
    done: AtomicBool,
    accepted: AtomicU64,
    refused: AtomicU64,
}

/// Processes under load.
struct Fleet {
    world: Arc<World>,
    nodes: Vec<Arc<Mutex<Node>>>,
    threads: Vec<JoinHandle<()>>,
    config: Config,
}

impl Fleet {
    fn start(settings: &Path, variables: &[(String, String)]) -> Self {
        let config =
            Config::load(&Global { config: Some(settings.to_owned()), ..Global::default() }, &|name| {
                variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.into())
            })
            .unwrap();
        let world = Arc::new(World {
            now: AtomicI64::new(START),
            clock: RwLock::new(()),
            tokens: Mutex::new(Vec::new()),
            dead: Mutex::new(Vec::new()),
            dying: Mutex::new(Vec::new()),
            done: AtomicBool::new(false),
            accepted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        });
        let program = Path::new(env!("CARGO_BIN_EXE_fleet_node"));
        // Issuers first, and each looks at the store at another moment: what they sign by, verifiers hear of last.
        let mut nodes: Vec<_> = (0..VERIFIERS + ISSUERS)
            .map(|_| {
                thread::sleep(BETWEEN_STARTS);
                Arc::new(Mutex::new(Node::start(program, settings, variables)))
            })
            .collect();
        nodes.reverse();
        let threads = nodes
            .iter()
            .enumerate()
            .map(|(number, node)| {
                let (world, node) = (Arc::clone(&world), Arc::clone(node));
                thread::spawn(move || {
                    if number < VERIFIERS { verify(&world, &node, number) } else { issue(&world, &node) }
                })
            })
            .collect();
        Self { world, nodes, threads, config }
    }

    /// Lets time pass, with requests in between.
    fn pass(&self, span: i64) {
        for part in [span / 2, span - span / 2] {
            {
                let _still = self.world.clock.write().unwrap();
                self.world.now.fetch_add(part, Ordering::SeqCst);
            }
            self.serve_for(200);
        }
    }

    /// Lets this many more tokens be verified.
    fn serve_for(&self, requests: u64) {
        let count = || self.world.accepted.load(Ordering::SeqCst) + self.world.refused.load(Ordering::SeqCst);
        let (from, began) = (count(), Instant::now());
        while count() < from + requests {
            self.check();
            assert!(began.elapsed() < PATIENCE, "the fleet does not answer");
            thread::sleep(Duration::from_millis(5));
        }
    }

    async fn apply(&self, operation: Operation) -> Applied {
        let store = Store::open(&self.config).unwrap();
        let now = Timestamp::from_micros(self.world.now.load(Ordering::SeqCst));
        let settings = &self.config.keys;
        let applying = Applying { operation: &operation, settings, now, who: "the test", watch: &|_| {} };
        store.apply(applying).await.unwrap_or_else(|error| panic!("{operation:?}: {error}"))
    }

    /// Waits until every node holds what the store does, while requests go on.
    async fn converge(&self) {
        let keys = Store::open(&self.config).unwrap().load(&self.config.keys).await.unwrap();
        let held = keys.history().keys().iter().map(|key| format!("{}:{}", key.id, key.phase.name()));
        let revoked = keys.history().revoked().iter().map(|revocation| format!("{}:revoked", revocation.id));
        let wanted = held.chain(revoked).collect::<Vec<_>>().join(" ");
        let began = Instant::now();
        for node in &self.nodes {
            while node.lock().unwrap().ask("keys") != wanted {
                self.check();
                assert!(began.elapsed() < PATIENCE, "a node does not take the change");
                thread::sleep(Duration::from_millis(20));
            }
        }
    }

    /// A change that every node has to hear of before time passes.
    async fn change(&self, operation: Operation) {
        self.apply(operation).await;
        self.converge().await;
        self.serve_for(300);
    }

    async fn active(&self) -> KeyId {
        let keys = Store::open(&self.config).unwrap().load(&self.config.keys).await.unwrap();
        keys.history().active().unwrap().id.clone()
    }

    /// A thread that found something has ended.
    fn check(&self) {
        assert!(!self.threads.iter().any(JoinHandle::is_finished), "a request was answered wrongly");
    }

    fn stop(self) -> (u64, u64) {
        self.world.done.store(true, Ordering::SeqCst);
        for thread in self.threads {
            thread.join().unwrap();
        }
        (self.world.accepted.load(Ordering::SeqCst), self.world.refused.load(Ordering::SeqCst))
    }
}

/// Signs tokens for ever.
fn issue(world: &World, node: &Mutex<Node>) {
    while !world.done.load(Ordering::SeqCst) {
        {
            let _still = world.clock.read().unwrap();
            let issued = world.now.load(Ordering::SeqCst);
            let text = node.lock().unwrap().ask(&format!("issue {issued} {}", LIFE / 1_000_000));
            assert!(!text.starts_with("error"), "{text}");
            let kid = kid(&text);
            let mut tokens = world.tokens.lock().unwrap();
            if tokens.len() >= 4_000 {
                // Old ones stay for long, so that they outlive their keys.
                let oldest = tokens.len() / 2;
                tokens.remove(oldest);
            }
            tokens.push(Known { text, kid, issued });
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// Verifies tokens for ever, old and new ones.
fn verify(world: &World, node: &Mutex<Node>, seed: usize) {
    let mut random = fastrand::Rng::with_seed(u64::try_from(seed).unwrap());
    while !world.done.load(Ordering::SeqCst) {
        let still = world.clock.read().unwrap();
        let Some(token) = ({
            let tokens = world.tokens.lock().unwrap();
            // The newest ones most often: those a node may not know the key of.
            let newest = random.bool();
            let place =
                if newest { tokens.len().saturating_sub(1) } else { random.usize(0..tokens.len().max(1)) };
            tokens.get(place).cloned()
        }) else {
            continue;
        };
        // Before it is asked: what was dead by then may not be accepted.
        let is_of = |list: &Mutex<Vec<String>>| {
            token.kid.as_ref().is_some_and(|kid| list.lock().unwrap().contains(kid))
        };
        let dead = is_of(&world.dead);
        let dying_before = is_of(&world.dying);
        let now = world.now.load(Ordering::SeqCst);
        let answer = node.lock().unwrap().ask(&format!("verify {now} {}", token.text));
        let accepted = answer.starts_with("ok ");
        let expired = now >= token.issued + LIFE;
        assert!(!(accepted && (expired || dead)), "accepted at {now}: {token:?}");
        // Whether a key that is being revoked still verifies depends on the node.
        let dying = dying_before || is_of(&world.dying) || is_of(&world.dead);
        assert!(accepted || expired || dying, "refused at {now} ({answer}): {token:?}");
        let count = if accepted { &world.accepted } else { &world.refused };
        count.fetch_add(1, Ordering::SeqCst);
        drop(still);
        thread::sleep(Duration::from_millis(1));
    }
}

fn kid(token: &str) -> Option<String> {
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    let header: BTreeMap<String, serde_json::Value> = serde_json::from_slice(&header).unwrap();
    header.get("kid").map(|kid| kid.as_str().unwrap().to_owned())
}

/// The whole life of the keys, whatever the store.
async fn lives(settings: &Path, variables: &[(String, String)]) {
    let fleet = Fleet::start(settings, variables);
    fleet.serve_for(300);

    // A key is told to all before it signs.
    fleet.change(Operation::Stage).await;
    fleet.pass(HOUR);
    fleet.change(Operation::Promote { force: false }).await;
    for _ in 0..4 {
        let before = fleet.active().await;
        fleet.pass(90 * DAY);
        fleet.change(Operation::RotateIfDue).await;
        assert_eq!(fleet.active().await, before, "it is staged first");
        fleet.pass(HOUR);
        fleet.change(Operation::RotateIfDue).await;
        assert_ne!(fleet.active().await, before, "then it signs");
    }

    // A thief has the key that signs; the next one is staged, as the runbook says, so that nobody else is turned away.
    fleet.pass(DAY);
    fleet.change(Operation::Stage).await;
    fleet.pass(HOUR);
    let stolen = fleet.active().await;
    fleet.world.dying.lock().unwrap().push(stolen.to_string());
    fleet.apply(Operation::Revoke { id: stolen.clone(), unknown: false }).await;
    fleet.converge().await;
    fleet.world.dead.lock().unwrap().push(stolen.to_string());
    fleet.serve_for(1_000);
    assert_ne!(fleet.active().await, stolen);
    fleet.pass(LIFE / 2);

    let (accepted, refused) = fleet.stop();
    println!("{accepted} tokens accepted, {refused} refused, none wrongly");
    assert!(accepted > 1_000 && refused > 10);
}

const SETTINGS: &str = "[keys]\nfleet = true\nstaging = \"30m\"\ntoken_life = \"8h\"\nlogs = \"logs\"\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_fleet_on_an_env_file() {
    let directory = tempfile::tempdir().unwrap();
    let settings = directory.path().join("pbac.toml");
    std::fs::write(&settings, SETTINGS).unwrap();
    // As the source document leaves it: no names, no times but one without a zone.
    std::fs::write(
        directory.path().join(".env"),
        "SECRET_KEY=pW8c4Hn2sVq9Lx0Zr7Tb5Yk3Gd6Fj1MaQeUoIi-_RtE\nKEY_LAST_ROTATED=2026-01-01T00:00:00\n",
    )
    .unwrap();
    lives(&settings, &[]).await;
    record::directory(directory.path());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_fleet_on_postgresql() {
    let database = TestDatabase::create().await;
    let directory = tempfile::tempdir().unwrap();
    let settings = directory.path().join("pbac.toml");
    let sealing = directory.path().join("key-encryption-key");
    std::fs::write(&sealing, URL_SAFE_NO_PAD.encode(*b"Uc8Lw2Rk5Tz7Xn1Vb4Mj9Ph3Gd6Fs0Aq")).unwrap();
    std::fs::set_permissions(&sealing, std::fs::Permissions::from_mode(0o600)).unwrap();
    let more = "store = \"postgres\"\nkey_encryption_key_file = \"key-encryption-key\"\n";
    std::fs::write(&settings, format!("{SETTINGS}{more}")).unwrap();
    let variables = [("DATABASE_URL".to_owned(), database.url_text().to_owned())];
    let config = Config::load(&Global { config: Some(settings.clone()), ..Global::default() }, &|name| {
        variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.into())
    })
    .unwrap();
    let operation = Operation::Rotate { force: false };
    let now = Timestamp::from_micros(START);
    let applying =
        Applying { operation: &operation, settings: &config.keys, now, who: "the test", watch: &|_| {} };
    Store::open(&config).unwrap().apply(applying).await.unwrap();
    lives(&settings, &variables).await;
}
