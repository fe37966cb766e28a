//! The database: transactions, group commit, migrations, change feed, sealing. Knows no table of
//! anyone else.
//!
//! It exists so that a capability writes plain SQL, once, and gets durability, order and secrecy
//! from one place. A capability hands in a closure over a [`Tx`]; it runs on a thread of this
//! crate, may run again, and is answered when its transaction is on the disk.
//!
//! - One thread writes ([`writer`]), on both engines, and commits many writes together.
//! - A few threads read ([`reader`]), each closure on one snapshot.
//! - What changed comes out in commit order ([`Changes`]).
//! - What must not be read from a stolen disk is sealed ([`Tx::seal`]).
//! - One node per database ([`lease`]); room for containment on a full disk ([`DiskReserve`]).
//!
//! It does not build SQL, map objects, cache rows, or hide which statements run. It never blocks a
//! caller's runtime. Decision: `docs/decisions/0001-one-writer-on-both-engines.md`.

mod dialect;
mod disk;
mod engine;
mod error;
mod examine;
mod job;
mod lease;
mod migration;
mod options;
mod outbox;
mod page;
mod postgresql;
mod queue;
mod reader;
mod row;
mod sqlite;
mod statistics;
mod threads;
mod transaction;
mod value;
mod vault;
mod wait;
mod writer;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use model::Clock;
use tokio::sync::Mutex;

pub use disk::{DiskReserve, FreeSpace};
pub use error::{BadPageToken, OpenError, StorageError};
pub use examine::{Check, examine};
pub use migration::{Migration, MigrationError};
pub use options::{Database, Options, Urgency};
pub use outbox::{Change, Changes};
pub use page::PAGE_TOKEN_LEN_MAX;
pub use row::Row;
pub use statistics::Statistics;
pub use transaction::Tx;
pub use value::Value;
pub use vault::{MasterKey, MasterKeyError};

use job::{Answer, Job, Task};
use outbox::Feed;
use queue::Queue;
use statistics::Counters;
use threads::Threads;
use vault::Vault;

/// Reads that may wait; further callers wait for room.
const READS_WAITING_MAX: usize = 1024;
/// Writes of either urgency that may wait; further callers wait for room.
const WRITES_WAITING_MAX: usize = 4096;

/// The database, open. Clones share it; when the last one goes, it is closed.
#[derive(Clone)]
pub struct Storage {
    shared: Arc<Shared>,
    threads: Arc<Threads>,
}

/// What the callers and the threads share.
struct Shared {
    database: Database,
    clock: Arc<dyn Clock>,
    vault: Vault,
    feed: Feed,
    counters: Counters,
    reads: Queue<Box<dyn Job>>,
    writes: Queue<Box<dyn Job>>,
    /// Whether the writer has its connection and with it the lease.
    writable: AtomicBool,
    /// One change of keys at a time.
    rotation: Mutex<()>,
}

/// A write that is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed<T> {
    /// What the closure answered.
    pub value: T,
    /// The sequence of the last change it announced, if it announced one.
    pub last_change: Option<u64>,
}

impl fmt::Debug for Storage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let database = &self.shared.database;
        out.debug_struct("Storage")
            .field("database", database)
            .finish_non_exhaustive()
    }
}

impl Storage {
    /// Opens the database: takes the lease, brings the schema up to date, opens the data keys.
    /// Blocks until done; may be called from anywhere.
    ///
    /// # Errors
    /// [`OpenError`] says what is wrong and what to do.
    pub fn open(options: Options) -> Result<Self, OpenError> {
        let (shared, threads) = threads::open(options)?;
        let threads = Arc::new(threads);
        Ok(Self { shared, threads })
    }

