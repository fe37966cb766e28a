//! The one thread that writes.
//!
//! It takes all the writes that wait, gives each its own savepoint, and commits them together:
//! one synchronisation of the disk for many writes, and the busier it is the more of them share
//! one. A write that fails is rolled back to its savepoint and hurts no other. Nobody is answered
//! before the commit, so no answer rests on what was not stored.
//!
//! A failure of the whole group rolls it back, and it runs again if that can help: a bounded
//! number of times, and never when it may have been committed already.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::disk::Reserve;
use crate::engine::{self, Engine, Fault, Outcome, Reach, Role, TransactionId};
use crate::job::Job;
use crate::lease::{self, FileLease};
use crate::outbox::{self, Change, Outbox};
use crate::queue::Taken;
use crate::statistics::add;
use crate::{Database, OpenError, Shared, StorageError, Tx, Urgency};

/// Writes in one group.
pub(crate) const GROUP_MAX: usize = 512;
/// How often a group is tried.
const ATTEMPTS_MAX: u32 = 4;
/// The pause before the second attempt after a broken connection; doubled for each further one.
const RECONNECT_PAUSE: Duration = Duration::from_millis(50);
/// How often an idle writer looks after its connection and the disk reserve.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The writing thread, with all that only it touches.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    /// `None` after it broke, until it is made again.
    engine: Option<Box<dyn Engine>>,
    reserve: Reserve,
    untrimmed: u64,
    /// The last to go: whoever takes it finds the database closed.
    _lease: Option<FileLease>,
}

/// How a group failed.
struct Failure {
    fault: Fault,
    /// The transaction, if it was its commit that failed.
    committing: Option<TransactionId>,
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        let committing = None;
        Self { fault, committing }
    }
}

impl Writer {
    pub(crate) fn new(
        shared: Arc<Shared>,
        engine: Box<dyn Engine>,
        reserve: Reserve,
        lease: Option<FileLease>,
    ) -> Self {
        Self {
            shared,
            engine: Some(engine),
            reserve,
            untrimmed: outbox::TRIM_EVERY,
            _lease: lease,
        }
    }

    /// Serves writes until the queue is closed and empty; closes after `others` have.
    pub(crate) fn serve(mut self, others: impl FnOnce()) {
        let shared = Arc::clone(&self.shared);
        loop {
            let watches = matches!(shared.database, Database::Postgres(_));
            let patience = (watches || self.reserve.missing()).then_some(LOOK_EVERY);
            match shared.writes.take(GROUP_MAX, patience) {
                Taken::Items(jobs) => self.answer(jobs),
                Taken::Idle => self.look_after_connection(),
                Taken::Closed => break,
            }
            if self.reserve.missing() {
                self.reserve.restore();
            }
            self.report();
        }
        others();
    }

    /// Says how it stands, for those who check.
    fn report(&self) {
        let writable = self.engine.is_some();
        self.shared.writable.store(writable, Ordering::Relaxed);
    }

    /// What a quiet moment is for.
    fn look_after_connection(&mut self) {
        if let Some(engine) = &mut self.engine
            && let Err(fault) = engine.ping()
        {
            tracing::warn!(error = %fault.error, "the writing connection broke");
            self.engine = None;
        }
        if let Err(fault) = self.connected() {
            tracing::debug!(error = %fault.error, "no writing connection");
        }
    }

    fn answer(&mut self, jobs: Vec<Box<dyn Job>>) {
        let mut jobs = match self.reserve.refusal() {
            Some(full) => self.refuse_ordinary(jobs, &full),
            None => jobs,
        };
        let mut attempt = 0;
        while !jobs.is_empty() {
            attempt += 1;
            let failure = match self.attempt(&mut jobs) {
                Ok(changes) => return self.committed(jobs, changes),
                Err(failure) => failure,
            };
            let Fault { reach, error } = failure.fault;
            let again = match reach {
                Reach::Rerun => true,
                Reach::Disk => {
                    jobs = self.refuse_ordinary(jobs, &error);
                    !jobs.is_empty() && self.reserve.release()
                }
                Reach::Connection => {
                    self.engine = None;
                    std::thread::sleep(RECONNECT_PAUSE * (1 << attempt.min(8)));
                    match failure.committing.map(|id| self.outcome(id)) {
                        None | Some(Outcome::RolledBack) => true,
                        // The outbox rows are in the table; the subscribers read them there.
                        Some(Outcome::Committed) => return self.committed(jobs, Vec::new()),
                        Some(Outcome::Unknown) => {
                            let detail = error.to_string();
                            return refuse(jobs, &StorageError::Unknown { detail });
                        }
                    }
                }
                Reach::Statement | Reach::Group => false,
            };
            self.report();
            if !again || ATTEMPTS_MAX <= attempt {
                return refuse(jobs, &error);
            }
            add(&self.shared.counters.reruns, 1);
        }
    }

