//! Connecting and leaving, again and again: TCP, TLS, CONNECT, CONNACK, DISCONNECT, close.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use model::{Clock as _, SystemClock};
use serde::{Deserialize, Serialize};

use super::histogram::Histogram;
use super::link::{Link, READ_BUFFER, Secured};
use super::meter::{Cpu, Tree};
use super::poller::Poller;
use super::scenario::Connects;
use super::target::Target;
use super::traffic::Timing;
use super::wire::{self, Incoming};

/// How long one connection may take, its end included.
const PATIENCE: Duration = Duration::from_secs(10);
const TURN: Duration = Duration::from_millis(20);
const KEEP_ALIVE_S: u16 = 600;

/// What a run of connections came to.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Connected {
    /// Connections that were opened, answered and closed while it was measured.
    pub(crate) connections: u64,
    pub(crate) resumed: u64,
    pub(crate) hybrid: u64,
    pub(crate) seconds: f64,
    pub(crate) broker_cpu_ns: u64,
    pub(crate) generator_cpu_ns: u64,
    /// From the first packet of TCP to CONNACK.
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) broken: Option<String>,
}

#[derive(Debug)]
struct Slot {
    link: Link,
    began: Instant,
    waits: bool,
    secured: Option<Secured>,
}

struct Run<'a> {
    target: &'a mut Target,
    slots: Vec<Option<Slot>>,
    poller: Poller,
    buffer: Vec<u8>,
    plain: Vec<u8>,
    opened: usize,
    outcome: Connected,
    latencies: Histogram,
}

/// Connects `what.at_once` at a time.
///
/// # Errors
/// When the broker's processor time cannot be read. What goes wrong on the wire is part of the
/// outcome.
pub(crate) fn run(mut target: Target, what: Connects, timing: Timing) -> Result<Connected> {
    let tree = target.tree;
    let mut run = Run {
        target: &mut target,
        slots: (0..what.at_once).map(|_| None).collect(),
        poller: Poller::new()?,
        buffer: vec![0; READ_BUFFER],
        plain: Vec::new(),
        opened: 0,
        outcome: Connected::default(),
        latencies: Histogram::new(),
    };
    if let Err(error) = run.measure(tree, timing) {
        run.outcome.broken = Some(format!("{error:#}"));
    }
    run.outcome.p50_us = run.latencies.percentile_us(0.5);
    run.outcome.p99_us = run.latencies.percentile_us(0.99);
    Ok(run.outcome)
}

impl Run<'_> {
    fn measure(&mut self, tree: Option<Tree>, timing: Timing) -> Result<()> {
        self.for_time(timing.warm_up)?;
        let ours = Tree::of(std::process::id());
        let cpu = |tree: Option<Tree>| tree.map_or_else(|| Ok(Cpu::default()), Tree::cpu);
        self.outcome = Connected::default();
        self.latencies = Histogram::new();
        let (broker, generator) = (cpu(tree)?, ours.cpu()?);
        let began = SystemClock.instant();
        self.for_time(timing.measured)?;
        self.outcome.seconds = (SystemClock.instant() - began).as_secs_f64();
        self.outcome.broker_cpu_ns = cpu(tree)?.since(&broker);
        self.outcome.generator_cpu_ns = ours.cpu()?.since(&generator);
        Ok(())
    }

    fn for_time(&mut self, time: Duration) -> Result<()> {
        let until = SystemClock.instant() + time;
        while SystemClock.instant() < until {
            self.turn()?;
        }
        Ok(())
    }

    fn turn(&mut self) -> Result<()> {
        for at in 0..self.slots.len() {
            if self.slots[at].is_none() {
                self.open(at)?;
            }
        }
        let events = self.poller.wait(TURN)?.to_vec();
        for event in events {
            let at = usize::try_from(event.id)?;
            if event.writable {
                self.flush(at)?;
            }
            if event.readable {
                self.receive(at)?;
            }
        }
        let now = SystemClock.instant();
        let late = |slot: &&Slot| PATIENCE < now - slot.began;
        match self.slots.iter().flatten().find(late) {
            None => Ok(()),
            Some(slot) if slot.secured.is_some() => bail!("the broker does not close"),
            Some(_) => bail!("no CONNACK within {} s", PATIENCE.as_secs()),
        }
    }

    fn open(&mut self, at: usize) -> Result<()> {
        let began = SystemClock.instant();
        let name = format!("p{at}");
        let mut link = self.target.open(&name, self.opened)?;
        self.opened += 1;
        wire::connect(&mut link.out, &name, true, KEEP_ALIVE_S);
        self.poller.add(&link, at as u64, true)?;
        self.slots[at] = Some(Slot {
            link,
            began,
            waits: true,
            secured: None,
        });
        Ok(())
    }

    fn flush(&mut self, at: usize) -> Result<()> {
        let Some(slot) = &mut self.slots[at] else {
            return Ok(());
        };
        let waits = slot.link.flush().context("while connecting")?;
        if waits != slot.waits {
            slot.waits = waits;
            self.poller.want_write(&slot.link, at as u64, waits)?;
        }
        Ok(())
    }

    fn receive(&mut self, at: usize) -> Result<()> {
        let Some(slot) = &mut self.slots[at] else {
            return Ok(());
        };
        let open = match slot.link.receive(&mut self.buffer, &mut self.plain) {
            Ok(open) => open,
            // The broker may have closed before it read our close.
            Err(_) if slot.secured.is_some() => false,
            Err(error) => return Err(error).context("while connecting"),
        };
        if let Some((packet, len)) = wire::next(&self.plain)? {
            ensure!(packet == Incoming::ConnAck { code: 0 }, "got {packet:?}");
            ensure!(len == self.plain.len(), "more than CONNACK came");
            let took = SystemClock.instant() - slot.began;
            self.latencies.add(u64::try_from(took.as_nanos())?);
            slot.secured = slot.link.secured().or(Some(Secured::PLAIN));
            slot.link.out.extend_from_slice(&wire::DISCONNECT);
            slot.link.finish()?;
        } else {
            slot.link.keep(&self.plain, 0);
        }
        if open {
            return self.flush(at);
        }
        let Some(slot) = self.slots[at].take() else {
            return Ok(());
        };
        let secured = slot.secured.context("the broker closed before CONNACK")?;
        slot.link.abort();
        self.outcome.connections += 1;
        self.outcome.resumed += u64::from(secured.resumed);
        self.outcome.hybrid += u64::from(secured.hybrid);
        Ok(())
    }
}
