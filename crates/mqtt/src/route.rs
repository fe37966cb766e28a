//! Who wants a message: an index from topic to subscribers.
//!
//! Most filters of devices hold no wildcard, and a hash table answers for those
//! at once; the others stand in a trie by levels. What both answer is what
//! [`crate::topic::matches`] answers filter by filter.
//!
//! Deliberately not here: one copy for overlapping filters, choosing a member
//! of a shared group, permission. The keys and values mean nothing to the index.

mod subscribers;

use std::collections::HashMap;
use std::sync::Arc;

use crate::topic::{HashMatchesParent, TopicFilter, TopicName};
use subscribers::Subscribers;

/// The subscriptions of all sessions.
///
/// A subscriber `K` has at most one subscription to a filter, described by `V`
/// (its QoS and options). The number of subscriptions is the caller's to bound.
#[derive(Debug)]
pub struct Routes<K, V> {
    parent: HashMatchesParent,
    exact: HashMap<Arc<str>, Subscribers<K, V>>,
    wildcard: Node<K, V>,
    len: usize,
    generation: u64,
}

impl<K: Ord, V> Routes<K, V> {
    /// No subscriptions; `parent` says whether `a/#` selects `a`.
    pub fn new(parent: HashMatchesParent) -> Self {
        Self {
            parent,
            exact: HashMap::new(),
            wildcard: Node::default(),
            len: 0,
            generation: 0,
        }
    }

    /// Subscribes; returns what the subscription was before, if it existed.
    pub fn insert(&mut self, filter: &TopicFilter, subscriber: K, value: V) -> Option<V> {
        self.generation = self.generation.wrapping_add(1);
        let subscribers = if filter.has_wildcard() {
            self.wildcard.at_mut(filter)
        } else {
            self.exact.entry(filter.shared()).or_default()
        };
        let before = subscribers.insert(subscriber, value);
        if before.is_none() {
            self.len = self.len.saturating_add(1);
        }
        before
    }

    /// Unsubscribes; returns what the subscription was, if it existed.
    pub fn remove(&mut self, filter: &TopicFilter, subscriber: &K) -> Option<V> {
        let removed = if filter.has_wildcard() {
            self.wildcard.remove(Some(filter.as_str()), subscriber)
        } else {
            let subscribers = self.exact.get_mut(filter.as_str())?;
            let removed = subscribers.remove(subscriber);
            if subscribers.is_empty() {
                self.exact.remove(filter.as_str());
            }
            removed
        };
        if removed.is_some() {
            self.len = self.len.saturating_sub(1);
            self.generation = self.generation.wrapping_add(1);
        }
        removed
    }

    /// Calls `each` for every subscription whose filter selects `topic`; a
    /// subscriber with several such filters is called once for each. The order
    /// means nothing.
    pub fn matches<'a>(&'a self, topic: &TopicName, mut each: impl FnMut(&'a K, &'a V)) {
        if let Some(subscribers) = self.exact.get(topic.as_str()) {
            subscribers.for_each(&mut each);
        }
        // spec mqtt5 [MQTT-4.7.2-1]; spec aws-iot [MQ-42]
        let reserved = topic.as_str().starts_with('$');
        self.wildcard
            .matches(Some(topic.as_str()), self.parent, !reserved, &mut each);
    }

    /// Changes with every subscription made or ended, so that an answer kept
    /// with the generation it was found at is known to be old by one compare.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The number of subscriptions.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// The filters that begin with the levels on the way from the root to here.
///
/// Every walk descends one node per level, so never deeper than
/// [`crate::TopicLimits::LEVELS_MAX`] of the filters.
#[derive(Debug)]
struct Node<K, V> {
    levels: HashMap<Box<str>, Node<K, V>>,
    plus: Option<Box<Node<K, V>>>,
    /// Those of the filter that ends here.
    here: Subscribers<K, V>,
    /// Those of the filter that ends here with one more level, `#`.
    hash: Subscribers<K, V>,
}

impl<K, V> Default for Node<K, V> {
    fn default() -> Self {
        Self {
            levels: HashMap::new(),
            plus: None,
            here: Subscribers::default(),
            hash: Subscribers::default(),
        }
    }
}

impl<K: Ord, V> Node<K, V> {
    fn is_empty(&self) -> bool {
        self.levels.is_empty()
            && self.plus.is_none()
            && self.here.is_empty()
            && self.hash.is_empty()
    }

    /// The subscribers of `filter`, making the way to them.
    fn at_mut(&mut self, filter: &TopicFilter) -> &mut Subscribers<K, V> {
        let mut node = self;
        for level in filter.as_str().split('/') {
            node = match level {
                "#" => return &mut node.hash,
                "+" => node.plus.get_or_insert_default(),
                level => node.levels.entry(level.into()).or_default(),
            };
        }
        &mut node.here
    }

    /// `rest` is what of the filter lies below this node; `None` if it ends here.
    fn remove(&mut self, rest: Option<&str>, subscriber: &K) -> Option<V> {
        let Some(rest) = rest else {
            return self.here.remove(subscriber);
        };
        match first_level(rest) {
            ("#", _) => self.hash.remove(subscriber),
            ("+", rest) => {
                let node = self.plus.as_mut()?;
                let removed = node.remove(rest, subscriber);
                if node.is_empty() {
                    self.plus = None;
                }
                removed
            }
            (level, rest) => {
                let node = self.levels.get_mut(level)?;
                let removed = node.remove(rest, subscriber);
                if node.is_empty() {
                    self.levels.remove(level);
                }
                removed
            }
        }
    }

    /// `rest` is what of the topic lies below this node; `None` if it ends here.
    fn matches<'a>(
        &'a self,
        rest: Option<&str>,
        parent: HashMatchesParent,
        wildcards: bool,
        each: &mut impl FnMut(&'a K, &'a V),
    ) {
        let Some(rest) = rest else {
            self.here.for_each(each);
            // spec aws-iot [MQ-41]
            if parent == HashMatchesParent::Yes {
                self.hash.for_each(each);
            }
            return;
        };
        let (level, rest) = first_level(rest);
        if wildcards {
            self.hash.for_each(each);
            if let Some(node) = &self.plus {
                node.matches(rest, parent, true, each);
            }
        }
        if let Some(node) = self.levels.get(level) {
            node.matches(rest, parent, true, each);
        }
    }
}

/// The first level of `text`, and what follows its slash.
fn first_level(text: &str) -> (&str, Option<&str>) {
    match text.split_once('/') {
        Some((level, rest)) => (level, Some(rest)),
        None => (text, None),
    }
}

#[cfg(test)]
mod tests;
