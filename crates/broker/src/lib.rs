//! The MQTT door: listeners, sessions, enforcement, routing, retained and offline messages.

#![expect(dead_code, reason = "the shell that calls the core is not here yet")]
pub mod config;
mod core;
mod directory;
mod store;
