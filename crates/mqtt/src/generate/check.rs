//! What holds for any bytes and any text, whoever made them up.

use bytes::BytesMut;

use crate::packet::{Sender, Version};
use crate::topic::{
    HashMatchesParent, TopicFilter, TopicLimits, TopicName, matches, parse_subscription,
};
use crate::{Limits, decode, decode_from, encode, encoded_len};

/// The limits under which every generated packet of `sender` is valid.
pub fn limits(sender: Sender) -> Limits {
    Limits {
        sender,
        ..Limits::STANDARD
    }
}

/// Holds for any bytes: nothing panics, both ways of decoding agree, and what
/// was decoded is what is decoded from its own encoding.
///
/// # Panics
///
/// When it does not hold.
pub fn check_decode(bytes: &[u8]) {
    for version in [Version::V311, Version::V5] {
        for sender in [Sender::Client, Sender::Server] {
            let limits = limits(sender);
            let decoded = decode(bytes, version, &limits);
            let taken = decode_from(&mut BytesMut::from(bytes), version, &limits);
            let packet = decoded.clone().map(|found| found.map(|(packet, _)| packet));
            assert_eq!(packet, taken, "shared and copied differ");
            let Ok(Some((packet, _))) = decoded else {
                continue;
            };
            let mut again = BytesMut::new();
            assert_eq!(encode(&packet, version, &mut again), Ok(()), "{packet:?}");
            assert_eq!(encoded_len(&packet, version), Ok(again.len()), "{packet:?}");
            let len = again.len();
            assert_eq!(decode(&again, version, &limits), Ok(Some((packet, len))));
        }
    }
}

/// Holds for any text: nothing panics, what is accepted reads back as it was
/// written, and a filter without wildcards selects the topic of its own name.
///
/// # Panics
///
/// When it does not hold.
pub fn check_topics(text: &str) {
    for limits in [TopicLimits::STANDARD, TopicLimits::AWS] {
        let name = TopicName::parse(text, &limits);
        let filter = TopicFilter::parse(text, &limits);
        if let Ok(name) = &name {
            assert_eq!(name.as_str(), text);
        }
        if let Ok(filter) = &filter {
            assert_eq!(filter.as_str(), text);
        }
        if let (Ok(name), Ok(filter)) = (&name, &filter) {
            assert!(!filter.has_wildcard(), "{text:?}");
            assert!(matches(filter, name, HashMatchesParent::No), "{text:?}");
        }
        if let Ok(subscription) = parse_subscription(text, &limits) {
            assert_eq!(subscription.to_string(), text);
        }
    }
}
