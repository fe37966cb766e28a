//! SQLite as an engine: a file, in write-ahead-log mode, synchronised at every commit.
//!
//! Sources: <https://sqlite.org/wal.html>, <https://sqlite.org/pragma.html>,
//! <https://sqlite.org/rescode.html>.

use std::fs::OpenOptions;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{ErrorCode, OpenFlags, ToSql, ffi};

use crate::dialect::Dialect;
use crate::engine::{Engine, Fault, Outcome, Reach, Role, TransactionId};
use crate::{OpenError, Row, StorageError, Value};

/// `PRAGMA application_id` of our files: "Plsd". Tells `file` and us whose a database is.
pub(crate) const APPLICATION_ID: i64 = 0x506c_7364;

/// Files up to this size are checked page by page at every start; larger ones when asked to.
const CHECKED_AT_START_BYTES_MAX: u64 = 64 << 20;

/// Prepared statements kept per connection.
const STATEMENTS_MAX: usize = 512;

/// How long to wait for a process that looks into the file with other tools.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// What every connection sets. `FULL`: a commit is on the disk before it is acknowledged.
const SETTINGS: &str = "
    PRAGMA synchronous = FULL;
    PRAGMA foreign_keys = ON;
    PRAGMA cell_size_check = ON;
    PRAGMA trusted_schema = OFF;
    PRAGMA journal_size_limit = 67108864;
";

/// One connection to a file.
#[derive(Debug)]
pub(crate) struct Connection {
    inner: rusqlite::Connection,
}

impl Connection {
    pub(crate) fn open(path: &Path, role: Role) -> Result<Self, OpenError> {
        if role == Role::Examiner {
            return Self::examine(path);
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let at = |error| cannot_open(path, error);
        if role == Role::Writer {
            create(path)?;
        }
        let inner = rusqlite::Connection::open_with_flags(path, flags).map_err(at)?;
        inner.busy_timeout(BUSY_TIMEOUT).map_err(at)?;
        inner.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        match role {
            Role::Writer => {
                claim(&inner, path)?;
                let sql = "PRAGMA journal_mode = WAL";
                let mode: String = inner.query_row(sql, [], |row| row.get(0)).map_err(at)?;
                if mode != "wal" {
                    return Err(OpenError::Unsuitable {
                        database: format!("sqlite:{}", path.display()),
                        detail: "its file system has no shared memory; use a local disk".to_owned(),
                    });
                }
                inner.execute_batch(SETTINGS).map_err(at)?;
                check_at_start(&inner, path)?;
            }
            Role::Reader | Role::Examiner => {
                inner.execute_batch(SETTINGS).map_err(at)?;
                inner.pragma_update(None, "query_only", true).map_err(at)?;
            }
        }
        Ok(Self { inner })
    }

    /// Opens the file as it lies there. Without a log beside it nobody has it open and it is
    /// complete, so nothing is made beside it either; with one, SQLite needs its shared memory.
    fn examine(path: &Path) -> Result<Self, OpenError> {
        let at = |error| cannot_open(path, error);
        let log = with_ending(path, "-wal");
        let complete = std::fs::metadata(&log).map_or(true, |found| found.len() == 0);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let inner = if complete {
            let flags = flags | OpenFlags::SQLITE_OPEN_URI;
            rusqlite::Connection::open_with_flags(unchanging(path), flags)
        } else {
            rusqlite::Connection::open_with_flags(path, flags)
        };
        let inner = inner.map_err(at)?;
        inner.busy_timeout(BUSY_TIMEOUT).map_err(at)?;
        is_ours(&inner, path)?;
        Ok(Self { inner })
    }

    fn run(&self, sql: &'static str) -> Result<(), Fault> {
        let mut statement = self.inner.prepare_cached(sql).map_err(|e| fault(sql, &e))?;
        statement.execute([]).map_err(|e| fault(sql, &e))?;
        Ok(())
    }

    fn statement(
        &self,
        sql: &'static str,
        parameters: &[Value],
    ) -> Result<rusqlite::CachedStatement<'_>, Fault> {
        let statement = self.inner.prepare_cached(sql).map_err(|e| fault(sql, &e))?;
        let expected = statement.parameter_count();
        if expected != parameters.len() {
            let given = parameters.len();
            let error = StorageError::Parameters {
                statement: sql,
                expected,
                given,
            };
            return Err(Fault::new(Reach::Statement, error));
        }
        Ok(statement)
    }
}