    /// Runs `run` in a read transaction: all its statements see one moment.
    ///
    /// # Errors
    /// What `run` answers, or a [`StorageError`].
    pub async fn read<T, E, F>(&self, run: F) -> Result<T, E>
    where
        F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        let answer = ask(&self.shared.reads, Urgency::Normal, run).await;
        answer.map(|committed| committed.value)
    }

    /// Runs `run` in a write transaction and answers when it is on the disk. When `run` answers
    /// an error nothing of it is stored. `run` may run more than once; once queued it runs even
    /// if the caller goes away.
    ///
    /// # Errors
    /// What `run` answers, or a [`StorageError`].
    pub async fn write<T, E, F>(&self, urgency: Urgency, run: F) -> Result<Committed<T>, E>
    where
        F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        ask(&self.shared.writes, urgency, run).await
    }

    /// As [`Storage::read`], blocking the calling thread: for tests and the command line.
    ///
    /// # Errors
    /// As [`Storage::read`].
    pub fn read_blocking<T, E, F>(&self, run: F) -> Result<T, E>
    where
        F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        wait::wait(self.read(run))
    }

    /// As [`Storage::write`], blocking the calling thread: for tests and the command line.
    ///
    /// # Errors
    /// As [`Storage::write`].
    pub fn write_blocking<T, E, F>(&self, urgency: Urgency, run: F) -> Result<Committed<T>, E>
    where
        F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        wait::wait(self.write(urgency, run))
    }

    /// The changes from now on.
    pub fn changes(&self) -> Changes {
        Changes::new(self.clone(), &self.shared.feed)
    }

    /// When this process made the change with this sequence known, on the monotonic clock of
    /// [`Storage::clock`]; `None` when there is no such change yet, or it was long ago.
    pub fn changed_at(&self, sequence: u64) -> Option<Instant> {
        self.shared.feed.published_at(sequence)
    }

    /// Where transactions take their time from.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.shared.clock
    }

    /// Which database this is.
    pub fn database(&self) -> &Database {
        &self.shared.database
    }

    /// What has been done since it was opened.
    pub fn statistics(&self) -> Statistics {
        self.shared.counters.read()
    }

    /// Whether writes are taken: not while another node holds the database. Cheap.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`] when they are not.
    pub fn ready(&self) -> Result<(), StorageError> {
        if self.shared.writable.load(Ordering::Relaxed) {
            return Ok(());
        }
        Err(StorageError::Unavailable {
            detail: "the lease on the database is lost".to_owned(),
        })
    }

    /// Wraps all data keys with `new`; from then on only `new` opens the database.
    ///
    /// # Errors
    /// As [`Storage::write`]; the old key stays then.
    pub async fn rotate_master_key(&self, new: MasterKey) -> Result<(), StorageError> {
        let _alone = self.shared.rotation.lock().await;
        let (old, to) = (self.shared.vault.master(), new.clone());
        let rewrapped = self.write(Urgency::Containment, move |tx| {
            tx.run(&[], |engine| {
                vault::rewrap(engine, &old, &to).map_err(Into::into)
            })
        });
        rewrapped.await?;
        self.shared.vault.replace_master(new);
        Ok(())
    }

    /// Makes a new data key that seals from now on; what was sealed before can still be opened.
    /// To be done before a key has sealed 2^32 times.
    ///
    /// # Errors
    /// As [`Storage::write`]; the old key goes on sealing then.
    pub async fn rotate_data_key(&self) -> Result<(), StorageError> {
        let _alone = self.shared.rotation.lock().await;
        let master = self.shared.vault.master();
        let keys = self.write(Urgency::Containment, move |tx| {
            let now = tx.now();
            tx.run(&[], |engine| {
                vault::add(engine, &master, now)?;
                Ok(vault::load(engine, &master)?)
            })
        });
        let keys: Committed<_> = keys.await?;
        self.shared.vault.replace_keys(&keys.value);
        Ok(())
    }

    /// Finishes the waiting writes, releases the lease, and ends all threads. What is asked for
    /// afterwards is refused with [`StorageError::Closed`].
    pub async fn close(&self) {
        threads::close(&self.shared);
        self.threads.ended().await;
        self.shared.feed.close();
    }

    fn feed(&self) -> &Feed {
        &self.shared.feed
    }
}

async fn ask<T, E, F>(queue: &Queue<Box<dyn Job>>, urgency: Urgency, run: F) -> Answer<T, E>
where
    F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: From<StorageError> + Send + 'static,
{
    let (task, answer) = Task::new(urgency, run);
    let queued = queue.send(Box::new(task), urgency).await;
    if queued.is_err() {
        return Err(StorageError::Closed.into());
    }
    // No answer: its thread has ended.
    answer
        .await
        .unwrap_or_else(|_| Err(StorageError::Closed.into()))
}
