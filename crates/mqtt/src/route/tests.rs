use proptest::prelude::*;

use super::*;
use crate::topic::{TopicLimits, matches};

fn filter(text: &str) -> TopicFilter {
    TopicFilter::parse(text, &TopicLimits::STANDARD).unwrap()
}

fn topic(text: &str) -> TopicName {
    TopicName::parse(text, &TopicLimits::STANDARD).unwrap()
}

fn found(routes: &Routes<u16, u32>, name: &TopicName) -> Vec<(u16, u32)> {
    let mut found = Vec::new();
    routes.matches(name, |&subscriber, &value| found.push((subscriber, value)));
    found.sort_unstable();
    found
}

#[test]
fn a_subscriber_has_one_subscription_to_a_filter() {
    for text in ["a/b", "a/+", "a/#"] {
        let mut routes = Routes::new(HashMatchesParent::Yes);
        assert_eq!(routes.insert(&filter(text), 1, 10), None);
        assert_eq!(routes.insert(&filter(text), 1, 11), Some(10));
        assert_eq!(routes.len(), 1);
        assert_eq!(found(&routes, &topic("a/b")), [(1, 11)]);
        assert_eq!(routes.remove(&filter(text), &2), None);
        assert_eq!(routes.remove(&filter(text), &1), Some(11));
        assert_eq!(routes.remove(&filter(text), &1), None);
        assert!(routes.is_empty());
    }
}

#[test]
fn the_generation_tells_every_change() {
    let mut routes = Routes::new(HashMatchesParent::Yes);
    let mut seen = vec![routes.generation()];
    let mut changed = |routes: &Routes<u16, u32>, expected: bool| {
        let now = routes.generation();
        assert_eq!(!seen.contains(&now), expected);
        seen.push(now);
    };
    for text in ["a", "+"] {
        routes.insert(&filter(text), 1, 10);
        changed(&routes, true);
        // Another QoS is another answer.
        routes.insert(&filter(text), 1, 11);
        changed(&routes, true);
        found(&routes, &topic("a"));
        routes.remove(&filter(text), &2);
        changed(&routes, false);
        routes.remove(&filter(text), &1);
        changed(&routes, true);
    }
}

#[test]
fn nothing_is_left_of_what_is_removed() {
    let mut routes = Routes::new(HashMatchesParent::Yes);
    let filters: Vec<_> = ["a", "a/b", "a/+", "a/+/b", "a/+/#", "+/+", "#", "b/#"]
        .map(filter)
        .into();
    for (number, filter) in (0..).zip(&filters) {
        routes.insert(filter, number, 0);
    }
    for (number, filter) in (0..).zip(&filters) {
        assert_eq!(routes.remove(filter, &number), Some(0));
    }
    assert!(routes.exact.is_empty() && routes.wildcard.is_empty());
}

/// Past the border between list and tree, and back.
#[test]
fn many_subscribers_of_one_filter() {
    for text in ["a", "+"] {
        let mut routes = Routes::new(HashMatchesParent::Yes);
        let check = |routes: &Routes<u16, u32>, range: std::ops::Range<u16>| {
            let expected: Vec<_> = range.map(|number| (number, 0)).collect();
            assert_eq!(found(routes, &topic("a")), expected);
            assert_eq!(routes.len(), expected.len());
        };
        for number in (0..200).rev() {
            assert_eq!(routes.insert(&filter(text), number, 0), None);
            check(&routes, number..200);
        }
        for number in 0..200 {
            assert_eq!(routes.remove(&filter(text), &number), Some(0));
            check(&routes, number + 1..200);
        }
    }
}

#[test]
fn the_deepest_filter_is_found_and_removed() {
    let deepest = format!("{}#", "+/".repeat(TopicLimits::LEVELS_MAX - 1));
    let name = topic(&"/".repeat(TopicLimits::LEVELS_MAX - 1));
    let mut routes = Routes::new(HashMatchesParent::No);
    routes.insert(&filter(&deepest), 1, 0);
    assert_eq!(found(&routes, &name), [(1, 0)]);
    assert_eq!(routes.remove(&filter(&deepest), &1), Some(0));
}

#[derive(Clone, Debug)]
enum Step {
    Insert(String, u16, u32),
    Remove(String, u16),
    Publish(String),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let filter = || "(\\+|a|b|\\$c)(/(\\+|a|)){0,3}(/#)?|#";
    let step = prop_oneof![
        4 => (filter(), 0_u16..4, 0_u32..3).prop_map(|(f, s, v)| Step::Insert(f, s, v)),
        2 => (filter(), 0_u16..4).prop_map(|(f, s)| Step::Remove(f, s)),
        3 => "(a|b|\\$c)(/(a|b|)){0,4}".prop_map(Step::Publish),
    ];
    proptest::collection::vec(step, 0..60)
}

proptest! {
    /// The index answers as a plain list of subscriptions does.
    #[test]
    fn agrees_with_a_list(steps in steps(), as_aws in any::<bool>()) {
        let parent = if as_aws { HashMatchesParent::No } else { HashMatchesParent::Yes };
        let mut routes = Routes::new(parent);
        let mut list: Vec<(TopicFilter, u16, u32)> = Vec::new();
        for step in steps {
            match step {
                Step::Insert(text, subscriber, value) => {
                    let before = take(&mut list, &text, subscriber);
                    list.push((filter(&text), subscriber, value));
                    prop_assert_eq!(routes.insert(&filter(&text), subscriber, value), before);
                }
                Step::Remove(text, subscriber) => {
                    let before = take(&mut list, &text, subscriber);
                    prop_assert_eq!(routes.remove(&filter(&text), &subscriber), before);
                }
                Step::Publish(text) => {
                    let name = topic(&text);
                    let mut expected: Vec<_> = list
                        .iter()
                        .filter(|(filter, _, _)| matches(filter, &name, parent))
                        .map(|&(_, subscriber, value)| (subscriber, value))
                        .collect();
                    expected.sort_unstable();
                    prop_assert_eq!(found(&routes, &name), expected);
                }
            }
            prop_assert_eq!(routes.len(), list.len());
        }
    }
}

fn take(list: &mut Vec<(TopicFilter, u16, u32)>, text: &str, subscriber: u16) -> Option<u32> {
    let at = list
        .iter()
        .position(|(f, s, _)| f.as_str() == text && *s == subscriber)?;
    Some(list.swap_remove(at).2)
}
