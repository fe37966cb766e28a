//! Any bytes as a play: clients come, send packets good and bad, go; time passes; the disk is
//! slow. Whatever they make of it, nothing panics and no client is sent what it must not be.
//!
//! For tests and the fuzz target `session`; no part of the product. What a client must not be sent
//! is looked at by a slow, obvious model of one connection.

mod seat;

use std::collections::BTreeMap;
use std::num::{NonZeroU16, NonZeroU32};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use gateway::Denial;
use model::{CertificateId, Clock, Profile, SystemClock, Timestamp};
use mqtt::packet::{
    Ack, Auth, AuthProperties, Connect, ConnectProperties, Disconnect, DisconnectProperties,
    Publish, PublishProperties, RetainHandling, Subscribe, SubscribeProperties,
    SubscriptionIdentifier, SubscriptionRequest, Unsubscribe, UnsubscribeProperties, Will,
    WillProperties,
};
use mqtt::{Packet, QoS, ReasonCode, TopicLimits, TopicName, Version};
use policy::{Dialect, Document, Facts, Hardening, NamedPolicy, Scope};

use super::arena::Key;
use super::connection::{Connection, Peer};
use super::enforce::{Grounds, Principal};
use super::refusals::Book;
use super::{Core, Effect, Now, Settings};
use crate::config::BrokerConfig;
use crate::directory::Known;
use crate::negotiated::{KeyExchange, Negotiated, TlsVersion};
use seat::Seat;

/// Clients at once.
const SEATS: usize = 4;
/// Events of one play at most.
const EVENTS_MAX: usize = 400;
const POLICY: &str = r#"{"Version":"2012-10-17","Statement":[
    {"Effect":"Allow","Action":"*","Resource":"*"},
    {"Effect":"Deny","Action":"iot:Publish","Resource":"*:topic/denied"},
    {"Effect":"Deny","Action":"iot:Receive","Resource":"*:topic/secret"}]}"#;
const TOPICS: [&str; 6] = ["a", "a/b", "a/b/c", "denied", "secret", "$aws/rules/r"];
const FILTERS: [&str; 10] = [
    "a",
    "a/#",
    "+/b",
    "#",
    "secret",
    "$share/g/a",
    "$share/g/a/#",
    "$share/h/#",
    "a#",
    "$share//a",
];

/// The bytes of a play, taken one by one; 0 when there are no more.
struct Script<'a>(&'a [u8]);

impl Script<'_> {
    fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        first
    }

    fn below(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken.to_vec()
    }

    fn packet_id(&mut self) -> NonZeroU16 {
        NonZeroU16::MIN.saturating_add(u16::from(self.byte()) % 8)
    }

    fn qos(&mut self) -> QoS {
        QoS::parse(self.byte() % 3).unwrap_or_default()
    }

    fn topic(&mut self) -> Option<TopicName> {
        let text = TOPICS[self.below(TOPICS.len())];
        TopicName::parse(text, &TopicLimits::STANDARD).ok()
    }
}

/// Refusals are not what is looked at here.
struct NoBook;

impl Book for NoBook {
    fn record(&self, _denial: Denial) -> String {
        "d".to_owned()
    }

    fn repeat(&self, _id: &str, _times: u64) {}
}

struct Play {
    core: Core,
    now: Now,
    seats: [Option<Seat>; SEATS],
    opened: u32,
    known: Arc<Known>,
}

/// Plays what `bytes` say, in both profiles.
///
/// # Panics
///
/// When a client is sent what it must not be.
pub fn check(bytes: &[u8]) {
    for profile in [Profile::Standard, Profile::Aws] {
        Play::new(profile).run(bytes);
    }
}

impl Play {
    fn new(profile: Profile) -> Self {
        let config = BrokerConfig {
            queue_messages_max: 8,
            ..BrokerConfig::default()
        };
        let settings = Settings {
            limits: config.limits(profile).expect("settings in range"),
            grounds: Grounds {
                scope: Scope {
                    partition: "aws".into(),
                    region: "us-east-1".into(),
                    account: "111122223333".into(),
                },
                hardening: match profile {
                    Profile::Standard => Hardening::standard(),
                    Profile::Aws => Hardening::aws(),
                },
            },
            denials: Rc::new(NoBook),
            seed: 7,
        };
        let now = Now {
            instant: SystemClock.instant(),
            wall: Timestamp::from_seconds(1_760_000_000),
        };
        let policy = NamedPolicy {
            name: "p".into(),
            arn: "arn:aws:iot:us-east-1:111122223333:policy/p".into(),
            version: "1".into(),
            document: Arc::new(Document::parse(POLICY, Dialect::Iot).expect("a policy")),
            text: POLICY.into(),
        };
        let facts = Facts {
            policies: vec![policy],
            ..Facts::default()
        };
        Self {
            core: Core::new(settings, now),
            now,
            seats: [const { None }; SEATS],
            opened: 0,
            known: Arc::new(Known {
                facts: Arc::new(facts),
                propagating: BTreeMap::new(),
            }),
        }
    }

