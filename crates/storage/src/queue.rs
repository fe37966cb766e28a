//! A bounded queue from tasks to threads, with a lane for what is urgent.
//!
//! Tasks wait for room without blocking their runtime; threads wait for work without a runtime,
//! with a time limit, and take many at once, the urgent first. Tokio's channel does not do these
//! last three.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::Urgency;

/// Holds at most as many items in each lane as it has room for; more senders wait their turn.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    arrived: Condvar,
    urgent_room: Semaphore,
    ordinary_room: Semaphore,
}

#[derive(Debug)]
struct State<T> {
    urgent: VecDeque<T>,
    ordinary: VecDeque<T>,
    closed: bool,
}

impl<T> State<T> {
    fn is_empty(&self) -> bool {
        self.urgent.is_empty() && self.ordinary.is_empty()
    }
}

/// What a thread finds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken<T> {
    /// The urgent ones first, else in the order they came; at least one.
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
                urgent: VecDeque::new(),
                ordinary: VecDeque::new(),
                closed: false,
            }),
            arrived: Condvar::new(),
            urgent_room: Semaphore::new(room),
            ordinary_room: Semaphore::new(room),
        }
    }

    /// Waits for room, then queues; gives the item back when the queue is closed.
    pub(crate) async fn send(&self, item: T, urgency: Urgency) -> Result<(), T> {
        let room = match urgency {
            Urgency::Containment => &self.urgent_room,
            Urgency::Normal => &self.ordinary_room,
        };
        let Ok(permit) = room.acquire().await else {
            return Err(item);
        };
        let mut state = self.lock();
        if state.closed {
            return Err(item);
        }
        // Taken back when the item leaves the queue.
        permit.forget();
        match urgency {
            Urgency::Containment => state.urgent.push_back(item),
            Urgency::Normal => state.ordinary.push_back(item),
        }
        drop(state);
        self.arrived.notify_one();
        Ok(())
    }

    /// Waits for work and takes up to `most` items; waits for ever when `patience` is `None`.
    pub(crate) fn take(&self, most: usize, patience: Option<Duration>) -> Taken<T> {
        let idle = |state: &mut State<T>| state.is_empty() && !state.closed;
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
        if state.is_empty() {
            return if state.closed {
                Taken::Closed
            } else {
                Taken::Idle
            };
        }
        let urgent = state.urgent.len().min(most);
        let ordinary = state.ordinary.len().min(most - urgent);
        let mut items: Vec<_> = state.urgent.drain(..urgent).collect();
        items.extend(state.ordinary.drain(..ordinary));
        drop(state);
        self.urgent_room.add_permits(urgent);
        self.ordinary_room.add_permits(ordinary);
        Taken::Items(items)
    }

    /// Refuses what comes from now on; what is queued can still be taken.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.urgent_room.close();
        self.ordinary_room.close();
        self.arrived.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing in here panics half way, so a poisoned state is a whole one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
