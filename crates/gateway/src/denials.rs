//! Denials: what was refused, to whom, and why; kept so that an id leads to the reason.
//!
//! Every door reports here. The report is taken in memory, at once and without waiting, because
//! the broker's core calls it while a device waits; a task writes what has gathered in one
//! transaction. Repeats of the same refusal coalesce into one record with a count.
//!
//! Bounds: [`DenialLimits`]. A principal with too many different denials coalesces further ones
//! per action, so that nobody can push the records of others out.
//!
//! Private keys pasted into a name never enter a record. The id is random and says nothing; reading
//! the record is itself authorized and recorded.
//!
//! Source: design, "Doors out and records".

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::{Clock, Timestamp};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use serde_json::Value;
use storage::{Storage, StorageError, Urgency};
use tokio::sync::Notify;

use crate::metrics::Metrics;
use crate::redaction::{value_without_private_keys, without_private_keys};
use late::Late;

mod late;
mod operations;
mod store;

pub(crate) use operations::operations;

/// Which door refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Door {
    /// MQTT, over TLS or WebSocket.
    Mqtt,
    /// HTTPS by a device with a certificate.
    Https,
    /// A signed API call.
    Api,
}

impl Door {
    const ALL: [Self; 3] = [Self::Mqtt, Self::Https, Self::Api];

    /// The word in records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mqtt => "mqtt",
            Self::Https => "https",
            Self::Api => "api",
        }
    }
}

/// One refusal, as a door reports it.
#[derive(Clone, Debug)]
pub struct Denial {
    /// The door.
    pub door: Door,
    /// The ARN of who was refused.
    pub principal: String,
    /// The MQTT client id, where there is one.
    pub client_id: Option<String>,
    /// Where the request came from.
    pub source_ip: Option<IpAddr>,
    /// `iot:Publish`.
    pub action: String,
    /// The ARN of what was asked for.
    pub resource: String,
    /// `explicit-deny` or `implicit-deny`.
    pub verdict: &'static str,
    /// The policy engine's explanation; cut to nothing when over
    /// [`DenialLimits::explanation_bytes`].
    pub explanation: Value,
}

/// The id of a denial: 32 lower-case hexadecimal characters, random.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DenialId(Box<str>);

