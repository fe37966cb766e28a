use model::ApiError;
use serde_json::Value;

use super::*;
use crate::Call;

fn read(service: &'static str, name: &'static str, resource: &'static str) -> Operation {
    let work = |_: &mut Call<'_, '_>, _: Value| Ok::<Value, ApiError>(Value::Null);
    Operation::read(service, name, resource, work)
}

#[track_caller]
fn check(operations: Vec<Operation>, expected: &DeclarationError) {
    let found = Catalogue::new(operations).err();
    assert_eq!(found.as_ref(), Some(expected));
}

#[test]
fn mistakes_in_declarations_are_found() {
    check(
        vec![read("s3", "GetObject", "*")],
        &DeclarationError::UnknownService { service: "s3" },
    );
    check(
        vec![read("iot", "MakeThing", "*")],
        &DeclarationError::UnknownOperation {
            service: "iot",
            name: "MakeThing",
        },
    );
    check(
        vec![read("iot", "DescribeThing", "thing/{name}")],
        &DeclarationError::UnknownMember {
            service: "iot",
            name: "DescribeThing",
            member: "name",
        },
    );
    let thing = || read("iot", "DescribeThing", "thing/{thingName}");
    check(
        vec![thing(), thing()],
        &DeclarationError::Duplicate {
            service: "iot",
            name: "DescribeThing",
        },
    );
}

#[test]
fn routes_say_all_there_is_to_know() {
    let catalogue = Catalogue::new(vec![
        read("iot", "DescribeThing", "thing/{thingName}"),
        read("iot-data", "GetRetainedMessage", "topic/{topic}"),
    ])
    .unwrap();
    let routes = catalogue.routes();
    assert_eq!(routes[0].method, "GET");
    assert_eq!(routes[0].uri, "/things/{thingName}");
    assert_eq!(routes[0].action, "iot:DescribeThing");
    assert_eq!(routes[1].action, "iot:GetRetainedMessage");
    assert!(matches!(
        catalogue.route("iot-data", "GET", "/retainedMessage/a/b"),
        Match::Found { target: 1, .. }
    ));
    assert_eq!(
        catalogue.route("iot", "GET", "/retainedMessage/a"),
        Match::Nothing
    );
}

/// Every operation of every model could be served at once: no two share a route.
#[test]
fn no_two_operations_of_a_model_share_a_route() {
    for service in crate::service_model::SERVICES {
        let model = ServiceModel::of(service).unwrap();
        let all = model
            .operations
            .keys()
            .map(|name| read(service, name, "*"))
            .collect();
        assert!(Catalogue::new(all).is_ok(), "{service}");
    }
}
