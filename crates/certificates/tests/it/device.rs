use serde_json::{Value, json};

use crate::fixture::{self, Ca, id, locked};
use crate::world::{World, each_world, migrations};

// tests aws-iot [CT-1]
// tests aws-iot [CT-3]
#[test]
fn keys_and_certificates_are_made() {
    each_world(|world| {
        let made = world.ok("CreateKeysAndCertificate", json!({}));
        let pem = text(&made, "certificatePem");
        assert_eq!(text(&made, "certificateId"), id(pem));
        assert_eq!(
            text(&made, "certificateArn"),
            world.arn(&format!("cert/{}", id(pem)))
        );
        let certificate = pki::Certificate::parse_pem(pem).expect("a certificate");
        let common_name = certificate
            .subject()
            .values_of(pki::NameAttribute::CommonName);
        assert_eq!(common_name, ["AWS IoT Certificate"]);
        assert!(!certificate.is_ca());
        assert_eq!(
            certificate.not_after().to_string(),
            "2049-12-31T23:59:59.000Z"
        );
        assert!(certificate.not_before() < world.now());

        let keys = &made["keyPair"];
        assert_eq!(text(keys, "PublicKey"), certificate.public_key().pem());
        assert!(text(keys, "PrivateKey").starts_with("-----BEGIN PRIVATE KEY-----\n"));
        assert_eq!(world.status(&id(pem)), "INACTIVE");

        let active = world.ok("CreateKeysAndCertificate", json!({"setAsActive": true}));
        assert_eq!(world.status(text(&active, "certificateId")), "ACTIVE");
        assert_ne!(active["keyPair"], made["keyPair"]);
    });
}

// The answer is the only place where a private key ever is.
#[test]
fn no_private_key_is_stored() {
    each_world(|world| {
        world.ok("CreateKeysAndCertificate", json!({}));
        let written = world.read(|tx| {
            let mut written = tx.query("SELECT record FROM trail_events", &[])?;
            written.extend(tx.query("SELECT pem FROM certificates", &[])?);
            let texts = written.iter().map(|row| row.text(0));
            Ok(texts.collect::<Result<Vec<String>, _>>()?)
        });
        assert_eq!(written.len(), 2);
        assert!(
            written.iter().all(|text| !text.contains("PRIVATE KEY")),
            "{written:?}"
        );
    });
}

// tests aws-iot [CT-3]: RSA 2048, in the form AWS returns it.
#[test]
fn rsa_keys_are_made_when_asked_for() {
    testkit::each_database_and_clock(&migrations(), |storage, clock| {
        let world = World::with_keys(storage, clock, pki::KeyKind::Rsa2048);
        let made = world.ok("CreateKeysAndCertificate", json!({}));
        let certificate =
            pki::Certificate::parse_pem(text(&made, "certificatePem")).expect("a certificate");
        assert_eq!(
            certificate.public_key().algorithm(),
            pki::KeyAlgorithm::Rsa { bits: 2048 }
        );
        let private = text(&made["keyPair"], "PrivateKey");
        assert!(private.starts_with("-----BEGIN RSA PRIVATE KEY-----\n"));
    });
}

#[test]
fn requests_are_signed() {
    each_world(|world| {
        let csr = fixture::csr("pump-7");
        let input = json!({"certificateSigningRequest": csr, "setAsActive": true});
        let first = world.ok("CreateCertificateFromCsr", input.clone());
        let certificate =
            pki::Certificate::parse_pem(text(&first, "certificatePem")).expect("a certificate");
        let common_name = certificate
            .subject()
            .values_of(pki::NameAttribute::CommonName);
        assert_eq!(common_name, ["pump-7"]);
        assert_eq!(world.status(text(&first, "certificateId")), "ACTIVE");
        assert!(first.get("keyPair").is_none());

        let second = world.ok("CreateCertificateFromCsr", input);
        assert_ne!(first["certificateId"], second["certificateId"]);
        let inactive = world.ok(
            "CreateCertificateFromCsr",
            json!({"certificateSigningRequest": csr}),
        );
        assert_eq!(world.status(text(&inactive, "certificateId")), "INACTIVE");
    });
}

