//! Authorities and certificates made at run time, and the capability behind its real gateway.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use certificates::{Attachments, Tags};
use model::ApiError;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    SerialNumber, date_time_ymd,
};
use storage::Tx;

/// A customer's authority.
pub(crate) struct Ca {
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    pub(crate) fn new(name: &str) -> Self {
        Self::with(name, IsCa::Ca(BasicConstraints::Unconstrained))
    }

    /// A self-signed certificate that does not say that it is an authority.
    pub(crate) fn without_constraints(name: &str) -> Self {
        Self::with(name, IsCa::NoCa)
    }

    fn with(name: &str, is_ca: IsCa) -> Self {
        let mut params = params(name);
        params.is_ca = is_ca;
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a self-signed certificate");
        let pem = certificate.pem();
        Self {
            pem,
            issuer: Issuer::new(params, key),
        }
    }

    pub(crate) fn id(&self) -> String {
        id(&self.pem)
    }

    /// A device's certificate that it signed.
    pub(crate) fn sign(&self, name: &str) -> String {
        self.sign_params(&params(name))
    }

    /// An authority below it.
    pub(crate) fn sign_ca(&self, name: &str) -> String {
        let mut params = params(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        self.sign_params(&params)
    }

    fn sign_params(&self, params: &CertificateParams) -> String {
        let key = KeyPair::generate().expect("a key");
        params
            .signed_by(&key, &self.issuer)
            .expect("a signed certificate")
            .pem()
    }
}

/// A certificate that nobody but itself signed.
pub(crate) fn self_signed(name: &str) -> String {
    let key = KeyPair::generate().expect("a key");
    params(name)
        .self_signed(&key)
        .expect("a self-signed certificate")
        .pem()
}

pub(crate) fn csr(name: &str) -> String {
    let key = KeyPair::generate().expect("a key");
    let mut params = params(name);
    params.serial_number = None;
    params.is_ca = IsCa::NoCa;
    let request = params.serialize_request(&key).expect("a request");
    request.pem().expect("a request in PEM")
}

/// One character of the base64 body of `pem` exchanged for another.
pub(crate) fn with_broken_signature(pem: &str) -> String {
    let at = pem.find("\n-----END").expect("an end") - 8;
    let mut bytes = pem.as_bytes().to_vec();
    bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
    String::from_utf8(bytes).expect("base64")
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
        .distinguished_name
        .push(DnType::OrganizationName, "Pumps");
    params.serial_number = Some(SerialNumber::from(4711));
    params.is_ca = IsCa::ExplicitNoCa;
    params
}

pub(crate) fn id(pem: &str) -> String {
    let certificate = pki::Certificate::parse_pem(pem).expect("a certificate");
    certificate.id().to_string()
}

pub(crate) fn der(pem: &str) -> Vec<u8> {
    let certificate = pki::Certificate::parse_pem(pem).expect("a certificate");
    certificate.der().to_vec()
}

/// What the registry of things would know: sets that a test fills.
#[derive(Debug, Default)]
pub(crate) struct Attached {
    pub(crate) things: Mutex<BTreeSet<String>>,
    pub(crate) policies: Mutex<BTreeSet<String>>,
}

impl Attachments for Attached {
    fn has_things(&self, _tx: &mut Tx<'_>, arn: &str) -> Result<bool, ApiError> {
        Ok(locked(&self.things).contains(arn))
    }

    fn has_policies(&self, _tx: &mut Tx<'_>, arn: &str) -> Result<bool, ApiError> {
        Ok(locked(&self.policies).contains(arn))
    }

    fn detach_all_policies(&self, _tx: &mut Tx<'_>, arn: &str) -> Result<(), ApiError> {
        locked(&self.policies).remove(arn);
        Ok(())
    }
}

/// The tags of each ARN.
#[derive(Debug, Default)]
pub(crate) struct Tagged(pub(crate) Mutex<BTreeMap<String, Vec<(String, String)>>>);

impl Tags for Tagged {
    fn put(&self, _tx: &mut Tx<'_>, arn: &str, tags: &[(String, String)]) -> Result<(), ApiError> {
        if tags.iter().any(|(key, _)| key.starts_with("aws:")) {
            return Err(ApiError::invalid("tags: a key must not begin with aws:"));
        }
        locked(&self.0).insert(arn.to_owned(), tags.to_vec());
        Ok(())
    }

    fn clear(&self, _tx: &mut Tx<'_>, arn: &str) -> Result<(), ApiError> {
        locked(&self.0).remove(arn);
        Ok(())
    }
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A certificate whose validity ended in 2001.
pub(crate) fn expired(name: &str) -> String {
    let key = KeyPair::generate().expect("a key");
    let mut params = params(name);
    params.not_before = date_time_ymd(2000, 1, 1);
    params.not_after = date_time_ymd(2001, 1, 1);
    params
        .self_signed(&key)
        .expect("a self-signed certificate")
        .pem()
}
