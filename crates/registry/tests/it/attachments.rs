use model::Profile;
use serde_json::{Value, json};

use crate::groups;
use crate::policies::create;
use crate::world::{IDENTITY, World, arn, certificate, column, each, each_standard};

fn on(policy: &str, target: &str) -> Value {
    json!({"policyName": policy, "target": target})
}

fn attached(world: &World, target: &str, recursive: bool) -> Vec<String> {
    let input = json!({"target": target, "recursive": recursive});
    let found = world.scan("ListAttachedPolicies", &input, "policies", 1, || ());
    column(&found, "policyName")
}

// tests aws-iot [PL-4]
#[test]
fn policies_are_attached_to_certificates_identities_and_groups() {
    each_standard(|world| {
        create(world, "p");
        create(world, "q");
        groups::create(world, "g", None);
        let unknown = certificate('f');
        for target in [certificate('a').as_str(), IDENTITY, &arn("thinggroup/g")] {
            for _twice in 0..2 {
                world.ok("AttachPolicy", on("p", target));
            }
            world.ok("AttachPolicy", on("q", target));
            assert_eq!(attached(world, target, false), ["p", "q"]);
            for _twice in 0..2 {
                world.ok("DetachPolicy", on("p", target));
            }
            assert_eq!(attached(world, target, false), ["q"]);
            world.fails(
                "AttachPolicy",
                on("none", target),
                "ResourceNotFoundException",
            );
            world.ok("DetachPolicy", on("none", target));
        }
        for target in [unknown.as_str(), &arn("thinggroup/none")] {
            world.fails("AttachPolicy", on("p", target), "ResourceNotFoundException");
            let input = json!({"target": target});
            world.fails("ListAttachedPolicies", input, "ResourceNotFoundException");
            world.ok("DetachPolicy", on("p", target));
        }
        for target in ["g", "", &arn("thing/t"), &arn("policy/p")] {
            for operation in ["AttachPolicy", "DetachPolicy"] {
                world.fails(operation, on("p", target), "InvalidRequestException");
            }
            let input = json!({"target": target});
            world.fails("ListAttachedPolicies", input, "InvalidRequestException");
        }
    });
}

// tests aws-iot [PL-4]
#[test]
fn attachments_are_bounded() {
    let limits = [(Profile::Aws, 10, 2), (Profile::Standard, 50, 50)];
    for (profile, of_principal, of_group) in limits {
        each(profile, |world| {
            groups::create(world, "g", None);
            for index in 0..=of_principal {
                create(world, &format!("p{index}"));
            }
            for (target, max) in [
                (certificate('a'), of_principal),
                (IDENTITY.to_owned(), of_principal),
                (arn("thinggroup/g"), of_group),
            ] {
                for index in 0..max {
                    world.ok("AttachPolicy", on(&format!("p{index}"), &target));
                }
                let more = on(&format!("p{max}"), &target);
                world.fails("AttachPolicy", more, "LimitExceededException");
                world.ok("AttachPolicy", on("p0", &target));
            }
        });
    }
}

#[test]
fn a_group_inherits_from_its_ancestors() {
    each_standard(|world| {
        for name in ["own", "above", "top", "beside"] {
            create(world, name);
        }
        for (name, parent) in [
            ("r", None),
            ("a", Some("r")),
            ("b", Some("r")),
            ("x", Some("a")),
        ] {
            groups::create(world, name, parent);
        }
        for (policy, group) in [
            ("own", "x"),
            ("above", "a"),
            ("top", "r"),
            ("own", "r"),
            ("beside", "b"),
        ] {
            world.ok(
                "AttachPolicy",
                on(policy, &arn(&format!("thinggroup/{group}"))),
            );
        }
        let x = arn("thinggroup/x");
        assert_eq!(attached(world, &x, false), ["own"]);
        assert_eq!(attached(world, &x, true), ["above", "own", "top"]);
    });
}

// tests aws-iot [PL-5]
#[test]
fn the_deprecated_operations_serve_principals() {
    each_standard(|world| {
        for name in ["p", "q"] {
            create(world, name);
        }
        groups::create(world, "g", None);
        let (a, b) = (certificate('a'), certificate('b'));
        let of =
            |policy: &str, principal: &str| json!({"policyName": policy, "principal": principal});
        for (policy, principal) in [("q", a.as_str()), ("p", &a), ("p", &b), ("p", IDENTITY)] {
            world.ok("AttachPrincipalPolicy", of(policy, principal));
            world.pass(1);
        }
        world.ok("AttachPolicy", on("p", &arn("thinggroup/g")));

        let scan = |operation: &str, input: Value, member: &str| {
            world.scan(operation, &input, member, 1, || ())
        };
        let policies = |ascending: bool| {
            let input = json!({"principal": a, "ascendingOrder": ascending});
            column(
                &scan("ListPrincipalPolicies", input, "policies"),
                "policyName",
            )
        };
        assert_eq!(policies(true), ["q", "p"]);
        assert_eq!(policies(false), ["p", "q"]);
        let principals = |ascending: bool| {
            let input = json!({"policyName": "p", "ascendingOrder": ascending});
            scan("ListPolicyPrincipals", input, "principals")
        };
        assert_eq!(principals(true), [a.as_str(), &b, IDENTITY]);
        assert_eq!(principals(false), [IDENTITY, &b, &a]);
        let targets = scan(
            "ListTargetsForPolicy",
            json!({"policyName": "p"}),
            "targets",
        );
        assert_eq!(targets, [a.as_str(), &b, IDENTITY, &arn("thinggroup/g")]);

        world.ok("DetachPrincipalPolicy", of("p", &a));
        world.ok("DetachPrincipalPolicy", of("p", &a));
        assert_eq!(policies(true), ["q"]);
    });
}

