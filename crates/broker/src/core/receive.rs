//! Bytes from a client: packets out of them, and each packet to who deals with it.

use bytes::{Buf, BytesMut};
use device_api::DisconnectReason;
use mqtt::packet::{Disconnect, PacketType};
use mqtt::{DecodeError, Packet, ReasonCode, Receiver, Version};

use super::arena::Key;
use super::connection::Connection;
use super::{Core, End, Now};

/// Whether the shell should read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Everything whole was dealt with.
    On,
    /// The client has as many unacknowledged messages as it may, waits for the disk, or sent more a
    /// second than it may: hand the rest over again once the connection is announced, and read
    /// nothing until then.
    Paused,
}

impl Core {
    /// Deals with every whole packet at the start of `buffer`.
    pub(crate) fn received(
        &mut self,
        now: Now,
        key: Key<Connection>,
        buffer: &mut BytesMut,
    ) -> Reading {
        let mut reading = Reading::On;
        while !buffer.is_empty() {
            if self.connections.get(key).is_some_and(|found| found.ends) {
                break;
            }
            if !self.is_within_pace(now, key) {
                reading = Reading::Paused;
                break;
            }
            let first = buffer.first().copied();
            if first.is_some_and(|first| self.waits_for_disk(key, first)) {
                reading = Reading::Paused;
                break;
            }
            let before = buffer.len();
            match self.take_packet(now, key, buffer) {
                Step::Taken => self.pace(now, key, before.saturating_sub(buffer.len())),
                Step::NeedsMore => break,
                Step::Paused => {
                    reading = Reading::Paused;
                    break;
                }
                Step::Gone => {
                    buffer.clear();
                    break;
                }
            }
        }
        self.settle(now);
        reading
    }

    fn take_packet(&mut self, now: Now, key: Key<Connection>, buffer: &mut BytesMut) -> Step {
        let Some(connection) = self.connections.get_mut(key) else {
            return Step::Gone;
        };
        let traced = connection.traced;
        let Some(serving) = connection.serving_mut() else {
            return match mqtt::decode_connect(buffer, &self.decode) {
                Ok(Some((connect, len))) => {
                    buffer.advance(len);
                    if self.traces.are_on() {
                        self.trace_connect(now, key, &connect, len);
                    }
                    self.connect(now, key, connect);
                    Step::Taken
                }
                Ok(None) => Step::NeedsMore,
                Err(error) => {
                    self.trace_unreadable(now, key, buffer.len(), &error);
                    self.refuse_greeting(key, buffer, &error);
                    Step::Gone
                }
            };
        };
        // spec aws-iot [MQ-4]
        if !serving.welcomed {
            return Step::Paused;
        }
        let (version, before) = (serving.receiver.version, buffer.len());
        let session = serving.session;
        // spec aws-iot [MQ-34]: a 3.1.1 client was not told how much it may send at once. Its
        // publishes wait for our acknowledgements; its PUBREL does not, as it makes room itself.
        let publishes = buffer
            .first()
            .is_some_and(|first| first >> 4 == PacketType::Publish as u8);
        let waits = |core: &Self| {
            let session = core.sessions.get(session);
            session.is_some_and(|session| !session.inbound.has_room() && session.inbound.owes())
        };
        if version == Version::V311 && publishes && waits(self) {
            return Step::Paused;
        }
        match mqtt::decode_from(buffer, version, &self.decode) {
            Ok(Some(packet)) => {
                if traced {
                    self.trace_packet(now, key, &packet, before - buffer.len());
                }
                self.heard(now, key);
                self.dispatch(now, key, packet);
                Step::Taken
            }
            Ok(None) => Step::NeedsMore,
            Err(error) => {
                self.trace_unreadable(now, key, before, &error);
                let end = End::new(DisconnectReason::ClientError, error.reason_code());
                self.end(key, end.because(error.to_string()));
                Step::Gone
            }
        }
    }

    fn heard(&mut self, now: Now, key: Key<Connection>) {
        if let Some(serving) = self
            .connections
            .get_mut(key)
            .and_then(Connection::serving_mut)
        {
            serving.keep_alive.heard(now.instant);
        }
    }

