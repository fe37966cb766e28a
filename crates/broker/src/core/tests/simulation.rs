//! A fleet under an invented clock, on an invented network and disk, for thousands of hours.
//!
//! Clients of both versions come and go, keep sessions or not, publish at every QoS, subscribe,
//! share, retain, leave wills, take over, fall silent, and lose their network at any byte; their
//! rights change; the disk lags; the broker dies or is restarted. An independent model
//! (`model.rs`) judges what each is sent when it is sent, and every few hours everybody comes
//! back and whatever was owed must have come.
//!
//! Everything follows from a seed. One that fails is printed with the way to play it again.

mod agent;
mod model;
mod network;
mod play;

use std::collections::BTreeMap;

use super::*;
use agent::{Agent, FILTERS, Flight, Mode, Request, TOPICS};
use model::{Fate, Model, SHARED, Sent, Subscribed, WillKnown};
use network::{Link, Random};

/// What happens at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// Bytes of this link reach the broker.
    Up(u64),
    /// Bytes of this link reach the client.
    Down(u64),
    /// The broker is told that the link is gone.
    Noticed(u64),
    /// The client finds the link gone.
    Missed(u64),
    /// The client shows that it lives.
    Ping(u64),
    /// The broker must have given the link up.
    Silent(u64),
    /// The disk has taken what it was given.
    Persisted(u64),
}

/// The first client listens to wills, the others do everything.
const OBSERVER: usize = 0;
const CLIENTS: usize = 8;
const FLIGHTS_MAX: usize = 4;

struct Simulation {
    world: World,
    random: Random,
    model: Model,
    agents: Vec<Agent>,
    links: BTreeMap<u64, Link>,
    last_link: u64,
    events: BTreeMap<(Instant, u64), Event>,
    last_event: u64,
    /// What the disk is writing.
    writing: Option<Batch>,
    /// Lives of the broker.
    lives: u64,
    /// Nothing is broken on purpose for a while.
    calm: bool,
    last_number: u32,
    seed: u64,
    journal: VecDeque<String>,
    begun: Instant,
}

