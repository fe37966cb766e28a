use rcgen::{BasicConstraints as RcgenConstraints, CustomExtension};
use rustls_pki_types::{DnsName, ServerName, UnixTime};

use super::*;
use crate::certificate::BasicConstraints;
use crate::csr::Csr;
use crate::name::NameAttribute;
use crate::samples::{NOW, device_authority, fixture, named, san_names, server_authority, year};
use crate::{verify::require_ca, verify_issued_by};

fn extension_ids(certificate: &Certificate) -> Vec<String> {
    let (_, x509) = x509_parser::parse_x509_certificate(certificate.der()).unwrap();
    let line = |extension: &x509_parser::extensions::X509Extension<'_>| {
        let critical = if extension.critical { "!" } else { "" };
        format!("{critical}{}", extension.oid)
    };
    x509.extensions().iter().map(line).collect()
}

const DEVICE_EXTENSIONS: [&str; 5] = [
    "2.5.29.35",
    "2.5.29.14",
    "!2.5.29.19",
    "!2.5.29.15",
    "2.5.29.37",
];

// tests aws-iot [CT-3]
#[test]
fn a_device_certificate_is_what_aws_would_issue() {
    let authority = device_authority();
    let key = generate_key(KeyKind::Rsa2048).unwrap();
    let validity = Validity::device_default(NOW).unwrap();
    let issue = || {
        authority
            .issue(key.public_key(), Subject::Fixed, validity)
            .unwrap()
    };
    let made = issue();

    assert_eq!(made.subject().to_string(), "cn=AWS IoT Certificate");
    assert_eq!(made.public_key(), key.public_key());
    assert_eq!(made.not_before().seconds(), NOW.seconds() - 300);
    assert_eq!(made.not_after().to_string(), "2049-12-31T23:59:59.000Z");
    assert_eq!(
        made.basic_constraints(),
        Some(BasicConstraints {
            ca: false,
            path_len: None
        })
    );
    assert!(made.names_client_auth() && !made.names_server_auth());
    assert_eq!(extension_ids(&made), DEVICE_EXTENSIONS);
    assert_eq!(
        made.authority_key_id(),
        authority.certificate().subject_key_id()
    );
    verify_issued_by(&made, authority.certificate()).unwrap();

    let again = issue();
    assert_ne!(
        again.serial(),
        made.serial(),
        "the same request twice gives two certificates"
    );
    assert_ne!(again.id(), made.id());
}

