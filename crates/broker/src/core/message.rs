//! Messages, and who still waits for them.
//!
//! A message is held once, in memory and on disk, however many wait for it. Each who waits has an
//! [`Entry`]; the message's row goes with the first stored entry and leaves with the last.

use std::cell::Cell;
use std::num::NonZeroU16;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use model::Timestamp;
use mqtt::packet::{Publish, SubscriptionIdentifier};
use mqtt::{Packet, QoS, TopicName, Version};

use super::arena::Key;
use super::journal::Journal;
use super::session::Session;
use super::shared::Group;
use crate::store::{EntryRow, Op};

/// A message on its way to subscribers.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) id: u64,
    topic: TopicName,
    /// As published; packet id, DUP and alias taken out.
    publish: Publish,
    /// For caches of verdicts by topic.
    pub(crate) topic_hash: u64,
    pub(crate) expires_at: Option<Timestamp>,
    /// Who published it, for No Local.
    pub(crate) publisher: Option<Key<Session>>,
    /// Entries that hold it.
    waiting: Cell<u32>,
    /// Those of them that are on disk.
    stored: Cell<u32>,
}

/// How long a message may still be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// Its publisher set no limit.
    Unlimited,
    /// This many whole seconds.
    Seconds(u32),
    /// No longer.
    Over,
}

impl Message {
    pub(crate) fn topic(&self) -> &TopicName {
        &self.topic
    }

    pub(crate) fn publish(&self) -> &Publish {
        &self.publish
    }

    pub(crate) fn qos(&self) -> QoS {
        self.publish.qos
    }

    // spec mqtt5 [MQTT-3.3.2-5], [MQTT-3.3.2-6]; spec aws-iot [MQ-81]: floored, and whatever
    // version the receiver speaks.
    pub(crate) fn life(&self, now: Timestamp) -> Life {
        let Some(expires_at) = self.expires_at else {
            return Life::Unlimited;
        };
        if expires_at <= now {
            return Life::Over;
        }
        let left = expires_at.since(now).as_secs();
        Life::Seconds(u32::try_from(left).unwrap_or(u32::MAX))
    }

    /// What it costs to hold, in bytes.
    fn bytes(&self) -> u64 {
        cost(&self.publish)
    }

    /// The form it is stored in; see [`body`].
    pub(crate) fn body(&self) -> Bytes {
        body(&self.publish)
    }
}

/// What a message costs to hold, in bytes: all that its publisher chose, and a fixed part.
pub(crate) fn cost(publish: &Publish) -> u64 {
    /// The message itself, its place in maps and lists, what allocators round up.
    const FIXED: usize = 256;
    /// Of each user property: two strings.
    const PROPERTY: usize = 48;
    let properties = &publish.properties;
    let length = |text: Option<&str>| text.map_or(0, str::len);
    let pairs = properties.user_properties.iter();
    let parts = FIXED
        + publish.payload.len()
        + length(publish.topic.as_ref().map(TopicName::as_str))
        + length(properties.response_topic.as_ref().map(TopicName::as_str))
        + length(properties.content_type.as_deref())
        + properties.correlation_data.as_ref().map_or(0, Bytes::len)
        + pairs
            .map(|(key, value)| PROPERTY + key.len() + value.len())
            .sum::<usize>();
    u64::try_from(parts).unwrap_or(u64::MAX)
}

/// A PUBLISH as it is stored: a whole packet of version 5, under packet id 1 where there must be
/// one. [`from_body`] reads it back.
pub(crate) fn body(publish: &Publish) -> Bytes {
    let mut plain = publish.clone();
    plain.dup = false;
    plain.packet_id = (plain.qos != QoS::AtMostOnce).then_some(NonZeroU16::MIN);
    let mut out = BytesMut::new();
    match mqtt::encode(&Packet::Publish(plain), Version::V5, &mut out) {
        Ok(()) => out.freeze(),
        // What was decoded within the same limits can be encoded.
        Err(error) => {
            tracing::error!(%error, "a message could not be encoded for the disk");
            Bytes::new()
        }
    }
}

/// Reads what [`body`] wrote.
pub(crate) fn from_body(body: &[u8]) -> Result<Publish, BadBody> {
    const LIMITS: mqtt::Limits = mqtt::Limits {
        packet_bytes_max: usize::MAX,
        user_property_bytes_max: usize::MAX,
        ..mqtt::Limits::STANDARD
    };
    match mqtt::decode(body, Version::V5, &LIMITS)? {
        Some((Packet::Publish(publish), _)) => Ok(publish),
        _ => Err(BadBody::NotPublish),
    }
}

/// A stored message that cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadBody {
    #[error("the body is not a whole PUBLISH packet")]
    NotPublish,
    #[error("the body is not a packet")]
    Malformed(#[from] mqtt::DecodeError),
}

/// One who waits for a message, or has it in flight.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: u64,
    pub(crate) message: Rc<Message>,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) identifier: Option<SubscriptionIdentifier>,
    /// The shared subscription it came through.
    pub(crate) group: Option<Key<Group>>,
    /// Whether it is on disk.
    pub(crate) stored: bool,
    /// Who asked to be told of its acknowledgement.
    pub(crate) confirm: Option<u64>,
}

/// What one receiver gets of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) identifier: Option<SubscriptionIdentifier>,
}

/// Makes messages and entries, and knows how much is held.
#[derive(Debug)]
pub(crate) struct Ledger {
    next_message: u64,
    next_entry: u64,
    bytes: u64,
    bytes_max: u64,
}

