//! When an access key was last used, and for which service.
//!
//! The gateway tells of each request proven to be signed; that must cost a request nothing, so it
//! is noted in memory and written now and then. What was noted and not yet written is seen by
//! GetAccessKeyLastUsed all the same; a crash forgets at most the time between two writes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::{ApiError, Timestamp};
use storage::{Storage, Tx, Urgency};

use crate::store;

/// Keys noted between two writes; the uses of further ones are not noted until then.
const NOTED_MAX: usize = 10_000;

/// One use of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Use {
    pub(crate) at: Timestamp,
    /// The service as actions name it: `iot`, `iam`, `sts`, `palisade`.
    pub(crate) service: String,
}

/// The newest use of each key since the last write. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Usage(Arc<Mutex<BTreeMap<String, Use>>>);

impl Usage {
    fn noted(&self) -> MutexGuard<'_, BTreeMap<String, Use>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn note(&self, key: &str, service: &str, at: Timestamp) {
        let mut noted = self.noted();
        let service = service.to_owned();
        if let Some(last) = noted.get_mut(key) {
            *last = Use { at, service };
        } else if noted.len() < NOTED_MAX {
            noted.insert(key.to_owned(), Use { at, service });
        }
    }

    /// The newest use of `key` that is not written yet.
    pub(crate) fn of(&self, key: &str) -> Option<Use> {
        self.noted().get(key).cloned()
    }

    /// Writes what was noted; how many keys. Called periodically and before the end.
    ///
    /// # Errors
    /// What the storage answers; what was noted stays noted.
    pub async fn write(&self, storage: &Storage) -> Result<u64, ApiError> {
        let noted = Arc::new(self.noted().clone());
        if noted.is_empty() {
            return Ok(0);
        }
        let uses = Arc::clone(&noted);
        let put = move |tx: &mut Tx<'_>| -> Result<u64, ApiError> {
            let mut count = 0;
            for (key, last) in &*uses {
                count += store::key_used(tx, key, last)?;
            }
            Ok(count)
        };
        let written = storage.write(Urgency::Normal, put).await?.value;
        self.noted()
            .retain(|key, last| noted.get(key) != Some(last));
        Ok(written)
    }
}
