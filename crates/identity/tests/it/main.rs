//! Identity through the gateway, on each database there is.

#![expect(
    clippy::unwrap_used,
    reason = "what cannot be read fails the test, and says where"
)]

mod administrator;
mod authorization;
mod credentials;
mod keys;
mod policies;
mod restart;
mod roles;
mod secrecy;
mod sessions;
mod tags;
mod trust;
mod users;
mod world;
