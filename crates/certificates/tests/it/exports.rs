use certificates::Status;
use model::CertificateId;
use policy::NameAttribute;
use serde_json::json;

use crate::fixture::{Ca, id};
use crate::world::each_world;

#[test]
fn doors_learn_what_a_certificate_is() {
    each_world(|world| {
        let ca = Ca::new("Pump Works");
        world.register_ca(&ca, json!({"setAsActive": true}));
        let pem = ca.sign("pump-7");
        world.ok(
            "RegisterCertificate",
            json!({"certificatePem": pem, "status": "ACTIVE"}),
        );
        let known = parsed(&id(&pem));
        let authority = parsed(&ca.id());
        let nobody = parsed(&"0".repeat(64));

        let status = |id: &CertificateId| {
            let id = id.clone();
            world.read(move |tx| certificates::status(tx, &id))
        };
        assert_eq!(status(&known), Some(Status::Active));
        assert_eq!(status(&authority), None);
        world.set_status(known.as_str(), "REVOKED");
        assert_eq!(status(&known), Some(Status::Revoked));

        for (id, device, ca) in [
            (&known, true, false),
            (&authority, false, true),
            (&nobody, false, false),
        ] {
            let of = id.clone();
            assert_eq!(world.read(move |tx| certificates::exists(tx, &of)), device);
            let of = id.clone();
            assert_eq!(
                world.read(move |tx| certificates::authority_exists(tx, &of)),
                ca
            );
            let of = id.clone();
            let not_after = world.read(move |tx| certificates::not_after(tx, &of));
            assert_eq!(not_after.is_some(), device);
            let of = id.clone();
            let facts = world.read(move |tx| certificates::facts(tx, &of));
            assert_eq!(facts.is_some(), device);
        }
    });
}

#[test]
fn policies_learn_what_a_certificate_says() {
    each_world(|world| {
        let ca = Ca::new("Pump Works");
        world.register_ca(&ca, json!({"setAsActive": true}));
        let pem = ca.sign_changed(|params| params.serial_number = Some(4711_u64.into()));
        world.ok("RegisterCertificate", json!({"certificatePem": pem}));
        let of = parsed(&id(&pem));
        let facts = world
            .read(move |tx| certificates::facts(tx, &of))
            .expect("registered");
        let values = |common_name: &str| {
            vec![
                (NameAttribute::CommonName, vec![common_name.to_owned()]),
                (NameAttribute::Organization, vec!["Pumps".to_owned()]),
            ]
        };
        assert_eq!(facts.id, id(&pem));
        assert_eq!(facts.serial, "4711");
        assert_eq!(facts.subject, values("pump-7"));
        assert_eq!(facts.issuer, values("Pump Works"));
        assert_eq!(facts.subject_alternative, []);
        assert_eq!(facts.issuer_alternative, []);
    });
}

fn parsed(id: &str) -> CertificateId {
    CertificateId::parse(id).expect("an id")
}
