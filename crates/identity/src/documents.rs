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
/// `aws:TokenIssueTime` is refused: it is how AWS revokes the sessions of a role, and a Deny that
/// rests on a key no request carries would deny nobody.
pub(crate) fn check(text: &str, dialect: Dialect) -> Result<(), ApiError> {
    let document = Document::parse(text, dialect).map_err(|error| malformed(error.to_string()))?;
    let mut conditions = document.statements().iter().flat_map(|of| of.conditions());
    let unserved = |key: &str| key.eq_ignore_ascii_case("aws:TokenIssueTime");
    if conditions.any(|condition| unserved(condition.key().text())) {
        return Err(malformed(
            "the condition key aws:TokenIssueTime is not supported here; to end the sessions of \
             a role, delete the role"
                .to_owned(),
        ));
    }
    Ok(())
}

/// A document as IAM answers it: percent-encoded, which clients undo.
pub(crate) fn shown(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}
