//! Messages through a broker, every one of them checked.
//!
//! A closed loop: no publisher ever has more in flight than its window, so nothing needs to be
//! dropped and whatever is missing was lost. A message is in flight until every subscriber has it
//! and, at QoS 1, its PUBACK has come. Because each subscriber is owed the messages of a publisher
//! in order, one that is skipped leaves flight with the next, and is counted.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use model::{Clock as _, SystemClock};
use serde::{Deserialize, Serialize};

use super::check::Faults;
use super::flight::Flight;
use super::histogram::Histogram;
use super::link::{Link, READ_BUFFER};
use super::message::{Message, PAYLOAD};
use super::meter::{Cpu, Tree};
use super::poller::{Poller, Ready, TIMER};
use super::reader::Subscriber;
use super::scenario::{Shape, topic};
use super::target::Target;
use super::wire::{self, Incoming, Publish};

/// How long everybody may take to connect and subscribe.
const SETUP_PATIENCE: Duration = Duration::from_secs(30);
/// Handshakes under way at once while setting up.
const SETUP_AT_ONCE: usize = 16;
/// How long nothing may arrive before what is missing counts as lost.
const DRAIN_PATIENCE: Duration = Duration::from_secs(3);
const KEEP_ALIVE_S: u16 = 600;
const TURN: Duration = Duration::from_millis(20);

/// How long a run lasts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
    /// It ends before its time when this many messages were sent.
    pub(crate) messages_max: u64,
}

/// What a run of messages came to.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Traffic {
    /// Messages that reached a subscriber while it was measured.
    pub(crate) delivered: u64,
    pub(crate) seconds: f64,
    /// Nanoseconds of the broker while it was measured.
    pub(crate) broker_cpu_ns: u64,
    /// Nanoseconds of the generator, likewise.
    pub(crate) generator_cpu_ns: u64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    /// Of the whole run, warm-up and end included.
    pub(crate) sent: u64,
    pub(crate) faults: Faults,
    /// Why the run ended early.
    pub(crate) broken: Option<String>,
}

#[derive(Debug)]
struct Client {
    name: String,
    link: Link,
    role: Role,
    stage: Stage,
    waits: bool,
    dirty: bool,
}

#[derive(Clone, Copy, Debug)]
enum Role {
    Publisher(usize),
    Subscriber(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Connecting,
    Subscribing,
    Ready,
}

struct Run {
    shape: Shape,
    clients: Vec<Client>,
    flights: Vec<Flight>,
    subscribers: Vec<Subscriber>,
    poller: Poller,
    events: Vec<Ready>,
    buffer: Vec<u8>,
    plain: Vec<u8>,
    dirty: Vec<usize>,
    due: Vec<usize>,
    turn_of: usize,
    started: Instant,
    sending: bool,
    ready: usize,
    delivered: u64,
    sent: u64,
    faults: Faults,
    latencies: Histogram,
}

/// Runs `shape` against `target`.
///
/// # Errors
/// When the clients cannot be set up. What goes wrong later is part of the outcome.
pub(crate) fn run(mut target: Target, shape: Shape, timing: Timing) -> Result<Traffic> {
    let mut run = Run::new(shape)?;
    run.set_up(&mut target)?;
    let mut outcome = Traffic::default();
    if let Err(error) = run.measure(target.tree, timing, &mut outcome) {
        outcome.broken = Some(format!("{error:#}"));
    }
    run.end();
    outcome.p50_us = run.latencies.percentile_us(0.5);
    outcome.p99_us = run.latencies.percentile_us(0.99);
    outcome.p999_us = run.latencies.percentile_us(0.999);
    outcome.sent = run.sent;
    outcome.faults = run.faults;
    Ok(outcome)
}

impl Run {
    fn new(shape: Shape) -> Result<Self> {
        let subscriber = |reader: &super::scenario::Reader| Subscriber::new(reader.reads.clone());
        let owed = |publisher| {
            let readers = shape.subscribers.iter();
            readers
                .filter(|reader| reader.reads.contains(&publisher))
                .count()
        };
        Ok(Self {
            flights: (0..shape.publishers)
                .map(|publisher| Flight::new(topic(publisher), owed(publisher), shape.qos))
                .collect(),
            subscribers: shape.subscribers.iter().map(subscriber).collect(),
            due: Vec::with_capacity(shape.publishers as usize),
            shape,
            clients: Vec::new(),
            poller: Poller::new()?,
            events: Vec::new(),
            buffer: vec![0; READ_BUFFER],
            plain: Vec::with_capacity(READ_BUFFER),
            dirty: Vec::new(),
            turn_of: 0,
            started: SystemClock.instant(),
            sending: false,
            ready: 0,
            delivered: 0,
            sent: 0,
            faults: Faults::default(),
            latencies: Histogram::new(),
        })
    }

