//! Counters of the proxy, defined when they are first needed.

use crate::counters::Counter;
use proxy_wasm::hostcalls;
use proxy_wasm::types::MetricType;
use std::collections::BTreeMap;

/// The counters of one filter in one thread; the proxy adds those of all threads up.
#[derive(Default)]
pub(super) struct Metrics {
    prefix: String,
    /// The proxy's number for each that is defined.
    numbers: BTreeMap<Counter, u32>,
}

impl Metrics {
    pub(super) fn new(prefix: String) -> Self {
        Self { prefix, numbers: BTreeMap::new() }
    }

    /// Counts one more.
    pub(super) fn add(&mut self, counter: Counter) {
        if let Some(number) = self.number(counter, MetricType::Counter) {
            hostcalls::increment_metric(number, 1).unwrap_or_default();
        }
    }

    /// Says how much there is of it now.
    pub(super) fn set(&mut self, gauge: Counter, value: u64) {
        if let Some(number) = self.number(gauge, MetricType::Gauge) {
            hostcalls::record_metric(number, value).unwrap_or_default();
        }
    }

    /// Adds one measurement.
    pub(super) fn record(&mut self, histogram: Counter, value: u64) {
        if let Some(number) = self.number(histogram, MetricType::Histogram) {
            hostcalls::record_metric(number, value).unwrap_or_default();
        }
    }

    /// None where the proxy has no counters: that is no reason to deny anything.
    fn number(&mut self, counter: Counter, kind: MetricType) -> Option<u32> {
        if let Some(number) = self.numbers.get(&counter) {
            return Some(*number);
        }
        let name = format!("{}_{}", self.prefix, counter.name());
        let number = hostcalls::define_metric(kind, &name).ok()?;
        self.numbers.insert(counter, number);
        Some(number)
    }
}
