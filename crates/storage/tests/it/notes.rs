//! A small table to try the storage with.

use std::sync::mpsc;

use storage::{Committed, Migration, Storage, StorageError, Tx, Urgency, params};
use tokio::task::JoinHandle;

pub(crate) const NOTES: &[Migration] = &[Migration {
    capability: "notes",
    version: 1,
    sql: "CREATE TABLE notes (
              name TEXT PRIMARY KEY,
              size BIGINT NOT NULL,
              weight DOUBLE PRECISION,
              body BLOB
          );",
}];

pub(crate) fn put(tx: &mut Tx<'_>, name: &str, size: i64) -> Result<(), StorageError> {
    let sql = "INSERT INTO notes (name, size) VALUES (?1, ?2) \
               ON CONFLICT (name) DO UPDATE SET size = excluded.size";
    tx.execute(sql, &params![name, size])?;
    tx.changed("note", name)
}

pub(crate) fn all(tx: &mut Tx<'_>) -> Result<Vec<(String, i64)>, StorageError> {
    let rows = tx.query(
        "SELECT name, size FROM notes ORDER BY name LIMIT 100000",
        &[],
    )?;
    rows.iter()
        .map(|row| Ok((row.text(0)?, row.int(1)?)))
        .collect()
}

pub(crate) fn write<T: Send + 'static>(
    storage: &Storage,
    run: impl FnMut(&mut Tx<'_>) -> Result<T, StorageError> + Send + 'static,
) -> Result<Committed<T>, StorageError> {
    storage.write_blocking(Urgency::Normal, run)
}

pub(crate) fn read<T: Send + 'static>(
    storage: &Storage,
    run: impl FnMut(&mut Tx<'_>) -> Result<T, StorageError> + Send + 'static,
) -> Result<T, StorageError> {
    storage.read_blocking(run)
}

/// Runs `test` in a runtime of one thread, in which tasks start in the order they are spawned.
pub(crate) fn block_on<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(test)
}

/// Holds the writer in a write until it is opened, so that what is queued behind it makes a group.
pub(crate) struct Gate {
    open: mpsc::Sender<()>,
    held: JoinHandle<Result<Committed<()>, StorageError>>,
}

impl Gate {
    pub(crate) async fn close(storage: &Storage) -> Self {
        let (open, wait) = mpsc::channel();
        let (entered, inside) = tokio::sync::oneshot::channel();
        let mut entered = Some(entered);
        let storage = storage.clone();
        let held = tokio::spawn(async move {
            let hold = storage.write(Urgency::Normal, move |_| {
                if let Some(entered) = entered.take() {
                    entered.send(()).unwrap();
                }
                wait.recv().unwrap();
                Ok(())
            });
            hold.await
        });
        inside.await.unwrap();
        Self { open, held }
    }

    /// Queues all that was spawned, then lets the writer go on.
    pub(crate) async fn open(self) {
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
        self.open.send(()).unwrap();
        self.held.await.unwrap().unwrap();
    }
}
