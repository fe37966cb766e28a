use serde_json::{Value, json};

use crate::fixture::{Ca, id, locked, self_signed};
use crate::world::each_world;

// tests aws-iot [CT-21]
// tests aws-iot [CT-24]
#[test]
fn an_authority_is_registered_with_proof() {
    each_world(|world| {
        for (active, auto) in [
            (None, None),
            (Some(false), Some(false)),
            (Some(true), Some(true)),
        ] {
            let ca = Ca::new("Pump Works");
            let mut further = json!({});
            if let (Some(active), Some(auto)) = (active, auto) {
                further = json!({"setAsActive": active, "allowAutoRegistration": auto});
            }
            world.changes();
            let registered = world.register_ca(&ca, further);
            let arn = world.arn(&format!("cacert/{}", ca.id()));
            assert_eq!(
                registered,
                json!({"certificateArn": arn, "certificateId": ca.id()})
            );
            assert_eq!(world.changes(), [("ca-certificate".to_owned(), ca.id())]);

            let described = world.described_ca(&ca.id());
            let on = active == Some(true);
            assert_eq!(described["status"], if on { "ACTIVE" } else { "INACTIVE" });
            assert_eq!(
                described["autoRegistrationStatus"],
                if on { "ENABLE" } else { "DISABLE" }
            );
            assert_eq!(described["certificateMode"], "DEFAULT");
        }
    });
}

