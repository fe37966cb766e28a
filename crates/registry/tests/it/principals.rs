use model::Profile;
use serde_json::{Value, json};

use crate::world::{IDENTITY, World, certificate, each, each_standard};

fn attachment(thing: &str, principal: &str) -> Value {
    json!({"thingName": thing, "principal": principal})
}

fn exclusive(thing: &str, principal: &str) -> Value {
    let kind = "EXCLUSIVE_THING";
    json!({"thingName": thing, "principal": principal, "thingPrincipalType": kind})
}

fn things(world: &World, names: &[&str]) {
    for name in names {
        world.ok("CreateThing", json!({"thingName": name}));
    }
}

// tests aws-iot [RG-50] [RG-54]
#[test]
fn principals_are_attached_and_detached() {
    each_standard(|world| {
        things(world, &["t"]);
        for principal in [certificate('a').as_str(), IDENTITY] {
            for _twice in 0..2 {
                let input = attachment("t", principal);
                assert_eq!(world.ok("AttachThingPrincipal", input), json!({}));
            }
            let of = json!({"principal": principal});
            assert_eq!(
                world.ok("ListPrincipalThings", of.clone())["things"],
                json!(["t"])
            );
            for _twice in 0..2 {
                let input = attachment("t", principal);
                assert_eq!(world.ok("DetachThingPrincipal", input), json!({}));
            }
            assert_eq!(world.ok("ListPrincipalThings", of)["things"], json!([]));
        }
    });
}

// tests aws-iot [RG-54]
#[test]
fn things_and_principals_must_exist() {
    each_standard(|world| {
        things(world, &["t"]);
        let unknown = certificate('f');
        for (operation, input, exception) in [
            (
                "AttachThingPrincipal",
                attachment("none", IDENTITY),
                "ResourceNotFoundException",
            ),
            (
                "AttachThingPrincipal",
                attachment("t", &unknown),
                "ResourceNotFoundException",
            ),
            (
                "AttachThingPrincipal",
                attachment("t", "pump"),
                "InvalidRequestException",
            ),
            (
                "DetachThingPrincipal",
                attachment("none", IDENTITY),
                "ResourceNotFoundException",
            ),
            (
                "DetachThingPrincipal",
                attachment("t", "pump"),
                "InvalidRequestException",
            ),
            (
                "ListThingPrincipals",
                json!({"thingName": "none"}),
                "ResourceNotFoundException",
            ),
            (
                "ListThingPrincipalsV2",
                json!({"thingName": "none"}),
                "ResourceNotFoundException",
            ),
            (
                "ListPrincipalThings",
                json!({"principal": unknown}),
                "ResourceNotFoundException",
            ),
            (
                "ListPrincipalThingsV2",
                json!({"principal": unknown}),
                "ResourceNotFoundException",
            ),
            (
                "ListPrincipalThings",
                json!({"principal": "pump"}),
                "InvalidRequestException",
            ),
        ] {
            world.fails(operation, input, exception);
        }
        // What no longer exists can still be detached.
        world.ok("DetachThingPrincipal", attachment("t", &unknown));
    });
}

// tests aws-iot [RG-51]
#[test]
fn an_exclusive_thing_is_the_only_one() {
    each_standard(|world| {
        things(world, &["t", "u"]);
        let a = certificate('a');
        let refused = "InvalidRequestException";
        for _twice in 0..2 {
            world.ok("AttachThingPrincipal", exclusive("t", &a));
        }
        for input in [attachment("u", &a), exclusive("u", &a), attachment("t", &a)] {
            world.fails("AttachThingPrincipal", input, refused);
        }
        world.ok("DetachThingPrincipal", attachment("t", &a));
        world.ok("AttachThingPrincipal", attachment("t", &a));
        for input in [exclusive("t", &a), exclusive("u", &a)] {
            world.fails("AttachThingPrincipal", input, refused);
        }
        world.ok("AttachThingPrincipal", attachment("u", &a));
        world.fails("AttachThingPrincipal", exclusive("t", IDENTITY), refused);

        // Another certificate may have the same thing, exclusively or not.
        world.ok("AttachThingPrincipal", exclusive("t", &certificate('b')));
    });
}

// tests aws-iot [RG-53]
#[test]
fn both_sides_are_listed() {
    each_standard(|world| {
        things(world, &["t", "u", "v"]);
        let (a, b, d) = (certificate('a'), certificate('b'), certificate('d'));
        for thing in ["t", "u", "v"] {
            world.ok("AttachThingPrincipal", attachment(thing, &a));
        }
        world.ok("AttachThingPrincipal", exclusive("t", &b));
        world.ok("AttachThingPrincipal", attachment("t", &d));

        let scan = |operation: &str, input: Value, member: &str| {
            world.scan(operation, &input, member, 2, || ())
        };
        let thing = json!({"thingName": "t"});
        let found = scan("ListThingPrincipals", thing.clone(), "principals");
        assert_eq!(found, [a.as_str(), b.as_str(), d.as_str()]);
        let found = scan("ListPrincipalThings", json!({"principal": a}), "things");
        assert_eq!(found, ["t", "u", "v"]);

        let object = |principal: &str, kind: &str| -> Value {
            json!({"principal": principal, "thingPrincipalType": kind})
        };
        let objects = [
            object(&a, "NON_EXCLUSIVE_THING"),
            object(&b, "EXCLUSIVE_THING"),
            object(&d, "NON_EXCLUSIVE_THING"),
        ];
        let v2 = |input: Value| scan("ListThingPrincipalsV2", input, "thingPrincipalObjects");
        assert_eq!(v2(thing), objects);
        let only = |kind: &str| v2(json!({"thingName": "t", "thingPrincipalType": kind}));
        assert_eq!(only("EXCLUSIVE_THING"), objects[1..2]);
        assert_eq!(
            only("NON_EXCLUSIVE_THING"),
            [objects[0].clone(), objects[2].clone()]
        );

        let v2 = |input: Value| scan("ListPrincipalThingsV2", input, "principalThingObjects");
        let object = json!({"thingName": "t", "thingPrincipalType": "EXCLUSIVE_THING"});
        assert_eq!(v2(json!({"principal": b})), [object]);
        let none = json!({"principal": b, "thingPrincipalType": "NON_EXCLUSIVE_THING"});
        assert!(v2(none).is_empty());
        assert_eq!(v2(json!({"principal": a})).len(), 3);
    });
}

#[test]
fn a_scan_loses_no_principal() {
    each_standard(|world| {
        things(world, &["t", "a", "m"]);
        for digit in ['2', '4', '6', '8'] {
            world.ok("AttachThingPrincipal", attachment("t", &certificate(digit)));
        }
        let input = json!({"thingName": "t"});
        let found = world.scan("ListThingPrincipals", &input, "principals", 1, || {
            world.ok("AttachThingPrincipal", attachment("t", &certificate('1')));
        });
        assert_eq!(found, ['2', '4', '6', '8'].map(certificate));
    });
}

#[test]
fn attachments_are_bounded() {
    each(Profile::Aws, |world| {
        things(world, &["t"]);
        for digit in "0123456789".chars() {
            world.ok("AttachThingPrincipal", attachment("t", &certificate(digit)));
        }
        let more = attachment("t", &certificate('a'));
        world.fails("AttachThingPrincipal", more, "InvalidRequestException");
        let again = attachment("t", &certificate('0'));
        world.ok("AttachThingPrincipal", again);
    });
}
