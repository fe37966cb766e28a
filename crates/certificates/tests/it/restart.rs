use serde_json::json;
use testkit::databases;

use crate::fixture::{Ca, der, id};
use crate::world::{World, closed, migrations};

// Everything answered before is there after the database has been closed and opened again.
#[test]
fn what_was_answered_is_there_after_a_restart() {
    for database in databases() {
        let storage = database.open(&migrations());
        let world = World::new(&storage, &database.clock);
        let ca = Ca::new("Pump Works");
        world.register_ca(
            &ca,
            json!({"setAsActive": true, "allowAutoRegistration": true}),
        );
        let registered = ca.sign("pump-7");
        world.ok(
            "RegisterCertificate",
            json!({"certificatePem": registered, "status": "ACTIVE"}),
        );
        let introduced = ca.sign("pump-8");
        let event = world.introduce(&der(&introduced)).expect("an event");
        let made = world.ok("CreateKeysAndCertificate", json!({}));
        let made = made["certificateId"].as_str().expect("an id").to_owned();
        world.set_status(&made, "REVOKED");
        let page = world.ok("ListCertificates", json!({"pageSize": 1}));

        let look = |world: &World<'_>| {
            json!({
                "ca": world.described_ca(&ca.id()),
                "registered": world.described(&id(&registered)),
                "introduced": world.described(&id(&introduced)),
                "made": world.described(&made),
                "code": world.registration_code(),
                "rest": world.ok("ListCertificates", json!({"marker": page["nextMarker"]})),
            })
        };
        let before = look(&world);
        drop(world);
        closed(storage);

        let storage = database.open(&migrations());
        let world = World::new(&storage, &database.clock);
        assert_eq!(look(&world), before, "{}", database.engine);
        assert_eq!(world.introduce(&der(&introduced)), Some(event));
    }
}