#[test]
fn a_description_says_everything() {
    each_world(|world| {
        let ca = Ca::new("Pump Works");
        world.register_ca(&ca, json!({"setAsActive": true}));
        let created = world.now().epoch_seconds();
        let mut described = world.described_ca(&ca.id());
        assert_eq!(
            described["generationId"].take().as_str().map(str::len),
            Some(36)
        );
        let certificate = pki::Certificate::parse_pem(&ca.pem).expect("a certificate");
        let expected = json!({
            "certificateArn": world.arn(&format!("cacert/{}", ca.id())),
            "certificateId": ca.id(),
            "status": "ACTIVE",
            "certificatePem": certificate.pem(),
            "ownedBy": "111122223333",
            "creationDate": created,
            "autoRegistrationStatus": "DISABLE",
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
        let nobody = json!({"certificateId": "0".repeat(64)});
        world.refused(
            "DescribeCACertificate",
            nobody,
            "ResourceNotFoundException",
            "",
        );
    });
}

// tests aws-iot [CT-21]
// tests aws-iot [CT-23]
#[test]
fn registrations_that_prove_nothing_are_refused() {
    each_world(|world| {
        let ca = Ca::new("Pump Works");
        let other = Ca::new("Pump Works");
        let leaf = Ca::without_constraints("Pump Works");
        let code = world.registration_code();
        let with = |verification: &str| {
            let mut input = json!({"caCertificate": ca.pem});
            input["verificationCertificate"] = json!(verification);
            input
        };
        let (invalid, validation, wrong_code) = (
            "InvalidRequestException",
            "CertificateValidationException",
            "RegistrationCodeValidationException",
        );
        for (input, exception, says) in [
            (json!({}), invalid, "caCertificate"),
            (json!({"caCertificate": "x"}), validation, "caCertificate"),
            (
                json!({"caCertificate": leaf.pem}),
                validation,
                "basicConstraints",
            ),
            (
                json!({"caCertificate": ca.pem}),
                invalid,
                "verificationCertificate is required",
            ),
            (with("x"), validation, "verificationCertificate"),
            (
                with(&ca.sign("something else")),
                wrong_code,
                "registration code",
            ),
            (
                with(&ca.sign(&code.to_uppercase())),
                wrong_code,
                "registration code",
            ),
            (with(&other.sign(&code)), validation, "was not signed by"),
            (with(&self_signed(&code)), validation, "as its issuer, not"),
        ] {
            world.refused("RegisterCACertificate", input, exception, says);
        }
        assert_eq!(
            world.listed("ListCACertificates", json!({})).concat().len(),
            0
        );
    });
}

// tests aws-iot [CT-22]
#[test]
fn a_mode_takes_what_belongs_to_it() {
    each_world(|world| {
        let ca = Ca::new("Pump Works");
        let code = world.registration_code();
        let invalid = "InvalidRequestException";
        for (input, exception, says) in [
            (
                json!({
                    "caCertificate": ca.pem,
                    "verificationCertificate": ca.sign(&code),
                    "certificateMode": "SNI_ONLY",
                }),
                invalid,
                "not allowed",
            ),
            (
                json!({"caCertificate": ca.pem, "certificateMode": "OTHER"}),
                invalid,
                "certificateMode",
            ),
            (
                json!({
                    "caCertificate": ca.pem,
                    "certificateMode": "SNI_ONLY",
                    "registrationConfig": {"templateName": "t"},
                }),
                invalid,
                "provisioning templates are not served",
            ),
        ] {
            world.refused("RegisterCACertificate", input, exception, says);
        }
        let input = json!({"caCertificate": ca.pem, "certificateMode": "SNI_ONLY"});
        world.ok("RegisterCACertificate", input);
        assert_eq!(world.described_ca(&ca.id())["certificateMode"], "SNI_ONLY");
    });
}

// tests aws-iot [CT-20]
#[test]
fn a_verification_needs_the_code_of_now() {
    each_world(|world| {
        let ca = Ca::new("Pump Works");
        let verification = ca.sign(&world.registration_code());
        world.ok("DeleteRegistrationCode", json!({}));
        let input = json!({"caCertificate": ca.pem, "verificationCertificate": verification});
        let wrong_code = "RegistrationCodeValidationException";
        world.refused(
            "RegisterCACertificate",
            input.clone(),
            wrong_code,
            "there is no",
        );
        world.registration_code();
        world.refused(
            "RegisterCACertificate",
            input,
            wrong_code,
            "must be the registration code",
        );
    });
}

#[test]
fn an_authority_is_registered_once() {
    each_world(|world| {
        let ca = Ca::new("Pump Works");
        world.register_ca(&ca, json!({}));
        let input = json!({"caCertificate": ca.pem, "certificateMode": "SNI_ONLY"});
        let exception = "ResourceAlreadyExistsException";
        let error = world.refused("RegisterCACertificate", input, exception, &ca.id());
        let arn = world.arn(&format!("cacert/{}", ca.id()));
        assert_eq!(
            error.members,
            [("resourceId", ca.id()), ("resourceArn", arn)]
        );
    });
}

// tests aws-iot [CT-21]
#[test]
fn ten_authorities_may_share_a_subject() {
    each_world(|world| {
        let input = |ca: &Ca| json!({"caCertificate": ca.pem, "certificateMode": "SNI_ONLY"});
        for _ in 0..10 {
            world.ok("RegisterCACertificate", input(&Ca::new("Many")));
        }
        let eleventh = input(&Ca::new("Many"));
        world.refused(
            "RegisterCACertificate",
            eleventh.clone(),
            "LimitExceededException",
            "10",
        );
        world.ok("RegisterCACertificate", input(&Ca::new("Another")));

        let one = world
            .listed("ListCACertificates", json!({"ascendingOrder": true}))
            .concat();
        let named_many = one.iter().find(|id| {
            let pem = world.described_ca(id)["certificatePem"].clone();
            let pem = pem.as_str().expect("a text").to_owned();
            let certificate = pki::Certificate::parse_pem(&pem).expect("a certificate");
            certificate
                .subject()
                .values_of(pki::NameAttribute::CommonName)
                == ["Many"]
        });
        world.ok("DeleteCACertificate", json!({"certificateId": named_many}));
        world.ok("RegisterCACertificate", eleventh);
    });
}

// tests aws-iot [CT-26]
#[test]
fn an_authority_is_switched() {
    each_world(|world| {
        let ca = Ca::new("Pump Works");
        world.register_ca(&ca, json!({}));
        let mut version = 1;
        for (further, status, auto, changes) in [
            (json!({"newStatus": "ACTIVE"}), "ACTIVE", "DISABLE", true),
            (json!({"newStatus": "ACTIVE"}), "ACTIVE", "DISABLE", false),
            (json!({}), "ACTIVE", "DISABLE", false),
            (
                json!({"newAutoRegistrationStatus": "ENABLE"}),
                "ACTIVE",
                "ENABLE",
                true,
            ),
            (
                json!({"removeAutoRegistration": false}),
                "ACTIVE",
                "ENABLE",
                false,
            ),
            (
                json!({"removeAutoRegistration": true}),
                "ACTIVE",
                "DISABLE",
                true,
            ),
            (
                json!({"newStatus": "INACTIVE", "newAutoRegistrationStatus": "ENABLE"}),
                "INACTIVE",
                "ENABLE",
                true,
            ),
            (
                json!({"newAutoRegistrationStatus": "DISABLE"}),
                "INACTIVE",
                "DISABLE",
                true,
            ),
        ] {
            world.changes();
            world.advance_ms(1000);
            let mut input = further.clone();
            input["certificateId"] = json!(ca.id());
            assert_eq!(world.ok("UpdateCACertificate", input), json!({}));
            let described = world.described_ca(&ca.id());
            assert_eq!(described["status"], status, "{further}");
            assert_eq!(described["autoRegistrationStatus"], auto, "{further}");
            let announced = vec![("ca-certificate".to_owned(), ca.id())];
            assert_eq!(
                world.changes(),
                if changes { announced } else { vec![] },
                "{further}"
            );
            version += i64::from(changes);
            assert_eq!(described["customerVersion"], version, "{further}");
            if changes {
                assert_eq!(described["lastModifiedDate"], world.now().epoch_seconds());
            }
        }
    });
}

#[test]
fn switches_that_make_no_sense_are_refused() {
    each_world(|world| {
        let ca = Ca::new("Pump Works");
        world.register_ca(&ca, json!({}));
        for (further, exception, says) in [
            (
                json!({"newStatus": "REVOKED"}),
                "InvalidRequestException",
                "newStatus",
            ),
            (
                json!({"newAutoRegistrationStatus": "ENABLE", "removeAutoRegistration": true}),
                "InvalidRequestException",
                "contradict",
            ),
            (
                json!({"registrationConfig": {"templateBody": "{}"}}),
                "InvalidRequestException",
                "provisioning templates are not served",
            ),
            (
                json!({"certificateId": "0".repeat(64), "newStatus": "ACTIVE"}),
                "ResourceNotFoundException",
                "",
            ),
        ] {
            let mut input = json!({"certificateId": ca.id()});
            for (name, value) in further.as_object().expect("an object") {
                input[name] = value.clone();
            }
            world.refused("UpdateCACertificate", input, exception, says);
        }
        assert_eq!(world.described_ca(&ca.id())["customerVersion"], 1);
    });
}

// tests aws-iot [CT-25]
#[test]
fn switching_off_an_authority_leaves_its_certificates_working() {
    each_world(|world| {
        let ca = Ca::new("Pump Works");
        world.register_ca(&ca, json!({"setAsActive": true}));
        let pem = ca.sign("pump-7");
        world.ok(
            "RegisterCertificate",
            json!({"certificatePem": pem, "status": "ACTIVE"}),
        );
        let delete = json!({"certificateId": ca.id()});
        world.refused(
            "DeleteCACertificate",
            delete.clone(),
            "CertificateStateException",
            "ACTIVE",
        );
        let off = json!({"certificateId": ca.id(), "newStatus": "INACTIVE"});
        world.ok("UpdateCACertificate", off);
        assert_eq!(world.status(&id(&pem)), "ACTIVE");
        let another = json!({"certificatePem": ca.sign("pump-8")});
        world.refused(
            "RegisterCertificate",
            another,
            "CertificateStateException",
            "INACTIVE",
        );

        world.changes();
        assert_eq!(world.ok("DeleteCACertificate", delete.clone()), json!({}));
        assert_eq!(world.changes(), [("ca-certificate".to_owned(), ca.id())]);
        assert_eq!(world.status(&id(&pem)), "ACTIVE");
        world.refused(
            "DeleteCACertificate",
            delete,
            "ResourceNotFoundException",
            "",
        );
    });
}

#[test]
fn tags_come_and_go_with_the_authority() {
    each_world(|world| {
        let ca = Ca::new("Pump Works");
        let arn = world.arn(&format!("cacert/{}", ca.id()));
        let with_tags = |tags: Value| {
            let mut input = json!({"caCertificate": ca.pem, "certificateMode": "SNI_ONLY"});
            input["tags"] = tags;
            input
        };
        let bad = with_tags(json!([{"Key": "aws:x", "Value": "1"}]));
        world.refused(
            "RegisterCACertificate",
            bad,
            "InvalidRequestException",
            "aws:",
        );
        let nobody = json!({"certificateId": ca.id()});
        world.refused(
            "DescribeCACertificate",
            nobody.clone(),
            "ResourceNotFoundException",
            "",
        );

        world.ok(
            "RegisterCACertificate",
            with_tags(json!([{"Key": "site", "Value": "north"}, {"Key": "bare"}])),
        );
        let pairs = [("site", "north"), ("bare", "")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(locked(&world.tagged.0).get(&arn), Some(&pairs.to_vec()));
        world.ok("DeleteCACertificate", nobody);
        assert_eq!(locked(&world.tagged.0).get(&arn), None);
    });
}

#[test]
fn authorities_are_listed() {
    each_world(|world| {
        let ids: Vec<String> = (0..3)
            .map(|number| {
                world.advance_ms(1);
                let ca = Ca::new(&format!("Works {number}"));
                world.register_ca(&ca, json!({"setAsActive": number == 0}));
                ca.id()
            })
            .collect();
        let list = "ListCACertificates";
        let input = json!({"ascendingOrder": true, "pageSize": 2});
        assert_eq!(
            world.listed(list, input),
            [ids[..2].to_vec(), ids[2..].to_vec()]
        );
        let newest_first: Vec<String> = ids.iter().rev().cloned().collect();
        assert_eq!(world.listed(list, json!({})), [newest_first]);
        let page = world.ok(list, json!({"ascendingOrder": true, "pageSize": 1}));
        let expected = json!({
            "certificateArn": world.arn(&format!("cacert/{}", ids[0])),
            "certificateId": ids[0],
            "status": "ACTIVE",
            "creationDate": world.described_ca(&ids[0])["creationDate"],
        });
        assert_eq!(page["certificates"][0], expected);
        let input = json!({"templateName": "t"});
        world.refused(
            list,
            input,
            "InvalidRequestException",
            "templates are not served",
        );
    });
}

// tests aws-iot [CT-20]
#[test]
fn the_registration_code_stays_until_deleted() {
    each_world(|world| {
        let missing = "ResourceNotFoundException";
        world.refused(
            "DeleteRegistrationCode",
            json!({}),
            missing,
            "registration code",
        );
        let code = world.registration_code();
        assert_eq!(code.len(), 64);
        assert!(code.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_eq!(world.registration_code(), code);
        assert_eq!(world.ok("DeleteRegistrationCode", json!({})), json!({}));
        assert_ne!(world.registration_code(), code);
    });
}
