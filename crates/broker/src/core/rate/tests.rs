use model::{Clock, SystemClock};

use super::*;

/// Takes at the given milliseconds; the answers, in order.
#[track_caller]
fn check(rate: u32, takes: &[(u64, u32, bool)]) {
    let start = SystemClock.instant();
    let mut bucket = Bucket::full(rate, start);
    for (at_ms, count, expected) in takes {
        let now = start + Duration::from_millis(*at_ms);
        assert_eq!(
            bucket.take(rate, *count, now),
            *expected,
            "{count} at {at_ms} ms of {rate}/s"
        );
    }
}

#[test]
fn one_second_of_burst_then_the_rate() {
    check(
        1,
        &[
            (0, 1, true),
            (0, 1, false),
            (999, 1, false),
            (1000, 1, true),
            (1001, 1, false),
        ],
    );
    check(
        100,
        &[
            (0, 100, true),
            (9, 1, false),
            (10, 1, true),
            (20, 2, false),
            (30, 2, true),
        ],
    );
    // Idle time is not saved up.
    check(2, &[(0, 2, true), (60_000, 2, true), (60_000, 1, false)]);
    // More than a second's worth passes only from a full bucket.
    check(10, &[(0, 25, true), (500, 25, false), (1500, 25, true)]);
}
