//! Packets to bytes.
//!
//! A body is written twice by the same code: once into a counter, for the
//! lengths that stand before it, once for real. So nothing is written before it
//! is known to fit, and a refused packet leaves the output as it was.
//!
//! Properties are left out towards 3.1.1. What 3.1.1 could only say wrongly (a
//! refused message, a reason to disconnect) is an error instead.
//!
//! Source: mqtt5 chapters 2 and 3; mqtt311 chapters 2 and 3.

mod aliased;
mod error;
mod image;
mod sink;

use bytes::BytesMut;

pub use error::EncodeError;
pub use image::{DeliveryClass, PublishImage};
pub(crate) use sink::{Len, Sink};

use crate::packet::{
    Ack, Auth, Connect, Disconnect, Packet, SubAck, UnsubAck, UserProperties, Version,
};

/// The most a packet's body can have: four length bytes of seven bits.
// spec mqtt5 [1.5.5]
const REMAINING_LENGTH_MAX: usize = 268_435_455;

/// Appends `packet` to `out`. CONNECT is written in its own version.
///
/// # Errors
///
/// When the packet cannot be said in this version, or is not one a receiver may
/// accept; `out` is then unchanged.
pub fn encode(packet: &Packet, version: Version, out: &mut BytesMut) -> Result<(), EncodeError> {
    let body = body_len(packet, version)?;
    write(packet, version, body, out)
}

/// How many bytes [`encode`] would append.
///
/// # Errors
///
/// As [`encode`].
pub fn encoded_len(packet: &Packet, version: Version) -> Result<usize, EncodeError> {
    Ok(packet_len(body_len(packet, version)?))
}

/// What the other side has said about what it can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receiver {
    /// The version it speaks.
    pub version: Version,
    /// The largest packet it takes, in bytes.
    pub packet_bytes_max: usize,
    /// Whether it wants reason strings and user properties in answers.
    pub problem_information: bool,
}

impl Receiver {
    /// The client that sent `connect`.
    // spec mqtt5 [3.1.2.11.4], [3.1.2.11.7]
    pub fn of_connect(connect: &Connect) -> Self {
        let packet_bytes_max = connect.properties.packet_bytes_max;
        Self {
            version: connect.version,
            packet_bytes_max: packet_bytes_max.map_or(usize::MAX, |max| {
                usize::try_from(max.get()).unwrap_or(usize::MAX)
            }),
            problem_information: connect.properties.request_problem_information != Some(false),
        }
    }
}

/// Appends `packet` to `out` as `receiver` can take it.
///
/// Reason string and user properties of an answer are left out when they are
/// not wanted; when they make it too large, the reason string goes first, then
/// the user properties. A PUBLISH is never changed.
///
/// # Errors
///
/// [`EncodeError::TooLarge`] when it is too large even so: such a PUBLISH is
/// dropped and counts as delivered. Otherwise as [`encode`]; `out` is unchanged.
// spec mqtt5 [MQTT-3.1.2-24], [MQTT-3.1.2-25], [MQTT-3.2.2-19], [MQTT-3.2.2-20], [MQTT-3.4.2-2]
// spec aws-iot [MQ-84], [MQ-86]
pub fn encode_to(
    packet: &Packet,
    receiver: &Receiver,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    let version = receiver.version;
    let max = receiver.packet_bytes_max;
    let wanted = receiver.problem_information || explains_always(packet);
    let body = body_len(packet, version)?;
    if wanted && packet_len(body) <= max {
        return write(packet, version, body, out);
    }
    let mut shorter = packet.clone();
    if let Some((reason_string, _)) = explanation(&mut shorter) {
        *reason_string = None;
    }
    let still_too_large = max < encoded_len(&shorter, version)?;
    if let Some((_, user_properties)) = explanation(&mut shorter)
        && (still_too_large || !wanted)
    {
        user_properties.clear();
    }
    let body = body_len(&shorter, version)?;
    if max < packet_len(body) {
        return Err(EncodeError::TooLarge {
            len: packet_len(body),
            max,
        });
    }
    write(&shorter, version, body, out)
}

