//! The shell around the core: one thread, its sockets, its clock and its way to the disk.
//!
//! The thread sleeps until a socket, a timer or another thread wants something, reads all that has
//! come, lets the core deal with it, and writes what the core has for each client in one go. No
//! task stands between a socket and the core. Everything here runs on that thread, so the core
//! needs no lock: it is borrowed, never across an await. There is no decision about MQTT in the
//! shell.
//!
//! To read it: `thread` (the loop), `sockets` (bytes in, bytes out), `tls` (a session without
//! buffers), `listen` and `handshake` (doors, on the runtime), `executor` (what waits for the
//! database), `access` (what is known of certificates), `persist` (the way to the disk).
//!
//! Decisions: `docs/decisions/0003-one-broker-core-first.md`, `0012-the-brokers-own-loop.md`.

mod access;
mod executor;
mod handshake;
mod leaves;
mod listen;
mod persist;
mod rates;
mod sockets;
mod thread;
mod tls;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use model::{CertificateId, Clock};
use tokio::sync::{Notify, OwnedSemaphorePermit, oneshot, watch};
// The disk is waited for by the clock on the wall, which the platform's need not be.
use tokio::time::Instant;

use crate::core::{Connection, Core, Doubt, Effect, Key, Now};
use executor::Executor;
use handshake::Shaken;
use sockets::{Admitted, Sockets};

pub(crate) use access::Access;
pub use listen::ListenError;
pub(crate) use listen::Listeners;
pub use thread::ThreadStartError;
pub(crate) use thread::{Call, Request, Thread, ThreadOptions};

/// Doubts that wait to be settled.
const DOUBTS_MAX: usize = 64;

/// The core and what waits for it.
pub(crate) struct Shell {
    core: RefCell<Core>,
    clock: Arc<dyn Clock>,
    sockets: RefCell<Sockets>,
    executor: Executor,
    /// There are ops for the disk.
    to_persist: Notify,
    /// Ops on the disk; also tells when there is room for more.
    persisted: watch::Sender<u64>,
    /// When the batch that gathers is due.
    batch_due: Cell<Option<Instant>>,
    /// Who waits for the acknowledgement of a direct message.
    confirmations: RefCell<HashMap<u64, oneshot::Sender<bool>>>,
    next_token: Cell<u64>,
    /// Holders of sessions to be asked about.
    doubts: RefCell<Vec<Doubt>>,
    to_settle: Notify,
    /// Wills to be judged, and whose; the core has each but once.
    due_wills: RefCell<Vec<(Arc<str>, CertificateId)>>,
    to_judge: Notify,
    /// Nobody is taken in any more.
    stopping: Cell<bool>,
    /// The last socket is closed.
    emptied: Notify,
    /// The loop is to end.
    stopped: Cell<bool>,
    /// Scratch space, kept to save its allocation.
    announced: RefCell<Vec<Key<Connection>>>,
}

impl fmt::Debug for Shell {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Shell")
    }
}

impl Shell {
    fn new(
        core: Core,
        clock: Arc<dyn Clock>,
        sockets: Sockets,
        executor: Executor,
        persisted: watch::Sender<u64>,
    ) -> Self {
        Self {
            core: RefCell::new(core),
            clock,
            sockets: RefCell::new(sockets),
            executor,
            to_persist: Notify::new(),
            persisted,
            batch_due: Cell::new(None),
            confirmations: RefCell::default(),
            next_token: Cell::new(0),
            doubts: RefCell::default(),
            to_settle: Notify::new(),
            due_wills: RefCell::default(),
            to_judge: Notify::new(),
            stopping: Cell::new(false),
            emptied: Notify::new(),
            stopped: Cell::new(false),
            announced: RefCell::default(),
        }
    }

    pub(crate) fn now(&self) -> Now {
        Now {
            instant: self.clock.instant(),
            wall: self.clock.now(),
        }
    }

    /// Lets the core deal with something. What it then wants done is done at the end of the turn.
    pub(crate) fn with<T>(&self, run: impl FnOnce(&mut Core, Now) -> T) -> T {
        run(&mut self.core.borrow_mut(), self.now())
    }

    /// As [`Shell::with`], of what changes nothing.
    pub(crate) fn look<T>(&self, run: impl FnOnce(&Core, Now) -> T) -> T {
        run(&self.core.borrow(), self.now())
    }

    /// One turn: reads what has come, fires timers, does what the core wants done.
    fn turn(&self) {
        let now = self.now();
        let mut core = self.core.borrow_mut();
        let mut sockets = self.sockets.borrow_mut();
        sockets.read(&mut core, now);
        if core.deadline().is_some_and(|at| at <= now.instant) {
            core.tick(now);
        }
        if sockets.patience() == Some(Duration::ZERO) {
            sockets.give_up(&mut core, now);
        }
        self.carry_out(&mut core, &mut sockets, now);
        self.mind_batch(&mut core);
        let persisted = core.persisted_up_to();
        self.persisted.send_if_modified(|told| {
            let before = std::mem::replace(told, persisted);
            before != persisted
        });
        if self.stopping.get() && sockets.is_empty() {
            self.emptied.notify_one();
        }
    }