/// Makes the file when there is none, for its owner only; SQLite gives its log the same mode.
fn create(path: &Path) -> Result<(), OpenError> {
    let mut options = OpenOptions::new();
    let made = options.append(true).create(true).mode(0o600).open(path);
    made.map(drop).map_err(|source| OpenError::File {
        what: "open",
        path: path.to_owned(),
        source,
    })
}

/// The address of a file that nobody writes while it is read.
fn unchanging(path: &Path) -> String {
    let mut address = "file:".to_owned();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' => address.push(char::from(*byte)),
            byte if byte.is_ascii_alphanumeric() => address.push(char::from(*byte)),
            byte => address.push_str(&format!("%{byte:02X}")),
        }
    }
    address.push_str("?immutable=1");
    address
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(ending);
    PathBuf::from(path)
}

/// Marks an empty file as ours.
fn claim(inner: &rusqlite::Connection, path: &Path) -> Result<(), OpenError> {
    if is_ours(inner, path)? {
        return Ok(());
    }
    inner
        .pragma_update(None, "application_id", APPLICATION_ID)
        .map_err(|error| cannot_open(path, error))
}

/// Whether the file is marked as ours; not yet, when it is empty.
///
/// # Errors
/// When it is something else.
fn is_ours(inner: &rusqlite::Connection, path: &Path) -> Result<bool, OpenError> {
    let at = |error| cannot_open(path, error);
    let number = |sql| inner.query_row(sql, [], |row| row.get::<_, i64>(0));
    let id = number("PRAGMA application_id").map_err(at)?;
    if id == APPLICATION_ID {
        return Ok(true);
    }
    let empty = number("SELECT COUNT(*) FROM sqlite_schema").map_err(at)? == 0;
    if id == 0 && empty {
        return Ok(false);
    }
    Err(OpenError::Foreign {
        path: path.to_owned(),
        detail: format!("it is an SQLite database of another program (application id {id})"),
    })
}

fn check_at_start(inner: &rusqlite::Connection, path: &Path) -> Result<(), OpenError> {
    let size = std::fs::metadata(path).map_or(0, |found| found.len());
    if CHECKED_AT_START_BYTES_MAX < size {
        return Ok(());
    }
    let found = quick_check(inner).map_err(|error| cannot_open(path, error))?;
    match found.first() {
        None => Ok(()),
        Some(first) => Err(OpenError::Corrupt {
            detail: format!("`{}`: {first}", path.display()),
        }),
    }
}

fn quick_check(inner: &rusqlite::Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = inner.prepare("PRAGMA quick_check(10)")?;
    let lines = statement.query_map([], |row| row.get::<_, String>(0))?;
    lines
        .filter(|line| !matches!(line.as_deref(), Ok("ok")))
        .collect()
}

fn cannot_open(path: &Path, error: rusqlite::Error) -> OpenError {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => OpenError::Foreign {
            path: path.to_owned(),
            detail: "it is not an SQLite file, or its beginning is damaged".to_owned(),
        },
        Some(ErrorCode::DatabaseCorrupt) => OpenError::Corrupt {
            detail: format!("`{}`: {error}", path.display()),
        },
        _ => OpenError::Connect {
            database: format!("sqlite:{}", path.display()),
            detail: error.to_string(),
        },
    }
}

impl Engine for Connection {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    fn begin_read(&mut self) -> Result<(), Fault> {
        self.run("BEGIN DEFERRED")
    }

    fn begin_write(&mut self) -> Result<(), Fault> {
        self.run("BEGIN IMMEDIATE")
    }

    fn commit(&mut self) -> Result<(), Fault> {
        self.run("COMMIT")
    }

