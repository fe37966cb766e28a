//! Repeats told of a record that memory has given up: their count is added to what the database has.

use std::collections::HashMap;

use model::Timestamp;
use storage::{Storage, StorageError, Urgency};

use super::{DenialId, Denials, FLUSH_BATCH, store};

/// What is to be added to each record, and when it was last refused.
#[derive(Debug, Default)]
pub(super) struct Late(HashMap<DenialId, (u64, Timestamp)>);

impl Late {
    /// Adds to the count of a record; false when too many records wait already.
    pub(super) fn add(&mut self, id: DenialId, times: u64, at: Timestamp, most: usize) -> bool {
        if most <= self.0.len() && !self.0.contains_key(&id) {
            return false;
        }
        let (count, last_at) = self.0.entry(id).or_insert((0, at));
        *count = count.saturating_add(times);
        *last_at = at;
        true
    }

    fn take(&mut self, most: usize) -> Vec<(DenialId, u64, Timestamp)> {
        let ids: Vec<DenialId> = self.0.keys().take(most).cloned().collect();
        let taken = ids.into_iter().filter_map(|id| {
            let (count, at) = self.0.remove(&id)?;
            Some((id, count, at))
        });
        taken.collect()
    }
}

impl Denials {
    /// Writes what was told of records that are out of memory.
    pub(super) async fn flush_late(&self, storage: &Storage) -> Result<(), StorageError> {
        loop {
            let batch = self.state().late.take(FLUSH_BATCH);
            if batch.is_empty() {
                return Ok(());
            }
            let writing = batch.clone();
            let run = move |tx: &mut storage::Tx<'_>| {
                let mut each = writing.iter();
                each.try_for_each(|(id, times, at)| store::add(tx, id.as_str(), *times, *at))
            };
            let written: Result<_, StorageError> = storage.write(Urgency::Normal, run).await;
            if let Err(error) = written {
                let most = self.0.limits.in_memory;
                let mut state = self.state();
                for (id, times, at) in batch {
                    if !state.late.add(id, times, at, most) {
                        state.lost += 1;
                    }
                }
                return Err(error);
            }
        }
    }
}
