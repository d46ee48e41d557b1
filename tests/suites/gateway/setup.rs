//! A policy, keys and tokens for it, and a gateway between a client and a server that keeps what it received.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use pbac_tests::envoy::{self, Envoy};
use pbac_tests::http::{Client, Message, Server, answer};
use pbac_tests::tokens::Signer;
use policy_core::keys::{Algorithm, KeyId};
use policy_core::signed::{BundleSigner, attach};
use policy_core::{
    Effect, Label, Override, Pattern, Permission, PermissionName, Policy, PolicyParts, Role, RoleName,
    Timestamp, UserId, encode,
};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

/// The time in seconds since 1970.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    i64::try_from(since.as_secs()).expect("a clock before the end of time")
}

/// An Envoy with an application behind it and a source of bundles beside it.
pub struct Site {
    pub envoy: Envoy,
    pub application: Server,
    pub source: Source,
}

impl Site {
    /// One whose filter has this configuration. Nothing where there is no Envoy, which is said.
    pub fn start(threads: u16, configuration: impl FnOnce(&Source) -> String) -> Option<Self> {
        let program = envoy::program()?;
        let application = Server::start(|_| answer("200 OK", "", b"hello"));
        let source = Source::start();
        let setup = envoy::Setup { upstream: application.port, source: source.server.port, threads };
        let envoy = Envoy::start(&program, &setup, &configuration(&source));
        Some(Self { envoy, application, source })
    }

    /// Ends its Envoy, and starts another that knows nothing of it.
    pub fn restart(&mut self, configuration: &str) {
        let program = envoy::program().expect("there was one before");
        let (upstream, source) = (self.application.port, self.source.server.port);
        self.envoy = Envoy::start(&program, &envoy::Setup { upstream, source, threads: 1 }, configuration);
    }

    /// Sends a request as it is written and gives the answer, and what the application received of it.
    pub fn send(&self, request: &[u8]) -> (Message, Option<Message>) {
        self.application.take_seen();
        let answer = Client::connect(self.envoy.port).and_then(|mut client| client.ask(request));
        let answer = answer.unwrap_or_else(|| {
            panic!("an answer to {:?}; log:\n{}", String::from_utf8_lossy(request), self.envoy.log())
        });
        let mut seen = self.application.take_seen();
        assert!(seen.len() < 2, "one request became several: {seen:?}");
        (answer, seen.pop())
    }

    /// Sends a request with a method, a target, headers that each end with a line end, and no body.
    pub fn ask(&self, method: &str, target: &str, headers: &str) -> (Message, Option<Message>) {
        self.send(request(method, target, headers).as_bytes())
    }

    /// Does `work` while so many clients send a request again and again, each of which has to pass, and says how many were sent.
    pub fn under_load(&self, clients: usize, request: &str, work: impl FnOnce()) -> u64 {
        /// Ends the load, also when `work` panics: the clients would go on for ever.
        struct Over<'a>(&'a AtomicBool);
        impl Drop for Over<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let is_over = AtomicBool::new(false);
        let answered = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..clients {
                scope.spawn(|| {
                    let mut client = Client::connect(self.envoy.port).expect("a connection");
                    while !is_over.load(Ordering::Relaxed) {
                        let answer = client.ask(request.as_bytes()).expect("an answer");
                        assert_eq!(answer.status(), 200, "{answer:?}");
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            let _over = Over(&is_over);
            work();
        });
        answered.into_inner()
    }

    /// The same with a token.
    pub fn ask_as(&self, token: &str, method: &str, target: &str) -> (Message, Option<Message>) {
        self.ask(method, target, &bearer(token))
    }
}

pub fn request(method: &str, target: &str, headers: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nhost: erp\r\n{headers}\r\n")
}

pub fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}\r\n")
}

/// A source of bundles and settings with an `ETag` for each.
pub struct Source {
    pub server: Server,
    /// By path.
    files: Arc<Mutex<HashMap<&'static str, File>>>,
}

