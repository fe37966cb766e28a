//! Counters of the whole process, in the text form that OpenMetrics scrapers read.
//!
//! Labels come from closed sets: services, operations, doors, status classes; never from what a
//! caller sends.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Upper bounds of the histogram of durations, in seconds.
const DURATION_BUCKETS: [f64; 9] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0];

/// The metrics of this process. Cheap to clone; capabilities register theirs here too.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
    requests: Family<RequestLabels, Counter>,
    duration: Histogram,
    connections: Gauge,
    denials_lost: Gauge,
    trail_lost: Gauge,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    service: &'static str,
    operation: &'static str,
    status: String,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Metrics")
    }
}

impl Metrics {
    /// A registry with the gateway's own metrics.
    pub fn new() -> Self {
        let metrics = Self {
            registry: Arc::default(),
            requests: Family::default(),
            duration: Histogram::new(DURATION_BUCKETS),
            connections: Gauge::default(),
            denials_lost: Gauge::default(),
            trail_lost: Gauge::default(),
        };
        metrics.register(|registry| {
            let of = &metrics;
            registry.register(
                "gateway_requests",
                "API requests answered, by operation and HTTP status",
                of.requests.clone(),
            );
            registry.register(
                "gateway_request_seconds",
                "Time from the head of an API request to its answer",
                of.duration.clone(),
            );
            registry.register(
                "gateway_connections",
                "HTTP connections open now",
                of.connections.clone(),
            );
            registry.register(
                "gateway_denials_lost_records",
                "Denial records lost because memory was full",
                of.denials_lost.clone(),
            );
            registry.register(
                "gateway_trail_lost_records",
                "Trail records of failed calls lost because too many waited",
                of.trail_lost.clone(),
            );
        });
        metrics
    }

    /// Adds metrics of a capability.
    pub fn register(&self, add: impl FnOnce(&mut Registry)) {
        add(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Everything, as OpenMetrics text.
    ///
    /// # Errors
    /// When a metric cannot be written, which is a bug of that metric.
    pub fn render(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        prometheus_client::encoding::text::encode(&mut text, &registry)?;
        Ok(text)
    }

    /// Counts an answered request; `operation` is `unknown` when none was found.
    pub(crate) fn answered(
        &self,
        service: &'static str,
        operation: &'static str,
        status: u16,
        took: Duration,
    ) {
        let labels = RequestLabels {
            service,
            operation,
            status: status.to_string(),
        };
        self.requests.get_or_create(&labels).inc();
        self.duration.observe(took.as_secs_f64());
    }

    /// One more connection is open until the answer is dropped.
    pub(crate) fn connected(&self) -> Connected {
        self.connections.inc();
        Connected(self.connections.clone())
    }

    /// What was lost so far.
    pub(crate) fn set_lost(&self, denials: u64, trail: u64) {
        let gauge = |lost: u64| i64::try_from(lost).unwrap_or(i64::MAX);
        self.denials_lost.set(gauge(denials));
        self.trail_lost.set(gauge(trail));
    }
}

/// An open connection.
#[derive(Debug)]
pub(crate) struct Connected(Gauge);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.dec();
    }
}
