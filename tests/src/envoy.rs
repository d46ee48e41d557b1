//! A real Envoy with our filter, in front of a server of the test.

use crate::http;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long Envoy may take to start, and to take a change over.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program that `PBAC_ENVOY` names; `scripts/gateway` finds one. Nothing where it names none, which is said.
pub fn program() -> Option<PathBuf> {
    let program = std::env::var_os("PBAC_ENVOY").map(PathBuf::from);
    if program.is_none() {
        eprintln!("skipped: PBAC_ENVOY names no Envoy (scripts/setup finds one)");
    }
    program
}

/// The filter as `scripts/gateway` builds it.
///
/// # Panics
/// When it has not been built.
pub fn module() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"));
    let module = target.join("gateway/pbac_gateway.wasm");
    assert!(module.exists(), "{} is missing: run scripts/gateway", module.display());
    module
}

/// How an Envoy is set up.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The port of the application.
    pub upstream: u16,
    /// The port of the source of bundles, known to the filter as the cluster `bundles`.
    pub source: u16,
    /// How many threads it has.
    pub threads: u16,
}

/// A running one; it ends with the value.
#[derive(Debug)]
pub struct Envoy {
    process: Child,
    directory: tempfile::TempDir,
    /// Where requests go.
    pub port: u16,
    /// Where requests to the filters go that [`Envoy::start_several`] was given, in their order.
    pub ports: Vec<u16>,
    admin: u16,
}