    /// Runs the group once, up to and including its commit.
    fn attempt(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<Vec<Change>, Failure> {
        self.connected()?;
        let trim = outbox::TRIM_EVERY <= self.untrimmed;
        let Some(engine) = self.engine.as_deref_mut() else {
            return Ok(Vec::new());
        };
        let done = engine
            .begin_write()
            .and_then(|()| run_group(engine, &self.shared, jobs, trim));
        let changes = match done {
            Ok(Some(changes)) => changes,
            Ok(None) => {
                engine.rollback();
                return Ok(Vec::new());
            }
            Err(fault) => {
                engine.rollback();
                return Err(fault.into());
            }
        };
        if let Err(fault) = engine.commit() {
            let committing = engine.transaction();
            engine.rollback();
            return Err(Failure { fault, committing });
        }
        if trim {
            self.untrimmed = 0;
        }
        self.untrimmed += changes.len() as u64;
        Ok(changes)
    }

    /// Tells first the subscribers, then the callers: who has the answer can rely on the caches.
    fn committed(&self, jobs: Vec<Box<dyn Job>>, changes: Vec<Change>) {
        let counters = &self.shared.counters;
        add(&counters.commits, 1);
        add(&counters.writes, jobs.len());
        add(&counters.changes, changes.len());
        counters
            .group_max
            .fetch_max(jobs.len() as u64, Ordering::Relaxed);
        self.shared
            .feed
            .publish(changes, self.shared.clock.instant());
        jobs.into_iter().for_each(Job::answer);
    }

    /// Refuses all that may not use the disk reserve; the rest is left.
    fn refuse_ordinary(&self, jobs: Vec<Box<dyn Job>>, full: &StorageError) -> Vec<Box<dyn Job>> {
        let (urgent, ordinary): (Vec<_>, Vec<_>) = jobs
            .into_iter()
            .partition(|job| job.urgency() == Urgency::Containment);
        add(&self.shared.counters.disk_refusals, ordinary.len());
        refuse(ordinary, full);
        urgent
    }

    /// Makes the connection, and with it the lease, again if they were lost.
    fn connected(&mut self) -> Result<(), Fault> {
        if self.engine.is_some() {
            return Ok(());
        }
        let lost = |error: OpenError| {
            let detail = error.to_string();
            Fault::new(Reach::Connection, StorageError::Unavailable { detail })
        };
        let mut engine = engine::connect(&self.shared.database, Role::Writer).map_err(lost)?;
        lease::record(engine.as_mut(), self.shared.clock.now())?;
        // Another node may have written in the meantime; and so may we, in a commit whose answer
        // was lost.
        self.shared
            .feed
            .reach(outbox::last_sequence(engine.as_mut())?);
        tracing::info!(database = %self.shared.database, "the writing connection is back");
        self.engine = Some(engine);
        Ok(())
    }

    fn outcome(&mut self, transaction: TransactionId) -> Outcome {
        let asked = self
            .connected()
            .and_then(|()| match self.engine.as_deref_mut() {
                Some(engine) => engine.outcome(transaction),
                None => Ok(Outcome::Unknown),
            });
        asked.unwrap_or(Outcome::Unknown)
    }
}

fn refuse(jobs: Vec<Box<dyn Job>>, error: &StorageError) {
    for job in jobs {
        job.refuse(error.clone());
    }
}

/// Runs each write of a group on its own savepoint, and one that is alone without. An error means
/// that all of it is lost; `None` that nothing of it is to be kept.
fn run_group(
    engine: &mut dyn Engine,
    shared: &Shared,
    jobs: &mut [Box<dyn Job>],
    trim: bool,
) -> Result<Option<Vec<Change>>, Fault> {
    let keys = shared.vault.keys();
    let mut outbox = Outbox::default();
    let alone = jobs.len() == 1;
    for job in jobs {
        let mark = outbox.mark();
        if !alone {
            engine.savepoint()?;
        }
        let mut tx = Tx::new(engine, &keys, shared.clock.now(), Some(&mut outbox));
        let keep = job.run(&mut tx);
        if let Some(fault) = tx.fault().filter(|fault| fault.reach != Reach::Statement) {
            return Err(fault.clone());
        }
        match (alone, keep) {
            (true, true) => (),
            (true, false) => return Ok(None),
            (false, true) => engine.release()?,
            (false, false) => {
                engine.undo()?;
                outbox.rewind(mark);
            }
        }
    }
    if trim {
        outbox::trim(engine, shared.clock.now())?;
    }
    Ok(Some(outbox.into_changes()))
}
