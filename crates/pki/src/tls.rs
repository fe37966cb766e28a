//! TLS for both ends: one way to build each configuration, with the choices made.
//!
//! TLS 1.3 and 1.2. X25519MLKEM768 is offered first and taken wherever a client prefers it, so
//! that recorded traffic stays closed to a later quantum computer (among the groups both know,
//! the client's order decides). Of the suites the server's order decides: AES-128-GCM first.
//! Forward secrecy always, early data never. Tickets let TLS 1.3 clients resume, TLS 1.2 clients
//! cannot.
//!
//! **A resumed session skips the client verifier.** The certificate of the first handshake comes
//! back out of the ticket, and nobody has asked [`Admission`] again. The door must look
//! [`presented_id`] up again after every handshake, before it reads a byte, and check validity
//! with [`Lifetime`]. Each configuration has its own ticket keys: a ticket from a listener
//! that asks for no certificate is worth nothing at one that does.
//!
//! Sources: contract core 1.2; RFC 8446, RFC 5246.

mod names;
mod tickets;
mod verifier;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use model::{CertificateId, Clock};
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider, kx_group};
use rustls::server::{NoClientAuth, NoServerSessionStorage};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion, version};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};

use crate::authority::{IssuedServer, SanName};
use crate::certificate::{BLOCK, Certificate, CertificateError, certificate_id};
use crate::pem::PemError;

use names::ServerNames;
use tickets::Tls13Tickets;
use verifier::DeviceVerifier;

pub use verifier::{Admission, CLIENT_CHAIN_BYTES_MAX, Lifetime, Refusal};

/// Most certificates in a server's chain.
// spec aws-iot [EP-17]: chain depth at most 5, 16 KB.
pub const SERVER_CHAIN_MAX: usize = 5;

/// Most bytes of DER in a server's chain.
pub const SERVER_CHAIN_BYTES_MAX: usize = 16 * 1024;

/// Sessions a client remembers for resumption.
const CLIENT_SESSIONS_MAX: usize = 256;

/// Tickets sent after a full handshake. A device reconnects one connection at a time, and each
/// ticket carries its certificate.
const TICKETS_PER_HANDSHAKE: usize = 1;

/// Why a TLS configuration could not be built.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A PEM text holds not what it should.
    #[error("TLS: {0}")]
    Pem(#[from] PemError),
    /// A certificate cannot be accepted.
    #[error("TLS: {0}")]
    Certificate(#[from] CertificateError),
    /// The private key is not PKCS #1, PKCS #8 or SEC 1 in PEM.
    #[error("TLS: the private key is not one PEM block of PKCS #1, PKCS #8 or SEC 1")]
    PrivateKey,
    /// The chain holds no certificate, too many or too large ones.
    #[error("TLS: a chain of {count} certificates and {bytes} bytes; 1 to 5 and 16384 at most")]
    Chain {
        /// Certificates found.
        count: usize,
        /// Their size in bytes of DER.
        bytes: usize,
    },
    /// The server's certificate is not for servers.
    #[error("TLS: the server's certificate needs extended key usage serverAuth")]
    NotForServers,
    /// The server's certificate does not cover a name that it should answer to.
    #[error("TLS: the server's certificate has no subject alternative name that covers `{name}`")]
    NameNotCovered {
        /// The name.
        name: String,
    },
    /// `rustls` refused: key and certificate do not match, or the kind of key is not supported.
    #[error("TLS: {0}")]
    Rustls(#[from] rustls::Error),
}

/// Which TLS versions are spoken, by the names AWS IoT gives them.
// spec aws-iot [EP-10]: the two oldest names are kept for reads and mean TLS 1.2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SecurityPolicy {
    /// TLS 1.3 only.
    Tls13,
    /// TLS 1.3 and 1.2.
    #[default]
    Tls13And12,
    /// TLS 1.2 only.
    Tls12,
    /// TLS 1.2 only, under a name of 2016.
    Tls12Of2016,
    /// TLS 1.2 only, under a name of 2015.
    Tls12Of2015,
}

impl SecurityPolicy {
    const ALL: [Self; 5] = [
        Self::Tls13,
        Self::Tls13And12,
        Self::Tls12,
        Self::Tls12Of2016,
        Self::Tls12Of2015,
    ];

    /// Finds a policy by its name; `None` for a name AWS IoT does not know.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.as_str() == name)
    }

    /// The name in a domain configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tls13 => "IoTSecurityPolicy_TLS13_1_3_2022_10",
            Self::Tls13And12 => "IoTSecurityPolicy_TLS13_1_2_2022_10",
            Self::Tls12 => "IoTSecurityPolicy_TLS12_1_2_2022_10",
            Self::Tls12Of2016 => "IoTSecurityPolicy_TLS12_1_0_2016_01",
            Self::Tls12Of2015 => "IoTSecurityPolicy_TLS12_1_0_2015_01",
        }
    }

    fn versions(self) -> Vec<&'static SupportedProtocolVersion> {
        match self {
            Self::Tls13 => vec![&version::TLS13],
            Self::Tls13And12 => vec![&version::TLS13, &version::TLS12],
            Self::Tls12 | Self::Tls12Of2016 | Self::Tls12Of2015 => vec![&version::TLS12],
        }
    }
}

