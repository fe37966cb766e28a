use bytes::Bytes;
use mqtt::packet::{Publish, PublishProperties};
use mqtt::{QoS, TopicLimits};
use proptest::prelude::*;

use super::super::message::Ledger;
use super::*;

const NOW: Timestamp = Timestamp::from_millis(1000);

fn topic(text: &str) -> TopicName {
    TopicName::parse(text, &TopicLimits::STANDARD).expect("a topic name")
}

fn message(on: &str, bytes: usize) -> Rc<Message> {
    let publish = Publish {
        dup: false,
        qos: QoS::AtMostOnce,
        retain: true,
        topic: Some(topic(on)),
        packet_id: None,
        properties: PublishProperties::default(),
        payload: Bytes::from(vec![0; bytes]),
    };
    Ledger::message_with_id(1, publish, None, None).expect("it has a topic")
}

#[test]
fn the_bounds_count_what_is_replaced_only_once() {
    let fixed = cost(message("a", 0).publish()) - 1;
    let mut retained = Retained::new(2, 2 * fixed + 20);
    let room =
        |retained: &Retained, on: &str, bytes| retained.has_room(message(on, bytes).publish());
    let (other, b) = (usize::try_from(fixed).expect("it is small"), topic("b"));
    assert!(room(&retained, "a", other + 19));
    assert!(!room(&retained, "a", other + 20));
    retained.put(message("a", 9), NOW);
    retained.put(message("b", 9), NOW);
    assert!(!room(&retained, "c", 0), "two topics are the bound");
    assert!(room(&retained, "a", 9));
    assert!(!room(&retained, "a", 10));
    assert!(retained.remove(&b));
    assert!(!retained.remove(&b));
    assert!(room(&retained, "a", other + 19));
    assert!(room(&retained, "c", 9));
}

#[test]
fn pages_continue_where_they_ended() {
    let mut retained = Retained::new(10, 10_000);
    for on in ["c", "a", "b"] {
        retained.put(message(on, 1), NOW);
    }
    for (after, prefix, expected) in [
        ("", "", vec!["a", "b", "c"]),
        ("b", "", vec!["c"]),
        ("aa", "", vec!["b", "c"]),
        ("c", "", vec![]),
        ("", "b", vec!["b"]),
        ("a", "b", vec!["b"]),
        ("b", "b", vec![]),
        ("", "d", vec![]),
    ] {
        let found = retained.from(after, prefix);
        let topics: Vec<&str> = found.map(|kept| kept.message.topic().as_str()).collect();
        assert_eq!(topics, expected, "after {after:?} of {prefix:?}");
    }
}

proptest! {
    /// The range that a filter is looked for in loses nothing.
    #[test]
    fn agrees_with_a_list(
        topics in prop::collection::btree_set("\\$?(a|b|)(/(a|b|ab|)){0,3}", 0..12),
        filter in "\\$?(\\+|a|b|)(/(\\+|a|b|ab|)){0,3}(/#)?",
        aws in any::<bool>(),
    ) {
        let parent = if aws { HashMatchesParent::No } else { HashMatchesParent::Yes };
        let Ok(filter) = TopicFilter::parse(&filter, &TopicLimits::STANDARD) else {
            return Ok(());
        };
        let mut retained = Retained::new(100, 100_000);
        let mut expected = Vec::new();
        for text in topics.iter().filter(|text| !text.is_empty()) {
            retained.put(message(text, 1), NOW);
            if matches(&filter, &topic(text), parent) {
                expected.push(text.clone());
            }
        }
        let found: Vec<String> = retained
            .matching(&filter, parent, NOW)
            .iter()
            .map(|kept| kept.message.topic().as_str().to_owned())
            .collect();
        prop_assert_eq!(found, expected);
    }
}
