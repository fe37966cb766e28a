//! What can go wrong with the database, and what the callers above make of it.

use std::io;
use std::path::PathBuf;

use model::{ApiError, ErrorKind};

use crate::migration::MigrationError;
use crate::vault::MasterKeyError;

/// Why a read or a write did not happen. Whatever it is, nothing of that write is stored
/// (but see [`StorageError::Unknown`]).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// The disk, or what the reserve leaves of it, is full.
    #[error("the disk is full: {detail}")]
    DiskFull {
        /// Where, and how much is left.
        detail: String,
    },
    /// The database is away, or another node has the lease. It may come back.
    #[error("the database is unavailable: {detail}")]
    Unavailable {
        /// What was tried last.
        detail: String,
    },
    /// The connection broke while a commit was under way and its outcome could not be learned.
    #[error("the connection broke during a commit whose outcome is not known: {detail}")]
    Unknown {
        /// What was tried last.
        detail: String,
    },
    /// The database contradicts itself.
    #[error("the database is damaged: {detail}")]
    Corrupt {
        /// What the engine says.
        detail: String,
    },
    /// The engine refused a statement.
    #[error("the database refused `{statement}`: {detail}")]
    Sql {
        /// The statement as the caller wrote it.
        statement: String,
        /// What the engine says.
        detail: String,
    },
    /// A statement has more or fewer parameters than were given.
    #[error("`{statement}` takes {expected} parameters, {given} were given")]
    Parameters {
        /// The statement as the caller wrote it.
        statement: &'static str,
        /// How many it takes.
        expected: usize,
        /// How many there were.
        given: usize,
    },
    /// A parameter that the two engines would not store alike.
    #[error("parameter {parameter} cannot be stored: {reason}")]
    Unstorable {
        /// Counted from 1, as in the statement.
        parameter: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A column holds another kind of value than asked for.
    #[error("column {column} is {found}, not {wanted}")]
    TypeMismatch {
        /// Counted from 0.
        column: usize,
        /// What was asked for.
        wanted: &'static str,
        /// What is there.
        found: &'static str,
    },
    /// A row has fewer columns than asked for.
    #[error("there is no column {column}, the row has {columns}")]
    NoColumn {
        /// Counted from 0.
        column: usize,
        /// How many there are.
        columns: usize,
    },
    /// A statement after one that failed: the transaction is already lost.
    #[error("an earlier statement of this transaction failed")]
    Aborted,
    /// A change was announced in a read transaction.
    #[error("a read transaction cannot announce a change")]
    ReadOnly,
    /// Another transaction kept getting in the way.
    #[error("other transactions kept getting in the way: {detail}")]
    Contended {
        /// What the engine said last.
        detail: String,
    },
    /// Sealed bytes that this database's keys do not open: altered, or of another purpose.
    #[error("what was sealed for `{purpose}` does not open: it was altered or is not for this")]
    Sealed {
        /// The purpose that was asked for.
        purpose: String,
    },
    /// The closure panicked; its transaction was rolled back.
    #[error("a transaction panicked: {message}")]
    Panicked {
        /// What it said.
        message: String,
    },
    /// The storage was closed.
    #[error("the storage is closed")]
    Closed,
}

impl StorageError {
    /// What a caller can do about it.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::DiskFull { .. }
            | Self::Unavailable { .. }
            | Self::Unknown { .. }
            | Self::Contended { .. }
            | Self::Closed => ErrorKind::Unavailable,
            Self::Corrupt { .. }
            | Self::Sql { .. }
            | Self::Parameters { .. }
            | Self::Unstorable { .. }
            | Self::TypeMismatch { .. }
            | Self::NoColumn { .. }
            | Self::Aborted
            | Self::ReadOnly
            | Self::Sealed { .. }
            | Self::Panicked { .. } => ErrorKind::Internal,
        }
    }
}

impl From<StorageError> for ApiError {
    /// The caller learns only that the service cannot do it now, or that it failed; the cause is
    /// for the log.
    fn from(error: StorageError) -> Self {
        match error.kind() {
            ErrorKind::Unavailable => {
                let mut unavailable = Self::unavailable(match error {
                    StorageError::DiskFull { .. } => "the service is out of disk space",
                    _ => "the database is not available; try again",
                });
                unavailable.source = Some(Box::new(error));
                unavailable
            }
            _ => Self::internal(error),
        }
    }
}

/// A page token that was altered, is of another list, or was never one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the page token is not one that this list, with these filters, has given")]
pub struct BadPageToken;

impl From<BadPageToken> for ApiError {
    fn from(error: BadPageToken) -> Self {
        // spec aws-iot [HT-30]: a tampered token is an InvalidRequestException.
        Self::invalid(error.to_string())
    }
}

/// Why the database could not be opened. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another node has it open.
    #[error("the database is in use by {holder}; stop that node first (one node per database)")]
    Held {
        /// Who, and since when, as far as is known.
        holder: String,
    },
    /// A file of something else.
    #[error("`{path}` is not a Palisade database: {detail}; name another path")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        detail: String,
    },
    /// Truncated or altered.
    #[error("the database is damaged: {detail}; restore it from a backup")]
    Corrupt {
        /// What the engine says.
        detail: String,
    },
    /// The schema in the database and the one in this program do not fit.
    #[error(transparent)]
    Migration(#[from] MigrationError),
    /// The data keys do not open with this master key.
    #[error(
        "the master key is not the one this database was sealed with; \
         restore the key file that belongs to it, or open the database that belongs to this key"
    )]
    WrongMasterKey,
    /// The master key could not be read or created.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    /// The database address is not one.
    #[error("`{text}` is not a database; write sqlite:PATH or postgres://USER@HOST/NAME")]
    Address {
        /// The text, without what might be a password.
        text: String,
    },
    /// No connection.
    #[error("could not connect to {database}: {detail}")]
    Connect {
        /// The database, without its password.
        database: String,
        /// What the engine says.
        detail: String,
    },
    /// The server is set up in a way that would lose or misread data.
    #[error("{database} cannot be used: {detail}")]
    Unsuitable {
        /// The database, without its password.
        database: String,
        /// What is wrong, and what it should be.
        detail: String,
    },
    /// A file beside the database could not be written or read.
    #[error("could not {what} `{path}`")]
    File {
        /// The attempted action.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Anything else that a read or write can meet.
    #[error(transparent)]
    Storage(#[from] StorageError),
}
