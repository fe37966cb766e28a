//! The asynchronous tasks of the broker's thread, between two looks at its sockets.
//!
//! What talks to the database or follows changes is written as futures; there are few of them, and
//! none on the way of a message. This polls those that were woken and no others. A wake-up from
//! another thread reaches the thread in its sleep through the same queue of the operating system
//! as a socket does.
//!
//! It has no timers: those of `tokio` are used, on the runtime that the thread has entered.

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Wake, Waker};

/// A future that runs on the broker's thread alone.
type Task = Pin<Box<dyn Future<Output = ()>>>;

/// See the module documentation.
pub(crate) struct Executor {
    slots: RefCell<Vec<Slot>>,
    free: RefCell<Vec<usize>>,
    signal: Arc<Signal>,
}

struct Slot {
    /// `None` while it is polled, and when it has ended.
    task: Option<Task>,
    wake: Arc<TaskWake>,
}

/// Who was woken, and how the thread is.
pub(crate) struct Signal {
    woken: Mutex<Vec<usize>>,
    asleep: AtomicBool,
    rouse: Box<dyn Fn() + Send + Sync>,
}

struct TaskWake {
    slot: usize,
    queued: AtomicBool,
    signal: Arc<Signal>,
}

impl fmt::Debug for Executor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Executor")
    }
}

impl Executor {
    /// `rouse` ends the thread's sleep; it is called from any thread.
    pub(crate) fn new(rouse: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            slots: RefCell::default(),
            free: RefCell::default(),
            signal: Arc::new(Signal {
                woken: Mutex::default(),
                asleep: AtomicBool::new(false),
                rouse: Box::new(rouse),
            }),
        }
    }

    /// Runs `future` to its end, beginning with the next [`Executor::run`].
    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        let mut slots = self.slots.borrow_mut();
        let slot = self.free.borrow_mut().pop().unwrap_or(slots.len());
        let wake = Arc::new(TaskWake {
            slot,
            queued: AtomicBool::new(false),
            signal: Arc::clone(&self.signal),
        });
        let new = Slot {
            task: Some(Box::pin(future)),
            wake: Arc::clone(&wake),
        };
        match slots.get_mut(slot) {
            Some(free) => *free = new,
            None => slots.push(new),
        }
        wake.wake();
    }

    /// Polls every task that was woken, once; whether there was one.
    pub(crate) fn run(&self) -> bool {
        let woken = std::mem::take(&mut *self.signal.lock());
        for slot in &woken {
            self.poll(*slot);
        }
        !woken.is_empty()
    }

    fn poll(&self, slot: usize) {
        let taken = self.slots.borrow_mut().get_mut(slot).and_then(|found| {
            found.wake.queued.store(false, Ordering::Release);
            Some((found.task.take()?, Arc::clone(&found.wake)))
        });
        // A wake-up that comes after its task has ended finds none.
        let Some((mut task, wake)) = taken else {
            return;
        };
        let waker = Waker::from(wake);
        if task
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_ready()
        {
            self.free.borrow_mut().push(slot);
        } else if let Some(found) = self.slots.borrow_mut().get_mut(slot) {
            found.task = Some(task);
        }
    }

    /// Says that the thread is about to sleep. False when it must not: somebody was woken.
    pub(crate) fn may_sleep(&self) -> bool {
        self.signal.asleep.store(true, Ordering::SeqCst);
        if self.signal.lock().is_empty() {
            return true;
        }
        self.awake();
        false
    }

    /// Says that the thread is awake.
    pub(crate) fn awake(&self) {
        self.signal.asleep.store(false, Ordering::SeqCst);
    }
}

impl Signal {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<usize>> {
        self.woken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for TaskWake {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.queued.swap(true, Ordering::AcqRel) {
            return;
        }
        self.signal.lock().push(self.slot);
        // The thread says that it sleeps and then looks at the queue; here it is the other way
        // round, so that one of the two sees the other.
        if self.signal.asleep.load(Ordering::SeqCst) {
            (self.signal.rouse)();
        }
    }
}
