//! The core under an invented clock, with simulated clients and a disk that is a few maps.

mod access;
mod aliases;
mod budgets;
mod connect;
mod cut;
mod deliver;
mod disk;
mod exchange;
mod look;
mod propagate;
mod publish;
mod refusals;
mod retained;
mod sessions;
mod shared;
mod simulation;
mod stuck;
mod subscribe;
mod trace;
mod wills;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use gateway::Denial;
use model::{CertificateId, Clock, Profile, SystemClock, Timestamp};
use mqtt::packet::{
    Ack, ConnAck, Connect, ConnectProperties, Disconnect, Publish, PublishProperties, Subscribe,
    SubscribeProperties, SubscriptionRequest, Unsubscribe, UnsubscribeProperties, Will,
    WillProperties,
};
use mqtt::{Packet, QoS, ReasonCode, Sender, TopicLimits, TopicName, Version};
use policy::{
    CertificateFacts, Dialect, Document, Facts, GroupFacts, Hardening, NamedPolicy, ThingFacts,
};

use super::enforce::Principal;
use super::refusals::Book;
use super::*;
use crate::config::BrokerConfig;
use crate::directory::{Known, PropagatingAttribute, Standing};
use crate::negotiated::{KeyExchange, Negotiated, TlsVersion};
use disk::Disk;

pub(super) const V3: Version = Version::V311;
pub(super) const V5: Version = Version::V5;
pub(super) const ALL: &str = r#"{"Version":"2012-10-17","Statement":[
    {"Effect":"Allow","Action":"*","Resource":"*"}]}"#;

const ACCOUNT: &str = "111122223333";

/// A client of the simulation: its connection and what it has been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Client {
    key: Key<Connection>,
    version: Version_,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Version_ {
    V3,
    V5,
}

impl Client {
    fn version(self) -> Version {
        match self.version {
            Version_::V3 => V3,
            Version_::V5 => V5,
        }
    }
}

struct TestBook {
    denials: Rc<RefCell<Vec<Denial>>>,
    repeats: Rc<RefCell<BTreeMap<String, u64>>>,
}

impl Book for TestBook {
    fn record(&self, denial: Denial) -> String {
        self.denials.borrow_mut().push(denial);
        format!("d{}", self.denials.borrow().len())
    }

    fn repeat(&self, id: &str, times: u64) {
        *self.repeats.borrow_mut().entry(id.to_owned()).or_default() += times;
    }
}

pub(super) struct World {
    pub(super) core: Core,
    pub(super) now: Now,
    pub(super) disk: Disk,
    /// Whether ops reach the disk at once.
    pub(super) prompt_disk: bool,
    pub(super) denials: Rc<RefCell<Vec<Denial>>>,
    /// Repeats told, by the id of the first.
    pub(super) repeats: Rc<RefCell<BTreeMap<String, u64>>>,
    pub(super) confirmed: Vec<(u64, bool)>,
    pub(super) doubts: Vec<Doubt>,
    /// What is known of certificates, when somebody asks; at first what they connected with.
    standings: BTreeMap<CertificateId, (Principal, Standing)>,
    inbox: BTreeMap<Key<Connection>, BytesMut>,
    closed: Vec<Key<Connection>>,
    settings: Settings,
    opened: u32,
}

impl World {
    pub(super) fn new(profile: Profile) -> Self {
        Self::with(profile, &BrokerConfig::default())
    }

    pub(super) fn standard() -> Self {
        Self::new(Profile::Standard)
    }

    pub(super) fn aws() -> Self {
        Self::new(Profile::Aws)
    }

    pub(super) fn with(profile: Profile, config: &BrokerConfig) -> Self {
        let denials: Rc<RefCell<Vec<Denial>>> = Rc::default();
        let repeats = Rc::default();
        let book = TestBook {
            denials: Rc::clone(&denials),
            repeats: Rc::clone(&repeats),
        };
        let settings = Settings {
            limits: config.limits(profile).expect("settings in range"),
            grounds: Grounds {
                scope: policy::Scope {
                    partition: "aws".into(),
                    region: "us-east-1".into(),
                    account: ACCOUNT.into(),
                },
                hardening: match profile {
                    Profile::Standard => Hardening::standard(),
                    Profile::Aws => Hardening::aws(),
                },
            },
            denials: Rc::new(book),
            seed: 7,
        };
        let now = Now {
            instant: SystemClock.instant(),
            wall: Timestamp::from_seconds(1_760_000_000),
        };
        Self {
            core: Core::new(settings.clone(), now),
            now,
            disk: Disk::default(),
            prompt_disk: true,
            denials,
            repeats,
            confirmed: Vec::new(),
            doubts: Vec::new(),
            standings: BTreeMap::new(),
            inbox: BTreeMap::new(),
            closed: Vec::new(),
            settings,
            opened: 0,
        }
    }