/// Whether a listener asks its clients for a certificate, and who decides about it.
// spec aws-iot [EP-2]: a browser or an HTTP client must never be asked for one.
#[derive(Clone, Debug)]
pub enum ClientCertMode {
    /// Asked for; without one the handshake fails.
    Required(Arc<dyn Admission>),
    /// Asked for; a client may have none.
    Optional(Arc<dyn Admission>),
    /// Never asked for.
    None,
}

/// A server's chain and key. Clones share them, so that [`ServerIdentity::replace`] reaches every
/// listener that was built with one.
#[derive(Clone, Debug)]
pub struct ServerIdentity {
    key: Arc<RwLock<Arc<CertifiedKey>>>,
}

impl ServerIdentity {
    /// Takes a certificate that our own authority issued.
    ///
    /// # Errors
    /// [`TlsError`] as for [`ServerIdentity::parse_pem`].
    pub fn issued(server: &IssuedServer) -> Result<Self, TlsError> {
        let key = PrivatePkcs8KeyDer::from(server.key.pkcs8().to_vec());
        Self::new(vec![server.certificate.der().clone()], key.into())
    }

    /// Takes a newer certificate for the same names: the next handshake presents it, connections
    /// that stand are not touched.
    ///
    /// # Errors
    /// As for [`ServerIdentity::issued`]; the older one stays then.
    pub fn replace(&self, server: &IssuedServer) -> Result<(), TlsError> {
        let newer = Self::issued(server)?.current();
        *self.key.write().unwrap_or_else(PoisonError::into_inner) = newer;
        Ok(())
    }

