//! A device at the command line: MQTT 5 over mutual TLS with a bundle's certificate.
//!
//! Enough for `pub`, `sub` and the demonstration: QoS 0 and 1, one packet answered at a time.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use bytes::{Bytes, BytesMut};
use model::SystemClock;
use mqtt::packet::{
    Ack, AckProperties, Connect, ConnectProperties, Disconnect, DisconnectProperties, Publish,
    PublishProperties, RetainHandling, Subscribe, SubscribeProperties, SubscriptionRequest,
};
use mqtt::{Limits, Packet, QoS, ReasonCode, Sender, TopicName, Version};
use pki::tls::{ClientSettings, SecurityPolicy};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::bundle::Bundle;
use crate::usage::usage;

/// The largest packet taken, in bytes.
const PACKET_MAX: usize = 1 << 20;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
const KEEP_ALIVE_S: u16 = 60;
/// Messages kept that arrived while an answer was awaited.
const WAITING_MAX: usize = 10_000;

/// A connected device.
pub(crate) struct Device {
    stream: TlsStream<TcpStream>,
    buffer: BytesMut,
    waiting: VecDeque<Publish>,
    next_id: NonZeroU16,
}

/// The broker said no, in its own words.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) reason: ReasonCode,
    pub(crate) text: Option<String>,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "refused, reason 0x{:02X}", self.reason.byte())?;
        match &self.text {
            Some(text) => write!(out, ": {text}"),
            None if self.reason == ReasonCode::SessionTakenOver => {
                out.write_str(": another connection of the same client id took its place")
            }
            None => write!(out, ": {:?}", self.reason),
        }
    }
}

impl Refusal {
    /// The denial id in the reason string: its 32 hexadecimal characters.
    pub(crate) fn denial_id(&self) -> Option<&str> {
        let text = self.text.as_deref()?;
        let mut words = text.split(|letter: char| !letter.is_ascii_hexdigit());
        words.find(|word| word.len() == 32)
    }
}

/// The connection ended without a word.
#[derive(Debug)]
struct Closed;

impl std::fmt::Display for Closed {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("the platform closed the connection")
    }
}

impl std::error::Error for Closed {}

impl std::error::Error for Refusal {}

/// A topic to publish to.
///
/// # Errors
/// [`Usage`](crate::usage::Usage) when it is none, before anything is sent.
pub(crate) fn topic_name(text: &str) -> Result<TopicName> {
    let parsed = TopicName::parse(text, &Limits::STANDARD.topic);
    parsed.map_err(|error| usage(anyhow!("`{text}` cannot be published to: {error}")))
}

fn refusal(reason: ReasonCode, text: Option<String>) -> anyhow::Error {
    Refusal { reason, text }.into()
}

impl Device {
    /// Connects with a clean session.
    ///
    /// # Errors
    /// [`Refusal`] when the broker answers and says no.
    pub(crate) async fn connect(bundle: &Bundle, client_id: &str) -> Result<Self> {
        let connection = &bundle.connection;
        let tls = pki::tls::client_config(ClientSettings {
            roots_pem: &bundle.ca,
            identity: Some((&bundle.certificate, &bundle.private_key)),
            send_sni: true,
            policy: SecurityPolicy::Tls13And12,
            alpn: Vec::new(),
            clock: Arc::new(SystemClock),
        })?;
        let tcp = TcpStream::connect((connection.host.as_str(), connection.port)).await;
        let tcp = tcp.with_context(|| {
            format!("nothing answers at {}:{}", connection.host, connection.port)
        })?;
        tcp.set_nodelay(true)?;
        let name = ServerName::try_from(connection.host.clone())?;
        let stream = tokio_rustls::TlsConnector::from(tls)
            .connect(name, tcp)
            .await?;
        let mut device = Self {
            stream,
            buffer: BytesMut::new(),
            waiting: VecDeque::new(),
            next_id: NonZeroU16::MIN,
        };
        device.handshake(client_id).await?;
        Ok(device)
    }

    async fn handshake(&mut self, client_id: &str) -> Result<()> {
        let connect = Packet::Connect(Box::new(Connect {
            version: Version::V5,
            client_id: client_id.to_owned(),
            clean_start: true,
            keep_alive_s: KEEP_ALIVE_S,
            will: None,
            username: None,
            password: None,
            properties: ConnectProperties::default(),
        }));
        self.send(&connect).await?;
        let answer = self.answer().await.map_err(|error| {
            if error.is::<Closed>() {
                return error.context(
                    "no answer to CONNECT, as when a certificate is revoked, inactive or not \
                     registered here",
                );
            }
            error
        });
        match answer? {
            Packet::ConnAck(ack) if ack.reason == ReasonCode::Success => Ok(()),
            Packet::ConnAck(ack) => Err(refusal(ack.reason, ack.properties.reason_string)),
            other => bail!("{other:?} instead of CONNACK"),
        }
    }

    /// Publishes and, at QoS 1, waits for the answer.
    ///
    /// # Errors
    /// [`Refusal`] with the broker's reason.
    pub(crate) async fn publish(
        &mut self,
        topic: &str,
        payload: Bytes,
        qos: QoS,
        retain: bool,
    ) -> Result<()> {
        let topic = topic_name(topic)?;
        let packet_id = (qos != QoS::AtMostOnce).then(|| self.id());
        let properties = PublishProperties::default();
        let publish = Publish {
            dup: false,
            qos,
            retain,
            topic: Some(topic),
            packet_id,
            properties,
            payload,
        };
        self.send(&Packet::Publish(publish)).await?;
        if packet_id.is_none() {
            return Ok(());
        }
        match self.answer().await? {
            Packet::PubAck(ack) if !ack.reason.is_error() => Ok(()),
            Packet::PubAck(ack) => Err(refusal(ack.reason, ack.properties.reason_string)),
            other => bail!("{other:?} instead of PUBACK"),
        }
    }