    /// Time passes; timers fire at their moments.
    pub(super) fn advance(&mut self, ms: u64) {
        let end = self.now.instant + Duration::from_millis(ms);
        while let Some(at) = self.core.deadline().filter(|at| *at <= end) {
            self.set_clock(at);
            self.core.tick(self.now);
            self.turn();
        }
        self.set_clock(end);
    }

    fn set_clock(&mut self, instant: Instant) {
        let passed = instant.saturating_duration_since(self.now.instant);
        self.now.wall = self.now.wall.after(passed);
        self.now.instant = self.now.instant.max(instant);
    }

    /// Collects effects and output, and writes the disk if it is prompt.
    pub(super) fn turn(&mut self) {
        let mut due = Vec::new();
        for effect in self.core.take_effects() {
            match effect {
                Effect::Close { connection, output } => {
                    self.inbox
                        .entry(connection)
                        .or_default()
                        .extend_from_slice(&output);
                    self.closed.push(connection);
                }
                Effect::Confirmed { token, delivered } => self.confirmed.push((token, delivered)),
                Effect::Doubted(doubt) => self.doubts.push(doubt),
                Effect::WillDue { id, principal } => due.push((id, principal)),
            }
        }
        if !due.is_empty() {
            for (id, certificate) in due {
                let (principal, standing) = &self.standings[&certificate];
                self.core.judge_due_will(self.now, &id, principal, standing);
            }
            return self.turn();
        }
        let mut announced = Vec::new();
        self.core.take_announced(&mut announced);
        for key in announced {
            let output = self.core.output(key).to_vec();
            self.core.sent(key, output.len());
            self.inbox
                .entry(key)
                .or_default()
                .extend_from_slice(&output);
            assert!(self.core.output(key).is_empty());
        }
        if self.prompt_disk {
            self.sync();
        }
    }

    /// Everything written reaches the disk.
    pub(super) fn sync(&mut self) {
        while let Some(batch) = self.core.take_batch() {
            self.disk.apply(&batch.ops);
            self.core.persisted(self.now, batch.up_to);
            let prompt = std::mem::replace(&mut self.prompt_disk, false);
            self.turn();
            self.prompt_disk = prompt;
        }
    }

    /// The process ends without a word and starts again from the disk.
    pub(super) fn crash(&mut self) {
        self.inbox.clear();
        self.core = Core::new(self.settings.clone(), self.now);
        self.core.restore(self.now, self.disk.load());
        self.turn();
    }

    pub(super) fn open(&mut self, version: Version, device: &Device) -> Client {
        self.try_open(version, device)
            .expect("room for a connection")
    }

    pub(super) fn try_open(&mut self, version: Version, device: &Device) -> Option<Client> {
        self.opened += 1;
        let peer = Peer {
            address: "198.51.100.9:40000".parse().expect("an address"),
            local: "192.0.2.1:8883".parse().expect("an address"),
            principal: Rc::new(device.principal()),
            session_identifier: format!("00000000-0000-4000-8000-{:012}", self.opened),
            server_name: None,
            negotiated: Negotiated {
                version: TlsVersion::Tls13,
                group: KeyExchange::X25519MlKem768,
                resumed: false,
            },
            not_after: device.not_after,
        };
        self.know(device, device.active());
        let known = Arc::new(device.known());
        let key = self.core.opened(self.now, peer, known)?;
        let version = match version {
            Version::V311 => Version_::V3,
            Version::V5 => Version_::V5,
        };
        Some(Client { key, version })
    }

    pub(super) fn send(&mut self, client: Client, packet: &Packet) {
        let mut bytes = BytesMut::new();
        mqtt::encode(packet, client.version(), &mut bytes).expect("a valid packet");
        self.send_bytes(client, &bytes);
    }

