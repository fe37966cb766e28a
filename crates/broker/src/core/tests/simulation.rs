//! Seeded play: clients come, go, publish, acknowledge or not, the broker crashes, and what was
//! acknowledged is kept.
//!
//! One reader with a stored session subscribes once. Every message that a publisher saw
//! acknowledged must reach it at least once at QoS 1, exactly once at QoS 2, and in the order of
//! its publisher the first time. The disk is slow: it takes ops when the play says so.

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
        4 => Just(Event::Sync),
        1 => Just(Event::Crash),
        1 => Just(Event::Wait),
    ]
}

struct Play {
    world: World,
    device: Device,
    publisher: Client,
    reader: Option<Client>,
    next: u16,
    /// Sent by the publisher, by packet id: payload and QoS. Not acknowledged yet.
    unconfirmed: BTreeMap<u16, (String, u8)>,
    confirmed: Vec<(String, u8)>,
    /// What the reader has taken, in order; a QoS 2 message counts when its id is new.
    taken: Vec<String>,
    /// QoS 2 packet ids the reader has and has not seen released.
    open: BTreeSet<u16>,
    /// What the reader has to answer.
    owed: Vec<Packet>,
    window: u16,
}

impl Play {
    fn new(window: u16) -> Self {
        let mut world = World::standard();
        let device = Device::new("reader");
        let publisher = world.join(&Device::new("publisher"), clean(V5, "publisher"));
        let mut play = Self {
            world,
            device,
            publisher,
            reader: None,
            next: 0,
            unconfirmed: BTreeMap::new(),
            confirmed: Vec::new(),
            taken: Vec::new(),
            open: BTreeSet::new(),
            owed: Vec::new(),
            window,
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
        let reader = self.world.connect(&self.device, connect);
        self.owed.clear();
        self.reader = Some(reader);
        self.hear();
    }

    fn play(&mut self, event: Event) {
        match event {
            Event::Publish(qos) => {
                self.next += 1;
                let payload = self.next.to_string();
                let message = publish("t", &payload, qos, self.next);
                self.unconfirmed.insert(self.next, (payload, qos));
                self.world.send(self.publisher, &Packet::Publish(message));
            }
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
            Event::Sync => self.world.sync(),
            Event::Crash => {
                // What had left for the clients is on its way; the rest is gone.
                self.hear();
                self.reader = None;
                self.unconfirmed.clear();
                self.world.crash();
                self.publisher = self
                    .world
                    .connect(&Device::new("publisher"), clean(V5, "publisher"));
            }
            Event::Wait => self.world.advance(1000),
        }
        self.hear();
    }

    fn hear(&mut self) {
        for packet in self.world.sent(self.publisher) {
            match packet {
                Packet::PubAck(ack) => {
                    let message = self.unconfirmed.remove(&ack.packet_id.get());
                    self.confirmed.push(message.expect("one that was sent"));
                }
                Packet::PubRec(ack) => {
                    let message = self.unconfirmed.remove(&ack.packet_id.get());
                    self.confirmed.push(message.expect("one that was sent"));
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

    fn hear_from(&mut self, reader: Client) {
        for packet in self.world.sent(reader) {
            match packet {
                Packet::Publish(message) => {
                    let payload = String::from_utf8_lossy(&message.payload).into_owned();
                    let packet_id = message.packet_id.expect("QoS 1 or 2");
                    if message.qos == QoS::AtLeastOnce {
                        self.taken.push(payload);
                        self.owed.push(Packet::PubAck(Ack::success(packet_id)));
                    } else {
                        if self.open.insert(packet_id.get()) {
                            self.taken.push(payload);
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
            if self.world.core.waiting_bytes() == 0 && self.owed.is_empty() {
                break;
            }
        }
        self.world.sync();
        for (payload, qos) in &self.confirmed {
            let times = self.taken.iter().filter(|taken| *taken == payload).count();
            assert!(times > 0, "message {payload} was acknowledged and is lost");
            assert!(
                *qos == 1 || times == 1,
                "message {payload} came {times} times"
            );
        }
        let mut first: Vec<u16> = Vec::new();
        for payload in &self.taken {
            let number = payload.parse().expect("a number");
            if !first.contains(&number) {
                first.push(number);
            }
        }
        assert!(first.is_sorted(), "out of order: {first:?}");
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
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn what_was_acknowledged_arrives(
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
