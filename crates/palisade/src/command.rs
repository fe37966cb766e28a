//! The commands, one module each.

pub(crate) mod admin;
pub(crate) mod connections;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod down;
pub(crate) mod env;
pub(crate) mod explain;
pub(crate) mod messages;
pub(crate) mod operations;
pub(crate) mod policy;
pub(crate) mod retained;
pub(crate) mod revoke;
mod selection;
pub(crate) mod sessions;
pub(crate) mod subscriptions;
pub(crate) mod thing;
pub(crate) mod trace;
pub(crate) mod up;
pub(crate) mod why;
