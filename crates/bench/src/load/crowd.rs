//! Many connections over one epoll loop, for whoever counts connections rather than messages.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use model::{Clock as _, SystemClock};

use super::link::{Link, READ_BUFFER};
use super::poller::Poller;
use super::target::Target;
use super::wire::{self, Incoming};

/// Handshakes under way at once.
const AT_ONCE: usize = 16;
/// How long connecting may stand still.
const PATIENCE: Duration = Duration::from_secs(30);
const TURN: Duration = Duration::from_millis(20);
const KEEP_ALIVE_S: u16 = 1_200;

/// Who is to connect.
#[derive(Clone, Debug)]
pub(crate) struct Join {
    /// Whose certificate.
    pub(crate) identity: String,
    pub(crate) client_id: String,
    /// Whether the session ends with the connection.
    pub(crate) clean: bool,
    pub(crate) subscribes: Option<(String, u8)>,
}

/// A connection of the crowd.
#[derive(Debug)]
struct Member {
    join: Join,
    /// None once it is closed.
    link: Option<Link>,
    waits: bool,
    ready: bool,
    closed: Option<Instant>,
}

/// Connections, numbered in the order they were opened.
pub(crate) struct Crowd {
    target: Target,
    members: Vec<Member>,
    poller: Poller,
    buffer: Vec<u8>,
    plain: Vec<u8>,
    ready: usize,
    closed: usize,
}

/// What a member does with a packet that is neither CONNACK nor SUBACK; what it writes is sent.
pub(crate) type Takes<'a> = &'a mut dyn FnMut(usize, &Incoming<'_>, &mut Vec<u8>) -> Result<()>;

impl Crowd {
    pub(crate) fn new(target: Target) -> Result<Self> {
        Ok(Self {
            target,
            members: Vec::new(),
            poller: Poller::new()?,
            buffer: vec![0; READ_BUFFER],
            plain: Vec::new(),
            ready: 0,
            closed: 0,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// Connections that were closed.
    pub(crate) fn closed(&self) -> usize {
        self.closed
    }

    /// When it was closed, if it was.
    pub(crate) fn closed_at(&self, index: usize) -> Option<Instant> {
        self.members[index].closed
    }

    /// Connects one after the other and subscribes; ends when all are ready.
    ///
    /// # Errors
    /// When one is refused or closed, or nothing moves.
    pub(crate) fn open(
        &mut self,
        joins: impl IntoIterator<Item = Join>,
        takes: Takes<'_>,
    ) -> Result<()> {
        let mut joins = joins.into_iter().peekable();
        let mut progress = (self.ready, SystemClock.instant());
        while joins.peek().is_some() || self.ready < self.members.len() {
            while self.members.len() < self.ready + AT_ONCE {
                let Some(join) = joins.next() else { break };
                self.begin(join)?;
            }
            self.turn(takes)?;
            ensure!(self.closed == 0, "a connection was closed: {}", self.gone());
            let now = SystemClock.instant();
            if self.ready != progress.0 {
                progress = (self.ready, now);
            } else if PATIENCE < now - progress.1 {
                bail!("connecting stood still at {} connections", self.ready);
            }
        }
        Ok(())
    }

    fn gone(&self) -> &str {
        let gone = self.members.iter().find(|member| member.link.is_none());
        gone.map_or("nobody", |member| &member.join.client_id)
    }

    fn begin(&mut self, join: Join) -> Result<()> {
        let index = self.members.len();
        let mut link = self.target.open(&join.identity, index)?;
        wire::connect(&mut link.out, &join.client_id, join.clean, KEEP_ALIVE_S);
        self.poller.add(&link, index as u64, true)?;
        self.members.push(Member {
            join,
            link: Some(link),
            waits: true,
            ready: false,
            closed: None,
        });
        Ok(())
    }

    /// Lets `write` add packets for a member, and sends them.
    pub(crate) fn send(&mut self, index: usize, write: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        if let Some(link) = &mut self.members[index].link {
            write(&mut link.out);
        }
        self.flush(index)
    }

    /// Takes what comes within a short while.
    pub(crate) fn turn(&mut self, takes: Takes<'_>) -> Result<()> {
        let events = self.poller.wait(TURN)?.to_vec();
        for event in events {
            let index = usize::try_from(event.id)?;
            if event.readable {
                self.receive(index, takes)?;
            }
            self.flush(index)?;
        }
        Ok(())
    }

    /// As [`Crowd::turn`], for `time`.
    pub(crate) fn for_time(&mut self, time: Duration, takes: Takes<'_>) -> Result<()> {
        let until = SystemClock.instant() + time;
        while SystemClock.instant() < until {
            self.turn(takes)?;
        }
        Ok(())
    }

    /// Says farewell for everybody and closes.
    pub(crate) fn leave(mut self) -> Result<()> {
        for index in 0..self.members.len() {
            self.send(index, |out| out.extend_from_slice(&wire::DISCONNECT))?;
        }
        let deadline = SystemClock.instant() + PATIENCE;
        while self.closed < self.members.len() {
            self.turn(&mut |_, _, _| Ok(()))?;
            ensure!(
                SystemClock.instant() < deadline,
                "the broker does not close"
            );
        }
        Ok(())
    }

    fn flush(&mut self, index: usize) -> Result<()> {
        let member = &mut self.members[index];
        let Some(link) = &mut member.link else {
            return Ok(());
        };
        let Ok(waits) = link.flush() else {
            // The reading side finds out.
            return Ok(());
        };
        if waits != member.waits {
            member.waits = waits;
            self.poller.want_write(link, index as u64, waits)?;
        }
        Ok(())
    }

    fn receive(&mut self, index: usize, takes: Takes<'_>) -> Result<()> {
        let member = &mut self.members[index];
        let Some(link) = &mut member.link else {
            return Ok(());
        };
        let open = link.receive(&mut self.buffer, &mut self.plain);
        let mut at = 0;
        while let Some((packet, len)) = wire::next(&self.plain[at..])? {
            at += len;
            match (packet, &member.join.subscribes) {
                (Incoming::ConnAck { code: 0 }, Some((filter, qos))) => {
                    wire::subscribe(&mut link.out, 1, filter, *qos);
                }
                (Incoming::ConnAck { code: 0 }, None) => {
                    member.ready = true;
                    self.ready += 1;
                }
                (Incoming::SubAck { code }, Some((_, qos))) if code == *qos => {
                    member.ready = true;
                    self.ready += 1;
                }
                (packet @ (Incoming::ConnAck { .. } | Incoming::SubAck { .. }), _) => {
                    bail!("`{}` was refused: {packet:?}", member.join.client_id);
                }
                (packet, _) => takes(index, &packet, &mut link.out)
                    .with_context(|| format!("`{}` got {packet:?}", member.join.client_id))?,
            }
        }
        link.keep(&self.plain, at);
        if !matches!(open, Ok(true)) {
            member.link = None;
            member.closed = Some(SystemClock.instant());
            self.closed += 1;
        }
        Ok(())
    }
}

/// Nothing else is expected.
pub(crate) fn nothing(_: usize, _: &Incoming<'_>, _: &mut Vec<u8>) -> Result<()> {
    bail!("nothing was expected")
}
