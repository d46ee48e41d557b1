//! The edge to the proxy (proxy-wasm ABI 0.2.1). A panic here stops the module, and the proxy then answers for it: with
//! `fail_open: false` (the default) no request passes.

mod metrics;
mod shared;

use crate::answer::Answer;
use crate::config::{Config, Source};
use crate::counters::{Counter, hash_number};
use crate::gateway::Gateway;
use crate::identity::{Identity, PERMISSIONS, USER_ID};
use crate::judge::{Denial, Verdict};
use crate::live::LoadError;
use crate::published::Published;
use crate::request::spoofed;
use crate::settings::MAX_SETTINGS_BYTES;
use metrics::Metrics;
use policy_core::Timestamp;
use policy_core::signed::Release;
use policy_core::token::TokenBuffer;
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel, MapType};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use zeroize::Zeroizing;

/// How soon after its start a filter asks its source.
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
    /// The sequence numbers of another thread's bundle and settings that this one refused, so that they are not verified for each
    /// request.
    refused: Both<Option<u64>>,
}

/// One for bundles and one for settings.
#[derive(Default)]
struct Both<T> {
    bundle: T,
    settings: T,
}

impl<T> Both<T> {
    const fn of(&mut self, what: Published) -> &mut T {
        match what {
            Published::Bundle => &mut self.bundle,
            Published::Settings => &mut self.settings,
        }
    }
}

const BOTH: [Published; 2] = [Published::Settings, Published::Bundle];

/// What is asked of the source.
#[derive(Default)]
struct Question {
    /// The `ETag` of what is used here.
    etag: Option<String>,
    /// The question that has not been answered yet.
    asked: Option<u32>,
}

/// One filter in one thread of the proxy.
#[derive(Default)]
struct Root {
    state: Rc<RefCell<State>>,
    questions: Both<Question>,
    /// Whether the first tick has passed, so that they come at the configured interval.
    is_ticking: bool,
}

impl Context for Root {
    fn on_http_call_response(&mut self, call: u32, headers: usize, body_size: usize, _: usize) {
        for what in BOTH {
            if self.questions.of(what).asked == Some(call) {
                self.questions.of(what).asked = None;
                self.take_answer(what, headers, body_size);
            }
        }
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
        let source = config.refresh.as_ref().map(|refresh| &refresh.bundle);
        let last = source.and_then(|source| shared::release(Published::Bundle, source));
        let gateway = match Gateway::new(config, last, now) {
            Ok(gateway) => gateway,
            Err(error) => return refuse(&format!("the configuration is refused: `bundle`: {error}")),
        };
        if gateway.config().refresh.is_some() {
            self.set_tick_period(FIRST_TICK);
        }
        // What the source had before may be something that is refused now: it has to be asked for all of it.
        for what in BOTH {
            self.questions.of(what).etag = None;
        }
        let mut state = self.state.borrow_mut();
        state.metrics = Metrics::new(gateway.config().counters.clone());
        state.gateway = Some(gateway);
        state.refused = Both::default();
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
        for what in BOTH {
            if let Some(source) = refresh.source(what)
                && self.questions.of(what).asked.is_none()
            {
                self.ask(what, source, refresh.timeout);
            }
        }
    }
}

fn refuse(message: &str) -> bool {
    log(LogLevel::Critical, message);
    false
}

impl Root {
    /// Asks the source for another one than is used here.
    fn ask(&mut self, what: Published, source: &Source, timeout: Duration) {
        let question = self.questions.of(what);
        let mut headers = vec![
            (":method", "GET"),
            (":path", source.path.as_str()),
            (":authority", source.authority.as_str()),
        ];
        if let Some(etag) = &question.etag {
            headers.push(("if-none-match", etag));
        }
        match hostcalls::dispatch_http_call(&source.cluster, headers, None, Vec::new(), timeout) {
            Ok(call) => question.asked = Some(call),
            Err(status) => {
                let (cluster, what) = (&source.cluster, what.name());
                log(
                    LogLevel::Error,
                    &format!("cluster `{cluster}` cannot be asked for the {what}: {status:?}"),
                );
                self.state.borrow_mut().metrics.add(Counter::RefreshFailed);
            }
        }
    }

