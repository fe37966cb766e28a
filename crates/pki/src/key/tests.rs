use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256};

use super::*;
use crate::samples::{fixture, parsed};

#[test]
fn generated_keys_have_the_shapes_that_aws_returns() {
    #[track_caller]
    fn check(kind: KeyKind, label: &str, algorithm: KeyAlgorithm) {
        let key = generate_key(kind).unwrap();
        let pem = key.pem().unwrap();
        assert!(
            pem.starts_with(&format!("-----BEGIN {label}-----\n")),
            "{kind:?}"
        );
        assert!(
            pem.ends_with(&format!("\n-----END {label}-----\n")),
            "{kind:?}"
        );
        assert!(
            key.public_key()
                .pem()
                .starts_with("-----BEGIN PUBLIC KEY-----\n")
        );
        assert_eq!(key.public_key().algorithm(), algorithm);

        let sign_algo = match kind {
            KeyKind::Rsa2048 => &PKCS_RSA_SHA256,
            KeyKind::EcdsaP256 => &PKCS_ECDSA_P256_SHA256,
        };
        let read = rcgen::KeyPair::from_pem_and_sign_algo(&pem, sign_algo).unwrap();
        assert_eq!(read.public_key_pem(), key.public_key().pem());
    }
    check(
        KeyKind::Rsa2048,
        "RSA PRIVATE KEY",
        KeyAlgorithm::Rsa { bits: 2048 },
    );
    check(KeyKind::EcdsaP256, "PRIVATE KEY", KeyAlgorithm::EcdsaP256);
}

#[test]
fn every_key_is_another_and_none_is_printed() {
    let (one, other) = (
        generate_key(KeyKind::EcdsaP256),
        generate_key(KeyKind::EcdsaP256),
    );
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_ne!(one.public_key(), other.public_key());
    assert_eq!(format!("{one:?}"), "PrivateKey(EcdsaP256, <redacted>)");
}

/// A SubjectPublicKeyInfo with RSA modulus and exponent as given.
fn rsa_spki(modulus: &[u8], exponent: u64) -> Vec<u8> {
    let key = yasna::construct_der(|out| {
        out.write_sequence(|out| {
            out.next().write_bigint_bytes(modulus, true);
            out.next().write_u64(exponent);
        });
    });
    spki(&[1, 2, 840, 113_549, 1, 1, 1], |out| out.write_null(), &key)
}

fn spki(oid: &[u64], parameters: impl FnOnce(yasna::DERWriter<'_>), key: &[u8]) -> Vec<u8> {
    yasna::construct_der(|out| {
        out.write_sequence(|out| {
            out.next().write_sequence(|out| {
                out.next()
                    .write_oid(&yasna::models::ObjectIdentifier::from_slice(oid));
                parameters(out.next());
            });
            out.next().write_bitvec_bytes(key, key.len() * 8);
        });
    })
}

// tests aws-iot [EP-15]: both sides of each limit.
#[test]
fn bounds_the_rsa_modulus_and_checks_the_exponent() {
    #[track_caller]
    fn check(bits: usize, exponent: u64, expected: Result<(), KeyError>) {
        // Odd, with the highest bit of the wanted length set.
        let mut modulus = vec![0xff; bits.div_ceil(8)];
        modulus[0] >>= modulus.len() * 8 - bits;
        let found = PublicKey::parse_der(&rsa_spki(&modulus, exponent));
        assert_eq!(
            found.map(|_| ()),
            expected,
            "{bits} bits, exponent {exponent}"
        );
    }
    let malformed = || Err(KeyError::Malformed { kind: "RSA" });
    check(2047, 65_537, Err(KeyError::TooWeak { bits: 2047 }));
    check(2048, 65_537, Ok(()));
    check(2048, 3, Ok(()));
    check(2048, 1, malformed());
    check(2048, 2, malformed());
    check(8192, 65_537, Ok(()));
    check(8193, 65_537, Err(KeyError::TooLarge { bits: 8193 }));
}

#[test]
fn refuses_a_point_off_its_curve() {
    let ec = &[1, 2, 840, 10045, 2, 1];
    let p256 = yasna::models::ObjectIdentifier::from_slice(&[1, 2, 840, 10045, 3, 1, 7]);
    let good = generate_key(KeyKind::EcdsaP256).unwrap();
    let mut point = good.public_key().bits().to_vec();
    let with = |point: &[u8]| PublicKey::parse_der(&spki(ec, |out| out.write_oid(&p256), point));
    assert_eq!(with(&point).as_ref(), Ok(good.public_key()));
    point[64] ^= 1;
    assert_eq!(
        with(&point),
        Err(KeyError::Malformed {
            kind: "ECDSA P-256"
        })
    );
    assert_eq!(
        with(&[0]),
        Err(KeyError::Malformed {
            kind: "ECDSA P-256"
        })
    );
    let explicit = spki(ec, |out| out.write_null(), &point);
    assert_eq!(
        PublicKey::parse_der(&explicit),
        Err(KeyError::Malformed { kind: "ECDSA" })
    );
}

/// One key has one spelling, or a revoked one comes back under another.
#[test]
fn refuses_a_compressed_point() {
    let ec = &[1, 2, 840, 10045, 2, 1];
    let p256 = yasna::models::ObjectIdentifier::from_slice(&[1, 2, 840, 10045, 3, 1, 7]);
    let good = generate_key(KeyKind::EcdsaP256).unwrap();
    let point = good.public_key().bits();
    let (x, y) = point[1..].split_at(32);
    let odd = y[31] & 1;
    for (form, bytes) in [(0x02, x), (0x06, &point[1..])] {
        let spelled = [&[form | odd], bytes].concat();
        let spki = spki(ec, |out| out.write_oid(&p256), &spelled);
        let kind = "ECDSA P-256";
        assert_eq!(
            PublicKey::parse_der(&spki),
            Err(KeyError::Malformed { kind })
        );
    }
}

#[test]
fn refuses_left_over_bytes() {
    let der = parsed(fixture!("v1-ec.pem")).public_key().der().to_vec();
    assert!(PublicKey::parse_der(&der).is_ok());
    let longer = [&der[..], &[0x05, 0x00]].concat();
    assert_eq!(
        PublicKey::parse_der(&longer),
        Err(KeyError::Malformed { kind: "X.509" })
    );
}
