//! Any text, as a topic name, a filter, a subscription.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| mqtt::generate::check_topics(text));
