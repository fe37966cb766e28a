//! What both ends of the wire agree on: reserved topics and the documents sent on them.
//!
//! The platform, the edge runtime and the simulator would each otherwise write this a second
//! time. A table, a permission or an HTTP type never belongs here.
//!
//! Invariants: no I/O, no clock, no `async`; every document's times are handed in.
//!
//! Source: contract core, section 3.

mod presence;
mod reserved;

pub use presence::{
    ConnectFailed, Connected, DisconnectReason, Disconnected, SubscriptionChange, Subscriptions,
    has_lifecycle_events,
};
pub use reserved::{Kind, Reserved};