#[test]
fn nothing_but_subject_and_key_comes_out_of_a_request() {
    #[track_caller]
    fn check(csr: &Csr) -> Certificate {
        let authority = device_authority();
        let subject = Subject::Requested(csr.subject());
        let made = authority.issue(csr.public_key(), subject, year()).unwrap();
        assert_eq!(made.subject().der(), csr.subject().der());
        assert_eq!(made.public_key(), csr.public_key());
        assert!(!made.is_ca());
        assert_eq!(extension_ids(&made), DEVICE_EXTENSIONS);
        assert!(made.subject_alternative().is_empty());
        verify_issued_by(&made, authority.certificate()).unwrap();
        made
    }
    check(&Csr::parse_pem(fixture!("wants-ca.csr")).unwrap());
    check(&Csr::parse_pem(fixture!("no-subject.csr")).unwrap());
    check(&Csr::parse_pem(fixture!("rsa-2048.csr")).unwrap());
    let made = check(&Csr::parse_pem(fixture!("repeated.csr")).unwrap());
    assert_eq!(
        made.subject().values_of(NameAttribute::OrganizationalUnit),
        ["Line 1", "Line 2"]
    );

    let mut params = named("wants everything");
    params.is_ca = IsCa::Ca(RcgenConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.subject_alt_names = vec![rcgen::SanType::DnsName(
        "evil.example.com".try_into().unwrap(),
    )];
    params.custom_extensions = vec![CustomExtension::from_oid_content(&[1, 2, 3], vec![5, 0])];
    let key = KeyPair::generate().unwrap();
    check(&Csr::parse_der(params.serialize_request(&key).unwrap().der()).unwrap());
}

#[test]
fn validity_is_bounded() {
    #[track_caller]
    fn check(now: i64, not_after: i64, expected: bool) {
        let (now, end) = (
            Timestamp::from_seconds(now),
            Timestamp::from_seconds(not_after),
        );
        assert_eq!(
            Validity::until(now, end).is_ok(),
            expected,
            "{now} to {end}"
        );
    }
    check(299, 1000, false);
    check(300, 1000, true);
    check(1000, 700, false);
    check(1000, 701, true);
    check(1000, LAST_SECOND.seconds(), true);
    check(1000, LAST_SECOND.seconds() + 1, false);
}

#[test]
fn years_are_written_with_two_digits_until_2049() {
    let end = Timestamp::from_civil(2060, 6, 1, 12, 0, 0).unwrap();
    let authority = DeviceAuthority::create("far", Validity::until(NOW, end).unwrap()).unwrap();
    let key = generate_key(KeyKind::EcdsaP256).unwrap();
    for (year, generalized) in [(2049, false), (2050, true), (2060, true)] {
        let end = Timestamp::from_civil(year, 1, 1, 0, 0, 0).unwrap();
        let validity = Validity::until(NOW, end).unwrap();
        let made = authority
            .issue(key.public_key(), Subject::Fixed, validity)
            .unwrap();
        assert_eq!(made.not_after(), end);
        let (_, x509) = x509_parser::parse_x509_certificate(made.der()).unwrap();
        assert_eq!(
            x509.validity().not_after.is_generalizedtime(),
            generalized,
            "{year}"
        );
        assert!(x509.validity().not_before.is_utctime());
    }
}

#[test]
fn no_certificate_outlives_its_authority() {
    let authority = device_authority();
    let key = generate_key(KeyKind::EcdsaP256).unwrap();
    let end = authority.certificate().not_after();
    let issue = |end| {
        let validity = Validity::until(NOW, end).unwrap();
        authority
            .issue(key.public_key(), Subject::Fixed, validity)
            .map(|_| ())
    };
    assert!(issue(end).is_ok());
    let later = issue(Timestamp::from_seconds(end.seconds() + 1));
    assert!(
        matches!(later, Err(IssueError::OutlivesAuthority { .. })),
        "{later:?}"
    );
}

#[test]
fn authorities_are_authorities_of_leaves_only() {
    let servers = server_authority(&["iot.example.com"]);
    for certificate in [device_authority().certificate(), servers.certificate()] {
        require_ca(certificate).unwrap();
        let expected = BasicConstraints {
            ca: true,
            path_len: Some(0),
        };
        assert_eq!(certificate.basic_constraints(), Some(expected));
        let (_, x509) = x509_parser::parse_x509_certificate(certificate.der()).unwrap();
        let usage = x509.key_usage().unwrap().unwrap();
        assert!(usage.critical && usage.value.key_cert_sign() && usage.value.crl_sign());
        assert!(!usage.value.digital_signature());
    }
    let (_, x509) = x509_parser::parse_x509_certificate(servers.certificate().der()).unwrap();
    assert!(x509.name_constraints().unwrap().unwrap().critical);
    let subject = device_authority().certificate().subject().to_string();
    assert_eq!(subject, "cn=Palisade Device CA test");
}

#[test]
fn authorities_load_again_and_only_as_what_they_are() {
    let devices = device_authority();
    let servers = server_authority(&["iot.example.com"]);
    let (device_pem, server_pem) = (devices.certificate().pem(), servers.certificate().pem());
    let (device_key, server_key) = (devices.private_key_pkcs8(), servers.private_key_pkcs8());

    let loaded = DeviceAuthority::load(&device_pem, &device_key).unwrap();
    let key = generate_key(KeyKind::EcdsaP256).unwrap();
    let made = loaded
        .issue(key.public_key(), Subject::Fixed, year())
        .unwrap();
    verify_issued_by(&made, devices.certificate()).unwrap();
    let loaded = ServerAuthority::load(&server_pem, &server_key).unwrap();
    let made = loaded
        .issue_server(&san_names(&["iot.example.com"]), year())
        .unwrap();
    verify_issued_by(&made.certificate, servers.certificate()).unwrap();

    let wrong = |purpose| format!("the certificate is not that of a {purpose} authority");
    let message = |error: IssueError| error.to_string();
    let swapped = DeviceAuthority::load(&server_pem, &server_key).unwrap_err();
    assert_eq!(message(swapped), wrong("device"));
    let swapped = ServerAuthority::load(&device_pem, &device_key).unwrap_err();
    assert_eq!(message(swapped), wrong("server"));
    let leaf = ServerAuthority::load(&made.certificate.pem(), made.key.pkcs8()).unwrap_err();
    assert_eq!(message(leaf), wrong("server"));
    let key = DeviceAuthority::load(&device_pem, &server_key).unwrap_err();
    assert!(matches!(key, IssueError::WrongKey), "{key:?}");
    let key = DeviceAuthority::load(&device_pem, b"no key").unwrap_err();
    assert!(matches!(key, IssueError::Key(KeyError::Private)), "{key:?}");
}

#[test]
fn labels_are_bounded() {
    #[track_caller]
    fn check(label: &str, expected: bool) {
        let found = DeviceAuthority::create(label, year());
        assert_eq!(found.is_ok(), expected, "{label:?}");
    }
    check("plant 7 (north)", true);
    check(&"x".repeat(LABEL_BYTES_MAX), true);
    check(&"x".repeat(LABEL_BYTES_MAX + 1), false);
    check("", false);
    check("line\nbreak", false);
    check("Pümp", false);
}

#[test]
fn server_names_are_read() {
    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        let found = SanName::parse(text).ok().map(|name| name.to_string());
        assert_eq!(found.as_deref(), expected, "{text:?}");
    }
    check("IoT.Example.com", Some("iot.example.com"));
    check("localhost", Some("localhost"));
    check("10.0.0.1", Some("10.0.0.1"));
    check("2001:DB8::0:7", Some("2001:db8::7"));
    for bad in [
        "",
        "*.example.com",
        "a b",
        "example.com.",
        "-",
        "[::1]",
        "a:8883",
        "ü.example",
    ] {
        check(bad, None);
    }
    let longest = [
        &*"a".repeat(63),
        &"b".repeat(63),
        &"c".repeat(63),
        &"d".repeat(61),
    ]
    .join(".");
    check(&longest, Some(&longest));
    check(&format!("{longest}d"), None);
}

