//! How stale the policies of live sessions are: `palisade_policy_staleness_seconds`.
//!
//! The age of the oldest change that was committed and is not applied to live sessions, worked out
//! when it is asked for, so that it grows even when the broker's thread hangs. It is 0 while
//! nothing is outstanding.

use std::fmt;
use std::sync::Arc;

use gateway::Metrics;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use storage::Storage;

use crate::receipts::Receipts;

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Staleness {
    storage: Storage,
    receipts: Arc<Receipts>,
}

impl Staleness {
    pub(crate) fn register(metrics: &Metrics, storage: &Storage, receipts: &Arc<Receipts>) {
        let of = Self {
            storage: storage.clone(),
            receipts: Arc::clone(receipts),
        };
        metrics.register(|registry| {
            registry.register(
                "broker_policy_applied_seconds",
                "Time from the commit of a change to its last live session",
                receipts.latency(),
            );
            registry.register_collector(Box::new(of));
        });
    }

    fn seconds(&self) -> f64 {
        let outstanding = self.receipts.outstanding();
        let since = outstanding.and_then(|sequence| self.storage.changed_at(sequence));
        let now = self.storage.clock().instant();
        since.map_or(0.0, |since| {
            now.saturating_duration_since(since).as_secs_f64()
        })
    }
}

impl Collector for Staleness {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let gauge = ConstGauge::new(self.seconds());
        let encoder = encoder.encode_descriptor(
            "palisade_policy_staleness_seconds",
            "Age of the oldest change of access that live sessions do not know yet",
            None,
            gauge.metric_type(),
        )?;
        gauge.encode(encoder)
    }
}
