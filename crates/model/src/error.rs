//! What went wrong, in the one form that every door understands.
//!
//! An operation answers [`ApiError`]: a kind (retry and MQTT reason follow from it), the modelled
//! AWS exception (its HTTP status comes from the service model, because AWS gives one exception
//! different statuses in different services), and a message for the caller. What must not leave
//! the house stays in `source` and goes to the log only.

use std::error::Error;
use std::fmt;

/// What a caller can do about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request can never succeed as written.
    Invalid,
    /// Nobody we know.
    Unauthenticated,
    /// Known, and not allowed.
    Forbidden,
    /// What it names does not exist.
    NotFound,
    /// The stored state is not what the request assumed; read again and retry.
    Conflict,
    /// Larger than a limit.
    TooLarge,
    /// Over a rate or a quota.
    Throttled,
    /// A dependency is away; the same request may succeed later.
    Unavailable,
    /// A bug. The message goes to the log and never to the caller.
    Internal,
}

impl ErrorKind {
    /// The HTTP status when no service model says otherwise.
    pub const fn http_status(self) -> u16 {
        match self {
            Self::Invalid => 400,
            Self::Unauthenticated => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::Throttled => 429,
            Self::Internal => 500,
            Self::Unavailable => 503,
        }
    }
}

/// A failed operation: kind, modelled exception, message, further members of the answer.
#[derive(Debug)]
pub struct ApiError {
    /// Decides retry, MQTT reason code and log level.
    pub kind: ErrorKind,
    /// The modelled exception, such as `ResourceNotFoundException`.
    pub exception: &'static str,
    /// For the caller: lower-case names of fields, what is wrong, what to do.
    pub message: String,
    /// Further members of the error body, such as `resourceArn`.
    pub members: Vec<(&'static str, String)>,
    /// For the log only.
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident, $kind:ident, $exception:literal;)*) => {
        impl ApiError {
            $($(#[$doc])*
            pub fn $name(message: impl Into<String>) -> Self {
                Self::new(ErrorKind::$kind, $exception, message)
            })*
        }
    };
}

constructors! {
    /// `InvalidRequestException`.
    invalid, Invalid, "InvalidRequestException";
    /// `ResourceNotFoundException`.
    not_found, NotFound, "ResourceNotFoundException";
    /// `VersionConflictException`.
    version_conflict, Conflict, "VersionConflictException";
    /// `DeleteConflictException`.
    delete_conflict, Conflict, "DeleteConflictException";
    /// `LimitExceededException`.
    limit_exceeded, Throttled, "LimitExceededException";
    /// `ThrottlingException`.
    throttled, Throttled, "ThrottlingException";
    /// `AccessDeniedException`.
    access_denied, Forbidden, "AccessDeniedException";
    /// `ServiceUnavailableException`.
    unavailable, Unavailable, "ServiceUnavailableException";
}

impl ApiError {
    /// An error that names its exception itself.
    pub fn new(kind: ErrorKind, exception: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            exception,
            message: message.into(),
            members: Vec::new(),
            source: None,
        }
    }

    /// `ResourceAlreadyExistsException` with the id and ARN that exist. Source: `[HT-20]` example.
    pub fn already_exists(message: impl Into<String>, id: &str, arn: &str) -> Self {
        Self::new(
            ErrorKind::Conflict,
            "ResourceAlreadyExistsException",
            message,
        )
        .with("resourceId", id)
        .with("resourceArn", arn)
    }

    /// A failure of ours: the caller learns nothing but that it happened.
    pub fn internal(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let message = "an internal error occurred; its cause is in the log under this request id";
        let mut error = Self::new(ErrorKind::Internal, "InternalFailureException", message);
        error.source = Some(source.into());
        error
    }

    /// Adds a member to the error body.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.members.push((name, value.into()));
        self
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.exception, self.message)
    }
}

impl Error for ApiError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn Error + 'static))
    }
}
