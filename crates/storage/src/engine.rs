//! What the rest of this crate asks of a database engine. Two implementations exist.
//!
//! An engine is one connection, used by one thread at a time. It says for each failure what it
//! means for the transaction; what to do about it is decided by the threads that own engines.

use crate::dialect::Dialect;
use crate::{Database, OpenError, Row, StorageError, Value, postgresql, sqlite};

/// One connection.
pub(crate) trait Engine: Send {
    fn dialect(&self) -> Dialect;

    /// Begins a transaction in which nothing can be changed: one snapshot.
    fn begin_read(&mut self) -> Result<(), Fault>;
    /// Begins the transaction of a group of writes; no other writer is in one at the same time.
    fn begin_write(&mut self) -> Result<(), Fault>;
    fn commit(&mut self) -> Result<(), Fault>;
    /// Ends the transaction without effect. A failure shows at the next begin.
    fn rollback(&mut self);

    /// Marks a point in the transaction to which [`Engine::undo`] returns.
    fn savepoint(&mut self) -> Result<(), Fault>;
    fn release(&mut self) -> Result<(), Fault>;
    fn undo(&mut self) -> Result<(), Fault>;

    fn query(&mut self, sql: &'static str, parameters: &[Value]) -> Result<Vec<Row>, Fault>;
    fn execute(&mut self, sql: &'static str, parameters: &[Value]) -> Result<u64, Fault>;
    /// Runs the statements of a migration, already in this engine's dialect.
    fn run_script(&mut self, sql: &str) -> Result<(), Fault>;

    /// The name of the last write transaction, by which its outcome can be asked for; `None` where
    /// no connection can break.
    fn transaction(&self) -> Option<TransactionId>;
    /// How a transaction of an earlier connection ended.
    fn outcome(&mut self, transaction: TransactionId) -> Result<Outcome, Fault>;
    /// Whether the connection still works.
    fn ping(&mut self) -> Result<(), Fault>;
    /// What the engine finds wrong with its own data; empty when all is well.
    fn integrity(&mut self) -> Result<Vec<String>, Fault>;
    /// Whether it holds any table at all.
    fn has_tables(&mut self) -> Result<bool, Fault>;
    /// The version of the engine, for people.
    fn version(&mut self) -> Result<String, Fault>;
}

/// A transaction as the engine counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TransactionId(pub(crate) i64);

/// How a transaction ended whose connection broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Committed,
    /// Without effect: it may run again.
    RolledBack,
    Unknown,
}

/// A failure, and what it means for the transaction it happened in.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) reach: Reach,
    pub(crate) error: StorageError,
}

/// How far a failure reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// This write alone; its group goes on.
    Statement,
    /// The whole group, which may run again at once.
    Rerun,
    /// The whole group; the disk is full.
    Disk,
    /// The whole group; the connection is gone.
    Connection,
    /// The whole group; running it again would not help.
    Group,
}

impl Fault {
    pub(crate) const fn new(reach: Reach, error: StorageError) -> Self {
        Self { reach, error }
    }
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The one that writes. On PostgreSQL it also holds the node's lease, so that writes and
    /// lease are lost together or not at all.
    Writer,
    /// One of those that read.
    Reader,
    /// One that looks and leaves no trace: it makes no file, marks none, takes no lease.
    Examiner,
}

/// Opens a connection. Blocks; never inside an asynchronous context.
pub(crate) fn connect(database: &Database, role: Role) -> Result<Box<dyn Engine>, OpenError> {
    Ok(match database {
        Database::Sqlite(path) => Box::new(sqlite::Connection::open(path, role)?),
        Database::Postgres(url) => Box::new(postgresql::Connection::open(url, role)?),
    })
}