#[test]
fn bad_requests_are_refused() {
    each_world(|world| {
        for (csr, says) in [
            ("not a request".to_owned(), "CERTIFICATE REQUEST"),
            (fixture::self_signed("pump-7"), "CERTIFICATE REQUEST"),
            (
                fixture::with_broken_signature(&fixture::csr("pump-7")),
                "certificateSigningRequest",
            ),
            ("x".repeat(4097), "certificateSigningRequest"),
        ] {
            let input = json!({"certificateSigningRequest": csr});
            world.refused(
                "CreateCertificateFromCsr",
                input,
                "InvalidRequestException",
                says,
            );
        }
        world.refused(
            "CreateCertificateFromCsr",
            json!({}),
            "InvalidRequestException",
            "",
        );
        assert_eq!(world.count(), 0);
    });
}

#[test]
fn certificates_of_an_authority_are_registered() {
    each_world(|world| {
        let ca = Ca::new("Pump Works");
        world.register_ca(&ca, json!({"setAsActive": true}));
        for (further, status) in [
            (json!({}), "INACTIVE"),
            (json!({"setAsActive": true}), "ACTIVE"),
            (json!({"setAsActive": false}), "INACTIVE"),
            (json!({"status": "ACTIVE"}), "ACTIVE"),
            (json!({"status": "REGISTER_INACTIVE"}), "INACTIVE"),
            (json!({"status": "REVOKED"}), "REVOKED"),
            (
                json!({"status": "INACTIVE", "setAsActive": true}),
                "INACTIVE",
            ),
            (json!({"caCertificatePem": ca.pem}), "INACTIVE"),
        ] {
            let pem = ca.sign("pump-7");
            let input = merged(json!({"certificatePem": pem}), further);
            let registered = world.ok("RegisterCertificate", input);
            assert_eq!(text(&registered, "certificateId"), id(&pem));
            assert_eq!(
                text(&registered, "certificateArn"),
                world.arn(&format!("cert/{}", id(&pem)))
            );
            let described = world.described(&id(&pem));
            assert_eq!(described["status"], status);
            assert_eq!(described["caCertificateId"], ca.id());
            assert_eq!(described["certificateMode"], "DEFAULT");
            assert_eq!(described["certificatePem"], pem.replace("\r\n", "\n"));
        }
    });
}

// tests aws-iot [CT-22]
#[test]
fn a_certificate_takes_the_mode_of_its_authority() {
    each_world(|world| {
        let ca = Ca::new("Pump Works");
        world.ok(
            "RegisterCACertificate",
            json!({"caCertificate": ca.pem, "certificateMode": "SNI_ONLY", "setAsActive": true}),
        );
        let pem = ca.sign("pump-7");
        world.ok("RegisterCertificate", json!({"certificatePem": pem}));
        assert_eq!(world.described(&id(&pem))["certificateMode"], "SNI_ONLY");
    });
}

#[test]
fn registrations_that_do_not_hold_are_refused() {
    each_world(|world| {
        let (active, inactive) = (Ca::new("Active"), Ca::new("Inactive"));
        world.register_ca(&active, json!({"setAsActive": true}));
        world.register_ca(&inactive, json!({}));
        let impostor = Ca::new("Active");
        let stranger = Ca::new("Stranger");
        let (invalid, validation) = ("InvalidRequestException", "CertificateValidationException");
        let pem = |pem: String| json!({"certificatePem": pem});
        for (input, exception, says) in [
            (json!({}), invalid, "certificatePem"),
            (
                pem("x".to_owned()),
                validation,
                "certificatePem: certificate: no complete",
            ),
            (pem("x".repeat(65_537)), invalid, "certificatePem"),
            (
                pem(stranger.sign("a")),
                validation,
                "no registered CA certificate has the subject",
            ),
            (pem(impostor.sign("a")), validation, "was not signed by"),
            (
                pem(fixture::self_signed("a")),
                validation,
                "no registered CA certificate",
            ),
            (
                pem(inactive.sign("a")),
                "CertificateStateException",
                "is INACTIVE",
            ),
            (
                json!({"certificatePem": active.sign("a"), "caCertificatePem": stranger.pem}),
                validation,
                "is not registered",
            ),
            (
                json!({"certificatePem": active.sign("a"), "caCertificatePem": inactive.pem}),
                validation,
                "as its issuer, not",
            ),
            (
                json!({"certificatePem": active.sign("a"), "caCertificatePem": "x"}),
                validation,
                "caCertificatePem",
            ),
            (
                json!({"certificatePem": active.sign("a"), "status": "PENDING_ACTIVATION"}),
                invalid,
                "PENDING_ACTIVATION",
            ),
            (
                json!({"certificatePem": active.sign("a"), "status": "PENDING_TRANSFER"}),
                invalid,
                "PENDING_TRANSFER",
            ),
            (
                json!({"certificatePem": active.sign("a"), "status": "x"}),
                invalid,
                "status",
            ),
        ] {
            world.refused("RegisterCertificate", input, exception, says);
        }
        assert_eq!(world.count(), 0);
    });
}