    fn run(mut self, bytes: &[u8]) {
        let mut script = Script(bytes);
        for _ in 0..EVENTS_MAX {
            if script.0.is_empty() {
                break;
            }
            self.event(&mut script);
            self.look();
        }
        self.core.shut_down(self.now);
        self.look();
        self.sync();
        self.look();
        assert_eq!(self.core.connection_count(), 0);
    }

    fn event(&mut self, script: &mut Script<'_>) {
        let seat = script.below(SEATS);
        match script.byte() % 16 {
            0 | 1 => self.open(seat, script),
            2 => self.lose(seat),
            3 => {
                let count = script.below(32);
                let bytes = script.bytes(count);
                self.send_bytes(seat, &bytes);
            }
            4 => self.advance(u64::from(script.byte()) * 100),
            5 => self.advance(u64::from(script.byte()) * 10_000),
            6 => self.sync(),
            7 | 8 => self.answer(seat),
            9 => self.subscribe(seat, script),
            10 => self.acknowledge(seat, script),
            11 => self.leave(seat, script),
            _ => self.publish(seat, script),
        }
    }

    fn open(&mut self, at: usize, script: &mut Script<'_>) {
        self.lose(at);
        let version = if script.byte().is_multiple_of(2) {
            Version::V5
        } else {
            Version::V311
        };
        let connect = connect(version, script);
        self.opened += 1;
        // Two certificates, so that one may want the client id of the other.
        let id = ["a", "b"][script.below(2)].repeat(64);
        let peer = Peer {
            address: ([198, 51, 100, 9], 40_000).into(),
            local: ([192, 0, 2, 1], 8883).into(),
            principal: Rc::new(Principal {
                arn: format!("arn:aws:iot:us-east-1:111122223333:cert/{id}"),
                certificate: CertificateId::parse(&id).expect("64 hexadecimal digits"),
            }),
            session_identifier: format!("00000000-0000-4000-8000-{:012}", self.opened),
            server_name: None,
            negotiated: Negotiated {
                version: TlsVersion::Tls13,
                group: KeyExchange::X25519MlKem768,
                resumed: false,
            },
            not_after: Timestamp::from_seconds(2_524_607_999),
        };
        let Some(key) = self.core.opened(self.now, peer, Arc::clone(&self.known)) else {
            return;
        };
        self.seats[at] = Some(Seat::new(key, &connect));
        self.send(at, &Packet::Connect(Box::new(connect)));
    }

    fn lose(&mut self, at: usize) {
        if let Some(seat) = self.seats[at].take() {
            self.core.closed(self.now, seat.key);
        }
    }

    fn advance(&mut self, ms: u64) {
        let end = self.now.instant + Duration::from_millis(ms);
        while let Some(at) = self.core.deadline().filter(|at| *at <= end) {
            self.set_clock(at);
            self.core.tick(self.now);
            self.look();
        }
        self.set_clock(end);
    }

    fn set_clock(&mut self, instant: std::time::Instant) {
        let passed = instant.saturating_duration_since(self.now.instant);
        self.now.wall = self.now.wall.after(passed);
        self.now.instant = self.now.instant.max(instant);
    }

    fn sync(&mut self) {
        while let Some(batch) = self.core.take_batch() {
            self.core.persisted(self.now, batch.up_to);
        }
    }

    fn send(&mut self, at: usize, packet: &Packet) {
        let Some(seat) = &mut self.seats[at] else {
            return;
        };
        let mut bytes = BytesMut::new();
        // What this version cannot say is not sent.
        if mqtt::encode(packet, seat.version, &mut bytes).is_ok() {
            self.send_bytes(at, &bytes);
        }
    }

    fn send_bytes(&mut self, at: usize, bytes: &[u8]) {
        if let Some(seat) = &mut self.seats[at] {
            seat.sends(bytes);
            let mut buffer = BytesMut::from(bytes);
            self.core.received(self.now, seat.key, &mut buffer);
        }
    }

    /// The client answers what it has been sent, as it should.
    fn answer(&mut self, at: usize) {
        let owed = self.seats[at]
            .as_mut()
            .map(|seat| std::mem::take(&mut seat.owed));
        for packet in owed.unwrap_or_default() {
            self.send(at, &packet);
            self.look();
        }
    }

    fn subscribe(&mut self, at: usize, script: &mut Script<'_>) {
        let filter = FILTERS[script.below(FILTERS.len())].to_owned();
        let packet_id = script.packet_id();
        let options = script.byte();
        if options & 0x80 != 0 {
            let packet = Packet::Unsubscribe(Unsubscribe {
                packet_id,
                filters: vec![filter],
                properties: UnsubscribeProperties::default(),
            });
            return self.send(at, &packet);
        }
        let request = SubscriptionRequest {
            qos: script.qos(),
            no_local: options & 1 != 0,
            retain_as_published: options & 2 != 0,
            retain_handling: [
                RetainHandling::Send,
                RetainHandling::SendIfNew,
                RetainHandling::DoNotSend,
            ][usize::from(options >> 2) % 3],
            filter,
        };
        let packet = Packet::Subscribe(Subscribe {
            packet_id,
            filters: vec![request],
            properties: SubscribeProperties {
                subscription_identifier: SubscriptionIdentifier::new(u32::from(options >> 4)),
                ..SubscribeProperties::default()
            },
        });
        self.send(at, &packet);
    }

