//! The registry through the gateway, on each database there is.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod attachments;
mod authorization;
mod billing_groups;
mod changes;
mod endpoint;
mod groups;
mod memberships;
mod policies;
mod principals;
mod restart;
mod routes;
mod tags;
mod thing_types;
mod things;
mod world;