    fn current(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.key.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads a chain, the server's certificate first, and its key.
    ///
    /// # Errors
    /// [`TlsError`] names what is wrong with the chain or the key.
    pub fn parse_pem(chain_pem: &str, key_pem: &str) -> Result<Self, TlsError> {
        Self::new(chain(chain_pem)?, private_key(key_pem)?)
    }

    fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, TlsError> {
        let count = chain.len();
        let bytes = chain.iter().map(|certificate| certificate.len()).sum();
        let bounded = count <= SERVER_CHAIN_MAX && bytes <= SERVER_CHAIN_BYTES_MAX;
        let Some(leaf) = chain.first().filter(|_| bounded) else {
            return Err(TlsError::Chain { count, bytes });
        };
        if !Certificate::parse_der(leaf)?.names_server_auth() {
            return Err(TlsError::NotForServers);
        }
        let key = CertifiedKey::from_der(chain, key, &provider())?;
        Ok(Self {
            key: Arc::new(RwLock::new(Arc::new(key))),
        })
    }
}

/// What a listener is.
#[derive(Debug)]
pub struct ServerSettings {
    /// Chain and key.
    pub identity: ServerIdentity,
    /// The names it answers to; the certificate must cover each. A client that connects by
    /// address sends no name and is always answered.
    pub names: Vec<SanName>,
    /// Answer a client whatever name it asks for.
    pub accept_any_sni: bool,
    /// Whether clients are asked for a certificate.
    pub client: ClientCertMode,
    /// TLS versions.
    pub policy: SecurityPolicy,
    /// Application protocols, preferred first. Empty: whatever a client offers is ignored.
    pub alpn: Vec<Vec<u8>>,
    /// The time, for tickets.
    pub clock: Arc<dyn Clock>,
}

/// Builds a listener's configuration, with ticket keys of its own.
///
/// # Errors
/// [`TlsError::NameNotCovered`]; [`TlsError::Rustls`] when randomness fails.
pub fn server_config(settings: ServerSettings) -> Result<Arc<ServerConfig>, TlsError> {
    let names = ServerNames::new(settings.identity, &settings.names, settings.accept_any_sni)?;
    let builder =
        ServerConfig::builder_with_details(provider(), Arc::new(TlsClock(settings.clock)))
            .with_protocol_versions(&settings.policy.versions())?;
    let builder = match settings.client {
        ClientCertMode::Required(admission) => {
            builder.with_client_cert_verifier(Arc::new(DeviceVerifier::new(admission, true)))
        }
        ClientCertMode::Optional(admission) => {
            builder.with_client_cert_verifier(Arc::new(DeviceVerifier::new(admission, false)))
        }
        ClientCertMode::None => builder.with_client_cert_verifier(Arc::new(NoClientAuth)),
    };
    let mut config = builder.with_cert_resolver(Arc::new(names));
    config.alpn_protocols = settings.alpn;
    config.ignore_client_order = true;
    // spec aws-iot [EP-14]: tickets for TLS 1.3, nothing for TLS 1.2.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = Arc::new(Tls13Tickets::new()?);
    config.send_tls13_tickets = TICKETS_PER_HANDSHAKE;
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}

/// What a client of ours is.
#[derive(Debug)]
pub struct ClientSettings<'a> {
    /// The authorities it trusts, one PEM block each.
    pub roots_pem: &'a str,
    /// Its own chain and key in PEM, when it has them.
    pub identity: Option<(&'a str, &'a str)>,
    /// Whether it names the host it wants, when that is a DNS name.
    pub send_sni: bool,
    /// TLS versions.
    pub policy: SecurityPolicy,
    /// Application protocols, preferred first.
    pub alpn: Vec<Vec<u8>>,
    /// The time, for the server's validity.
    pub clock: Arc<dyn Clock>,
}

/// Builds a client's configuration.
///
/// # Errors
/// [`TlsError`] names what is wrong with the roots, the chain or the key.
pub fn client_config(settings: ClientSettings<'_>) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
    for root in chain(settings.roots_pem)? {
        roots.add(root)?;
    }
    let builder =
        ClientConfig::builder_with_details(provider(), Arc::new(TlsClock(settings.clock)))
            .with_protocol_versions(&settings.policy.versions())?
            .with_root_certificates(roots);
    let mut config = match settings.identity {
        Some((chain_pem, key_pem)) => {
            builder.with_client_auth_cert(chain(chain_pem)?, private_key(key_pem)?)?
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = settings.alpn;
    config.enable_sni = settings.send_sni;
    config.resumption = Resumption::in_memory_sessions(CLIENT_SESSIONS_MAX);
    Ok(Arc::new(config))
}

/// The id of the certificate that the peer of a connection holds the key of: the first of what
/// `peer_certificates` gives after the handshake.
pub fn presented_id(peer_certificates: Option<&[CertificateDer<'_>]>) -> Option<CertificateId> {
    peer_certificates?.first().map(|leaf| certificate_id(leaf))
}

/// Groups, suites and algorithms of both ends.
// spec aws-iot [EP-11]: TLS 1.2 with ECDHE and GCM only.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        cipher_suites: vec![
            cipher_suite::TLS13_AES_128_GCM_SHA256,
            cipher_suite::TLS13_AES_256_GCM_SHA384,
            cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
            cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
            cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        ],
        kx_groups: vec![
            kx_group::X25519MLKEM768,
            kx_group::X25519,
            kx_group::SECP256R1,
            kx_group::SECP384R1,
        ],
        ..default_provider()
    })
}

fn chain(pem: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let blocks = BLOCK.decode_all(pem)?;
    if blocks.is_empty() {
        return Err(PemError::Missing { label: BLOCK.label }.into());
    }
    Ok(blocks.into_iter().map(CertificateDer::from).collect())
}

fn private_key(pem: &str) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| TlsError::PrivateKey)
}

/// The one clock, as `rustls` asks for it.
#[derive(Debug)]
struct TlsClock(Arc<dyn Clock>);

impl TimeProvider for TlsClock {
    fn current_time(&self) -> Option<UnixTime> {
        let millis = u64::try_from(self.0.now().millis()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_millis(millis)))
    }
}

#[cfg(test)]
mod tests;