    /// Sees to it that what gathers for the disk is taken when it is due.
    fn mind_batch(&self, core: &mut Core) {
        let due = core.batch_patience().map(|patience| {
            let at = Instant::now();
            let by = at + patience;
            let due = self.batch_due.get().map_or(by, |due| due.min(by));
            if due <= at {
                core.hurry();
            }
            due
        });
        self.batch_due.set(due);
        if core.has_batch() {
            self.batch_due.set(None);
            self.to_persist.notify_one();
        }
    }

    /// Does what the core wants done. A socket that turns out broken is more of it, once.
    fn carry_out(&self, core: &mut Core, sockets: &mut Sockets, now: Now) {
        let mut announced = self.announced.borrow_mut();
        loop {
            for effect in core.take_effects() {
                match effect {
                    Effect::Close { connection, output } => {
                        sockets.close(connection, &output);
                    }
                    Effect::Doubted(doubt) => self.doubt(doubt),
                    Effect::WillDue { id, principal } => {
                        self.due_wills.borrow_mut().push((id, principal));
                        self.to_judge.notify_one();
                    }
                    Effect::Confirmed { token, delivered } => {
                        if let Some(waiting) = self.confirmations.borrow_mut().remove(&token) {
                            // Whoever gave up waiting need not know.
                            let _gone = waiting.send(delivered);
                        }
                    }
                }
            }
            core.take_announced(&mut announced);
            if announced.is_empty() {
                return;
            }
            for connection in announced.drain(..) {
                sockets.write(core, now, connection);
            }
        }
    }

    /// How long [`Shell::turn`] has nothing to do, if nothing happens.
    fn sleeps_for(&self) -> Option<Duration> {
        let core = self.core.borrow();
        let sockets = self.sockets.borrow();
        if sockets.has_ready() {
            return Some(Duration::ZERO);
        }
        let timer = core
            .deadline()
            .map(|at| at.saturating_duration_since(self.clock.instant()));
        let batch = self.batch_due.get();
        let batch = batch.map(|due| due.saturating_duration_since(Instant::now()));
        [timer, batch, sockets.patience()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Takes a client in that the core knows already.
    fn admit(
        &self,
        key: Key<Connection>,
        shaken: Shaken,
        slot: OwnedSemaphorePermit,
    ) -> io::Result<()> {
        let Shaken {
            tcp,
            tls,
            incoming,
            plain,
            outgoing,
        } = shaken;
        self.sockets.borrow_mut().admit(Admitted {
            key,
            tcp: tcp.into_std()?,
            tls,
            incoming,
            plain,
            outgoing,
            slot,
        })
    }

    /// Takes nobody in any more; returns when everybody is gone.
    async fn emptied(&self) {
        self.stopping.set(true);
        while !self.sockets.borrow().is_empty() {
            self.emptied.notified().await;
        }
    }

    /// Notes a doubt; one too many is left to the client's next attempt.
    fn doubt(&self, doubt: Doubt) {
        let mut doubts = self.doubts.borrow_mut();
        if doubts.len() < DOUBTS_MAX && !doubts.contains(&doubt) {
            doubts.push(doubt);
            self.to_settle.notify_one();
        }
    }

    /// The doubts since the last time this was asked; waits for one.
    pub(crate) async fn doubts(&self) -> Vec<Doubt> {
        loop {
            let doubts = self.doubts.take();
            if !doubts.is_empty() {
                return doubts;
            }
            self.to_settle.notified().await;
        }
    }

    /// The wills that are due since the last time this was asked, and whose they are; waits for one.
    pub(crate) async fn due_wills(&self) -> Vec<(Arc<str>, CertificateId)> {
        loop {
            let due = self.due_wills.take();
            if !due.is_empty() {
                return due;
            }
            self.to_judge.notified().await;
        }
    }

    /// A token for a direct message, and where its acknowledgement is told.
    pub(crate) fn confirmation(&self) -> (u64, oneshot::Receiver<bool>) {
        let token = self.next_token.get() + 1;
        self.next_token.set(token);
        let (sender, receiver) = oneshot::channel();
        self.confirmations.borrow_mut().insert(token, sender);
        (token, receiver)
    }

    /// The message of this token is not on its way after all.
    pub(crate) fn forget_confirmation(&self, token: u64) {
        self.confirmations.borrow_mut().remove(&token);
    }
}
