//! A connection: from the end of its TLS handshake to its close.
//!
//! ```text
//!   opened ──▶ Greeting ── CONNECT accepted ──▶ Serving ──▶ gone
//!                 ├── CONNECT refused ──▶ Refused ──▶ gone
//!                 └── timeout, garbage ──▶ gone
//! ```
//!
//! What a connection is sent is appended to its output; the shell takes the output away and writes
//! it. Once a connection is gone its key finds nothing.

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::rc::Rc;
use std::sync::Arc;

use bytes::BytesMut;
use model::Timestamp;
use mqtt::session::{Alias, KeepAlive, OutboundAliases};
use mqtt::{Packet, PublishImage, Receiver, Version};

use super::Now;
use super::arena::Key;
use super::enforce::{Access, Principal};
use super::message::Message;
use super::pace::Pace;
use super::propagate::UserProperties;
use super::rate::Bucket;
use super::session::Session;
use crate::directory::Known;
use crate::limits::Limits;
use crate::negotiated::Negotiated;

/// What the shell knows of a connection when it hands it over.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    /// Our end.
    pub(crate) local: SocketAddr,
    pub(crate) principal: Rc<Principal>,
    /// A UUID of this connection; also the client id when one has to be assigned.
    pub(crate) session_identifier: String,
    /// The name the client asked for in TLS.
    pub(crate) server_name: Option<String>,
    /// TLS version and key exchange group.
    pub(crate) negotiated: Negotiated,
    /// When the certificate ends, and with it the connection.
    // spec aws-iot [1.6]
    pub(crate) not_after: Timestamp,
}

/// A live connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) peer: Peer,
    /// What is known of its certificate, as of the last review.
    pub(crate) known: Arc<Known>,
    pub(crate) opened_at: Timestamp,
    /// When `known` was read.
    pub(crate) access_read_at: Timestamp,
    pub(crate) state: State,
    /// Bytes for the shell to write.
    pub(crate) output: BytesMut,
    /// Bytes of it that the shell has taken, until it asks for more.
    pub(crate) taken: usize,
    /// Bytes counted among those that wait for all clients.
    pub(crate) counted: usize,
    /// How fast it is read, where that is limited.
    pub(crate) pace: Option<Box<Pace>>,
    /// Not read until the disk follows.
    pub(crate) waits_for_disk: bool,
    /// It ends once the event at hand is dealt with.
    pub(crate) ends: bool,
    /// Bytes of deliveries that wait for the disk.
    pub(crate) gated_bytes: usize,
    /// Whether the shell has been told of the output.
    pub(crate) announced: bool,
    /// Whether somebody looks at its packets.
    pub(crate) traced: bool,
}

/// How far a connection has come.
#[derive(Debug)]
pub(crate) enum State {
    /// CONNECT has not come yet.
    Greeting,
    /// CONNECT was refused; only the close is left.
    Refused,
    /// CONNECT was accepted.
    Serving(Box<Serving>),
}

/// A connection whose CONNECT was accepted.
#[derive(Debug)]
pub(crate) struct Serving {
    pub(crate) session: Key<Session>,
    pub(crate) client_id: Arc<str>,
    pub(crate) receiver: Receiver,
    /// The topics that it was given a number for; `None` when it takes none.
    pub(crate) aliases: Option<Box<OutboundAliases>>,
    /// Whether CONNACK has left; until then nothing is read.
    pub(crate) welcomed: bool,
    pub(crate) access: Access,
    /// Appended to each of its messages.
    pub(crate) propagated: UserProperties,
    pub(crate) keep_alive: KeepAlive,
    /// How often it may publish, where that is limited.
    pub(crate) publishes: Option<Bucket>,
    pub(crate) publish_bytes: Option<Bucket>,
    /// The number of its presence events.
    pub(crate) presence: u64,
}

impl Connection {
    pub(crate) fn new(peer: Peer, known: Arc<Known>, now: Now, limits: &Limits) -> Self {
        Self {
            peer,
            known,
            opened_at: now.wall,
            access_read_at: now.wall,
            state: State::Greeting,
            output: BytesMut::new(),
            taken: 0,
            counted: 0,
            pace: Pace::new(limits, now.instant),
            waits_for_disk: false,
            ends: false,
            gated_bytes: 0,
            announced: false,
            traced: false,
        }
    }

    pub(crate) fn serving(&self) -> Option<&Serving> {
        match &self.state {
            State::Serving(serving) => Some(serving),
            State::Greeting | State::Refused => None,
        }
    }

    pub(crate) fn serving_mut(&mut self) -> Option<&mut Serving> {
        match &mut self.state {
            State::Serving(serving) => Some(serving),
            State::Greeting | State::Refused => None,
        }
    }

    /// Bytes that wait for its socket.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.output.len() + self.taken + self.gated_bytes
    }

    /// The version it speaks, once known.
    pub(crate) fn version(&self) -> Option<Version> {
        self.serving().map(|serving| serving.receiver.version)
    }

    /// Appends a packet as the client can take it; false when it cannot.
    pub(crate) fn send(&mut self, packet: &Packet) -> bool {
        let Some(receiver) = self.serving().map(|serving| serving.receiver) else {
            return false;
        };
        self.send_to(packet, &receiver)
    }

    /// As [`Connection::send`], before the connection serves.
    pub(crate) fn send_to(&mut self, packet: &Packet, receiver: &Receiver) -> bool {
        match mqtt::encode_to(packet, receiver, &mut self.output) {
            Ok(()) => true,
            Err(error) => {
                tracing::debug!(%error, "a packet was not sent");
                false
            }
        }
    }

    /// Appends a message; false when it is larger than the client takes.
    // spec aws-iot [MQ-80], [MQ-86]: dropped whole, and counts as delivered.
    pub(crate) fn send_image(
        &mut self,
        image: &PublishImage,
        message: &Message,
        packet_id: Option<NonZeroU16>,
        dup: bool,
    ) -> bool {
        let State::Serving(serving) = &mut self.state else {
            return false;
        };
        let max = serving.receiver.packet_bytes_max;
        if max < image.packet_bytes() {
            return false;
        }
        let payload = &message.publish().payload;
        let Some(aliases) = &mut serving.aliases else {
            return image
                .write(payload, packet_id, dup, &mut self.output)
                .is_ok();
        };
        // spec mqtt5 [MQTT-3.1.2-26], [MQTT-3.1.2-27], [MQTT-3.3.2-11]
        let topic = message.topic();
        let alias = aliases.alias_for(topic);
        let written = image.write_aliased(payload, alias, packet_id, dup, max, &mut self.output);
        if let (Ok(true), Alias::Assign(_)) = (&written, alias) {
            aliases.assigned(topic);
        }
        written.is_ok()
    }
}
