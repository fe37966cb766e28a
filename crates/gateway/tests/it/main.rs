//! The gateway through its door: signed requests over a connection, a few made-up operations over
//! the real models, and what is left in the database.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking; helpers of tests are not seen as tests"
)]

mod calls;
mod connections;
mod denials;
mod devices;
mod hostile_clients;
mod house;
mod pasted_keys;
mod requests;
mod vectors;