    /// Some acknowledgement, whether anything waits for it or not.
    fn acknowledge(&mut self, at: usize, script: &mut Script<'_>) {
        let reasons = [
            ReasonCode::Success,
            ReasonCode::QuotaExceeded,
            ReasonCode::PacketIdentifierNotFound,
        ];
        let kind = script.byte() % 4;
        let ack = Ack::with_reason(script.packet_id(), reasons[script.below(reasons.len())]);
        let packet = match kind {
            0 => Packet::PubAck(ack),
            1 => Packet::PubRec(ack),
            2 => Packet::PubRel(ack),
            _ => Packet::PubComp(ack),
        };
        self.send(at, &packet);
    }

    fn leave(&mut self, at: usize, script: &mut Script<'_>) {
        let with_will = script.byte().is_multiple_of(2);
        let expiry = script.byte();
        let packet = match script.byte() % 4 {
            0 => Packet::PingReq,
            1 => Packet::Auth(Auth {
                reason: ReasonCode::ReAuthenticate,
                properties: AuthProperties {
                    authentication_method: Some("m".to_owned()),
                    ..AuthProperties::default()
                },
            }),
            _ => Packet::Disconnect(Disconnect {
                reason: if with_will {
                    ReasonCode::DisconnectWithWill
                } else {
                    ReasonCode::Success
                },
                properties: DisconnectProperties {
                    session_expiry_s: (expiry < 128).then_some(u32::from(expiry)),
                    ..DisconnectProperties::default()
                },
            }),
        };
        self.send(at, &packet);
    }

    fn publish(&mut self, at: usize, script: &mut Script<'_>) {
        let qos = script.qos();
        let flags = script.byte();
        let alias = script.byte();
        let packet = Packet::Publish(Publish {
            dup: flags & 1 != 0 && qos != QoS::AtMostOnce,
            qos,
            retain: flags & 2 != 0,
            topic: script.topic().filter(|_| flags & 4 == 0),
            packet_id: (qos != QoS::AtMostOnce).then(|| script.packet_id()),
            properties: PublishProperties {
                message_expiry_s: (flags & 8 != 0).then_some(u32::from(flags)),
                topic_alias: NonZeroU16::new(u16::from(alias % 12)),
                ..PublishProperties::default()
            },
            payload: Bytes::from(vec![b'x'; usize::from(flags >> 4) * 8]),
        });
        self.send(at, &packet);
    }

    /// Takes what the core has for the clients, and looks at it.
    fn look(&mut self) {
        for effect in self.core.take_effects() {
            if let Effect::Close { connection, output } = effect
                && let Some(seat) = self.seat_of(connection)
            {
                seat.inbox.extend_from_slice(&output);
                seat.look();
                assert!(seat.inbox.is_empty(), "half a packet at the end");
                self.seats
                    .iter_mut()
                    .filter(|seat| seat.as_ref().is_some_and(|seat| seat.key == connection))
                    .for_each(|seat| *seat = None);
            }
        }
        let mut announced = Vec::new();
        self.core.take_announced(&mut announced);
        for key in announced {
            let output = self.core.output(key).to_vec();
            self.core.sent(key, output.len());
            if let Some(seat) = self.seat_of(key) {
                seat.inbox.extend_from_slice(&output);
                seat.look();
            }
        }
    }

    fn seat_of(&mut self, key: Key<Connection>) -> Option<&mut Seat> {
        self.seats.iter_mut().flatten().find(|seat| seat.key == key)
    }
}

fn connect(version: Version, script: &mut Script<'_>) -> Connect {
    let flags = script.byte();
    let some = |bit: u8, value: u8| (flags & bit != 0).then_some(value);
    let (expiry, window, size, aliases) =
        (script.byte(), script.byte(), script.byte(), script.byte());
    let will = script.topic().filter(|_| flags & 1 != 0).map(|topic| Will {
        topic,
        payload: Bytes::from_static(b"will"),
        qos: script.qos(),
        retain: flags & 2 != 0,
        properties: WillProperties {
            delay_s: Some(u32::from(script.byte() % 4)),
            ..WillProperties::default()
        },
    });
    Connect {
        version,
        client_id: ["one", "two", "three", ""][script.below(4)].to_owned(),
        clean_start: flags & 4 != 0,
        keep_alive_s: u16::from(some(8, expiry).unwrap_or(0)),
        will,
        username: None,
        password: None,
        properties: ConnectProperties {
            session_expiry_s: some(16, expiry).map(u32::from),
            receive_maximum: NonZeroU16::new(u16::from(some(32, window % 4).unwrap_or(0))),
            packet_bytes_max: NonZeroU32::new(u32::from(some(64, size).unwrap_or(0))),
            topic_alias_maximum: Some(u16::from(some(128, aliases % 4).unwrap_or(0))),
            ..ConnectProperties::default()
        },
    }
}

#[cfg(test)]
mod tests;
