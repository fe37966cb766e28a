//! The control packets, one model for MQTT 3.1.1 and 5.
//!
//! What only version 5 can say (properties, reason codes) is optional here and
//! dropped, or refused where dropping would lie, when a packet is written in
//! version 3.1.1. Each packet's file holds its type and how it is read and
//! written; the frame around it is `decode`'s and `encode`'s business.
//!
//! Source: mqtt5 and mqtt311, chapters 2 and 3.

mod ack;
mod auth;
mod connack;
mod connect;
mod disconnect;
pub(crate) mod property;
mod publish;
mod reason;
mod suback;
mod subscribe;
mod unsuback;
mod unsubscribe;

use std::fmt;

use bytes::Bytes;

pub use ack::{Ack, AckProperties};
pub use auth::{Auth, AuthProperties};
pub use connack::{ConnAck, ConnAckProperties};
pub use connect::{Connect, ConnectProperties, Will, WillProperties};
pub use disconnect::{Disconnect, DisconnectProperties};
pub use property::{PayloadFormat, SubscriptionIdentifier, UserProperties};
pub(crate) use publish::PublishHead;
pub use publish::{Publish, PublishProperties};
pub use reason::ReasonCode;
pub use suback::SubAck;
pub use subscribe::{RetainHandling, Subscribe, SubscribeProperties, SubscriptionRequest};
pub use unsuback::UnsubAck;
pub use unsubscribe::{Unsubscribe, UnsubscribeProperties};

/// One control packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    /// CONNECT: the first packet a client sends. Boxed, as it is rare and large.
    Connect(Box<Connect>),
    /// CONNACK: the server's answer to CONNECT.
    ConnAck(Box<ConnAck>),
    /// PUBLISH: a message, in either direction.
    Publish(Publish),
    /// PUBACK: a QoS 1 message was taken.
    PubAck(Ack),
    /// PUBREC: a QoS 2 message was received.
    PubRec(Ack),
    /// PUBREL: the sender of a QoS 2 message gives its packet id free.
    PubRel(Ack),
    /// PUBCOMP: the QoS 2 exchange is over.
    PubComp(Ack),
    /// SUBSCRIBE: the filters a client asks for.
    Subscribe(Subscribe),
    /// SUBACK: one answer per filter.
    SubAck(SubAck),
    /// UNSUBSCRIBE: the filters a client gives up.
    Unsubscribe(Unsubscribe),
    /// UNSUBACK: one answer per filter (version 5), or just an answer.
    UnsubAck(UnsubAck),
    /// PINGREQ: a sign of life.
    PingReq,
    /// PINGRESP: its answer.
    PingResp,
    /// DISCONNECT: the last packet.
    Disconnect(Disconnect),
    /// AUTH: a step of enhanced authentication; version 5 only.
    Auth(Auth),
}

impl Packet {
    /// Which of the fifteen it is.
    pub fn packet_type(&self) -> PacketType {
        match self {
            Self::Connect(_) => PacketType::Connect,
            Self::ConnAck(_) => PacketType::ConnAck,
            Self::Publish(_) => PacketType::Publish,
            Self::PubAck(_) => PacketType::PubAck,
            Self::PubRec(_) => PacketType::PubRec,
            Self::PubRel(_) => PacketType::PubRel,
            Self::PubComp(_) => PacketType::PubComp,
            Self::Subscribe(_) => PacketType::Subscribe,
            Self::SubAck(_) => PacketType::SubAck,
            Self::Unsubscribe(_) => PacketType::Unsubscribe,
            Self::UnsubAck(_) => PacketType::UnsubAck,
            Self::PingReq => PacketType::PingReq,
            Self::PingResp => PacketType::PingResp,
            Self::Disconnect(_) => PacketType::Disconnect,
            Self::Auth(_) => PacketType::Auth,
        }
    }
}