    pub(super) fn send_bytes(&mut self, client: Client, bytes: &[u8]) {
        let mut buffer = BytesMut::from(bytes);
        self.core.received(self.now, client.key, &mut buffer);
        self.turn();
    }

    /// The bytes the client was sent since the last time.
    pub(super) fn bytes(&mut self, client: Client) -> BytesMut {
        self.inbox.remove(&client.key).unwrap_or_default()
    }

    /// What the client was sent since the last time.
    #[track_caller]
    pub(super) fn sent(&mut self, client: Client) -> Vec<Packet> {
        let mut bytes = self.bytes(client);
        let limits = mqtt::Limits {
            sender: Sender::Server,
            ..mqtt::Limits::STANDARD
        };
        let mut packets = Vec::new();
        while let Some(packet) =
            mqtt::decode_from(&mut bytes, client.version(), &limits).expect("a valid packet")
        {
            packets.push(packet);
        }
        assert!(bytes.is_empty(), "half a packet was sent");
        packets
    }

    /// What the client was sent since the last time, in one line.
    #[track_caller]
    pub(super) fn told(&mut self, client: Client) -> String {
        let version = client.version();
        let sent = self.sent(client);
        let told: Vec<String> = sent.iter().map(|packet| brief(packet, version)).collect();
        told.join(" ")
    }

    pub(super) fn is_closed(&self, client: Client) -> bool {
        self.closed.contains(&client.key)
    }

    /// The network under the client breaks.
    pub(super) fn lose(&mut self, client: Client) {
        self.core.closed(self.now, client.key);
        self.turn();
    }

    /// Connects; CONNACK stays in the inbox.
    pub(super) fn connect(&mut self, device: &Device, connect: Connect) -> Client {
        let client = self.open(connect.version, device);
        self.send(client, &Packet::Connect(Box::new(connect)));
        client
    }

    /// Connects and is accepted; nothing is left in the inbox but what waited for it.
    #[track_caller]
    pub(super) fn join(&mut self, device: &Device, connect: Connect) -> Client {
        let client = self.connect(device, connect);
        let mut sent = self.sent(client);
        assert!(!sent.is_empty(), "no CONNACK");
        let Packet::ConnAck(connack) = sent.remove(0) else {
            panic!("no CONNACK but {sent:?}");
        };
        assert_eq!(connack.reason, ReasonCode::Success, "{connack:?}");
        for packet in &sent {
            let mut bytes = BytesMut::new();
            mqtt::encode(packet, client.version(), &mut bytes).expect("a valid packet");
            self.inbox
                .entry(client.key)
                .or_default()
                .extend_from_slice(&bytes);
        }
        client
    }

    #[track_caller]
    pub(super) fn connack(&mut self, client: Client) -> ConnAck {
        match self.sent(client).into_iter().next() {
            Some(Packet::ConnAck(connack)) => *connack,
            other => panic!("no CONNACK but {other:?}"),
        }
    }

    /// Subscribes and is granted.
    #[track_caller]
    pub(super) fn subscribe(&mut self, client: Client, filter: &str, qos: u8) {
        self.send(client, &subscribe(filter, qos));
        let told = self.told(client);
        assert!(told.contains(&format!("SUBACK[{qos}]")), "{told}");
    }

    /// What is said of a certificate from now on; live connections hear of it by a review.
    pub(super) fn know(&mut self, device: &Device, standing: Standing) {
        let principal = device.principal();
        let certificate = principal.certificate.clone();
        self.standings.insert(certificate, (principal, standing));
    }

    pub(super) fn review(&mut self, device: &Device, standing: &Standing) -> Reviewed {
        self.know(device, standing.clone());
        let id = device.principal().certificate;
        let reviewed = self.core.review(self.now, &id, standing);
        self.turn();
        reviewed
    }

    /// A client that may do everything and listens to `filter`.
    #[track_caller]
    pub(super) fn listener(&mut self, filter: &str) -> Client {
        let listener = self.join(&Device::new("listener"), clean(V5, "the-listener"));
        self.subscribe(listener, filter, 1);
        listener
    }
}

/// A certificate with its policies and things.
#[derive(Clone, Debug)]
pub(super) struct Device {
    pub(super) name: String,
    pub(super) policies: Vec<String>,
    pub(super) things: Vec<ThingFacts>,
    pub(super) propagating: BTreeMap<String, Vec<PropagatingAttribute>>,
    pub(super) not_after: Timestamp,
}