    /// Takes what the source says. Whatever is wrong with it, what was before stays.
    fn take_answer(&mut self, what: Published, headers: usize, body_size: usize) {
        let now = now();
        let mut state = self.state.borrow_mut();
        let State { gateway: Some(gateway), metrics, .. } = &mut *state else { return };
        let refresh = gateway.config().refresh.as_ref();
        let Some(source) = refresh.and_then(|refresh| refresh.source(what)).cloned() else { return };
        let header =
            |name| hostcalls::get_map_value_bytes(MapType::HttpCallResponseHeaders, name).ok().flatten();
        let status = if headers == 0 { None } else { header(":status") };
        match status.as_deref() {
            Some(b"304") => {
                gateway.confirm(what, now);
                metrics.add(Counter::Unchanged(what));
            }
            Some(b"200") => {
                // Settings hold secrets. Of too many bytes no more are copied than show it: memory that grew does not shrink again.
                let most = match what {
                    Published::Bundle => body_size,
                    Published::Settings => body_size.min(MAX_SETTINGS_BYTES.saturating_add(1)),
                };
                let body = self.get_http_call_response_body(0, most).unwrap_or_default();
                let body = Zeroizing::new(body);
                match offer(gateway, what, &body, shared::release(what, &source), now) {
                    Ok(()) => {
                        let etag = header("etag").and_then(|etag| String::from_utf8(etag).ok());
                        self.questions.of(what).etag = etag;
                        metrics.add(Counter::Accepted(what));
                        if let Some(release) = gateway.release(what) {
                            shared::keep(what, &source, release, &body);
                            let (name, sequence) = (what.name(), release.sequence);
                            let message = format!("{name} {} of sequence {sequence} counts", release.hash);
                            log(LogLevel::Info, &message);
                        }
                    }
                    Err(error) => {
                        metrics.add(Counter::Refused(what, error.reason()));
                        let name = what.name();
                        log(
                            LogLevel::Error,
                            &format!(
                                "{name}: what the source has is refused, what was before stays: {error}"
                            ),
                        );
                    }
                }
            }
            other => {
                metrics.add(Counter::RefreshFailed);
                let status = other.map(String::from_utf8_lossy).unwrap_or("no answer".into());
                log(LogLevel::Error, &format!("the source, asked for the {}, says: {status}", what.name()));
            }
        }
        state.gauge(now);
    }
}

fn offer(
    gateway: &mut Gateway,
    what: Published,
    file: &[u8],
    last: Option<Release>,
    now: Timestamp,
) -> Result<(), LoadError> {
    match what {
        Published::Bundle => gateway.offer(file, last, now),
        Published::Settings => gateway.offer_settings(file, last, now),
    }
}

impl State {
    /// Where there is no policy or there are no settings, takes the newest that another thread accepted, or this one before its
    /// configuration changed.
    fn adopt(&mut self, now: Timestamp) {
        let Some(gateway) = &mut self.gateway else { return };
        for what in BOTH {
            if gateway.freshness(what).is_some() {
                continue;
            }
            let refresh = gateway.config().refresh.as_ref();
            let Some(source) = refresh.and_then(|refresh| refresh.source(what)).cloned() else { continue };
            let refused = self.refused.of(what);
            let Some(release) = shared::release(what, &source).filter(|last| *refused != Some(last.sequence))
            else {
                continue;
            };
            let file = shared::newest(what, &source).unwrap_or_default();
            if let Err(error) = offer(gateway, what, &file, Some(release), now) {
                *refused = Some(release.sequence);
                let name = what.name();
                log(LogLevel::Warn, &format!("{name}: what was accepted before is refused now: {error}"));
            }
        }
    }

    /// Says how things are.
    fn gauge(&mut self, now: Timestamp) {
        let Some(gateway) = &self.gateway else { return };
        for what in BOTH {
            let Some(freshness) = gateway.freshness(what) else { continue };
            self.metrics.set(Counter::AgeSeconds(what), freshness.age_seconds(now));
            let sequence = freshness.release().map_or(0, |release| release.sequence);
            self.metrics.set(Counter::Sequence(what), sequence);
        }
        if let Some(policy) = gateway.policy() {
            self.metrics.set(Counter::BundleHash, hash_number(policy.hash()));
        }
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
