//! Signature version 4: who signed a request, and whether it arrived as it was signed.
//!
//! [`Presented`] is what a request says of its own signature, in the `Authorization` header or in
//! the query of a presigned URL. Reading it and judging time, host and signed headers needs no
//! secret; [`Presented::verify`] then proves it. [`sign`] does the same for our own clients.
//!
//! Beyond the signature itself: the host must be ours, date and host must be signed, and so must
//! every `x-amz-…` and `x-amzn-…` header, because such headers carry members of the input.
//!
//! It deliberately does not know where secrets are, and reads no clock. It follows what botocore
//! does, checked by vectors that botocore signed.
//!
//! Source: contract core `[HT-1]`, `[HT-23]`, `[EP-31]`..`[EP-34]`; AWS General Reference,
//! "Signature Version 4 signing process".

use std::time::Duration;

use aws_lc_rs::{digest, hmac};
use hyper::HeaderMap;
use model::{ApiError, ErrorKind, Timestamp};

mod canonical;
mod presented;
mod signing;

pub use presented::{Form, Presented};
pub use signing::{Signing, sign};

/// The one algorithm.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// What stands in the place of a payload's hash when it is not signed.
const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";

/// The parts of a request that a signature covers, beside the body.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// The method, in upper case.
    pub method: &'a str,
    /// The path as it arrived, percent-encoded.
    pub path: &'a str,
    /// The query as it arrived, without the question mark.
    pub query: &'a str,
    /// All headers.
    pub headers: &'a HeaderMap,
}

/// What a request is judged by before any secret is looked up.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// Now.
    pub now: Timestamp,
    /// How far the request's clock may be from ours, either way.
    pub skew: Duration,
    /// Our host names and addresses in lower case, without ports.
    pub hosts: &'a [String],
}

/// Where the session token stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// Within what is signed, as everywhere.
    Signed,
    /// Within, or appended to a presigned URL after signing, as the IoT device SDKs do for MQTT
    /// over WebSocket. Source: contract core `[EP-32]`.
    SignedOrAppended,
}

/// The body of a request, as far as signatures go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Its SHA-256 in lower-case hexadecimal was signed.
    Signed(String),
    /// The signer left it out.
    Unsigned,
}

/// Why a request is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// There is no signature.
    #[error("Missing Authentication Token")]
    Missing,
    /// It cannot be read.
    #[error("the signature is incomplete: {0}")]
    Incomplete(String),
    /// No such key, an inactive key, or a wrong session token.
    #[error("The security token included in the request is invalid.")]
    UnknownKey,
    /// The credential's time is over.
    #[error("The security token included in the request is expired")]
    TokenExpired,
    /// The request is not what was signed, or not with this secret.
    #[error(
        "The request signature we calculated does not match the signature you provided. Check \
         your AWS Secret Access Key and signing method. Consult the service documentation for \
         details."
    )]
    Mismatch,
    /// Signed too long ago.
    #[error(
        "Signature expired: {signed} is now earlier than {earliest} ({now} minus the clock skew or validity allowed.)"
    )]
    Expired {
        /// When it was signed, basic ISO form.
        signed: String,
        /// The earliest moment accepted.
        earliest: String,
        /// Our time.
        now: String,
    },
    /// Signed in the future.
    #[error(
        "Signature not yet current: {signed} is still later than {latest} ({now} plus the clock skew allowed.)"
    )]
    TooEarly {
        /// When it was signed, basic ISO form.
        signed: String,
        /// The latest moment accepted.
        latest: String,
        /// Our time.
        now: String,
    },
    /// The host is not ours.
    #[error("the request is signed for a host that is not served here")]
    WrongHost,
    /// The scope names another region, service or date.
    #[error("Credential should be scoped to {0}")]
    WrongScope(String),
    /// A header that must be signed is not.
    #[error("the header '{0}' must be signed")]
    UnsignedHeader(String),
    /// The body's hash is not that of the body.
    #[error("the value of x-amz-content-sha256 does not match the body")]
    PayloadMismatch,
    /// The body must be signed.
    #[error("the body of a call that changes something must be signed")]
    UnsignedPayload,
    /// A presigned URL calls something that changes the platform.
    #[error("presigned URLs serve calls that only read")]
    PresignedChange,
}

impl SignatureError {
    /// The error to answer; the query protocol has its own names.
    // spec aws-iot [HT-23]
    pub fn to_api_error(&self, query_protocol: bool) -> ApiError {
        let (rest, query) = match self {
            Self::Missing => (
                "MissingAuthenticationTokenException",
                "MissingAuthenticationToken",
            ),
            Self::Incomplete(_) => ("IncompleteSignatureException", "IncompleteSignature"),
            Self::UnknownKey => ("UnrecognizedClientException", "InvalidClientTokenId"),
            Self::TokenExpired => ("ExpiredTokenException", "ExpiredToken"),
            Self::Mismatch
            | Self::Expired { .. }
            | Self::TooEarly { .. }
            | Self::WrongHost
            | Self::WrongScope(_)
            | Self::UnsignedHeader(_)
            | Self::PayloadMismatch
            | Self::UnsignedPayload
            | Self::PresignedChange => ("InvalidSignatureException", "SignatureDoesNotMatch"),
        };
        let exception = if query_protocol { query } else { rest };
        ApiError::new(ErrorKind::Unauthenticated, exception, self.to_string())
    }
}

/// SHA-256 in lower-case hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|nibble| char::from(DIGITS[usize::from(nibble)]))
        .collect()
}

/// The signature of a canonical request.
fn signature(canonical: &[u8], secret: &str, scope: &Scope<'_>, at: Timestamp) -> String {
    let to_sign = format!(
        "{ALGORITHM}\n{}\n{}\n{}",
        at.iso_basic(),
        scope.text(),
        sha256_hex(canonical)
    );
    let mut key = keyed(format!("AWS4{secret}").as_bytes(), scope.date);
    for part in [scope.region, scope.service, "aws4_request"] {
        key = keyed(key.as_ref(), part);
    }
    hex(keyed(key.as_ref(), &to_sign).as_ref())
}

fn keyed(key: &[u8], text: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
}

/// The scope of a credential.
#[derive(Clone, Copy, Debug)]
struct Scope<'a> {
    date: &'a str,
    region: &'a str,
    service: &'a str,
}

impl Scope<'_> {
    fn text(&self) -> String {
        format!(
            "{}/{}/{}/aws4_request",
            self.date, self.region, self.service
        )
    }
}

#[cfg(test)]
mod tests;