impl DenialId {
    fn random() -> Self {
        Self(model::random_hex::<16>().into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DenialId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// The bounds on denials.
#[derive(Clone, Copy, Debug)]
pub struct DenialLimits {
    /// Records in memory, all principals together.
    pub in_memory: usize,
    /// Different records of one principal in memory; further ones coalesce per action.
    pub per_principal: usize,
    /// How long repeats coalesce into the same record.
    pub window: Duration,
    /// Longest explanation kept, in bytes of JSON.
    pub explanation_bytes: usize,
    /// Longest principal, client id, action or resource kept, in bytes.
    pub text_bytes: usize,
    /// Records kept in the table.
    pub stored: u32,
    /// How long records are kept in the table.
    pub age: Duration,
}

impl Default for DenialLimits {
    fn default() -> Self {
        Self {
            in_memory: 4096,
            per_principal: 128,
            window: Duration::from_secs(60),
            explanation_bytes: 16 * 1024,
            text_bytes: 2048,
            stored: 100_000,
            age: Duration::from_hours(31 * 24),
        }
    }
}

/// Records flushed in one transaction.
const FLUSH_BATCH: usize = 512;
/// The resource of a record that stands for many.
const MANY_RESOURCES: &str = "*";

/// The denials of this process, and the way to those in the database. Cheap to clone.
#[derive(Clone)]
pub struct Denials(Arc<Shared>);

struct Shared {
    clock: Arc<dyn Clock>,
    limits: DenialLimits,
    counted: Family<DoorLabels, Counter>,
    state: Mutex<State>,
    wake: Notify,
    flushing: tokio::sync::Mutex<()>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct DoorLabels {
    door: &'static str,
}

impl From<Door> for DoorLabels {
    fn from(door: Door) -> Self {
        Self {
            door: door.as_str(),
        }
    }
}

/// A denial as it is kept: the first report, and how often it came again.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DenialRecord {
    pub(crate) id: DenialId,
    pub(crate) first_at: Timestamp,
    pub(crate) last_at: Timestamp,
    pub(crate) count: u64,
    pub(crate) door: String,
    pub(crate) principal: String,
    pub(crate) client_id: Option<String>,
    pub(crate) source_ip: Option<String>,
    pub(crate) action: String,
    pub(crate) resource: String,
    pub(crate) verdict: String,
    pub(crate) explanation: Value,
}

type Key = (String, String, String);

struct Held {
    record: DenialRecord,
    key: Key,
    order: u64,
    /// The count that the database has; 0 before the first flush.
    written: u64,
}

#[derive(Default)]
struct State {
    records: HashMap<DenialId, Held>,
    by_key: HashMap<Key, DenialId>,
    by_age: BTreeMap<u64, DenialId>,
    of_principal: HashMap<String, usize>,
    next_order: u64,
    lost: u64,
    late: Late,
}

impl fmt::Debug for Denials {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Denials")
            .field("in_memory", &self.state().records.len())
            .finish_non_exhaustive()
    }
}

impl Denials {
    /// No denials yet.
    pub fn new(clock: Arc<dyn Clock>, limits: DenialLimits) -> Self {
        let counted = Family::default();
        // A door that has refused nothing yet shows a zero.
        for door in Door::ALL {
            drop(counted.get_or_create(&DoorLabels::from(door)));
        }
        Self(Arc::new(Shared {
            clock,
            limits,
            counted,
            state: Mutex::default(),
            wake: Notify::new(),
            flushing: tokio::sync::Mutex::default(),
        }))
    }

    /// Takes a report and answers the id of its record. Never waits for the database.
    pub fn record(&self, denial: Denial) -> DenialId {
        let now = self.0.clock.now();
        let door = DoorLabels::from(denial.door);
        self.0.counted.get_or_create(&door).inc();
        let denial = bounded(denial, &self.0.limits);
        let id = self.state().record(denial, now, &self.0.limits);
        self.0.wake.notify_one();
        id
    }

    /// Counts `times` more refusals under the id that [`Denials::record`] gave the first of them: a
    /// door that remembers what it refused need not form the same report for each.
    pub fn repeat(&self, door: Door, id: &str, times: u64) {
        let now = self.0.clock.now();
        let labels = DoorLabels::from(door);
        self.0.counted.get_or_create(&labels).inc_by(times);
        let id = DenialId(id.into());
        self.state().repeat(id, times, now, &self.0.limits);
        self.0.wake.notify_one();
    }

    /// Adds the count of reports, by door, to the metrics of the process.
    pub(crate) fn register(&self, metrics: &Metrics) {
        let help = "Refusals by policy, by the door that refused";
        let counted = self.0.counted.clone();
        metrics.register(|registry| registry.register("gateway_denials", help, counted));
    }

    /// How many records were lost because the memory was full before they could be written.
    pub fn lost(&self) -> u64 {
        self.state().lost
    }

    /// Writes what has gathered since the last flush.
    ///
    /// # Errors
    /// The storage's; the records stay in memory for the next flush.
    pub async fn flush(&self, storage: &Storage) -> Result<(), StorageError> {
        let _one_at_a_time = self.0.flushing.lock().await;
        loop {
            let batch = Arc::new(self.state().unwritten(FLUSH_BATCH));
            if batch.is_empty() {
                self.flush_late(storage).await?;
                let now = self.0.clock.now();
                self.state().forget_old(now, self.0.limits.window);
                return Ok(());
            }
            let writing = Arc::clone(&batch);
            storage
                .write(Urgency::Normal, move |tx| {
                    writing.iter().try_for_each(|record| store::put(tx, record))
                })
                .await?;
            self.state().written(&batch);
        }
    }

    /// Removes records over the age or the number kept, a bounded amount per call. Answers how
    /// many were removed.
    ///
    /// # Errors
    /// The storage's.
    pub async fn reconcile(&self, storage: &Storage, now: Timestamp) -> Result<u64, StorageError> {
        let limits = self.0.limits;
        let age_ms = i64::try_from(limits.age.as_millis()).unwrap_or(i64::MAX);
        let oldest = Timestamp::from_millis(now.millis().saturating_sub(age_ms));
        let committed = storage
            .write(Urgency::Normal, move |tx| {
                Ok::<_, StorageError>(
                    store::remove_older(tx, oldest)? + store::remove_beyond(tx, limits.stored)?,
                )
            })
            .await?;
        Ok(committed.value)
    }

    /// Resolves when something was recorded since the last time.
    pub(crate) async fn woken(&self) {
        self.0.wake.notified().await;
    }

    /// The record of `id` as memory has it.
    fn in_memory(&self, id: &DenialId) -> Option<DenialRecord> {
        self.state().records.get(id).map(|held| held.record.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves the maps whole: every change is one step.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn record(&mut self, denial: Denial, now: Timestamp, limits: &DenialLimits) -> DenialId {
        let mut denial = denial;
        let mut key = key_of(&denial);
        if let Some(id) = self.repeated(&key, now, limits.window) {
            return id;
        }
        let held = self.of_principal.get(&denial.principal).copied();
        if limits.per_principal <= held.unwrap_or(0) {
            denial.resource = MANY_RESOURCES.to_owned();
            denial.explanation = Value::Null;
            key = key_of(&denial);
            if let Some(id) = self.repeated(&key, now, limits.window) {
                return id;
            }
        }
        while limits.in_memory <= self.records.len() {
            self.evict_oldest();
        }
        self.insert(key, denial, now)
    }

    /// Counts repeats of a record, which may be out of memory by now.
    fn repeat(&mut self, id: DenialId, times: u64, now: Timestamp, limits: &DenialLimits) {
        match self.records.get_mut(&id) {
            Some(held) => {
                held.record.count += times;
                held.record.last_at = now;
            }
            None if self.late.add(id, times, now, limits.in_memory) => (),
            None => self.lost += 1,
        }
    }

    /// Counts a repeat of a record that is still in its window.
    fn repeated(&mut self, key: &Key, now: Timestamp, window: Duration) -> Option<DenialId> {
        let id = self.by_key.get(key)?;
        let held = self.records.get_mut(id)?;
        if window <= now.since(held.record.first_at) {
            return None;
        }
        held.record.count += 1;
        held.record.last_at = now;
        Some(id.clone())
    }

    fn insert(&mut self, key: Key, denial: Denial, now: Timestamp) -> DenialId {
        let id = DenialId::random();
        let order = self.next_order;
        self.next_order += 1;
        *self.of_principal.entry(key.0.clone()).or_default() += 1;
        self.by_age.insert(order, id.clone());
        self.by_key.insert(key.clone(), id.clone());
        let record = DenialRecord {
            id: id.clone(),
            first_at: now,
            last_at: now,
            count: 1,
            door: denial.door.as_str().to_owned(),
            principal: denial.principal,
            client_id: denial.client_id,
            source_ip: denial.source_ip.map(|address| address.to_string()),
            action: denial.action,
            resource: denial.resource,
            verdict: denial.verdict.to_owned(),
            explanation: denial.explanation,
        };
        let held = Held {
            record,
            key,
            order,
            written: 0,
        };
        self.records.insert(id.clone(), held);
        id
    }

    fn evict_oldest(&mut self) {
        if let Some((_, id)) = self.by_age.pop_first()
            && let Some(held) = self.remove(&id)
            && held.written < held.record.count
        {
            self.lost += 1;
        }
    }

    fn remove(&mut self, id: &DenialId) -> Option<Held> {
        let held = self.records.remove(id)?;
        self.by_age.remove(&held.order);
        // A later record of the same key may already stand there.
        if self.by_key.get(&held.key) == Some(id) {
            self.by_key.remove(&held.key);
        }
        if let Some(count) = self.of_principal.get_mut(&held.key.0) {
            *count -= 1;
            if *count == 0 {
                self.of_principal.remove(&held.key.0);
            }
        }
        Some(held)
    }

    /// The oldest records that the database does not have as they are.
    fn unwritten(&self, most: usize) -> Vec<DenialRecord> {
        self.by_age
            .values()
            .filter_map(|id| self.records.get(id))
            .filter(|held| held.written < held.record.count)
            .take(most)
            .map(|held| held.record.clone())
            .collect()
    }

    fn written(&mut self, batch: &[DenialRecord]) {
        for record in batch {
            if let Some(held) = self.records.get_mut(&record.id) {
                held.written = record.count;
            }
        }
    }

    /// Written records whose window is over need no memory.
    fn forget_old(&mut self, now: Timestamp, window: Duration) {
        let over = |held: &Held| {
            held.written == held.record.count && window <= now.since(held.record.first_at)
        };
        let old: Vec<DenialId> = self
            .records
            .values()
            .filter(|held| over(held))
            .map(|held| held.record.id.clone())
            .collect();
        for id in old {
            self.remove(&id);
        }
    }
}

fn key_of(denial: &Denial) -> Key {
    (
        denial.principal.clone(),
        denial.action.clone(),
        denial.resource.clone(),
    )
}

fn bounded(mut denial: Denial, limits: &DenialLimits) -> Denial {
    let most = limits.text_bytes;
    for text in [
        Some(&mut denial.principal),
        Some(&mut denial.action),
        Some(&mut denial.resource),
        denial.client_id.as_mut(),
    ]
    .into_iter()
    .flatten()
    {
        // One text that no database stores would keep every record behind it from being written.
        *text = without_private_keys(text).replace('\0', "\u{fffd}");
        text.truncate(text.floor_char_boundary(most));
    }
    denial.explanation = value_without_private_keys(denial.explanation);
    if limits.explanation_bytes < denial.explanation.to_string().len() {
        denial.explanation = Value::Null;
    }
    denial
}

#[cfg(test)]
mod tests;
