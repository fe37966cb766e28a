use rcgen::KeyPair;
use serde_json::json;

use crate::fixture::{Ca, der, id, resigned, self_signed};
use crate::world::{World, each_world};

const EXISTS: &str = "ResourceAlreadyExistsException";
const STATE: &str = "CertificateStateException";
const STATUSES: [&str; 4] = ["ACTIVE", "INACTIVE", "REVOKED", "PENDING_ACTIVATION"];

fn introducing(world: &World<'_>) -> Ca {
    let ca = Ca::new("Pump Works");
    let input = json!({"setAsActive": true, "allowAutoRegistration": true});
    world.register_ca(&ca, input);
    ca
}

/// Brings the certificate into `status`, introduced by its authority.
fn introduced(world: &World<'_>, pem: &str, status: &str) {
    assert!(world.introduce(&der(pem)).is_some());
    if status != "PENDING_ACTIVATION" {
        world.set_status(&id(pem), status);
    }
}

fn verifies(pem: &str, ca: &Ca) -> bool {
    let parsed = |pem: &str| pki::Certificate::parse_pem(pem).expect("a certificate");
    pki::verify_issued_by(&parsed(pem), &parsed(&ca.pem)).is_ok()
}

/// The certificate is turned away, and the message names the one that stands in its way.
#[track_caller]
fn turned_away(world: &World<'_>, operation: &str, pem: &str, by: &str) {
    let input = json!({"certificatePem": pem});
    let error = world.refused(operation, input, EXISTS, by);
    let arn = world.arn(&format!("cert/{by}"));
    let members = [("resourceId", by.to_owned()), ("resourceArn", arn)];
    assert_eq!(error.members, members);
}

// tests aws-iot [CT-40]: a REVOKED device does not come back as a new one.
#[test]
fn another_signature_does_not_make_another_certificate() {
    each_world(|world| {
        let ca = introducing(world);
        for status in STATUSES {
            let pem = ca.sign("pump-7");
            introduced(world, &pem, status);
            let other = resigned(&pem);
            assert!(verifies(&other, &ca));
            assert_ne!(id(&other), id(&pem));
            world.changes();
            assert_eq!(world.introduce(&der(&other)), None, "{status}");
            for operation in ["RegisterCertificate", "RegisterCertificateWithoutCA"] {
                turned_away(world, operation, &other, &id(&pem));
            }
            assert_eq!(world.status(&id(&pem)), status);
            assert_eq!(world.changes(), []);
        }
        assert_eq!(world.count(), STATUSES.len());
    });
}

// However it came in: issued here, registered without an authority, under a renewed authority.
#[test]
fn another_signature_is_found_wherever_the_certificate_came_from() {
    each_world(|world| {
        let made = world.ok("CreateKeysAndCertificate", json!({}));
        let made = made["certificatePem"].as_str().expect("a text");
        let own = self_signed("pump-7");
        let ca = introducing(world);
        let signed = ca.sign("pump-8");
        for pem in [&own, &signed] {
            let input = json!({"certificatePem": pem, "status": "REVOKED"});
            world.ok("RegisterCertificateWithoutCA", input);
        }
        for pem in [made, &own, &signed] {
            let operation = "RegisterCertificateWithoutCA";
            turned_away(world, operation, &resigned(pem), &id(pem));
        }
        assert_eq!(world.introduce(&der(&resigned(&signed))), None);

        let under_ca = ca.sign("pump-9");
        introduced(world, &under_ca, "REVOKED");
        let off = json!({"certificateId": ca.id(), "newStatus": "INACTIVE"});
        world.ok("UpdateCACertificate", off);
        let renewed = json!({
            "caCertificate": ca.renewed(),
            "certificateMode": "SNI_ONLY",
            "setAsActive": true,
            "allowAutoRegistration": true,
        });
        world.ok("RegisterCACertificate", renewed);
        assert!(world.introduce(&der(&ca.sign("new"))).is_some());
        assert_eq!(world.introduce(&der(&resigned(&under_ca))), None);
    });
}

#[test]
fn a_serial_number_of_an_authority_is_registered_once() {
    each_world(|world| {
        let ca = introducing(world);
        let other = Ca::new("Another");
        world.register_ca(&other, json!({"setAsActive": true}));
        for (serial, status) in (1_u64..).zip(STATUSES) {
            let sign =
                |ca: &Ca| ca.sign_changed(|params| params.serial_number = Some(serial.into()));
            let pem = sign(&ca);
            introduced(world, &pem, status);
            let again = sign(&ca);
            assert_eq!(world.introduce(&der(&again)), None, "{status}");
            turned_away(world, "RegisterCertificate", &again, &id(&pem));
            world.ok(
                "RegisterCertificate",
                json!({"certificatePem": sign(&other)}),
            );
        }
    });
}

#[test]
fn a_key_is_renewed_unless_it_is_revoked() {
    each_world(|world| {
        let ca = introducing(world);
        for status in STATUSES {
            let key = KeyPair::generate().expect("a key");
            let first = ca.sign_key(&key);
            introduced(world, &first, status);
            let revoked = status == "REVOKED";
            let (shown, registered) = (ca.sign_key(&key), ca.sign_key(&key));
            assert_eq!(world.introduce(&der(&shown)).is_none(), revoked, "{status}");
            let input = json!({"certificatePem": registered});
            if revoked {
                for operation in ["RegisterCertificate", "RegisterCertificateWithoutCA"] {
                    let says = format!("that of certificate {}", id(&first));
                    world.refused(operation, input.clone(), STATE, &says);
                }
                let both = json!({"certificatePem": registered, "status": "REVOKED"});
                world.ok("RegisterCertificate", both);
            } else {
                world.ok("RegisterCertificate", input);
            }
        }
    });
}

#[test]
fn a_key_that_is_revoked_meanwhile_ends_the_introduction() {
    each_world(|world| {
        let ca = introducing(world);
        let key = KeyPair::generate().expect("a key");
        let (first, second) = (ca.sign_key(&key), ca.sign_key(&key));
        introduced(world, &first, "ACTIVE");
        assert!(world.introduce(&der(&second)).is_some());
        world.set_status(&id(&first), "REVOKED");
        assert_eq!(world.introduce(&der(&second)), None);
        // What is deleted is forgotten.
        world.ok("DeleteCertificate", json!({"certificateId": id(&first)}));
        assert!(world.introduce(&der(&second)).is_some());
        assert!(world.introduce(&der(&first)).is_some());
    });
}

#[test]
fn another_signature_does_not_make_another_authority() {
    each_world(|world| {
        let ca = introducing(world);
        let input = |pem: &str| json!({"caCertificate": pem, "certificateMode": "SNI_ONLY"});
        let other = resigned(&ca.pem);
        let error = world.refused("RegisterCACertificate", input(&other), EXISTS, &ca.id());
        let arn = world.arn(&format!("cacert/{}", ca.id()));
        assert_eq!(
            error.members,
            [("resourceId", ca.id()), ("resourceArn", arn)]
        );
        world.ok("RegisterCACertificate", input(&ca.renewed()));
    });
}
