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
use crate::der::parts;

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

/// The order of P-256's group.
const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// The certificate with its P-256 signature (r, s) exchanged for (r, n - s), without any key.
pub(crate) fn resigned(certificate: &Certificate) -> Vec<u8> {
    let [signed_part, algorithm, bits] = parts(certificate.der()).unwrap().try_into().unwrap();
    // A BIT STRING of less than 128 bytes, its first one the count of unused bits.
    let [r, s] = parts(&bits[3..]).unwrap().try_into().unwrap();
    let mut other = [0; 33];
    let mut borrow = false;
    for (at, byte) in s[2..].iter().rev().chain(&[0; 32]).take(32).enumerate() {
        let (less, under) = P256_ORDER[31 - at].overflowing_sub(*byte);
        let (less, under_again) = less.overflowing_sub(u8::from(borrow));
        other[32 - at] = less;
        borrow = under || under_again;
    }
    let signature = yasna::construct_der(|out| {
        out.write_sequence(|out| {
            out.next().write_der(r);
            out.next().write_bigint_bytes(&other, true);
        });
    });
    yasna::construct_der(|out| {
        out.write_sequence(|out| {
            out.next().write_der(signed_part);
            out.next().write_der(algorithm);
            out.next()
                .write_bitvec_bytes(&signature, signature.len() * 8);
        });
    })
}

/// Parameters with one common name.
pub(crate) fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}
