//! Traces: the packets of one client as they come and go, for somebody who looks for a fault.
//!
//! A trace is ordered by an API caller and read by the same one, with a cursor. It keeps a bounded
//! number of records, of which the oldest go first, and ends by itself when its time is over or
//! nobody reads it. It may begin before its client comes: connections are marked when they open,
//! when their CONNECT names the client, or when the trace begins. A connection without a mark costs
//! a look at one flag per packet, and nothing at all is traced beyond the marked ones.
//!
//! A packet to the client is recorded at the end of the turn in which it was put into the
//! connection's output, so in the order of the wire; when the socket takes it is not known here.
//!
//! What a record shows, and what it never shows, is `packet`'s business.

mod packet;
mod tap;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use model::{CertificateId, Timestamp};
use mqtt::{Packet, Sender, TopicName, Version};

use super::arena::Key;
use super::connection::Connection;
use super::time::Timer;
use super::{Core, Now};
pub(crate) use packet::Seen;

/// Traces at once.
pub(crate) const TRACES_MAX: usize = 16;
/// Connections that are traced at once; those beyond are not.
const TAPPED_MAX: usize = 256;
/// Records that wait for the reader, of one trace, and their size.
const RECORDS_MAX: usize = 4096;
const RECORD_BYTES_MAX: usize = 2 << 20;
/// A trace that nobody has read for this long ends.
pub(crate) const UNREAD_MAX: Duration = Duration::from_secs(60);
/// Topic aliases remembered per direction of one connection.
const ALIASES_MAX: usize = 1024;

/// Called once there is something to read.
pub(crate) type Wake = Box<dyn FnOnce() + Send>;

/// What is to be traced, for whom.
#[derive(Clone, Debug)]
pub(crate) struct TraceOrder {
    /// Random, so that it names one trace only, for ever.
    pub(crate) id: String,
    pub(crate) of: TraceOf,
    /// Who may read it.
    pub(crate) caller: String,
    /// How much is shown of a payload.
    pub(crate) payload_bytes: usize,
    pub(crate) lasts: Duration,
}

/// Whose packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TraceOf {
    Client(Arc<str>),
    Principals(Vec<CertificateId>),
}

/// One packet, or one event of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// Counts from 1 within its trace.
    pub(crate) number: u64,
    pub(crate) at: Timestamp,
    /// `None` for an event of the connection.
    pub(crate) sender: Option<Sender>,
    /// The identifier of the connection, as in the history.
    pub(crate) connection: Arc<str>,
    pub(crate) client_id: Option<Arc<str>>,
    pub(crate) version: Option<Version>,
    pub(crate) seen: Seen,
}

/// A trace as lists show it.
#[derive(Clone, Debug)]
pub(crate) struct TraceSummary {
    pub(crate) id: String,
    pub(crate) of: TraceOf,
    pub(crate) caller: String,
    pub(crate) payload_bytes: usize,
    pub(crate) started_at: Timestamp,
    pub(crate) ends_at: Timestamp,
}

/// What a reader gets.
#[derive(Debug)]
pub(crate) struct TracePage {
    pub(crate) records: Vec<Record>,
    /// Records that were dropped before these, because too many waited.
    pub(crate) lost: u64,
    pub(crate) ends_at: Timestamp,
}

/// There are [`TRACES_MAX`] already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TracesFull;

struct Trace {
    order: TraceOrder,
    started_at: Timestamp,
    ends_at: Timestamp,
    ends: Instant,
    read: Instant,
    next_number: u64,
    records: VecDeque<Record>,
    bytes: usize,
    wake: Option<Wake>,
}

/// A connection that is traced.
#[derive(Debug, Default)]
struct Tapped {
    traces: Vec<u64>,
    connection: Arc<str>,
    client_id: Option<Arc<str>>,
    version: Option<Version>,
    /// How much of the connection's output was seen.
    output_seen: usize,
    aliases_in: BTreeMap<u16, TopicName>,
    aliases_out: BTreeMap<u16, TopicName>,
}

/// The traces under way, and the connections they concern.
#[derive(Debug, Default)]
pub(crate) struct Traces {
    traces: BTreeMap<u64, Trace>,
    next_serial: u64,
    tapped: BTreeMap<Key<Connection>, Tapped>,
    /// Those of them to whose output something was added in this turn.
    fresh: Vec<Key<Connection>>,
    /// A timer looks for those that are over.
    armed: bool,
}

impl fmt::Debug for Trace {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Trace")
            .field("order", &self.order)
            .field("records", &self.records.len())
            .finish_non_exhaustive()
    }
}

impl Trace {
    /// When it ends, unless it is read until then.
    fn over_at(&self) -> Instant {
        self.ends.min(self.read + UNREAD_MAX)
    }

