use proptest::prelude::*;

use super::*;
use crate::key::KeyAlgorithm;
use crate::name::NameAttribute;
use crate::samples::{fixture, named, parsed};
use crate::signature::Hash;

const EVERY: &str = fixture!("every-attribute.pem");

fn weak_signature(oid: &str) -> CertificateError {
    CertificateError::Signature(SignatureError::Algorithm { oid: oid.into() })
}

fn unsupported_key(oid: &str) -> CertificateError {
    CertificateError::Key(KeyError::Unsupported { oid: oid.into() })
}

// tests aws-iot [EP-15]
#[test]
fn accepts_strong_keys_and_signatures_and_names_what_is_weak() {
    #[track_caller]
    fn check(pem: &str, expected: Result<(KeyAlgorithm, SignatureAlgorithm), CertificateError>) {
        let found = Certificate::parse_pem(pem);
        let found =
            found.map(|found| (found.public_key().algorithm(), found.signature_algorithm()));
        assert_eq!(found, expected, "{pem}");
    }
    let rsa = |bits| KeyAlgorithm::Rsa { bits };
    let too_weak = |bits| Err(CertificateError::Key(KeyError::TooWeak { bits }));
    let pkcs1 = SignatureAlgorithm::RsaPkcs1;
    let ecdsa512 = SignatureAlgorithm::Ecdsa(Hash::Sha512);

    check(fixture!("rsa-1024.pem"), too_weak(1024));
    check(fixture!("rsa-2047.pem"), too_weak(2047));
    check(
        fixture!("rsa-2048.pem"),
        Ok((rsa(2048), pkcs1(Hash::Sha256))),
    );
    check(
        fixture!("rsa-3072-sha512.pem"),
        Ok((rsa(3072), pkcs1(Hash::Sha512))),
    );
    check(
        fixture!("rsa-pss.pem"),
        Ok((rsa(2048), SignatureAlgorithm::RsaPss(Hash::Sha384))),
    );
    check(
        fixture!("rsa-sha1.pem"),
        Err(weak_signature("1.2.840.113549.1.1.5")),
    );
    check(
        fixture!("rsa-pss-sha1.pem"),
        Err(weak_signature("1.2.840.113549.1.1.10")),
    );
    check(
        fixture!("prime256v1.pem"),
        Ok((KeyAlgorithm::EcdsaP256, ecdsa512)),
    );
    check(
        fixture!("secp384r1.pem"),
        Ok((KeyAlgorithm::EcdsaP384, ecdsa512)),
    );
    check(
        fixture!("secp521r1.pem"),
        Ok((KeyAlgorithm::EcdsaP521, ecdsa512)),
    );
    check(
        fixture!("secp224r1.pem"),
        Err(unsupported_key("1.3.132.0.33")),
    );
    check(
        fixture!("secp256k1.pem"),
        Err(unsupported_key("1.3.132.0.10")),
    );
    check(fixture!("ed25519.pem"), Err(unsupported_key("1.3.101.112")));
    check(
        fixture!("dsa.pem"),
        Err(unsupported_key("1.2.840.10040.4.1")),
    );
    check(
        fixture!("v1-ec.pem"),
        Ok((
            KeyAlgorithm::EcdsaP256,
            SignatureAlgorithm::Ecdsa(Hash::Sha256),
        )),
    );
    check(
        fixture!("v1-rsa.pem"),
        Ok((rsa(2048), SignatureAlgorithm::Ecdsa(Hash::Sha256))),
    );
}

fn values<K: Copy>(all: &[(K, Vec<String>)], name: fn(K) -> &'static str) -> Vec<String> {
    let line = |(key, values): &(K, Vec<String>)| format!("{}={}", name(*key), values.join("|"));
    all.iter().map(line).collect()
}

