//! The storage through its door, on both engines.
#![expect(clippy::unwrap_used, reason = "all of this is test code")]

mod changes;
mod disk;
mod examining;
mod groups;
mod notes;
mod opening;
mod postgresql;
mod sealing;
mod transactions;
