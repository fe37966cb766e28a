//! The exceptions of the `iam` and `sts` models, in AWS's words where they are known.

use model::{ApiError, ErrorKind};

/// `what` says the kind and by what it was named: `user with name`.
pub(crate) fn no_such(what: &str, name: &str) -> ApiError {
    let message = format!("The {what} {name} cannot be found.");
    ApiError::new(ErrorKind::NotFound, "NoSuchEntityException", message)
}

pub(crate) fn exists(what: &str, name: &str) -> ApiError {
    let message = format!("{what} with name {name} already exists.");
    ApiError::new(ErrorKind::Conflict, "EntityAlreadyExistsException", message)
}

pub(crate) fn delete_conflict(first: &str) -> ApiError {
    let message = format!("Cannot delete entity, must delete {first} first.");
    ApiError::delete_conflict(message)
}

pub(crate) fn limit(message: String) -> ApiError {
    ApiError::limit_exceeded(message)
}

pub(crate) fn malformed(message: String) -> ApiError {
    let exception = "MalformedPolicyDocumentException";
    ApiError::new(ErrorKind::Invalid, exception, message)
}

/// For operations whose model has it; the others answer [`invalid`].
pub(crate) fn invalid_input(message: String) -> ApiError {
    ApiError::new(ErrorKind::Invalid, "InvalidInputException", message)
}

pub(crate) fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new(ErrorKind::Invalid, "ValidationError", message)
}

/// A parameter of the model that is not enforced here and therefore not taken.
pub(crate) fn unserved(parameter: &str) -> ApiError {
    invalid(format!("{parameter} is not supported here; leave it out"))
}
