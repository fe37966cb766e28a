//! A few threads for work that would hold up everything else: generating keys.
//!
//! The queue is bounded; when it is full the call is refused rather than delayed.

use std::fmt;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use model::ApiError;
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// Threads that wait for jobs; they end when this is dropped.
pub(crate) struct Workers {
    jobs: SyncSender<Job>,
}

/// Threads of the pool.
const THREADS: usize = 2;
/// Jobs that may wait.
const WAITING_MAX: usize = 64;

impl Workers {
    /// Starts the threads.
    pub(crate) fn start() -> std::io::Result<Self> {
        let (jobs, waiting) = sync_channel::<Job>(WAITING_MAX);
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..THREADS {
            let waiting = Arc::clone(&waiting);
            thread::Builder::new()
                .name("gateway-worker".to_owned())
                .spawn(move || work(&waiting))?;
        }
        Ok(Self { jobs })
    }

    /// Runs `job` on one of the threads.
    ///
    /// # Errors
    /// The job's own; `ServiceUnavailableException` when too many wait.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let (answer, answered) = oneshot::channel();
        // The receiver is gone when the caller has hung up; then nobody wants the answer.
        let job = Box::new(move || drop(answer.send(job())));
        match self.jobs.try_send(job) {
            Ok(()) => answered
                .await
                .unwrap_or_else(|_| Err(ApiError::internal("a worker panicked"))),
            Err(TrySendError::Full(_)) => Err(ApiError::unavailable(
                "too many calls of this kind are waiting; try again later",
            )),
            Err(TrySendError::Disconnected(_)) => Err(ApiError::internal("the workers have ended")),
        }
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Workers")
    }
}

fn work(waiting: &Mutex<Receiver<Job>>) {
    loop {
        // Held only until a job is here: the others wait their turn.
        let job = waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recv();
        match job {
            // A job that panics must not take the thread with it; its caller sees the channel
            // close and answers an internal error.
            Ok(job) => drop(std::panic::catch_unwind(std::panic::AssertUnwindSafe(job))),
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests;
