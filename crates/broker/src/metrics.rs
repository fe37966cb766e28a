//! The broker's metrics: what the core counts, copied once a second, and what the doors count.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use gateway::Metrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use crate::core::{Budget, Core, Reached};
use crate::negotiated::TlsMetrics;

/// What the core counts, where it is read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gauges {
    connections: Gauge,
    sessions: Gauge,
    subscriptions: Gauge,
    retained: Gauge,
    waiting_bytes: Gauge,
    output_bytes: Gauge,
    store_backlog: Gauge,
    connects: Counter,
    connects_refused: Counter,
    publishes: Counter,
    deliveries: Counter,
    denials: Counter,
    dropped_queue_full: Counter,
    dropped_expired: Counter,
    dropped_slow_reader: Counter,
    dropped_throttled: Counter,
    slow_readers_cut: Counter,
    other_owner_refused: Counter,
    tls: TlsMetrics,
    budgets: BudgetCounters,
}

impl Gauges {
    pub(crate) fn register(metrics: &Metrics) -> Self {
        let of = Self::default();
        of.tls.register(metrics);
        of.budgets.register(metrics);
        metrics.register(|registry| {
            for (name, help, gauge) in of.gauges() {
                registry.register(name, help, gauge.clone());
            }
            for (name, help, counter) in of.counters() {
                registry.register(name, help, counter.clone());
            }
        });
        of
    }

    #[rustfmt::skip]
    fn gauges(&self) -> [(&'static str, &'static str, &Gauge); 7] {
        [
            ("broker_connections", "MQTT connections", &self.connections),
            ("broker_sessions", "Sessions, connected or not", &self.sessions),
            ("broker_subscriptions", "Subscriptions of all sessions", &self.subscriptions),
            ("broker_retained_messages", "Retained messages", &self.retained),
            ("broker_waiting_bytes", "Bytes of messages that somebody waits for", &self.waiting_bytes),
            ("broker_output_bytes", "Bytes that wait for the sockets of all clients", &self.output_bytes),
            ("broker_store_backlog", "Changes of sessions and messages not on the disk yet", &self.store_backlog),
        ]
    }

    #[rustfmt::skip]
    fn counters(&self) -> [(&'static str, &'static str, &Counter); 11] {
        [
            ("broker_connects", "CONNECTs accepted", &self.connects),
            ("broker_connects_refused", "Connections refused", &self.connects_refused),
            ("broker_publishes", "Messages from clients and callers", &self.publishes),
            ("broker_deliveries", "Messages sent to clients", &self.deliveries),
            ("broker_denials", "Refusals by policy", &self.denials),
            ("broker_dropped_queue_full", "Messages dropped because too many wait", &self.dropped_queue_full),
            ("broker_dropped_expired", "Messages dropped because they expired", &self.dropped_expired),
            ("broker_dropped_slow_reader", "QoS 0 messages dropped for slow readers", &self.dropped_slow_reader),
            ("broker_dropped_throttled", "Messages refused for a rate or a full retained store", &self.dropped_throttled),
            ("broker_slow_readers_cut", "Connections ended because the client read too slowly", &self.slow_readers_cut),
            ("broker_other_owner_refused", "CONNECTs for another owner's live client id", &self.other_owner_refused),
        ]
    }

    /// Copies what the core has counted.
    pub(crate) fn set(&self, core: &Core) {
        let gauge = |gauge: &Gauge, value: u64| {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        };
        gauge(&self.connections, core.connection_count() as u64);
        gauge(&self.sessions, core.session_count() as u64);
        gauge(&self.retained, core.retained_count() as u64);
        gauge(&self.waiting_bytes, core.waiting_bytes());
        gauge(&self.subscriptions, core.subscription_count() as u64);
        gauge(&self.output_bytes, core.output_bytes());
        self.budgets.set(core.budgets());
        gauge(&self.store_backlog, core.store_backlog());
        let counter = |counter: &Counter, value: u64| {
            let inner: &AtomicU64 = counter.inner();
            inner.store(value, Ordering::Relaxed);
        };
        self.tls.set(core.negotiated());
        let counted = core.counters();
        counter(&self.connects, counted.connects);
        counter(&self.connects_refused, counted.connects_refused);
        counter(&self.publishes, counted.publishes);
        counter(&self.deliveries, counted.deliveries);
        counter(&self.denials, counted.denials);
        counter(&self.dropped_queue_full, counted.dropped_queue_full);
        counter(&self.dropped_expired, counted.dropped_expired);
        counter(&self.dropped_slow_reader, counted.dropped_slow_reader);
        counter(&self.dropped_throttled, counted.dropped_throttled);
        counter(&self.slow_readers_cut, counted.slow_readers_cut);
        counter(&self.other_owner_refused, counted.other_owner_refused);
    }
}

