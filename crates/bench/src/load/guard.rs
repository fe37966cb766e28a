//! Whether a broker guards what it is said to guard: asked of every peer before it is measured, so
//! that a table never compares one that decides with one that does not.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use model::{Clock as _, SystemClock};

use super::link::{Link, READ_BUFFER};
use super::poller::Poller;
use super::scenario::{COLLECTOR, topic};
use super::target::Target;
use super::wire::{self, Incoming};

const PATIENCE: Duration = Duration::from_secs(10);
const TURN: Duration = Duration::from_millis(20);
const KEEP_ALIVE_S: u16 = 60;

/// What a broker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Guarded {
    /// A client without a certificate is refused.
    pub(crate) certificates: bool,
    /// A device cannot publish on another's topic.
    pub(crate) publishing: bool,
    /// A reader cannot read another's topic.
    pub(crate) reading: bool,
}

/// A client that waits for its answers.
struct Client {
    link: Link,
    poller: Poller,
    buffer: Vec<u8>,
    plain: Vec<u8>,
    came: Vec<Came>,
    open: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Came {
    ConnAck(u8),
    SubAck(u8),
    Message(String),
    Pong,
}

/// Tries what must not work; `stranger` is the same broker met without a certificate.
///
/// # Errors
/// When what must work does not.
pub(crate) fn check(target: &mut Target, stranger: &mut Target) -> Result<Guarded> {
    let mut nobody = Client::begin(stranger, "p0")?;
    let certificates = !nobody.until(|came| came.contains(&Came::ConnAck(0)))?;

    let mut collector = Client::connect(target, COLLECTOR)?;
    collector.subscribe("t/+/d")?;
    let mut intruder = Client::connect(target, "p1")?;
    intruder.publish(&topic(0))?;
    intruder.publish(&topic(1))?;
    // What comes on one connection is decided in order: the second says that the first was decided.
    let (own, foreign) = (Came::Message(topic(1)), Came::Message(topic(0)));
    while !collector.came.contains(&own) && intruder.open {
        collector.turn()?;
        intruder.turn()?;
    }
    let publishing = !collector.came.contains(&foreign);

    let mut reader = Client::connect(target, "s1")?;
    reader.subscribe(&topic(0))?;
    let mut publisher = Client::connect(target, "p0")?;
    publisher.publish(&topic(0))?;
    let arrived = collector.until(|came| came.contains(&foreign))?;
    if !arrived {
        bail!("what a device may publish did not reach who may read it");
    }
    if reader.open {
        reader.link.out.extend_from_slice(&[0xC0, 0]);
        reader.until(|came| came.contains(&Came::Pong))?;
    }
    Ok(Guarded {
        certificates,
        publishing,
        reading: !reader.came.contains(&foreign),
    })
}

impl Client {
    fn begin(target: &mut Target, name: &str) -> Result<Self> {
        let mut link = target.open(name, 0)?;
        wire::connect(&mut link.out, name, true, KEEP_ALIVE_S);
        let poller = Poller::new()?;
        poller.add(&link, 0, true)?;
        Ok(Self {
            link,
            poller,
            buffer: vec![0; READ_BUFFER],
            plain: Vec::new(),
            came: Vec::new(),
            open: true,
        })
    }

    fn connect(target: &mut Target, name: &str) -> Result<Self> {
        let mut client = Self::begin(target, name)?;
        match client.until(|came| came.contains(&Came::ConnAck(0)))? {
            true => Ok(client),
            false => bail!("`{name}` cannot connect: {:?}", client.came),
        }
    }

    fn subscribe(&mut self, filter: &str) -> Result<()> {
        wire::subscribe(&mut self.link.out, 1, filter, 0);
        let answered = |came: &[Came]| came.iter().any(|came| matches!(came, Came::SubAck(_)));
        self.until(answered)?;
        Ok(())
    }

    fn publish(&mut self, topic: &str) -> Result<()> {
        wire::publish(&mut self.link.out, topic, 0, 0, b"guard");
        self.turn()
    }

    /// Waits until `condition` holds; false when the broker closed before.
    fn until(&mut self, condition: impl Fn(&[Came]) -> bool) -> Result<bool> {
        let deadline = SystemClock.instant() + PATIENCE;
        while !condition(&self.came) {
            if !self.open {
                return Ok(false);
            }
            self.turn()?;
            if deadline < SystemClock.instant() {
                bail!(
                    "no answer within {} s; came: {:?}",
                    PATIENCE.as_secs(),
                    self.came
                );
            }
        }
        Ok(true)
    }

    fn turn(&mut self) -> Result<()> {
        // Whoever is refused may find the connection gone at any step.
        let waits = self.link.flush();
        self.open &= waits.is_ok();
        self.poller
            .want_write(&self.link, 0, waits.unwrap_or(false))?;
        let readable = self.poller.wait(TURN)?.iter().any(|ready| ready.readable);
        if readable && self.open {
            let open = self.link.receive(&mut self.buffer, &mut self.plain);
            self.open = open.unwrap_or(false);
            self.take().context("after what came")?;
        }
        Ok(())
    }

    fn take(&mut self) -> Result<()> {
        let mut at = 0;
        while let Some((packet, len)) = wire::next(&self.plain[at..])? {
            at += len;
            self.came.push(match packet {
                Incoming::ConnAck { code } => Came::ConnAck(code),
                Incoming::SubAck { code } => Came::SubAck(code),
                Incoming::Publish(publish) => {
                    Came::Message(String::from_utf8_lossy(publish.topic).into_owned())
                }
                Incoming::Other(13) => Came::Pong,
                packet => bail!("unexpected: {packet:?}"),
            });
        }
        self.link.keep(&self.plain, at);
        self.plain.clear();
        Ok(())
    }
}

impl std::fmt::Display for Guarded {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let said = |holds: bool, yes: &'static str, no: &'static str| if holds { yes } else { no };
        let parts = [
            said(
                self.certificates,
                "refuses clients without a certificate",
                "ACCEPTS CLIENTS WITHOUT A CERTIFICATE",
            ),
            said(
                self.publishing,
                "guards publishing",
                "DOES NOT GUARD PUBLISHING",
            ),
            said(self.reading, "guards reading", "DOES NOT GUARD READING"),
        ];
        out.write_str(&parts.join(", "))
    }
}
