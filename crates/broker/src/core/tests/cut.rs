//! A connection cut after any byte, either way, and resumed.
//!
//! One client, whose session is kept, publishes to itself at QoS 1 and 2 and keeps to the standard.
//! The network carries so many bytes up and so many down, and breaks; perhaps the broker dies with
//! it. The client comes back, repeats what it must, and goes on. Then every message has arrived,
//! those of QoS 2 once, in the order they were published, and nothing is owed to anybody.

use std::collections::{BTreeSet, VecDeque};

use proptest::prelude::*;

use super::*;

/// The messages: QoS by their number from 1.
const MESSAGES: [u8; 6] = [1, 2, 2, 1, 2, 1];
/// More bytes than the conversation has.
const UNCUT: usize = 10_000;

/// A publish of the client whose exchange is not over.
#[derive(Clone, Copy, Debug)]
struct Flight {
    number: u16,
    qos: u8,
    /// QoS 2: PUBREC has come.
    recorded: bool,
}

/// A client that does what the standard asks of it.
#[derive(Debug)]
struct Honest {
    version: Version,
    /// The next message to publish.
    next: u16,
    /// By packet id, which is the message's number.
    flights: VecDeque<Flight>,
    /// What it was sent, as far as the bytes have come.
    received: BytesMut,
    /// QoS 2 packet ids that it has taken and not seen released.
    open: BTreeSet<u16>,
    taken: Vec<u16>,
}

impl Honest {
    fn packet(flight: Flight, dup: bool) -> Packet {
        if flight.recorded {
            return Packet::PubRel(Ack::success(id(flight.number)));
        }
        let number = flight.number.to_string();
        let mut message = publish("t", &number, flight.qos, flight.number);
        message.dup = dup;
        Packet::Publish(message)
    }

    /// What it sends first on a connection: repeats, in order.
    fn repeats(&self) -> Vec<Packet> {
        let flights = self.flights.iter();
        flights.map(|flight| Self::packet(*flight, true)).collect()
    }

    /// Its next message, if there is one left.
    fn publish_next(&mut self) -> Option<Packet> {
        let qos = *MESSAGES.get(usize::from(self.next) - 1)?;
        let flight = Flight {
            number: self.next,
            qos,
            recorded: false,
        };
        self.next += 1;
        self.flights.push_back(flight);
        Some(Self::packet(flight, false))
    }

    /// Reads what has come, and says what it answers.
    fn answers(&mut self) -> Vec<Packet> {
        let limits = mqtt::Limits {
            sender: Sender::Server,
            ..mqtt::Limits::STANDARD
        };
        let mut answers = Vec::new();
        while let Some(packet) =
            mqtt::decode_from(&mut self.received, self.version, &limits).expect("a valid packet")
        {
            answers.extend(self.answer(packet));
        }
        answers
    }

    fn answer(&mut self, packet: Packet) -> Option<Packet> {
        match packet {
            Packet::Publish(message) => {
                let number = String::from_utf8_lossy(&message.payload).parse();
                let number: u16 = number.expect("a number");
                let packet_id = message.packet_id.expect("QoS 1 or 2");
                if message.qos == QoS::AtLeastOnce {
                    self.taken.push(number);
                    return Some(Packet::PubAck(Ack::success(packet_id)));
                }
                if self.open.insert(packet_id.get()) {
                    self.taken.push(number);
                }
                Some(Packet::PubRec(Ack::success(packet_id)))
            }
            Packet::PubAck(ack) | Packet::PubComp(ack) => {
                self.flights
                    .retain(|flight| flight.number != ack.packet_id.get());
                None
            }
            Packet::PubRec(ack) => {
                let mut flights = self.flights.iter_mut();
                let flight = flights.find(|flight| flight.number == ack.packet_id.get());
                flight.expect("one in flight").recorded = true;
                Some(Packet::PubRel(ack))
            }
            Packet::PubRel(ack) => {
                self.open.remove(&ack.packet_id.get());
                Some(Packet::PubComp(Ack::success(ack.packet_id)))
            }
            _ => None,
        }
    }
}

/// A connection that carries so many more bytes.
struct Link {
    client: Client,
    up: usize,
    down: usize,
    /// Sent by the client, and not yet by the network.
    queued: BytesMut,
}

struct Play {
    world: World,
    device: Device,
    honest: Honest,
}