/// A file, and the status that goes with it.
type File = (Vec<u8>, &'static str);

/// Where the source has bundles.
pub const BUNDLES: &str = "/v1/bundle";
/// Where the source has settings.
pub const SETTINGS: &str = "/v1/settings";

impl Source {
    fn start() -> Self {
        let files = Arc::new(Mutex::new(HashMap::<&str, File>::new()));
        let held = Arc::clone(&files);
        let server = Server::start(move |request| {
            let held = held.lock().expect("no test panics with it");
            let asked = held.iter().find(|(path, _)| request.line.contains(*path));
            let (bytes, status) = asked.map_or((Vec::new(), "404 Not Found"), |(_, file)| file.clone());
            let etag = format!("\"{:x}\"", crc(&bytes));
            if status == "200 OK" && request.values("if-none-match") == [etag.as_str()] {
                return answer("304 Not Modified", &format!("etag: {etag}\r\n"), b"");
            }
            answer(status, &format!("etag: {etag}\r\n"), &bytes)
        });
        Self { server, files }
    }

    /// Has a bundle.
    pub fn publish(&self, file: Vec<u8>) {
        self.has(BUNDLES, file, "200 OK");
    }

    /// Has settings.
    pub fn publish_settings(&self, file: Vec<u8>) {
        self.has(SETTINGS, file, "200 OK");
    }

    /// Has an answer with this status in place of both.
    pub fn fail(&self, status: &'static str) {
        self.has(BUNDLES, b"<html>".to_vec(), status);
        self.has(SETTINGS, b"<html>".to_vec(), status);
    }

    fn has(&self, path: &'static str, file: Vec<u8>, status: &'static str) {
        self.files.lock().expect("no test panics with it").insert(path, (file, status));
    }
}

/// Something that differs for different bytes.
fn crc(bytes: &[u8]) -> u64 {
    bytes.iter().fold(7, |sum: u64, &byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)))
}

/// The policy of all tests: a head who may approve, a clerk who may look, a user whom an override forbids to approve.
pub fn bundle(head: &[&str]) -> Vec<u8> {
    let permission = |name: &str| Permission {
        name: PermissionName::parse(name).expect("a permission"),
        module: Label::parse("purchasing").expect("a label"),
        description: String::new(),
    };
    let role = |name: &str, alias: &[&str], grants: &[&str]| Role {
        aliases: alias.iter().map(|text| RoleName::parse(text).expect("a name")).collect(),
        grants: grants.iter().map(|text| Pattern::parse(text).expect("a pattern")).collect(),
        ..Role::named(RoleName::parse(name).expect("a name"))
    };
    let denied = Override {
        user: UserId::parse("9").expect("an id"),
        effect: Effect::Deny,
        pattern: Pattern::parse("po.approve").expect("a pattern"),
        expires_at: None,
        reason: String::new(),
    };
    let policy = Policy::new(PolicyParts {
        permissions: ["po.view", "po.approve", "po.pay", "users.view"].map(permission).into(),
        roles: vec![role("PURCHASING_HEAD", &["Purchasing Head"], head), role("CLERK", &[], &["po.view"])],
        overrides: vec![denied],
        ..PolicyParts::default()
    });
    encode(&policy.expect("a policy")).expect("a bundle")
}

/// A signature of the trusted publisher and the bundle.
pub fn published(bundle: &[u8], sequence: u64) -> Vec<u8> {
    signed(&publisher(7), bundle, sequence, now() + 3_600)
}

pub fn publisher(seed: u8) -> BundleSigner {
    BundleSigner::new(KeyId::parse("publisher").expect("a name"), &[seed; 32])
}

/// A signature of the trusted publisher and the settings.
pub fn published_settings(settings: &Value, sequence: u64) -> Vec<u8> {
    signed_settings(&publisher(7), settings, sequence, now() + 3_600)
}

pub fn signed_settings(signer: &BundleSigner, settings: &Value, sequence: u64, expires: i64) -> Vec<u8> {
    let settings = settings.to_string();
    attach(
        &signer.sign_settings(settings.as_bytes(), sequence, Timestamp::from_seconds(expires)),
        settings.as_bytes(),
    )
}

pub fn signed(signer: &BundleSigner, bundle: &[u8], sequence: u64, expires: i64) -> Vec<u8> {
    attach(&signer.sign(bundle, sequence, Timestamp::from_seconds(expires)).expect("a bundle"), bundle)
}

