//! What others ask about a certificate: whether it may authenticate, and what it says.
//!
//! A door asks for the status, the policy engine for the attributes. Attributes are read out of
//! the stored certificate each time rather than kept beside it: reading takes microseconds, and
//! what the reader learns in a later release then holds for old certificates too.

use model::{ApiError, CertificateId, Timestamp};
use policy::{AlternativeName, CertificateFacts, NameAttribute};
use storage::Tx;

use crate::status::Status;
use crate::store;

/// The status of a certificate; `None` when it is not registered.
///
/// # Errors
/// What the storage answers.
pub fn status(tx: &mut Tx<'_>, id: &CertificateId) -> Result<Option<Status>, ApiError> {
    Ok(store::standing(tx, id)?.map(|(status, _)| status))
}

/// The last moment of a certificate's validity; `None` when it is not registered.
///
/// # Errors
/// What the storage answers.
pub fn not_after(tx: &mut Tx<'_>, id: &CertificateId) -> Result<Option<Timestamp>, ApiError> {
    Ok(store::standing(tx, id)?.map(|(_, not_after)| not_after))
}

/// Whether a device certificate is registered, in whatever status.
///
/// # Errors
/// What the storage answers.
pub fn exists(tx: &mut Tx<'_>, id: &CertificateId) -> Result<bool, ApiError> {
    Ok(store::standing(tx, id)?.is_some())
}

/// Whether an authority is registered, in whatever status.
///
/// # Errors
/// What the storage answers.
pub fn authority_exists(tx: &mut Tx<'_>, id: &CertificateId) -> Result<bool, ApiError> {
    Ok(store::authority(tx, id)?.is_some())
}

/// What policies may ask of a certificate; `None` when it is not registered.
///
/// # Errors
/// What the storage answers.
pub fn facts(tx: &mut Tx<'_>, id: &CertificateId) -> Result<Option<CertificateFacts>, ApiError> {
    let Some(stored) = store::certificate(tx, id)? else {
        return Ok(None);
    };
    let certificate = pki::Certificate::parse_pem(&stored.pem).map_err(ApiError::internal)?;
    Ok(Some(facts_of(&certificate)))
}

fn facts_of(certificate: &pki::Certificate) -> CertificateFacts {
    CertificateFacts {
        id: certificate.id().as_str().to_owned(),
        serial: certificate.serial().to_owned(),
        subject: renamed(certificate.subject().values(), attribute),
        issuer: renamed(certificate.issuer().values(), attribute),
        subject_alternative: renamed(certificate.subject_alternative(), alternative),
        issuer_alternative: renamed(certificate.issuer_alternative(), alternative),
    }
}

fn renamed<From: Copy, To>(
    values: &[(From, Vec<String>)],
    rename: fn(From) -> To,
) -> Vec<(To, Vec<String>)> {
    values
        .iter()
        .map(|(name, values)| (rename(*name), values.clone()))
        .collect()
}

fn attribute(attribute: pki::NameAttribute) -> NameAttribute {
    match attribute {
        pki::NameAttribute::DistinguishedNameQualifier => NameAttribute::DistinguishedNameQualifier,
        pki::NameAttribute::Country => NameAttribute::Country,
        pki::NameAttribute::Organization => NameAttribute::Organization,
        pki::NameAttribute::OrganizationalUnit => NameAttribute::OrganizationalUnit,
        pki::NameAttribute::State => NameAttribute::State,
        pki::NameAttribute::CommonName => NameAttribute::CommonName,
        pki::NameAttribute::SerialNumber => NameAttribute::SerialNumber,
        pki::NameAttribute::Title => NameAttribute::Title,
        pki::NameAttribute::Surname => NameAttribute::Surname,
        pki::NameAttribute::GivenName => NameAttribute::GivenName,
        pki::NameAttribute::Initials => NameAttribute::Initials,
        pki::NameAttribute::Pseudonym => NameAttribute::Pseudonym,
        pki::NameAttribute::GenerationQualifier => NameAttribute::GenerationQualifier,
    }
}

fn alternative(kind: pki::AlternativeName) -> AlternativeName {
    match kind {
        pki::AlternativeName::Rfc822Name => AlternativeName::Rfc822Name,
        pki::AlternativeName::DnsName => AlternativeName::DnsName,
        pki::AlternativeName::DirectoryName => AlternativeName::DirectoryName,
        pki::AlternativeName::UniformResourceIdentifier => {
            AlternativeName::UniformResourceIdentifier
        }
        pki::AlternativeName::IpAddress => AlternativeName::IpAddress,
    }
}
