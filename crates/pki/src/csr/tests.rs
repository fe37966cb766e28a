use proptest::prelude::*;
use rcgen::{BasicConstraints, IsCa, KeyPair};

use super::*;
use crate::key::KeyAlgorithm;
use crate::name::NameAttribute;
use crate::samples::{fixture, named};

const WANTS_CA: &str = fixture!("wants-ca.csr");

#[test]
fn accepts_strong_requests_and_names_what_is_weak() {
    #[track_caller]
    fn check(pem: &str, expected: Result<(&str, KeyAlgorithm), CsrError>) {
        let found = Csr::parse_pem(pem);
        let found = found.map(|csr| (csr.subject().to_string(), csr.public_key().algorithm()));
        assert_eq!(
            found,
            expected.map(|(subject, key)| (subject.to_owned(), key))
        );
    }
    let p256 = KeyAlgorithm::EcdsaP256;
    let sha1 = "1.2.840.113549.1.1.5".to_owned();

    check(WANTS_CA, Ok(("cn=wants-ca", p256)));
    check(fixture!("no-subject.csr"), Ok(("", p256)));
    check(
        fixture!("rsa-2048.csr"),
        Ok(("cn=rsa-2048", KeyAlgorithm::Rsa { bits: 2048 })),
    );
    check(
        fixture!("rsa-1024.csr"),
        Err(KeyError::TooWeak { bits: 1024 }.into()),
    );
    check(
        fixture!("sha1.csr"),
        Err(SignatureError::Algorithm { oid: sha1 }.into()),
    );
    check(
        &WANTS_CA.replace("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"),
        Ok(("cn=wants-ca", p256)),
    );
    let missing = PemError::Missing {
        label: "CERTIFICATE REQUEST",
    };
    check(fixture!("v1-ec.pem"), Err(missing.into()));
}

#[test]
fn keeps_every_value_of_the_subject() {
    let csr = Csr::parse_pem(fixture!("repeated.csr")).unwrap();
    assert_eq!(
        csr.subject().values_of(NameAttribute::OrganizationalUnit),
        ["Line 1", "Line 2"]
    );
    let text = csr.subject().to_string();
    assert_eq!(
        text,
        r"cn=pump-7,ou=Line 2+uid=a17,ou=Line 1,o=Plant\, Inc.,c=DE"
    );
}

// tests aws-iot [CT-2]
#[test]
fn bounds_the_text() {
    let max = Csr::PEM_CHARS_MAX;
    let padded = |chars: usize| WANTS_CA.to_owned() + &"\n".repeat(chars - WANTS_CA.len());
    assert!(Csr::parse_pem(&padded(max)).is_ok());
    let too_long = PemError::TooLong {
        chars: max + 1,
        max,
    };
    assert_eq!(Csr::parse_pem(&padded(max + 1)), Err(too_long.into()));
}

#[test]
fn refuses_a_request_that_its_key_did_not_sign() {
    let (one, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let der = named("pump-7")
        .serialize_request(&one)
        .unwrap()
        .der()
        .to_vec();
    assert!(Csr::parse_der(&der).is_ok());
    let at = der
        .windows(64)
        .position(|window| window == &one.public_key_raw()[1..])
        .unwrap();
    let mut stolen = der.clone();
    stolen[at..at + 64].copy_from_slice(&other.public_key_raw()[1..]);
    assert_eq!(Csr::parse_der(&stolen), Err(SignatureError::Wrong.into()));
    assert_eq!(
        Csr::parse_der(&[&der[..], &[0]].concat()),
        Err(CsrError::NotPkcs10)
    );
}

/// The seeds of the fuzz target, and with them every crash that fuzzing has found.
#[test]
fn replays_the_corpus() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/csr");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        exercise(&std::fs::read(entry.unwrap().path()).unwrap());
        seen += 1;
    }
    assert!(seen > 0);
}

fn exercise(bytes: &[u8]) {
    let _ = Csr::parse_der(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = Csr::parse_pem(text);
    }
}

proptest! {
    /// Whatever is changed, either it is refused or it stood outside the signed part's meaning.
    #[test]
    fn survives_flipped_bytes(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut params = named("pump-7");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let mut der = params.serialize_request(&key).unwrap().der().to_vec();
        for (at, byte) in flips {
            let at = at.index(der.len());
            der[at] = byte;
        }
        if let Ok(csr) = Csr::parse_der(&der) {
            prop_assert_eq!(csr.subject().to_string(), "cn=pump-7");
            prop_assert_eq!(csr.public_key().bits(), key.public_key_raw());
        }
    }

    #[test]
    fn survives_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        exercise(&bytes);
    }
}