    fn dispatch(&mut self, now: Now, key: Key<Connection>, packet: Packet) {
        match packet {
            Packet::Publish(publish) => self.on_publish(now, key, publish),
            Packet::PubAck(ack) => self.on_puback(now, key, &ack),
            Packet::PubRec(ack) => self.on_pubrec(now, key, &ack),
            Packet::PubRel(ack) => self.on_pubrel(key, &ack),
            Packet::PubComp(ack) => self.on_pubcomp(now, key, &ack),
            Packet::Subscribe(subscribe) => self.on_subscribe(now, key, subscribe),
            Packet::Unsubscribe(unsubscribe) => self.on_unsubscribe(now, key, &unsubscribe),
            // spec mqtt5 [MQTT-3.12.4-1]; spec mqtt311 [MQTT-3.12.4-1]
            Packet::PingReq => self.send(key, &Packet::PingResp),
            Packet::Disconnect(disconnect) => self.on_disconnect(key, &disconnect),
            // spec aws-iot [MQ-2], [MQ-15]; spec mqtt5 [MQTT-3.1.0-2]: a second CONNECT; and AUTH
            // is for those who began with an authentication method, whom we refuse.
            Packet::Connect(_)
            | Packet::Auth(_)
            | Packet::ConnAck(_)
            | Packet::SubAck(_)
            | Packet::UnsubAck(_)
            | Packet::PingResp => {
                let end = End::new(DisconnectReason::ClientError, ReasonCode::ProtocolError);
                self.end(key, end.because("this packet is not expected now"));
            }
        }
    }

    // spec aws-iot [MQ-20], [MQ-61]
    // spec mqtt5 [MQTT-3.14.4-3], [MQTT-3.1.2-10]; spec mqtt311 [MQTT-3.14.4-3], [MQTT-3.1.2-10]
    fn on_disconnect(&mut self, key: Key<Connection>, disconnect: &Disconnect) {
        let max = self.limits().session_expiry_max_s;
        let serving = self.connections.get(key).and_then(Connection::serving);
        let session = serving.and_then(|serving| self.sessions.get_mut(serving.session));
        if let (Some(session), Some(expiry_s)) = (session, disconnect.properties.session_expiry_s) {
            // spec mqtt5 [3.14.2.2.2]: a session that was to end cannot be kept after all.
            if session.expiry_s == 0 && expiry_s > 0 {
                let end = End::new(DisconnectReason::ClientError, ReasonCode::ProtocolError);
                self.end(key, end.because("session expiry cannot be raised from 0"));
                return;
            }
            session.expiry_s = expiry_s.min(max);
        }
        let mut end = End::silent(DisconnectReason::ClientInitiatedDisconnect);
        if disconnect.reason != ReasonCode::Success {
            end.sends_will = true;
        }
        self.end(key, end);
    }

    /// The first packet was no CONNECT we can serve.
    // spec mqtt5 [MQTT-3.1.4-1], [4.13.1]: the reason is told where the version is known.
    // spec mqtt311 [MQTT-3.1.4-1]: a malformed one is closed without a word.
    fn refuse_greeting(&mut self, key: Key<Connection>, greeting: &[u8], error: &DecodeError) {
        let is_connect = greeting
            .first()
            .is_some_and(|first| first >> 4 == PacketType::Connect as u8);
        let answer_in = match error {
            DecodeError::UnsupportedVersion { answer_in, .. } => Some(*answer_in),
            _ if is_connect => mqtt::connect_version(greeting).filter(|it| *it == Version::V5),
            _ => None,
        };
        if let Some(version) = answer_in
            && let Some(connection) = self.connections.get_mut(key)
        {
            let receiver = Receiver {
                version,
                packet_bytes_max: usize::MAX,
                problem_information: false,
            };
            let code = error.reason_code();
            connection.send_to(&super::connect::refusal(code, None), &receiver);
        }
        tracing::debug!(%error, "the first packet is not a CONNECT that can be served");
        self.end(key, End::silent(DisconnectReason::ClientError));
    }
}

enum Step {
    Taken,
    NeedsMore,
    Paused,
    Gone,
}