/// Whether the packet may explain itself to a client that wants no problem
/// information.
// spec mqtt5 [MQTT-3.1.2-29]
fn explains_always(packet: &Packet) -> bool {
    matches!(
        packet,
        Packet::Publish(_) | Packet::ConnAck(_) | Packet::Disconnect(_)
    )
}

/// What an answer can do without: its reason string and user properties.
fn explanation(packet: &mut Packet) -> Option<(&mut Option<String>, &mut UserProperties)> {
    let (reason_string, user_properties) = match packet {
        Packet::ConnAck(packet) => {
            let properties = &mut packet.properties;
            (
                &mut properties.reason_string,
                &mut properties.user_properties,
            )
        }
        Packet::PubAck(Ack { properties, .. })
        | Packet::PubRec(Ack { properties, .. })
        | Packet::PubRel(Ack { properties, .. })
        | Packet::PubComp(Ack { properties, .. })
        | Packet::SubAck(SubAck { properties, .. })
        | Packet::UnsubAck(UnsubAck { properties, .. }) => (
            &mut properties.reason_string,
            &mut properties.user_properties,
        ),
        Packet::Disconnect(Disconnect { properties, .. }) => (
            &mut properties.reason_string,
            &mut properties.user_properties,
        ),
        Packet::Auth(Auth { properties, .. }) => (
            &mut properties.reason_string,
            &mut properties.user_properties,
        ),
        Packet::Connect(_)
        | Packet::Publish(_)
        | Packet::Subscribe(_)
        | Packet::Unsubscribe(_)
        | Packet::PingReq
        | Packet::PingResp => return None,
    };
    Some((reason_string, user_properties))
}

fn write(
    packet: &Packet,
    version: Version,
    body: usize,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    out.reserve(packet_len(body));
    out.byte(first_byte(packet));
    out.var_int("remaining length", body)?;
    write_body(packet, version, out)
}

fn first_byte(packet: &Packet) -> u8 {
    let packet_type = packet.packet_type();
    let flags = match packet {
        Packet::Publish(publish) => publish.head().flags(),
        _ => packet_type.fixed_flags().unwrap_or_default(),
    };
    ((packet_type as u8) << 4) | flags
}

/// The length of the body, if there is such a body.
fn body_len(packet: &Packet, version: Version) -> Result<usize, EncodeError> {
    let mut len = Len::default();
    write_body(packet, version, &mut len)?;
    fits(len.0)
}

/// Refuses a body that no Remaining Length can announce.
fn fits(body: usize) -> Result<usize, EncodeError> {
    let max = REMAINING_LENGTH_MAX;
    if body <= max {
        Ok(body)
    } else {
        Err(EncodeError::TooLarge { len: body, max })
    }
}

/// The length of a whole packet by that of its body.
fn packet_len(body: usize) -> usize {
    let length_bytes = match body {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        _ => 4_usize,
    };
    body.saturating_add(length_bytes).saturating_add(1)
}

fn write_body<S: Sink>(packet: &Packet, version: Version, sink: &mut S) -> Result<(), EncodeError> {
    match packet {
        Packet::Connect(connect) => connect.write(sink),
        Packet::ConnAck(connack) => connack.write(version, sink),
        Packet::Publish(publish) => {
            publish.head().write(version, sink)?;
            sink.bytes(&publish.payload);
            Ok(())
        }
        Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) => {
            ack.write(packet.packet_type(), version, sink)
        }
        Packet::Subscribe(subscribe) => subscribe.write(version, sink),
        Packet::SubAck(suback) => suback.write(version, sink),
        Packet::Unsubscribe(unsubscribe) => unsubscribe.write(version, sink),
        Packet::UnsubAck(unsuback) => unsuback.write(version, sink),
        Packet::PingReq | Packet::PingResp => Ok(()),
        Packet::Disconnect(disconnect) => disconnect.write(version, sink),
        Packet::Auth(auth) => auth.write(version, sink),
    }
}

#[cfg(test)]
mod tests;
