//! Any bytes, as a sequence of what clients send, of time that passes and of a slow disk.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| broker::check_play(bytes));
