//! Policy documents: what is accepted, and how IAM shows them.

use model::ApiError;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use policy::{Dialect, Document};

use crate::error::malformed;

/// What RFC 3986 leaves unencoded beside letters and digits.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Checks a document before it is stored.
///
/// # Errors
/// `MalformedPolicyDocumentException`, with what is wrong.
pub(crate) fn check(text: &str, dialect: Dialect) -> Result<(), ApiError> {
    match Document::parse(text, dialect) {
        Ok(_) => Ok(()),
        Err(error) => Err(malformed(error.to_string())),
    }
}

/// A document as IAM answers it: percent-encoded, which clients undo.
pub(crate) fn shown(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}
