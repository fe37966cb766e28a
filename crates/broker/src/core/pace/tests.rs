use model::{Clock, Profile, SystemClock};

use super::*;
use crate::config::BrokerConfig;
use model::Quota;

/// Packets of so many bytes offered at the given milliseconds; whether each is taken.
#[track_caller]
fn check(packets_per_s: Quota, bytes_per_s: Quota, offers: &[(u64, usize, bool)]) {
    let config = BrokerConfig {
        packets_per_s,
        bytes_per_s,
        ..BrokerConfig::default()
    };
    let limits = config.limits(Profile::Standard).expect("in range");
    let start = SystemClock.instant();
    let mut pace = Pace::new(&limits, start).expect("there is a limit");
    for (at_ms, bytes, expected) in offers {
        let now = start + Duration::from_millis(*at_ms);
        let taken = pace.waits_until(now).is_none();
        assert_eq!(taken, *expected, "{bytes} bytes at {at_ms} ms");
        if taken {
            pace.add(*bytes, now);
        }
    }
}

#[test]
fn a_second_is_lent_and_paid_back() {
    let packets = |offers: &[_]| check(Quota::At(2), Quota::Off, offers);
    packets(&[
        (0, 9, true),
        (0, 9, true),
        (0, 9, true),
        (0, 9, false),
        (499, 9, false),
        (500, 9, true),
        (500, 9, false),
        // Idle time is not saved up.
        (60_000, 9, true),
        (60_000, 9, true),
        (60_000, 9, true),
        (60_000, 9, false),
    ]);
    let bytes = |offers: &[_]| check(Quota::Off, Quota::At(1024), offers);
    // One that is larger than a second's worth passes; what follows waits.
    bytes(&[
        (0, 4096, true),
        (0, 1, false),
        (2999, 1, false),
        (3000, 1, true),
        (3000, 1, false),
    ]);
    // Whichever is used up first.
    check(
        Quota::At(100),
        Quota::At(1024),
        &[(0, 1024, true), (0, 1, true), (0, 1, false)],
    );
}

#[test]
fn without_a_limit_nothing_is_kept() {
    let limits = BrokerConfig::default().limits(Profile::Aws);
    let now = SystemClock.instant();
    assert!(Pace::new(&limits.expect("in range"), now).is_none());
}