impl Play {
    fn new(version: Version) -> Self {
        let mut world = World::standard();
        let device = Device::new("device");
        let client = world.join(&device, persistent(version, "device"));
        world.send(client, &subscribe("t", 2));
        world.lose(client);
        let honest = Honest {
            version,
            next: 1,
            flights: VecDeque::new(),
            received: BytesMut::new(),
            open: BTreeSet::new(),
            taken: Vec::new(),
        };
        Self {
            world,
            device,
            honest,
        }
    }

    fn connect(&mut self, up: usize, down: usize) -> Link {
        let version = self.honest.version;
        let client = self
            .world
            .connect(&self.device, persistent(version, "device"));
        self.honest.received.clear();
        let mut link = Link {
            client,
            up,
            down,
            queued: BytesMut::new(),
        };
        let repeats = self.honest.repeats();
        self.send(&mut link, &repeats);
        link
    }

    fn send(&self, link: &mut Link, packets: &[Packet]) {
        for packet in packets {
            mqtt::encode(packet, self.honest.version, &mut link.queued).expect("a valid packet");
        }
    }

    /// Lets the network carry what it carries, until it is cut or nothing moves.
    fn carry(&mut self, link: &mut Link) {
        loop {
            let up = link.queued.len().min(link.up);
            let bytes = link.queued.split_to(up);
            link.up -= up;
            self.world.send_bytes(link.client, &bytes);
            self.world.sync();
            let mut sent = self.world.bytes(link.client);
            let down = sent.len().min(link.down);
            link.down -= down;
            self.honest.received.extend_from_slice(&sent.split_to(down));
            let mut answers = self.honest.answers();
            answers.extend(self.honest.publish_next());
            let before = link.queued.len();
            self.send(link, &answers);
            if up == 0 && down == 0 && before == link.queued.len() {
                return;
            }
        }
    }

    /// One connection that is cut, and one that is not.
    fn run(mut self, up: usize, down: usize, crash: bool) {
        let mut link = self.connect(up, down);
        self.carry(&mut link);
        if crash {
            self.world.crash();
        } else {
            self.world.lose(link.client);
        }
        let mut link = self.connect(UNCUT, UNCUT);
        self.carry(&mut link);
        let cut = format!("cut after {up} bytes up and {down} down, crash {crash}");
        assert!(self.honest.flights.is_empty(), "{cut}: {:?}", self.honest);
        let mut first: Vec<u16> = Vec::new();
        for number in &self.honest.taken {
            if !first.contains(number) {
                first.push(*number);
            }
        }
        assert_eq!(first, [1, 2, 3, 4, 5, 6], "{cut}");
        for (number, qos) in (1..).zip(MESSAGES) {
            let taken = self.honest.taken.iter();
            let times = taken.filter(|taken| **taken == number).count();
            assert!(qos == 1 || times == 1, "{cut}: {number} came {times} times");
        }
        assert!(self.honest.open.is_empty(), "{cut}");
        assert_eq!(self.world.core.waiting_bytes(), 0, "{cut}");
        assert!(self.world.disk.entries.is_empty(), "{cut}");
        self.world.disk.check();
    }
}

/// What an uncut connection carries, each way.
fn whole(version: Version) -> (usize, usize) {
    let mut play = Play::new(version);
    let mut link = play.connect(UNCUT, UNCUT);
    play.carry(&mut link);
    assert_eq!(play.honest.taken.len(), MESSAGES.len());
    (UNCUT - link.up, UNCUT - link.down)
}

// tests mqtt5 [MQTT-4.4.0-1], [MQTT-4.3.3-10], [MQTT-4.3.3-6], [MQTT-4.6.0-1]
// tests mqtt311 [MQTT-4.4.0-1], [MQTT-4.3.3-1], [MQTT-4.3.3-2], [MQTT-4.6.0-1]
#[test]
fn cut_after_every_byte_of_either_side() {
    for version in [V3, V5] {
        let (up, down) = whole(version);
        assert!(up > 50 && down > 50);
        for crash in [false, true] {
            for cut in 0..=up {
                Play::new(version).run(cut, UNCUT, crash);
            }
            for cut in 0..=down {
                Play::new(version).run(UNCUT, cut, crash);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(256)
    })]
    #[test]
    fn cut_after_any_bytes_of_both(
        up in 0_usize..140,
        down in 0_usize..140,
        (v5, crash) in any::<(bool, bool)>(),
    ) {
        Play::new(if v5 { V5 } else { V3 }).run(up, down, crash);
    }
}
