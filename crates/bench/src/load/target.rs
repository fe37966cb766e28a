//! The broker under load and the identities to meet it with.

use std::collections::HashMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider, kx_group};
use rustls::{ClientConfig, RootCertStore, version};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use super::link::Link;
use super::meter::Tree;

/// Sessions an identity remembers for resumption.
const TICKETS_MAX: usize = 8;

/// A broker.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) address: SocketAddrV4,
    /// Its processes, when it is one of this machine.
    pub(crate) tree: Option<Tree>,
    /// Loopback addresses to connect from, `127.0.0.2` and up.
    pub(crate) sources: u8,
    tls: Option<Tls>,
}

#[derive(Debug)]
struct Tls {
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
    /// None for one who has no certificate.
    identities: Option<PathBuf>,
    resume: bool,
    configs: HashMap<String, Arc<ClientConfig>>,
}

impl Target {
    /// Without TLS, as the generator's own tests use it.
    pub(crate) fn plain(address: SocketAddrV4) -> Self {
        Self {
            address,
            tree: None,
            sources: 0,
            tls: None,
        }
    }

    /// With mutual TLS 1.3, AES-128-GCM and X25519 (`hybrid`: X25519MLKEM768 first); certificates
    /// and keys are `NAME.pem` and `NAME.key` in `identities`.
    pub(crate) fn secured(
        address: SocketAddrV4,
        ca: &Path,
        identities: &Path,
        resume: bool,
        hybrid: bool,
    ) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(ca).context("the CA file")? {
            roots.add(certificate?)?;
        }
        let mut groups = vec![kx_group::X25519];
        if hybrid {
            groups.insert(0, kx_group::X25519MLKEM768);
        }
        let provider = CryptoProvider {
            cipher_suites: vec![cipher_suite::TLS13_AES_128_GCM_SHA256],
            kx_groups: groups,
            ..default_provider()
        };
        let tls = Tls {
            roots: Arc::new(roots),
            provider: Arc::new(provider),
            identities: Some(identities.to_owned()),
            resume,
            configs: HashMap::new(),
        };
        Ok(Self {
            tls: Some(tls),
            ..Self::plain(address)
        })
    }

    /// The same broker, met without a certificate.
    pub(crate) fn stranger(address: SocketAddrV4, ca: &Path) -> Result<Self> {
        let mut target = Self::secured(address, ca, Path::new(""), false, false)?;
        if let Some(tls) = &mut target.tls {
            tls.identities = None;
        }
        Ok(target)
    }

    /// Begins to connect as `identity`; the `nth` connection decides the source address.
    pub(crate) fn open(&mut self, identity: &str, nth: usize) -> Result<Link> {
        let source = (0 < self.sources).then(|| {
            let low = nth % usize::from(self.sources) + 2;
            Ipv4Addr::new(127, 0, 0, u8::try_from(low).unwrap_or(2))
        });
        let tls = match &mut self.tls {
            None => None,
            Some(tls) => Some((tls.config(identity)?, ServerName::try_from("localhost")?)),
        };
        let link = Link::open(self.address, source, tls);
        link.with_context(|| format!("connecting to {}", self.address))
    }
}

impl Tls {
    fn config(&mut self, identity: &str) -> Result<Arc<ClientConfig>> {
        if let Some(config) = self.configs.get(identity) {
            return Ok(Arc::clone(config));
        }
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&version::TLS13])?
            .with_root_certificates(Arc::clone(&self.roots));
        let mut config = match &self.identities {
            None => builder.with_no_client_auth(),
            Some(dir) => {
                let file = |ending: &str| dir.join(format!("{identity}.{ending}"));
                let certificate = CertificateDer::from_pem_file(file("pem"));
                let certificate = certificate.with_context(|| format!("{identity}.pem"))?;
                let key = PrivateKeyDer::from_pem_slice(&fs::read(file("key"))?);
                let key = key.with_context(|| format!("{identity}.key"))?;
                builder.with_client_auth_cert(vec![certificate], key)?
            }
        };
        config.resumption = match self.resume {
            true => Resumption::in_memory_sessions(TICKETS_MAX),
            false => Resumption::disabled(),
        };
        let config = Arc::new(config);
        self.configs
            .insert(identity.to_owned(), Arc::clone(&config));
        Ok(config)
    }
}
