use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::{Queue, Taken};
use crate::Urgency;
use crate::wait::wait;

const AT_ONCE: Option<Duration> = Some(Duration::ZERO);

#[test]
fn gives_in_order_and_no_more_than_asked_for() {
    let queue = Queue::new(3);
    for item in 1..=3 {
        assert_eq!(wait(queue.send(item, Urgency::Normal)), Ok(()));
    }
    assert_eq!(queue.take(2, AT_ONCE), Taken::Items(vec![1, 2]));
    assert_eq!(queue.take(2, AT_ONCE), Taken::Items(vec![3]));
    assert_eq!(queue.take(2, AT_ONCE), Taken::Idle);
}

#[test]
fn a_full_queue_makes_senders_wait_until_there_is_room() {
    let queue = Arc::new(Queue::new(1));
    wait(queue.send(1, Urgency::Normal)).unwrap();
    let sender = {
        let queue = Arc::clone(&queue);
        thread::spawn(move || wait(queue.send(2, Urgency::Normal)))
    };
    // Whatever the other thread does, two never wait at once.
    assert_eq!(queue.take(9, None), Taken::Items(vec![1]));
    assert_eq!(queue.take(9, None), Taken::Items(vec![2]));
    assert_eq!(sender.join().unwrap(), Ok(()));
}

#[test]
fn a_closed_queue_gives_what_it_has_and_takes_no_more() {
    let queue = Queue::new(2);
    wait(queue.send(1, Urgency::Normal)).unwrap();
    queue.close();
    assert_eq!(wait(queue.send(2, Urgency::Normal)), Err(2));
    assert_eq!(queue.take(9, None), Taken::Items(vec![1]));
    assert_eq!(queue.take(9, None), Taken::Closed);
}

#[test]
fn closing_wakes_those_who_wait() {
    let queue = Arc::new(Queue::<u8>::new(1));
    wait(queue.send(1, Urgency::Normal)).unwrap();
    let sender = {
        let queue = Arc::clone(&queue);
        thread::spawn(move || wait(queue.send(2, Urgency::Normal)))
    };
    queue.close();
    assert_eq!(sender.join().unwrap(), Err(2));
    queue.take(9, None);
    let taker = thread::spawn(move || queue.take(9, None));
    assert_eq!(taker.join().unwrap(), Taken::Closed);
}

#[test]
fn what_is_urgent_goes_first_and_has_room_of_its_own() {
    let queue = Queue::new(2);
    wait(queue.send(1, Urgency::Normal)).unwrap();
    wait(queue.send(2, Urgency::Normal)).unwrap();
    wait(queue.send(3, Urgency::Containment)).unwrap();
    wait(queue.send(4, Urgency::Containment)).unwrap();
    assert_eq!(queue.take(3, AT_ONCE), Taken::Items(vec![3, 4, 1]));
    assert_eq!(queue.take(3, AT_ONCE), Taken::Items(vec![2]));
    wait(queue.send(5, Urgency::Containment)).unwrap();
    wait(queue.send(6, Urgency::Normal)).unwrap();
    assert_eq!(queue.take(9, AT_ONCE), Taken::Items(vec![5, 6]));
}
