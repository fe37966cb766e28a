//! When the certificates that clients show are valid: each read once, however often it is shown.
//!
//! It is asked twice in a full handshake and once after a resumed one, which skips the verifier.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use model::{CertificateId, Clock};
use pki::tls::{Admission, Lifetime, Refusal};
use rustls_pki_types::CertificateDer;

/// Certificates remembered; strangers can show as many as they like.
const KNOWN_MAX: usize = 65_536;

/// See the module documentation.
pub(super) struct Leaves {
    clock: Arc<dyn Clock>,
    known: Mutex<HashMap<CertificateId, Lifetime>>,
}

impl fmt::Debug for Leaves {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Leaves")
    }
}

impl Leaves {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            known: Mutex::default(),
        }
    }

    /// The clock it goes by.
    pub(super) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    /// Which certificate this is and when it is valid, if it is so now.
    ///
    /// # Errors
    /// [`Refusal`] says why not.
    pub(super) fn check(
        &self,
        leaf: &CertificateDer<'_>,
    ) -> Result<(CertificateId, Lifetime), Refusal> {
        let id = pki::certificate_id(leaf);
        let known = self.known().get(&id).copied();
        let lifetime = match known {
            Some(lifetime) => lifetime,
            None => {
                let lifetime = Lifetime::of(leaf)?;
                let mut known = self.known();
                if KNOWN_MAX <= known.len() {
                    known.clear();
                }
                known.insert(id.clone(), lifetime);
                lifetime
            }
        };
        lifetime.check(self.clock.now())?;
        Ok((id, lifetime))
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<CertificateId, Lifetime>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets every certificate pass that is valid: which are registered is asked after the handshake,
/// because the answer may need the database.
impl Admission for Leaves {
    fn admit(&self, leaf: &CertificateDer<'_>) -> Result<(), Refusal> {
        self.check(leaf).map(|_| ())
    }
}
