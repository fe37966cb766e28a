//! Heads of requests: whatever they hold, reading and judging the signature does not panic.
//!
//! The first line is the path with its query, each further one a header.

#![no_main]

use std::time::Duration;

use gateway::sigv4::{Circumstances, Payload, Presented, Signed, Token};
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use model::Timestamp;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.lines();
    let (path, query) = lines.next().unwrap_or_default().split_once('?').unwrap_or(("/", ""));
    let mut headers = HeaderMap::new();
    for line in lines.take(64) {
        if let Some((name, value)) = line.split_once(": ")
            && let Ok(name) = HeaderName::from_bytes(name.as_bytes())
            && let Ok(value) = HeaderValue::from_str(value)
        {
            headers.append(name, value);
        }
    }
    let request = Signed { method: "GET", path, query, headers: &headers };
    let Ok(presented) = Presented::parse(&request) else { return };
    let now = Timestamp::from_seconds(1_767_323_045);
    let hosts = ["palisade.example".to_owned()];
    let given = Circumstances { now, skew: Duration::from_secs(900), hosts: &hosts };
    if presented.check(&request, &given).is_ok() {
        let payload = Payload::Signed("00".repeat(32));
        let answer = presented.verify(&request, &payload, None, now, Token::SignedOrAppended);
        assert!(answer.is_err());
    }
});
