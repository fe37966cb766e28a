//! The way to the disk: whatever the core has written since the last time, in one transaction.
//!
//! While one batch is on its way the next one gathers, so the busier the broker, the larger the
//! batches. A database that cannot take a batch is asked again until it can: acknowledgements are
//! held meanwhile and sockets are no longer read once enough is waiting, so nothing is promised
//! that is not kept, and it recovers by itself.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use storage::{Storage, StorageError, Urgency};

use super::Shell;
use crate::core::Batch;
use crate::store;

/// The first and the longest pause before a batch is tried again.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);

impl Shell {
    /// Takes batches to the disk, for ever.
    pub(crate) async fn persist(self: Rc<Self>, storage: Storage) {
        loop {
            let due = self.core.borrow().has_batch();
            let batch = due.then(|| self.core.borrow_mut().take_batch()).flatten();
            match batch {
                Some(batch) => self.write(&storage, batch).await,
                None => self.to_persist.notified().await,
            }
        }
    }

    async fn write(&self, storage: &Storage, batch: Batch) {
        let ops = Arc::new(batch.ops);
        let mut pause = PAUSE_FIRST;
        loop {
            let ops = Arc::clone(&ops);
            let run = move |tx: &mut storage::Tx<'_>| store::apply(tx, &ops);
            let written: Result<_, StorageError> = storage.write(Urgency::Normal, run).await;
            match written {
                Ok(_) => break,
                Err(error) => {
                    tracing::error!(%error, "sessions cannot be stored; trying again");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
        let persisted = self.with(|core, now| {
            core.persisted(now, batch.up_to);
            core.persisted_up_to()
        });
        self.persisted.send_replace(persisted);
    }

    /// Waits until everything written so far is on the disk.
    pub(crate) async fn flush(&self) {
        let mut persisted = self.persisted.subscribe();
        while self.core.borrow().store_backlog() > 0 {
            self.core.borrow_mut().hurry();
            self.to_persist.notify_one();
            if persisted.changed().await.is_err() {
                return;
            }
        }
    }
}