// tests aws-iot [PL-32]: the Developer Guide's own example, and values beyond the fifth.
#[test]
fn reads_every_attribute_that_a_policy_can_ask_for() {
    let found = parsed(EVERY);
    assert_eq!(found.serial(), "10525622389124227206");
    assert_eq!(
        values(found.subject().values(), NameAttribute::as_str),
        [
            "Country=US",
            "Organization=IoT Devices",
            "OrganizationalUnit=LightBulb|Second|3|4|5",
            "State=NY",
            "CommonName=LightBulb Device Cert",
            "GivenName=Bulb",
            "Initials=ZZ",
            "DistinguishedNameQualifier=Bulb001",
            "Surname=Multi Color",
            "Title=RGB",
            "Pseudonym=RGB Device",
            "GenerationQualifier=4",
            "SerialNumber=123",
        ]
    );
    assert_eq!(
        found.issuer().values_of(NameAttribute::Pseudonym),
        ["Primary_CA"]
    );
    assert_eq!(found.issuer().values().len(), NameAttribute::ALL.len());
    assert_eq!(
        values(found.subject_alternative(), AlternativeName::as_str),
        [
            "DNSName=example.com|second.example.com",
            "IPAddress=1.2.3.4|2001:db8::7",
            "UniformResourceIdentifier=ResourceIdentifier001",
            "RFC822Name=device1@example.com",
            "DirectoryName=cn=LightBulbCert,ou=SmartHome,o=IoT,c=US",
        ]
    );
    assert_eq!(
        values(found.issuer_alternative(), AlternativeName::as_str),
        [
            "DNSName=issuer.com",
            "IPAddress=5.6.7.8",
            "UniformResourceIdentifier=PrimarySignerCA",
            "RFC822Name=primary@issuer.com",
            "DirectoryName=cn=Primary Issuer CA,ou=IoT Devices,o=Issuer,c=US",
        ]
    );
}

#[test]
fn reads_what_registration_needs() {
    let leaf = parsed(EVERY);
    assert_eq!(
        leaf.basic_constraints(),
        Some(BasicConstraints {
            ca: false,
            path_len: None
        })
    );
    assert!(!leaf.is_ca());
    assert_eq!(leaf.subject_key_id().map(<[u8]>::len), Some(20));
    assert_eq!(leaf.authority_key_id().map(<[u8]>::len), Some(20));
    assert_eq!(
        leaf.not_after().seconds() - leaf.not_before().seconds(),
        36_500 * 86_400
    );
    assert!(!leaf.names_client_auth() && !leaf.names_server_auth());

    let authority = parsed(fixture!("plant-ca.pem"));
    assert!(authority.is_ca());
    assert_eq!(authority.subject().to_string(), "cn=Plant CA,o=Plant");

    let old = parsed(fixture!("v1-ec.pem"));
    assert_eq!(old.basic_constraints(), None);
    assert_eq!(old.subject_key_id(), None);
    assert_eq!(old.issuer().der(), authority.subject().der());
}

