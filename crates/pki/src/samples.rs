//! Certificates for the tests: those that OpenSSL made (`tests/fixtures/make.sh`) and those that
//! are made on the spot.

use std::sync::Arc;
use std::time::Duration;

use model::{ManualClock, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
};

use crate::authority::{DeviceAuthority, SanName, ServerAuthority, Validity};
use crate::certificate::Certificate;

/// 2027-01-01T00:00:00Z: within the validity of every fixture.
pub(crate) const NOW: Timestamp = Timestamp::from_seconds(1_798_761_600);

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/fixtures/",
            $name
        ))
    };
}
pub(crate) use fixture;

pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(NOW))
}

pub(crate) fn year() -> Validity {
    Validity::lasting(NOW, Duration::from_secs(365 * 86_400)).unwrap()
}

pub(crate) fn device_authority() -> DeviceAuthority {
    DeviceAuthority::create("test", Validity::device_default(NOW).unwrap()).unwrap()
}

pub(crate) fn server_authority(names: &[&str]) -> ServerAuthority {
    let validity = Validity::device_default(NOW).unwrap();
    ServerAuthority::create("test", &san_names(names), validity).unwrap()
}

pub(crate) fn san_names(names: &[&str]) -> Vec<SanName> {
    names
        .iter()
        .map(|name| SanName::parse(name).unwrap())
        .collect()
}

pub(crate) fn parsed(pem: &str) -> Certificate {
    Certificate::parse_pem(pem).unwrap()
}

/// An authority that is not ours, as a user would register one.
pub(crate) struct PlantCa {
    pub(crate) certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl PlantCa {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = named(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let certificate = Certificate::parse_der(certificate.der()).unwrap();
        Self {
            certificate,
            issuer: Issuer::new(params, key),
        }
    }

    pub(crate) fn issue(&self, params: &CertificateParams) -> Certificate {
        let key = KeyPair::generate().unwrap();
        let made = params.signed_by(&key, &self.issuer).unwrap();
        Certificate::parse_der(made.der()).unwrap()
    }
}

/// Parameters with one common name.
pub(crate) fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}
