//! Routing one publish among a million subscriptions.

use std::hint::black_box;

use anyhow::{Result, ensure};
use model::{Clock as _, SystemClock};
use mqtt::route::Routes;
use mqtt::topic::HashMatchesParent;
use mqtt::{TopicFilter, TopicLimits, TopicName};

use super::Figure;

const SUBSCRIPTIONS: u32 = 1_000_000;
/// One in so many filters has wildcards.
const WILDCARD_EACH: u32 = 10;
const LOOKUPS: u32 = 1_000_000;

pub(super) fn measure() -> Result<Vec<Figure>> {
    let limits = TopicLimits::STANDARD;
    let mut routes: Routes<u32, u8> = Routes::new(HashMatchesParent::Yes);
    for device in 0..SUBSCRIPTIONS {
        let filter = match device % WILDCARD_EACH {
            0 => format!("plant/{}/+/{device}/#", device % 97),
            _ => format!("plant/{}/line/{device}/cmd", device % 97),
        };
        routes.insert(&TopicFilter::parse(&filter, &limits)?, device, 1);
    }
    ensure!(
        routes.len() == SUBSCRIPTIONS as usize,
        "every filter is its own"
    );
    // Another device each time, so that no cache has it; the multiplier is prime to the count.
    let device =
        |n: u32| u32::try_from(u64::from(n) * 7_919 % u64::from(SUBSCRIPTIONS)).unwrap_or(0);
    let mut topics = Vec::new();
    for n in 0..LOOKUPS {
        let device = device(n);
        let text = match device % WILDCARD_EACH {
            0 => format!("plant/{}/line/{device}/alarm", device % 97),
            _ => format!("plant/{}/line/{device}/cmd", device % 97),
        };
        topics.push(TopicName::parse(&text, &limits)?);
    }
    let mut found = 0_u64;
    let began = SystemClock.instant();
    for topic in &topics {
        routes.matches(black_box(topic), |subscriber, _| {
            black_box(subscriber);
            found += 1;
        });
    }
    let each_us = (SystemClock.instant() - began).as_secs_f64() * 1e6 / f64::from(LOOKUPS);
    ensure!(
        found == u64::from(LOOKUPS),
        "each topic has one subscriber, found {found}"
    );
    let detail = format!(
        "{SUBSCRIPTIONS} subscriptions, one in {WILDCARD_EACH} with wildcards, {LOOKUPS} topics of \
         four levels, another each time, one subscriber each"
    );
    let what = "routing one publish among 1,000,000 subscriptions";
    Ok(vec![Figure::below(what, each_us, "µs", 2.0, detail)])
}
