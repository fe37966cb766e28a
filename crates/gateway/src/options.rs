//! What a gateway is made of, and its bounds.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use model::{Profile, Scope};
use storage::Storage;

use crate::caller::{Credentials, DevicePolicy};
use crate::denials::Denials;
use crate::metrics::Metrics;
use crate::operation::Operation;

/// The bounds on requests.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Largest request body, in bytes.
    pub body_bytes: usize,
    /// Deepest nesting of a JSON body.
    pub json_depth: usize,
    /// Most headers of a request.
    pub headers: usize,
    /// Largest request line and headers together, in bytes; not exact, and at least 8192.
    pub head_bytes: usize,
    /// Time for the head of a request to arrive; also how long a connection may be idle.
    pub head_timeout: Duration,
    /// Time for the body of a request to arrive.
    pub body_timeout: Duration,
    /// How long a write may wait for the peer to read.
    pub write_timeout: Duration,
    /// Time for an operation to answer.
    pub operation_timeout: Duration,
    /// Most connections at once on one plane, over its listeners; see [`crate::Places`] for what
    /// one address may have of them.
    pub connections: usize,
    /// How long trail records are kept.
    pub trail_age: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 1024 * 1024,
            json_depth: 64,
            headers: 64,
            head_bytes: 32 * 1024,
            head_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            operation_timeout: Duration::from_mins(1),
            connections: 1024,
            trail_age: Duration::from_hours(90 * 24),
        }
    }
}

/// Everything a gateway is made of.
pub struct GatewayOptions {
    /// The database, opened with [`crate::MIGRATIONS`] among others.
    pub storage: Storage,
    /// Account and region.
    pub scope: Scope,
    /// The profile in force.
    pub profile: Profile,
    /// What is served, beside the gateway's own operations on denials.
    pub operations: Vec<Operation>,
    /// Where access keys are.
    pub credentials: Arc<dyn Credentials>,
    /// Who judges devices; without it no device is served.
    pub device_policy: Option<Arc<dyn DevicePolicy>>,
    /// Where refusals are recorded; shared with the broker.
    pub denials: Denials,
    /// The host names and addresses a request may be signed for, without ports.
    pub hosts: Vec<String>,
    /// Where requests are counted; shared.
    pub metrics: Metrics,
    /// The bounds.
    pub limits: Limits,
}

impl fmt::Debug for GatewayOptions {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("GatewayOptions")
            .field("scope", &self.scope)
            .field("operations", &self.operations.len())
            .field("hosts", &self.hosts)
            .finish_non_exhaustive()
    }
}
