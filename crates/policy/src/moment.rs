//! Points in time as policies write them: ISO 8601 or seconds since 1970.
//!
//! Source: IAM User Guide, "Date condition operators" (the W3C profile of ISO
//! 8601, or epoch time). Leap seconds are not represented.

const DAY_MS: i64 = 86_400_000;

/// Milliseconds since 1970-01-01T00:00:00Z. Four digits alone are a year; any
/// other run of digits is a number of seconds.
pub(crate) fn parse(text: &str) -> Option<i64> {
    if text.len() != 4 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse::<i64>().ok()?.checked_mul(1_000);
    }
    let (date, time) = match text.split_once('T') {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let mut parts = date.split('-');
    let year = digits(parts.next()?, 4)?;
    let month = parts.next().map_or(Some(1), |part| digits(part, 2))?;
    let day = parts.next().map_or(Some(1), |part| digits(part, 2))?;
    if parts.next().is_some() || (time.is_some() && date.len() != 10) {
        return None;
    }
    let midnight_ms = days_since_1970(year, month, day)?.checked_mul(DAY_MS)?;
    let since_ms = time.map_or(Some(0), time_of_day_ms)?;
    midnight_ms.checked_add(since_ms)
}

/// `now` as `aws:CurrentTime` shows it: `2026-11-21T01:56:59Z`.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "divisors are constants; 64 bits hold the rest"
)]
pub(crate) fn format(now_ms: i64) -> String {
    let (days, of_day_s) = (now_ms.div_euclid(DAY_MS), now_ms.rem_euclid(DAY_MS) / 1_000);
    // The civil calendar, counted in eras of 400 years from 0000-03-01.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (of_day_s / 3_600, of_day_s / 60 % 60, of_day_s % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// `None` when there is no such day.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "the year has four digits, the rest are small"
)]
fn days_since_1970(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_in_month = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=days_in_month).contains(&day) {
        return None;
    }
    let march_year = if month <= 2 { year - 1 } else { year };
    let march_month = (month + 9) % 12;
    let (era, of_era) = (march_year.div_euclid(400), march_year.rem_euclid(400));
    let of_year = (153 * march_month + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

/// `hh:mm[:ss[.fraction]]` and a zone, which is required: `Z` or `+hh:mm`.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "every factor has at most three digits"
)]
fn time_of_day_ms(text: &str) -> Option<i64> {
    let (clock, zone_minutes) = match text.strip_suffix('Z') {
        Some(clock) => (clock, 0),
        None => {
            let at = text.rfind(['+', '-'])?;
            let (clock, zone) = text.split_at_checked(at)?;
            let sign = if zone.starts_with('-') { -1 } else { 1 };
            let (hours, minutes) = zone.get(1..)?.split_once(':')?;
            (clock, sign * (below(24, hours)? * 60 + below(60, minutes)?))
        }
    };
    let mut parts = clock.splitn(3, ':');
    let hour = below(24, parts.next()?)?;
    let minute = below(60, parts.next()?)?;
    let (second, fraction_ms) = match parts.next() {
        None => (0, 0),
        Some(seconds) => match seconds.split_once('.') {
            None => (below(60, seconds)?, 0),
            Some((seconds, fraction)) => (below(60, seconds)?, milliseconds(fraction)?),
        },
    };
    Some(((hour * 60 + minute - zone_minutes) * 60 + second) * 1_000 + fraction_ms)
}

/// The first three digits of a fraction of a second.
fn milliseconds(fraction: &str) -> Option<i64> {
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let three: String = fraction.chars().chain("000".chars()).take(3).collect();
    three.parse().ok()
}

fn below(limit: i64, text: &str) -> Option<i64> {
    digits(text, 2).filter(|value| *value < limit)
}

fn digits(text: &str, count: usize) -> Option<i64> {
    let all_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if text.len() == count && all_digits {
        text.parse().ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
