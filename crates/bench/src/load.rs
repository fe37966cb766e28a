//! The load generator: one thread, one epoll loop, one read buffer, and a check of every message.
//!
//! It runs in a process of its own (`palisade-bench load`), so that what the broker uses can be read
//! from /proc and nothing of the generator is in it. It speaks MQTT 3.1.1, which all peers speak
//! alike. It knows nothing of how a broker is set up; that is [`crate::peers`].

pub(crate) mod check;
pub(crate) mod connects;
pub(crate) mod crowd;
pub(crate) mod flight;
pub(crate) mod guard;
pub(crate) mod histogram;
pub(crate) mod idle;
mod link;
pub(crate) mod message;
pub(crate) mod meter;
mod poller;
mod reader;
pub(crate) mod scenario;
pub(crate) mod target;
pub(crate) mod traffic;
pub(crate) mod wire;

#[cfg(test)]
mod tests;
