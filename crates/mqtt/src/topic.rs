//! Topic names and filters: what is valid, and which filter selects which name.
//!
//! A name says where one message goes; a filter says which messages are wanted,
//! perhaps with wildcards. They are two types because a wildcard is legal in
//! one and not in the other. A share name is no part of the filter behind it.
//!
//! Deliberately not here: who may use a topic, and what `$aws/…` means.
//!
//! Source: mqtt5 sections 4.7 and 4.8.2; mqtt311 section 4.7.

use std::fmt;
use std::sync::Arc;

/// What topic names and filters may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicLimits {
    /// Length in bytes of UTF-8.
    pub bytes_max: usize,
    /// Levels, one more than there are slashes; at most [`Self::LEVELS_MAX`]
    /// counts.
    pub levels_max: usize,
}

impl TopicLimits {
    /// The most levels that any setting can permit. Whatever descends level by
    /// level descends no further.
    pub const LEVELS_MAX: usize = 128;

    /// What the protocol itself permits, but for the bound on levels.
    pub const STANDARD: Self = Self {
        bytes_max: 65_535,
        levels_max: Self::LEVELS_MAX,
    };

    /// The quotas of AWS IoT: 256 bytes, 7 slashes.
    // spec aws-iot [MQ-30]
    pub const AWS: Self = Self {
        bytes_max: 256,
        levels_max: 8,
    };

    fn check(&self, text: &str) -> Result<(), TopicError> {
        if self.bytes_max < text.len() {
            return Err(TopicError::TooLong {
                len: text.len(),
                max: self.bytes_max,
            });
        }
        let levels = text.split('/').count();
        let max = self.levels_max.min(Self::LEVELS_MAX);
        if levels <= max {
            Ok(())
        } else {
            Err(TopicError::TooDeep { levels, max })
        }
    }
}

/// A topic name: at least one byte, no `+`, `#` or U+0000. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicName(Arc<str>);

impl TopicName {
    /// Reads a topic name.
    ///
    /// # Errors
    ///
    /// Names the offending byte or the limit that is passed.
    // spec mqtt5 [MQTT-3.3.2-2], [MQTT-4.7.3-1], [MQTT-4.7.3-2]
    // spec mqtt311 [MQTT-4.7.1-1], [MQTT-4.7.3-1], [MQTT-4.7.3-2]
    pub fn parse(text: &str, limits: &TopicLimits) -> Result<Self, TopicError> {
        if text.is_empty() {
            return Err(TopicError::Empty);
        }
        match text
            .bytes()
            .position(|byte| matches!(byte, b'+' | b'#' | 0))
        {
            Some(at) if text.as_bytes().get(at) == Some(&0) => return Err(TopicError::Nul { at }),
            Some(at) => return Err(TopicError::Wildcard { at }),
            None => (),
        }
        limits.check(without_basic_ingest(text))?;
        Ok(Self(text.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What of a topic name counts against the limits.
// spec aws-iot [MQ-30]: the first three levels of Basic Ingest do not.
fn without_basic_ingest(text: &str) -> &str {
    text.strip_prefix("$aws/rules/")
        .and_then(|rest| rest.split_once('/'))
        .map_or(text, |(_rule, topic)| topic)
}

/// A topic filter: at least one byte, `+` only as a whole level, `#` only as
/// the whole last level, no U+0000. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicFilter(Arc<str>);

impl TopicFilter {
    /// Reads a topic filter. A leading `$share` means nothing here; see
    /// [`parse_subscription`].
    ///
    /// # Errors
    ///
    /// Names the offending byte or the limit that is passed.
    // spec mqtt5 [MQTT-4.7.1-1], [MQTT-4.7.1-2], [MQTT-4.7.3-1], [MQTT-4.7.3-2]
    // spec mqtt311 [MQTT-4.7.1-2], [MQTT-4.7.1-3]; spec aws-iot [MQ-44]
    pub fn parse(text: &str, limits: &TopicLimits) -> Result<Self, TopicError> {
        if text.is_empty() {
            return Err(TopicError::Empty);
        }
        if let Some(at) = text.bytes().position(|byte| byte == 0) {
            return Err(TopicError::Nul { at });
        }
        limits.check(text)?;
        let mut at = 0_usize;
        for level in text.split('/') {
            let end = at.saturating_add(level.len());
            if level == "#" && end < text.len() {
                return Err(TopicError::HashNotLast { at });
            }
            if level.len() > 1
                && let Some(wildcard) = level.bytes().position(|byte| matches!(byte, b'+' | b'#'))
            {
                return Err(TopicError::WildcardNotAlone {
                    at: at.saturating_add(wildcard),
                });
            }
            at = end.saturating_add(1);
        }
        Ok(Self(text.into()))
    }

    /// The filter as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The filter as text that others may hold too.
    pub(crate) fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }

    /// Whether it holds a wildcard; without one it selects the topic of its
    /// own name, and no other.
    pub fn has_wildcard(&self) -> bool {
        self.0.contains(['+', '#'])
    }
}

/// Whether `a/#` selects `a` itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashMatchesParent {
    /// As the standard has it.
    Yes,
    /// As AWS IoT has it.
    No,
}

/// Whether `filter` selects `topic`.
///
/// The one meaning of filters; what is faster is tested against it.
pub fn matches(filter: &TopicFilter, topic: &TopicName, parent: HashMatchesParent) -> bool {
    let (filter, topic) = (filter.as_str(), topic.as_str());
    // spec mqtt5 [MQTT-4.7.2-1]; spec mqtt311 [MQTT-4.7.2-1]; spec aws-iot [MQ-42]
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut topic_levels = topic.split('/');
    for filter_level in filter.split('/') {
        match (filter_level, topic_levels.next()) {
            ("#", Some(_)) => return true,
            // spec mqtt5 [4.7.1.2]; spec aws-iot [MQ-41]
            ("#", None) => return parent == HashMatchesParent::Yes,
            ("+", Some(_)) => (),
            (wanted, Some(level)) if wanted == level => (),
            _ => return false,
        }
    }
    topic_levels.next().is_none()
}

/// What every filter of a shared subscription starts with.
pub(crate) const SHARE_PREFIX: &str = "$share/";

/// What a client subscribes to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SubscriptionFilter {
    /// Every matching message, for this session.
    Own(TopicFilter),
    /// Its part of the matching messages, as a member of a group.
    Shared(SharedFilter),
}

impl SubscriptionFilter {
    /// The filter that selects the messages, without the share name.
    pub fn filter(&self) -> &TopicFilter {
        match self {
            Self::Own(filter) => filter,
            Self::Shared(shared) => &shared.filter,
        }
    }
}

/// `$share/{name}/{filter}`. Name and filter together are the group.
// spec aws-iot [MQ-71]
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SharedFilter {
    /// The share name.
    pub name: ShareName,
    /// The filter behind it.
    pub filter: TopicFilter,
}

/// The name of a shared subscription: 1 to 128 characters, no `/`, `+`, `#` or
/// U+0000. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShareName(Arc<str>);

impl ShareName {
    /// The longest share name, in characters.
    // spec aws-iot [MQ-70]
    pub const CHARACTERS_MAX: usize = 128;