impl Ledger {
    /// Counts on from what was stored.
    pub(crate) fn new(bytes_max: u64, next_message: u64, next_entry: u64) -> Self {
        Self {
            next_message,
            next_entry,
            bytes: 0,
            bytes_max,
        }
    }

    /// A new message. A PUBLISH that names no topic is none; aliases are resolved before.
    pub(crate) fn message(
        &mut self,
        publish: Publish,
        publisher: Option<Key<Session>>,
        expires_at: Option<Timestamp>,
    ) -> Option<Rc<Message>> {
        self.next_message += 1;
        Self::message_with_id(self.next_message, publish, publisher, expires_at)
    }

    /// A message from the disk.
    pub(crate) fn message_with_id(
        id: u64,
        mut publish: Publish,
        publisher: Option<Key<Session>>,
        expires_at: Option<Timestamp>,
    ) -> Option<Rc<Message>> {
        let topic = publish.topic.clone()?;
        publish.packet_id = None;
        publish.dup = false;
        let shares = mqtt::SHARED_PAYLOAD_BYTES_MIN..KEPT_WHOLE_BYTES_MIN;
        if shares.contains(&publish.payload.len()) {
            publish.payload = Bytes::copy_from_slice(&publish.payload);
        }
        Some(Rc::new(Message {
            id,
            topic_hash: hash(topic.as_str()),
            topic,
            publish,
            expires_at,
            publisher,
            waiting: Cell::new(0),
            stored: Cell::new(0),
        }))
    }

    /// Whether one more who waits for `message` is within the bound on memory.
    pub(crate) fn has_room(&self, message: &Message) -> bool {
        message.waiting.get() > 0 || self.bytes.saturating_add(message.bytes()) <= self.bytes_max
    }

    /// Bytes of all messages that somebody waits for.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds one who waits. With a `holder` it is stored.
    pub(crate) fn hold(
        &mut self,
        message: &Rc<Message>,
        terms: Terms,
        group: Option<Key<Group>>,
        holder: Option<&str>,
        journal: &mut Journal,
    ) -> Entry {
        self.next_entry += 1;
        let entry = Entry {
            id: self.next_entry,
            message: Rc::clone(message),
            qos: terms.qos,
            retain: terms.retain,
            identifier: terms.identifier,
            group,
            stored: holder.is_some(),
            confirm: None,
        };
        self.count(message);
        if let Some(holder) = holder {
            Self::store(message, journal);
            journal.write(Op::Entry(Box::new(row(&entry, holder))));
        }
        entry
    }

    /// An entry from the disk.
    pub(crate) fn restored(
        &mut self,
        row: &EntryRow,
        message: &Rc<Message>,
        group: Option<Key<Group>>,
    ) -> Entry {
        self.count(message);
        message.stored.set(message.stored.get() + 1);
        Entry {
            id: row.entry,
            message: Rc::clone(message),
            qos: QoS::parse(row.qos).unwrap_or_default(),
            retain: row.retain,
            identifier: row.identifier.and_then(SubscriptionIdentifier::new),
            group,
            stored: true,
            confirm: None,
        }
    }

    fn count(&mut self, message: &Message) {
        if message.waiting.get() == 0 {
            self.bytes = self.bytes.saturating_add(message.bytes());
        }
        message.waiting.set(message.waiting.get() + 1);
    }

    fn store(message: &Rc<Message>, journal: &mut Journal) {
        if message.stored.get() == 0 {
            journal.write_message(message);
        }
        message.stored.set(message.stored.get() + 1);
    }

    /// Moves an entry to another holder; without one it is no longer stored.
    pub(crate) fn rehome(
        &mut self,
        entry: Entry,
        holder: Option<&str>,
        journal: &mut Journal,
    ) -> Entry {
        let message = Rc::clone(&entry.message);
        let terms = Terms {
            qos: entry.qos,
            retain: entry.retain,
            identifier: entry.identifier,
        };
        let moved = self.hold(&message, terms, entry.group, holder, journal);
        self.end(entry, journal);
        moved
    }

    /// One who waited has it, or will not have it.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "an ended entry must not be used again"
    )]
    pub(crate) fn end(&mut self, entry: Entry, journal: &mut Journal) {
        let message = &entry.message;
        if entry.stored {
            journal.write(Op::EntryEnd { entry: entry.id });
            Self::unstore(message, journal);
        }
        let waiting = message.waiting.get().saturating_sub(1);
        message.waiting.set(waiting);
        if waiting == 0 {
            self.bytes = self.bytes.saturating_sub(message.bytes());
        }
    }

    fn unstore(message: &Message, journal: &mut Journal) {
        let stored = message.stored.get().saturating_sub(1);
        message.stored.set(stored);
        if stored == 0 {
            journal.write(Op::MessageEnd { id: message.id });
        }
    }
}

/// Below this a payload that may share the buffer it was read into is copied out of it, or it
/// would keep that in memory whole.
const KEPT_WHOLE_BYTES_MIN: usize = 64 * 1024;

fn row(entry: &Entry, holder: &str) -> EntryRow {
    EntryRow {
        entry: entry.id,
        holder: holder.to_owned(),
        message: entry.message.id,
        qos: entry.qos.number(),
        retain: entry.retain,
        identifier: entry.identifier.map(SubscriptionIdentifier::number),
        packet_id: None,
        released: false,
    }
}

/// FNV-1a: short, fast on short text, and collisions cost a comparison only.
pub(crate) fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
