use x509_parser::asn1_rs::FromDer;
use yasna::models::ObjectIdentifier;
use yasna::tags::{TAG_BMPSTRING, TAG_TELETEXSTRING, TAG_UNIVERSALSTRING};
use yasna::{DERWriter, construct_der};

use super::*;

/// An OID and a writer of its value.
type Pair<'a> = (&'a [u64], &'a dyn Fn(DERWriter<'_>));

/// A name of parts, each of one pair or several.
fn name(parts: &[&[Pair<'_>]]) -> Option<Name> {
    let der = construct_der(|out| {
        out.write_sequence(|out| {
            for part in parts {
                out.next().write_set(|out| {
                    for (oid, value) in *part {
                        out.next().write_sequence(|out| {
                            out.next().write_oid(&ObjectIdentifier::from_slice(oid));
                            value(out.next());
                        });
                    }
                });
            }
        });
    });
    let (_, name) = X509Name::from_der(&der).unwrap();
    let name = Name::read(&name)?;
    assert_eq!(name.der(), der);
    Some(name)
}

const CN: &[u64] = &[2, 5, 4, 3];

#[test]
fn reads_every_kind_of_string() {
    #[track_caller]
    fn check(value: &dyn Fn(DERWriter<'_>), expected: Option<&str>) {
        let found = name(&[&[(CN, value)]]);
        let found = found.map(|name| name.values_of(NameAttribute::CommonName).to_vec());
        assert_eq!(found, expected.map(|text| vec![text.to_owned()]));
    }
    let tagged = |tag, bytes: &'static [u8]| {
        move |out: DERWriter<'_>| out.write_tagged_implicit(tag, |out| out.write_bytes(bytes))
    };
    check(&|out| out.write_utf8_string("Pümp"), Some("Pümp"));
    check(&|out| out.write_printable_string("Pump 7"), Some("Pump 7"));
    check(&|out| out.write_ia5_string("pump@x"), Some("pump@x"));
    check(&|out| out.write_numeric_string("7 7"), Some("7 7"));
    check(&|out| out.write_visible_string("seven"), Some("seven"));
    check(&|out| out.write_bmp_string("Pümp"), Some("Pümp"));
    check(
        &tagged(TAG_BMPSTRING, &[0xd8, 0x3d, 0xde, 0x00]),
        Some("😀"),
    );
    check(&tagged(TAG_BMPSTRING, &[0xd8, 0x3d]), None);
    check(&tagged(TAG_BMPSTRING, &[0x00, 0x41, 0x00]), None);
    check(&tagged(TAG_TELETEXSTRING, &[b'P', 0xfc]), Some("Pü"));
    check(&tagged(TAG_UNIVERSALSTRING, &[0, 0, 0, 0x41]), Some("A"));
    check(&tagged(TAG_UNIVERSALSTRING, &[0, 0x11, 0, 0]), None);
    // The number of a UTF8String, in a class where it means nothing.
    check(&tagged(yasna::Tag::context(12), b"pump"), None);
    check(&tagged(yasna::tags::TAG_UTF8STRING, &[0xff]), None);
    check(&|out| out.write_u8(7), Some("#07"));
}

#[test]
fn writes_the_text_form_of_rfc_4514() {
    #[track_caller]
    fn check(value: &str, expected: &str) {
        let found = name(&[&[(CN, &|out: DERWriter<'_>| out.write_utf8_string(value))]]).unwrap();
        assert_eq!(found.to_string(), format!("cn={expected}"));
        assert_eq!(
            found.values_of(NameAttribute::CommonName),
            [value],
            "values are not escaped"
        );
    }
    check("pump-7", "pump-7");
    check("", "");
    check(r#"a,b"c\d+e=f<g>h;i"#, r#"a\,b\"c\\d\+e\=f\<g\>h\;i"#);
    check("#7 of #8", r"\#7 of #8");
    check(" both ends ", r"\ both ends\ ");
    check(" ", r"\ ");
    check("a\r\nb\0c\u{85}", r"a\0D\0Ab\00c\C2\85");
}

#[test]
fn an_excerpt_is_bounded() {
    #[track_caller]
    fn check(letters: usize, expected: &str) {
        let value = "ü".repeat(letters);
        let found = name(&[&[(CN, &|out: DERWriter<'_>| out.write_utf8_string(&value))]]).unwrap();
        assert_eq!(found.excerpt(), expected, "{letters}");
    }
    let most = format!("cn={}", "ü".repeat(197));
    check(197, &most);
    check(198, &format!("{most}…"));
}

#[test]
fn orders_parts_and_joins_pairs() {
    let text = |text: &'static str| move |out: DERWriter<'_>| out.write_utf8_string(text);
    let found = name(&[
        &[(&[0, 9, 2342, 19_200_300, 100, 1, 25], &text("com"))],
        &[(&[2, 5, 4, 65], &text("Stan"))],
        &[
            (CN, &text("one")),
            (&[0, 9, 2342, 19_200_300, 100, 1, 1], &text("u1")),
        ],
        &[(CN, &text("two"))],
    ])
    .unwrap();
    assert_eq!(
        found.to_string(),
        "cn=two,cn=one+uid=u1,2.5.4.65=Stan,dc=com"
    );
    assert_eq!(found.values_of(NameAttribute::CommonName), ["one", "two"]);
    assert_eq!(found.values_of(NameAttribute::Pseudonym), ["Stan"]);
    assert_eq!(found.values_of(NameAttribute::Title), [""; 0]);
    assert_eq!(name(&[]).unwrap().to_string(), "");
}

// tests aws-iot [PL-32]
#[test]
fn keeps_five_values_of_one_attribute() {
    let text = |out: DERWriter<'_>| out.write_utf8_string("x");
    let pair: &[Pair<'_>] = &[(CN, &text)];
    for (parts, kept) in [(4, 4), (5, 5), (6, 5), (40, 5)] {
        let found = name(&vec![pair; parts]).unwrap();
        assert_eq!(found.values_of(NameAttribute::CommonName).len(), kept);
    }
}

#[test]
fn variable_names_are_those_of_the_contract() {
    let names = NameAttribute::ALL.map(NameAttribute::as_str).join(", ");
    assert_eq!(
        names,
        "DistinguishedNameQualifier, Country, Organization, OrganizationalUnit, State, \
         CommonName, SerialNumber, Title, Surname, GivenName, Initials, Pseudonym, \
         GenerationQualifier"
    );
}