// A private key that comes along is said to be disclosed, and nothing is registered.
#[test]
fn a_private_key_is_turned_away() {
    each_world(|world| {
        let (pem, key) = fixture::with_key("pump-7");
        let validation = "CertificateValidationException";
        let says = "holds a private key";
        let certificate = json!({"certificatePem": format!("{pem}{key}")});
        for operation in ["RegisterCertificate", "RegisterCertificateWithoutCA"] {
            world.refused(operation, certificate.clone(), validation, says);
        }
        let authority = json!({"caCertificate": format!("{key}{pem}")});
        world.refused("RegisterCACertificate", authority, validation, says);
        let request = json!({"certificateSigningRequest": fixture::csr("pump-7") + &key});
        let invalid = "InvalidRequestException";
        world.refused("CreateCertificateFromCsr", request, invalid, says);
        assert_eq!(world.count(), 0);
    });
}

// A name may be as long as a certificate, and say whatever its maker likes.
#[test]
fn a_message_holds_a_bounded_part_of_a_name() {
    each_world(|world| {
        let stranger = Ca::new(&format!("a\n{}", "ü".repeat(10_000)));
        let input = json!({"certificatePem": stranger.sign("a")});
        let (exception, says) = ("CertificateValidationException", r"a\0Aü");
        let error = world.refused("RegisterCertificate", input, exception, says);
        assert!(error.message.chars().count() < 400, "{}", error.message);
        assert!(!error.message.contains(char::is_control));
    });
}

#[test]
fn an_authority_must_be_named_when_several_share_the_subject() {
    each_world(|world| {
        let (first, second) = (Ca::new("Twins"), Ca::new("Twins"));
        world.register_ca(&first, json!({"setAsActive": true}));
        world.register_ca(&second, json!({"setAsActive": true}));
        let pem = second.sign("pump-7");
        let input = json!({"certificatePem": pem});
        world.refused(
            "RegisterCertificate",
            input,
            "CertificateConflictException",
            "caCertificatePem",
        );
        let wrong = json!({"certificatePem": pem, "caCertificatePem": first.pem});
        world.refused(
            "RegisterCertificate",
            wrong,
            "CertificateValidationException",
            "was not signed by",
        );
        let right = json!({"certificatePem": pem, "caCertificatePem": second.pem});
        world.ok("RegisterCertificate", right);
        assert_eq!(world.described(&id(&pem))["caCertificateId"], second.id());
    });
}

#[test]
fn certificates_without_an_authority_are_registered() {
    each_world(|world| {
        for (status, expected) in [
            (Value::Null, "INACTIVE"),
            (json!("ACTIVE"), "ACTIVE"),
            (json!("REVOKED"), "REVOKED"),
        ] {
            let pem = fixture::self_signed("pump-7");
            let mut input = json!({"certificatePem": pem});
            if !status.is_null() {
                input["status"] = status;
            }
            let registered = world.ok("RegisterCertificateWithoutCA", input);
            let described = world.described(text(&registered, "certificateId"));
            assert_eq!(described["status"], expected);
            assert_eq!(described["certificateMode"], "SNI_ONLY");
            assert!(described.get("caCertificateId").is_none());
        }
        for (input, exception) in [
            (json!({}), "InvalidRequestException"),
            (
                json!({"certificatePem": "x"}),
                "CertificateValidationException",
            ),
            (
                json!({"certificatePem": fixture::self_signed("a"), "status": "PENDING_TRANSFER"}),
                "InvalidRequestException",
            ),
        ] {
            world.refused("RegisterCertificateWithoutCA", input, exception, "");
        }
    });
}

#[test]
fn a_certificate_is_registered_once() {
    each_world(|world| {
        let ca = Ca::new("Pump Works");
        world.register_ca(&ca, json!({"setAsActive": true}));
        let pem = ca.sign("pump-7");
        world.ok("RegisterCertificate", json!({"certificatePem": pem}));
        for operation in ["RegisterCertificate", "RegisterCertificateWithoutCA"] {
            let error = world.refused(
                operation,
                json!({"certificatePem": pem}),
                "ResourceAlreadyExistsException",
                &id(&pem),
            );
            let arn = world.arn(&format!("cert/{}", id(&pem)));
            assert_eq!(
                error.members,
                [("resourceId", id(&pem)), ("resourceArn", arn)]
            );
        }
    });
}

