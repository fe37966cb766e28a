//! Variables that read the certificate.

use policy::NameAttribute::{CommonName, OrganizationalUnit};
use policy::Verdict::{Allowed as A, ExplicitDeny as E, ImplicitDeny as I};
use policy::{AlternativeName, Hardening};

use crate::fixture::World;

const CN: &str = "iot:Certificate.Subject.CommonName";

fn named(values: &[&str]) -> World {
    World::with(&format!("Allow Publish topic/${{{CN}}}")).common_names(values)
}

// tests aws-iot [PL-32]
#[test]
fn substitutes_what_cannot_be_mistaken_for_a_pattern() {
    named(&["pump-7"]).check("Publish pump-7", A);
    named(&[]).check("Publish pump-7", I);
    for special in ["a*b", "a$b", "a+b", "a?b", "a#b"] {
        named(&[special]).check(&format!("Publish {special}"), I);
    }
    for special in [',', '"', '\\', '=', '<', '>', ';'] {
        let name = format!("a{special}b");
        named(&[&name]).check(&format!("Publish {name}"), I);
        named(&[&name]).check(&format!("Publish a\\{special}b"), A);
    }
    let (longest, longer) = ("é".repeat(1_024), "é".repeat(1_025));
    named(&[&longest]).check(&format!("Publish {longest}"), A);
    named(&[&longer]).check(&format!("Publish {longer}"), I);
}

// tests aws-iot [PL-30]
// tests aws-iot [PL-32]: a value that is not substituted is undefined.
#[test]
fn a_special_value_does_not_escape_a_deny() {
    let world = World::with(&format!("Allow Publish *; Deny Publish topic/${{{CN}}}/x"))
        .common_names(&["a*b"]);
    assert_eq!(world.decide("Publish a*b/x", Hardening::aws()), A);
    assert_eq!(world.decide("Publish a*b/x", Hardening::standard()), E);
}

// core.md 7.4: `.1` is the second value.
#[test]
fn counts_values() {
    let units = ["u0", "u1", "u2", "u3", "u4", "u5"];
    let unit = |suffix: &str| {
        let variable = format!("iot:Certificate.Subject.OrganizationalUnit{suffix}");
        World::with(&format!("Allow Publish topic/${{{variable}}}"))
            .subject(OrganizationalUnit, &units)
    };
    unit("").check("Publish u0", A);
    unit("").check("Publish u1", I);
    unit(".1").check("Publish u1", A);
    unit(".2").check("Publish u2", A);
    unit(".4").check("Publish u4", A);
    unit(".5").check("Publish u5", I);
    unit(".0").check("Publish u0", I);
    unit(".List").check("Publish u0", I);
}

#[test]
fn lists_are_condition_keys() {
    let check = |condition: &str, expected| {
        World::with(&format!("Allow Publish * if {condition}"))
            .common_names(&["a", "b=c"])
            .subject(CommonName, &["d", "e", "f", "g"])
            .check("Publish t", expected);
    };
    let list = format!("{CN}.List");
    check(
        &format!(r#"{{"ForAnyValue:StringEquals":{{"{list}":"a"}}}}"#),
        A,
    );
    check(
        &format!(r#"{{"ForAnyValue:StringEquals":{{"{list}":"b\\=c"}}}}"#),
        A,
    );
    check(
        &format!(r#"{{"ForAnyValue:StringEquals":{{"{list}":"b=c"}}}}"#),
        I,
    );
    check(
        &format!(r#"{{"ForAnyValue:StringEquals":{{"{list}":"f"}}}}"#),
        A,
    );
    check(
        &format!(r#"{{"ForAnyValue:StringEquals":{{"{list}":"g"}}}}"#),
        I,
    );
    check(
        &format!(r#"{{"ForAllValues:StringLike":{{"{list}":"?"}}}}"#),
        I,
    );
    check(
        &format!(r#"{{"ForAllValues:StringLike":{{"{list}":["?","b*"]}}}}"#),
        A,
    );
    check(&format!(r#"{{"StringEquals":{{"{CN}":"a"}}}}"#), A);
    check(&format!(r#"{{"StringEquals":{{"{CN}.1":"b\\=c"}}}}"#), A);
    check(&format!(r#"{{"Null":{{"{CN}.4":"false"}}}}"#), A);
    check(&format!(r#"{{"Null":{{"{CN}.5":"true"}}}}"#), A);
    check(
        r#"{"Null":{"iot:Certificate.Issuer.CommonName.List":"true"}}"#,
        A,
    );
}

#[test]
fn available_keys_name_what_has_values() {
    let check = |key: &str, expected| {
        let condition = format!(
            r#"{{"ForAnyValue:StringEquals":{{"iot:Certificate.AvailableKeys":"{key}"}}}}"#
        );
        World::with(&format!("Allow Publish * if {condition}"))
            .common_names(&["a", "b"])
            .check("Publish t", expected);
    };
    check(CN, A);
    check(&format!("{CN}.1"), A);
    check(&format!("{CN}.2"), I);
    check(&format!("{CN}.List"), A);
    check("iot:Certificate.SerialNumber", A);
    check("iot:Certificate.Subject.Country", I);
    check("iot:Certificate.Issuer.CommonName", I);
}

#[test]
fn every_field_of_both_sides() {
    let mut world = World::with("");
    let certificate = world.facts.certificate.as_mut().unwrap();
    certificate.issuer.push((CommonName, vec!["ca".to_owned()]));
    let dns = AlternativeName::DnsName;
    certificate
        .subject_alternative
        .push((dns, vec!["h0".to_owned(), "h1".to_owned()]));
    certificate
        .issuer_alternative
        .push((AlternativeName::IpAddress, vec!["::1".to_owned()]));
    let check = |variable: &str, value: &str| {
        let world = world
            .clone()
            .and_policy(&format!("Allow Publish topic/${{{variable}}}"));
        world.check(&format!("Publish {value}"), A);
        world
            .unattached()
            .https()
            .check(&format!("Publish {value}"), A);
    };
    check("iot:Certificate.Issuer.CommonName", "ca");
    check("iot:Certificate.Subject.AlternativeName.DNSName", "h0");
    check("iot:Certificate.Subject.AlternativeName.DNSName.1", "h1");
    check("iot:Certificate.Issuer.AlternativeName.IPAddress", "::1");
    let fields = [
        "DistinguishedNameQualifier",
        "Country",
        "Organization",
        "OrganizationalUnit",
        "State",
        "CommonName",
        "SerialNumber",
        "Title",
        "Surname",
        "GivenName",
        "Initials",
        "Pseudonym",
        "GenerationQualifier",
    ];
    for field in fields {
        let attribute = format!("{field:?}");
        let found = ATTRIBUTES
            .iter()
            .find(|a| format!("\"{a:?}\"") == attribute)
            .unwrap();
        let name = format!("iot:Certificate.Subject.{field}");
        World::with(&format!("Allow Publish topic/${{{name}}}"))
            .subject(*found, &["v"])
            .check("Publish v", A);
    }
}

const ATTRIBUTES: [policy::NameAttribute; 13] = {
    use policy::NameAttribute::*;
    [
        DistinguishedNameQualifier,
        Country,
        Organization,
        OrganizationalUnit,
        State,
        CommonName,
        SerialNumber,
        Title,
        Surname,
        GivenName,
        Initials,
        Pseudonym,
        GenerationQualifier,
    ]
};
