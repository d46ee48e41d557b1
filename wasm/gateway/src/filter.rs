//! The edge to the proxy (proxy-wasm ABI 0.2.1). A panic here stops the module, and the proxy then answers for it: with
//! `fail_open: false` (the default) no request passes.

mod metrics;
mod shared;

use crate::answer::Answer;
use crate::config::{Config, Refresh};
use crate::counters::{Counter, hash_number};
use crate::gateway::Gateway;
use crate::identity::{Identity, PERMISSIONS, USER_ID};
use crate::judge::{Denial, Verdict};
use crate::request::spoofed;
use metrics::Metrics;
use policy_core::Timestamp;
use policy_core::token::TokenBuffer;
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel, MapType};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use zeroize::Zeroizing;

/// How soon after its start a filter asks for the newest bundle.
const FIRST_TICK: Duration = Duration::from_millis(50);

/// Called by the proxy once it has loaded the module.
#[expect(
    unsafe_code,
    reason = "an exported name must be unique in the module, which the compiler cannot check"
)]
#[unsafe(no_mangle)]
pub(crate) extern "C" fn _initialize() {
    proxy_wasm::set_root_context(|_| Box::new(Root::default()));
}

/// What all requests of one thread share.
#[derive(Default)]
struct State {
    /// None until there is a configuration that makes sense; then nothing passes.
    gateway: Option<Gateway>,
    metrics: Metrics,
    buffer: TokenBuffer,
    /// The sequence number of another thread's bundle that this one refused, so that it is not verified for each request.
    refused: Option<u64>,
}

/// One filter in one thread of the proxy.
#[derive(Default)]
struct Root {
    state: Rc<RefCell<State>>,
    /// The `ETag` of the bundle that decides.
    etag: Option<String>,
    /// The question to the source that has not been answered yet.
    asked: Option<u32>,
    /// Whether the first tick has passed, so that they come at the configured interval.
    is_ticking: bool,
}

impl Context for Root {
    fn on_http_call_response(&mut self, call: u32, headers: usize, body_size: usize, _: usize) {
        if self.asked != Some(call) {
            return;
        }
        self.asked = None;
        self.take_answer(headers, body_size);
    }
}

impl RootContext for Root {
    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Http { state: Rc::clone(&self.state) }))
    }

    /// `false` makes the proxy refuse the configuration: it does not start, or stays with the one that it has.
    fn on_configure(&mut self, _: usize) -> bool {
        let json = Zeroizing::new(self.get_plugin_configuration().unwrap_or_default());
        let config = match Config::from_json(&json) {
            Ok(config) => config,
            Err(error) => return refuse(&format!("the configuration is refused: {error}")),
        };
        let now = now();
        let last = config.refresh.as_ref().and_then(shared::release);
        let gateway = match Gateway::new(config, last, now) {
            Ok(gateway) => gateway,
            Err(error) => return refuse(&format!("the configuration is refused: `bundle`: {error}")),
        };
        if gateway.config().refresh.is_some() {
            self.set_tick_period(FIRST_TICK);
        }
        let mut state = self.state.borrow_mut();
        state.metrics = Metrics::new(gateway.config().counters.clone());
        state.gateway = Some(gateway);
        state.refused = None;
        state.adopt(now);
        state.gauge(now);
        true
    }

    fn on_tick(&mut self) {
        let mut state = self.state.borrow_mut();
        state.gauge(now());
        let refresh = state.gateway.as_ref().and_then(|gateway| gateway.config().refresh.clone());
        drop(state);
        let Some(refresh) = refresh else { return };
        if !self.is_ticking {
            self.is_ticking = true;
            self.set_tick_period(refresh.interval);
        }
        if self.asked.is_none() {
            self.ask(&refresh);
        }
    }
}

fn refuse(message: &str) -> bool {
    log(LogLevel::Critical, message);
    false
}

