use super::target::Target;
use super::traffic::{self, Timing, Traffic};

mod toy;

use std::time::Duration;

use super::scenario::Shape;
use toy::{Fault, Toy};

const MESSAGES: u64 = 2_000;

fn run(shape: Shape, fault: Fault) -> Traffic {
    let clients = shape.subscribers.len() + shape.publishers as usize;
    let toy = Toy::start(clients, fault);
    let timing = Timing {
        warm_up: Duration::ZERO,
        measured: Duration::from_secs(60),
        messages_max: MESSAGES,
    };
    let traffic = traffic::run(Target::plain(toy.address), shape, timing).expect("set up");
    toy.end();
    traffic
}

#[track_caller]
fn check(fault: Fault, qos: u8, expected: &str) {
    for shape in [Shape::fan_in(3, qos), Shape::fan_out(4, qos)] {
        let found = run(shape, fault);
        let text = format!("{fault:?}, QoS {qos}: {found:?}");
        assert_eq!(found.faults.to_string(), expected, "{text}");
        assert_eq!(found.broken, None, "{text}");
        assert!(MESSAGES <= found.sent, "{text}");
    }
}

#[test]
fn an_honest_broker_is_exact() {
    check(Fault::None, 0, "exact");
    check(Fault::None, 1, "exact");
    for qos in [0, 1] {
        let found = run(Shape::pairs(5, qos), Fault::None);
        assert_eq!(found.faults.to_string(), "exact");
        let paced = Shape::paced(4, 5_000, qos);
        assert_eq!(run(paced, Fault::None).faults.to_string(), "exact");
    }
}

#[test]
fn a_dropped_message_is_seen() {
    check(Fault::Drop, 0, "1 lost");
    check(Fault::Drop, 1, "1 lost");
}

#[test]
fn a_repeated_message_is_seen() {
    check(Fault::Repeat, 0, "1 repeated");
    check(Fault::Repeat, 1, "1 repeated");
}

#[test]
fn messages_out_of_order_are_seen() {
    check(Fault::Reorder, 0, "1 reordered");
    check(Fault::Reorder, 1, "1 reordered");
}

#[test]
fn a_damaged_message_is_seen() {
    for fault in [Fault::Payload, Fault::Topic, Fault::Invented] {
        check(fault, 0, "1 lost, 1 damaged");
        check(fault, 1, "1 lost, 1 damaged");
    }
    check(Fault::Quality, 1, "1 lost, 1 damaged");
}

#[test]
fn a_forgotten_acknowledgement_is_seen() {
    check(Fault::ForgetAcknowledgement, 1, "1 unacknowledged");
}

#[test]
fn an_acknowledgement_of_nothing_is_seen() {
    check(Fault::AcknowledgeTwice, 1, "1 stray PUBACKs");
}

#[test]
fn a_broker_that_hangs_up_ends_the_run() {
    let found = run(Shape::fan_in(3, 0), Fault::HangUp);
    let broken = found.broken.expect("it is said");
    assert!(broken.contains("`p"), "{broken}");
}
