//! Secrets at rest: what Palisade stores sealed, and the keys it is sealed with.
//!
//! A data key seals; it rests in the database wrapped by the master key, which never does. So a
//! copy of the database, or a backup, opens nothing. Both keys can be changed: a new master key
//! wraps the same data keys again, a new data key seals what comes and the old ones still open
//! what was.
//!
//! AES-256-GCM with random 96-bit nonces; one data key is good for 2^32 seals (NIST SP 800-38D,
//! 8.3), after which it should be rotated. What is sealed is bound to its purpose.
//!
//! This module does not decide where the master key comes from; [`MasterKey::load_or_create`] is
//! the default, a file that only its owner may read.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{hkdf, hmac};
use model::{Timestamp, random_bytes};
use zeroize::Zeroizing;

use crate::engine::{Engine, Fault, Reach};
use crate::{OpenError, Row, StorageError, params};

mod master;

pub use master::{MasterKey, MasterKeyError};

/// First byte of sealed bytes: the layout that follows.
const LAYOUT: u8 = 1;
/// Layout, key id, nonce.
const HEADER_LEN: usize = 1 + 4 + NONCE_LEN;

/// The keys in use, and the master key they are wrapped by.
#[derive(Debug)]
pub(crate) struct Vault {
    keys: RwLock<Arc<Keys>>,
    master: Mutex<MasterKey>,
}

/// The data keys at one moment.
pub(crate) struct Keys {
    sealing: u32,
    by_id: BTreeMap<u32, LessSafeKey>,
    tokens: hmac::Key,
}

impl fmt::Debug for Keys {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Keys(<redacted>, sealing {})", self.sealing)
    }
}

impl Vault {
    /// Opens the data keys of a database, or makes the first one.
    pub(crate) fn open(
        engine: &mut dyn Engine,
        master: MasterKey,
        now: Timestamp,
    ) -> Result<Self, OpenError> {
        let plain = |fault: Fault| OpenError::Storage(fault.error);
        engine.begin_write().map_err(plain)?;
        let found = load(engine, &master).and_then(|found| match found.is_empty() {
            true => add(engine, &master, now).map(|first| vec![first]),
            false => Ok(found),
        });
        match found {
            Ok(found) => {
                engine.commit().map_err(plain)?;
                Ok(Self {
                    keys: RwLock::new(Arc::new(Keys::new(&found))),
                    master: Mutex::new(master),
                })
            }
            Err(error) => {
                engine.rollback();
                Err(match error {
                    KeyError::Fault(fault) => plain(fault),
                    KeyError::WrongMasterKey => OpenError::WrongMasterKey,
                })
            }
        }
    }

    /// The keys as they are now.
    pub(crate) fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The master key as it is now.
    pub(crate) fn master(&self) -> MasterKey {
        let master = self.master.lock().unwrap_or_else(PoisonError::into_inner);
        master.clone()
    }

    /// What is committed becomes what is used.
    pub(crate) fn replace_master(&self, new: MasterKey) {
        *self.master.lock().unwrap_or_else(PoisonError::into_inner) = new;
    }

    /// What is committed becomes what is used.
    pub(crate) fn replace_keys(&self, found: &[DataKey]) {
        let keys = Arc::new(Keys::new(found));
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
    }
}

impl Keys {
    fn new(found: &[DataKey]) -> Self {
        let by_id: BTreeMap<_, _> = found.iter().map(|key| (key.id, key.cipher())).collect();
        let sealing = by_id.keys().next_back().copied().unwrap_or_default();
        // The first data key is never dropped, so page tokens outlive restarts and rotations.
        let first = found.iter().min_by_key(|key| key.id);
        let secret = first.map_or([0; 32].as_slice(), |key| key.bytes.as_slice());
        Self {
            sealing,
            by_id,
            tokens: token_key(secret),
        }
    }

    /// The key that authenticates page tokens.
    pub(crate) const fn tokens(&self) -> &hmac::Key {
        &self.tokens
    }

    pub(crate) fn seal(&self, purpose: &str, plain: &[u8]) -> Result<Vec<u8>, StorageError> {
        let failed = || StorageError::Sealed {
            purpose: purpose.to_owned(),
        };
        let key = self.by_id.get(&self.sealing).ok_or_else(failed)?;
        let nonce = random_bytes::<NONCE_LEN>();
        let mut sealed = Vec::with_capacity(HEADER_LEN + plain.len() + AES_256_GCM.tag_len());
        sealed.push(LAYOUT);
        sealed.extend(self.sealing.to_be_bytes());
        sealed.extend(nonce);
        let mut body = plain.to_vec();
        let nonce = Nonce::assume_unique_for_key(nonce);
        key.seal_in_place_append_tag(nonce, bound_to(self.sealing, purpose), &mut body)
            .map_err(|_| failed())?;
        sealed.append(&mut body);
        Ok(sealed)
    }

