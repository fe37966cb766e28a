use model::{Clock, SystemClock};

use super::*;

const MS: Duration = Duration::from_millis(1);

#[test]
fn each_key_has_its_own_rate_also_across_generations() {
    let start = SystemClock.instant();
    let mut rates = Rates::new(10);
    for (at_ms, key, expected) in [
        (0, "a", true),
        (0, "a", true),
        (0, "a", false),
        (0, "b", true),
        (600, "a", true),
        (600, "a", false),
        // A generation later nothing is forgotten.
        (1001, "a", true),
        (1001, "a", false),
        (1400, "a", false),
        (1501, "a", true),
        // After a pause everybody is new.
        (9000, "a", true),
        (9000, "a", true),
        (9000, "a", false),
    ] {
        let now = start + at_ms * MS;
        assert_eq!(rates.take(&key, 2, now), expected, "{key} at {at_ms}");
    }
}

#[test]
fn as_buckets_that_are_never_forgotten() {
    let start = SystemClock.instant();
    let mut rates = Rates::new(100);
    let mut plain: HashMap<u64, Bucket> = HashMap::new();
    let (mut at, mut dice) = (0_u64, 7_u64);
    for _ in 0..20_000 {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        at += (dice >> 33) % 40;
        let key = (dice >> 40) % 20;
        let now = start + Duration::from_millis(at);
        let bucket = plain.entry(key).or_insert_with(|| Bucket::full(3, now));
        assert_eq!(rates.take(&key, 3, now), bucket.take(3, 1, now), "at {at}");
    }
}

#[test]
fn memory_is_bounded_and_a_stranger_too_many_passes() {
    let start = SystemClock.instant();
    let mut rates = Rates::new(100);
    for second in 0..5_u32 {
        let now = start + second * 1001 * MS;
        for key in 0..1000_u32 {
            let key = second * 1000 + key;
            assert!(rates.take(&key, 1, now));
            assert_eq!(rates.take(&key, 1, now), key % 1000 >= 100);
        }
        assert!(rates.len() <= 200, "{}", rates.len());
    }
}
