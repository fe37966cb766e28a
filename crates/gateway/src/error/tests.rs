use model::ErrorKind;

use super::*;

#[track_caller]
fn check(service: &str, exception: &'static str, kind: ErrorKind, expected: (&str, u16)) {
    let model = ServiceModel::of(service).unwrap();
    let error = ApiError::new(kind, exception, "m");
    let found = (code(model, exception), status(model, &error));
    assert_eq!(
        (found.0.as_str(), found.1),
        expected,
        "{service} {exception}"
    );
}

// tests aws-iot [HT-22]
#[test]
fn one_exception_has_another_status_in_another_service() {
    let of = |service, exception, status| {
        check(service, exception, ErrorKind::Invalid, (exception, status));
    };
    of("iot", "InvalidRequestException", 400);
    of("iot", "ThrottlingException", 400);
    of("iot-data", "ThrottlingException", 429);
    of("palisade", "ThrottlingException", 429);
    of("iot", "UnauthorizedException", 401);
    of("iot", "ServiceQuotaExceededException", 402);
    of("iot-data", "ForbiddenException", 403);
    of("iot", "ResourceNotFoundException", 404);
    of("iot-data", "MethodNotAllowedException", 405);
    of("iot", "CertificateStateException", 406);
    of("iot", "VersionConflictException", 409);
    of("iot", "ResourceAlreadyExistsException", 409);
    of("iot-data", "ConflictException", 409);
    of("iot", "LimitExceededException", 410);
    of("iot", "TransferAlreadyCompletedException", 410);
    of("iot-data", "RequestEntityTooLargeException", 413);
    of("iot-data", "UnsupportedDocumentEncodingException", 415);
    of("iot", "InternalFailureException", 500);
    of("iot", "ServiceUnavailableException", 503);
}

// tests aws-iot [HT-23]
#[test]
fn the_front_end_has_its_own() {
    use ErrorKind::{Conflict, Forbidden, Internal, Invalid, NotFound, Throttled, Unauthenticated};
    let rest = |exception, kind, status| check("iot", exception, kind, (exception, status));
    rest("AccessDeniedException", Forbidden, 403);
    rest("MissingAuthenticationTokenException", Unauthenticated, 403);
    rest("UnrecognizedClientException", Unauthenticated, 403);
    rest("InvalidSignatureException", Unauthenticated, 403);
    rest("ExpiredTokenException", Unauthenticated, 403);
    rest("IncompleteSignatureException", Unauthenticated, 400);
    rest("UnknownOperationException", NotFound, 404);
    rest("RequestTimeoutException", Invalid, 408);
    let query = |exception, kind, code, status| check("iam", exception, kind, (code, status));
    query("AccessDeniedException", Forbidden, "AccessDenied", 403);
    query(
        "InvalidClientTokenId",
        Unauthenticated,
        "InvalidClientTokenId",
        403,
    );
    query("ExpiredToken", Unauthenticated, "ExpiredToken", 403);
    query("UnknownOperationException", NotFound, "InvalidAction", 400);
    query("NoSuchEntityException", NotFound, "NoSuchEntity", 404);
    query(
        "EntityAlreadyExistsException",
        Conflict,
        "EntityAlreadyExists",
        409,
    );
    query("ValidationError", Invalid, "ValidationError", 400);
    query("ThrottlingException", Throttled, "Throttling", 400);
    query("InternalFailureException", Internal, "InternalFailure", 500);
}
