//! A fresh database per test, on each engine there is.
//!
//! SQLite always, in a directory that goes away with the test. PostgreSQL when the environment
//! variable `PALISADE_TEST_POSTGRES` names a server on which databases may be created
//! (`scripts/test-postgres.sh` starts one); `make test` always sets it.

use std::sync::Arc;
use std::thread;

use model::{Clock, ManualClock, random_hex};
use postgres::{Client, NoTls};
use storage::{Database, DiskReserve, MasterKey, Migration, Options, Storage};
use tempfile::TempDir;

/// The environment variable with the URL of a PostgreSQL server for tests.
const SERVER_VARIABLE: &str = "PALISADE_TEST_POSTGRES";

/// A database of its own for one test; removed when dropped.
#[derive(Debug)]
pub struct TestDatabase {
    /// `sqlite` or `postgres`, for messages.
    pub engine: &'static str,
    /// Where it is.
    pub database: Database,
    /// The key it is opened with.
    pub master_key: MasterKey,
    /// The clock it is opened with.
    pub clock: Arc<ManualClock>,
    _place: Place,
}

/// What has to be removed.
#[derive(Debug)]
enum Place {
    Directory { _directory: TempDir },
    Server { url: String, name: String },
}

impl TestDatabase {
    /// What to open it with; a test may change some of it.
    pub fn options(&self, migrations: &[Migration]) -> Options {
        Options {
            database: self.database.clone(),
            master_key: self.master_key.clone(),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            migrations: migrations.to_vec(),
            disk: DiskReserve::none(),
        }
    }

    /// Opens it. It can be opened again when all clones of the last [`Storage`] are gone.
    ///
    /// # Panics
    /// When it cannot be opened.
    #[track_caller]
    pub fn open(&self, migrations: &[Migration]) -> Storage {
        match Storage::open(self.options(migrations)) {
            Ok(storage) => storage,
            Err(error) => panic!("{}: {error}", self.engine),
        }
    }

    fn sqlite() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let database = Database::Sqlite(directory.path().join("test.db"));
        let place = Place::Directory {
            _directory: directory,
        };
        Self::new("sqlite", database, place)
    }

    fn postgres(url: String) -> Self {
        let name = format!("palisade_test_{}", random_hex::<8>());
        let create = format!(
            "CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"
        );
        on_server(&url, &create);
        let database = Database::Postgres(with_name(&url, &name));
        Self::new("postgres", database, Place::Server { url, name })
    }

    fn new(engine: &'static str, database: Database, place: Place) -> Self {
        Self {
            engine,
            database,
            master_key: MasterKey::generate(),
            clock: crate::clock(),
            _place: place,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Self::Server { url, name } = self {
            on_server(url, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        }
    }
}

/// One fresh database of each engine there is.
///
/// # Panics
/// When a directory or a database cannot be made.
pub fn databases() -> Vec<TestDatabase> {
    let mut all = vec![TestDatabase::sqlite()];
    all.extend(server().map(TestDatabase::postgres));
    all
}

/// Runs a test on a fresh database of each engine there is.
///
/// # Panics
/// When a database cannot be made or opened.
#[track_caller]
pub fn each_database(migrations: &[Migration], test: impl Fn(&Storage)) {
    each_database_and_clock(migrations, |storage, _| test(storage));
}

/// As [`each_database`], for tests that move time.
///
/// # Panics
/// As [`each_database`].
#[track_caller]
pub fn each_database_and_clock(migrations: &[Migration], test: impl Fn(&Storage, &ManualClock)) {
    for database in databases() {
        let storage = database.open(migrations);
        // Shown with the output of a test that fails.
        eprintln!("on {}", database.engine);
        test(&storage, &database.clock);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "where a server is belongs to the test run"
)]
fn server() -> Option<String> {
    std::env::var(SERVER_VARIABLE)
        .ok()
        .filter(|url| !url.is_empty())
}

/// Runs one statement, on a thread of its own: the driver must not be called inside a runtime.
fn on_server(url: &str, sql: &str) {
    let run = || Client::connect(url, NoTls)?.batch_execute(sql);
    let ran = thread::scope(|scope| scope.spawn(run).join());
    if let Ok(Err(error)) = ran {
        panic!("{SERVER_VARIABLE}: `{sql}` failed: {error}");
    }
}

/// `url` with another database name. Its form: `postgres://user@host:port/name?options`.
fn with_name(url: &str, name: &str) -> String {
    let (before, options) = match url.split_once('?') {
        Some((before, options)) => (before, format!("?{options}")),
        None => (url, String::new()),
    };
    let authority = before.find("://").map_or(0, |at| at + 3);
    let end = before[authority..]
        .find('/')
        .map_or(before.len(), |at| authority + at);
    format!("{}/{name}{options}", &before[..end])
}

#[cfg(test)]
mod tests;
