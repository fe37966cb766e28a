//! Certificates: read an identity from X.509, issue, verify, and carry them over TLS.
//!
//! A device is its certificate, and a certificate is known by the SHA-256 of its DER. This crate
//! turns foreign bytes into that identity or refuses them with a reason, holds the two
//! authorities of an installation (one for devices, one for servers, so that neither can speak
//! for the other), and builds the TLS configurations of both ends.
//!
//! Invariants:
//! - No files, no sockets, no clock: the time is an argument or a [`model::Clock`], keys leave as
//!   DER for the caller to seal. (The one exception lies in `rustls`: it ages its ticket keys by
//!   the system clock.)
//! - Nothing a peer sends can panic: every parser is bounded, fuzzed and free of indexing.
//! - No chain is built for a device. Its certificate is accepted or refused by the registry, by
//!   fingerprint, after the peer has proven that it holds the key.
//! - Which certificate is active, revoked or known is not decided here; see [`tls::Admission`].
//!
//! Sources: contract core 1.2, 5 and 7.4; RFC 5280, RFC 2986, RFC 8446.

#![cfg_attr(
    not(test),
    warn(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice
    )
)]

pub mod authority;
mod certificate;
mod csr;
mod der;
mod digest;
mod key;
mod name;
mod pem;
mod signature;
pub mod tls;
mod verify;

#[cfg(test)]
mod samples;

pub use certificate::{
    BasicConstraints, Certificate, CertificateError, certificate_id, fingerprint,
};
pub use csr::{Csr, CsrError};
pub use digest::DIGEST_BYTES;
pub use key::{KeyAlgorithm, KeyError, KeyKind, PrivateKey, PublicKey, generate_key};
pub use name::{AlternativeName, Name, NameAttribute};
pub use pem::PemError;
pub use signature::{Hash, SignatureAlgorithm, SignatureError};
pub use verify::{VerifyError, require_ca, verify_issued_by, verify_registration};
