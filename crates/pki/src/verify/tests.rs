use rcgen::{DnType, IsCa};

use super::*;
use crate::samples::{PlantCa, fixture, named, parsed, resigned};

const CODE: &str = "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f";

/// The name of the variant, or `ok`.
fn verdict(found: Result<(), VerifyError>) -> &'static str {
    match found {
        Ok(()) => "ok",
        Err(VerifyError::NotCa { .. }) => "not a CA",
        Err(VerifyError::OtherIssuer { .. }) => "other issuer",
        Err(VerifyError::Signature { .. }) => "signature",
        Err(VerifyError::NotTheRegistrationCode) => "not the code",
    }
}

// tests aws-iot [CT-23]
#[test]
fn an_authority_says_so() {
    #[track_caller]
    fn check(pem: &str, expected: &str) {
        assert_eq!(verdict(require_ca(&parsed(pem))), expected);
    }
    check(fixture!("plant-ca.pem"), "ok");
    check(fixture!("v1-ca.pem"), "not a CA");
    check(fixture!("every-attribute.pem"), "not a CA");
}

#[test]
fn one_certificate_vouches_for_another() {
    #[track_caller]
    fn check(certificate: &Certificate, authority: &Certificate, expected: &str) {
        assert_eq!(verdict(verify_issued_by(certificate, authority)), expected);
    }
    let (plant, other) = (PlantCa::new("Plant"), PlantCa::new("Other"));
    let impostor = PlantCa::new("Plant");
    let leaf = plant.issue(&named("pump-7"));
    check(&leaf, &plant.certificate, "ok");
    check(&plant.certificate, &plant.certificate, "ok");
    check(&leaf, &other.certificate, "other issuer");
    check(&leaf, &impostor.certificate, "signature");
    check(&leaf, &leaf, "not a CA");

    let fixture_ca = parsed(fixture!("plant-ca.pem"));
    check(&parsed(fixture!("v1-ec.pem")), &fixture_ca, "ok");
    check(&parsed(fixture!("v1-rsa.pem")), &fixture_ca, "ok");
}

/// A second signature takes no key; the digest of the signed part tells that it is one.
#[test]
fn another_signature_leaves_the_signed_part() {
    let plant = PlantCa::new("Plant");
    let leaf = plant.issue(&named("pump-7"));
    let other = Certificate::parse_der(&resigned(&leaf)).unwrap();
    assert_eq!(verify_issued_by(&other, &plant.certificate), Ok(()));
    assert_ne!(other.id(), leaf.id());
    assert_eq!(other.signed_digest(), leaf.signed_digest());
    assert_eq!(resigned(&other), leaf.der().as_ref());
    let next = plant.issue(&named("pump-7"));
    assert_ne!(next.signed_digest(), leaf.signed_digest());
}

#[test]
fn every_accepted_algorithm_verifies() {
    for pem in [
        fixture!("rsa-2048.pem"),
        fixture!("rsa-3072-sha512.pem"),
        fixture!("rsa-pss.pem"),
        fixture!("prime256v1.pem"),
        fixture!("secp384r1.pem"),
        fixture!("secp521r1.pem"),
    ] {
        let own = parsed(pem);
        assert_eq!(own.signed_by(own.public_key()), Ok(()), "{}", own.subject());
        let stranger = parsed(fixture!("v1-ec.pem"));
        assert!(
            own.signed_by(stranger.public_key()).is_err(),
            "{}",
            own.subject()
        );
    }
}

// tests aws-iot [CT-21]
#[test]
fn registration_needs_the_code_and_the_key() {
    let (plant, other) = (PlantCa::new("Plant"), PlantCa::new("Other"));
    let check = |proof: &Certificate, code: &str, expected: &str| {
        assert_eq!(
            verdict(verify_registration(proof, &plant.certificate, code)),
            expected
        );
    };
    check(&plant.issue(&named(CODE)), CODE, "ok");
    check(
        &plant.issue(&named(&CODE.to_uppercase())),
        CODE,
        "not the code",
    );
    check(&plant.issue(&named("")), CODE, "not the code");
    check(&plant.issue(&named("")), "", "ok");
    check(&other.issue(&named(CODE)), CODE, "other issuer");
    check(
        &PlantCa::new("Plant").issue(&named(CODE)),
        CODE,
        "signature",
    );

    let mut elsewhere = named("x");
    elsewhere.distinguished_name.remove(DnType::CommonName);
    elsewhere
        .distinguished_name
        .push(DnType::OrganizationName, CODE);
    elsewhere.is_ca = IsCa::NoCa;
    check(&plant.issue(&elsewhere), CODE, "not the code");
}
