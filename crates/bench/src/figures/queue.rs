//! Messages for a thousand sessions that are away: each is on the disk before its PUBACK, and each
//! is there, once and in order, when its session comes back.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use model::{Clock as _, SystemClock};

use super::Figure;
use crate::load::check::{Faults, Sequence};
use crate::load::crowd::{Crowd, Join, nothing};
use crate::load::flight::Flight;
use crate::load::message::{Message, PAYLOAD};
use crate::load::meter::Tree;
use crate::load::scenario::{FEEDER, IDLER};
use crate::load::target::Target;
use crate::load::wire::{self, Incoming};
use crate::peers::Peer as _;
use crate::peers::fleet::Fleet;
use crate::peers::palisade::Palisade;

const SESSIONS: usize = 1_000;
const FEEDERS: usize = 20;
/// Unacknowledged messages of one feeder; the broker's default receive maximum is 1,000.
const WINDOW: usize = 800;
/// Less than what waits for one session at most by default, 10,000.
const EACH_MAX: u64 = 9_000;
const AIM_PER_S: f64 = 50_000.0;
const QUIET: Duration = Duration::from_secs(3);

pub(super) fn measure(program: &Path, seconds: f64) -> Result<Vec<Figure>> {
    let dir = tempfile::Builder::new()
        .prefix("palisade-bench-")
        .tempdir()?;
    let fleet = Fleet::of(dir.path(), [FEEDER, IDLER])?;
    let palisade = Palisade::set_up(&fleet, program, dir.path())?;
    let running = palisade.start()?;
    let target = || -> Result<Target> {
        let (address, ca) = (running.address, &running.ca);
        let mut target = Target::secured(address, ca, &fleet.identities, false, false)?;
        target.sources = 16;
        Ok(target)
    };
    let mut away = Crowd::new(target()?)?;
    away.open((0..SESSIONS).map(|n| session(n, true)), &mut nothing)?;
    away.leave()?;

    let mut feed = Feed::new(target()?)?;
    let broker = Tree::of(running.pid());
    let before = broker.cpu()?;
    let took = feed.run(Duration::try_from_secs_f64(seconds)?)?;
    let cpu_us = broker.cpu()?.since(&before) as f64 / 1e3;
    let acknowledged = feed.acknowledged();
    let sent = feed.sent.clone();
    feed.crowd.leave()?;

    let (received, faults) = collect(target()?, &sent)?;
    let detail = format!(
        "{acknowledged} messages of {PAYLOAD} bytes over {SESSIONS} persistent sessions on SQLite in \
         {took:.2} s, {FEEDERS} publishers with {WINDOW} unacknowledged each, broker CPU \
         {:.1} µs each; {received} came when the sessions did: {faults}",
        cpu_us / acknowledged.max(1) as f64
    );
    ensure!(
        faults.none(),
        "what was acknowledged did not all come back: {detail}"
    );
    Ok(vec![Figure {
        more: true,
        ..Figure::below(
            "durable insertions into the queues of sessions that are away",
            acknowledged as f64 / took,
            "/s",
            AIM_PER_S,
            detail,
        )
    }])
}

fn session(n: usize, subscribes: bool) -> Join {
    let client_id = format!("{IDLER}-{n}");
    Join {
        identity: IDLER.to_owned(),
        subscribes: subscribes.then(|| (format!("t/{client_id}/d"), 1)),
        client_id,
        clean: false,
    }
}

/// Publishers that fill the queues in turn.
struct Feed {
    crowd: Crowd,
    flights: Vec<Flight>,
    /// Messages sent to each session.
    sent: Vec<u64>,
    next: usize,
}

impl Feed {
    fn new(target: Target) -> Result<Self> {
        let mut crowd = Crowd::new(target)?;
        let feeder = |n| Join {
            identity: FEEDER.to_owned(),
            client_id: format!("{FEEDER}-{n}"),
            clean: true,
            subscribes: None,
        };
        crowd.open((0..FEEDERS).map(feeder), &mut nothing)?;
        Ok(Self {
            crowd,
            flights: (0..FEEDERS)
                .map(|_| Flight::new(String::new(), 0, 1))
                .collect(),
            sent: vec![0; SESSIONS],
            next: 0,
        })
    }

