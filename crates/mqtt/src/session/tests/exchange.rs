//! Both sides together, over a line that is cut at any byte, any number of
//! times: no QoS 1 message is lost, no QoS 2 message comes twice.

use bytes::{BufMut, BytesMut};
use proptest::prelude::*;

use super::*;
use crate::{Limits, Sender, Version, decode_from, encode};

#[derive(Clone, Debug)]
enum Step {
    /// The sender repeats and sends what it has room for.
    Send,
    /// So many bytes reach the receiver.
    ToReceiver(usize),
    /// The receiver's durable consumers answer one message.
    Answer(usize),
    /// So many bytes reach the sender.
    ToSender(usize),
    /// The line breaks; the next has this window.
    Cut(u16),
    /// The receiver loses what it has not stored.
    RestartReceiver(u16),
    /// The sender loses what it has not stored.
    RestartSender(u16),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let window = 1_u16..5;
    let step = prop_oneof![
        4 => Just(Step::Send),
        6 => (1_usize..40).prop_map(Step::ToReceiver),
        6 => (0_usize..8).prop_map(Step::Answer),
        6 => (1_usize..12).prop_map(Step::ToSender),
        1 => window.clone().prop_map(Step::Cut),
        1 => window.clone().prop_map(Step::RestartReceiver),
        1 => window.prop_map(Step::RestartSender),
    ];
    proptest::collection::vec(step, 0..150)
}

/// A message is its number and its QoS.
type Message = (u32, QoS);

struct Line {
    version: Version,
    window: u16,
    /// Not yet sent, in order.
    queue: Vec<Message>,
    outbound: Outbound<Message>,
    inbound: Inbound,
    to_receiver: BytesMut,
    at_receiver: BytesMut,
    to_sender: BytesMut,
    at_sender: BytesMut,
    /// At the receiver, with its durable consumers.
    pending: Vec<(Ticket, u32)>,
    /// Taken by the durable consumers.
    delivered: Vec<u32>,
    /// Numbers in the order in which they were first to be routed.
    routed: Vec<u32>,
}

impl Line {
    fn new(version: Version, messages: &[QoS]) -> Self {
        Self {
            version,
            window: 3,
            queue: (0..).zip(messages.iter().copied()).collect(),
            outbound: near_the_last_id(3),
            inbound: Inbound::new(id(3), 0),
            to_receiver: BytesMut::new(),
            at_receiver: BytesMut::new(),
            to_sender: BytesMut::new(),
            at_sender: BytesMut::new(),
            pending: Vec::new(),
            delivered: Vec::new(),
            routed: Vec::new(),
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Send => self.send(),
            Step::ToReceiver(bytes) => {
                let bytes = bytes.min(self.to_receiver.len());
                self.at_receiver.put(self.to_receiver.split_to(bytes));
                self.receive();
            }
            Step::Answer(which) => {
                if !self.pending.is_empty() {
                    let (ticket, number) = self.pending.remove(which % self.pending.len());
                    self.delivered.push(number);
                    self.inbound
                        .answer(ticket, ReasonCode::Success, AckProperties::default());
                }
                while let Some(packet) = self.inbound.next_ack() {
                    encode(&packet, self.version, &mut self.to_sender).unwrap();
                }
            }
            Step::ToSender(bytes) => {
                let bytes = bytes.min(self.to_sender.len());
                self.at_sender.put(self.to_sender.split_to(bytes));
                self.hear();
            }
            Step::Cut(window) => {
                self.cut(window);
                self.inbound.reconnect(id(window), 0);
                self.outbound.reconnect(id(window));
            }
            Step::RestartReceiver(window) => {
                self.cut(window);
                let stored = std::mem::replace(&mut self.inbound, Inbound::new(id(1), 0));
                self.inbound = Inbound::from_parts(stored.into_parts(), id(window), 0);
                self.outbound.reconnect(id(window));
                self.pending.clear();
            }
            Step::RestartSender(window) => {
                self.cut(window);
                let stored = std::mem::replace(&mut self.outbound, Outbound::new(id(1)));
                self.outbound = Outbound::from_parts(stored.into_parts(), id(window));
                self.inbound.reconnect(id(window), 0);
            }
        }
    }

    fn cut(&mut self, window: u16) {
        self.window = window;
        self.to_receiver.clear();
        self.at_receiver.clear();
        self.to_sender.clear();
        self.at_sender.clear();
    }

