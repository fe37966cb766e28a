//! Starting and ending the threads.
//!
//! Connections are opened on a thread of their own, because a driver that blocks must not be
//! called from inside a runtime, and `open` may be.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle};

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
    handles: std::sync::Mutex<Vec<JoinHandle<()>>>,
}

/// Opens the database and starts its threads.
pub(crate) fn open(options: Options) -> Result<(Arc<Shared>, Threads), OpenError> {
    let opening = thread::scope(|scope| scope.spawn(|| prepare(options)).join());
    let (shared, writer, readers) = opening.map_err(|_| StorageError::Panicked {
        message: "while opening the database".to_owned(),
    })??;

    let (count, running) = watch::channel(0);
    let count = Arc::new(count);
    let mut handles = Vec::with_capacity(1 + readers.len());
    let guard = Ending::new(&shared, &count, |shared| &shared.writes);
    handles.push(start("storage-writer", guard, move || writer.serve())?);
    for reader in readers {
        let guard = Ending::new(&shared, &count, |shared| &shared.reads);
        handles.push(start("storage-reader", guard, move || reader.serve())?);
    }
    let threads = Threads {
        shared: Arc::clone(&shared),
        running,
        handles: std::sync::Mutex::new(handles),
    };
    Ok((shared, threads))
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
        let mut handles = self.handles.lock().unwrap_or_else(PoisonError::into_inner);
        for handle in handles.drain(..) {
            // The last clone may have lived in a closure: then this is one of the threads.
            if handle.thread().id() != thread::current().id() {
                // A thread that panicked has logged why.
                let _panicked = handle.join();
            }
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
        reserve_missing: AtomicBool::new(reserve.missing()),
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