/// How often each budget was used up; its label is the setting's name.
#[derive(Clone, Debug, Default)]
struct BudgetCounters(Family<BudgetLabels, Counter>);

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct BudgetLabels {
    budget: &'static str,
}

impl BudgetCounters {
    fn register(&self, metrics: &Metrics) {
        // A budget that nobody has used up yet shows a zero.
        for budget in Budget::ALL {
            drop(self.of(budget));
        }
        let help = "Times a budget was used up, by the setting that bounds it";
        metrics.register(|registry| {
            registry.register("broker_budget_reached", help, self.0.clone());
        });
    }

    fn of(&self, budget: Budget) -> impl std::ops::Deref<Target = Counter> {
        self.0.get_or_create(&BudgetLabels {
            budget: budget.name(),
        })
    }

    /// Copies what the core has counted; what the doors count is theirs.
    fn set(&self, reached: &Reached) {
        for budget in Budget::ALL.into_iter().filter(|one| !one.is_of_the_doors()) {
            let counter = self.of(budget);
            let inner: &AtomicU64 = counter.inner();
            inner.store(reached.times(budget), Ordering::Relaxed);
        }
    }
}

/// What the doors count, and tell in the log.
#[derive(Clone, Debug)]
pub(crate) struct Doormen {
    too_often: Counter,
    too_many: Counter,
    too_slow: Counter,
    handshakes_failed: Counter,
    budgets: BudgetCounters,
    reached: Arc<Mutex<DoorLog>>,
}

/// What was not told of yet, and when something was told last.
#[derive(Debug, Default)]
struct DoorLog {
    reached: Reached,
    told_at: Option<Instant>,
}

/// How often the doors tell which budgets are used up.
const TELL_EVERY: Duration = Duration::from_secs(1);

impl Doormen {
    pub(crate) fn register(metrics: &Metrics, gauges: &Gauges) -> Self {
        let of = Self {
            too_often: Counter::default(),
            too_many: Counter::default(),
            too_slow: Counter::default(),
            handshakes_failed: Counter::default(),
            budgets: gauges.budgets.clone(),
            reached: Arc::default(),
        };
        metrics.register(|registry| {
            for (name, help, counter) in [
                (
                    "broker_refused_address_rate",
                    "Connections closed because their address connects too often",
                    &of.too_often,
                ),
                (
                    "broker_refused_connections_max",
                    "Connections closed because there were too many",
                    &of.too_many,
                ),
                (
                    "broker_refused_address_handshakes",
                    "Connections closed because their address has too many handshakes under way",
                    &of.too_slow,
                ),
                (
                    "broker_handshakes_failed",
                    "TLS handshakes that failed",
                    &of.handshakes_failed,
                ),
            ] {
                registry.register(name, help, counter.clone());
            }
        });
        of
    }

    pub(crate) fn too_often(&self, address: IpAddr, now: Instant) {
        self.too_often.inc();
        self.reached(Budget::AcceptsPerAddress, address, now);
    }

    pub(crate) fn too_many(&self, address: IpAddr, now: Instant) {
        self.too_many.inc();
        self.reached(Budget::Connections, address, now);
    }

    pub(crate) fn too_slow(&self, address: IpAddr, now: Instant) {
        self.too_slow.inc();
        self.reached(Budget::Handshakes, address, now);
    }

    pub(crate) fn handshake_failed(&self) {
        self.handshakes_failed.inc();
    }

    pub(crate) fn handshake_late(&self, address: IpAddr, now: Instant) {
        self.handshakes_failed.inc();
        self.reached(Budget::HandshakeTimeout, address, now);
    }

    fn reached(&self, budget: Budget, address: IpAddr, now: Instant) {
        self.budgets.of(budget).inc();
        let mut log = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        log.reached.count(budget, &address);
        let over = |at: Instant| TELL_EVERY <= now.saturating_duration_since(at);
        if log.told_at.is_none_or(over) {
            log.told_at = Some(now);
            log.reached.tell();
        }
    }
}