    fn send(&mut self) {
        let mut packets = Vec::new();
        while let Some(resend) = self.outbound.next_resend() {
            packets.push(match resend {
                Resend::Publish {
                    packet_id,
                    qos,
                    message,
                } => {
                    assert_eq!(qos, message.1);
                    as_packet(*message, packet_id, true)
                }
                Resend::PubRel(ack) => Packet::PubRel(ack),
            });
        }
        while self.outbound.has_room() && !self.queue.is_empty() {
            let message = self.queue.remove(0);
            let packet_id = match message.1 {
                QoS::ExactlyOnce => self.outbound.send_exactly_once(message),
                _ => self.outbound.send_at_least_once(message),
            };
            packets.push(as_packet(message, packet_id.unwrap(), false));
        }
        for packet in packets {
            encode(&packet, self.version, &mut self.to_receiver).unwrap();
        }
    }

    fn receive(&mut self) {
        let limits = Limits::STANDARD;
        while let Some(packet) = decode_from(&mut self.at_receiver, self.version, &limits).unwrap()
        {
            let answer = match packet {
                Packet::Publish(mut publish) => {
                    let number = u32::from_be_bytes(publish.payload[..].try_into().unwrap());
                    match self.inbound.publish(&mut publish).unwrap() {
                        Received::New(ticket) => {
                            self.pending.push((ticket.unwrap(), number));
                            if !self.routed.contains(&number) {
                                self.routed.push(number);
                            }
                            continue;
                        }
                        Received::Pending => continue,
                        Received::Repeat(ack) => Packet::PubRec(ack),
                    }
                }
                Packet::PubRel(ack) => {
                    Packet::PubComp(self.inbound.release(ack.packet_id).unwrap())
                }
                other => panic!("{other:?}"),
            };
            encode(&answer, self.version, &mut self.to_sender).unwrap();
        }
    }

    fn hear(&mut self) {
        let limits = Limits {
            sender: Sender::Server,
            ..Limits::STANDARD
        };
        while let Some(packet) = decode_from(&mut self.at_sender, self.version, &limits).unwrap() {
            match packet {
                Packet::PubAck(ack) => {
                    let message = self.outbound.puback(ack.packet_id).unwrap();
                    // Acknowledged once, and only once it is delivered.
                    assert!(self.delivered.contains(&message.unwrap().0));
                }
                Packet::PubRec(ack) => {
                    let answer = self.outbound.pubrec(ack.packet_id, ack.reason).unwrap();
                    if let Some(ack) = answer.pubrel {
                        encode(&Packet::PubRel(ack), self.version, &mut self.to_receiver).unwrap();
                    }
                }
                Packet::PubComp(ack) => drop(self.outbound.pubcomp(ack.packet_id).unwrap()),
                other => panic!("{other:?}"),
            }
        }
    }

    /// Lets an undisturbed line come to rest.
    fn finish(&mut self) {
        for _ in 0..1000 {
            if self.queue.is_empty() && self.outbound.is_empty() && self.pending.is_empty() {
                return;
            }
            self.step(Step::Send);
            self.step(Step::ToReceiver(usize::MAX));
            self.step(Step::Answer(0));
            self.step(Step::ToSender(usize::MAX));
        }
        panic!("{:?} stay open", self.outbound);
    }
}

fn as_packet((number, qos): Message, packet_id: NonZeroU16, dup: bool) -> Packet {
    let payload = Bytes::copy_from_slice(&number.to_be_bytes());
    Packet::Publish(Publish {
        dup,
        payload,
        ..publish(qos, Some(packet_id.get()))
    })
}

proptest! {
    // tests aws-iot [MQ-22], [MQ-36]; tests mqtt5 [MQTT-4.3.2-1], [MQTT-4.3.3-1], [MQTT-4.4.0-1]
    #[test]
    fn a_line_cut_anywhere_loses_nothing(
        steps in steps(),
        twice in proptest::collection::vec(any::<bool>(), 1..12),
        version in prop_oneof![Just(Version::V311), Just(Version::V5)],
    ) {
        let qos = |twice| if twice { QoS::ExactlyOnce } else { QoS::AtLeastOnce };
        let messages: Vec<_> = twice.into_iter().map(qos).collect();
        let mut line = Line::new(version, &messages);
        for step in steps {
            line.step(step);
        }
        line.finish();
        for (number, qos) in (0..).zip(messages) {
            let times = line.delivered.iter().filter(|delivered| **delivered == number).count();
            match qos {
                QoS::ExactlyOnce => prop_assert_eq!(times, 1, "message {}", number),
                _ => prop_assert!(times >= 1, "message {}", number),
            }
        }
        prop_assert!(line.routed.is_sorted(), "{:?}", line.routed);
        prop_assert_eq!(line.inbound.exchanges(), 0);
    }
}
