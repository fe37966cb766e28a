//! Topic aliases: numbers that stand for topics, on one connection.
//!
//! Both directions have their own; both end with the connection, so a reconnect
//! starts with new values of these types.
//!
//! Source: mqtt5 section 3.3.2.3.4.

use std::collections::BTreeMap;
use std::num::NonZeroU16;

use super::SessionError;
use crate::packet::Publish;
use crate::topic::TopicName;

/// The aliases that the peer has given.
#[derive(Clone, Debug)]
pub struct InboundAliases {
    maximum: u16,
    /// At most `maximum` of them.
    topics: BTreeMap<NonZeroU16, TopicName>,
}

impl InboundAliases {
    /// None yet; `maximum` is the Topic Alias Maximum that we announced.
    pub fn new(maximum: u16) -> Self {
        Self {
            maximum,
            topics: BTreeMap::new(),
        }
    }

    /// Gives `publish` the topic that its alias stands for, and takes the alias
    /// out of it, as it means nothing to anyone else.
    ///
    /// # Errors
    ///
    /// When the alias is over the maximum, or stands for nothing yet.
    // spec mqtt5 [MQTT-3.3.2-7] to [MQTT-3.3.2-10], [MQTT-3.3.2-12]; spec aws-iot [MQ-80]
    pub fn resolve(&mut self, publish: &mut Publish) -> Result<(), SessionError> {
        let Some(number) = publish.properties.topic_alias.take() else {
            return Ok(());
        };
        let alias = number.get();
        if self.maximum < alias {
            return Err(SessionError::TopicAliasTooHigh {
                alias,
                max: self.maximum,
            });
        }
        match &publish.topic {
            Some(topic) => {
                self.topics.insert(number, topic.clone());
            }
            None => {
                let topic = self.topics.get(&number).cloned();
                publish.topic = Some(topic.ok_or(SessionError::TopicAliasUnknown { alias })?);
            }
        }
        Ok(())
    }
}

/// How to name a topic to the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alias {
    /// By its name alone.
    Name,
    /// By its name, and let this number stand for it from now on.
    Assign(NonZeroU16),
    /// By this number alone.
    Use(NonZeroU16),
}

/// The aliases that we have given: the first topics sent get one.
#[derive(Clone, Debug)]
pub struct OutboundAliases {
    maximum: u16,
    /// At most `maximum` of them, numbered in the order in which they came.
    numbers: BTreeMap<TopicName, NonZeroU16>,
}

impl OutboundAliases {
    /// None yet; the peer announced `peer_maximum`, and we keep no more than
    /// `own_maximum`.
    pub fn new(peer_maximum: u16, own_maximum: u16) -> Self {
        Self {
            maximum: peer_maximum.min(own_maximum),
            numbers: BTreeMap::new(),
        }
    }

    /// How to name `topic` in the next packet.
    pub fn alias_for(&self, topic: &TopicName) -> Alias {
        if self.maximum == 0 {
            return Alias::Name;
        }
        match self.numbers.get(topic) {
            Some(&number) => Alias::Use(number),
            None => self.next_free().map_or(Alias::Name, Alias::Assign),
        }
    }

    /// A packet with [`Alias::Assign`] for `topic` has gone out.
    ///
    /// Told apart from choosing it, because a packet that is dropped for its
    /// size teaches the peer nothing.
    pub fn assigned(&mut self, topic: &TopicName) {
        if !self.numbers.contains_key(topic)
            && let Some(number) = self.next_free()
        {
            self.numbers.insert(topic.clone(), number);
        }
    }

    // spec mqtt5 [MQTT-3.3.2-9]: never above what the peer announced.
    fn next_free(&self) -> Option<NonZeroU16> {
        let number = u16::try_from(self.numbers.len()).ok()?.checked_add(1)?;
        NonZeroU16::new(number).filter(|number| number.get() <= self.maximum)
    }
}
