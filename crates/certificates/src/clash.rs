//! Which registered certificate keeps another one out.
//!
//! A certificate is known by the digest of all its bytes, but a signature has not one form only:
//! of an ECDSA signature (r, s) anybody makes (r, n - s), which verifies as well. Without this
//! module a device whose certificate is REVOKED would show it under another id and be introduced
//! as new. So in every status it is registered with:
//!
//! - a signed part is registered once, whoever signed it;
//! - a serial number of an authority (its name and key) is registered once.
//!
//! A key may come back under a new serial number, because authorities renew certificates; but not
//! while one of its certificates is REVOKED, whoever signed that. Deleting the REVOKED certificate
//! forgets it, and its key with it. Issuing here asks nothing: whoever may have a certificate issued
//! may bring a new key.
//!
//! Deliberately not here: asking that signatures be in one form. Many authorities write either.

use std::fmt;

use model::{ApiError, CertificateId};
use pki::Certificate;
use storage::Tx;

use crate::store;

/// What is registered already, with the id it is registered under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Clash {
    /// The same certificate with another signature.
    Same(CertificateId),
    /// Another certificate with the same serial number from the same authority.
    Serial(CertificateId),
    /// A REVOKED certificate for the same key.
    RevokedKey(CertificateId),
}

impl fmt::Display for Clash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Same(id) => write!(
                out,
                "the same certificate, with another signature, is registered as {id}"
            ),
            Self::Serial(id) => write!(
                out,
                "the CA gave its serial number to certificate {id} as well, which is registered"
            ),
            Self::RevokedKey(id) => {
                write!(out, "its key is that of certificate {id}, which is REVOKED")
            }
        }
    }
}

/// The first reason not to let in `certificate`, signed by the registered `authority` or by nobody
/// we know. A certificate does not clash with itself.
pub(crate) fn find(
    tx: &mut Tx<'_>,
    certificate: &Certificate,
    authority: Option<&Certificate>,
) -> Result<Option<Clash>, ApiError> {
    if let Some(id) = store::with_signed_part(tx, certificate)? {
        return Ok(Some(Clash::Same(id)));
    }
    if let Some(authority) = authority
        && let Some(id) = store::with_serial(tx, certificate, authority)?
    {
        return Ok(Some(Clash::Serial(id)));
    }
    Ok(store::revoked_with_key(tx, certificate)?.map(Clash::RevokedKey))
}
