//! The shell around the core: one thread, its sockets, its clock and its way to the disk.
//!
//! Everything here runs on the broker's thread, so the core needs no lock: a task borrows it, never
//! across an await, and closes each turn with [`Shell::turn`]. There is no decision about MQTT in
//! the shell.
//!
//! Decision: `docs/decisions/0003-one-broker-core-first.md`.

mod access;
mod connection;
mod listen;
mod persist;
mod rates;
mod socket;
mod thread;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use model::{CertificateId, Clock};
use tokio::sync::{Notify, oneshot, watch};

use crate::core::{Connection, Core, Doubt, Effect, Key, Now};

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
    outlets: RefCell<HashMap<Key<Connection>, Rc<Outlet>>>,
    /// There are ops for the disk.
    to_persist: Notify,
    /// Ops on the disk; also tells when there is room for more.
    persisted: watch::Sender<u64>,
    /// The timer that is set, and the word that an earlier one is wanted.
    armed: Cell<Option<Instant>>,
    earlier: Notify,
    /// Who waits for the acknowledgement of a direct message.
    confirmations: RefCell<HashMap<u64, oneshot::Sender<bool>>>,
    next_token: Cell<u64>,
    /// Holders of sessions to be asked about.
    doubts: RefCell<Vec<Doubt>>,
    to_settle: Notify,
    /// Wills to be judged, and whose; the core has each but once.
    due_wills: RefCell<Vec<(Arc<str>, CertificateId)>>,
    to_judge: Notify,
}

impl fmt::Debug for Shell {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Shell")
    }
}

/// How the core reaches the task of a connection.
#[derive(Debug, Default)]
pub(crate) struct Outlet {
    /// There is something to write, or to read on for.
    wake: Notify,
    /// The last bytes, once the connection is gone.
    last: RefCell<Option<BytesMut>>,
}

impl Shell {
    pub(crate) fn new(core: Core, clock: Arc<dyn Clock>, persisted: watch::Sender<u64>) -> Self {
        Self {
            core: RefCell::new(core),
            clock,
            outlets: RefCell::default(),
            to_persist: Notify::new(),
            persisted,
            armed: Cell::new(None),
            earlier: Notify::new(),
            confirmations: RefCell::default(),
            next_token: Cell::new(0),
            doubts: RefCell::default(),
            to_settle: Notify::new(),
            due_wills: RefCell::default(),
            to_judge: Notify::new(),
        }
    }

    pub(crate) fn now(&self) -> Now {
        Now {
            instant: self.clock.instant(),
            wall: self.clock.now(),
        }
    }

    /// Lets the core deal with something, and does what it then wants done.
    pub(crate) fn with<T>(&self, run: impl FnOnce(&mut Core, Now) -> T) -> T {
        let now = self.now();
        let answer = run(&mut self.core.borrow_mut(), now);
        self.turn();
        answer
    }

    /// As [`Shell::with`], of what changes nothing.
    pub(crate) fn look<T>(&self, run: impl FnOnce(&Core, Now) -> T) -> T {
        run(&self.core.borrow(), self.now())
    }

    /// Does what the core wants done.
    fn turn(&self) {
        let mut core = self.core.borrow_mut();
        for effect in core.take_effects() {
            match effect {
                Effect::Close { connection, output } => {
                    if let Some(outlet) = self.outlets.borrow_mut().remove(&connection) {
                        outlet.last.replace(Some(output));
                        outlet.wake.notify_one();
                    }
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
        let outlets = self.outlets.borrow();
        for connection in core.take_announced() {
            if let Some(outlet) = outlets.get(&connection) {
                outlet.wake.notify_one();
            }
        }
        if core.has_batch() {
            self.to_persist.notify_one();
        }
        let sooner = |at: Instant| self.armed.get().is_none_or(|armed| at < armed);
        if core.deadline().is_some_and(sooner) {
            self.earlier.notify_one();
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

    /// A connection's way out of the core.
    fn outlet(&self, connection: Key<Connection>) -> Rc<Outlet> {
        let outlet = Rc::new(Outlet::default());
        let kept = Rc::clone(&outlet);
        self.outlets.borrow_mut().insert(connection, kept);
        outlet
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

    /// Fires the core's timers, for ever.
    async fn keep_time(self: Rc<Self>) {
        loop {
            let at = self.core.borrow().deadline();
            self.armed.set(at);
            let wait = at.map(|at| at.saturating_duration_since(self.clock.instant()));
            match wait {
                Some(wait) => {
                    tokio::select! {
                        () = tokio::time::sleep(wait) => self.with(Core::tick),
                        () = self.earlier.notified() => {}
                    }
                }
                None => self.earlier.notified().await,
            }
        }
    }
}