    /// Reads a share name.
    ///
    /// # Errors
    ///
    /// [`TopicError::ShareName`], whatever is wrong with it.
    // spec mqtt5 [MQTT-4.8.2-1]; spec aws-iot [MQ-70]
    pub fn parse(text: &str) -> Result<Self, TopicError> {
        let fits = (1..=Self::CHARACTERS_MAX).contains(&text.chars().count());
        if fits && !text.contains(['/', '+', '#', '\0']) {
            Ok(Self(text.into()))
        } else {
            Err(TopicError::ShareName)
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Reads what SUBSCRIBE and UNSUBSCRIBE name: a filter, alone or shared.
///
/// The limits hold for the filter alone.
///
/// # Errors
///
/// Names the offending byte of the filter or the limit that is passed.
// spec mqtt5 [MQTT-4.8.2-1], [MQTT-4.8.2-2]; spec aws-iot [MQ-30], [MQ-70]
pub fn parse_subscription(
    text: &str,
    limits: &TopicLimits,
) -> Result<SubscriptionFilter, TopicError> {
    let Some(shared) = text.strip_prefix(SHARE_PREFIX) else {
        return TopicFilter::parse(text, limits).map(SubscriptionFilter::Own);
    };
    let (name, filter) = shared.split_once('/').ok_or(TopicError::ShareFilter)?;
    let name = ShareName::parse(name)?;
    let filter = TopicFilter::parse(filter, limits)?;
    Ok(SubscriptionFilter::Shared(SharedFilter { name, filter }))
}

/// Why a text is no topic name, filter or share name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// It has no bytes.
    #[error("topic is empty")]
    Empty,
    /// It has too many bytes.
    #[error("topic of {len} bytes is over the limit of {max}")]
    TooLong {
        /// Its bytes.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// It has too many levels.
    #[error("topic of {levels} levels is over the limit of {max}")]
    TooDeep {
        /// Its levels.
        levels: usize,
        /// The limit.
        max: usize,
    },
    /// It holds U+0000.
    #[error("topic holds U+0000 at byte {at}")]
    Nul {
        /// Where.
        at: usize,
    },
    /// It is a name, and holds a wildcard.
    #[error("topic name holds a wildcard at byte {at}")]
    Wildcard {
        /// Where.
        at: usize,
    },
    /// It is a filter, and a wildcard shares its level with other characters.
    #[error("wildcard at byte {at} is not a whole level")]
    WildcardNotAlone {
        /// Where.
        at: usize,
    },
    /// It is a filter, and levels follow `#`.
    #[error("`#` at byte {at} is not the last level")]
    HashNotLast {
        /// Where.
        at: usize,
    },
    /// The share name is empty, too long, or holds a wildcard.
    #[error("share name is not 1 to 128 characters without `/`, `+`, `#`")]
    ShareName,
    /// Nothing follows the share name.
    #[error("no filter follows the share name")]
    ShareFilter,
}

impl fmt::Debug for TopicName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), out)
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl fmt::Debug for TopicFilter {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), out)
    }
}

impl fmt::Display for TopicFilter {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl fmt::Debug for ShareName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), out)
    }
}

impl fmt::Display for ShareName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl fmt::Display for SubscriptionFilter {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own(filter) => filter.fmt(out),
            Self::Shared(SharedFilter { name, filter }) => {
                write!(out, "{SHARE_PREFIX}{name}/{filter}")
            }
        }
    }
}

#[cfg(test)]
mod tests;