    pub(crate) fn open(&self, purpose: &str, sealed: &[u8]) -> Result<Vec<u8>, StorageError> {
        self.opened(purpose, sealed)
            .ok_or_else(|| StorageError::Sealed {
                purpose: purpose.to_owned(),
            })
    }

    fn opened(&self, purpose: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (&layout, rest) = sealed.split_first()?;
        if layout != LAYOUT {
            return None;
        }
        let (id, rest) = rest.split_first_chunk::<4>()?;
        let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>()?;
        let id = u32::from_be_bytes(*id);
        let key = self.by_id.get(&id)?;
        let mut body = body.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = key.open_in_place(nonce, bound_to(id, purpose), &mut body);
        let length = plain.ok()?.len();
        body.truncate(length);
        Some(body)
    }
}

/// A data key, in the clear: only while it is being wrapped, unwrapped or put to use.
pub(crate) struct DataKey {
    id: u32,
    bytes: Zeroizing<[u8; 32]>,
}

impl DataKey {
    fn cipher(&self) -> LessSafeKey {
        cipher(&self.bytes)
    }
}

/// Why data keys cannot be had.
pub(crate) enum KeyError {
    Fault(Fault),
    WrongMasterKey,
}

impl From<Fault> for KeyError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<KeyError> for Fault {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Fault(fault) => fault,
            KeyError::WrongMasterKey => {
                let purpose = "data keys".to_owned();
                Self::new(Reach::Statement, StorageError::Sealed { purpose })
            }
        }
    }
}

const SELECT: &str = "SELECT id, wrapped FROM vault_keys ORDER BY id";
const INSERT: &str =
    "INSERT INTO vault_keys (id, wrapped, created_at, retired_at) VALUES (?1, ?2, ?3, NULL)";
const RETIRE: &str = "UPDATE vault_keys SET retired_at = ?1 WHERE retired_at IS NULL";
const REWRAP: &str = "UPDATE vault_keys SET wrapped = ?1 WHERE id = ?2";

/// All data keys of the database, oldest first.
pub(crate) fn load(engine: &mut dyn Engine, master: &MasterKey) -> Result<Vec<DataKey>, KeyError> {
    let rows = engine.query(SELECT, &[])?;
    let key = |row: &Row| {
        let id = u32::try_from(row.int(0).ok()?).ok()?;
        let bytes = master.unwrap(id, &row.blob(1).ok()?)?;
        Some(DataKey { id, bytes })
    };
    let keys: Option<Vec<_>> = rows.iter().map(key).collect();
    keys.ok_or(KeyError::WrongMasterKey)
}

/// Makes a new data key, to seal from now on; those before it only open.
pub(crate) fn add(
    engine: &mut dyn Engine,
    master: &MasterKey,
    now: Timestamp,
) -> Result<DataKey, KeyError> {
    let rows = engine.query("SELECT MAX(id) FROM vault_keys", &[])?;
    let last = rows.first().and_then(|row| row.opt_int(0).ok().flatten());
    let id = u32::try_from(last.unwrap_or(0) + 1).map_err(|_| {
        let detail = "its data key ids have run out".to_owned();
        Fault::new(Reach::Statement, StorageError::Corrupt { detail })
    })?;
    let key = DataKey {
        id,
        bytes: Zeroizing::new(random_bytes()),
    };
    engine.execute(RETIRE, &params![now])?;
    engine.execute(INSERT, &params![id, master.wrap(id, &key.bytes), now])?;
    Ok(key)
}

/// Wraps every data key with `new` instead of `old`.
pub(crate) fn rewrap(
    engine: &mut dyn Engine,
    old: &MasterKey,
    new: &MasterKey,
) -> Result<(), KeyError> {
    for key in load(engine, old)? {
        let wrapped = new.wrap(key.id, &key.bytes);
        engine.execute(REWRAP, &params![wrapped, key.id])?;
    }
    Ok(())
}

fn cipher(bytes: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, bytes).expect("an AES-256 key is 32 bytes"))
}

/// What sealed bytes are bound to besides the key: their layout, key id and purpose.
fn bound_to(id: u32, purpose: &str) -> Aad<Vec<u8>> {
    let mut bound = Vec::with_capacity(5 + purpose.len());
    bound.push(LAYOUT);
    bound.extend(id.to_be_bytes());
    bound.extend(purpose.as_bytes());
    Aad::from(bound)
}

fn token_key(secret: &[u8]) -> hmac::Key {
    let derived = hkdf::Salt::new(hkdf::HKDF_SHA256, b"palisade").extract(secret);
    derived
        .expand(&[b"page tokens"], hmac::HMAC_SHA256)
        .expect("one block of HKDF is always to be had")
        .into()
}

#[cfg(test)]
mod tests;
