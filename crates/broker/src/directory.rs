//! What the broker asks about a certificate; answered by those who own things and certificates.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use model::{ApiError, CertificateId};
use policy::Facts;
use storage::Tx;

/// Knows which certificates may come in, and what their policies rest on.
///
/// Implemented where registry and certificates are both in view.
pub trait Directory: Send + Sync + 'static {
    /// The certificate with this id; `None` when it is not registered.
    ///
    /// # Errors
    /// When the database cannot answer; the door then stays shut.
    fn device(
        &self,
        tx: &mut Tx<'_>,
        certificate: &CertificateId,
    ) -> Result<Option<DeviceRecord>, ApiError>;

    /// An unknown certificate, `der`, came with proof of its key: it may be registered by its
    /// certificate authority's rules. Returns the event to publish when that happened.
    ///
    /// # Errors
    /// When the database cannot answer.
    fn introduce(
        &self,
        tx: &mut Tx<'_>,
        der: &[u8],
        source_ip: IpAddr,
    ) -> Result<Option<Event>, ApiError>;
}

/// A registered certificate.
#[derive(Clone, Debug)]
pub struct DeviceRecord {
    /// Whether it may come in now.
    pub active: bool,
    /// Its status as AWS names it, for the log and the history.
    pub status: String,
    /// What its policies rest on.
    pub facts: Facts,
}

/// A message of the platform itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    /// A reserved topic.
    pub topic: String,
    /// A JSON document.
    pub payload: Vec<u8>,
}

impl fmt::Debug for Event {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Event")
            .field("topic", &self.topic)
            .field("payload_bytes", &self.payload.len())
            .finish()
    }
}

/// What a directory said about a certificate, as a live session rests on it.
#[derive(Clone, Debug)]
pub(crate) enum Standing {
    /// Active, with these facts.
    Active(Arc<Facts>),
    /// Registered, but in a status that lets nobody in.
    Inactive(String),
    /// Not registered.
    Unknown,
}

impl Standing {
    pub(crate) fn facts(&self) -> Option<&Facts> {
        match self {
            Self::Active(facts) => Some(facts),
            Self::Inactive(_) | Self::Unknown => None,
        }
    }

    pub(crate) fn of(record: Option<DeviceRecord>) -> Self {
        match record {
            Some(record) if record.active => Self::Active(Arc::new(record.facts)),
            Some(record) => Self::Inactive(record.status),
            None => Self::Unknown,
        }
    }
}
