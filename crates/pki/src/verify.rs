//! Who signed a certificate: checks between two certificates, no chains and no clock.
//!
//! A device certificate is tied to its authority once, when it is registered; from then on its
//! fingerprint stands for it. So one signature and two names are all there is to check.
//!
//! Source: contract core 5.2 and 5.3; RFC 5280, section 6.1.3.

use crate::certificate::Certificate;
use crate::name::NameAttribute;
use crate::signature::SignatureError;

/// Why one certificate does not vouch for another. The names in it are excerpts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The issuing certificate lacks basicConstraints with CA:true.
    #[error("certificate `{subject}` is not a CA: it needs basicConstraints with CA:true")]
    NotCa {
        /// Its subject.
        subject: String,
    },
    /// The issuer named in the certificate is not the subject of the authority.
    #[error("the certificate names `{named}` as its issuer, not `{authority}`")]
    OtherIssuer {
        /// The issuer named.
        named: String,
        /// The authority's subject.
        authority: String,
    },
    /// The authority's key did not sign the certificate.
    #[error("the certificate was not signed by `{authority}`")]
    Signature {
        /// The authority's subject.
        authority: String,
        /// What failed.
        #[source]
        source: SignatureError,
    },
    /// The verification certificate's common name is not the registration code.
    #[error(
        "the verification certificate's common name must be the registration code and nothing else"
    )]
    NotTheRegistrationCode,
}

/// Refuses a certificate that may not sign others.
///
/// # Errors
/// [`VerifyError::NotCa`].
// spec aws-iot [CT-23]
pub fn require_ca(certificate: &Certificate) -> Result<(), VerifyError> {
    if certificate.is_ca() {
        return Ok(());
    }
    Err(VerifyError::NotCa {
        subject: certificate.subject().excerpt(),
    })
}

/// Whether `authority` signed `certificate`: it is a CA, its subject is the issuer byte for byte,
/// and the signature verifies with its key. Validity is not looked at.
///
/// # Errors
/// [`VerifyError`] names the first of these that fails.
pub fn verify_issued_by(
    certificate: &Certificate,
    authority: &Certificate,
) -> Result<(), VerifyError> {
    require_ca(authority)?;
    if certificate.issuer().der() != authority.subject().der() {
        return Err(VerifyError::OtherIssuer {
            named: certificate.issuer().excerpt(),
            authority: authority.subject().excerpt(),
        });
    }
    certificate
        .signed_by(authority.public_key())
        .map_err(|source| VerifyError::Signature {
            authority: authority.subject().excerpt(),
            source,
        })
}

/// Whether `verification` proves that its sender holds the key of `authority`: it is signed by
/// that key and its only common name is the registration code.
///
/// # Errors
/// [`VerifyError`] names the first check that fails; a wrong code is
/// [`VerifyError::NotTheRegistrationCode`].
// spec aws-iot [CT-21]
pub fn verify_registration(
    verification: &Certificate,
    authority: &Certificate,
    registration_code: &str,
) -> Result<(), VerifyError> {
    let names = verification.subject().values_of(NameAttribute::CommonName);
    if !matches!(names, [only] if only == registration_code) {
        return Err(VerifyError::NotTheRegistrationCode);
    }
    verify_issued_by(verification, authority)
}

#[cfg(test)]
mod tests;
