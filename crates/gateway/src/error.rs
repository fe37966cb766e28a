//! From an [`model::ApiError`] to the code and status that a service answers.
//!
//! The status of a modelled exception stands in the model, because AWS gives one exception
//! different statuses in different services. What the models leave open, and the errors of the
//! front end, which are in no model, stand in the tables here.
//!
//! Source: contract core 13.4.

use model::ApiError;

use crate::catalogue::Served;
use crate::service_model::{Protocol, ServiceModel};

/// Errors any operation may answer though no model lists them.
const FRONT_END: [&str; 16] = [
    "AccessDeniedException",
    "ForbiddenException",
    "UnauthorizedException",
    "UnknownOperationException",
    "MethodNotAllowedException",
    "RequestEntityTooLargeException",
    "ThrottlingException",
    "InternalFailureException",
    "InternalFailure",
    "ServiceUnavailableException",
    "ServiceUnavailable",
    "InvalidRequestException",
    "ValidationError",
    "MissingAuthenticationTokenException",
    "UnrecognizedClientException",
    "ExpiredTokenException",
];

/// Front-end errors by their names in the query protocol.
const QUERY_CODES: [(&str, &str); 7] = [
    ("AccessDeniedException", "AccessDenied"),
    ("ForbiddenException", "AccessDenied"),
    ("ThrottlingException", "Throttling"),
    ("InternalFailureException", "InternalFailure"),
    ("ServiceUnavailableException", "ServiceUnavailable"),
    ("UnknownOperationException", "InvalidAction"),
    ("InvalidRequestException", "ValidationError"),
];

/// Statuses of the front end, and of exceptions whose model gives none.
// spec aws-iot [HT-22] [HT-23]
const STATUSES: [(&str, u16); 21] = [
    ("AccessDeniedException", 403),
    ("UnrecognizedClientException", 403),
    ("InvalidSignatureException", 403),
    ("ExpiredTokenException", 403),
    ("MissingAuthenticationTokenException", 403),
    ("InvalidClientTokenId", 403),
    ("SignatureDoesNotMatch", 403),
    ("ExpiredToken", 403),
    ("MissingAuthenticationToken", 403),
    ("IncompleteSignature", 400),
    ("IncompleteSignatureException", 400),
    ("MethodNotAllowedException", 405),
    ("RequestEntityTooLargeException", 413),
    ("UnsupportedDocumentEncodingException", 415),
    ("CertificateStateException", 406),
    ("ServiceQuotaExceededException", 402),
    ("TransferAlreadyCompletedException", 410),
    ("TerminalStateException", 410),
    ("RequestTimeoutException", 408),
    ("GatewayTimeoutException", 504),
    ("LimitExceededException", 410),
];

/// Whether `exception` is one that `served` may raise.
pub(crate) fn is_modelled(served: &Served, exception: &str) -> bool {
    let listed = |name: &String| {
        name == exception
            || served
                .service
                .exception(name)
                .and_then(|shape| shape.exception.as_ref()?.code.as_deref())
                .is_some_and(|code| code == exception)
    };
    FRONT_END.contains(&exception) || served.model.errors.iter().any(listed)
}

/// The error code that a client of `model` expects.
pub(crate) fn code(model: &ServiceModel, exception: &'static str) -> String {
    let shape = model.exception(exception);
    if let Some(code) = shape.and_then(|shape| shape.exception.as_ref()?.code.clone()) {
        return code;
    }
    if model.protocol == Protocol::Query {
        let found = QUERY_CODES.iter().find(|(name, _)| *name == exception);
        if let Some((_, code)) = found {
            return (*code).to_owned();
        }
    }
    exception.to_owned()
}

/// The HTTP status of `error` in the service of `model`.
pub(crate) fn status(model: &ServiceModel, error: &ApiError) -> u16 {
    let shape = model.exception(error.exception);
    if let Some(status) = shape.and_then(|shape| shape.exception.as_ref()?.status) {
        return status;
    }
    let unknown = error.exception == "UnknownOperationException";
    if unknown && model.protocol == Protocol::Query {
        return 400;
    }
    // spec aws-iot [HT-22]: 400 on the control plane, 429 on the data plane.
    if error.exception == "ThrottlingException" && !model.is_data_plane() {
        return 400;
    }
    match STATUSES.iter().find(|(name, _)| *name == error.exception) {
        Some((_, status)) => *status,
        None => error.kind.http_status(),
    }
}

#[cfg(test)]
mod tests;
