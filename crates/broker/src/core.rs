//! The broker's heart: connections, sessions, routes, retained messages, wills. One thread, no I/O.
//!
//! The shell feeds it what happened, with the time, and takes away what it wants done: bytes to
//! write ([`Core::output`]), connections to close ([`Effect`]), ops for the disk
//! ([`Core::take_batch`]). It reads no clock, knows no socket, no runtime and no table, so that a
//! test can play a year of a thousand clients in a second, and so that later a core per processor
//! is a change of the shell.
//!
//! To read it: `connect` (a client arrives), `subscribe`, `publish` (a message arrives), `deliver`
//! (a message leaves), `depart` (connections and sessions end), `wills`, `review` (access ends),
//! `restore` (what was stored comes back), `manage` (the API's view).
//!
//! Invariants:
//! - Nothing is routed, delivered or subscribed to without a [`enforce::Cleared`].
//! - What was acknowledged to a client is on disk if it has to survive: acknowledgements pass the
//!   gate ([`Core::gate`]).
//! - Closing a connection while others are being served is put off to the end of the turn
//!   ([`Core::settle`]), so that no walk over sessions meets one that is half gone.
//!
//! Source: MQTT 3.1.1 and 5; contract core, sections 2, 3.2 and 7.

mod acknowledge;
mod arena;
mod arrivals;
mod backlog;
mod budgets;
mod connect;
mod connection;
mod deliver;
mod depart;
mod end;
mod enforce;
mod gate;
mod images;
mod journal;
pub(crate) mod look;
mod manage;
mod message;
mod outputs;
mod pace;
#[cfg(any(test, feature = "test-support"))]
pub(crate) mod play;
mod presence;
mod propagate;
mod publish;
mod rate;
mod rates;
mod receive;
mod recent;
mod refusals;
mod restore;
mod rests_on;
mod retained;
mod review;
mod serve;
mod session;
mod shared;
mod spare;
mod subscribe;
mod subscriptions;
mod time;
pub(crate) mod trace;
mod wills;

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use device_api::DisconnectReason;
use model::{CertificateId, Timestamp};
use mqtt::ReasonCode;
use mqtt::route::Routes;
use mqtt::session::ExpiryLimits;
use mqtt::topic::HashMatchesParent;

pub(crate) use arena::Key;
pub(crate) use budgets::{Budget, Reached};
pub(crate) use connection::{Connection, Peer};
pub(crate) use end::End;
pub(crate) use enforce::{Grounds, Principal};
pub(crate) use journal::Batch;
pub(crate) use manage::{ApiPublish, ConnectionSummary, Direct, DirectOutcome, PublishRefusal};
pub(crate) use rates::Rates;
pub(crate) use receive::Reading;
pub(crate) use refusals::DenialBook;
pub(crate) use rests_on::{RestsOn, concerns};
pub(crate) use review::Reviewed;

use crate::directory::Known;
use crate::limits::Limits;
use crate::negotiated::Tally;
use arena::Arena;
use gate::{EVERYTHING, Gate, Gated};
use images::Images;
use journal::Journal;
use message::Ledger;
use outputs::Outputs;
use presence::Presences;
use recent::Recent;
use refusals::Telling;
use retained::Retained;
use session::{Session, SubscriptionOptions};
use shared::{Dice, Group};
use spare::Spare;
use time::{Due, SWEEP_EVERY, Timer};
use trace::Traces;
use wills::LastWill;

/// The time, on both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    /// For waiting.
    pub(crate) instant: Instant,
    /// For records and documents.
    pub(crate) wall: Timestamp,
}

/// What the shell must do.
#[derive(Debug)]
pub(crate) enum Effect {
    /// Write these last bytes, then close. The connection is gone already.
    Close {
        connection: Key<Connection>,
        output: BytesMut,
    },
    /// The message of this [`Direct`] token was acknowledged, or can no longer be.
    Confirmed { token: u64, delivered: bool },
    /// Ask what is known of the principal; then [`Core::judge_due_will`].
    WillDue {
        id: Arc<str>,
        principal: CertificateId,
    },
    /// Ask whether the holder is still active; [`Core::vacate`] if it is not.
    Doubted(Doubt),
}

/// A client was refused because of a session that waits for another certificate, which may have
/// been revoked since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Doubt {
    pub(crate) client_id: Arc<str>,
    pub(crate) holder: CertificateId,
}

/// Who a message is routed to: a session, or a shared subscription for one of its members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    Session(Key<Session>),
    Group(Key<Group>),
}