// tests aws-iot [CT-1]
#[test]
fn the_id_is_the_sha_256_of_the_der() {
    // `printf abc | sha256sum`
    assert_eq!(
        certificate_id(b"abc").as_str(),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    let certificate = parsed(EVERY);
    assert_eq!(*certificate.id(), certificate_id(certificate.der()));
    let fingerprint = certificate.fingerprint();
    assert_eq!(
        fingerprint.replace(':', "").to_lowercase(),
        certificate.id().as_str()
    );
    assert_eq!(fingerprint.len(), 32 * 3 - 1);
    assert_eq!(super::fingerprint(EVERY), Ok(fingerprint));
}

// tests aws-iot [CT-2]
#[test]
fn pem_comes_back_as_openssl_wrote_it() {
    for pem in [EVERY, fixture!("rsa-2048.pem"), fixture!("v1-ec.pem")] {
        assert_eq!(parsed(pem).pem(), pem);
    }
}

#[test]
fn reads_one_pem_block_and_no_more() {
    #[track_caller]
    fn check(text: &str, expected: Option<PemError>) {
        let found = Certificate::parse_pem(text).map(|_| ());
        assert_eq!(
            found,
            expected.map_or(Ok(()), |error| Err(CertificateError::Pem(error)))
        );
    }
    let label = "CERTIFICATE";
    check(
        &format!("Bag Attributes\n  friendlyName: pump\n{EVERY}trailing words\n"),
        None,
    );
    check(&EVERY.replace('\n', "\r\n"), None);
    check(EVERY.trim_end(), None);
    check("", Some(PemError::Missing { label }));
    check(fixture!("wants-ca.csr"), Some(PemError::Missing { label }));
    for key in [fixture!("v1-ec.key"), fixture!("v1-rsa.key")] {
        check(
            &format!("{EVERY}  {key}"),
            Some(PemError::PrivateKey { label }),
        );
    }
    check(&format!("{EVERY}no PRIVATE KEY here\n"), None);
    check(
        &EVERY.replace("END CERTIFICATE", "END"),
        Some(PemError::Missing { label }),
    );
    check(
        &format!("{EVERY}{EVERY}"),
        Some(PemError::Several { label }),
    );
    check(
        "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
        Some(PemError::NotBase64 { label }),
    );
    let max = Certificate::PEM_CHARS_MAX;
    let padded = |chars: usize| EVERY.to_owned() + &"\n".repeat(chars - EVERY.len());
    check(&padded(max), None);
    check(
        &padded(max + 1),
        Some(PemError::TooLong {
            chars: max + 1,
            max,
        }),
    );
}

fn content(value: &[u8]) -> &[u8] {
    let header = if value[1] < 0x80 {
        2
    } else {
        2 + usize::from(value[1] & 0x7f)
    };
    &value[header..]
}

/// The same value with its length written in one byte more than it needs.
fn long_winded(value: &[u8]) -> Vec<u8> {
    let mut longer = vec![value[0]];
    if value[1] < 0x80 {
        longer.extend([0x81, value[1]]);
    } else {
        longer.extend([value[1] + 1, 0x00]);
        longer.extend(&value[2..2 + usize::from(value[1] & 0x7f)]);
    }
    longer.extend(content(value));
    longer
}

/// `outer` with its part at `at` replaced.
fn with_part(outer: &[u8], at: usize, part: Vec<u8>) -> Vec<u8> {
    let mut found: Vec<Vec<u8>> = parts(outer)
        .unwrap()
        .into_iter()
        .map(<[u8]>::to_vec)
        .collect();
    found[at] = part;
    let content = found.concat();
    let mut whole = yasna::construct_der(|out| out.write_bytes(&content));
    whole[0] = outer[0];
    whole
}

/// What the signature does not cover must not be free to vary.
#[test]
fn refuses_another_spelling_of_the_same_certificate() {
    #[track_caller]
    fn check(der: &[u8], expected: Result<(), CertificateError>) {
        assert_eq!(Certificate::parse_der(der).map(|_| ()), expected);
    }
    let pem = fixture!("rsa-2048.pem");
    let der = parsed(pem).der().to_vec();
    let inside = parts(&der).unwrap();
    check(&with_part(&der, 1, inside[1].to_vec()), Ok(()));
    check(&long_winded(&der), Err(CertificateError::NotX509));
    for (at, part) in inside.iter().enumerate() {
        let changed = with_part(&der, at, long_winded(part));
        check(&changed, Err(CertificateError::NotX509));
    }
    // sha256WithRSAEncryption without its NULL: the same algorithm, spelled otherwise.
    let algorithm = with_part(inside[1], 1, Vec::new());
    check(
        &with_part(&der, 1, algorithm),
        Err(CertificateError::NotX509),
    );
    // Another algorithm outside than inside the signed part.
    let other = parsed(fixture!("rsa-3072-sha512.pem")).der().to_vec();
    let algorithm = parts(&other).unwrap()[1].to_vec();
    check(
        &with_part(&der, 1, algorithm),
        Err(CertificateError::NotX509),
    );
    // A signature that ends within a byte.
    let mut signature = inside[2].to_vec();
    let header = signature.len() - content(inside[2]).len();
    signature[header] = 1;
    *signature.last_mut().unwrap() &= 0xfe;
    check(
        &with_part(&der, 2, signature),
        Err(CertificateError::NotX509),
    );
}

/// Whatever the algorithm: what is not a signature's number has one form only.
#[test]
fn no_flipped_bit_leaves_a_certificate_that_verifies() {
    for (pem, signer) in [
        (fixture!("rsa-2048.pem"), fixture!("rsa-2048.pem")),
        (fixture!("rsa-pss.pem"), fixture!("rsa-pss.pem")),
        (fixture!("secp521r1.pem"), fixture!("secp521r1.pem")),
        (fixture!("v1-ec.pem"), fixture!("plant-ca.pem")),
    ] {
        let der = parsed(pem).der().to_vec();
        let signer = parsed(signer).public_key().clone();
        assert_eq!(parsed(pem).signed_by(&signer), Ok(()));
        for bit in 0..der.len() * 8 {
            let mut changed = der.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            if let Ok(changed) = Certificate::parse_der(&changed) {
                assert!(
                    changed.signed_by(&signer).is_err(),
                    "bit {bit}: {changed:?}"
                );
            }
        }
    }
}

/// One signed certificate must have one fingerprint only, and one reading only.
#[test]
fn refuses_bytes_that_a_reader_could_skip() {
    #[track_caller]
    fn check(der: &[u8], expected: CertificateError) {
        assert_eq!(Certificate::parse_der(der), Err(expected));
    }
    let null = [0x05, 0x00];
    let lengthened = |der: &[u8]| {
        let last = parts(der).unwrap().len() - 1;
        let part = [parts(der).unwrap()[last], &null].concat();
        with_part(der, last, part)
    };
    let der = parsed(EVERY).der().to_vec();
    check(&[&der[..], &null].concat(), CertificateError::NotX509);
    check(&lengthened(&der), CertificateError::NotX509);
    let tbs = parts(&der).unwrap()[0];
    check(
        &with_part(&der, 0, lengthened(tbs)),
        CertificateError::NotX509,
    );
    // A part of a name that is no RDN ends the parser's reading; the bytes after it count.
    for (at, field) in [(3, "issuer"), (5, "subject")] {
        let longer = lengthened(parts(tbs).unwrap()[at]);
        let tbs = with_part(tbs, at, longer);
        check(
            &with_part(&der, 0, tbs),
            CertificateError::BadName { field },
        );
    }
    // And so with the key.
    let longer = lengthened(parts(tbs).unwrap()[6]);
    let malformed = KeyError::Malformed { kind: "X.509" };
    let tbs = with_part(tbs, 6, longer);
    check(&with_part(&der, 0, tbs), malformed.into());
}

#[test]
fn refuses_a_repeated_or_malformed_extension() {
    use rcgen::{CustomExtension, KeyPair};

    #[track_caller]
    fn check(extensions: &[(&[u64], &[u8])], expected: Option<CertificateError>) {
        let mut params = named("odd");
        params.custom_extensions = extensions
            .iter()
            .map(|(oid, value)| CustomExtension::from_oid_content(oid, value.to_vec()))
            .collect();
        let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        assert_eq!(Certificate::parse_der(made.der()).err(), expected);
    }
    const BASIC: &[u64] = &[2, 5, 29, 19];
    const SUBJECT_ALT: &[u64] = &[2, 5, 29, 17];
    const UNKNOWN: &[u64] = &[1, 2, 3, 4];
    let bad = |extension| Some(CertificateError::BadExtension { extension });

    check(&[(BASIC, &[0x30, 0x00])], None);
    let extension = "basicConstraints";
    check(
        &[
            (BASIC, &[0x30, 0x00]),
            (BASIC, &[0x30, 0x03, 0x01, 0x01, 0xff]),
        ],
        Some(CertificateError::RepeatedExtension { extension }),
    );
    check(
        &[(BASIC, &[0x30, 0x00, 0x05, 0x00])],
        bad("basicConstraints"),
    );
    check(&[(BASIC, &[0x04, 0x00])], bad("basicConstraints"));
    // subjectAltName: an address of four bytes, of five; a DNS name that is no text.
    check(
        &[(SUBJECT_ALT, &[0x30, 0x06, 0x87, 0x04, 1, 2, 3, 4])],
        None,
    );
    check(
        &[(SUBJECT_ALT, &[0x30, 0x07, 0x87, 0x05, 1, 2, 3, 4, 5])],
        bad("subjectAltName"),
    );
    check(
        &[(SUBJECT_ALT, &[0x30, 0x03, 0x82, 0x01, 0xff])],
        bad("subjectAltName"),
    );
    check(&[(UNKNOWN, &[0xff]), (UNKNOWN, &[0xff])], None);
}

#[test]
fn validity_includes_both_its_seconds() {
    let found = parsed(EVERY);
    let check = |ms: i64, expected| {
        assert_eq!(
            found.is_valid_at(Timestamp::from_millis(ms)),
            expected,
            "{ms}"
        );
    };
    let (first, last) = (found.not_before().millis(), found.not_after().millis());
    check(first - 1, false);
    check(first, true);
    check(last + 999, true);
    check(last + 1000, false);
}

#[test]
fn an_extended_key_usage_limits_what_a_certificate_stands_for() {
    use rcgen::ExtendedKeyUsagePurpose::{Any, ClientAuth, ServerAuth};
    #[track_caller]
    fn check(purposes: &[rcgen::ExtendedKeyUsagePurpose], expected: bool) {
        let mut params = named("purpose");
        params.extended_key_usages = purposes.to_vec();
        let key = rcgen::KeyPair::generate().unwrap();
        let made = params.self_signed(&key).unwrap();
        let found = Certificate::parse_der(made.der()).unwrap();
        assert_eq!(found.allows_client_auth(), expected, "{purposes:?}");
    }
    check(&[], true);
    check(&[ClientAuth], true);
    check(&[Any], true);
    check(&[ServerAuth, ClientAuth], true);
    check(&[ServerAuth], false);
}

#[test]
fn bounds_the_serial_number() {
    #[track_caller]
    fn check(bytes: usize, expected: Result<(), CertificateError>) {
        let mut params = named("serial");
        params.serial_number = Some(rcgen::SerialNumber::from_slice(&vec![0x7f; bytes]));
        let made = params
            .self_signed(&rcgen::KeyPair::generate().unwrap())
            .unwrap();
        assert_eq!(Certificate::parse_der(made.der()).map(|_| ()), expected);
    }
    check(64, Ok(()));
    check(65, Err(CertificateError::SerialTooLong { len: 65 }));
}

/// The seeds of the fuzz targets, and with them every crash that fuzzing has found.
#[test]
fn replays_the_corpus() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/certificate");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        exercise(&bytes);
        seen += 1;
    }
    assert!(seen > 0);
}