impl Root {
    /// Asks the source for a bundle other than the one that decides.
    fn ask(&mut self, refresh: &Refresh) {
        let mut headers = vec![
            (":method", "GET"),
            (":path", refresh.path.as_str()),
            (":authority", refresh.authority.as_str()),
        ];
        if let Some(etag) = &self.etag {
            headers.push(("if-none-match", etag));
        }
        match self.dispatch_http_call(&refresh.cluster, headers, None, Vec::new(), refresh.timeout) {
            Ok(call) => self.asked = Some(call),
            Err(status) => {
                let cluster = &refresh.cluster;
                log(
                    LogLevel::Error,
                    &format!("cluster `{cluster}` cannot be asked for a bundle: {status:?}"),
                );
                self.state.borrow_mut().metrics.add(Counter::RefreshFailed);
            }
        }
    }

    /// Takes what the source says. Whatever is wrong with it, the policy before stays.
    fn take_answer(&mut self, headers: usize, body_size: usize) {
        let now = now();
        let mut state = self.state.borrow_mut();
        let State { gateway: Some(gateway), metrics, .. } = &mut *state else { return };
        let Some(refresh) = gateway.config().refresh.clone() else { return };
        let header =
            |name| hostcalls::get_map_value_bytes(MapType::HttpCallResponseHeaders, name).ok().flatten();
        let status = if headers == 0 { None } else { header(":status") };
        match status.as_deref() {
            Some(b"304") => {
                gateway.confirm(now);
                metrics.add(Counter::BundleUnchanged);
            }
            Some(b"200") => {
                let body = self.get_http_call_response_body(0, body_size).unwrap_or_default();
                match gateway.offer(&body, shared::release(&refresh), now) {
                    Ok(()) => {
                        self.etag = header("etag").and_then(|etag| String::from_utf8(etag).ok());
                        metrics.add(Counter::BundleAccepted);
                        if let Some(release) = gateway.policy().and_then(crate::live::LivePolicy::release) {
                            shared::keep(&refresh, release, &body);
                            let message =
                                format!("bundle {} of sequence {} decides", release.hash, release.sequence);
                            log(LogLevel::Info, &message);
                        }
                    }
                    Err(error) => {
                        metrics.add(Counter::BundleRefused(error.reason()));
                        log(LogLevel::Error, &format!("a bundle is refused, the one before stays: {error}"));
                    }
                }
            }
            other => {
                metrics.add(Counter::RefreshFailed);
                let status = other.map(String::from_utf8_lossy).unwrap_or("no answer".into());
                log(LogLevel::Error, &format!("the source of bundles says: {status}"));
            }
        }
        state.gauge(now);
    }
}

impl State {
    /// Where there is no policy, takes the newest that another thread accepted, or this one before its configuration changed.
    fn adopt(&mut self, now: Timestamp) {
        let Some(gateway) = self.gateway.as_mut().filter(|gateway| gateway.policy().is_none()) else {
            return;
        };
        let Some(refresh) = gateway.config().refresh.clone() else { return };
        let Some(release) = shared::release(&refresh).filter(|last| self.refused != Some(last.sequence))
        else {
            return;
        };
        let Some(file) = shared::newest(&refresh) else { return };
        if let Err(error) = gateway.offer(&file, Some(release), now) {
            self.refused = Some(release.sequence);
            log(LogLevel::Warn, &format!("a bundle that was accepted before is refused now: {error}"));
        }
    }

    /// Says how things are.
    fn gauge(&mut self, now: Timestamp) {
        let Some(policy) = self.gateway.as_ref().and_then(Gateway::policy) else { return };
        self.metrics.set(Counter::BundleAgeSeconds, policy.age_seconds(now));
        self.metrics.set(Counter::BundleHash, hash_number(policy.hash()));
        self.metrics.set(Counter::BundleSequence, policy.release().map_or(0, |release| release.sequence));
    }
}

/// One request.
struct Http {
    state: Rc<RefCell<State>>,
}

impl Context for Http {}