impl Device {
    pub(super) fn new(name: &str) -> Self {
        Self::allowed(name, ALL)
    }

    pub(super) fn allowed(name: &str, policy: &str) -> Self {
        Self {
            name: name.to_owned(),
            policies: vec![policy.to_owned()],
            things: Vec::new(),
            propagating: BTreeMap::new(),
            not_after: Timestamp::from_seconds(2_524_607_999),
        }
    }

    pub(super) fn thing(mut self, name: &str, exclusive: bool) -> Self {
        self.things.push(ThingFacts {
            name: name.to_owned(),
            exclusive,
            ..ThingFacts::default()
        });
        self
    }

    pub(super) fn grouped(mut self, group: &str, policy: &str) -> Self {
        let thing = self.things.last_mut().expect("a thing to group");
        thing.groups.push(GroupFacts {
            name: group.to_owned(),
            arn: format!("arn:aws:iot:us-east-1:{ACCOUNT}:thinggroup/{group}"),
            policies: vec![named(group, policy)],
        });
        self
    }

    pub(super) fn principal(&self) -> Principal {
        let hash = message::hash(&self.name);
        let id = format!("{hash:016x}").repeat(4);
        Principal {
            arn: format!("arn:aws:iot:us-east-1:{ACCOUNT}:cert/{id}"),
            certificate: CertificateId::parse(&id).expect("64 hexadecimal digits"),
        }
    }

    pub(super) fn facts(&self) -> Facts {
        let policies = self.policies.iter().enumerate();
        Facts {
            certificate: Some(CertificateFacts {
                id: self.principal().certificate.as_str().to_owned(),
                ..CertificateFacts::default()
            }),
            things: self.things.clone(),
            policies: policies
                .map(|(at, text)| named(&format!("p{at}"), text))
                .collect(),
        }
    }

    pub(super) fn known(&self) -> Known {
        Known {
            facts: Arc::new(self.facts()),
            propagating: self.propagating.clone(),
        }
    }

    pub(super) fn active(&self) -> Standing {
        Standing::Active(Arc::new(self.known()))
    }
}

pub(super) fn named(name: &str, text: &str) -> NamedPolicy {
    NamedPolicy {
        name: name.into(),
        arn: format!("arn:aws:iot:us-east-1:{ACCOUNT}:policy/{name}").into(),
        version: "1".into(),
        document: Arc::new(Document::parse(text, Dialect::Iot).expect("a valid policy")),
        text: text.into(),
    }
}

/// A policy of lines such as `Allow Publish topic/a/*`.
pub(super) fn policy(lines: &[&str]) -> String {
    let statements: Vec<String> = lines
        .iter()
        .map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let [effect, action, resource] = words.as_slice() else {
                panic!("`{line}` is not effect, action and resource");
            };
            let resource = match *resource {
                "*" => "*".to_owned(),
                name => format!("arn:aws:iot:us-east-1:{ACCOUNT}:{name}"),
            };
            format!(r#"{{"Effect":"{effect}","Action":"iot:{action}","Resource":"{resource}"}}"#)
        })
        .collect();
    let statements = statements.join(",");
    format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#)
}

pub(super) fn clean(version: Version, client_id: &str) -> Connect {
    Connect {
        version,
        client_id: client_id.to_owned(),
        clean_start: true,
        keep_alive_s: 0,
        will: None,
        username: None,
        password: None,
        properties: ConnectProperties::default(),
    }
}

/// A CONNECT that resumes and keeps its session for an hour.
pub(super) fn persistent(version: Version, client_id: &str) -> Connect {
    let mut connect = clean(version, client_id);
    connect.clean_start = false;
    if version == V5 {
        connect.properties.session_expiry_s = Some(3600);
    }
    connect
}

pub(super) fn with_will(mut connect: Connect, topic: &str, delay_s: u32) -> Connect {
    connect.will = Some(Will {
        topic: self::topic(topic),
        payload: Bytes::from_static(b"gone"),
        qos: QoS::AtLeastOnce,
        retain: false,
        properties: WillProperties {
            delay_s: (delay_s > 0).then_some(delay_s),
            ..WillProperties::default()
        },
    });
    connect
}

