//! Certificates and their authorities: which exist, in which status, and how they come and go.
//!
//! A device is its certificate, so this registry is where a fleet is let in and shut out. A
//! certificate is issued here, or registered with an authority of the customer's, or registered
//! as it is, or introduced by its authority when a device first shows it. From then on its
//! fingerprint stands for it, and its status decides.
//!
//! Invariants:
//! - Only ACTIVE authenticates, and nothing leaves REVOKED (see `status`).
//! - Every change of a status is announced in its transaction, so that live sessions end.
//! - No certificate comes back under another id, nor a key of a REVOKED one (see `clash`).
//! - No private key is stored; a generated one leaves in the answer and is gone.
//! - One account is served: transfers are refused. Provisioning templates are not served: an
//!   authority that asks for one is refused.
//! - What is attached to a certificate, and what it is tagged with, belongs to others; see
//!   [`Attachments`] and [`Tags`].
//!
//! Source: contract core 5.

mod authority;
mod clash;
mod device;
mod error;
mod facts;
mod introduce;
mod mode;
mod paging;
mod registration_code;
mod status;
mod store;
mod transfer;

use std::fmt;
use std::sync::Arc;

use gateway::Operation;
use model::ApiError;
use serde::Serialize;
use storage::{Migration, Tx};

pub use facts::{authority_exists, exists, facts, not_after, status};
pub use introduce::{
    Event, INTRODUCTIONS_PER_MINUTE_MAX, LEAF_BYTES_MAX, PENDING_PER_AUTHORITY_MAX, introduce,
};
pub use status::Status;

/// The tables of this capability.
pub const MIGRATIONS: &[Migration] = &[Migration {
    capability: "certificates",
    version: 1,
    sql: include_str!("../migrations/0001.sql"),
}];

/// What is attached to a certificate. The registry of things knows.
pub trait Attachments: Send + Sync {
    /// Whether any thing is attached to the certificate with this ARN.
    ///
    /// # Errors
    /// What the storage answers.
    fn has_things(&self, tx: &mut Tx<'_>, certificate_arn: &str) -> Result<bool, ApiError>;

    /// Whether any policy is attached to it.
    ///
    /// # Errors
    /// What the storage answers.
    fn has_policies(&self, tx: &mut Tx<'_>, certificate_arn: &str) -> Result<bool, ApiError>;

    /// Detaches every policy from it, because it is being deleted.
    ///
    /// # Errors
    /// What the storage answers.
    fn detach_all_policies(&self, tx: &mut Tx<'_>, certificate_arn: &str) -> Result<(), ApiError>;
}

/// The tags of resources. The registry of things keeps them.
pub trait Tags: Send + Sync {
    /// Tags the new resource with this ARN; pairs of key and value, as the caller gave them.
    ///
    /// # Errors
    /// `InvalidRequestException` for tags that are too many or not well-formed.
    fn put(&self, tx: &mut Tx<'_>, arn: &str, tags: &[(String, String)]) -> Result<(), ApiError>;

    /// Forgets every tag of the resource, which is being deleted.
    ///
    /// # Errors
    /// What the storage answers.
    fn clear(&self, tx: &mut Tx<'_>, arn: &str) -> Result<(), ApiError>;
}

/// What the operations need from the rest of the installation.
#[derive(Clone)]
pub struct Ports {
    /// Signs the certificates that are issued here.
    pub authority: Arc<pki::authority::DeviceAuthority>,
    /// The kind of key that CreateKeysAndCertificate makes.
    pub keys: pki::KeyKind,
    /// What is attached to a certificate.
    pub attachments: Arc<dyn Attachments>,
    /// The tags of authorities.
    pub tags: Arc<dyn Tags>,
}

impl fmt::Debug for Ports {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Ports")
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}

/// The operations of this capability, all of service `iot`.
pub fn operations(ports: &Ports) -> Vec<Operation> {
    let mut operations = device::operations(ports);
    operations.extend(authority::operations(ports));
    operations.extend(registration_code::operations());
    operations.extend(transfer::operations());
    operations
}

/// The input of operations without members, and the answer of those that answer nothing.
#[derive(Debug, serde::Deserialize, Serialize)]
struct Empty {}