/// The control packet types, by their number on the wire.
// spec mqtt5 [2.1.2]: type 0 is forbidden, 15 is AUTH (forbidden in 3.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum PacketType {
    /// CONNECT
    Connect = 1,
    /// CONNACK
    ConnAck = 2,
    /// PUBLISH
    Publish = 3,
    /// PUBACK
    PubAck = 4,
    /// PUBREC
    PubRec = 5,
    /// PUBREL
    PubRel = 6,
    /// PUBCOMP
    PubComp = 7,
    /// SUBSCRIBE
    Subscribe = 8,
    /// SUBACK
    SubAck = 9,
    /// UNSUBSCRIBE
    Unsubscribe = 10,
    /// UNSUBACK
    UnsubAck = 11,
    /// PINGREQ
    PingReq = 12,
    /// PINGRESP
    PingResp = 13,
    /// DISCONNECT
    Disconnect = 14,
    /// AUTH
    Auth = 15,
}

impl PacketType {
    /// The type with this number, 1 to 15.
    pub(crate) fn parse(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Connect,
            2 => Self::ConnAck,
            3 => Self::Publish,
            4 => Self::PubAck,
            5 => Self::PubRec,
            6 => Self::PubRel,
            7 => Self::PubComp,
            8 => Self::Subscribe,
            9 => Self::SubAck,
            10 => Self::Unsubscribe,
            11 => Self::UnsubAck,
            12 => Self::PingReq,
            13 => Self::PingResp,
            14 => Self::Disconnect,
            15 => Self::Auth,
            _ => return None,
        })
    }

    /// The low four bits of the first byte, where the standard fixes them.
    ///
    /// `None` for PUBLISH, whose flags mean something.
    // spec mqtt5 [MQTT-2.1.3-1], [MQTT-3.6.1-1], [MQTT-3.8.1-1], [MQTT-3.10.1-1]
    // spec mqtt311 [MQTT-2.2.2-1]
    pub(crate) fn fixed_flags(self) -> Option<u8> {
        match self {
            Self::Publish => None,
            Self::PubRel | Self::Subscribe | Self::Unsubscribe => Some(0b0010),
            _ => Some(0),
        }
    }

    /// Whether `sender` may send it at all.
    pub(crate) fn sent_by(self, sender: Sender, version: Version) -> bool {
        match self {
            Self::Connect | Self::Subscribe | Self::Unsubscribe | Self::PingReq => {
                sender == Sender::Client
            }
            Self::ConnAck | Self::SubAck | Self::UnsubAck | Self::PingResp => {
                sender == Sender::Server
            }
            Self::Disconnect => sender == Sender::Client || version == Version::V5,
            Self::Publish
            | Self::PubAck
            | Self::PubRec
            | Self::PubRel
            | Self::PubComp
            | Self::Auth => true,
        }
    }
}

/// The protocol version of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// MQTT 3.1.1, protocol level 4.
    V311,
    /// MQTT 5.0, protocol level 5.
    V5,
}

impl Version {
    /// The protocol level that CONNECT carries.
    pub fn level(self) -> u8 {
        match self {
            Self::V311 => 4,
            Self::V5 => 5,
        }
    }
}

/// Which end of the connection a packet comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sender {
    /// The side that sent CONNECT.
    Client,
    /// The side that accepted it.
    Server,
}

/// Quality of service: how hard a message's delivery is tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum QoS {
    /// QoS 0: sent once, never acknowledged.
    #[default]
    AtMostOnce = 0,
    /// QoS 1: repeated until acknowledged.
    AtLeastOnce = 1,
    /// QoS 2: repeated until acknowledged, and never delivered twice.
    ExactlyOnce = 2,
}

impl QoS {
    /// The level with this number; `None` above 2.
    pub fn parse(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::AtMostOnce),
            1 => Some(Self::AtLeastOnce),
            2 => Some(Self::ExactlyOnce),
            _ => None,
        }
    }

    /// Its number, 0 to 2.
    pub fn number(self) -> u8 {
        self as u8
    }
}

/// Bytes that must not reach a log: a password, authentication data.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Bytes);

impl Secret {
    /// Wraps `bytes`.
    pub fn new(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// The bytes, for whoever checks them.
    pub fn expose(&self) -> &Bytes {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("<redacted>")
    }
}

#[cfg(test)]
mod tests;
