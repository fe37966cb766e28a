//! The MQTT door: listeners, sessions, enforcement, routing, retained and offline messages.
//!
//! Devices come in by mutual TLS and are their certificates. Every connect, publish, subscribe and
//! delivery is asked of the policy engine, and a change of policy, certificate or group is applied
//! to live sessions when it is committed.
//!
//! To read it: `core` (what MQTT and the policies make of it, without I/O), `shell` (sockets,
//! clock, database, one thread), `store` (what survives), `operations` (the HTTP side), `broker`
//! (how the platform builds and runs it).
//!
//! Invariants:
//! - No decision about MQTT or access outside `core`; no socket, clock or table inside.
//! - Nobody gets a byte of MQTT before the registry has said that the certificate is active, after
//!   a resumed handshake too.
//! - What a client was told is kept, is on the disk.
//!
//! It does not know where things and certificates are stored: it asks [`Directory`]. It has no
//! rules engine, shadows or jobs: their topics are routed like any other.
//!
//! Source: contract core, sections 1, 2, 3 and 7; MQTT 3.1.1 and 5.

pub mod config;

mod amendment;
mod broker;
mod core;
mod device_policy;
mod directory;
mod limits;
mod metrics;
mod negotiated;
mod operations;
mod receipts;
mod shell;
mod staleness;
mod store;

/// Any bytes as what clients might do; for tests and fuzz targets.
#[cfg(any(test, feature = "test-support"))]
pub use crate::core::play::check as check_play;
pub use amendment::Amendment;
pub use broker::{Addresses, Broker, BrokerOptions, ListenerTls, RunningBroker};
pub use config::BrokerConfig;
pub use directory::{DeviceRecord, Directory, Event, PropagatedSource, PropagatingAttribute};
pub use receipts::Receipt;
pub use shell::{ListenError, ThreadStartError};
pub use store::MIGRATIONS;
