use super::*;
use crate::generate::check_topics;

const TIGHT: TopicLimits = TopicLimits {
    bytes_max: 10,
    levels_max: 3,
};

fn name(text: &str) -> TopicName {
    TopicName::parse(text, &TopicLimits::STANDARD).unwrap()
}

fn filter(text: &str) -> TopicFilter {
    TopicFilter::parse(text, &TopicLimits::STANDARD).unwrap()
}

// tests mqtt5 [MQTT-3.3.2-2], [MQTT-4.7.3-1], [MQTT-4.7.3-2]; tests mqtt311 [MQTT-4.7.1-1]
// tests aws-iot [MQ-30]
#[test]
fn names() {
    let check = |text: &str, expected: Result<(), TopicError>| {
        assert_eq!(
            TopicName::parse(text, &TIGHT).map(|_| ()),
            expected,
            "{text:?}"
        );
    };
    check("a", Ok(()));
    check("/", Ok(()));
    check("//", Ok(()));
    check("a b/é", Ok(()));
    check("$SYS/x", Ok(()));
    check("", Err(TopicError::Empty));
    check("a/+", Err(TopicError::Wildcard { at: 2 }));
    check("a#b", Err(TopicError::Wildcard { at: 1 }));
    check("a\0+", Err(TopicError::Nul { at: 1 }));
    check("0123456789", Ok(()));
    check("0123456789a", Err(TopicError::TooLong { len: 11, max: 10 }));
    check("a/b/c", Ok(()));
    check("a/b/c/", Err(TopicError::TooDeep { levels: 4, max: 3 }));
    // Basic Ingest: what follows the rule counts.
    check("$aws/rules/a_long_rule/0123456789", Ok(()));
    check("$aws/rules/a_long_rule/a/b/c", Ok(()));
    check(
        "$aws/rules/r/0123456789a",
        Err(TopicError::TooLong { len: 11, max: 10 }),
    );
    check(
        "$aws/rules/r/a/b/c/d",
        Err(TopicError::TooDeep { levels: 4, max: 3 }),
    );
    check(
        "$aws/rules/a_long_rule",
        Err(TopicError::TooLong { len: 22, max: 10 }),
    );
}

#[test]
fn no_setting_permits_more_levels_than_there_is_stack_for() {
    let limits = TopicLimits {
        bytes_max: usize::MAX,
        levels_max: usize::MAX,
    };
    let check = |slashes: usize, expected: Result<(), TopicError>| {
        let text = "/".repeat(slashes);
        assert_eq!(TopicName::parse(&text, &limits).map(|_| ()), expected);
        assert_eq!(TopicFilter::parse(&text, &limits).map(|_| ()), expected);
    };
    check(127, Ok(()));
    check(
        128,
        Err(TopicError::TooDeep {
            levels: 129,
            max: 128,
        }),
    );
}

// tests mqtt5 [MQTT-4.7.1-1], [MQTT-4.7.1-2], [MQTT-4.7.3-1]
// tests mqtt311 [MQTT-4.7.1-2], [MQTT-4.7.1-3]; tests aws-iot [MQ-44]
#[test]
fn filters() {
    let check = |text: &str, expected: Result<(), TopicError>| {
        assert_eq!(
            TopicFilter::parse(text, &TIGHT).map(|_| ()),
            expected,
            "{text:?}"
        );
    };
    check("a", Ok(()));
    check("/", Ok(()));
    check("#", Ok(()));
    check("+", Ok(()));
    check("+/+", Ok(()));
    check("/+", Ok(()));
    check("a/+/#", Ok(()));
    check("$share/g", Ok(()));
    check("", Err(TopicError::Empty));
    check("a\0", Err(TopicError::Nul { at: 1 }));
    check("a#", Err(TopicError::WildcardNotAlone { at: 1 }));
    check("a/b#", Err(TopicError::WildcardNotAlone { at: 3 }));
    check("+x", Err(TopicError::WildcardNotAlone { at: 0 }));
    check("a/x+", Err(TopicError::WildcardNotAlone { at: 3 }));
    check("a/++", Err(TopicError::WildcardNotAlone { at: 2 }));
    check("##", Err(TopicError::WildcardNotAlone { at: 0 }));
    check("#/a", Err(TopicError::HashNotLast { at: 0 }));
    check("a/#/", Err(TopicError::HashNotLast { at: 2 }));
    check("é/#/b", Err(TopicError::HashNotLast { at: 3 }));
    check("012345678/", Ok(()));
    check("0123456789/", Err(TopicError::TooLong { len: 11, max: 10 }));
    check("a/b/#", Ok(()));
    check("a/b/c/#", Err(TopicError::TooDeep { levels: 4, max: 3 }));
}

#[test]
fn wildcards_are_seen() {
    for (text, expected) in [("a/b", false), ("+", true), ("a/#", true), ("a/+/b", true)] {
        assert_eq!(filter(text).has_wildcard(), expected, "{text}");
    }
}

