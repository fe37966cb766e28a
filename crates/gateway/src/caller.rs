//! Who calls: the identity behind a request, and the ports that know identities.
//!
//! A caller is a user or an assumed role, proven by a signature, or a device, proven by the
//! certificate of its TLS connection. The gateway asks [`Credentials`] for secrets and policies
//! and [`DevicePolicy`] for verdicts on devices; it stores neither.
//!
//! Source: contract core 13.1, 13.3 and 12.3.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use model::{ApiError, CertificateId, Timestamp};
use policy::{DeviceAction, NamedPolicy};
use storage::Tx;
use zeroize::Zeroizing;

use crate::BoxFuture;

/// How a caller proved itself, which is also the `type` of the trail's `userIdentity`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallerKind {
    /// A user with an access key of its own.
    User,
    /// A session of a role, with temporary credentials.
    AssumedRole {
        /// When the credentials were issued: `aws:TokenIssueTime`, by which a policy ends the
        /// sessions that are older than it.
        issued_at: Timestamp,
    },
    /// A device with the certificate of its TLS connection.
    Device,
}

/// An authenticated caller of one request.
#[derive(Clone, Debug)]
pub struct Caller {
    /// How the caller proved itself.
    pub kind: CallerKind,
    /// The ARN of the user, the assumed-role session or the certificate.
    pub arn: String,
    /// The unique id: `AIDA…`, `AROA…:session`, or the certificate id.
    pub user_id: String,
    /// The account, 12 digits.
    pub account: String,
    /// The access key that signed; none for devices.
    pub access_key_id: Option<String>,
    /// The name of the role session.
    pub session_name: Option<String>,
    /// Where the request came from.
    pub source_ip: IpAddr,
    /// The `User-Agent` header, cut to [`crate::USER_AGENT_BYTES_MAX`] bytes; may be empty.
    pub user_agent: String,
    /// The identity policies that decide what the caller may do.
    pub policies: Arc<Vec<NamedPolicy>>,
    /// Tags of the principal, for `aws:PrincipalTag/…`.
    pub tags: BTreeMap<String, String>,
    /// The certificate of the connection; set for devices only.
    pub certificate: Option<CertificateId>,
}

impl Caller {
    /// When the temporary credentials of a role session were issued; none for other callers.
    pub fn token_issued_at(&self) -> Option<Timestamp> {
        match self.kind {
            CallerKind::AssumedRole { issued_at } => Some(issued_at),
            CallerKind::User | CallerKind::Device => None,
        }
    }

    /// The user name: the last part of a user's ARN.
    pub fn user_name(&self) -> Option<&str> {
        match self.kind {
            CallerKind::User => self.arn.rsplit('/').next(),
            CallerKind::AssumedRole { .. } | CallerKind::Device => None,
        }
    }
}

/// The part of a caller that belongs to an access key.
#[derive(Clone, Debug)]
pub struct CallerIdentity {
    /// [`CallerKind::User`] or [`CallerKind::AssumedRole`].
    pub kind: CallerKind,
    /// The ARN of the user or the assumed-role session.
    pub arn: String,
    /// The unique id: `AIDA…` or `AROA…:session`.
    pub user_id: String,
    /// The identity policies.
    pub policies: Arc<Vec<NamedPolicy>>,
    /// Tags of the principal and of the session.
    pub tags: BTreeMap<String, String>,
    /// The name of the role session.
    pub session_name: Option<String>,
}

/// An access key with everything a request signed by it needs.
#[derive(Clone)]
pub struct Credential {
    /// The secret access key.
    pub secret: Zeroizing<String>,
    /// For temporary credentials: what the request's session token must equal.
    pub session_token: Option<String>,
    /// The first moment at which the credential is no longer good; none for long-term keys.
    pub expires: Option<Timestamp>,
    /// Whether the key is switched on.
    pub active: bool,
    /// Whom the key belongs to.
    pub caller: CallerIdentity,
}

impl fmt::Debug for Credential {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Credential")
            .field("secret", &"<redacted>")
            .field("expires", &self.expires)
            .field("active", &self.active)
            .field("caller", &self.caller.arn)
            .finish_non_exhaustive()
    }
}

/// Where access keys are kept.
pub trait Credentials: Send + Sync {
    /// The credential of `access_key_id`, active or not; none when there is no such key.
    ///
    /// # Errors
    /// What the storage answers.
    fn find(&self, tx: &mut Tx<'_>, access_key_id: &str) -> Result<Option<Credential>, ApiError>;

    /// Told of each request proven to be signed with the key, for "last used". Must not wait.
    fn used(&self, _access_key_id: &str, _service: &str, _at: Timestamp) {}
}

/// A resource of an IoT policy, owned so that it can travel to the broker.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum OwnedResource {
    /// `client/{id}`.
    Client(String),
    /// `topic/{name}`.
    Topic(String),
    /// `topicfilter/{filter}`.
    TopicFilter(String),
    /// `thing/{name}` or `thing/{name}/{shadow}`.
    Thing {
        /// The thing.
        name: String,
        /// The named shadow.
        shadow: Option<String>,
    },
    /// `rolealias/{name}`.
    RoleAlias(String),
    /// `*`.
    Any,
}

impl OwnedResource {
    /// The same as the policy engine takes it.
    pub fn as_resource(&self) -> policy::Resource<'_> {
        match self {
            Self::Client(id) => policy::Resource::Client(id),
            Self::Topic(name) => policy::Resource::Topic(name),
            Self::TopicFilter(filter) => policy::Resource::TopicFilter(filter),
            Self::Thing { name, shadow } => policy::Resource::Thing {
                name,
                shadow: shadow.as_deref(),
            },
            Self::RoleAlias(name) => policy::Resource::RoleAlias(name),
            Self::Any => policy::Resource::Any,
        }
    }
}

/// Who decides what a device may do over HTTPS: the broker, with the same facts as over MQTT.
pub trait DevicePolicy: Send + Sync {
    /// `Ok` when the certificate is active now and every request is allowed. Asked anew for each
    /// request, because a kept-alive connection outlives a revocation.
    ///
    /// # Errors
    /// `ForbiddenException` for what is not allowed; the implementation records the denial.
    fn authorize(
        &self,
        certificate: CertificateId,
        source_ip: IpAddr,
        requests: Vec<(DeviceAction, OwnedResource)>,
    ) -> BoxFuture<'static, Result<(), ApiError>>;
}
