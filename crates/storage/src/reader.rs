//! The threads that read: each has a connection, all take from one queue.

use std::sync::Arc;

use crate::Shared;
use crate::engine::{self, Engine, Fault, Reach, Role};
use crate::job::Job;
use crate::queue::Taken;
use crate::statistics;
use crate::{OpenError, StorageError, Tx};

/// How often a read is tried when the connection breaks or another transaction is in the way.
const ATTEMPTS_MAX: u32 = 3;

/// One reading thread.
pub(crate) struct Reader {
    shared: Arc<Shared>,
    /// `None` after it broke, until the next read.
    engine: Option<Box<dyn Engine>>,
}

impl Reader {
    pub(crate) fn open(shared: &Arc<Shared>) -> Result<Self, OpenError> {
        Ok(Self {
            shared: Arc::clone(shared),
            engine: Some(engine::connect(&shared.database, Role::Reader)?),
        })
    }

    /// Serves reads until the queue is closed and empty.
    pub(crate) fn serve(mut self) {
        let shared = Arc::clone(&self.shared);
        loop {
            match shared.reads.take(1, None) {
                Taken::Items(jobs) => jobs.into_iter().for_each(|job| self.answer(job)),
                Taken::Idle => (),
                Taken::Closed => return,
            }
        }
    }

    fn answer(&mut self, mut job: Box<dyn Job>) {
        if job.abandoned() {
            return;
        }
        let mut attempt = 0;
        loop {
            attempt += 1;
            match self.attempt(job.as_mut()) {
                Ok(()) => {
                    statistics::add(&self.shared.counters.reads, 1);
                    return job.answer();
                }
                Err(fault) => {
                    let again = matches!(fault.reach, Reach::Rerun | Reach::Connection);
                    if fault.reach == Reach::Connection {
                        self.engine = None;
                    }
                    if !again || ATTEMPTS_MAX <= attempt {
                        return job.refuse(fault.error);
                    }
                }
            }
        }
    }

    fn attempt(&mut self, job: &mut dyn Job) -> Result<(), Fault> {
        let engine = connected(&mut self.engine, &self.shared)?;
        engine.begin_read()?;
        let keys = self.shared.vault.keys();
        let now = self.shared.clock.now();
        let mut tx = Tx::new(engine.as_mut(), &keys, now, None);
        job.run(&mut tx);
        let fault = tx
            .fault()
            .filter(|fault| fault.reach != Reach::Statement)
            .cloned();
        // Nothing was written, so however it ends it ends well.
        engine.rollback();
        fault.map_or(Ok(()), Err)
    }
}

fn connected<'e>(
    engine: &'e mut Option<Box<dyn Engine>>,
    shared: &Shared,
) -> Result<&'e mut Box<dyn Engine>, Fault> {
    match engine {
        Some(engine) => Ok(engine),
        None => {
            let made = engine::connect(&shared.database, Role::Reader).map_err(|error| {
                let detail = error.to_string();
                Fault::new(Reach::Connection, StorageError::Unavailable { detail })
            })?;
            Ok(engine.insert(made))
        }
    }
}