// tests aws-iot [PL-5]
#[test]
fn the_deprecated_operations_need_principals_that_exist() {
    each_standard(|world| {
        create(world, "p");
        groups::create(world, "g", None);
        let of = |policy: &str, principal: &str| -> Value {
            json!({"policyName": policy, "principal": principal})
        };
        let a = certificate('a');
        let (unknown, group) = (certificate('f'), arn("thinggroup/g"));
        for (operation, input, exception) in [
            (
                "AttachPrincipalPolicy",
                of("none", &a),
                "ResourceNotFoundException",
            ),
            (
                "AttachPrincipalPolicy",
                of("p", &unknown),
                "ResourceNotFoundException",
            ),
            (
                "AttachPrincipalPolicy",
                of("p", &group),
                "InvalidRequestException",
            ),
            (
                "DetachPrincipalPolicy",
                of("none", &a),
                "ResourceNotFoundException",
            ),
            (
                "DetachPrincipalPolicy",
                of("p", &group),
                "InvalidRequestException",
            ),
            (
                "ListPrincipalPolicies",
                json!({"principal": unknown}),
                "ResourceNotFoundException",
            ),
            (
                "ListPrincipalPolicies",
                json!({"principal": group}),
                "InvalidRequestException",
            ),
            (
                "ListPolicyPrincipals",
                json!({"policyName": "none"}),
                "ResourceNotFoundException",
            ),
            (
                "ListTargetsForPolicy",
                json!({"policyName": "none"}),
                "ResourceNotFoundException",
            ),
        ] {
            world.fails(operation, input, exception);
        }
    });
}

#[test]
fn a_scan_loses_no_target() {
    each_standard(|world| {
        create(world, "p");
        let digits = ['5', '3', '8', '1'];
        for digit in digits {
            world.ok("AttachPolicy", on("p", &certificate(digit)));
            world.pass(1);
        }
        let input = json!({"policyName": "p"});
        let found = world.scan("ListTargetsForPolicy", &input, "targets", 2, || {
            world.ok("DetachPolicy", on("p", &certificate('5')));
        });
        assert_eq!(found, digits.map(certificate));
    });
}

#[test]
fn the_certificates_capability_asks_and_detaches() {
    each_standard(|world| {
        create(world, "p");
        let (a, b) = (certificate('a'), certificate('b'));
        world.ok("CreateThing", json!({"thingName": "t"}));
        world.ok("AttachPolicy", on("p", &a));
        world.ok(
            "AttachThingPrincipal",
            json!({"thingName": "t", "principal": a}),
        );
        let has = |of: &str| {
            let of = of.to_owned();
            let read = move |tx: &mut storage::Tx<'_>| {
                Ok::<_, model::ApiError>((
                    registry::has_policies(tx, &of)?,
                    registry::has_things(tx, &of)?,
                ))
            };
            world.storage.read_blocking(read).unwrap()
        };
        assert_eq!(has(&a), (true, true));
        assert_eq!(has(&b), (false, false));
        let detach = |of: String| {
            let write = move |tx: &mut storage::Tx<'_>| registry::detach_all_policies(tx, &of);
            world
                .storage
                .write_blocking(storage::Urgency::Normal, write)
                .unwrap();
        };
        let changes = world.changes(|| {
            detach(a.clone());
            detach(b.clone());
        });
        assert_eq!(changes, [format!("principal:{a}")]);
        assert_eq!(has(&a), (false, true));
    });
}

#[test]
fn a_deleted_group_leaves_no_attachment() {
    each_standard(|world| {
        create(world, "p");
        groups::create(world, "g", None);
        let target = arn("thinggroup/g");
        world.ok("AttachPolicy", on("p", &target));
        world.ok("DeleteThingGroup", json!({"thingGroupName": "g"}));
        groups::create(world, "g", None);
        assert!(attached(world, &target, false).is_empty());
        world.ok("DeletePolicy", json!({"policyName": "p"}));
    });
}
