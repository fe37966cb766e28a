//! What the broker asks about a certificate; answered by those who own things and certificates.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use model::{ApiError, CertificateId};
use policy::Facts;
use storage::Tx;

use crate::amendment::Amendment;

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

    /// What the change of `topic` and `key` does to facts that were read before it; `None` when
    /// whoever it touches must be read again, which is always right.
    ///
    /// # Errors
    /// When the database cannot answer.
    fn amendment(
        &self,
        tx: &mut Tx<'_>,
        topic: &str,
        key: &str,
    ) -> Result<Option<Amendment>, ApiError> {
        let _reads_everybody = (tx, topic, key);
        Ok(None)
    }

    /// An unknown certificate, `der`, came with proof of its key: it may be registered by its
    /// certificate authority's rules. Also asked for one that was, as long as it is
    /// PENDING_ACTIVATION. Returns the event to publish when it is.
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
    /// What is added to the messages of its things, by the type of the thing. A type that adds
    /// nothing need not be named.
    pub propagating: BTreeMap<String, Vec<PropagatingAttribute>>,
}

/// A user property that goes with every message of things of one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PropagatingAttribute {
    /// Its key.
    pub key: String,
    /// Where its value comes from.
    pub source: PropagatedSource,
}

/// Where the value of a propagated user property comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PropagatedSource {
    /// The attribute of the thing with this name; a thing without it adds nothing.
    ThingAttribute(String),
    /// The client id of the connection.
    ClientId,
    /// The name of the thing that the connection is.
    ThingName,
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

/// What live sessions of an active certificate rest on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub(crate) facts: Arc<Facts>,
    /// See [`DeviceRecord::propagating`].
    pub(crate) propagating: BTreeMap<String, Vec<PropagatingAttribute>>,
}

/// What a directory said about a certificate, as a live session rests on it.
#[derive(Clone, Debug)]
pub(crate) enum Standing {
    /// Active, with what is known of it.
    Active(Arc<Known>),
    /// Registered, but in a status that lets nobody in.
    Inactive(String),
    /// Not registered.
    Unknown,
}

impl Standing {
    pub(crate) fn facts(&self) -> Option<&Facts> {
        match self {
            Self::Active(known) => Some(&known.facts),
            Self::Inactive(_) | Self::Unknown => None,
        }
    }

    pub(crate) fn of(record: Option<DeviceRecord>) -> Self {
        match record {
            Some(record) if record.active => Self::Active(Arc::new(Known {
                facts: Arc::new(record.facts),
                propagating: record.propagating,
            })),
            Some(record) => Self::Inactive(record.status),
            None => Self::Unknown,
        }
    }
}