    fn acknowledged(&self) -> u64 {
        let of = |flight: &Flight| flight.sent() - flight.len() as u64;
        self.flights.iter().map(of).sum()
    }

    /// Publishes for `time` and waits for every PUBACK; answers how long both took.
    fn run(&mut self, time: Duration) -> Result<f64> {
        let began = SystemClock.instant();
        let mut last = (0, began);
        loop {
            let now = SystemClock.instant();
            let full = self.sent.iter().all(|sent| EACH_MAX <= *sent);
            if now - began < time && !full {
                self.fill()?;
            } else if self.flights.iter().all(|flight| flight.len() == 0) {
                return Ok((now - began).as_secs_f64());
            }
            if self.acknowledged() != last.0 {
                last = (self.acknowledged(), now);
            }
            ensure!(
                now - last.1 < QUIET * 4,
                "no PUBACK for {} s",
                (QUIET * 4).as_secs()
            );
            let flights = &mut self.flights;
            self.crowd.turn(&mut |feeder, packet, _| match packet {
                Incoming::PubAck { id } if flights[feeder].acknowledged(*id) => Ok(()),
                _ => bail!("not a PUBACK of what was sent"),
            })?;
            ensure!(self.crowd.closed() == 0, "the broker closed a publisher");
        }
    }

    fn fill(&mut self) -> Result<()> {
        // One session belongs to one feeder, so that order is its own to keep.
        let step = SESSIONS / FEEDERS;
        for feeder in 0..FEEDERS {
            let flight = &mut self.flights[feeder];
            let (sent, next) = (&mut self.sent, &mut self.next);
            self.crowd.send(feeder, |out| {
                while flight.len() < WINDOW && flight.has_room() {
                    *next += 1;
                    let session = feeder * step + *next % step;
                    let (_, id) = flight.leave();
                    let mut payload = [0; PAYLOAD];
                    let message = Message {
                        publisher: u32::try_from(session).unwrap_or(u32::MAX),
                        sequence: sent[session],
                        sent_ns: 0,
                    };
                    message.write(&mut payload);
                    sent[session] += 1;
                    wire::publish(out, &format!("t/{IDLER}-{session}/d"), 1, id, &payload);
                }
            })?;
        }
        Ok(())
    }
}

/// The sessions come back and take what waits for them.
fn collect(target: Target, sent: &[u64]) -> Result<(u64, Faults)> {
    let mut faults = Faults::default();
    let mut sequences: Vec<Sequence> = sent.iter().map(|_| Sequence::default()).collect();
    let (mut came, owed) = (0_u64, sent.iter().sum::<u64>());
    let mut takes = |index: usize, packet: &Incoming<'_>, out: &mut Vec<u8>| {
        let Incoming::Publish(publish) = packet else {
            bail!("not a PUBLISH");
        };
        wire::puback(out, publish.id);
        let message = Message::read(publish.payload);
        match message.filter(|message| message.publisher as usize == index) {
            None => faults.damaged += 1,
            Some(message) => {
                sequences[index].came(message.sequence, &mut faults);
            }
        }
        came += 1;
        Ok(())
    };
    let mut back = Crowd::new(target)?;
    back.open((0..sent.len()).map(|n| session(n, false)), &mut takes)?;
    // As long as something comes.
    let mut since = SystemClock.instant();
    while SystemClock.instant() - since < QUIET {
        let mut moved = false;
        back.turn(&mut |index, packet, out| {
            moved = true;
            takes(index, packet, out)
        })?;
        if moved {
            since = SystemClock.instant();
        }
    }
    for (sequence, sent) in sequences.iter().zip(sent) {
        sequence.end(*sent, &mut faults);
    }
    ensure!(
        owed <= came || !faults.none(),
        "{came} of {owed}, and nothing missing"
    );
    Ok((came, faults))
}