/// What the fuzz target does with its bytes.
fn exercise(bytes: &[u8]) {
    if let Ok(certificate) = Certificate::parse_der(bytes) {
        assert_eq!(parsed(&certificate.pem()), certificate);
        let _ = crate::verify_issued_by(&certificate, &certificate);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = Certificate::parse_pem(text);
    }
}

fn seeds() -> Vec<Vec<u8>> {
    [
        EVERY,
        fixture!("rsa-pss.pem"),
        fixture!("v1-rsa.pem"),
        fixture!("plant-ca.pem"),
        fixture!("secp521r1.pem"),
    ]
    .map(|pem| parsed(pem).der().to_vec())
    .to_vec()
}

proptest! {
    #[test]
    fn survives_flipped_bytes(
        seed in 0_usize..5,
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut der = seeds().swap_remove(seed);
        for (at, byte) in flips {
            let at = at.index(der.len());
            der[at] = byte;
        }
        exercise(&der);
    }

    /// An RSA signature has one form, so a certificate that still verifies is the same one.
    #[test]
    fn no_other_bytes_pass_for_a_signed_certificate(
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let original = parsed(fixture!("rsa-2048.pem"));
        let mut der = original.der().to_vec();
        let at = at.index(der.len());
        der[at] = byte;
        if let Ok(changed) = Certificate::parse_der(&der) {
            let verifies = changed.signed_by(original.public_key()).is_ok();
            prop_assert!(!verifies || changed == original);
        }
    }

    #[test]
    fn survives_cuts(
        seed in 0_usize..5,
        from in any::<prop::sample::Index>(),
        to in any::<prop::sample::Index>(),
    ) {
        let der = seeds().swap_remove(seed);
        let (from, to) = (from.index(der.len()), to.index(der.len()));
        exercise(&der[from.min(to)..from.max(to)]);
        prop_assert!(Certificate::parse_der(&der[..to]).is_err());
    }

    #[test]
    fn survives_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        exercise(&bytes);
    }
}