    /// Connects and subscribes everybody; readers first, so that nothing is published unread.
    fn set_up(&mut self, target: &mut Target) -> Result<()> {
        let readers = self.shape.subscribers.iter().enumerate();
        let readers = readers.map(|(n, reader)| (reader.name.clone(), Role::Subscriber(n)));
        let publishers = 0..self.shape.publishers as usize;
        let publishers = publishers.map(|n| (format!("p{n}"), Role::Publisher(n)));
        let all: Vec<_> = readers.chain(publishers).collect();
        let deadline = SystemClock.instant() + SETUP_PATIENCE;
        while self.ready < all.len() {
            while self.clients.len() < all.len() && self.clients.len() < self.ready + SETUP_AT_ONCE
            {
                let index = self.clients.len();
                let (name, role) = all[index].clone();
                let mut link = target.open(&name, index)?;
                wire::connect(&mut link.out, &name, true, KEEP_ALIVE_S);
                self.poller.add(&link, index as u64, true)?;
                self.clients.push(Client {
                    name,
                    link,
                    role,
                    stage: Stage::Connecting,
                    waits: true,
                    dirty: false,
                });
            }
            self.turn()?;
            if deadline < SystemClock.instant() {
                let late = self
                    .clients
                    .iter()
                    .find(|client| client.stage != Stage::Ready);
                let late = late.map_or("nobody", |client| &client.name);
                bail!(
                    "`{late}` was not ready within {} s",
                    SETUP_PATIENCE.as_secs()
                );
            }
        }
        Ok(())
    }

    fn measure(&mut self, tree: Option<Tree>, timing: Timing, outcome: &mut Traffic) -> Result<()> {
        if let Some(rate) = self.shape.rate {
            self.poller.every(Duration::from_secs(1) / rate)?;
        }
        self.sending = true;
        self.due = (0..self.flights.len()).collect();
        self.for_time(timing.warm_up)?;

        let ours = Tree::of(std::process::id());
        let cpu = |tree: Option<Tree>| tree.map_or_else(|| Ok(Cpu::default()), Tree::cpu);
        self.latencies = Histogram::new();
        let (broker, generator) = (cpu(tree)?, ours.cpu()?);
        let (began, delivered) = (SystemClock.instant(), self.delivered);
        let until = began + timing.measured;
        while self.sent < timing.messages_max && SystemClock.instant() < until {
            self.turn()?;
        }
        outcome.seconds = (SystemClock.instant() - began).as_secs_f64();
        outcome.delivered = self.delivered - delivered;
        outcome.broker_cpu_ns = cpu(tree)?.since(&broker);
        outcome.generator_cpu_ns = ours.cpu()?.since(&generator);

        self.sending = false;
        self.drain()
    }

    fn for_time(&mut self, time: Duration) -> Result<()> {
        let until = SystemClock.instant() + time;
        while SystemClock.instant() < until {
            self.turn()?;
        }
        Ok(())
    }

    /// Waits for what is in flight, as long as something still comes.
    fn drain(&mut self) -> Result<()> {
        let mut seen = self.settled();
        let mut since = SystemClock.instant();
        while self.flights.iter().any(|flight| 0 < flight.len()) {
            self.turn()?;
            let now = SystemClock.instant();
            if self.settled() != seen {
                (seen, since) = (self.settled(), now);
            } else if DRAIN_PATIENCE < now - since {
                return Ok(());
            }
        }
        // What comes twice may come late.
        self.for_time(TURN * 5)
    }

    fn settled(&self) -> (u64, usize) {
        (self.delivered, self.flights.iter().map(Flight::len).sum())
    }

    fn turn(&mut self) -> Result<()> {
        let mut events = std::mem::take(&mut self.events);
        events.clear();
        events.extend_from_slice(self.poller.wait(TURN)?);
        let mut ticks = 0;
        for event in &events {
            if event.id == TIMER {
                ticks = self.poller.ticks();
                continue;
            }
            let index = usize::try_from(event.id)?;
            if event.writable {
                self.flush(index)?;
            }
            if event.readable {
                self.receive(index)?;
            }
        }
        self.events = events;
        if self.sending {
            self.send(ticks);
        }
        while let Some(index) = self.dirty.pop() {
            self.clients[index].dirty = false;
            self.flush(index)?;
        }
        Ok(())
    }

    fn flush(&mut self, index: usize) -> Result<()> {
        let client = &mut self.clients[index];
        let waits = client.link.flush();
        let waits = waits.with_context(|| format!("writing as `{}`", client.name))?;
        if waits != client.waits {
            client.waits = waits;
            self.poller.want_write(&client.link, index as u64, waits)?;
        }
        Ok(())
    }

    fn receive(&mut self, index: usize) -> Result<()> {
        let mut plain = std::mem::take(&mut self.plain);
        let client = &mut self.clients[index];
        let open = client.link.receive(&mut self.buffer, &mut plain);
        let open = open.with_context(|| format!("reading as `{}`", client.name))?;
        let now_ns = self.now_ns();
        let mut at = 0;
        while let Some((packet, len)) = wire::next(&plain[at..])? {
            self.came(index, &packet, now_ns)?;
            at += len;
        }
        self.clients[index].link.keep(&plain, at);
        self.plain = plain;
        // What a handshake or an answer owes.
        self.touch(index);
        ensure!(open, "the broker closed `{}`", self.clients[index].name);
        Ok(())
    }

