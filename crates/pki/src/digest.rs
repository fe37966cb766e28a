//! SHA-256, the one digest by which certificates and keys are known.

use aws_lc_rs::digest::{SHA256, digest};

/// Bytes of a SHA-256.
pub const DIGEST_BYTES: usize = 32;

pub(crate) fn sha256(bytes: &[u8]) -> [u8; DIGEST_BYTES] {
    let mut found = [0; DIGEST_BYTES];
    found.copy_from_slice(digest(&SHA256, bytes).as_ref());
    found
}
