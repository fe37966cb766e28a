//! Development only: databases of both engines for tests, invented clocks, golden files.
//!
//! It replaces the world (disk, database, clock), never our own modules. Whatever it makes it
//! removes again. It panics where a test should fail, with a message that says what to do.

mod database;
mod golden;

use std::sync::Arc;

use model::{ManualClock, Timestamp};

pub use database::{TestDatabase, databases, each_database, each_database_and_clock};
pub use golden::golden;

/// The moment at which invented clocks begin: 2026-01-02T03:04:05Z.
pub const START: Timestamp = Timestamp::from_seconds(1_767_323_045);

/// A clock that stands at [`START`] until it is advanced.
pub fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(START))
}
