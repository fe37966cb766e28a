//! The HTTP door kit: some 330 operations of AWS's APIs without 330 pieces of plumbing.
//!
//! A capability declares an [`Operation`]: service, name, how the input names the resource, and a
//! function of a permitted input. From the declaration and the service's model follow routing,
//! parsing, authorization, validation, the transaction with its trail record, rendering, metrics.
//! [`Gateway`] puts them together and serves them on connections that the doors hand in.
//!
//! Invariants:
//! - An operation runs only with a [`Call`] or [`AsyncCall`], which only this crate makes, after
//!   the caller was allowed exactly what the input names.
//! - A control call that changes something is recorded in its own transaction, without secrets.
//! - A private key in PEM that somebody pasted is in no record, denial, message or log.
//! - No table of a capability is known here, and no clock is read but the storage's.
//! - It opens no listener and knows no TLS: a connection arrives as a stream with its [`Peer`].
//!
//! Source: contract core 13, 12.3, 1.5; the public service models of botocore.

mod authorize;
pub mod blob;
mod caller;
mod catalogue;
mod constraints;
mod denials;
mod error;
mod gateway;
mod input;
mod metrics;
mod operation;
mod operator;
mod options;
mod percent;
mod places;
mod redaction;
mod render;
mod resource;
mod router;
mod server;
mod service_model;
pub mod sigv4;
mod trail;
mod workers;

pub use caller::{
    Caller, CallerIdentity, CallerKind, Credential, Credentials, DevicePolicy, OwnedResource,
};
pub use catalogue::{DeclarationError, Route};
pub use denials::{Denial, DenialId, DenialLimits, Denials, Door};
pub use gateway::{Gateway, GatewayError, MIGRATIONS};
pub use metrics::Metrics;
pub use operation::{AsyncCall, BoxFuture, Call, Mutation, Operation};
pub use operator::OperatorPlane;
pub use options::{GatewayOptions, Limits};
pub use places::{Place, Places, network};
pub use redaction::{HIDDEN, without_private_keys};
pub use server::{Peer, Plane, USER_AGENT_BYTES_MAX};