    fn came(&mut self, index: usize, packet: &Incoming<'_>, now_ns: u64) -> Result<()> {
        let client = &mut self.clients[index];
        match (client.stage, packet, client.role) {
            (Stage::Connecting, Incoming::ConnAck { code }, role) => {
                ensure!(*code == 0, "`{}` was refused: CONNACK {code}", client.name);
                match role {
                    Role::Publisher(_) => {
                        client.stage = Stage::Ready;
                        self.ready += 1;
                    }
                    Role::Subscriber(reader) => {
                        client.stage = Stage::Subscribing;
                        let filter = &self.shape.subscribers[reader].filter;
                        wire::subscribe(&mut client.link.out, 1, filter, self.shape.qos);
                    }
                }
            }
            (Stage::Subscribing, Incoming::SubAck { code }, _) => {
                let granted = *code == self.shape.qos;
                ensure!(granted, "`{}` was refused: SUBACK {code}", client.name);
                client.stage = Stage::Ready;
                self.ready += 1;
            }
            (Stage::Ready, Incoming::Publish(publish), Role::Subscriber(reader)) => {
                self.delivery(index, reader, publish, now_ns);
            }
            (Stage::Ready, Incoming::PubAck { id }, Role::Publisher(publisher)) => {
                let known = self.flights[publisher].acknowledged(*id);
                self.faults.stray_acknowledgements += u64::from(!known);
                self.may_send(publisher);
            }
            (stage, packet, _) => bail!("`{}` got {packet:?} while {stage:?}", client.name),
        }
        Ok(())
    }

    fn delivery(&mut self, index: usize, reader: usize, publish: &Publish<'_>, now_ns: u64) {
        if publish.qos == 1 {
            wire::puback(&mut self.clients[index].link.out, publish.id);
        }
        let subscriber = &mut self.subscribers[reader];
        let message = Message::read(publish.payload).filter(|message| {
            let flight = self.flights.get(message.publisher as usize);
            publish.qos == self.shape.qos
                && flight.is_some_and(|flight| {
                    flight.topic().as_bytes() == publish.topic && message.sequence < flight.sent()
                })
        });
        let Some(message) = message else {
            self.faults.damaged += 1;
            return;
        };
        let Some(moved) = subscriber.came(&message, &mut self.faults) else {
            self.faults.damaged += 1;
            return;
        };
        self.delivered += 1;
        self.latencies.add(now_ns.saturating_sub(message.sent_ns));
        let publisher = message.publisher as usize;
        for back in 0..moved {
            self.flights[publisher].delivered(message.sequence - back);
        }
        self.may_send(publisher);
    }

    fn may_send(&mut self, publisher: usize) {
        let flight = &mut self.flights[publisher];
        if !flight.due && flight.len() < self.shape.window {
            flight.due = true;
            self.due.push(publisher);
        }
    }

    fn send(&mut self, ticks: u64) {
        let now_ns = self.now_ns();
        if self.shape.rate.is_some() {
            for _ in 0..ticks {
                let publisher = self.turn_of % self.flights.len();
                self.turn_of += 1;
                if self.flights[publisher].len() < self.shape.window {
                    self.publish(publisher, now_ns);
                }
            }
            return;
        }
        while let Some(publisher) = self.due.pop() {
            self.flights[publisher].due = false;
            while self.flights[publisher].len() < self.shape.window
                && self.flights[publisher].has_room()
            {
                self.publish(publisher, now_ns);
            }
        }
    }

    fn publish(&mut self, publisher: usize, sent_ns: u64) {
        let flight = &mut self.flights[publisher];
        let (sequence, id) = flight.leave();
        let mut payload = [0; PAYLOAD];
        let message = Message {
            publisher: u32::try_from(publisher).unwrap_or(u32::MAX),
            sequence,
            sent_ns,
        };
        message.write(&mut payload);
        let index = self.subscribers.len() + publisher;
        let out = &mut self.clients[index].link.out;
        wire::publish(out, flight.topic(), self.shape.qos, id, &payload);
        self.sent += 1;
        self.touch(index);
    }

    fn touch(&mut self, index: usize) {
        let client = &mut self.clients[index];
        if !client.dirty {
            client.dirty = true;
            self.dirty.push(index);
        }
    }

    /// Counts what is missing and leaves.
    fn end(&mut self) {
        for subscriber in &self.subscribers {
            subscriber.end(|publisher| self.flights[publisher].sent(), &mut self.faults);
        }
        let missing = self.flights.iter().map(Flight::unacknowledged);
        self.faults.unacknowledged += missing.sum::<u64>();
        for client in &mut self.clients {
            client.link.out.extend_from_slice(&wire::DISCONNECT);
            // A broker that is gone already needs no farewell.
            let _ = client.link.finish().and_then(|()| client.link.flush());
        }
    }

    fn now_ns(&self) -> u64 {
        let since = SystemClock.instant() - self.started;
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }
}