impl Drop for Envoy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Envoy {
    /// Starts one whose filter has this configuration, and waits until it is ready. Whether it listens depends on the
    /// configuration: with a broken one it does not.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(program: &Path, setup: &Setup, plugin: &str) -> Self {
        Self::start_several(program, setup, &[plugin.to_owned()])
    }

    /// The same with several filters, each on a port of its own.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_several(program: &Path, setup: &Setup, plugins: &[String]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let ports = free_ports(plugins.len() + 1);
        let (admin, ports) = ports.split_first().expect("a port");
        let (admin, ports) = (*admin, ports.to_vec());
        let port = ports.first().copied().unwrap_or_default();
        let filters: Vec<(u16, &str)> =
            ports.iter().copied().zip(plugins.iter().map(String::as_str)).collect();
        let log = std::fs::File::create(directory.path().join("log")).expect("a log");
        write(&directory.path().join("listeners.json"), &listeners(&filters));
        let main = directory.path().join("envoy.json");
        write(&main, &bootstrap(setup, admin, directory.path()));
        let process = Command::new(program)
            .args([
                "--use-dynamic-base-id",
                "--log-level",
                "warn",
                "--component-log-level",
                "wasm:info",
                "--concurrency",
            ])
            .arg(setup.threads.to_string())
            .arg("--config-path")
            .arg(&main)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("Envoy starts");
        let envoy = Self { process, directory, port, ports, admin };
        envoy.wait("it is ready", |envoy| {
            let answer =
                http::Client::connect(envoy.admin)?.ask(b"GET /ready HTTP/1.1\r\nhost: a\r\n\r\n")?;
            (answer.status() == 200).then_some(())
        });
        envoy
    }

    /// Gives the filter another configuration, and waits until Envoy has taken or refused it; says which.
    ///
    /// # Panics
    /// When Envoy does neither.
    pub fn reconfigure(&self, plugin: &str) -> bool {
        let [updated, rejected] =
            ["listener_manager.lds.update_success", "listener_manager.lds.update_rejected"];
        let (before, refused) = (self.counter(updated), self.counter(rejected));
        let fresh = self.directory.path().join("fresh.json");
        write(&fresh, &listeners(&[(self.port, plugin)]));
        std::fs::rename(&fresh, self.directory.path().join("listeners.json"))
            .expect("a file takes its place");
        self.wait("the change is taken or refused", |envoy| {
            if envoy.counter(rejected) > refused {
                return Some(false);
            }
            (envoy.counter(updated) > before).then_some(true)
        })
    }

    /// A counter or gauge of Envoy; 0 where it has none of the name. Those of the filter begin with `wasmcustom.`.
    pub fn counter(&self, name: &str) -> u64 {
        self.counters().get(name).copied().unwrap_or_default()
    }

    /// All counters and gauges.
    ///
    /// # Panics
    /// When Envoy does not say.
    pub fn counters(&self) -> BTreeMap<String, u64> {
        let answer = http::send(self.admin, b"GET /stats HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        let text = String::from_utf8(answer.body).expect("text");
        let line = |line: &str| {
            let (name, value) = line.split_once(": ")?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        text.lines().filter_map(line).collect()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// Asks until there is an answer.
    ///
    /// # Panics
    /// When there is none for too long; with the log.
    pub fn wait<T>(&self, what: &str, mut answer: impl FnMut(&Self) -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            if let Some(answer) = answer(self) {
                return answer;
            }
            assert!(start.elapsed() < PATIENCE, "waited for: {what}; log:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Ports that are free now; all are held until each is known, so that no two are the same.
fn free_ports(count: usize) -> Vec<u16> {
    let listeners: Vec<TcpListener> =
        (0..count).map(|_| TcpListener::bind(("127.0.0.1", 0)).expect("a port on loopback")).collect();
    listeners.iter().map(|listener| listener.local_addr().expect("an address").port()).collect()
}

fn write(path: &Path, json: &Value) {
    std::fs::write(path, json.to_string()).expect("a file is written");
}

fn bootstrap(setup: &Setup, admin: u16, directory: &Path) -> Value {
    let address = |port: u16| json!({ "socket_address": { "address": "127.0.0.1", "port_value": port } });
    // Without this Envoy drops trailers, and nobody would see what becomes of them.
    let protocol = json!({ "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": { "http_protocol_options": { "enable_trailers": true } } } });
    let cluster = |name: &str, port: u16| {
        json!({
            "name": name, "type": "STATIC", "connect_timeout": "5s",
            "typed_extension_protocol_options": protocol,
            "load_assignment": { "cluster_name": name, "endpoints": [
                { "lb_endpoints": [{ "endpoint": { "address": address(port) } }] } ] },
        })
    };
    let listeners = directory.join("listeners.json");
    json!({
        "node": { "id": "test", "cluster": "test" },
        "admin": { "address": address(admin) },
        "dynamic_resources": { "lds_config": { "path_config_source": {
            "path": listeners.to_str(), "watched_directory": { "path": directory.to_str() } } } },
        "static_resources": { "clusters": [cluster("application", setup.upstream), cluster("bundles", setup.source)] },
    })
}

fn listeners(filters: &[(u16, &str)]) -> Value {
    let all: Vec<Value> = filters.iter().map(|(port, plugin)| listener(*port, plugin)).collect();
    json!({ "version_info": "1", "resources": all })
}

fn listener(port: u16, plugin: &str) -> Value {
    let type_of = |name: &str| format!("type.googleapis.com/{name}");
    let filter = json!({
        "name": "pbac",
        "typed_config": {
            "@type": type_of("envoy.extensions.filters.http.wasm.v3.Wasm"),
            "config": {
                "name": "pbac",
                "fail_open": false,
                "vm_config": { "vm_id": "pbac", "runtime": "envoy.wasm.runtime.v8",
                    "code": { "local": { "filename": module().to_str() } } },
                "configuration": { "@type": type_of("google.protobuf.StringValue"), "value": plugin },
            },
        },
    });
    let router = json!({ "name": "router", "typed_config": {
        "@type": type_of("envoy.extensions.filters.http.router.v3.Router") } });
    let manager = json!({
        "@type": type_of("envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "in",
        "http_protocol_options": { "enable_trailers": true },
        "route_config": { "virtual_hosts": [{ "name": "all", "domains": ["*"],
            "routes": [{ "match": { "prefix": "/" }, "route": { "cluster": "application" } }] }] },
        "http_filters": [filter, router],
    });
    json!({
        "@type": type_of("envoy.config.listener.v3.Listener"),
        "name": format!("in {port}"),
        "address": { "socket_address": { "address": "127.0.0.1", "port_value": port } },
        "filter_chains": [{ "filters": [{ "name": "http", "typed_config": manager }] }],
    })
}
