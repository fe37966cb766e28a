//! The one clock.
//!
//! Everything that needs the time is handed a [`Clock`] or a [`Timestamp`]; only [`SystemClock`]
//! asks the operating system, so tests and demonstrations can move time as they like.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A moment: milliseconds since 1970-01-01T00:00:00Z.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since the epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// From seconds since the epoch.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Milliseconds since the epoch.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Seconds with a fraction, as AWS control planes write time (contract core `[HT-11]`).
    #[expect(
        clippy::cast_precision_loss,
        reason = "milliseconds until the year 287396 fit"
    )]
    pub fn epoch_seconds(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// This moment and `by` more.
    pub fn after(self, by: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// How long ago `earlier` was; zero when it is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Year, month, day, hour, minute, second, millisecond in UTC (proleptic Gregorian).
    pub fn civil(self) -> (i64, u8, u8, u8, u8, u8, u16) {
        let days = self.0.div_euclid(86_400_000);
        let rest = self.0.rem_euclid(86_400_000);
        // Days to civil date by eras of 400 years, counted from 0000-03-01.
        let z = days + 719_468;
        let era = z.div_euclid(146_097);
        let day_of_era = z.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted + 2) / 5 + 1;
        let month = if shifted < 10 {
            shifted + 3
        } else {
            shifted - 9
        };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let small = |value: i64| u8::try_from(value).unwrap_or(0);
        (
            year,
            small(month),
            small(day),
            small(rest / 3_600_000),
            small(rest / 60_000 % 60),
            small(rest / 1000 % 60),
            u16::try_from(rest % 1000).unwrap_or(0),
        )
    }

    /// The start of a civil second in UTC; `None` for an impossible date.
    pub fn from_civil(y: i64, m: u8, d: u8, hour: u8, minute: u8, second: u8) -> Option<Self> {
        if !(1..=12).contains(&m) || hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        if !(0..=9999).contains(&y) {
            return None;
        }
        let (month, day) = (i64::from(m), i64::from(d));
        let year = y - i64::from(m <= 2);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let shifted = if m > 2 { month - 3 } else { month + 9 };
        let day_of_year = (153 * shifted + 2) / 5 + day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let days = era * 146_097 + day_of_era - 719_468;
        let of_day = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
        let found = Self::from_seconds(days * 86_400 + of_day);
        let (year_again, month_again, day_again, ..) = Self(days * 86_400_000).civil();
        ((year_again, month_again, day_again) == (y, m, d)).then_some(found)
    }

    /// `2026-01-02T03:04:05Z`.
    pub fn iso_seconds(self) -> String {
        let (y, m, d, hour, minute, second, _) = self.civil();
        format!("{y:04}-{m:02}-{d:02}T{hour:02}:{minute:02}:{second:02}Z")
    }

    /// `20260102T030405Z`, the form of `X-Amz-Date`.
    pub fn iso_basic(self) -> String {
        let (y, m, d, hour, minute, second, _) = self.civil();
        format!("{y:04}{m:02}{d:02}T{hour:02}{minute:02}{second:02}Z")
    }

    /// Reads `20260102T030405Z`.
    pub fn parse_iso_basic(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.len() != 16 || bytes[8] != b'T' || bytes[15] != b'Z' {
            return None;
        }
        let number =
            |from: usize, to: usize| -> Option<u8> { digits(text, from, to)?.try_into().ok() };
        Self::from_civil(
            i64::from(digits(text, 0, 4)?),
            number(4, 6)?,
            number(6, 8)?,
            number(9, 11)?,
            number(11, 13)?,
            number(13, 15)?,
        )
    }
}

fn digits(text: &str, from: usize, to: usize) -> Option<u16> {
    let part = text.get(from..to)?;
    part.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| part.parse().ok())
        .flatten()
}

impl fmt::Display for Timestamp {
    /// `2026-01-02T03:04:05.678Z`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (y, m, d, hour, minute, second, milli) = self.civil();
        write!(
            out,
            "{y:04}-{m:02}-{d:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z"
        )
    }
}

/// Where the time comes from: wall time for records, monotonic time for waiting.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The wall time.
    fn now(&self) -> Timestamp;
    /// A moment that never goes backwards.
    fn instant(&self) -> Instant;
}

/// The operating system's clock; the only place that reads it.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one clock")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one clock")]
    fn instant(&self) -> Instant {
        Instant::now()
    }
}

/// A clock that moves only when told to: for simulation, demonstration and tests.
#[derive(Debug)]
pub struct ManualClock {
    start: Instant,
    start_ms: i64,
    passed_ms: AtomicI64,
}

impl ManualClock {
    /// A clock that stands at `at`.
    pub fn new(at: Timestamp) -> Self {
        let passed_ms = AtomicI64::new(0);
        Self {
            start: SystemClock.instant(),
            start_ms: at.0,
            passed_ms,
        }
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.passed_ms.fetch_add(by, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.start_ms + self.passed_ms.load(Ordering::SeqCst))
    }

    fn instant(&self) -> Instant {
        let passed = u64::try_from(self.passed_ms.load(Ordering::SeqCst)).unwrap_or(0);
        self.start + Duration::from_millis(passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn civil_dates_round_trip() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_760_000_000_123, "2025-10-09T08:53:20.123Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (2_524_607_999_000, "2049-12-31T23:59:59.000Z"),
        ] {
            assert_eq!(Timestamp::from_millis(millis).to_string(), text);
        }
        let at = Timestamp::from_seconds(1_760_000_000);
        assert_eq!(Timestamp::parse_iso_basic(&at.iso_basic()), Some(at));
    }

    #[test]
    fn impossible_dates_are_refused() {
        for text in [
            "20260230T000000Z",
            "20261301T000000Z",
            "20260101T240000Z",
            "2026",
            "",
        ] {
            assert_eq!(Timestamp::parse_iso_basic(text), None, "{text:?}");
        }
        assert_eq!(Timestamp::from_civil(2025, 2, 29, 0, 0, 0), None);
        assert!(Timestamp::from_civil(2024, 2, 29, 0, 0, 0).is_some());
    }

    #[test]
    fn a_manual_clock_moves_when_told() {
        let clock = ManualClock::new(Timestamp::from_seconds(100));
        let before = clock.instant();
        clock.advance(Duration::from_millis(1500));
        assert_eq!(clock.now(), Timestamp::from_millis(101_500));
        assert_eq!(clock.instant() - before, Duration::from_millis(1500));
    }
}