pub(super) fn topic(text: &str) -> TopicName {
    TopicName::parse(text, &TopicLimits::STANDARD).expect("a topic name")
}

pub(super) fn id(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).expect("not zero")
}

/// A PUBLISH; packet id `number` counts for QoS 1 and 2.
pub(super) fn publish(on: &str, payload: &str, qos: u8, number: u16) -> Publish {
    Publish {
        dup: false,
        qos: QoS::parse(qos).expect("a QoS"),
        retain: false,
        topic: Some(topic(on)),
        packet_id: (qos > 0).then(|| id(number)),
        properties: PublishProperties::default(),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
    }
}

pub(super) fn subscribe(filter: &str, qos: u8) -> Packet {
    let request = SubscriptionRequest::new(filter, QoS::parse(qos).expect("a QoS"));
    subscribe_to(vec![request])
}

pub(super) fn subscribe_to(filters: Vec<SubscriptionRequest>) -> Packet {
    Packet::Subscribe(Subscribe {
        packet_id: id(9),
        filters,
        properties: SubscribeProperties::default(),
    })
}

pub(super) fn unsubscribe(filter: &str) -> Packet {
    Packet::Unsubscribe(Unsubscribe {
        packet_id: id(8),
        filters: vec![filter.to_owned()],
        properties: UnsubscribeProperties::default(),
    })
}

pub(super) fn puback(number: u16) -> Packet {
    Packet::PubAck(Ack::success(id(number)))
}

pub(super) fn disconnect() -> Packet {
    Packet::Disconnect(Disconnect::default())
}

/// A packet in a few characters: what tests look at.
pub(super) fn brief(packet: &Packet, version: Version) -> String {
    let ack = |name: &str, ack: &Ack| match ack.reason {
        ReasonCode::Success => format!("{name}({})", ack.packet_id),
        reason => format!("{name}({},{:#04x})", ack.packet_id, reason.byte()),
    };
    match packet {
        Packet::ConnAck(connack) => {
            let present = if connack.session_present {
                ",present"
            } else {
                ""
            };
            let code = match version {
                Version::V311 => connack.reason.connack_v311().expect("of 3.1.1"),
                Version::V5 => connack.reason.byte(),
            };
            format!("CONNACK({code:#04x}{present})")
        }
        Packet::Publish(publish) => {
            let topic = publish.topic.as_ref().map_or("", |topic| topic.as_str());
            let payload = String::from_utf8_lossy(&publish.payload);
            let id = publish
                .packet_id
                .map(|id| format!("#{id}"))
                .unwrap_or_default();
            let dup = if publish.dup { ",dup" } else { "" };
            let retain = if publish.retain { ",retain" } else { "" };
            format!(
                "{topic}={payload}@{}{id}{dup}{retain}",
                publish.qos.number()
            )
        }
        Packet::PubAck(one) => ack("PUBACK", one),
        Packet::PubRec(one) => ack("PUBREC", one),
        Packet::PubRel(one) => ack("PUBREL", one),
        Packet::PubComp(one) => ack("PUBCOMP", one),
        Packet::SubAck(suback) => {
            let codes: Vec<String> = suback.reasons.iter().map(|c| code(c.byte())).collect();
            format!("SUBACK[{}]", codes.join(","))
        }
        Packet::UnsubAck(unsuback) => {
            let codes: Vec<String> = unsuback.reasons.iter().map(|c| code(c.byte())).collect();
            format!("UNSUBACK[{}]", codes.join(","))
        }
        Packet::PingResp => "PINGRESP".to_owned(),
        Packet::Disconnect(disconnect) => format!("DISCONNECT({:#04x})", disconnect.reason.byte()),
        other => format!("{other:?}"),
    }
}

fn code(byte: u8) -> String {
    if byte < 3 {
        byte.to_string()
    } else {
        format!("{byte:#04x}")
    }
}

/// The documents of events that a client was sent, by topic.
pub(super) fn events(packets: &[Packet]) -> Vec<(String, serde_json::Value)> {
    let mut events = Vec::new();
    for packet in packets {
        if let Packet::Publish(publish) = packet {
            let topic = publish.topic.as_ref().map_or("", |topic| topic.as_str());
            let document = serde_json::from_slice(&publish.payload).unwrap_or_default();
            events.push((topic.to_owned(), document));
        }
    }
    events
}