    fn record(&mut self, mut record: Record) {
        record.number = self.next_number;
        self.next_number += 1;
        self.bytes += record.seen.cost();
        self.records.push_back(record);
        while RECORDS_MAX < self.records.len() || RECORD_BYTES_MAX < self.bytes {
            self.forget_first();
        }
        if let Some(wake) = self.wake.take() {
            wake();
        }
    }

    fn forget_first(&mut self) {
        if let Some(record) = self.records.pop_front() {
            self.bytes -= record.seen.cost();
        }
    }

    fn summary(&self) -> TraceSummary {
        let TraceOrder {
            id,
            of,
            caller,
            payload_bytes,
            lasts: _,
        } = self.order.clone();
        TraceSummary {
            id,
            of,
            caller,
            payload_bytes,
            started_at: self.started_at,
            ends_at: self.ends_at,
        }
    }
}

impl Traces {
    /// Whether there is any trace.
    pub(super) fn are_on(&self) -> bool {
        !self.traces.is_empty()
    }

    /// Notes that something was added to the output of a connection that is traced.
    pub(super) fn note_output(&mut self, key: Key<Connection>) {
        if !self.fresh.contains(&key) {
            self.fresh.push(key);
        }
    }

    /// Whether there is output to be read at the end of the turn.
    pub(super) fn have_output(&self) -> bool {
        !self.fresh.is_empty()
    }

    /// Traces that concern a client id, or a principal.
    fn concerning(&self, client_id: Option<&str>, principal: &CertificateId) -> Vec<u64> {
        let wanted = |trace: &Trace| match &trace.order.of {
            TraceOf::Client(id) => client_id == Some(id.as_ref()),
            TraceOf::Principals(ids) => ids.contains(principal),
        };
        let found = self.traces.iter().filter(|(_, trace)| wanted(trace));
        found.map(|(serial, _)| *serial).collect()
    }

    /// The serial of the trace with this id.
    fn serial(&self, id: &str) -> Option<u64> {
        let found = self.traces.iter().find(|(_, trace)| trace.order.id == id);
        found.map(|(serial, _)| *serial)
    }

    /// Hands what `see` makes of it to each trace of a connection.
    fn record(
        &mut self,
        now: Timestamp,
        key: Key<Connection>,
        sender: Option<Sender>,
        see: impl Fn(usize) -> Seen,
    ) {
        let Some(tapped) = self.tapped.get(&key) else {
            return;
        };
        for serial in &tapped.traces {
            if let Some(trace) = self.traces.get_mut(serial) {
                let seen = see(trace.order.payload_bytes);
                trace.record(Record {
                    number: 0,
                    at: now,
                    sender,
                    connection: Arc::clone(&tapped.connection),
                    client_id: tapped.client_id.clone(),
                    version: tapped.version,
                    seen,
                });
            }
        }
    }

    fn packet(
        &mut self,
        now: Timestamp,
        key: Key<Connection>,
        sender: Sender,
        packet: &Packet,
        bytes: usize,
    ) {
        let Some(tapped) = self.tapped.get_mut(&key) else {
            return;
        };
        let topic = tapped.topic(sender, packet);
        let version = tapped.version.unwrap_or(Version::V5);
        self.record(now, key, Some(sender), |payload_bytes| {
            Seen::packet(packet, version, bytes, topic.as_ref(), payload_bytes)
        });
    }

    /// Reads what was added to a connection's output.
    fn output(&mut self, now: Timestamp, key: Key<Connection>, output: &[u8]) {
        let Some(tapped) = self.tapped.get_mut(&key) else {
            return;
        };
        let mut fresh = output.get(tapped.output_seen..).unwrap_or_default();
        tapped.output_seen = output.len();
        let version = tapped.version.unwrap_or(Version::V311);
        while !fresh.is_empty() {
            match mqtt::decode(fresh, version, &packet::OUR_OWN) {
                Ok(Some((packet, bytes))) => {
                    self.packet(now, key, Sender::Server, &packet, bytes);
                    fresh = fresh.get(bytes..).unwrap_or_default();
                }
                // Nothing is put into the output that is no whole packet; seen here, it is told.
                Ok(None) | Err(_) => {
                    let bytes = fresh.len();
                    let seen = |_| Seen::unreadable(bytes, "cannot be read".to_owned());
                    self.record(now, key, Some(Sender::Server), seen);
                    return;
                }
            }
        }
    }
}

impl Tapped {
    /// The topic of a PUBLISH that may name it by an alias.
    fn topic(&mut self, sender: Sender, packet: &Packet) -> Option<TopicName> {
        let Packet::Publish(publish) = packet else {
            return None;
        };
        let aliases = match sender {
            Sender::Client => &mut self.aliases_in,
            Sender::Server => &mut self.aliases_out,
        };
        let Some(alias) = publish.properties.topic_alias else {
            return publish.topic.clone();
        };
        let Some(topic) = &publish.topic else {
            return aliases.get(&alias.get()).cloned();
        };
        if aliases.len() < ALIASES_MAX || aliases.contains_key(&alias.get()) {
            aliases.insert(alias.get(), topic.clone());
        }
        Some(topic.clone())
    }
}

