//! A certificate as DER and as PEM: never a panic, and what was read reads the same again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pki::Certificate;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(certificate) = Certificate::parse_der(bytes) {
        assert_eq!(Certificate::parse_pem(&certificate.pem()).as_ref(), Ok(&certificate));
        let _ = pki::verify_issued_by(&certificate, &certificate);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = Certificate::parse_pem(text);
    }
});
