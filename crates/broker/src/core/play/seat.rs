//! The model of one connection: what a client may be sent, and what it owes for it.

use std::collections::BTreeMap;
use std::num::{NonZeroU16, NonZeroU32};

use bytes::BytesMut;
use mqtt::packet::{Ack, Connect, ConnectProperties, Publish};
use mqtt::{Packet, QoS, Sender, TopicName, Version};

use crate::core::arena::Key;
use crate::core::connection::Connection;

/// A client, and what the model knows of its connection.
pub(super) struct Seat {
    pub(super) key: Key<Connection>,
    pub(super) version: Version,
    /// What it said in CONNECT of what it takes.
    window: usize,
    packet_bytes_max: usize,
    aliases_max: u16,
    /// Sent to it and not looked at.
    pub(super) inbox: BytesMut,
    /// CONNACK has come.
    welcomed: bool,
    /// DISCONNECT, or a CONNACK that refuses, has come.
    ended: bool,
    /// Topics by alias.
    aliases: BTreeMap<NonZeroU16, TopicName>,
    /// Packet ids of PUBLISH sent on this connection and not acknowledged for good.
    in_flight: BTreeMap<NonZeroU16, QoS>,
    /// What an honest client would answer.
    pub(super) owed: Vec<Packet>,
}

impl Seat {
    /// The client that says this in CONNECT.
    pub(super) fn new(key: Key<Connection>, connect: &Connect) -> Self {
        // In 3.1.1 nobody can ask for these.
        let none = ConnectProperties::default();
        let asked = match connect.version {
            Version::V5 => &connect.properties,
            Version::V311 => &none,
        };
        let window = asked.receive_maximum.map_or(u16::MAX, NonZeroU16::get);
        let packet_bytes_max = asked.packet_bytes_max.map_or(u32::MAX, NonZeroU32::get);
        Self {
            key,
            version: connect.version,
            window: usize::from(window),
            packet_bytes_max: usize::try_from(packet_bytes_max).unwrap_or(usize::MAX),
            aliases_max: asked.topic_alias_maximum.unwrap_or(0),
            inbox: BytesMut::new(),
            welcomed: false,
            ended: false,
            aliases: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            owed: Vec::new(),
        }
    }

    /// Looks at every whole packet in the inbox.
    pub(super) fn look(&mut self) {
        let limits = mqtt::Limits {
            sender: Sender::Server,
            packet_bytes_max: usize::MAX,
            ..mqtt::Limits::STANDARD
        };
        loop {
            let before = self.inbox.len();
            let packet = mqtt::decode_from(&mut self.inbox, self.version, &limits);
            let Some(packet) = packet.expect("a packet that a client accepts") else {
                return;
            };
            let len = before - self.inbox.len();
            let bounded = !matches!(packet, Packet::ConnAck(_));
            assert!(!bounded || len <= self.packet_bytes_max, "{packet:?}");
            self.packet(packet);
        }
    }

    fn packet(&mut self, packet: Packet) {
        assert!(!self.ended, "{packet:?} comes after the end");
        match packet {
            Packet::ConnAck(connack) => {
                assert!(!self.welcomed, "a second CONNACK");
                self.welcomed = true;
                self.ended = connack.reason.is_error();
            }
            other => {
                assert!(self.welcomed, "{other:?} comes before CONNACK");
                self.served(other);
            }
        }
    }

    fn served(&mut self, packet: Packet) {
        match packet {
            Packet::Publish(publish) => self.message(&publish),
            Packet::PubRel(ack) => self.owed.push(Packet::PubComp(Ack::success(ack.packet_id))),
            Packet::PubRec(ack) if !ack.reason.is_error() => {
                self.owed.push(Packet::PubRel(Ack::success(ack.packet_id)));
            }
            Packet::Disconnect(_) => self.ended = true,
            _ => {}
        }
    }

    fn message(&mut self, publish: &Publish) {
        let alias = publish.properties.topic_alias;
        assert!(alias.is_none_or(|alias| alias.get() <= self.aliases_max));
        let topic = publish.topic.clone();
        let topic = topic.or_else(|| self.aliases.get(&alias?).cloned());
        let topic = topic.expect("a topic, or an alias that stands for one");
        assert_ne!(topic.as_str(), "secret", "what may not be received");
        if let Some(alias) = alias {
            self.aliases.insert(alias, topic);
        }
        let Some(packet_id) = publish.packet_id else {
            return;
        };
        let known = self.in_flight.insert(packet_id, publish.qos);
        assert!(known.is_none(), "packet id {packet_id} is in flight");
        assert!(self.in_flight.len() <= self.window, "over the window");
        let ack = Ack::success(packet_id);
        self.owed.push(match publish.qos {
            QoS::ExactlyOnce => Packet::PubRec(ack),
            _ => Packet::PubAck(ack),
        });
    }

    /// Notes what the client gives free with these bytes.
    pub(super) fn sends(&mut self, bytes: &[u8]) {
        let mut buffer = BytesMut::from(bytes);
        let limits = mqtt::Limits::STANDARD;
        while let Ok(Some(packet)) = mqtt::decode_from(&mut buffer, self.version, &limits) {
            self.acknowledges(&packet);
        }
    }

    fn acknowledges(&mut self, packet: &Packet) {
        let (packet_id, qos) = match packet {
            Packet::PubAck(ack) => (ack.packet_id, QoS::AtLeastOnce),
            Packet::PubComp(ack) => (ack.packet_id, QoS::ExactlyOnce),
            Packet::PubRec(ack) if ack.reason.is_error() => (ack.packet_id, QoS::ExactlyOnce),
            _ => return,
        };
        if self.in_flight.get(&packet_id) == Some(&qos) {
            self.in_flight.remove(&packet_id);
        }
    }
}