/// The filter's configuration, with members replaced or added. Without a bundle it is refreshed every second.
pub fn configuration(bundle: Option<&[u8]>, more: Value) -> String {
    let mut json = json!({
        "ring": ring(&["k1", "k0"]),
        "route_table": { "routes": [
            { "method": "GET", "path": "/api/po/{id}", "permission": "po.view" },
            { "method": "POST", "path": "/api/po/{id}/approve", "permission": "po.approve" },
            { "method": "GET", "path": "/api/{rest:path}", "permission": "po.view" },
            { "method": "GET", "path": "/public/{rest:path}", "permission": "none" },
            { "method": "POST", "path": "/public/{rest:path}", "permission": "none" },
            { "method": "GET", "path": "/admin", "permission": "users.view" },
        ] },
    });
    match bundle {
        Some(bundle) => json["bundle"] = STANDARD.encode(bundle).into(),
        None => {
            let public = URL_SAFE_NO_PAD.encode(publisher(7).public());
            json["trusted_keys"] = json!([{ "kid": "publisher", "x": public }]);
            json["refresh"] = json!({ "cluster": "bundles", "path": BUNDLES, "interval_seconds": 1 });
        }
    }
    for (member, value) in more.as_object().expect("an object") {
        json[member] = value.clone();
    }
    json.to_string()
}

/// A ring whose first key is active and whose others are retired, with one that is over and one that is revoked. A key is
/// of the algorithm that its name begins with, or HS256.
pub fn ring(kids: &[&str]) -> Value {
    let hour = 3_600_000_000_i64;
    let now = now() * 1_000_000;
    let mut keys = Vec::new();
    for (place, kid) in kids.iter().enumerate() {
        let since = if place == 0 { Value::Null } else { json!(now) };
        let state = if place == 0 { "active" } else { "retired" };
        keys.push(key(kid, json!({ "state": state, "since": since, "not_after": now + hour })));
    }
    keys.push(key("over", json!({ "state": "retired", "since": now - 2 * hour, "not_after": now - hour })));
    for kid in ["eddsa", "es256"] {
        keys.push(key(kid, json!({ "state": "retired", "since": now, "not_after": now + hour })));
    }
    json!({
        "keys": keys,
        "revoked": [{ "kid": "stolen", "at": now - hour }],
        "rules": { "leeway": 0, "issuers": [], "audiences": [] },
    })
}

fn key(kid: &str, more: Value) -> Value {
    let mut key = match signer(kid) {
        Signer::Hs256(secret) => json!({ "kty": "oct", "alg": "HS256", "k": URL_SAFE_NO_PAD.encode(secret) }),
        Signer::EdDsa(key) => {
            let public = URL_SAFE_NO_PAD.encode(key.verifying_key().to_bytes());
            json!({ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "x": public })
        }
        Signer::Es256(key) => {
            let point = key.verifying_key().to_sec1_point(false);
            let (x, y) = point.as_bytes().get(1..).expect("a point").split_at(32);
            let [x, y] = [x, y].map(|part| URL_SAFE_NO_PAD.encode(part));
            json!({ "kty": "EC", "crv": "P-256", "alg": "ES256", "x": x, "y": y })
        }
    };
    key["kid"] = kid.into();
    for (member, value) in more.as_object().expect("an object") {
        key[member] = value.clone();
    }
    key
}

fn signer(kid: &str) -> Signer {
    let algorithm = match kid {
        "eddsa" => Algorithm::EdDsa,
        "es256" => Algorithm::Es256,
        _ => Algorithm::Hs256,
    };
    Signer::made_up(algorithm, kid)
}

/// A token by the key of this name, which lives for ten minutes.
pub fn token(kid: &str, user: &str, roles: &[&str]) -> String {
    let now = now();
    token_of(kid, &json!({ "user_id": user, "roles": roles, "iat": now, "exp": now + 600 }))
}

pub fn token_of(kid: &str, claims: &Value) -> String {
    let signer = signer(kid);
    let header = json!({ "alg": signer.algorithm().name(), "typ": "JWT", "kid": kid });
    signer.token(&header.to_string(), &claims.to_string())
}

/// Of somebody who may approve.
pub fn head() -> String {
    token("k1", "7", &["Purchasing Head"])
}

/// Of somebody who may look.
pub fn clerk() -> String {
    token("k1", "8", &["CLERK"])
}
