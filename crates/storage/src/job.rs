//! A closure on its way to a thread, and its answer on the way back.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::sync::oneshot;

use crate::{Committed, StorageError, Tx, Urgency};

/// What the threads know of a read or a write.
pub(crate) trait Job: Send {
    fn urgency(&self) -> Urgency;
    /// Whether nobody waits for the answer any more.
    fn abandoned(&self) -> bool;
    /// Runs the closure and keeps what it answers. Whether its effects are to be kept.
    fn run(&mut self, tx: &mut Tx<'_>) -> bool;
    /// Tells the caller what the last run answered: its transaction has ended well.
    fn answer(self: Box<Self>);
    /// Tells the caller that its transaction has not ended well.
    fn refuse(self: Box<Self>, error: StorageError);
}

/// What comes back of a closure that answers `T` or `E`.
pub(crate) type Answer<T, E> = Result<Committed<T>, E>;

/// A closure that answers `T` or `E`.
pub(crate) struct Task<T, E, F> {
    urgency: Urgency,
    run: F,
    answer: Option<Answer<T, E>>,
    caller: oneshot::Sender<Answer<T, E>>,
}

impl<T, E, F> Task<T, E, F> {
    pub(crate) fn new(urgency: Urgency, run: F) -> (Self, oneshot::Receiver<Answer<T, E>>) {
        let (caller, answer) = oneshot::channel();
        let task = Self {
            urgency,
            run,
            answer: None,
            caller,
        };
        (task, answer)
    }
}

impl<T, E, F> Job for Task<T, E, F>
where
    F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send,
    T: Send,
    E: From<StorageError> + Send,
{
    fn urgency(&self) -> Urgency {
        self.urgency
    }

    fn abandoned(&self) -> bool {
        self.caller.is_closed()
    }

    fn run(&mut self, tx: &mut Tx<'_>) -> bool {
        // A panic is a bug of this one closure; the thread serves all the others.
        let ran = catch_unwind(AssertUnwindSafe(|| (self.run)(tx)));
        let answer = ran.unwrap_or_else(|panic| {
            let message = message_of(panic.as_ref());
            tracing::error!(message, "a transaction panicked");
            Err(E::from(StorageError::Panicked { message }))
        });
        let answer = match tx.fault() {
            // The closure made light of a failed statement; its transaction did not.
            Some(fault) => answer.and_then(|_| Err(E::from(fault.error.clone()))),
            None => answer,
        };
        let keep = answer.is_ok();
        let last_change = tx.last_change();
        self.answer = Some(answer.map(|value| Committed { value, last_change }));
        keep
    }

    fn answer(self: Box<Self>) {
        if let Some(answer) = self.answer {
            // The caller may have gone; the transaction stands all the same.
            let _gone = self.caller.send(answer);
        }
    }

    fn refuse(self: Box<Self>, error: StorageError) {
        let _gone = self.caller.send(Err(E::from(error)));
    }
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}
