//! A bounded queue from tasks to threads.
//!
//! Tasks wait for room without blocking their runtime; threads wait for work without a runtime,
//! with a time limit, and take many at once. Tokio's channel can do neither of the last two.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

/// Holds at most as many items as it has room for; more senders wait their turn.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    arrived: Condvar,
    room: Semaphore,
}

#[derive(Debug)]
struct State<T> {
    waiting: VecDeque<T>,
    closed: bool,
}

/// What a thread finds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken<T> {
    /// In the order they came; at least one.
    Items(Vec<T>),
    /// Nothing came in time.
    Idle,
    /// Closed, and nothing is left.
    Closed,
}

impl<T> Queue<T> {
    pub(crate) fn new(room: usize) -> Self {
        Self {
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                closed: false,
            }),
            arrived: Condvar::new(),
            room: Semaphore::new(room),
        }
    }

    /// Waits for room, then queues; gives the item back when the queue is closed.
    pub(crate) async fn send(&self, item: T) -> Result<(), T> {
        let Ok(permit) = self.room.acquire().await else {
            return Err(item);
        };
        let mut state = self.lock();
        if state.closed {
            return Err(item);
        }
        // Taken back when the item leaves the queue.
        permit.forget();
        state.waiting.push_back(item);
        drop(state);
        self.arrived.notify_one();
        Ok(())
    }

    /// Waits for work and takes up to `most` items; waits for ever when `patience` is `None`.
    pub(crate) fn take(&self, most: usize, patience: Option<Duration>) -> Taken<T> {
        let idle = |state: &mut State<T>| state.waiting.is_empty() && !state.closed;
        let state = self.lock();
        let mut state = match patience {
            Some(patience) => {
                let waited = self.arrived.wait_timeout_while(state, patience, idle);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            None => {
                let waited = self.arrived.wait_while(state, idle);
                waited.unwrap_or_else(PoisonError::into_inner)
            }
        };
        let count = state.waiting.len().min(most);
        if count == 0 {
            return if state.closed {
                Taken::Closed
            } else {
                Taken::Idle
            };
        }
        let items = state.waiting.drain(..count).collect();
        drop(state);
        self.room.add_permits(count);
        Taken::Items(items)
    }

    /// Refuses what comes from now on; what is queued can still be taken.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.room.close();
        self.arrived.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing in here panics half way, so a poisoned state is a whole one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
