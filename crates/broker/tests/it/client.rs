//! A small MQTT client over TLS.

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use mqtt::packet::{
    Ack, Connect, ConnectProperties, Disconnect, Publish, PublishProperties, Subscribe,
    SubscribeProperties, SubscriptionRequest, Will, WillProperties,
};
use mqtt::{Packet, QoS, ReasonCode, Sender, TopicLimits, TopicName, Version};
use rustls::{ClientConfig, HandshakeKind};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::world::{Device, World};

/// How long to wait for what must come.
const PATIENCE: Duration = Duration::from_secs(10);
pub(crate) const V3: Version = Version::V311;
pub(crate) const V5: Version = Version::V5;

#[derive(Debug)]
pub(crate) struct Client {
    stream: TlsStream<TcpStream>,
    buffer: BytesMut,
    version: Version,
}

/// TLS to `address`.
pub(crate) async fn tls(
    address: SocketAddr,
    config: Arc<ClientConfig>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let tcp = TcpStream::connect(address).await?;
    tcp.set_nodelay(true)?;
    let name = ServerName::try_from("broker.example").unwrap();
    TlsConnector::from(config).connect(name, tcp).await
}

impl Client {
    /// TLS and CONNECT; the answer is CONNACK, or nothing when the server closes.
    pub(crate) async fn connect(
        world: &World,
        device: &Device,
        connect: Connect,
    ) -> (Option<Self>, Option<(ReasonCode, bool)>) {
        let config = world.tls(Some(device), &[]);
        Self::connect_with(world.addresses.mqtt, config, connect).await
    }

    pub(crate) async fn connect_with(
        address: SocketAddr,
        config: Arc<ClientConfig>,
        connect: Connect,
    ) -> (Option<Self>, Option<(ReasonCode, bool)>) {
        // With TLS 1.3 a refused certificate surfaces at the first read.
        let Ok(stream) = tls(address, config).await else {
            return (None, None);
        };
        let version = connect.version;
        let mut client = Self {
            stream,
            buffer: BytesMut::new(),
            version,
        };
        client.try_send(&Packet::Connect(Box::new(connect))).await;
        match client.next().await {
            Some(Packet::ConnAck(connack)) => (
                Some(client),
                Some((connack.reason, connack.session_present)),
            ),
            Some(other) => panic!("no CONNACK but {other:?}"),
            None => (None, None),
        }
    }

    /// Connects and is accepted.
    pub(crate) async fn join(world: &World, device: &Device, connect: Connect) -> Self {
        let (client, connack) = Self::connect(world, device, connect).await;
        assert_eq!(connack.map(|(reason, _)| reason), Some(ReasonCode::Success));
        client.unwrap()
    }

    pub(crate) fn handshake_kind(&self) -> Option<HandshakeKind> {
        self.stream.get_ref().1.handshake_kind()
    }

    pub(crate) async fn send(&mut self, packet: &Packet) {
        assert!(self.try_send(packet).await, "the connection is gone");
    }

    async fn try_send(&mut self, packet: &Packet) -> bool {
        let mut bytes = BytesMut::new();
        mqtt::encode(packet, self.version, &mut bytes).unwrap();
        self.send_bytes(&bytes).await
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) -> bool {
        let written = self.stream.write_all(bytes).await.is_ok();
        written && self.stream.flush().await.is_ok()
    }

    /// The next packet; `None` once the server has closed.
    pub(crate) async fn next(&mut self) -> Option<Packet> {
        let limits = mqtt::Limits {
            sender: Sender::Server,
            ..mqtt::Limits::STANDARD
        };
        loop {
            if let Some(packet) =
                mqtt::decode_from(&mut self.buffer, self.version, &limits).unwrap()
            {
                return Some(packet);
            }
            let read = self.stream.read_buf(&mut self.buffer);
            let read = tokio::time::timeout(PATIENCE, read)
                .await
                .expect("an answer in time");
            if read.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    /// The next packet, in one line.
    pub(crate) async fn told(&mut self) -> String {
        self.next()
            .await
            .as_ref()
            .map_or("closed".to_owned(), brief)
    }

    /// What has been sent up to now: a ping comes back behind it.
    pub(crate) async fn told_so_far(&mut self) -> Vec<String> {
        self.send(&Packet::PingReq).await;
        let mut told = Vec::new();
        loop {
            match self.told().await.as_str() {
                "PINGRESP" => return told,
                "closed" => {
                    told.push("closed".to_owned());
                    return told;
                }
                other => told.push(other.to_owned()),
            }
        }
    }

    pub(crate) async fn subscribe(&mut self, filter: &str, qos: u8) -> String {
        let request = SubscriptionRequest::new(filter, QoS::parse(qos).unwrap());
        self.send(&Packet::Subscribe(Subscribe {
            packet_id: id(9),
            filters: vec![request],
            properties: SubscribeProperties::default(),
        }))
        .await;
        self.told().await
    }

    pub(crate) async fn publish(&mut self, topic: &str, payload: &str, qos: u8) {
        self.send(&Packet::Publish(publish(topic, payload, qos)))
            .await;
    }

    pub(crate) async fn acknowledge(&mut self, number: u16) {
        self.send(&Packet::PubAck(Ack::success(id(number)))).await;
    }

    pub(crate) async fn leave(mut self) {
        self.send(&Packet::Disconnect(Disconnect::default())).await;
        assert_eq!(self.next().await, None);
    }
}

pub(crate) fn id(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).unwrap()
}

pub(crate) fn publish(topic: &str, payload: &str, qos: u8) -> Publish {
    Publish {
        dup: false,
        qos: QoS::parse(qos).unwrap(),
        retain: false,
        topic: Some(TopicName::parse(topic, &TopicLimits::STANDARD).unwrap()),
        packet_id: (qos > 0).then(|| id(1)),
        properties: PublishProperties::default(),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
    }
}

pub(crate) fn clean(version: Version, client_id: &str) -> Connect {
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

pub(crate) fn persistent(version: Version, client_id: &str) -> Connect {
    let mut connect = Connect {
        clean_start: false,
        ..clean(version, client_id)
    };
    if version == V5 {
        connect.properties.session_expiry_s = Some(3600);
    }
    connect
}

pub(crate) fn with_will(mut connect: Connect, topic: &str) -> Connect {
    connect.will = Some(Will {
        topic: TopicName::parse(topic, &TopicLimits::STANDARD).unwrap(),
        payload: Bytes::from_static(b"gone"),
        qos: QoS::AtLeastOnce,
        retain: false,
        properties: WillProperties::default(),
    });
    connect
}

/// The same will, so long after the disconnect.
pub(crate) fn delayed(mut connect: Connect, delay_s: u32) -> Connect {
    if let Some(will) = &mut connect.will {
        will.properties.delay_s = Some(delay_s);
    }
    connect
}

fn brief(packet: &Packet) -> String {
    let ack = |name: &str, ack: &Ack| match ack.reason {
        ReasonCode::Success => format!("{name}({})", ack.packet_id),
        reason => format!("{name}({},{:#04x})", ack.packet_id, reason.byte()),
    };
    match packet {
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
        Packet::SubAck(suback) => format!("SUBACK({:#04x})", suback.reasons[0].byte()),
        Packet::PingResp => "PINGRESP".to_owned(),
        Packet::Disconnect(disconnect) => format!("DISCONNECT({:#04x})", disconnect.reason.byte()),
        other => format!("{other:?}"),
    }
}
