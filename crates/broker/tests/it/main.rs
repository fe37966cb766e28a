//! The broker through its doors: real sockets, TLS, both databases where storage matters.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking; helpers of tests are not seen as tests"
)]

mod client;
mod doors;
mod enforcement;
mod http;
mod live;
mod operations;
mod persistence;
mod propagate;
mod revocation;
mod world;
