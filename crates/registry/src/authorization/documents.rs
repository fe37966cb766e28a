//! Compiled policy documents, shared by every principal they are attached to.
//!
//! A fleet of devices usually has few policies: parsing them once keeps a session's facts small
//! and its connection fast. An entry is found by the generation id of its version, which is never
//! used again, so nothing here can be out of date and nothing needs to be told of changes.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use model::{ApiError, Scope};
use policy::{Dialect, Document, NamedPolicy};

use crate::policies;
use crate::store::policies::Version;

/// Bytes of document text held; past it the cache starts anew.
const TEXT_BYTES_MAX: usize = 16 << 20;

/// A bounded cache of compiled documents.
#[derive(Default)]
pub struct Documents {
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    by_generation: BTreeMap<String, NamedPolicy>,
    text_bytes: usize,
}

impl Documents {
    /// An empty cache.
    pub fn new() -> Self {
        Self::default()
    }

    /// The policy of a stored version, compiled.
    pub(crate) fn named(&self, scope: &Scope, version: Version) -> Result<NamedPolicy, ApiError> {
        if let Some(found) = self.held().by_generation.get(&version.generation) {
            return Ok(found.clone());
        }
        let document =
            Document::parse(&version.document, Dialect::Iot).map_err(ApiError::internal)?;
        let policy = NamedPolicy {
            arn: policies::arn(scope, &version.policy).into(),
            name: version.policy.into(),
            version: version.version.to_string().into(),
            document: Arc::new(document),
            text: version.document.into(),
        };
        self.hold(version.generation, policy.clone());
        Ok(policy)
    }

    fn hold(&self, generation: String, policy: NamedPolicy) {
        let mut held = self.held();
        if TEXT_BYTES_MAX < held.text_bytes + policy.text.len() {
            *held = Held::default();
        }
        held.text_bytes += policy.text.len();
        held.by_generation.insert(generation, policy);
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Documents {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = self.held();
        out.debug_struct("Documents")
            .field("documents", &held.by_generation.len())
            .field("text_bytes", &held.text_bytes)
            .finish()
    }
}

#[cfg(test)]
mod tests;
