//! Seeded play: clients come, go, publish, acknowledge or not, the broker crashes, and what was
//! acknowledged is kept.
//!
//! A publisher and a reader, both with stored sessions, keep to the standard: they repeat what
//! was not acknowledged, and use packet ids again as soon as they may. Every message must reach
//! the reader, at QoS 2 once, and for the first time in the order it was published. The disk is
//! slow: it takes ops when the play says so, and a crash loses what it has not.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// The publisher sends its next message, at this QoS.
    Publish(u8),
    /// The reader acknowledges everything it has not.
    Acknowledge,
    /// The reader's network breaks.
    Lose,
    /// The reader connects.
    Come,
    /// The publisher's network breaks, and it is back at once.
    Reconnect,
    /// The disk catches up.
    Sync,
    /// The broker dies and starts again.
    Crash,
    /// Time passes, less than a session lasts.
    Wait,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (1_u8..=2).prop_map(Event::Publish),
        4 => Just(Event::Acknowledge),
        2 => Just(Event::Lose),
        3 => Just(Event::Come),
        1 => Just(Event::Reconnect),
        4 => Just(Event::Sync),
        1 => Just(Event::Crash),
        1 => Just(Event::Wait),
    ]
}

/// A message the publisher has not done with.
#[derive(Clone, Copy, Debug)]
struct Flight {
    number: u16,
    qos: u8,
    packet_id: u16,
    /// QoS 2: PUBREC has come, only the release is left.
    recorded: bool,
}

/// Messages the publisher has in flight at most.
const FLIGHTS_MAX: usize = 4;

struct Play {
    world: World,
    publisher: Client,
    reader: Option<Client>,
    window: u16,
    /// In the order they were published.
    flights: Vec<Flight>,
    /// Every message: its QoS, by number from 1.
    published: Vec<u8>,
    /// What the reader has taken, in order; a QoS 2 message counts when its id is new.
    taken: Vec<u16>,
    /// QoS 2 packet ids the reader has and has not seen released.
    open: BTreeSet<u16>,
    /// What the reader has to answer.
    owed: Vec<Packet>,
}

impl Play {
    fn new(window: u16) -> Self {
        let mut world = World::standard();
        let publisher = world.connect(&Device::new("publisher"), persistent(V5, "publisher"));
        let mut play = Self {
            world,
            publisher,
            reader: None,
            window,
            flights: Vec::new(),
            published: Vec::new(),
            taken: Vec::new(),
            open: BTreeSet::new(),
            owed: Vec::new(),
        };
        play.come();
        let reader = play.reader.expect("it has come");
        play.world.send(reader, &subscribe("t", 2));
        play.world.prompt_disk = false;
        play.hear();
        play
    }

    fn come(&mut self) {
        if self.reader.is_some() {
            return;
        }
        let mut connect = persistent(V5, "reader");
        connect.properties.receive_maximum = NonZeroU16::new(self.window);
        self.owed.clear();
        self.reader = Some(self.world.connect(&Device::new("reader"), connect));
        self.hear();
    }

    fn play(&mut self, event: Event) {
        match event {
            Event::Publish(qos) => self.publish(qos),
            Event::Acknowledge => {
                if let Some(reader) = self.reader {
                    for packet in std::mem::take(&mut self.owed) {
                        self.world.send(reader, &packet);
                    }
                }
            }
            Event::Lose => {
                if let Some(reader) = self.reader.take() {
                    self.hear_from(reader);
                    self.world.lose(reader);
                }
            }
            Event::Come => self.come(),
            Event::Reconnect => {
                self.world.lose(self.publisher);
                self.publisher_returns();
            }
            Event::Sync => self.world.sync(),
            Event::Crash => {
                // What had left for the clients is on its way; the rest is gone.
                self.hear();
                self.reader = None;
                self.world.crash();
                self.publisher_returns();
            }
            Event::Wait => self.world.advance(1000),
        }
        self.hear();
    }

    fn publish(&mut self, qos: u8) {
        if self.flights.len() == FLIGHTS_MAX {
            return;
        }
        self.published.push(qos);
        let free = |id: &u16| self.flights.iter().all(|flight| flight.packet_id != *id);
        let flight = Flight {
            number: u16::try_from(self.published.len()).expect("a short play"),
            qos,
            packet_id: (1..).find(free).expect("few are in flight"),
            recorded: false,
        };
        self.flights.push(flight);
        self.send(flight, false);
    }

