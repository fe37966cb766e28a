//! One node per database, until nodes can tell each other what changed.
//!
//! Beside an SQLite file lies a lock file, locked as long as the process lives: the system frees
//! it whatever ends the process. On PostgreSQL the session that writes holds a session-level
//! advisory lock (see `postgresql.rs`), so a node whose connection breaks cannot go on writing
//! while another already does. A row says who it is, for the message that the second node gets.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use model::Timestamp;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::engine::{Engine, Fault, Reach};
use crate::postgresql::LEASE_LOCK;
use crate::{Database, OpenError, params};

/// What is read of a lock file for the message.
const HOLDER_LEN_MAX: u64 = 256;

/// The lock on an SQLite database; free again when dropped.
#[derive(Debug)]
pub(crate) struct FileLease {
    _locked: File,
}

impl FileLease {
    pub(crate) fn take(database: &Path, now: Timestamp) -> Result<Self, OpenError> {
        let path = beside(database);
        let failed = |what| {
            let path = path.clone();
            move |source| OpenError::File { what, path, source }
        };
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600);
        let mut file = options.open(&path).map_err(failed("open"))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => (),
            Err(Errno::WOULDBLOCK) => {
                return Err(OpenError::Held {
                    holder: written_in(file),
                });
            }
            Err(error) => return Err(failed("lock")(error.into())),
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", holder(now)))
            .map_err(failed("write"))?;
        Ok(Self { _locked: file })
    }
}

/// Who holds the lease now, as far as can be seen without taking it.
pub(crate) fn held_by(
    engine: &mut dyn Engine,
    database: &Database,
) -> Result<Option<String>, Fault> {
    match database {
        Database::Sqlite(path) => Ok(file_held_by(&beside(path))),
        Database::Postgres(_) => {
            // A lock on one number shows its upper and lower half, and those of every database of
            // the server are listed.
            let sql = "SELECT holder FROM node_lease WHERE id = 1 AND EXISTS (SELECT 1 \
                       FROM pg_locks WHERE locktype = 'advisory' AND granted \
                       AND classid::bigint * 4294967296 + objid::bigint = ?1 \
                       AND database = (SELECT oid FROM pg_database \
                       WHERE datname = current_database()))";
            let rows = engine.query(sql, &params![LEASE_LOCK])?;
            Ok(rows
                .first()
                .map(|row| row.text(0))
                .transpose()
                .map_err(|error| Fault::new(Reach::Statement, error))?)
        }
    }
}

fn file_held_by(path: &Path) -> Option<String> {
    let file = File::open(path).ok()?;
    if flock(&file, FlockOperation::NonBlockingLockShared) != Err(Errno::WOULDBLOCK) {
        return None;
    }
    Some(written_in(file))
}

fn written_in(file: File) -> String {
    let mut holder = String::new();
    // It is only for the message, and may be half written.
    let read = file.take(HOLDER_LEN_MAX).read_to_string(&mut holder);
    match holder.trim() {
        known if read.is_ok() && !known.is_empty() => known.to_owned(),
        _ => "another process".to_owned(),
    }
}

fn beside(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(".lock");
    PathBuf::from(path)
}

/// Records this process as the holder of the lease that its writer holds.
pub(crate) fn record(engine: &mut dyn Engine, now: Timestamp) -> Result<(), Fault> {
    let sql = "INSERT INTO node_lease (id, holder, since) VALUES (1, ?1, ?2) \
               ON CONFLICT (id) DO UPDATE SET holder = excluded.holder, since = excluded.since";
    engine.begin_write()?;
    engine.execute(sql, &params![holder(now), now])?;
    engine.commit()
}

fn holder(now: Timestamp) -> String {
    let system = rustix::system::uname();
    let host = system.nodename().to_string_lossy();
    let process = std::process::id();
    format!("process {process} on {host} since {now}")
}
