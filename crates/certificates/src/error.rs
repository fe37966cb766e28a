//! The exceptions that only the certificate operations raise.
//!
//! Source: contract core 5.2, 5.3 and 13.4.

use model::{ApiError, CertificateId, ErrorKind};

use crate::clash::Clash;
use crate::status::{Move, Status};

/// The certificate cannot be read, is too weak, or was not signed by whom it says.
pub(crate) fn validation(message: impl Into<String>) -> ApiError {
    ApiError::new(
        ErrorKind::Invalid,
        "CertificateValidationException",
        message,
    )
}

/// The verification certificate does not carry the registration code.
pub(crate) fn registration_code(message: impl Into<String>) -> ApiError {
    ApiError::new(
        ErrorKind::Invalid,
        "RegistrationCodeValidationException",
        message,
    )
}

/// The status of a certificate or of its authority does not allow the operation.
pub(crate) fn state(message: impl Into<String>) -> ApiError {
    ApiError::new(ErrorKind::Conflict, "CertificateStateException", message)
}

/// Several authorities could have signed the certificate.
pub(crate) fn ambiguous_authority(message: impl Into<String>) -> ApiError {
    ApiError::new(ErrorKind::Conflict, "CertificateConflictException", message)
}

/// The certificate is in truth one that is registered, or its key has been revoked.
pub(crate) fn clash(clash: &Clash, arn: impl FnOnce(&CertificateId) -> String) -> ApiError {
    match clash {
        Clash::Same(id) | Clash::Serial(id) => {
            ApiError::already_exists(format!("certificatePem: {clash}"), id.as_str(), &arn(id))
        }
        Clash::RevokedKey(_) => state(format!(
            "certificatePem: {clash}; use another key, or delete that certificate first"
        )),
    }
}

pub(crate) fn no_certificate(id: &CertificateId) -> ApiError {
    ApiError::not_found(format!("certificate {id} is not registered"))
}

pub(crate) fn no_authority(id: &CertificateId) -> ApiError {
    ApiError::not_found(format!("CA certificate {id} is not registered"))
}

/// The certificate's status does not allow `wanted`.
pub(crate) fn refused(id: &CertificateId, status: Status, wanted: Move) -> ApiError {
    let hint = match status {
        Status::Active => "; set it to INACTIVE first",
        Status::Revoked => ", which is for good",
        Status::Inactive | Status::PendingTransfer | Status::PendingActivation => "",
    };
    let participle = wanted.participle();
    state(format!(
        "certificate {id} cannot be {participle}: it is {status}{hint}"
    ))
}
