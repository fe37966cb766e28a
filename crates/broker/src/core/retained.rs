//! Retained messages: the last one of each topic, for those who subscribe later.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::rc::Rc;

use model::Timestamp;
use mqtt::packet::Publish;
use mqtt::topic::{HashMatchesParent, matches};
use mqtt::{TopicFilter, TopicName};

use super::message::{Life, Message, cost};

/// The retained messages, by topic.
#[derive(Debug)]
pub(crate) struct Retained {
    topics: BTreeMap<Box<str>, Kept>,
    bytes: u64,
    topics_max: usize,
    bytes_max: u64,
}

/// One retained message.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) message: Rc<Message>,
    pub(crate) modified_at: Timestamp,
}

impl Kept {
    fn bytes(&self) -> u64 {
        cost(self.message.publish())
    }
}

impl Retained {
    pub(crate) fn new(topics_max: usize, bytes_max: u64) -> Self {
        Self {
            topics: BTreeMap::new(),
            bytes: 0,
            topics_max,
            bytes_max,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.topics.len()
    }

    /// Whether `publish` may be kept within the bounds, in place of what its topic has.
    // spec aws-iot [MQ-57]
    pub(crate) fn has_room(&self, publish: &Publish) -> bool {
        let topic = publish.topic.as_ref().map_or("", TopicName::as_str);
        let old = self.topics.get(topic);
        let count_fits = old.is_some() || self.topics.len() < self.topics_max;
        let added = cost(publish);
        let left = self.bytes.saturating_sub(old.map_or(0, Kept::bytes));
        count_fits && left.saturating_add(added) <= self.bytes_max
    }

    /// Keeps `message` as its topic's.
    pub(crate) fn put(&mut self, message: Rc<Message>, modified_at: Timestamp) {
        let topic = message.topic().as_str().into();
        let kept = Kept {
            message,
            modified_at,
        };
        self.bytes = self.bytes.saturating_add(kept.bytes());
        if let Some(old) = self.topics.insert(topic, kept) {
            self.bytes = self.bytes.saturating_sub(old.bytes());
        }
    }

    /// Forgets the message of `topic`; whether there was one.
    pub(crate) fn remove(&mut self, topic: &TopicName) -> bool {
        let Some(old) = self.topics.remove(topic.as_str()) else {
            return false;
        };
        self.bytes = self.bytes.saturating_sub(old.bytes());
        true
    }

    /// The message of `topic`, unless it has expired.
    pub(crate) fn get(&self, topic: &TopicName, now: Timestamp) -> Option<&Kept> {
        let kept = self.topics.get(topic.as_str())?;
        (kept.message.life(now) != Life::Over).then_some(kept)
    }

    /// Every message that `filter` selects and that has not expired.
    pub(crate) fn matching(
        &self,
        filter: &TopicFilter,
        parent: HashMatchesParent,
        now: Timestamp,
    ) -> Vec<Kept> {
        // Every topic selected begins with what stands before the first wildcard; `a/#` also
        // selects `a`, so the slash before it does not count.
        let text = filter.as_str();
        let literal = text.find(['+', '#']).map_or(text, |at| &text[..at]);
        let literal = literal.strip_suffix('/').unwrap_or(literal);
        let from = self
            .topics
            .range::<str, _>((Bound::Included(literal), Bound::Unbounded));
        from.take_while(|(topic, _)| topic.starts_with(literal))
            .map(|(_, kept)| kept)
            .filter(|kept| matches(filter, kept.message.topic(), parent))
            .filter(|kept| kept.message.life(now) != Life::Over)
            .cloned()
            .collect()
    }

    /// Messages in the order of their topics, after `after`, as far as topics begin with `prefix`;
    /// expired ones too.
    pub(crate) fn from<'a>(
        &'a self,
        after: &'a str,
        prefix: &'a str,
    ) -> impl Iterator<Item = &'a Kept> {
        let from = if after < prefix {
            Bound::Included(prefix)
        } else {
            Bound::Excluded(after)
        };
        let topics = self.topics.range::<str, _>((from, Bound::Unbounded));
        let spanned = topics.take_while(move |(topic, _)| topic.starts_with(prefix));
        spanned.map(|(_, kept)| kept)
    }

    /// Topics whose message has expired.
    pub(crate) fn expired(&self, now: Timestamp) -> Vec<TopicName> {
        let over = self
            .topics
            .values()
            .filter(|kept| kept.message.life(now) == Life::Over);
        over.map(|kept| kept.message.topic().clone()).collect()
    }
}

#[cfg(test)]
mod tests;
