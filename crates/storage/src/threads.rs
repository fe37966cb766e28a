//! Starting and ending the threads.
//!
//! Connections are opened on a thread of their own, because a driver that blocks must not be
//! called from inside a runtime, and `open` may be.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::{self, JoinHandle, ThreadId};

use tokio::sync::{Mutex, watch};

use crate::disk::Reserve;
use crate::engine::{self, Role};
use crate::job::Job;
use crate::lease::{self, FileLease};
use crate::migration::{self, Plan};
use crate::outbox::{self, Feed};
use crate::queue::{Queue, Taken};
use crate::reader::Reader;
use crate::statistics::Counters;
use crate::vault::Vault;
use crate::writer::Writer;
use crate::{
    Database, OpenError, Options, READS_WAITING_MAX, Shared, StorageError, WRITES_WAITING_MAX,
};

/// Reading threads, each with its connection.
const READERS: usize = 4;

/// The threads of one open database. Dropping this closes it and waits for them.
pub(crate) struct Threads {
    shared: Arc<Shared>,
    running: watch::Receiver<usize>,
    ids: Vec<ThreadId>,
    /// Waits for the others before it ends.
    writing: Option<JoinHandle<()>>,
}

/// Opens the database and starts its threads.
pub(crate) fn open(options: Options) -> Result<(Arc<Shared>, Threads), OpenError> {
    let opening = thread::scope(|scope| scope.spawn(|| prepare(options)).join());
    let (shared, writer, readers) = opening.map_err(|_| StorageError::Panicked {
        message: "while opening the database".to_owned(),
    })??;

    match start_all(&shared, writer, readers) {
        Ok(threads) => Ok((shared, threads)),
        Err(error) => {
            // Those that did start end again.
            close(&shared);
            Err(error)
        }
    }
}

fn start_all(
    shared: &Arc<Shared>,
    writer: Writer,
    readers: Vec<Reader>,
) -> Result<Threads, OpenError> {
    let (count, running) = watch::channel(0);
    let count = Arc::new(count);
    let mut reading = Vec::with_capacity(readers.len());
    for reader in readers {
        let guard = Ending::new(shared, &count, |shared| &shared.reads);
        reading.push(start("storage-reader", guard, move || reader.serve())?);
    }
    let mut ids: Vec<_> = reading.iter().map(|reader| reader.thread().id()).collect();
    let guard = Ending::new(shared, &count, |shared| &shared.writes);
    // The writer is the last to go: SQLite then puts all of its log into the file.
    let write = move || writer.serve(|| reading.into_iter().for_each(wait_for));
    let writing = start("storage-writer", guard, write)?;
    ids.push(writing.thread().id());
    Ok(Threads {
        shared: Arc::clone(shared),
        running,
        ids,
        writing: Some(writing),
    })
}

/// A thread that panicked has logged why.
fn wait_for(thread: JoinHandle<()>) {
    let _panicked = thread.join();
}

/// Refuses new work; what waits is still done.
pub(crate) fn close(shared: &Shared) {
    shared.writes.close();
    shared.reads.close();
}

impl Threads {
    /// Waits until all threads have ended.
    pub(crate) async fn ended(&self) {
        let mut running = self.running.clone();
        // An error means that the last thread is gone, and the count with it.
        let _gone = running.wait_for(|count| *count == 0).await;
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        close(&self.shared);
        // The last clone may have lived in a closure: then this is one of the threads, and
        // cannot wait for itself.
        if let Some(writing) = self.writing.take()
            && !self.ids.contains(&thread::current().id())
        {
            wait_for(writing);
        }
        self.shared.feed.close();
    }
}

type Prepared = (Arc<Shared>, Writer, Vec<Reader>);

fn prepare(options: Options) -> Result<Prepared, OpenError> {
    let Options {
        database,
        master_key,
        clock,
        migrations,
        disk,
    } = options;
    let plan = Plan::new(&migrations)?;
    let now = clock.now();
    let file_lease = match &database {
        Database::Sqlite(path) => Some(FileLease::take(path, now)?),
        Database::Postgres(_) => None,
    };
    let mut engine = engine::connect(&database, Role::Writer)?;
    migration::run(engine.as_mut(), &plan, now)?;
    let vault = Vault::open(engine.as_mut(), master_key, now)?;
    let plain = |fault: engine::Fault| OpenError::Storage(fault.error);
    lease::record(engine.as_mut(), now).map_err(plain)?;
    let last = outbox::last_sequence(engine.as_mut()).map_err(plain)?;
    let reserve = Reserve::new(disk);
    let shared = Arc::new(Shared {
        database,
        clock,
        vault,
        feed: Feed::new(last),
        counters: Counters::default(),
        reads: Queue::new(READS_WAITING_MAX),
        writes: Queue::new(WRITES_WAITING_MAX),
        writable: AtomicBool::new(true),
        rotation: Mutex::new(()),
    });
    let readers = (0..READERS).map(|_| Reader::open(&shared));
    let readers = readers.collect::<Result<_, _>>()?;
    let writer = Writer::new(Arc::clone(&shared), engine, reserve, file_lease);
    Ok((shared, writer, readers))
}

fn start(
    name: &str,
    guard: Ending,
    serve: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, OpenError> {
    let started = thread::Builder::new().name(name.to_owned()).spawn(move || {
        let _guard = guard;
        serve();
    });
    let failed = |error: std::io::Error| StorageError::Unavailable {
        detail: format!("no thread could be started: {error}"),
    };
    Ok(started.map_err(failed)?)
}

/// Whatever ends a thread: nobody waits for it in vain.
struct Ending {
    shared: Arc<Shared>,
    count: Arc<watch::Sender<usize>>,
    queue: fn(&Shared) -> &Queue<Box<dyn Job>>,
}

impl Ending {
    fn new(
        shared: &Arc<Shared>,
        count: &Arc<watch::Sender<usize>>,
        queue: fn(&Shared) -> &Queue<Box<dyn Job>>,
    ) -> Self {
        count.send_modify(|count| *count += 1);
        Self {
            shared: Arc::clone(shared),
            count: Arc::clone(count),
            queue,
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if thread::panicking() {
            tracing::error!("a storage thread panicked; the database closes");
            close(&self.shared);
            let queue = (self.queue)(&self.shared);
            while let Taken::Items(jobs) = queue.take(usize::MAX, None) {
                jobs.into_iter()
                    .for_each(|job| job.refuse(StorageError::Closed));
            }
        }
        self.count.send_modify(|count| *count -= 1);
    }
}