    fn rollback(&mut self) {
        // After some failures SQLite has rolled back by itself.
        if !self.inner.is_autocommit()
            && let Err(failed) = self.run("ROLLBACK")
        {
            tracing::warn!(error = %failed.error, "a rollback failed");
        }
    }

    fn savepoint(&mut self) -> Result<(), Fault> {
        self.run("SAVEPOINT one_write")
    }

    fn release(&mut self) -> Result<(), Fault> {
        self.run("RELEASE one_write")
    }

    fn undo(&mut self) -> Result<(), Fault> {
        self.run("ROLLBACK TO one_write")?;
        self.run("RELEASE one_write")
    }

    fn query(&mut self, sql: &'static str, parameters: &[Value]) -> Result<Vec<Row>, Fault> {
        let mut statement = self.statement(sql, parameters)?;
        let columns = statement.column_count();
        let mut found = statement
            .query(rusqlite::params_from_iter(parameters))
            .map_err(|e| fault(sql, &e))?;
        let mut rows = Vec::new();
        while let Some(row) = found.next().map_err(|e| fault(sql, &e))? {
            let cells = (0..columns).map(|column| owned(row.get_ref(column)?));
            let cells: rusqlite::Result<_> = cells.collect();
            rows.push(Row(cells.map_err(|e| fault(sql, &e))?));
        }
        Ok(rows)
    }

    fn execute(&mut self, sql: &'static str, parameters: &[Value]) -> Result<u64, Fault> {
        let mut statement = self.statement(sql, parameters)?;
        let changed = statement
            .execute(rusqlite::params_from_iter(parameters))
            .map_err(|e| fault(sql, &e))?;
        Ok(changed as u64)
    }

    fn run_script(&mut self, sql: &str) -> Result<(), Fault> {
        self.inner.execute_batch(sql).map_err(|e| fault(sql, &e))
    }

    fn transaction(&self) -> Option<TransactionId> {
        None
    }

    fn outcome(&mut self, _: TransactionId) -> Result<Outcome, Fault> {
        Ok(Outcome::Unknown)
    }

    fn ping(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    fn integrity(&mut self) -> Result<Vec<String>, Fault> {
        quick_check(&self.inner).map_err(|e| fault("PRAGMA quick_check", &e))
    }

    fn has_tables(&mut self) -> Result<bool, Fault> {
        let sql = "SELECT 1 FROM sqlite_schema WHERE type = 'table' LIMIT 1";
        Ok(!self.query(sql, &[])?.is_empty())
    }

    fn version(&mut self) -> Result<String, Fault> {
        Ok(format!("SQLite {}", rusqlite::version()))
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(int) => ValueRef::Integer(*int),
            Self::Real(real) => ValueRef::Real(*real),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

fn owned(cell: ValueRef<'_>) -> rusqlite::Result<Value> {
    Ok(match cell {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(int) => Value::Int(int),
        ValueRef::Real(real) => Value::Real(real),
        ValueRef::Text(_) => Value::Text(cell.as_str()?.to_owned()),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
    })
}

fn fault(sql: &str, error: &rusqlite::Error) -> Fault {
    let detail = error.to_string();
    let extended = error.sqlite_error().map(|found| found.extended_code);
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Fault::new(Reach::Disk, StorageError::DiskFull { detail }),
        // The shared-memory file of the log could not grow.
        Some(ErrorCode::SystemIoFailure) if extended == Some(ffi::SQLITE_IOERR_SHMSIZE) => {
            Fault::new(Reach::Disk, StorageError::DiskFull { detail })
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            Fault::new(Reach::Group, StorageError::Corrupt { detail })
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            Fault::new(Reach::Rerun, StorageError::Contended { detail })
        }
        Some(
            ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::OutOfMemory
            | ErrorCode::FileLockingProtocolFailed,
        ) => Fault::new(Reach::Group, StorageError::Unavailable { detail }),
        _ => {
            let statement = sql.to_owned();
            Fault::new(Reach::Statement, StorageError::Sql { statement, detail })
        }
    }
}
