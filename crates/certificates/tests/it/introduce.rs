use certificates::{
    Event, INTRODUCTIONS_PER_MINUTE_MAX, LEAF_BYTES_MAX, PENDING_PER_AUTHORITY_MAX,
};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose};
use serde_json::{Value, json};

use crate::fixture::{self, Ca, der, id};
use crate::world::{World, each_world};

const DEVICE: &str = "198.51.100.9";

fn introducing(world: &World<'_>, name: &str) -> Ca {
    let ca = Ca::new(name);
    world.register_ca(
        &ca,
        json!({"setAsActive": true, "allowAutoRegistration": true}),
    );
    ca
}

// tests aws-iot [CT-40]
#[test]
fn an_unknown_certificate_is_introduced_and_stays_pending() {
    each_world(|world| {
        let ca = introducing(world, "Pump Works");
        let pem = ca.sign("pump-7");
        world.changes();
        let first_at = world.now();
        let event = world.introduce(&der(&pem)).expect("an event");
        assert_eq!(
            event.topic,
            format!("$aws/events/certificates/registered/{}", ca.id())
        );
        let expected = |now: i64, source_ip: &str| {
            json!({
                "certificateId": id(&pem),
                "caCertificateId": ca.id(),
                "timestamp": now,
                "certificateStatus": "PENDING_ACTIVATION",
                "awsAccountId": "111122223333",
                "certificateRegistrationTimestamp": first_at.millis().to_string(),
                "sourceIp": source_ip,
            })
        };
        assert_eq!(document(&event), expected(first_at.millis(), DEVICE));
        let described = world.described(&id(&pem));
        assert_eq!(described["status"], "PENDING_ACTIVATION");
        assert_eq!(described["caCertificateId"], ca.id());
        assert_eq!(world.changes(), [("certificate".to_owned(), id(&pem))]);

        // Each later attempt says it again, and changes nothing.
        world.advance_ms(2500);
        let again = world
            .introduce_from(&der(&pem), "::ffff:203.0.113.5")
            .expect("an event");
        assert_eq!(
            document(&again),
            expected(first_at.millis() + 2500, "203.0.113.5")
        );
        assert_eq!(world.described(&id(&pem)), described);
        assert_eq!(world.changes(), []);
    });
}

#[test]
fn a_decision_ends_the_introduction() {
    each_world(|world| {
        let ca = introducing(world, "Pump Works");
        for status in ["ACTIVE", "INACTIVE", "REVOKED"] {
            let pem = ca.sign("pump-7");
            assert!(world.introduce(&der(&pem)).is_some());
            world.set_status(&id(&pem), status);
            assert_eq!(world.introduce(&der(&pem)), None, "{status}");
            assert_eq!(world.status(&id(&pem)), status);
        }
        let pem = ca.sign("pump-8");
        assert!(world.introduce(&der(&pem)).is_some());
        world.ok("DeleteCertificate", json!({"certificateId": id(&pem)}));
    });
}

#[test]
fn only_an_active_introducing_authority_introduces() {
    each_world(|world| {
        for (number, further, introduces) in [
            (0, json!({}), false),
            (1, json!({"setAsActive": true}), false),
            (2, json!({"allowAutoRegistration": true}), false),
            (
                3,
                json!({"setAsActive": true, "allowAutoRegistration": true}),
                true,
            ),
        ] {
            let ca = Ca::new(&format!("Works {number}"));
            world.register_ca(&ca, further.clone());
            let leaf = der(&ca.sign("pump-7"));
            assert_eq!(world.introduce(&leaf).is_some(), introduces, "{further}");
        }
        assert_eq!(world.count(), 1);
    });
}

#[test]
fn switching_off_stops_the_events_too() {
    each_world(|world| {
        let ca = introducing(world, "Pump Works");
        let leaf = der(&ca.sign("pump-7"));
        assert!(world.introduce(&leaf).is_some());
        for (off, on) in [
            (
                json!({"newStatus": "INACTIVE"}),
                json!({"newStatus": "ACTIVE"}),
            ),
            (
                json!({"newAutoRegistrationStatus": "DISABLE"}),
                json!({"newAutoRegistrationStatus": "ENABLE"}),
            ),
        ] {
            for (mut input, expected) in [(off, false), (on, true)] {
                input["certificateId"] = json!(ca.id());
                world.ok("UpdateCACertificate", input);
                assert_eq!(world.introduce(&leaf).is_some(), expected);
            }
        }
    });
}

