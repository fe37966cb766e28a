use proptest::prelude::*;

use super::*;

fn map(pairs: &[(&str, &str)]) -> Attributes {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

#[track_caller]
fn check(current: &[(&str, &str)], payload: serde_json::Value, expected: &[(&str, &str)]) {
    let payload: AttributePayload = serde_json::from_value(payload).unwrap();
    assert_eq!(payload.applied(map(current)), map(expected));
}

// tests aws-iot [RG-2]
#[test]
fn replaces_merges_and_removes() {
    let current = [("site", "north"), ("line", "4")];
    let site = |value| serde_json::json!({"attributes": {"site": value}});
    let merged = |value| serde_json::json!({"attributes": {"site": value}, "merge": true});
    check(&current, site("south"), &[("site", "south")]);
    check(&current, site(""), &[]);
    check(
        &current,
        merged("south"),
        &[("line", "4"), ("site", "south")],
    );
    check(&current, merged(""), &[("line", "4")]);
    check(&current, serde_json::json!({}), &current);
    check(&current, serde_json::json!({"merge": true}), &current);
    check(&current, serde_json::json!({"attributes": {}}), &[]);
    check(
        &current,
        serde_json::json!({"attributes": {}, "merge": true}),
        &current,
    );
}

#[test]
fn counts_are_refused_one_past_the_limit() {
    let attributes = map(&[("a", "1"), ("b", "2"), ("c", "3")]);
    assert!(check_count(&attributes, 3, "a thing").is_ok());
    assert!(check_count(&attributes, 2, "a thing").is_err());
}

proptest! {
    /// Merging in two steps equals merging once, as long as each key is in one step only.
    #[test]
    fn merges_compose(
        current in prop::collection::btree_map("[a-c]", "[xy]", 0..3),
        first in prop::collection::btree_map("[a-c]", "[xy]?", 0..3),
        second in prop::collection::btree_map("[d-f]", "[xy]?", 0..3),
    ) {
        let merge = |attributes: &Attributes| AttributePayload {
            attributes: Some(attributes.clone()),
            merge: true,
        };
        let both: Attributes = first.clone().into_iter().chain(second.clone()).collect();
        let stepwise = merge(&second).applied(merge(&first).applied(current.clone()));
        prop_assert_eq!(stepwise, merge(&both).applied(current));
    }
}
