//! A certificate signing request: whose key, under what name, and proof that the sender holds it.
//!
//! Only the subject and the key are taken. What else a request asks for (extensions, a CA bit,
//! other names) is read past and never reaches a certificate.
//!
//! Sources: RFC 2986; contract core 5.2.

use rustls_pki_types::pem::SectionKind;
use x509_parser::asn1_rs::FromDer;
use x509_parser::certification_request::X509CertificationRequest;

use crate::der::{is_whole, parts};
use crate::key::{KeyError, PublicKey};
use crate::name::Name;
use crate::pem::{Block, PemError};
use crate::signature::{SignatureAlgorithm, SignatureError};

const BLOCK: Block = Block {
    label: "CERTIFICATE REQUEST",
    kind: SectionKind::Csr,
    chars_max: Csr::PEM_CHARS_MAX,
};

/// Why a request cannot be answered with a certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CsrError {
    /// The text holds no single PEM block.
    #[error("certificate signing request: {0}")]
    Pem(#[from] PemError),
    /// The bytes are not PKCS #10, or bytes are left over.
    #[error("certificate signing request: the bytes are not exactly one PKCS #10 request in DER")]
    NotPkcs10,
    /// The subject is not a well-formed distinguished name.
    #[error("certificate signing request: the subject is not a well-formed distinguished name")]
    BadSubject,
    /// The public key is not acceptable.
    #[error("certificate signing request: {0}")]
    Key(#[from] KeyError),
    /// The signature algorithm is not acceptable, or the signature is not the key's.
    #[error("certificate signing request: {0}")]
    Signature(#[from] SignatureError),
}

/// A request whose signature was made by the key that it carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Csr {
    subject: Name,
    public_key: PublicKey,
}

impl Csr {
    /// Longest PEM text accepted, in characters.
    // spec aws-iot [CT-2]
    pub const PEM_CHARS_MAX: usize = 4096;

    /// Reads the only request in a PEM text and checks its signature.
    ///
    /// # Errors
    /// [`CsrError`] names what is wrong.
    pub fn parse_pem(text: &str) -> Result<Self, CsrError> {
        // Java's keytool and older tools write the label with NEW in front.
        let text = text.replace("NEW CERTIFICATE REQUEST", "CERTIFICATE REQUEST");
        Self::parse_der(&BLOCK.decode(&text)?)
    }

    /// Reads a request in DER and checks its signature.
    ///
    /// # Errors
    /// [`CsrError`] names what is wrong.
    pub fn parse_der(der: &[u8]) -> Result<Self, CsrError> {
        let (_, request) =
            X509CertificationRequest::from_der(der).map_err(|_| CsrError::NotPkcs10)?;
        let info = &request.certification_request_info;
        let exact = parts(der).is_some_and(|parts| parts.len() == 3)
            && is_whole(info.raw)
            && request.signature_value.unused_bits == 0;
        if !exact {
            return Err(CsrError::NotPkcs10);
        }
        let subject = Name::read(&info.subject).ok_or(CsrError::BadSubject)?;
        let public_key = PublicKey::read(&info.subject_pki)?;
        let algorithm = SignatureAlgorithm::read(&request.signature_algorithm)?;
        algorithm.verify(&public_key, info.raw, &request.signature_value.data)?;
        Ok(Self {
            subject,
            public_key,
        })
    }

    /// The name asked for.
    pub fn subject(&self) -> &Name {
        &self.subject
    }

    /// The key to certify.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }
}

#[cfg(test)]
mod tests;