/// What the core needs to know at start.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) limits: Limits,
    pub(crate) grounds: Grounds,
    pub(crate) denials: DenialBook,
    /// For the choice among members of a shared subscription.
    pub(crate) seed: u64,
}

impl fmt::Debug for Settings {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Settings")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Counted since the start; exported as metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) connects: u64,
    pub(crate) connects_refused: u64,
    pub(crate) publishes: u64,
    pub(crate) deliveries: u64,
    pub(crate) denials: u64,
    pub(crate) dropped_queue_full: u64,
    pub(crate) dropped_expired: u64,
    pub(crate) dropped_slow_reader: u64,
    pub(crate) dropped_throttled: u64,
    pub(crate) slow_readers_cut: u64,
    pub(crate) other_owner_refused: u64,
}

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Core {
    settings: Settings,
    decode: mqtt::Limits,
    expiry: ExpiryLimits,
    connections: Arena<Connection>,
    by_principal: HashMap<CertificateId, BTreeSet<Key<Connection>>>,
    sessions: Arena<Session>,
    clients: BTreeMap<Arc<str>, Key<Session>>,
    stored_sessions: usize,
    routes: Routes<Target, SubscriptionOptions>,
    groups: Arena<Group>,
    groups_by_text: HashMap<Arc<str>, Key<Group>>,
    dice: Dice,
    retained: Retained,
    presences: Presences,
    /// Wills that are due and not judged yet, by id; each of a session or connection that was.
    due_wills: HashMap<Arc<str>, Box<LastWill>>,
    connect_rates: Rates<Arc<str>>,
    arrivals: Rates<CertificateId>,
    subscription_count: usize,
    outputs: Outputs,
    reached: Reached,
    ledger: Ledger,
    journal: Journal,
    gates: VecDeque<Gate>,
    /// Those of them that were passed out of turn.
    gates_passed: usize,
    timers: BinaryHeap<Reverse<Due>>,
    /// Connections with output the shell does not know of.
    announced: Vec<Key<Connection>>,
    /// Connections that are not read until the disk follows.
    behind_disk: Vec<Key<Connection>>,
    /// Connections to end once the event at hand is dealt with.
    ending: Vec<(Key<Connection>, End)>,
    effects: Vec<Effect>,
    /// Scratch space of routing, kept to save its allocation.
    targets: Vec<(Target, SubscriptionOptions)>,
    recent: Recent,
    images: Images,
    spare: Spare,
    counters: Counters,
    telling: Telling,
    negotiated: Tally,
    traces: Traces,
}

impl Core {
    /// An empty broker.
    pub(crate) fn new(settings: Settings, now: Now) -> Self {
        let limits = &settings.limits;
        let parent = if limits.hash_matches_parent {
            HashMatchesParent::Yes
        } else {
            HashMatchesParent::No
        };
        let mut core = Self {
            decode: limits.decode(),
            expiry: limits.message_expiry,
            connections: Arena::default(),
            by_principal: HashMap::new(),
            sessions: Arena::default(),
            clients: BTreeMap::new(),
            stored_sessions: 0,
            routes: Routes::new(parent),
            groups: Arena::default(),
            groups_by_text: HashMap::new(),
            dice: Dice::new(settings.seed),
            retained: Retained::new(limits.retained_max, limits.retained_bytes_max),
            presences: Presences::new(limits.sessions_max),
            due_wills: HashMap::new(),
            connect_rates: Rates::new(connect::CLIENTS_MAX),
            arrivals: Rates::new(arrivals::PRINCIPALS_MAX),
            subscription_count: 0,
            outputs: Outputs::new(limits.output_bytes_total_max),
            reached: Reached::default(),
            ledger: Ledger::new(limits.queue_bytes_max, 0, 0),
            journal: Journal::default(),
            gates: VecDeque::new(),
            gates_passed: 0,
            timers: BinaryHeap::new(),
            announced: Vec::new(),
            behind_disk: Vec::new(),
            ending: Vec::new(),
            effects: Vec::new(),
            targets: Vec::new(),
            recent: Recent::default(),
            images: Images::default(),
            spare: Spare::default(),
            counters: Counters::default(),
            telling: Telling::default(),
            negotiated: Tally::default(),
            traces: Traces::default(),
            settings,
        };
        core.wake_at(now.instant + SWEEP_EVERY, Timer::Sweep);
        core
    }