#[test]
fn what_no_authority_signed_is_not_introduced() {
    each_world(|world| {
        let ca = introducing(world, "Pump Works");
        let impostor = Ca::new("Pump Works");
        let expired = Ca::expired("Old Works");
        world.register_ca(
            &expired,
            json!({"setAsActive": true, "allowAutoRegistration": true}),
        );
        let for_servers = |params: &mut CertificateParams| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        };
        let mut cut = der(&ca.sign("a"));
        cut.pop();
        for (what, der) in [
            ("signed by a stranger", der(&Ca::new("Stranger").sign("a"))),
            ("signed by an impostor", der(&impostor.sign("a"))),
            ("self-signed", der(&fixture::self_signed("a"))),
            ("an authority below", der(&ca.sign_ca("a"))),
            ("expired", der(&ca.sign_changed(fixture::expire))),
            ("by an expired authority", der(&expired.sign("a"))),
            ("for servers only", der(&ca.sign_changed(for_servers))),
            ("the authority itself", der(&ca.pem)),
            ("cut short", cut),
            ("empty", vec![]),
            ("noise", vec![0x30; 300]),
            ("too long", vec![0x30; LEAF_BYTES_MAX + 1]),
        ] {
            assert_eq!(world.introduce(&der), None, "{what}");
        }
        assert_eq!(world.count(), 0);
    });
}

#[test]
fn the_right_one_of_several_authorities_introduces() {
    each_world(|world| {
        let cas = [(); 3].map(|()| introducing(world, "Twins"));
        for ca in &cas {
            let pem = ca.sign("pump-7");
            assert!(world.introduce(&der(&pem)).is_some());
            assert_eq!(world.described(&id(&pem))["caCertificateId"], ca.id());
        }
    });
}

// A namesake with the same key does not speak for what another has introduced.
#[test]
fn what_waits_is_announced_by_the_authority_that_introduced_it() {
    each_world(|world| {
        let ca = introducing(world, "Pump Works");
        let leaf = der(&ca.sign("pump-7"));
        let first = world.introduce(&leaf).expect("an event");
        let renewed = json!({
            "caCertificate": ca.renewed(),
            "certificateMode": "SNI_ONLY",
            "setAsActive": true,
            "allowAutoRegistration": true,
        });
        world.ok("RegisterCACertificate", renewed);
        assert_eq!(world.introduce(&leaf), Some(first));
        let off = json!({"certificateId": ca.id(), "newStatus": "INACTIVE"});
        world.ok("UpdateCACertificate", off);
        assert_eq!(world.introduce(&leaf), None);
        assert!(world.introduce(&der(&ca.sign("pump-8"))).is_some());
    });
}

#[test]
fn an_authority_introduces_so_many_a_minute() {
    each_world(|world| {
        let (ca, other) = (introducing(world, "Busy"), introducing(world, "Other"));
        world.fill(&ca.id(), INTRODUCTIONS_PER_MINUTE_MAX - 1);
        let last = der(&ca.sign("last"));
        assert!(world.introduce(&last).is_some());
        let over = der(&ca.sign("over"));
        assert_eq!(world.introduce(&over), None);
        assert!(
            world.introduce(&last).is_some(),
            "what is stored is still announced"
        );
        assert!(
            world.introduce(&der(&other.sign("a"))).is_some(),
            "others are not held up"
        );

        world.advance_ms(59_999);
        assert_eq!(world.introduce(&over), None);
        world.advance_ms(1);
        assert!(world.introduce(&over).is_some());
    });
}

#[test]
fn an_authority_leaves_so_many_undecided() {
    each_world(|world| {
        let ca = introducing(world, "Flood");
        world.fill(&ca.id(), PENDING_PER_AUTHORITY_MAX - 1);
        world.advance_ms(60_000);
        let last = ca.sign("last");
        assert!(world.introduce(&der(&last)).is_some());
        let over = der(&ca.sign("over"));
        assert_eq!(world.introduce(&over), None);
        world.set_status(&id(&last), "ACTIVE");
        assert!(world.introduce(&over).is_some());
    });
}

fn document(event: &Event) -> Value {
    serde_json::from_slice(&event.payload).expect("a JSON document")
}