impl Core {
    /// Begins a trace.
    pub(crate) fn start_trace(
        &mut self,
        now: Now,
        order: TraceOrder,
    ) -> Result<TraceSummary, TracesFull> {
        self.end_traces(now);
        if TRACES_MAX <= self.traces.traces.len() {
            return Err(TracesFull);
        }
        let connections: Vec<_> = match &order.of {
            TraceOf::Client(id) => {
                let session = self.clients.get(id).and_then(|key| self.sessions.get(*key));
                session
                    .and_then(|session| session.connection)
                    .into_iter()
                    .collect()
            }
            TraceOf::Principals(ids) => {
                let connections = ids.iter().filter_map(|id| self.by_principal.get(id));
                connections.flatten().copied().collect()
            }
        };
        let trace = Trace {
            started_at: now.wall,
            ends_at: now.wall.after(order.lasts),
            ends: now.instant + order.lasts,
            read: now.instant,
            next_number: 1,
            records: VecDeque::new(),
            bytes: 0,
            wake: None,
            order,
        };
        let summary = trace.summary();
        tracing::info!(
            of = ?summary.of,
            caller = summary.caller,
            payload_bytes = summary.payload_bytes,
            "a trace begins"
        );
        self.traces.next_serial += 1;
        let serial = self.traces.next_serial;
        self.traces.traces.insert(serial, trace);
        for key in connections {
            self.tap(key, serial);
        }
        self.watch_traces(now);
        Ok(summary)
    }

    /// Records after number `after`, for whoever ordered the trace; those up to it are forgotten.
    /// When there are none, `wake` is called once there are. `None` when there is no such trace.
    pub(crate) fn read_trace(
        &mut self,
        now: Now,
        id: &str,
        caller: &str,
        after: u64,
        limit: usize,
        wake: Option<Wake>,
    ) -> Option<TracePage> {
        self.end_traces(now);
        let serial = self.traces.serial(id)?;
        let trace = self.traces.traces.get_mut(&serial)?;
        if trace.order.caller != caller {
            return None;
        }
        trace.read = now.instant;
        while trace
            .records
            .front()
            .is_some_and(|first| first.number <= after)
        {
            trace.forget_first();
        }
        let first = trace.records.front().map(|first| first.number);
        let lost = first.map_or(0, |first| first.saturating_sub(after + 1));
        if first.is_none() {
            trace.wake = wake;
        }
        Some(TracePage {
            records: trace.records.iter().take(limit).cloned().collect(),
            lost,
            ends_at: trace.ends_at,
        })
    }

    /// Ends a trace; false when there is no such one.
    pub(crate) fn stop_trace(&mut self, id: &str) -> bool {
        let serial = self.traces.serial(id);
        if let Some(serial) = serial {
            self.end_trace(serial);
        }
        serial.is_some()
    }

    /// The traces under way.
    pub(crate) fn traces(&mut self, now: Now) -> Vec<TraceSummary> {
        self.end_traces(now);
        self.traces.traces.values().map(Trace::summary).collect()
    }

    /// Ends the traces that are over, and looks again when the next one may be.
    pub(super) fn check_traces(&mut self, now: Now) {
        self.traces.armed = false;
        self.end_traces(now);
        self.watch_traces(now);
    }

    fn watch_traces(&mut self, now: Now) {
        let over = self.traces.traces.values().map(Trace::over_at).min();
        if let Some(at) = over.filter(|_| !self.traces.armed) {
            self.traces.armed = true;
            self.wake_at(at.max(now.instant), Timer::Traces);
        }
    }

    fn end_traces(&mut self, now: Now) {
        let traces = self.traces.traces.iter();
        let over = traces.filter(|(_, trace)| trace.over_at() <= now.instant);
        let over: Vec<u64> = over.map(|(serial, _)| *serial).collect();
        for serial in over {
            self.end_trace(serial);
        }
    }

    fn end_trace(&mut self, serial: u64) {
        let ended = self.traces.traces.remove(&serial);
        // Whoever waits for a record learns that there will be none.
        if let Some(wake) = ended.and_then(|trace| trace.wake) {
            wake();
        }
        let connections = &mut self.connections;
        self.traces.tapped.retain(|key, tapped| {
            tapped.traces.retain(|one| *one != serial);
            let stays = !tapped.traces.is_empty();
            if let Some(connection) = connections.get_mut(*key).filter(|_| !stays) {
                connection.traced = false;
            }
            stays
        });
    }
}