    /// A connection has ended its handshake, its certificate is active. `None` when there are too
    /// many connections, in all or with this certificate.
    pub(crate) fn opened(
        &mut self,
        now: Now,
        peer: Peer,
        known: Arc<Known>,
    ) -> Option<Key<Connection>> {
        if !self.lets_in(now, &peer) {
            return None;
        }
        let certificate = peer.principal.certificate.clone();
        let not_after = peer.not_after;
        self.negotiated.begin(peer.negotiated);
        let key = self
            .connections
            .insert(Connection::new(peer, known, now, &self.settings.limits));
        self.by_principal
            .entry(certificate)
            .or_default()
            .insert(key);
        self.wake_at(
            now.instant + self.limits().connect_timeout,
            Timer::Greeting(key),
        );
        self.watch_certificate(now, key, not_after);
        if self.traces.are_on() {
            self.trace_opened(now, key);
        }
        Some(key)
    }

    /// The peer is gone without a word.
    pub(crate) fn closed(&mut self, now: Now, connection: Key<Connection>) {
        self.end(connection, End::silent(DisconnectReason::ConnectionLost));
        self.settle(now);
    }

    /// The shell gives a connection up, and says why.
    pub(crate) fn cut(&mut self, now: Now, connection: Key<Connection>, end: End) {
        if end.reason == DisconnectReason::Throttled && self.connections.get(connection).is_some() {
            self.counters.slow_readers_cut += 1;
            self.reached(Budget::WriteTimeout, connection);
        }
        self.end(connection, end);
        self.settle(now);
    }

    /// The server stops: every client is told.
    pub(crate) fn shut_down(&mut self, now: Now) {
        let open: Vec<_> = self.connections.iter().map(|(key, _)| key).collect();
        for key in open {
            let end = End::new(
                DisconnectReason::ServerInitiatedDisconnect,
                ReasonCode::ServerShuttingDown,
            );
            self.end(key, end);
        }
        self.settle(now);
    }

    /// What the shell must do.
    pub(crate) fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Ops for the disk since the last time this was asked.
    pub(crate) fn take_batch(&mut self) -> Option<Batch> {
        self.journal.take()
    }

    /// Whether a batch should be taken now.
    pub(crate) fn has_batch(&self) -> bool {
        self.journal.is_due()
    }

    /// How long what gathers for the disk may wait; `None` when it is due, or there is nothing.
    pub(crate) fn batch_patience(&self) -> Option<Duration> {
        self.journal.patience()
    }

    /// Whatever waits for the disk is to wait no longer than it must.
    pub(crate) fn hurry(&mut self) {
        self.journal.hurry();
    }

    /// The sequence up to which everything is on the disk, or need not be.
    pub(crate) fn persisted_up_to(&self) -> u64 {
        self.journal.persisted_up_to()
    }

    /// Ops that are not on the disk yet.
    pub(crate) fn store_backlog(&self) -> u64 {
        self.journal.backlog()
    }

    /// What was counted since the start.
    pub(crate) fn counters(&self) -> Counters {
        self.counters
    }

    /// What connections agreed on in TLS.
    pub(crate) fn negotiated(&self) -> &Tally {
        &self.negotiated
    }

    /// Live connections, those before CONNECT included.
    pub(crate) fn connection_count(&self) -> usize {
        self.connections.len()
    }

    /// Sessions, connected or not.
    pub(crate) fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// Bytes of messages that somebody waits for.
    pub(crate) fn waiting_bytes(&self) -> u64 {
        self.ledger.bytes()
    }

    /// Subscriptions of all sessions.
    pub(crate) fn subscription_count(&self) -> usize {
        self.subscription_count
    }

    /// Retained messages.
    pub(crate) fn retained_count(&self) -> usize {
        self.retained.len()
    }

    fn limits(&self) -> &Limits {
        &self.settings.limits
    }

    /// Puts off the end of a connection to the end of the turn. The first reason given stands.
    fn end(&mut self, connection: Key<Connection>, end: End) {
        if let Some(found) = self.connections.get_mut(connection)
            && !found.ends
        {
            found.ends = true;
            self.ending.push((connection, end));
        }
    }

    /// Ends what has to end, and tells the shell of new output. Every event closes with this.
    fn settle(&mut self, now: Now) {
        self.open_gates(now);
        while !self.ending.is_empty() {
            for (key, end) in std::mem::take(&mut self.ending) {
                self.depart(now, key, &end);
            }
            self.open_gates(now);
        }
        self.read_on_behind_disk(now);
        self.images.clear();
        if self.traces.have_output() {
            self.trace_output(now);
        }
        self.arrange_telling(now);
    }
}
