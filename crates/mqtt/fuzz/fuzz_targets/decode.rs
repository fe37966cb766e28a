//! Any bytes, as a packet of either version from either side.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mqtt::generate::check_decode(bytes));