// tests aws-iot [EP-17]
#[test]
fn a_server_certificate_is_for_servers_and_its_names() {
    let authority = server_authority(&["iot.example.com", "10.0.0.1", "2001:db8::7"]);
    let names = [
        "iot.example.com",
        "localhost",
        "10.0.0.1",
        "127.0.0.1",
        "::1",
        "2001:db8::7",
    ];
    let server = authority.issue_server(&san_names(&names), year()).unwrap();
    let certificate = &server.certificate;
    assert!(certificate.names_server_auth() && !certificate.names_client_auth());
    assert!(!certificate.is_ca());
    assert_eq!(certificate.public_key(), server.key.public_key());
    let end_entity = webpki::EndEntityCert::try_from(certificate.der()).unwrap();
    for name in names {
        let name = ServerName::try_from(name).unwrap();
        end_entity.verify_is_valid_for_subject_name(&name).unwrap();
    }
}

#[test]
fn a_server_authority_speaks_for_its_own_names_only() {
    let authority = server_authority(&["iot.example.com", "10.0.0.1"]);
    let check = |name: &str, expected: bool| {
        let found = authority.issue_server(&san_names(&[name]), year());
        let permitted = match found {
            Ok(_) => true,
            Err(IssueError::NamesNotPermitted { names }) => {
                assert_eq!(names, name);
                false
            }
            Err(other) => panic!("{other}"),
        };
        assert_eq!(permitted, expected, "{name}");
    };
    check("iot.example.com", true);
    check("deeper.iot.example.com", true); // X.509 cannot forbid it
    check("example.com", false);
    check("evil-iot.example.com", false);
    check("localhost", true);
    check("127.9.9.9", true);
    check("::1", true);
    check("10.0.0.1", true);
    check("10.0.0.2", false);
    check("::2", false);
}

/// What a thief of the authority's key would make, bypassing [`ServerAuthority::issue_server`].
#[test]
fn clients_refuse_a_server_outside_the_constraints() {
    let authority = server_authority(&["iot.example.com"]);
    let anchor = webpki::anchor_from_trusted_cert(authority.certificate().der()).unwrap();
    let ca_key = key_pair(&authority.private_key_pkcs8()).unwrap();
    let issuer = rcgen::Issuer::from_ca_cert_der(authority.certificate().der(), &ca_key).unwrap();
    let refused = |name: &str| {
        let mut params = named("thief");
        params.subject_alt_names = vec![rcgen::SanType::DnsName(name.try_into().unwrap())];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().unwrap();
        let made = params.signed_by(&key, &issuer).unwrap();
        let at = UnixTime::since_unix_epoch(Duration::from_millis(NOW.millis().unsigned_abs()));
        let server = webpki::EndEntityCert::try_from(made.der()).unwrap();
        let anchors = [anchor.clone()];
        let usage = webpki::KeyUsage::server_auth();
        let known = webpki::ALL_VERIFICATION_ALGS;
        server
            .verify_for_usage(known, &anchors, &[], at, usage, None, None)
            .err()
    };
    assert_eq!(refused("iot.example.com"), None);
    assert_eq!(
        refused("bank.example.com"),
        Some(webpki::Error::NameConstraintViolation)
    );
}

#[test]
fn the_number_of_names_is_bounded() {
    let authority = server_authority(&["example.com"]);
    let check = |count: usize, expected: bool| {
        let names: Vec<SanName> = (0..count)
            .map(|at| {
                DnsName::try_from(format!("n{at}.example.com"))
                    .map(SanName::Dns)
                    .unwrap()
            })
            .collect();
        assert_eq!(
            authority.issue_server(&names, year()).is_ok(),
            expected,
            "{count}"
        );
        let created = ServerAuthority::create("x", &names, year());
        assert_eq!(created.is_ok(), expected || count == 0, "{count}");
    };
    check(0, false);
    check(1, true);
    check(NAMES_MAX, true);
    check(NAMES_MAX + 1, false);
}

#[test]
fn keys_are_not_printed() {
    let printed = format!("{:?}", device_authority());
    assert_eq!(
        printed,
        r#"DeviceAuthority { signer: Signer(Name("cn=Palisade Device CA test"), <redacted>) }"#
    );
}
