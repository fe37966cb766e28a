//! Why bytes are no packet, and what to tell who sent them.

use crate::packet::{ReasonCode, Version};
use crate::topic::TopicError;

/// Why bytes are no packet. Every one of these is the sender's fault.
///
/// `at` is the byte's offset from the start of the packet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes cannot be parsed.
    #[error("malformed packet: {field} {why} (byte {at})")]
    Malformed {
        /// The part of the packet.
        field: &'static str,
        /// What is wrong with it.
        why: &'static str,
        /// Where it was noticed.
        at: usize,
    },
    /// The bytes can be parsed, and say what the protocol forbids.
    #[error("protocol error: {field} {why} (byte {at})")]
    Protocol {
        /// The part of the packet.
        field: &'static str,
        /// What is wrong with it.
        why: &'static str,
        /// Where it was noticed.
        at: usize,
    },
    /// The header announces more bytes than the receiver accepts.
    #[error("packet of {len} bytes is over the limit of {max}")]
    TooLarge {
        /// The whole packet, in bytes.
        len: usize,
        /// The limit, in bytes.
        max: usize,
    },
    /// A topic name is none, or over a limit.
    #[error("{field} is not a valid topic name (byte {at})")]
    TopicName {
        /// Which topic name.
        field: &'static str,
        /// Where it starts.
        at: usize,
        /// What is wrong with it.
        #[source]
        source: TopicError,
    },
    /// A topic alias is zero.
    #[error("topic alias is zero (byte {at})")]
    TopicAlias {
        /// Where it stands.
        at: usize,
    },
    /// CONNECT is MQTT, of a version that is not spoken here.
    #[error("protocol level {level} is not supported (byte {at})")]
    UnsupportedVersion {
        /// The level it asks for.
        level: u8,
        /// The version in which the client will best understand a CONNACK.
        answer_in: Version,
        /// Where it stands.
        at: usize,
    },
    /// More of something than the receiver accepts in one packet.
    #[error("more {field} than the limit of {max} (byte {at})")]
    QuotaExceeded {
        /// What there is too much of.
        field: &'static str,
        /// The limit.
        max: usize,
        /// Where it was passed.
        at: usize,
    },
}

impl DecodeError {
    /// The reason to give: in CONNACK if the packet was CONNECT, else in
    /// DISCONNECT. A 3.1.1 client is told only what
    /// [`ReasonCode::connack_v311`] has a code for.
    // spec mqtt5 [MQTT-4.13.1-1]; spec aws-iot [MQ-30], [MQ-40], [MQ-80]
    pub fn reason_code(&self) -> ReasonCode {
        match self {
            Self::Malformed { .. } => ReasonCode::MalformedPacket,
            Self::Protocol { .. } => ReasonCode::ProtocolError,
            Self::TooLarge { .. } => ReasonCode::PacketTooLarge,
            Self::TopicName { .. } => ReasonCode::TopicNameInvalid,
            Self::TopicAlias { .. } => ReasonCode::TopicAliasInvalid,
            Self::UnsupportedVersion { .. } => ReasonCode::UnsupportedProtocolVersion,
            Self::QuotaExceeded { .. } => ReasonCode::QuotaExceeded,
        }
    }

    /// The byte, counted from the start of the packet, where it was noticed.
    pub fn at(&self) -> usize {
        match self {
            Self::TooLarge { .. } => 1,
            Self::Malformed { at, .. }
            | Self::Protocol { at, .. }
            | Self::TopicName { at, .. }
            | Self::TopicAlias { at }
            | Self::UnsupportedVersion { at, .. }
            | Self::QuotaExceeded { at, .. } => *at,
        }
    }
}