    fn send(&mut self, flight: Flight, dup: bool) {
        let packet = if flight.recorded {
            Packet::PubRel(Ack::success(id(flight.packet_id)))
        } else {
            let number = flight.number.to_string();
            let mut message = publish("t", &number, flight.qos, flight.packet_id);
            message.dup = dup;
            Packet::Publish(message)
        };
        self.world.send(self.publisher, &packet);
    }

    fn publisher_returns(&mut self) {
        let publisher = Device::new("publisher");
        self.publisher = self.world.connect(&publisher, persistent(V5, "publisher"));
        let connack = self.world.connack(self.publisher);
        assert!(connack.session_present, "the publisher's session is kept");
        for flight in self.flights.clone() {
            self.send(flight, true);
        }
    }

    fn hear(&mut self) {
        for packet in self.world.sent(self.publisher) {
            match packet {
                Packet::PubAck(ack) => self.done(ack.packet_id.get()),
                Packet::PubComp(ack) => self.done(ack.packet_id.get()),
                Packet::PubRec(ack) => {
                    let packet_id = ack.packet_id.get();
                    let mut flights = self.flights.iter_mut();
                    let flight = flights.find(|flight| flight.packet_id == packet_id);
                    flight.expect("one in flight").recorded = true;
                    self.world
                        .send(self.publisher, &Packet::PubRel(Ack::success(ack.packet_id)));
                }
                _ => {}
            }
        }
        if let Some(reader) = self.reader {
            self.hear_from(reader);
        }
    }

    fn done(&mut self, packet_id: u16) {
        self.flights.retain(|flight| flight.packet_id != packet_id);
    }

    fn hear_from(&mut self, reader: Client) {
        for packet in self.world.sent(reader) {
            match packet {
                Packet::Publish(message) => {
                    let number = String::from_utf8_lossy(&message.payload).parse();
                    let number = number.expect("a number");
                    let packet_id = message.packet_id.expect("QoS 1 or 2");
                    if message.qos == QoS::AtLeastOnce {
                        self.taken.push(number);
                        self.owed.push(Packet::PubAck(Ack::success(packet_id)));
                    } else {
                        if self.open.insert(packet_id.get()) {
                            self.taken.push(number);
                        }
                        self.owed.push(Packet::PubRec(Ack::success(packet_id)));
                    }
                }
                Packet::PubRel(ack) => {
                    self.open.remove(&ack.packet_id.get());
                    self.owed.push(Packet::PubComp(Ack::success(ack.packet_id)));
                }
                _ => {}
            }
        }
        let unacknowledged = self
            .owed
            .iter()
            .filter(|one| !matches!(one, Packet::PubComp(_)));
        assert!(
            unacknowledged.count() <= usize::from(self.window),
            "the window is kept"
        );
    }

    /// Lets everything settle, and looks at what came of it.
    fn end(mut self) {
        self.come();
        for _ in 0..1000 {
            self.play(Event::Sync);
            self.play(Event::Acknowledge);
            let settled = self.world.core.waiting_bytes() == 0 && self.owed.is_empty();
            if settled && self.flights.is_empty() {
                break;
            }
        }
        self.world.sync();
        assert!(
            self.flights.is_empty(),
            "never acknowledged: {:?}",
            self.flights
        );
        let mut first: Vec<u16> = Vec::new();
        for number in &self.taken {
            if !first.contains(number) {
                first.push(*number);
            }
        }
        let all: Vec<u16> = (1..).take(self.published.len()).collect();
        assert_eq!(first, all, "each, in the order of its publisher");
        for (number, qos) in (1..).zip(&self.published) {
            let times = self.taken.iter().filter(|taken| **taken == number).count();
            assert!(
                *qos == 1 || times == 1,
                "message {number} came {times} times"
            );
        }
        assert_eq!(self.world.core.waiting_bytes(), 0);
        assert!(
            self.world.disk.entries.is_empty(),
            "{:?}",
            self.world.disk.entries
        );
        self.world.disk.check();
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(512)
    })]
    #[test]
    fn every_message_arrives_and_at_qos_2_once(
        window in 1_u16..4,
        events in prop::collection::vec(event(), 0..80),
    ) {
        let mut play = Play::new(window);
        for event in events {
            play.play(event);
        }
        play.end();
    }
}
