//! What a session has in flight, and what a reconnect repeats.
//!
//! Either side of MQTT needs these: a broker's connection uses [`Inbound`] for
//! what the client sends and [`Outbound`] for what it is sent, a client the
//! other way round. All of it is fed events and asked for what to send next; it
//! holds no socket, no clock and no queue: a message waits with the caller until
//! there is room for it.
//!
//! Deliberately not here: subscriptions, queues of messages not yet sent, will,
//! session expiry. Those rest where the broker stores them.
//!
//! Source: mqtt5 chapter 4 (4.3 delivery, 4.4 retry, 4.6 order, 4.9 flow
//! control); mqtt311 chapter 4.

mod alias;
mod expiry;
mod inbound;
mod keep_alive;
mod outbound;

pub use alias::{Alias, InboundAliases, OutboundAliases};
pub use expiry::{ExpiryLimits, remaining_s};
pub use inbound::{Inbound, InboundState, Received, Ticket};
pub use keep_alive::KeepAlive;
pub use outbound::{InFlight, Outbound, OutboundState, PubRecAnswer, Resend, Stage};

use crate::packet::ReasonCode;

/// Why a valid packet is wrong now. Every one of these is the peer's fault and
/// ends the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// A topic alias above the agreed maximum.
    #[error("topic alias {alias} is over the maximum of {max}")]
    TopicAliasTooHigh {
        /// The alias.
        alias: u16,
        /// The maximum.
        max: u16,
    },
    /// A topic alias without a topic, before it was given one.
    #[error("topic alias {alias} stands for no topic yet")]
    TopicAliasUnknown {
        /// The alias.
        alias: u16,
    },
    /// More messages in flight than agreed.
    #[error("more messages in flight than the receive maximum of {max}")]
    ReceiveMaximumExceeded {
        /// The maximum.
        max: u16,
    },
    /// More QoS 2 exchanges left open over several connections than are kept.
    #[error("more than {max} unfinished QoS 2 exchanges")]
    TooManyUnfinished {
        /// The limit.
        max: usize,
    },
    /// A packet that does not belong to the exchange with its packet id.
    #[error("{packet} does not belong to the exchange with packet id {packet_id}")]
    WrongExchange {
        /// The packet as the standard writes it.
        packet: &'static str,
        /// Its packet id.
        packet_id: u16,
    },
}

impl SessionError {
    /// The reason to give in DISCONNECT; a 3.1.1 peer is just disconnected.
    // spec aws-iot [MQ-34], [MQ-80]
    pub fn reason_code(&self) -> ReasonCode {
        match self {
            Self::TopicAliasTooHigh { .. } => ReasonCode::TopicAliasInvalid,
            // spec mqtt5 [3.3.2.3.4]: an unknown alias is a protocol error.
            Self::TopicAliasUnknown { .. } | Self::WrongExchange { .. } => {
                ReasonCode::ProtocolError
            }
            Self::ReceiveMaximumExceeded { .. } => ReasonCode::ReceiveMaximumExceeded,
            Self::TooManyUnfinished { .. } => ReasonCode::QuotaExceeded,
        }
    }
}

#[cfg(test)]
mod tests;
