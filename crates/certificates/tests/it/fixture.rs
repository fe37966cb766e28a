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
    name: DistinguishedName,
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

    /// An authority whose validity ended in 2001.
    pub(crate) fn expired(name: &str) -> Self {
        let mut params = params(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        expire(&mut params);
        Self::made(params)
    }

    fn with(name: &str, is_ca: IsCa) -> Self {
        let mut params = params(name);
        params.is_ca = is_ca;
        Self::made(params)
    }

    fn made(params: CertificateParams) -> Self {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a self-signed certificate");
        let pem = certificate.pem();
        Self {
            pem,
            name: params.distinguished_name.clone(),
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

    /// A device's certificate that is not quite like the others.
    pub(crate) fn sign_changed(&self, change: impl FnOnce(&mut CertificateParams)) -> String {
        let mut params = params("pump-7");
        change(&mut params);
        self.sign_params(&params)
    }

    /// A device's certificate for a key that it has already; every one has another serial number.
    pub(crate) fn sign_key(&self, key: &KeyPair) -> String {
        let mut params = params("pump-7");
        params.serial_number = Some(SerialNumber::from_slice(&model::random_bytes::<8>()));
        self.sign_params_for(&params, key)
    }

    /// The same authority with a certificate of its own that it made later: another id, the same
    /// name and key.
    pub(crate) fn renewed(&self) -> String {
        let mut params = params("");
        params.distinguished_name = self.name.clone();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_before = date_time_ymd(2020, 1, 1);
        let key = self.issuer.key();
        params.self_signed(key).expect("a certificate").pem()
    }

    fn sign_params(&self, params: &CertificateParams) -> String {
        self.sign_params_for(params, &KeyPair::generate().expect("a key"))
    }

    fn sign_params_for(&self, params: &CertificateParams, key: &KeyPair) -> String {
        params
            .signed_by(key, &self.issuer)
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

/// A self-signed certificate and its private key.
pub(crate) fn with_key(name: &str) -> (String, String) {
    let key = KeyPair::generate().expect("a key");
    let made = params(name).self_signed(&key).expect("a certificate");
    (made.pem(), key.serialize_pem())
}

pub(crate) fn csr(name: &str) -> String {
    let key = KeyPair::generate().expect("a key");
    let mut params = params(name);
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
    // Without a serial number it gets one that follows from its key.
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
    expire(&mut params);
    params
        .self_signed(&key)
        .expect("a self-signed certificate")
        .pem()
}

/// Puts the validity into the past: it ended in 2001.
pub(crate) fn expire(params: &mut CertificateParams) {
    params.not_before = date_time_ymd(2000, 1, 1);
    params.not_after = date_time_ymd(2001, 1, 1);
}

/// The order of P-256's group.
const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// The certificate with its signature (r, s) exchanged for (r, n - s): what anybody can do who has
/// it, without any key.
pub(crate) fn resigned(pem: &str) -> String {
    let der = der(pem);
    let (whole, _) = value(&der);
    let (_, rest) = value(whole);
    let signed_part = &whole[..whole.len() - rest.len()];
    let (_, bits) = value(rest);
    let algorithm = &rest[..rest.len() - bits.len()];
    // Behind the count of unused bits, a SEQUENCE of two INTEGERs.
    let (numbers, _) = value(&value(bits).0[1..]);
    let (_, second) = value(numbers);
    let (s, _) = value(second);
    let r = &numbers[..numbers.len() - second.len()];
    let s = encoded(0x02, &order_less(s));
    let signature = encoded(0x30, &[r, &s].concat());
    let bits = encoded(0x03, &[&[0], &signature[..]].concat());
    let der = encoded(0x30, &[signed_part, algorithm, &bits].concat());
    let other = pki::Certificate::parse_der(&der).expect("a certificate");
    other.pem()
}

/// The contents of the first value in DER, and what follows it.
fn value(der: &[u8]) -> (&[u8], &[u8]) {
    let (header, len) = match der[1] {
        short @ 0..=0x7f => (2, usize::from(short)),
        0x81 => (3, usize::from(der[2])),
        _ => (4, usize::from(der[2]) << 8 | usize::from(der[3])),
    };
    der[header..].split_at(len)
}

fn encoded(tag: u8, contents: &[u8]) -> Vec<u8> {
    let len = u16::try_from(contents.len()).expect("a short value");
    let [high, low] = len.to_be_bytes();
    let header = match len {
        0..=0x7f => vec![tag, low],
        0x80..=0xff => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    [&header, contents].concat()
}

/// n - s as the contents of an INTEGER: without zeros in front, except before a set first bit.
fn order_less(s: &[u8]) -> Vec<u8> {
    let mut less = vec![0];
    less.extend(P256_ORDER);
    let mut borrow = 0;
    for (at, digit) in less.iter_mut().rev().enumerate() {
        let taken = s.iter().rev().nth(at).map_or(0, |byte| i16::from(*byte)) + borrow;
        let rest = i16::from(*digit) - taken;
        borrow = i16::from(rest < 0);
        *digit = rest.rem_euclid(256).to_le_bytes()[0];
    }
    let first = less.iter().position(|byte| *byte != 0).expect("s is not n");
    less.split_off(first - usize::from(less[first] >= 0x80))
}
