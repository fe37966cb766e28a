use std::net::IpAddr;
use std::sync::Arc;

use proptest::prelude::*;

use super::{Place, Places, network};

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// How many places `holder` gets before it is refused.
fn take_all(places: &Arc<Places>, holder: &str) -> Vec<Place> {
    std::iter::from_fn(|| places.take(address(holder))).collect()
}

#[test]
fn each_gets_as_much_as_it_leaves() {
    #[track_caller]
    fn check(max: usize, expected: &[usize]) {
        let places = Places::new(max);
        let mut kept = Vec::new();
        for (number, expected) in expected.iter().enumerate() {
            let got = take_all(&places, &format!("192.0.2.{number}"));
            assert_eq!(got.len(), *expected, "the {number}th of {max}");
            kept.push(got);
        }
    }
    check(0, &[0]);
    check(1, &[1, 0]);
    check(2, &[2, 0]);
    check(3, &[2, 1, 0]);
    check(64, &[33, 16, 8, 4, 2, 1, 0]);
    check(256, &[129, 64, 32, 16, 8, 4, 2, 1, 0]);
}

#[test]
fn a_place_given_back_is_free() {
    let places = Places::new(8);
    let mut first = take_all(&places, "192.0.2.1");
    assert_eq!(first.len(), 5);
    first.truncate(1);
    assert_eq!(take_all(&places, "192.0.2.2").len(), 4);
    drop(first);
    assert_eq!(take_all(&places, "192.0.2.2").len(), 5);
    assert!(places.taken.lock().expect("nobody panicked").by.is_empty());
}

#[test]
fn hosts_of_a_version_6_network_are_one() {
    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(network(address(text)), address(expected), "{text}");
    }
    check("192.0.2.1", "192.0.2.1");
    check("::ffff:192.0.2.1", "192.0.2.1");
    check("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::");
    check("2001:db8:1:2::1", "2001:db8:1:2::");
    check("2001:db8:1:3::1", "2001:db8:1:3::");
}

proptest! {
    /// Whoever comes and goes: never more than the maximum, the books agree with the places held,
    /// and while anything is free a stranger gets a place.
    #[test]
    fn the_books_agree(max in 1_usize..12, steps in prop::collection::vec((0_u8..4, any::<bool>()), 0..60)) {
        let places = Places::new(max);
        let mut held: Vec<(u8, Place)> = Vec::new();
        for (who, comes) in steps {
            let own = held.iter().filter(|(holder, _)| *holder == who).count();
            if comes {
                let free = max - held.len();
                let got = places.take(address(&format!("192.0.2.{who}")));
                prop_assert_eq!(got.is_some(), free > 0 && own <= free);
                held.extend(got.map(|place| (who, place)));
            } else if let Some(at) = held.iter().position(|(holder, _)| *holder == who) {
                held.remove(at);
            }
            let stranger = places.take(address("198.51.100.1"));
            prop_assert_eq!(stranger.is_some(), held.len() < max);
        }
    }
}
