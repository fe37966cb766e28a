//! What an idle connection costs: resident memory between two counts of connections.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use model::{Clock as _, SystemClock};
use serde::{Deserialize, Serialize};

use super::link::{Link, READ_BUFFER};
use super::meter::Tree;
use super::poller::Poller;
use super::scenario::IDLER;
use super::target::Target;
use super::wire::{self, Incoming};

const AT_ONCE: usize = 16;
/// How long connecting may stand still.
const PATIENCE: Duration = Duration::from_secs(30);
const TURN: Duration = Duration::from_millis(20);
/// Memory counts as settled when it has not moved by more than this for [`SETTLED`].
const NOISE_BYTES: u64 = 64 * 1024;
const SETTLED: Duration = Duration::from_millis(800);
const SETTLE_PATIENCE: Duration = Duration::from_secs(15);
const KEEP_ALIVE_S: u16 = 1_200;

/// What idle connections came to.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Idled {
    /// Connections held and the resident bytes of the broker with them.
    pub(crate) samples: Vec<(u64, u64)>,
    /// The slope between the first and the last sample.
    pub(crate) bytes_per_connection: f64,
    /// Seconds to open them all.
    pub(crate) seconds: f64,
    /// Nanoseconds the broker runs in a second with all of them idle.
    pub(crate) idle_cpu_ns_per_s: f64,
    pub(crate) broken: Option<String>,
}

#[derive(Debug)]
struct Client {
    link: Link,
    waits: bool,
    ready: bool,
}

struct Run<'a> {
    target: &'a mut Target,
    clients: Vec<Client>,
    poller: Poller,
    buffer: Vec<u8>,
    plain: Vec<u8>,
    ready: usize,
}

/// Holds as many connections as each of `counts` says, one after the other.
///
/// # Errors
/// When the broker's memory cannot be read.
pub(crate) fn run(mut target: Target, counts: &[u64]) -> Result<Idled> {
    let tree = target
        .tree
        .context("idle connections need the broker's process")?;
    let mut run = Run {
        target: &mut target,
        clients: Vec::new(),
        poller: Poller::new()?,
        buffer: vec![0; READ_BUFFER],
        plain: Vec::new(),
        ready: 0,
    };
    let mut outcome = Idled::default();
    if let Err(error) = run.measure(tree, counts, &mut outcome) {
        outcome.broken = Some(format!("{error:#}"));
    }
    if let ([first, .., last], true) = (&outcome.samples[..], outcome.broken.is_none()) {
        let (grown, more) = (
            last.1 as f64 - first.1 as f64,
            last.0 as f64 - first.0 as f64,
        );
        outcome.bytes_per_connection = grown / more.max(1.0);
    }
    Ok(outcome)
}

impl Run<'_> {
    fn measure(&mut self, tree: Tree, counts: &[u64], outcome: &mut Idled) -> Result<()> {
        let began = SystemClock.instant();
        for count in counts {
            self.open(usize::try_from(*count)?)?;
            outcome.seconds = (SystemClock.instant() - began).as_secs_f64();
            outcome.samples.push((*count, self.settled(tree)?));
        }
        let (before, since) = (tree.cpu()?, SystemClock.instant());
        self.for_time(SETTLED)?;
        let ran = tree.cpu()?.since(&before) as f64;
        outcome.idle_cpu_ns_per_s = ran / (SystemClock.instant() - since).as_secs_f64();
        ensure!(self.ready == self.clients.len(), "a connection was lost");
        Ok(())
    }

    fn open(&mut self, count: usize) -> Result<()> {
        let mut progress = (self.ready, SystemClock.instant());
        while self.ready < count {
            while self.clients.len() < count && self.clients.len() < self.ready + AT_ONCE {
                let index = self.clients.len();
                let mut link = self.target.open(IDLER, index)?;
                wire::connect(&mut link.out, &client_id(index), KEEP_ALIVE_S);
                self.poller.add(&link, index as u64, true)?;
                self.clients.push(Client {
                    link,
                    waits: true,
                    ready: false,
                });
            }
            self.turn()?;
            let now = SystemClock.instant();
            if self.ready != progress.0 {
                progress = (self.ready, now);
            } else if PATIENCE < now - progress.1 {
                bail!("stood still at {} connections", self.ready);
            }
        }
        Ok(())
    }

    fn turn(&mut self) -> Result<()> {
        let events = self.poller.wait(TURN)?.to_vec();
        for event in events {
            let index = usize::try_from(event.id)?;
            if event.readable {
                self.receive(index)?;
            }
            let client = &mut self.clients[index];
            let waits = client.link.flush()?;
            if waits != client.waits {
                client.waits = waits;
                self.poller.want_write(&client.link, event.id, waits)?;
            }
        }
        Ok(())
    }

    fn receive(&mut self, index: usize) -> Result<()> {
        let client = &mut self.clients[index];
        let open = client.link.receive(&mut self.buffer, &mut self.plain)?;
        let mut at = 0;
        while let Some((packet, len)) = wire::next(&self.plain[at..])? {
            at += len;
            match packet {
                Incoming::ConnAck { code: 0 } => {
                    let filter = format!("t/{}/d", client_id(index));
                    wire::subscribe(&mut client.link.out, 1, &filter, 0);
                }
                Incoming::SubAck { code: 0 } => {
                    client.ready = true;
                    self.ready += 1;
                }
                packet => bail!("connection {index} got {packet:?}"),
            }
        }
        client.link.keep(&self.plain, at);
        ensure!(open, "connection {index} of {} was closed", self.ready);
        Ok(())
    }

    fn settled(&mut self, tree: Tree) -> Result<u64> {
        let deadline = SystemClock.instant() + SETTLE_PATIENCE;
        let mut last = (tree.resident_bytes()?, SystemClock.instant());
        loop {
            self.for_time(SETTLED / 8)?;
            let (bytes, now) = (tree.resident_bytes()?, SystemClock.instant());
            if NOISE_BYTES < bytes.abs_diff(last.0) {
                last = (bytes, now);
            }
            if SETTLED < now - last.1 || deadline < now {
                return Ok(bytes);
            }
        }
    }

    fn for_time(&mut self, time: Duration) -> Result<()> {
        let until = SystemClock.instant() + time;
        while SystemClock.instant() < until {
            self.turn()?;
        }
        Ok(())
    }
}

fn client_id(index: usize) -> String {
    format!("{IDLER}-{index}")
}