impl HttpContext for Http {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let mut state = self.state.borrow_mut();
        let start = nanoseconds();
        state.adopt(timestamp(start));
        let State { gateway: Some(gateway), metrics, buffer, .. } = &mut *state else {
            self.send_http_response(503, Vec::new(), None);
            return Action::Pause;
        };
        let headers = self.get_http_request_headers_bytes();
        let verdict = gateway.judge(&headers, timestamp(start), buffer);
        metrics.add(Counter::of(&verdict));
        let is_shadow = gateway.config().mode.is_shadow();
        let action = match &verdict {
            Verdict::Deny(denial) if !is_shadow => {
                self.answer(&Answer::to(denial, &gateway.config().realm));
                Action::Pause
            }
            verdict => {
                if spoofed(&headers).into_iter().map(|name| self.remove_http_request_header(name)).count() > 0
                {
                    metrics.add(Counter::Spoofed);
                }
                if let Some(identity) = verdict.identity() {
                    self.set_http_request_header(USER_ID, Some(&identity.user_id));
                    match &identity.permissions {
                        Some(permissions) => self.set_http_request_header(PERMISSIONS, Some(permissions)),
                        None => metrics.add(Counter::PermissionsLeftOut),
                    }
                }
                Action::Continue
            }
        };
        if let (Verdict::Deny(denial), true) = (&verdict, is_shadow) {
            log(LogLevel::Warn, &shadow_line(denial));
        }
        metrics.record(Counter::DecisionNanoseconds, nanoseconds().saturating_sub(start));
        action
    }

    /// Some servers take trailers for headers.
    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        for name in spoofed(&self.get_http_request_trailers_bytes()) {
            hostcalls::remove_map_value(MapType::HttpRequestTrailers, name).unwrap_or_default();
        }
        Action::Continue
    }
}

impl Http {
    fn answer(&self, answer: &Answer) {
        let mut headers = vec![("content-type", "application/problem+json"), ("cache-control", "no-store")];
        if let Some(challenge) = &answer.challenge {
            headers.push(("www-authenticate", challenge));
        }
        self.send_http_response(u32::from(answer.status), headers, Some(answer.body.as_bytes()));
    }
}

impl Verdict<'_> {
    fn identity(&self) -> Option<&Identity> {
        match self {
            Self::Allow(identity) => Some(identity),
            Self::Public => None,
            Self::Deny(denial) => denial.identity.as_ref(),
        }
    }
}

/// One line of JSON: what would have been denied. The path itself may hold what nobody should log, so the route stands for it.
fn shadow_line(denial: &Denial<'_>) -> String {
    let line = serde_json::json!({
        "shadow": "deny",
        "reason": denial.reason,
        "status": denial.kind.status(),
        "user": denial.identity.as_ref().map(|identity| &identity.user_id),
        "method": denial.route.map(policy_core::route::Route::method),
        "route": denial.route.map(policy_core::route::Route::path),
        "permission": denial.route.and_then(|route| route.access().name()),
    });
    line.to_string()
}

fn log(level: LogLevel, message: &str) {
    // A proxy that cannot log must not stop deciding.
    hostcalls::log(level, message).unwrap_or_default();
}

/// The proxy's clock, in nanoseconds since 1970. At 0, where it has none, every token with a future start is refused and
/// none expires; so a proxy without a clock stops the module instead.
#[expect(
    clippy::panic,
    reason = "without a clock nothing may pass, and a module that has stopped lets nothing pass"
)]
fn nanoseconds() -> u64 {
    let since = hostcalls::get_current_time().map(|time| time.duration_since(std::time::UNIX_EPOCH));
    match since {
        Ok(Ok(since)) => u64::try_from(since.as_nanos()).unwrap_or(u64::MAX),
        _ => panic!("the proxy has no clock"),
    }
}

fn timestamp(nanoseconds: u64) -> Timestamp {
    Timestamp::from_micros(i64::try_from(nanoseconds / 1_000).unwrap_or(i64::MAX))
}

fn now() -> Timestamp {
    timestamp(nanoseconds())
}
