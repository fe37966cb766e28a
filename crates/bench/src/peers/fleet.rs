//! The clients of all scenarios: a name, an ECDSA P-256 key and a certificate each, of one authority.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use model::CertificateId;
use pki::certificate_id;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::load::scenario::{COLLECTOR, FAN, FEEDER, IDLER, PUBLISHERS};

/// What a client may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    /// Publish on its own topic.
    Publishes,
    /// Read the topic of this publisher.
    Reads(String),
    /// Read everybody's topic.
    Collects,
    /// Connect under many client ids, each reading a topic of its own.
    Idles,
    /// Connect under many client ids and publish to everybody.
    Feeds,
}

/// The clients, on disk.
#[derive(Debug)]
pub(crate) struct Fleet {
    /// `NAME.pem` and `NAME.key` of each client.
    pub(crate) identities: PathBuf,
    pub(crate) clients: BTreeMap<String, Right>,
    /// The authority of clients and of the servers that have none of their own.
    pub(crate) ca: PathBuf,
    pub(crate) server_certificate: PathBuf,
    pub(crate) server_key: PathBuf,
}

impl Fleet {
    /// The clients of all scenarios.
    pub(crate) fn create(dir: &Path) -> Result<Self> {
        Self::with(dir, clients())
    }

    /// These clients; one that is not known by its name publishes on its own topic.
    pub(crate) fn of<'a>(dir: &Path, names: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let right = |name| match name {
            FEEDER => Right::Feeds,
            IDLER => Right::Idles,
            _ => Right::Publishes,
        };
        let clients = names.into_iter().map(|name| (name.to_owned(), right(name)));
        Self::with(dir, clients.collect())
    }

    /// Makes every key and certificate in `dir`.
    fn with(dir: &Path, clients: BTreeMap<String, Right>) -> Result<Self> {
        let identities = dir.join("identities");
        fs::create_dir_all(&identities)?;
        let authority = authority()?;
        let fleet = Self {
            clients,
            ca: dir.join("ca.pem"),
            server_certificate: dir.join("server.pem"),
            server_key: dir.join("server.key"),
            identities,
        };
        fs::write(&fleet.ca, authority.0)?;
        let server = named(
            "localhost",
            vec!["localhost".into(), "127.0.0.1".into()],
            true,
        )?;
        let (certificate, key) = issue(&server, &authority.1)?;
        fs::write(&fleet.server_certificate, certificate)?;
        fs::write(&fleet.server_key, key)?;
        for name in fleet.clients.keys() {
            let (certificate, key) = issue(&named(name, Vec::new(), false)?, &authority.1)?;
            fs::write(fleet.identities.join(format!("{name}.pem")), certificate)?;
            fs::write(fleet.identities.join(format!("{name}.key")), key)?;
        }
        Ok(fleet)
    }

    /// What Palisade calls the client's certificate.
    pub(crate) fn certificate_id(&self, name: &str) -> Result<CertificateId> {
        let pem = self.certificate_pem(name)?;
        Ok(certificate_id(&CertificateDer::from_pem_slice(
            pem.as_bytes(),
        )?))
    }

    pub(crate) fn certificate_pem(&self, name: &str) -> Result<String> {
        Ok(fs::read_to_string(
            self.identities.join(format!("{name}.pem")),
        )?)
    }
}

fn clients() -> BTreeMap<String, Right> {
    let publishers = (0..PUBLISHERS).map(|n| (format!("p{n}"), Right::Publishes));
    let paired = (0..PUBLISHERS).map(|n| (format!("s{n}"), Right::Reads(format!("p{n}"))));
    let fan = (0..FAN).map(|n| (format!("f{n}"), Right::Reads("p0".to_owned())));
    let others = [
        (COLLECTOR.to_owned(), Right::Collects),
        (IDLER.to_owned(), Right::Idles),
    ];
    publishers.chain(paired).chain(fan).chain(others).collect()
}

fn named(name: &str, covers: Vec<String>, server: bool) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(covers)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![match server {
        true => ExtendedKeyUsagePurpose::ServerAuth,
        false => ExtendedKeyUsagePurpose::ClientAuth,
    }];
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2045, 1, 1);
    Ok(params)
}

fn authority() -> Result<(String, Issuer<'static, KeyPair>)> {
    let mut params = named("bench authority", Vec::new(), false)?;
    params.extended_key_usages.clear();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let pem = params.self_signed(&key)?.pem();
    Ok((pem, Issuer::new(params, key)))
}

fn issue(params: &CertificateParams, issuer: &Issuer<'_, KeyPair>) -> Result<(String, String)> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let certificate = params.signed_by(&key, issuer)?;
    Ok((certificate.pem(), key.serialize_pem()))
}
