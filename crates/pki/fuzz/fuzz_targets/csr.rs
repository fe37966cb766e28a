//! A certificate signing request as DER and as PEM: never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pki::Csr;

fuzz_target!(|bytes: &[u8]| {
    let _ = Csr::parse_der(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = Csr::parse_pem(text);
    }
});