    /// Subscribes to one filter at QoS 1.
    ///
    /// # Errors
    /// [`Refusal`] with the broker's reason.
    pub(crate) async fn subscribe(&mut self, filter: &str) -> Result<()> {
        let request = SubscriptionRequest {
            filter: filter.to_owned(),
            qos: QoS::AtLeastOnce,
            no_local: false,
            retain_as_published: false,
            retain_handling: RetainHandling::Send,
        };
        let packet_id = self.id();
        let properties = SubscribeProperties::default();
        let filters = vec![request];
        self.send(&Packet::Subscribe(Subscribe {
            packet_id,
            filters,
            properties,
        }))
        .await?;
        match self.answer().await? {
            Packet::SubAck(ack) => match ack.reasons.first() {
                Some(reason) if !reason.is_error() => Ok(()),
                Some(reason) => Err(refusal(*reason, ack.properties.reason_string)),
                None => bail!("SUBACK without a reason"),
            },
            other => bail!("{other:?} instead of SUBACK"),
        }
    }

    /// The next message, however long it takes; keeps the connection alive meanwhile.
    ///
    /// # Errors
    /// [`Refusal`] when the broker disconnects with a reason.
    pub(crate) async fn next(&mut self) -> Result<Publish> {
        if let Some(message) = self.waiting.pop_front() {
            return Ok(message);
        }
        loop {
            let half = Duration::from_secs(u64::from(KEEP_ALIVE_S) / 2);
            match tokio::time::timeout(half, self.packet()).await {
                Err(_) => self.send(&Packet::PingReq).await?,
                Ok(packet) => match packet? {
                    Packet::Publish(message) => return Ok(message),
                    Packet::PingResp => {}
                    other => bail!("{other:?} instead of a message"),
                },
            }
        }
    }

    /// Waits until the broker ends the connection, and says why.
    pub(crate) async fn closed(&mut self) -> anyhow::Error {
        loop {
            match self.packet().await {
                Ok(_) => {}
                Err(error) => return error,
            }
        }
    }

    /// Says goodbye.
    pub(crate) async fn disconnect(mut self) -> Result<()> {
        let properties = DisconnectProperties::default();
        let reason = ReasonCode::Success;
        self.send(&Packet::Disconnect(Disconnect { reason, properties }))
            .await?;
        self.stream.shutdown().await?;
        Ok(())
    }

    fn id(&mut self) -> NonZeroU16 {
        let id = self.next_id;
        self.next_id = id.checked_add(1).unwrap_or(NonZeroU16::MIN);
        id
    }

    async fn send(&mut self, packet: &Packet) -> Result<()> {
        let mut out = BytesMut::new();
        mqtt::encode(packet, Version::V5, &mut out)?;
        self.stream.write_all(&out).await?;
        self.stream.flush().await?;
        Ok(())
    }

    /// The next packet that is not a message; messages are kept.
    async fn answer(&mut self) -> Result<Packet> {
        let answer = async {
            loop {
                match self.packet().await? {
                    Packet::Publish(message) if self.waiting.len() < WAITING_MAX => {
                        self.waiting.push_back(message);
                    }
                    Packet::Publish(_) => bail!("more than {WAITING_MAX} messages wait"),
                    other => return Ok(other),
                }
            }
        };
        let timed = tokio::time::timeout(PATIENCE, answer).await;
        timed.map_err(|_| anyhow!("no answer within {} s", PATIENCE.as_secs()))?
    }

    /// The next packet; a QoS 1 message is acknowledged.
    async fn packet(&mut self) -> Result<Packet> {
        let limits = Limits {
            sender: Sender::Server,
            packet_bytes_max: PACKET_MAX,
            ..Limits::STANDARD
        };
        loop {
            if let Some(packet) = mqtt::decode_from(&mut self.buffer, Version::V5, &limits)? {
                match packet {
                    Packet::Disconnect(end) => {
                        return Err(refusal(end.reason, end.properties.reason_string));
                    }
                    Packet::Publish(message) => {
                        self.acknowledge(&message).await?;
                        return Ok(Packet::Publish(message));
                    }
                    other => return Ok(other),
                }
            }
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(1..) => {}
                Ok(0) => return Err(Closed.into()),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                    return Err(Closed.into());
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn acknowledge(&mut self, message: &Publish) -> Result<()> {
        let Some(packet_id) = message.packet_id else {
            return Ok(());
        };
        let properties = AckProperties::default();
        let ack = Ack {
            packet_id,
            reason: ReasonCode::Success,
            properties,
        };
        self.send(&Packet::PubAck(ack)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_denial_id_is_found() {
        let id = "0123456789abcdef0123456789abcdef";
        let refusal = Refusal {
            reason: ReasonCode::NotAuthorized,
            text: Some(format!("not authorized; denial id {id}")),
        };
        assert_eq!(refusal.denial_id(), Some(id));
    }

    #[test]
    fn a_refusal_without_words_is_named() {
        let told = |reason| Refusal { reason, text: None }.to_string();
        assert_eq!(
            told(ReasonCode::SessionTakenOver),
            "refused, reason 0x8E: another connection of the same client id took its place"
        );
        assert_eq!(
            told(ReasonCode::ServerBusy),
            "refused, reason 0x89: ServerBusy"
        );
    }

    #[test]
    fn what_cannot_be_published_to_is_said_first() {
        assert!(topic_name("things/pump-7/t").is_ok());
        for bad in ["", "a/+", "#"] {
            let error = topic_name(bad).expect_err(bad);
            assert!(error.is::<crate::usage::Usage>(), "{error}");
        }
    }
}