// tests aws-iot [CT-10]: expiry is asked at the TLS door, not here.
#[test]
fn an_expired_certificate_can_be_registered() {
    each_world(|world| {
        let pem = fixture::expired("pump-7");
        world.ok(
            "RegisterCertificateWithoutCA",
            json!({"certificatePem": pem}),
        );
        let validity = &world.described(&id(&pem))["validity"];
        assert!(validity["notAfter"].as_f64() < Some(world.now().epoch_seconds()));
    });
}

// tests aws-iot [CT-4]
#[test]
fn a_description_says_everything() {
    each_world(|world| {
        let made = world.ok("CreateKeysAndCertificate", json!({"setAsActive": true}));
        let certificate_id = text(&made, "certificateId");
        let created = world.now().epoch_seconds();
        let mut described = world.described(certificate_id);
        let generation = described["generationId"].take();
        assert_eq!(generation.as_str().map(str::len), Some(36));
        let certificate =
            pki::Certificate::parse_pem(text(&made, "certificatePem")).expect("a certificate");
        let expected = json!({
            "certificateArn": made["certificateArn"],
            "certificateId": certificate_id,
            "status": "ACTIVE",
            "certificatePem": made["certificatePem"],
            "ownedBy": "111122223333",
            "creationDate": created,
            "lastModifiedDate": created,
            "customerVersion": 1,
            "generationId": null,
            "validity": {
                "notBefore": certificate.not_before().epoch_seconds(),
                "notAfter": certificate.not_after().epoch_seconds(),
            },
            "certificateMode": "DEFAULT",
        });
        assert_eq!(described, expected);

        world.advance_ms(1500);
        world.set_status(certificate_id, "REVOKED");
        let described = world.described(certificate_id);
        assert_eq!(described["customerVersion"], 2);
        assert_eq!(described["creationDate"], created);
        assert_eq!(described["lastModifiedDate"], created + 1.5);
        assert_eq!(described["generationId"], generation);

        for (certificate_id, exception) in [
            ("0".repeat(64), "ResourceNotFoundException"),
            ("0".repeat(63), "InvalidRequestException"),
            ("Z".repeat(64), "InvalidRequestException"),
        ] {
            let input = json!({"certificateId": certificate_id});
            world.refused("DescribeCertificate", input, exception, "");
        }
    });
}

// tests aws-iot [CT-30]
#[test]
fn a_status_changes_as_the_table_says() {
    each_world(|world| {
        let (state, invalid) = ("CertificateStateException", "InvalidRequestException");
        for (from, to, outcome) in [
            ("ACTIVE", "ACTIVE", Ok(false)),
            ("ACTIVE", "INACTIVE", Ok(true)),
            ("ACTIVE", "REGISTER_INACTIVE", Ok(true)),
            ("ACTIVE", "REVOKED", Ok(true)),
            ("ACTIVE", "PENDING_TRANSFER", Err(invalid)),
            ("ACTIVE", "PENDING_ACTIVATION", Err(invalid)),
            ("INACTIVE", "ACTIVE", Ok(true)),
            ("INACTIVE", "INACTIVE", Ok(false)),
            ("INACTIVE", "REVOKED", Ok(true)),
            ("REVOKED", "ACTIVE", Err(state)),
            ("REVOKED", "INACTIVE", Err(state)),
            ("REVOKED", "REVOKED", Ok(false)),
            ("REVOKED", "PENDING_ACTIVATION", Err(invalid)),
        ] {
            let certificate_id = world.certificate(from);
            world.changes();
            let input = json!({"certificateId": certificate_id, "newStatus": to});
            match outcome {
                Ok(changes) => {
                    world.ok("UpdateCertificate", input);
                    let to = to.trim_start_matches("REGISTER_");
                    assert_eq!(world.status(&certificate_id), to, "{from} to {to}");
                    let announced = vec![("certificate".to_owned(), certificate_id)];
                    assert_eq!(world.changes(), if changes { announced } else { vec![] });
                }
                Err(exception) => {
                    world.refused("UpdateCertificate", input, exception, "");
                    assert_eq!(world.status(&certificate_id), from);
                    assert_eq!(world.changes(), []);
                }
            }
        }
        let input = json!({"certificateId": "0".repeat(64), "newStatus": "ACTIVE"});
        world.refused("UpdateCertificate", input, "ResourceNotFoundException", "");
        let input = json!({"certificateId": "0".repeat(64)});
        world.refused("UpdateCertificate", input, invalid, "newStatus");
    });
}