impl Drop for Simulation {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for line in &self.journal {
                println!("{line}");
            }
            println!(
                "To play it again: PALISADE_SIMULATION_SEED={} cargo test -p broker --lib \
                 a_fleet_for_thousands_of_hours",
                self.seed
            );
        }
    }
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let mut world = World::standard();
        world.prompt_disk = false;
        let mut random = Random::new(seed);
        let mut agents = vec![Agent::new("observer".to_owned(), V5, 604_800, 0)];
        for number in 1..CLIENTS {
            let version = random.pick(&[V3, V5]);
            let expiry_s = random.pick(&[0, 600, 3600, 7200]);
            let keep_alive_s = random.pick(&[0, 600, 3600]);
            let mut agent = Agent::new(format!("c{number}"), version, expiry_s, keep_alive_s);
            agent.window = NonZeroU16::new(random.pick(&[0, 1, 3]));
            agents.push(agent);
        }
        let begun = world.now.instant;
        let mut simulation = Self {
            world,
            random,
            model: Model::new(CLIENTS),
            agents,
            links: BTreeMap::new(),
            last_link: 0,
            events: BTreeMap::new(),
            last_event: 0,
            writing: None,
            lives: 0,
            calm: true,
            last_number: 0,
            seed,
            journal: VecDeque::new(),
            begun,
        };
        simulation.connect(OBSERVER, false, false);
        simulation.run_for(10_000);
        simulation.subscribe(OBSERVER, "w/#", 1);
        simulation.run_for(10_000);
        simulation
    }

    fn note(&mut self, line: impl FnOnce() -> String) {
        const LINES: usize = 1000;
        if self.journal.len() == LINES {
            self.journal.pop_front();
        }
        let at = self.world.now.instant - self.begun;
        self.journal
            .push_back(format!("{:>12.3} {}", at.as_secs_f64(), line()));
    }

    fn schedule(&mut self, after_ms: u64, event: Event) {
        self.last_event += 1;
        let at = self.world.now.instant + Duration::from_millis(after_ms);
        self.events.insert((at, self.last_event), event);
    }

    /// Time passes: bytes move, timers fire, the disk writes.
    fn run_for(&mut self, ms: u64) {
        let end = self.world.now.instant + Duration::from_millis(ms);
        loop {
            let event = self.events.keys().next().copied();
            let event = event.filter(|(at, _)| *at <= end);
            let timer = self.world.core.deadline().filter(|at| *at <= end);
            match (event, timer) {
                (None, None) => break,
                (Some(key), timer) if timer.is_none_or(|at| key.0 <= at) => {
                    let event = self.events.remove(&key).expect("it is the first");
                    self.world.set_clock(key.0);
                    self.happens(event);
                }
                (_, Some(at)) => {
                    self.world.set_clock(at);
                    self.world.core.tick(self.world.now);
                }
                (Some(_), None) => {}
            }
            self.pump();
        }
        self.world.set_clock(end);
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Up(id) => self.goes_up(id),
            Event::Down(id) => self.goes_down(id),
            Event::Noticed(id) => {
                if let Some(end) = self.links.get(&id).and_then(|link| link.end) {
                    self.world.core.closed(self.world.now, end.key);
                }
            }
            Event::Missed(id) => {
                let Some(link) = self.links.get(&id) else {
                    return;
                };
                let client = link.client;
                if self.agents[client].link == Some(id) {
                    self.agents[client].offline();
                    self.model.leaves(client, self.world.now.wall, false);
                    if self.calm {
                        self.connect(client, false, false);
                    }
                }
            }
            Event::Ping(id) => {
                let client = match self.links.get(&id) {
                    Some(link) if !link.cut => link.client,
                    _ => return,
                };
                if self.agents[client].link == Some(id) {
                    self.say(client, &Packet::PingReq);
                    let every = u64::from(self.agents[client].keep_alive_s) * 800;
                    self.schedule(every, Event::Ping(id));
                }
            }
            Event::Silent(id) => {
                let link = self.links.get(&id);
                let lives = link.is_some_and(|link| link.end.is_some());
                assert!(!lives, "link {id} is silent and lives");
            }
            Event::Persisted(life) if life == self.lives => {
                if let Some(batch) = self.writing.take() {
                    self.world.disk.apply(&batch.ops);
                    self.world.core.persisted(self.world.now, batch.up_to);
                    if self.world.core.store_backlog() == 0 {
                        self.model.synced();
                    }
                }
            }
            Event::Persisted(_) => {}
        }
    }

    /// Takes away what the broker has done.
    fn pump(&mut self) {
        loop {
            self.world.turn();
            let closed = std::mem::take(&mut self.world.closed);
            let mut wrote = Vec::new();
            for key in &closed {
                wrote.extend(self.take_written(*key));
                self.closes(*key);
            }
            let keys: Vec<_> = self.world.inbox.keys().copied().collect();
            for key in keys {
                wrote.extend(self.take_written(key));
            }
            // A connection that read nothing before something was sent reads on now.
            let mut reads = false;
            for id in wrote {
                let Some(link) = self.links.get_mut(&id) else {
                    continue;
                };
                if let Some(end) = link.end.filter(|_| !link.arrived.is_empty()) {
                    self.world
                        .core
                        .received(self.world.now, end.key, &mut link.arrived);
                    reads = true;
                }
            }
            if !reads {
                break;
            }
        }
        if self.writing.is_none()
            && let Some(batch) = self.world.core.take_batch()
        {
            self.writing = Some(batch);
            let slow = !self.calm && self.random.once_in(50);
            let takes = if slow { 5000 } else { 30 };
            let takes = 1 + self.random.below(takes);
            self.schedule(takes, Event::Persisted(self.lives));
        }
    }

    fn link_of(&self, key: Key<Connection>) -> Option<u64> {
        let of = |link: &Link| link.end.is_some_and(|end| end.key == key);
        let found = self.links.iter().find(|(_, link)| of(link));
        found.map(|(id, _)| *id)
    }

    /// Looks at what the broker has written to a connection, and sends it on its way.
    fn take_written(&mut self, key: Key<Connection>) -> Option<u64> {
        let bytes = self.world.inbox.remove(&key)?;
        let id = self.link_of(key)?;
        let link = self.links.get_mut(&id)?;
        link.monitored.extend_from_slice(&bytes);
        let packets = Link::packets(link.version, &mut link.monitored);
        if !link.cut {
            link.down.extend_from_slice(&bytes);
        }
        for packet in packets {
            self.writes(id, &packet);
        }
        self.moves_down(id);
        Some(id)
    }

    fn moves_down(&mut self, id: u64) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        if !link.down_moves && !link.down.is_empty() {
            link.down_moves = true;
            let ms = self.random.below(200);
            self.schedule(ms, Event::Down(id));
        }
    }

    fn moves_up(&mut self, id: u64) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        if !link.up_moves && !link.up.is_empty() {
            link.up_moves = true;
            let ms = self.random.below(200);
            self.schedule(ms, Event::Up(id));
        }
    }

    fn goes_up(&mut self, id: u64) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        link.up_moves = false;
        let length = self.random.part(link.up.len());
        let bytes = link.up.split_to(length);
        if let Some(end) = link.end {
            link.arrived.extend_from_slice(&bytes);
            self.world
                .core
                .received(self.world.now, end.key, &mut link.arrived);
        }
        self.moves_up(id);
    }

    fn goes_down(&mut self, id: u64) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        link.down_moves = false;
        let length = self.random.part(link.down.len());
        let bytes = link.down.split_to(length);
        link.heard.extend_from_slice(&bytes);
        let packets = Link::packets(link.version, &mut link.heard);
        let client = link.client;
        for packet in packets {
            if self.agents[client].link == Some(id) {
                self.hears(client, packet);
            }
        }
        self.moves_down(id);
    }
}

/// Plays one seed for at least so many hours of the invented clock; deliveries.
fn play(seed: u64, hours: u64) -> u64 {
    let mut simulation = Simulation::new(seed);
    let until = simulation.begun + Duration::from_secs(hours * 3600);
    while simulation.world.now.instant < until {
        simulation.storm();
        simulation.settle();
    }
    simulation.model.deliveries
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test is told on the command line what to play"
)]
fn setting(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().expect("a number"))
}

/// `PALISADE_SIMULATION_SEED` plays one seed, `PALISADE_SIMULATION_SEEDS` more of them.
#[test]
fn a_fleet_for_thousands_of_hours() {
    const HOURS: u64 = 100;
    if let Some(seed) = setting("PALISADE_SIMULATION_SEED") {
        play(seed, HOURS);
        return;
    }
    let seeds = setting("PALISADE_SIMULATION_SEEDS").unwrap_or(20);
    let deliveries: u64 = (0..seeds).map(|seed| play(seed, HOURS)).sum();
    assert!(seeds * 100 < deliveries, "it was busy: {deliveries}");
}
