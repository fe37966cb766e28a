//! MQTT 3.1.1 and 5: codec, topic matching and session state, without I/O.
//!
//! The broker, the edge runtime and virtual devices all speak MQTT; here is
//! what they would otherwise each write again. It is also the first code that
//! a stranger's bytes reach, so it is kept apart and small: no sockets, no
//! clock, no `async`, no randomness, and lints that refuse whatever could
//! panic on a hostile packet.
//!
//! To read it: [`packet`] (the one model of both versions), `decode`, `encode`,
//! [`topic`] (names, filters, matching), [`route`] (who subscribed to what),
//! [`session`] (what is in flight, and what a reconnect repeats).
//!
//! Invariants:
//! - The two versions differ only in `read` and `write` of each packet;
//!   everything above sees one set of types.
//! - What `encode` writes, `decode` accepts and reads back as the same packet.
//! - Nothing here decides who may do what, or what the limits are: limits are
//!   arguments.
//!
//! Sources: MQTT Version 3.1.1 (OASIS, 29 October 2014) and MQTT Version 5.0
//! (OASIS, 7 March 2019), cited as `mqtt311` and `mqtt5`.

#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unwrap_used,
    )
)]

pub mod packet;

mod decode;
mod encode;

pub mod route;
pub mod session;
pub mod topic;

#[cfg(any(test, feature = "test-support"))]
pub mod generate;

#[cfg(test)]
mod notation;

pub use decode::{
    DecodeError, Limits, SHARED_PAYLOAD_BYTES_MIN, connect_version, decode, decode_connect,
    decode_from, packet_len,
};
pub use encode::{
    DeliveryClass, EncodeError, PublishImage, Receiver, encode, encode_to, encoded_len,
};
pub use packet::{Packet, QoS, ReasonCode, Sender, Version};
pub use topic::{TopicFilter, TopicLimits, TopicName};