// tests aws-iot [CT-32]
#[test]
fn deletion_asks_for_the_status_and_for_what_is_attached() {
    each_world(|world| {
        let conflict = "DeleteConflictException";
        for (status, things, policies, force, outcome) in [
            ("INACTIVE", false, false, false, Ok(())),
            ("REVOKED", false, false, false, Ok(())),
            (
                "ACTIVE",
                false,
                false,
                false,
                Err("CertificateStateException"),
            ),
            (
                "ACTIVE",
                false,
                false,
                true,
                Err("CertificateStateException"),
            ),
            ("INACTIVE", true, false, false, Err(conflict)),
            ("INACTIVE", true, false, true, Err(conflict)),
            ("INACTIVE", false, true, false, Err(conflict)),
            ("INACTIVE", false, true, true, Ok(())),
            ("REVOKED", true, true, true, Err(conflict)),
        ] {
            let certificate_id = world.certificate(status);
            let arn = world.arn(&format!("cert/{certificate_id}"));
            if things {
                locked(&world.attached.things).insert(arn.clone());
            }
            if policies {
                locked(&world.attached.policies).insert(arn.clone());
            }
            world.changes();
            let input = json!({"certificateId": certificate_id, "forceDelete": force});
            match outcome {
                Ok(()) => {
                    assert_eq!(world.ok("DeleteCertificate", input.clone()), json!({}));
                    assert!(!locked(&world.attached.policies).contains(&arn));
                    let announced = ("certificate".to_owned(), certificate_id);
                    assert_eq!(world.changes(), [announced]);
                    world.refused("DeleteCertificate", input, "ResourceNotFoundException", "");
                }
                Err(exception) => {
                    world.refused("DeleteCertificate", input, exception, &certificate_id);
                    assert_eq!(world.status(&certificate_id), status);
                    assert_eq!(locked(&world.attached.policies).contains(&arn), policies);
                }
            }
        }
    });
}

#[test]
fn lists_go_by_creation_either_way() {
    each_world(|world| {
        let ids: Vec<String> = (0..5)
            .map(|_| {
                world.advance_ms(10);
                world.certificate("INACTIVE")
            })
            .collect();
        let newest_first: Vec<String> = ids.iter().rev().cloned().collect();
        let list = "ListCertificates";
        let oldest_first = json!({"ascendingOrder": true});
        assert_eq!(world.listed(list, oldest_first).concat(), ids);
        let whole = world.listed(list, json!({"pageSize": 5}));
        assert_eq!(whole.len(), 1);
        assert_eq!(whole.concat(), newest_first);
        let pages = world.listed(list, json!({"pageSize": 2}));
        assert_eq!(pages.concat(), newest_first);
        assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1]);
        let pages = world.listed(list, json!({"pageSize": 4, "ascendingOrder": true}));
        assert_eq!(pages.concat(), ids);

        let first = world.ok(list, json!({"pageSize": 1, "ascendingOrder": true}));
        let item = &first["certificates"][0];
        let expected = json!({
            "certificateArn": world.arn(&format!("cert/{}", ids[0])),
            "certificateId": ids[0],
            "status": "INACTIVE",
            "certificateMode": "SNI_ONLY",
            "creationDate": world.described(&ids[0])["creationDate"],
        });
        assert_eq!(*item, expected);
    });
}

// Everything here has the same creation time: the id alone orders it.
#[test]
fn pages_divide_what_was_created_in_one_moment() {
    each_world(|world| {
        let mut ids: Vec<String> = (0..5).map(|_| world.certificate("INACTIVE")).collect();
        ids.sort();
        for size in 1..=6 {
            let input = json!({"pageSize": size, "ascendingOrder": true});
            assert_eq!(world.listed("ListCertificates", input).concat(), ids);
            let backwards = world
                .listed("ListCertificates", json!({"pageSize": size}))
                .concat();
            assert_eq!(backwards, ids.iter().rev().cloned().collect::<Vec<_>>());
        }
    });
}