// tests mqtt5 [MQTT-4.8.2-1], [MQTT-4.8.2-2]; tests aws-iot [MQ-70]
#[test]
fn shared_subscriptions() {
    let check = |text: &str, expected: Result<(Option<&str>, &str), TopicError>| {
        let found = parse_subscription(text, &TIGHT);
        if let Ok(subscription) = &found {
            assert_eq!(subscription.to_string(), text);
        }
        let found = found.map(|subscription| {
            let name = match &subscription {
                SubscriptionFilter::Own(_) => None,
                SubscriptionFilter::Shared(shared) => Some(shared.name.as_str().to_owned()),
            };
            (name, subscription.filter().as_str().to_owned())
        });
        let expected = expected.map(|(name, filter)| (name.map(str::to_owned), filter.to_owned()));
        assert_eq!(found, expected, "{text:?}");
    };
    check("a/+", Ok((None, "a/+")));
    check("$share", Ok((None, "$share")));
    check("$shared/a", Ok((None, "$shared/a")));
    check("$share/g/a", Ok((Some("g"), "a")));
    check("$share/g/#", Ok((Some("g"), "#")));
    check("$share/g//", Ok((Some("g"), "/")));
    check("$share/a group/a/b/c", Ok((Some("a group"), "a/b/c")));
    check("$share/", Err(TopicError::ShareFilter));
    check("$share/g", Err(TopicError::ShareFilter));
    check("$share//a", Err(TopicError::ShareName));
    check("$share/+/a", Err(TopicError::ShareName));
    check("$share/g#/a", Err(TopicError::ShareName));
    check("$share/g\0/a", Err(TopicError::ShareName));
    check("$share/g/", Err(TopicError::Empty));
    check("$share/g/a#", Err(TopicError::WildcardNotAlone { at: 1 }));
    check(
        "$share/g/a/b/c/d",
        Err(TopicError::TooDeep { levels: 4, max: 3 }),
    );
    let longest = "é".repeat(128);
    check(&format!("$share/{longest}/a"), Ok((Some(&longest), "a")));
    check(&format!("$share/{longest}x/a"), Err(TopicError::ShareName));
}

// tests mqtt5 [MQTT-4.7.2-1]; tests mqtt311 [MQTT-4.7.2-1]; tests aws-iot [MQ-41], [MQ-42]
#[test]
fn matching() {
    let check = |filter_text: &str, topic_text: &str, expected: bool| {
        let (filter, topic) = (filter(filter_text), name(topic_text));
        for parent in [HashMatchesParent::Yes, HashMatchesParent::No] {
            assert_eq!(
                matches(&filter, &topic, parent),
                expected,
                "{filter} {topic}"
            );
        }
    };
    check("a", "a", true);
    check("a", "A", false);
    check("a", "a/", false);
    check("a/b", "a/b", true);
    check("a/b", "a", false);
    check("a", "a/b", false);
    check("+", "a", true);
    check("+", "a/b", false);
    check("+", "/a", false);
    check("/+", "/a", true);
    check("+/+", "/a", true);
    check("+/b", "a/b", true);
    check("+/b", "a/c", false);
    check("a/+/c", "a/b/c", true);
    check("a/+/c", "a//c", true);
    check("a/+", "a", false);
    check("a/+", "a/", true);
    check("#", "a", true);
    check("#", "/", true);
    check("#", "a/b/c", true);
    check("a/#", "a/", true);
    check("a/#", "a/b", true);
    check("a/#", "a/b/c", true);
    check("a/#", "ab", false);
    check("a/#", "b/a", false);
    check("+/#", "a/b", true);
    check("#", "$aws/x", false);
    check("+/x", "$aws/x", false);
    check("$aws/#", "$aws/x", true);
    check("$aws/+", "$aws/x", true);
    check("a/#", "a/$x", true);
    check("a/+", "a/$x", true);
    check("$SYS/#", "$sys/x", false);
}

// tests aws-iot [MQ-41]
#[test]
fn the_parent_is_where_profiles_differ() {
    let check = |filter_text: &str, topic_text: &str| {
        let (filter, topic) = (filter(filter_text), name(topic_text));
        assert!(
            matches(&filter, &topic, HashMatchesParent::Yes),
            "{filter} {topic}"
        );
        assert!(
            !matches(&filter, &topic, HashMatchesParent::No),
            "{filter} {topic}"
        );
    };
    check("sensor/#", "sensor");
    check("a/+/#", "a/b");
    check("+/#", "a");
    check("/+/#", "/a");
}

/// The same question, answered the slow and obvious way.
fn oracle(filter: &[&str], topic: &[&str], parent: HashMatchesParent) -> bool {
    match (filter, topic) {
        (["#"], []) => parent == HashMatchesParent::Yes,
        (["#"], _) | ([], []) => true,
        ([f, filter @ ..], [t, topic @ ..]) => {
            (*f == "+" || f == t) && oracle(filter, topic, parent)
        }
        _ => false,
    }
}

proptest::proptest! {
    #[test]
    fn matching_agrees_with_the_oracle(
        filter_text in "(\\+|a|b)(/(\\+|a|b|)){0,3}(/#)?|(/(\\+|a|b|)){1,3}(/#)?|#",
        topic_text in "(a|b)(/(a|b|)){0,4}|(/(a|b|)){1,4}",
    ) {
        let filter_levels: Vec<_> = filter_text.split('/').collect();
        let topic_levels: Vec<_> = topic_text.split('/').collect();
        for parent in [HashMatchesParent::Yes, HashMatchesParent::No] {
            proptest::prop_assert_eq!(
                matches(&filter(&filter_text), &name(&topic_text), parent),
                oracle(&filter_levels, &topic_levels, parent),
            );
        }
    }

    /// What is accepted reads back as it was written, whatever it is.
    #[test]
    fn any_text_is_a_topic_or_refused(text in "[a$+#/é\\x00]{0,12}") {
        check_topics(&text);
    }
}

/// Everything in `fuzz/corpus/topic_filter`.
#[test]
fn the_corpus_is_accepted_or_refused() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/topic_filter");
    let mut seeds = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        check_topics(&String::from_utf8_lossy(&bytes));
        seeds += 1;
    }
    assert!(seeds >= 15, "{seeds} seeds");
}
