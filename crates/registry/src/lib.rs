//! The registry: things, thing types, groups, billing groups, principals, policies and tags.
//!
//! It is where an operator says what exists and what may be done (the administration point of the
//! zero-trust vocabulary); the broker asks it, through [`facts`], what a device's verdict rests on.
//!
//! Invariants:
//! - Nothing here decides who may call: operations run behind the gateway's permit.
//! - Nothing here decides what a device may do: documents are stored and handed to `policy`.
//! - Whatever a live session may rest on is announced with the change that alters it, in the same
//!   transaction, so that no cache can miss it.
//!
//! It deliberately does not know certificates: whether one exists, and what it says, is asked
//! through the port [`Certificates`].
//!
//! Source: contract core 4 and 7, AWS IoT API Reference.

mod attributes;
mod authorization;
mod billing_groups;
mod config;
mod endpoint;
mod groups;
mod limits;
mod pages;
mod policies;
mod policy_attachments;
mod principal;
mod principals;
mod store;
mod tags;
mod thing_types;
mod things;
mod topics;

use std::fmt;
use std::sync::Arc;

use gateway::Operation;
use model::{ApiError, CertificateId};
use serde::Serialize;
use storage::{Migration, Tx};

pub use authorization::{
    Documents, GroupNow, facts, group_now, policies_of, policy_now, things_of,
};
pub use config::RegistryConfig;
pub use endpoint::Endpoints;
pub use limits::Limits;
pub use policy_attachments::{detach_all_policies, has_policies};
pub use principals::has_things;
pub use tags::{Tag, delete_tags, put_tags};
pub use thing_types::{PropagatedValue, PropagatingAttribute, propagating_attributes};
pub use topics::{POLICY as POLICY_CHANGED, THING_GROUP as GROUP_CHANGED};

/// The registry's tables.
pub const MIGRATIONS: &[Migration] = &[Migration {
    capability: "registry",
    version: 1,
    sql: include_str!("../migrations/0001.sql"),
}];

/// What the registry asks of the capability that keeps certificates.
pub trait Certificates: Send + Sync {
    /// Whether a device certificate is registered here, whatever its status.
    ///
    /// # Errors
    /// What the storage answers.
    fn exists(&self, tx: &mut Tx<'_>, id: &CertificateId) -> Result<bool, ApiError>;

    /// Whether a CA certificate is registered here, whatever its status.
    ///
    /// # Errors
    /// What the storage answers.
    fn ca_exists(&self, tx: &mut Tx<'_>, id: &CertificateId) -> Result<bool, ApiError>;

    /// What a device certificate says about its holder; none when it is not registered.
    ///
    /// # Errors
    /// What the storage answers.
    fn facts(
        &self,
        tx: &mut Tx<'_>,
        id: &CertificateId,
    ) -> Result<Option<policy::CertificateFacts>, ApiError>;
}

/// What the registry needs from the rest of the installation.
#[derive(Clone)]
pub struct Ports {
    /// Who knows the certificates.
    pub certificates: Arc<dyn Certificates>,
    /// The hosts that `DescribeEndpoint` names.
    pub endpoints: Endpoints,
    /// Every limit in force.
    pub limits: Limits,
    /// Compiled policy documents; share the one that [`facts`] is called with.
    pub documents: Arc<Documents>,
}

impl fmt::Debug for Ports {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Ports")
            .field("endpoints", &self.endpoints)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Every operation of the registry, for the gateway.
pub fn operations(ports: &Ports) -> Vec<Operation> {
    [
        things::operations(ports),
        thing_types::operations(ports),
        groups::operations(ports),
        billing_groups::operations(ports),
        principals::operations(ports),
        policies::operations(ports),
        policy_attachments::operations(ports),
        authorization::operations(ports),
        tags::operations(ports),
        endpoint::operations(ports),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The answer of an operation that has nothing to say.
#[derive(Debug, Serialize)]
struct Done {}