// tests aws-iot [HT-30]
#[test]
fn a_scan_loses_nothing_and_takes_only_its_own_markers() {
    each_world(|world| {
        let before: Vec<String> = (0..4).map(|_| world.certificate("INACTIVE")).collect();
        let page = world.ok(
            "ListCertificates",
            json!({"pageSize": 2, "ascendingOrder": true}),
        );
        let marker = text(&page, "nextMarker");
        world.advance_ms(1);
        let later = world.certificate("INACTIVE");
        let input = json!({"pageSize": 250, "ascendingOrder": true, "marker": marker});
        let rest = world.ok("ListCertificates", input);
        let found: Vec<&str> = [&page, &rest].into_iter().flat_map(ids_of).collect();
        assert!(before.iter().all(|id| found.contains(&id.as_str())));
        assert_eq!(found.last(), Some(&later.as_str()));
        assert_eq!(found.len(), 5);
        assert!(rest.get("nextMarker").is_none());

        let mut forged = marker.to_owned();
        forged.replace_range(..1, if marker.starts_with('A') { "B" } else { "A" });
        let authority = "0".repeat(64);
        for (operation, input) in [
            (
                "ListCertificates",
                json!({"marker": forged, "ascendingOrder": true}),
            ),
            ("ListCertificates", json!({"marker": marker})),
            (
                "ListCertificates",
                json!({"marker": "AAAA", "ascendingOrder": true}),
            ),
            (
                "ListCertificates",
                json!({"marker": "!", "ascendingOrder": true}),
            ),
            (
                "ListCertificatesByCA",
                json!({"caCertificateId": authority, "marker": marker, "ascendingOrder": true}),
            ),
            (
                "ListCACertificates",
                json!({"marker": marker, "ascendingOrder": true}),
            ),
            (
                "ListOutgoingCertificates",
                json!({"marker": marker, "ascendingOrder": true}),
            ),
            ("ListCertificates", json!({"pageSize": 0})),
            ("ListCertificates", json!({"pageSize": 251})),
        ] {
            world.refused(operation, input, "InvalidRequestException", "");
        }
    });
}

#[test]
fn the_certificates_of_an_authority_are_listed() {
    each_world(|world| {
        let (first, second) = (Ca::new("First"), Ca::new("Second"));
        for ca in [&first, &second] {
            world.register_ca(ca, json!({"setAsActive": true}));
        }
        let signed: Vec<String> = (0..3)
            .map(|_| {
                world.advance_ms(1);
                let pem = first.sign("pump");
                world.ok("RegisterCertificate", json!({"certificatePem": pem}));
                id(&pem)
            })
            .collect();
        world.certificate("INACTIVE");
        let input = json!({"caCertificateId": first.id(), "ascendingOrder": true, "pageSize": 2});
        assert_eq!(world.listed("ListCertificatesByCA", input).concat(), signed);
        for (ca, count) in [(first.id(), 3), (second.id(), 0), ("0".repeat(64), 0)] {
            let pages = world.listed("ListCertificatesByCA", json!({"caCertificateId": ca}));
            assert_eq!(pages.concat().len(), count);
        }
        // The list outlives the authority.
        world.ok(
            "UpdateCACertificate",
            json!({"certificateId": first.id(), "newStatus": "INACTIVE"}),
        );
        world.ok("DeleteCACertificate", json!({"certificateId": first.id()}));
        let pages = world.listed(
            "ListCertificatesByCA",
            json!({"caCertificateId": first.id()}),
        );
        assert_eq!(pages.concat().len(), 3);
    });
}

#[test]
fn every_arrival_is_announced() {
    each_world(|world| {
        world.changes();
        let made = world.ok("CreateKeysAndCertificate", json!({}));
        let announced = (
            "certificate".to_owned(),
            text(&made, "certificateId").to_owned(),
        );
        assert_eq!(world.changes(), [announced]);
    });
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member]
        .as_str()
        .unwrap_or_else(|| panic!("no text `{member}` in {value}"))
}

fn ids_of(page: &Value) -> Vec<&str> {
    let items = page["certificates"].as_array().expect("a list");
    items
        .iter()
        .map(|item| text(item, "certificateId"))
        .collect()
}

fn merged(mut into: Value, from: Value) -> Value {
    let (Value::Object(target), Value::Object(source)) = (&mut into, from) else {
        panic!("two objects are needed");
    };
    target.extend(source);
    into
}
