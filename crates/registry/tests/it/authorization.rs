use std::sync::Arc;

use model::Profile;
use registry::Documents;
use serde_json::{Value, json};

use crate::groups;
use crate::world::{
    IDENTITY, KnownCertificates, World, arn, certificate, certificate_id, each, each_standard,
    scope,
};

/// Things, groups and certificates of the contract's truth table: certificate `a` attached to
/// `dev1` of type `pump` with `site=north` in `g1` below `g0`; `e` attached exclusively to it;
/// `b` attached to nothing; `dev2` attached to nothing.
fn furnish(world: &World) {
    world.ok("CreateThingType", json!({"thingTypeName": "pump"}));
    groups::create(world, "g0", None);
    groups::create(world, "g1", Some("g0"));
    let north = json!({"attributes": {"site": "north"}});
    for (operation, input) in [
        (
            "CreateThing",
            json!({"thingName": "dev1", "thingTypeName": "pump", "attributePayload": north}),
        ),
        ("CreateThing", json!({"thingName": "dev2"})),
        (
            "AddThingToThingGroup",
            json!({"thingName": "dev1", "thingGroupName": "g1"}),
        ),
        (
            "AttachThingPrincipal",
            json!({"thingName": "dev1", "principal": certificate('a')}),
        ),
        (
            "AttachThingPrincipal",
            json!({
                "thingName": "dev1", "principal": certificate('e'),
                "thingPrincipalType": "EXCLUSIVE_THING",
            }),
        ),
    ] {
        world.ok(operation, input);
    }
}

fn statement(effect: &str, action: &str, resource: &str) -> Value {
    let resource = match resource {
        "*" => "*".to_owned(),
        named if named.starts_with("arn:") => named.to_owned(),
        named => arn(named),
    };
    json!({"Effect": effect, "Action": format!("iot:{action}"), "Resource": resource})
}

fn allow(action: &str, resource: &str) -> Value {
    statement("Allow", action, resource)
}

fn deny(action: &str, resource: &str) -> Value {
    statement("Deny", action, resource)
}

fn when(mut statement: Value, operator: &str, key: &str, values: Value) -> Value {
    statement["Condition"] = json!({operator: {key: values}});
    statement
}

fn policy(world: &World, name: &str, statements: &[Value]) {
    let text = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
    world.ok(
        "CreatePolicy",
        json!({"policyName": name, "policyDocument": text}),
    );
}

fn attach(world: &World, name: &str, target: &str) {
    world.ok(
        "AttachPolicy",
        json!({"policyName": name, "target": target}),
    );
}

const THING: &str = "${iot:Connection.Thing.ThingName}";
const A: &str = "ALLOWED";
const I: &str = "IMPLICIT_DENY";
const E: &str = "EXPLICIT_DENY";

/// The verdict on one action of the holder of a certificate.
fn ask(world: &World, digit: char, client_id: &str, action: &str, resource: &str) -> Value {
    let input = json!({
        "principal": certificate(digit), "clientId": client_id,
        "authInfos": [{"actionType": action, "resources": [arn(resource)]}],
    });
    world.ok("TestAuthorization", input)["authResults"][0].clone()
}

/// Rows of the contract's truth table about the principal's own policies. The columns: row;
/// statements, separated by `;`, a condition behind `if`; certificate and client id; request;
/// verdict.
const OWN: &str = "
 1 |                                                              | a dev1 | CONNECT client/dev1 | I
 2 | Allow Connect client/dev1                                    | a dev1 | CONNECT client/dev1 | A
 3 | Allow Connect client/dev1                                    | a dev2 | CONNECT client/dev2 | I
 4 | Allow Connect client/${iot:ClientId}                         | a any | CONNECT client/any | A
 5 | Allow Connect client/${iot:Connection.Thing.ThingName}       | a dev1 | CONNECT client/dev1 | A
 6 | Allow Connect client/${iot:Connection.Thing.ThingName}       | b dev1 | CONNECT client/dev1 | I
 7 | Allow Connect client/${iot:Connection.Thing.ThingName}       | a dev2 | CONNECT client/dev2 | I
 8 | Allow Connect client/${iot:Connection.Thing.ThingName} | e other | CONNECT client/other | I
 9 | Allow Connect * if Bool iot:Connection.Thing.IsAttached true | a dev1 | CONNECT client/dev1 | A
10 | Allow Connect * if Bool iot:Connection.Thing.IsAttached true | a dev2 | CONNECT client/dev2 | I
11 | Allow Connect * if Bool iot:Connection.Thing.IsAttached true | e x | CONNECT client/x | A
12 | Allow Publish topic/a/*                                      | a dev1 | PUBLISH topic/a/b | A
13 | Allow Publish topic/a/* | a dev1 | PUBLISH topic/a/b/c/d | A
14 | Allow Publish topic/a/*                                      | a dev1 | PUBLISH topic/a | I
15 | Allow Publish topic/a/*                                      | a dev1 | PUBLISH topic/a/ | A
16 | Allow Publish topic/a/?                                      | a dev1 | PUBLISH topic/a/b | A
17 | Allow Publish topic/a/?                                      | a dev1 | PUBLISH topic/a/bc | I
18 | Allow Publish topic/A                                        | a dev1 | PUBLISH topic/a | I
19 | Allow Subscribe topicfilter/a/+/c | a dev1 | SUBSCRIBE topicfilter/a/+/c | A
20 | Allow Subscribe topicfilter/a/+/c | a dev1 | SUBSCRIBE topicfilter/a/b/c | I
21 | Allow Subscribe topicfilter/a/*/c | a dev1 | SUBSCRIBE topicfilter/a/+/c | A
22 | Allow Subscribe topicfilter/a/*/c | a dev1 | SUBSCRIBE topicfilter/a/x/y/c | A
23 | Allow Subscribe topicfilter/a/* | a dev1 | SUBSCRIBE topicfilter/a/# | A
24 | Allow Subscribe topicfilter/a/*; Deny Subscribe topicfilter/a/s/* \
   | a dev1 | SUBSCRIBE topicfilter/a/# | A
25 | Allow Receive topic/a/*                                      | a dev1 | RECEIVE topic/a/s/k | A
26 | Allow Receive topic/a/*; Deny Receive topic/a/s/*            | a dev1 | RECEIVE topic/a/s/k | E
29 | Allow Subscribe topic/a | a dev1 | SUBSCRIBE topicfilter/a | I
30 | Allow Publish topicfilter/a                                  | a dev1 | PUBLISH topic/a | I
34 | Allow Publish topic/* | a dev1 | PUBLISH topic/$aws/x | A
35 | Allow Publish topic/*; Deny Publish topic/$aws/* | a dev1 | PUBLISH topic/$aws/x | E
36 | Allow Publish topic/d/${iot:ClientId}/* | a dev1 | PUBLISH topic/d/dev1/t | A
36 | Allow Publish topic/d/${iot:ClientId}/* | a dev1 | PUBLISH topic/d/dev2/t | I
41 | Allow Publish topic/t if StringEquals iot:Connection.Thing.Attributes[site] north \
   | a dev1 | PUBLISH topic/t | A
54 | Allow Connect * if IpAddress aws:SourceIp 192.0.2.0/24       | a dev1 | CONNECT client/dev1 | A
54 | Allow Connect * if IpAddress aws:SourceIp 10.0.0.0/8         | a dev1 | CONNECT client/dev1 | I
59 | Allow Publish *; Deny Publish topic/x                        | a dev1 | PUBLISH topic/x | E
60 | Allow * *                                                    | a dev1 | RECEIVE topic/x | A
67 | Allow Publish arn:aws:iot:eu-west-1:111122223333:topic/a     | a dev1 | PUBLISH topic/a | I
72 | Allow Subscribe topicfilter/a/* | a dev1 | SUBSCRIBE topicfilter/$share/q/a/b | I
";

/// The statement that a cell of a table describes.
fn parsed(text: &str) -> Value {
    let (text, condition) = match text.split_once(" if ") {
        Some((text, condition)) => (text, Some(condition)),
        None => (text, None),
    };
    let words: Vec<_> = text.split_whitespace().collect();
    let bare = statement(words[0], words[1], words[2]);
    let words: Vec<_> = condition
        .into_iter()
        .flat_map(str::split_whitespace)
        .collect();
    match words.as_slice() {
        [operator, key, value] => when(bare, operator, key, json!(value)),
        _ => bare,
    }
}

fn statements(cell: &str) -> Vec<Value> {
    let cells = cell.split(';').map(str::trim);
    cells.filter(|cell| !cell.is_empty()).map(parsed).collect()
}

/// Attaches `policies`, checks one verdict, and removes them again. The last three arguments are
/// the last three columns of a table.
fn check_row(
    world: &World,
    row: &str,
    policies: &[(String, &str)],
    (who, request, verdict): (&str, &str, &str),
) {
    let mut attached = Vec::new();
    for (index, (target, cell)) in policies.iter().enumerate() {
        let statements = statements(cell);
        if !statements.is_empty() {
            let name = format!("p{index}");
            policy(world, &name, &statements);
            attach(world, &name, target);
            attached.push(json!({"policyName": name, "target": target}));
        }
    }
    let (digit, client_id) = who.split_once(' ').unwrap();
    let (action, resource) = request.split_once(' ').unwrap();
    let digit = digit.chars().next().unwrap();
    let result = ask(world, digit, client_id, action, resource);
    let expected = match verdict {
        "A" => A,
        "E" => E,
        _ => I,
    };
    assert_eq!(result["authDecision"], expected, "row {row}: {result}");
    for input in attached {
        world.ok("DetachPolicy", input.clone());
        world.ok("DeletePolicy", input);
    }
}

fn check_own_rows(world: &World) {
    for line in OWN.lines().filter(|line| !line.is_empty()) {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let [row, own, who, request, verdict] = cells.as_slice() else {
            panic!("`{line}` has not five columns");
        };
        let who_holds = certificate(who.chars().next().unwrap());
        check_row(world, row, &[(who_holds, own)], (who, request, verdict));
    }
}

fn check_group_rows(world: &World) {
    let publish = "PUBLISH topic/g/1";
    let (connect, wide) = ("Allow Connect *", "Allow Publish topic/*");
    let (allow, deny) = ("Allow Publish topic/g/*", "Deny Publish topic/g/*");
    for (row, own, g1, g0, who, verdict) in [
        ("55", connect, allow, "", "a dev1", "A"),
        ("56", connect, "", allow, "a dev1", "A"),
        ("57", wide, "", deny, "a dev1", "E"),
        ("58", connect, allow, "", "a dev1-b", "I"),
    ] {
        let policies = [
            (certificate('a'), own),
            (arn("thinggroup/g1"), g1),
            (arn("thinggroup/g0"), g0),
        ];
        check_row(world, row, &policies, (who, publish, verdict));
    }
}

// tests aws-iot [PL-60] [PL-20] [PL-11] [RG-52]
#[test]
fn agrees_with_the_truth_table() {
    for profile in [Profile::Standard, Profile::Aws] {
        each(profile, |world| {
            furnish(world);
            check_own_rows(world);
            check_group_rows(world);
        });
    }
}

// tests aws-iot [PL-30] [PL-50]
#[test]
fn the_standard_profile_takes_the_safer_side() {
    for (profile, verdict) in [(Profile::Standard, "E"), (Profile::Aws, "A")] {
        each(profile, |world| {
            furnish(world);
            let undefined = format!("Allow Publish topic/x/*; Deny Publish topic/x/{THING}");
            let own = [(certificate('b'), undefined.as_str())];
            check_row(
                world,
                "40",
                &own,
                ("b dev1", "PUBLISH topic/x/dev1", verdict),
            );
            // A quarantined thing is not left by choosing another client id.
            let quarantine = [
                (certificate('a'), "Allow Publish *"),
                (arn("thinggroup/g1"), "Deny Publish *"),
            ];
            let who = "a other";
            check_row(world, "58", &quarantine, (who, "PUBLISH topic/x", verdict));
        });
    }
}

// tests aws-iot [PL-33] [PL-51]
#[test]
fn follows_the_registry_at_once() {
    each_standard(|world| {
        furnish(world);
        let site = "iot:Connection.Thing.Attributes[site]";
        let north = when(
            allow("Publish", "topic/t"),
            "StringEquals",
            site,
            json!("north"),
        );
        policy(world, "p", &[north]);
        attach(world, "p", &certificate('a'));
        policy(world, "q", &[allow("Publish", "topic/g")]);
        attach(world, "q", &arn("thinggroup/g0"));
        let decide =
            |resource: &str| ask(world, 'a', "dev1", "PUBLISH", resource)["authDecision"].clone();
        assert_eq!(decide("topic/t"), A);
        let south =
            json!({"thingName": "dev1", "attributePayload": {"attributes": {"site": "south"}}});
        world.ok("UpdateThing", south);
        assert_eq!(decide("topic/t"), I);
        assert_eq!(decide("topic/g"), A);
        let member = json!({"thingName": "dev1", "thingGroupName": "g1"});
        world.ok("RemoveThingFromThingGroup", member);
        assert_eq!(decide("topic/g"), I);
        let all = json!({"Version": "2012-10-17", "Statement": [allow("Publish", "*")]});
        let version = json!({
            "policyName": "p", "policyDocument": all.to_string(), "setAsDefault": true,
        });
        world.ok("CreatePolicyVersion", version);
        assert_eq!(decide("topic/t"), A);
    });
}

/// What the facts of certificate `a` say about a group, and about a policy of its own.
fn read_anew(world: &World, documents: &Arc<Documents>) -> (Vec<String>, String) {
    let documents = Arc::clone(documents);
    let facts = world.storage.read_blocking(move |tx| {
        registry::facts(
            tx,
            &scope(),
            &certificate_id('a'),
            &KnownCertificates,
            &documents,
        )
    });
    let facts = facts.unwrap();
    let groups = facts.things.iter().flat_map(|thing| &thing.groups);
    let group = groups.filter(|group| group.name == "g0");
    let of_group = group.flat_map(|group| &group.policies);
    (
        of_group.map(|policy| policy.text.to_string()).collect(),
        facts.policies[0].text.to_string(),
    )
}

// tests aws-iot [PL-51]
#[test]
fn what_a_change_did_is_what_reading_again_gives() {
    each_standard(|world| {
        furnish(world);
        policy(world, "p", &[allow("Publish", "topic/t")]);
        policy(world, "q", &[allow("Publish", "topic/g")]);
        attach(world, "p", &certificate('a'));
        let documents = Arc::new(Documents::new());
        let group = |most: usize| {
            let documents = Arc::clone(&documents);
            let read = move |tx: &mut storage::Tx<'_>| {
                registry::group_now(tx, &scope(), "g0", &documents, most)
            };
            world.storage.read_blocking(read).unwrap()
        };
        let own = || {
            let documents = Arc::clone(&documents);
            let read =
                move |tx: &mut storage::Tx<'_>| registry::policy_now(tx, &scope(), "p", &documents);
            world.storage.read_blocking(read).unwrap()
        };
        let check = |members: &[&str]| {
            let (of_group, of_own) = read_anew(world, &documents);
            let (policies, things) = group(10).unwrap();
            let texts: Vec<_> = policies.iter().map(|one| one.text.to_string()).collect();
            assert_eq!(texts, of_group);
            assert_eq!(things.iter().collect::<Vec<_>>(), members);
            assert_eq!(own().unwrap().text.to_string(), of_own);
        };
        check(&["dev1"]);
        attach(world, "q", &arn("thinggroup/g0"));
        check(&["dev1"]);
        let all = json!({"Version": "2012-10-17", "Statement": [allow("Publish", "*")]});
        for name in ["p", "q"] {
            let version = json!({
                "policyName": name, "policyDocument": all.to_string(), "setAsDefault": true,
            });
            world.ok("CreatePolicyVersion", version);
            check(&["dev1"]);
        }
        assert!(group(0).is_none(), "too many to be read at once");
        let member = json!({"thingName": "dev1", "thingGroupName": "g1"});
        world.ok("RemoveThingFromThingGroup", member);
        let (_, things) = group(10).unwrap();
        assert!(things.is_empty());
        let detach = json!({"policyName": "p", "target": certificate('a')});
        world.ok("DetachPolicy", detach);
        world.ok(
            "DeletePolicyVersion",
            json!({"policyName": "p", "policyVersionId": "1"}),
        );
        world.ok("DeletePolicy", json!({"policyName": "p"}));
        assert!(own().is_none());
    });
}

// tests aws-iot [PL-60] [PL-62]
#[test]
fn names_the_policies_and_what_is_missing() {
    each_standard(|world| {
        furnish(world);
        policy(world, "wide", &[allow("Publish", "topic/*")]);
        policy(world, "secret", &[deny("Publish", "topic/secret")]);
        policy(
            world,
            "thing",
            &[allow("Connect", &format!("client/{THING}"))],
        );
        let a = certificate('a');
        for name in ["wide", "secret", "thing"] {
            attach(world, name, &a);
        }
        policy(world, "group", &[allow("Receive", "topic/g")]);
        attach(world, "group", &arn("thinggroup/g1"));

        let test = |client: &str, action: &str, resources: &[&str], further: Value| {
            let resources: Vec<_> = resources.iter().map(|resource| arn(resource)).collect();
            let info = json!({"actionType": action, "resources": resources});
            let mut input = json!({"principal": a, "clientId": client, "authInfos": [info]});
            for (member, value) in further.as_object().unwrap() {
                input[member] = value.clone();
            }
            world.ok("TestAuthorization", input)["authResults"][0].clone()
        };
        let named = |names: &[&str]| -> Value {
            let one = |name: &&str| -> Value {
                json!({"policyName": name, "policyArn": arn(&format!("policy/{name}"))})
            };
            names.iter().map(one).collect()
        };
        let check = |result: &Value, decision, allowed, explicit, implicit| {
            assert_eq!(result["authDecision"], decision, "{result}");
            assert_eq!(result["allowed"]["policies"], named(allowed), "{result}");
            let denied = &result["denied"];
            assert_eq!(
                denied["explicitDeny"]["policies"],
                named(explicit),
                "{result}"
            );
            assert_eq!(
                denied["implicitDeny"]["policies"],
                named(implicit),
                "{result}"
            );
        };
        let nothing = json!({});
        let result = test("dev1", "PUBLISH", &["topic/a"], nothing.clone());
        check(&result, A, &["wide"], &[], &[]);
        assert_eq!(result["authInfo"]["actionType"], "PUBLISH");
        assert_eq!(result["authInfo"]["resources"], json!([arn("topic/a")]));
        assert_eq!(result["missingContextValues"], json!([]));
        let result = test(
            "dev1",
            "PUBLISH",
            &["topic/a", "topic/secret"],
            nothing.clone(),
        );
        check(&result, E, &["wide"], &["secret"], &[]);
        let own = ["secret", "thing", "wide"];
        let result = test("dev2", "RECEIVE", &["topic/a"], nothing.clone());
        check(&result, I, &[], &[], &own);
        let result = test("dev1", "RECEIVE", &["topic/g", "topic/a"], nothing.clone());
        check(
            &result,
            I,
            &["group"],
            &[],
            &["secret", "thing", "wide", "group"],
        );
        let result = test("dev2", "CONNECT", &["client/dev2"], nothing);
        check(&result, I, &[], &[], &own);
        let missing = json!(["iot:Connection.Thing.ThingName"]);
        assert_eq!(result["missingContextValues"], missing);

        let skip = json!({"policyNamesToSkip": ["secret", "absent"]});
        check(
            &test("dev1", "PUBLISH", &["topic/secret"], skip),
            A,
            &["wide"],
            &[],
            &[],
        );
        let skip = json!({"policyNamesToSkip": ["group"]});
        check(
            &test("dev1", "RECEIVE", &["topic/g"], skip),
            I,
            &[],
            &[],
            &own,
        );
        policy(world, "more", &[allow("Receive", "topic/a")]);
        let add = json!({"policyNamesToAdd": ["more", "wide"]});
        check(
            &test("dev1", "RECEIVE", &["topic/a"], add),
            A,
            &["more"],
            &[],
            &[],
        );
    });
}

#[test]
fn questions_are_checked() {
    each_standard(|world| {
        furnish(world);
        let info =
            |action: &str, resource: &str| json!({"actionType": action, "resources": [resource]});
        let one = info("PUBLISH", &arn("topic/a"));
        let a = certificate('a');
        let invalid = "InvalidRequestException";
        let other_region = "arn:aws:iot:eu-west-1:111122223333:topic/a";
        for (input, exception) in [
            (json!({"authInfos": [one]}), invalid),
            (
                json!({"cognitoIdentityPoolId": "pool", "authInfos": [one]}),
                invalid,
            ),
            (json!({"principal": "pump", "authInfos": [one]}), invalid),
            (
                json!({"principal": certificate('f'), "authInfos": [one]}),
                "ResourceNotFoundException",
            ),
            (json!({"principal": a, "authInfos": []}), invalid),
            (
                json!({"principal": a, "authInfos": vec![one.clone(); 11]}),
                invalid,
            ),
            (
                json!({"principal": a, "authInfos": [info("CONNECT", &arn("topic/a"))]}),
                invalid,
            ),
            (
                json!({"principal": a, "authInfos": [info("SUBSCRIBE", &arn("topic/a"))]}),
                invalid,
            ),
            (
                json!({"principal": a, "authInfos": [info("PUBLISH", "a")]}),
                invalid,
            ),
            (
                json!({"principal": a, "authInfos": [info("PUBLISH", other_region)]}),
                invalid,
            ),
            (
                json!({"principal": a, "authInfos": [info("READ", &arn("topic/a"))]}),
                invalid,
            ),
            (
                json!({"principal": a, "authInfos": [{"resources": [arn("topic/a")]}]}),
                invalid,
            ),
            (
                json!({"principal": a, "authInfos": [{"actionType": "PUBLISH", "resources": []}]}),
                invalid,
            ),
            (
                json!({"principal": a, "authInfos": [one], "policyNamesToAdd": ["none"]}),
                "ResourceNotFoundException",
            ),
        ] {
            world.fails("TestAuthorization", input, exception);
        }
    });
}

#[test]
fn questions_are_bounded() {
    each_standard(|world| {
        let a = certificate('a');
        let one = json!({"actionType": "PUBLISH", "resources": [arn("topic/a")]});
        let invalid = "InvalidRequestException";
        let wide = |count: usize| -> Value {
            let resources = vec![arn("topic/a"); count];
            let info = json!({"actionType": "PUBLISH", "resources": resources});
            json!({"principal": a, "authInfos": [info]})
        };
        world.ok("TestAuthorization", wide(1000));
        world.fails("TestAuthorization", wide(1001), invalid);
        let mut more = wide(1);
        let names: Vec<_> = (0..51).map(|index| format!("p{index}")).collect();
        more["policyNamesToAdd"] = json!(names);
        world.fails("TestAuthorization", more, invalid);
        let ten = json!({"principal": a, "authInfos": vec![one.clone(); 10]});
        let found = world.ok("TestAuthorization", ten);
        assert_eq!(found["authResults"].as_array().unwrap().len(), 10);
        let identity = json!({"principal": IDENTITY, "authInfos": [one]});
        let found = world.ok("TestAuthorization", identity);
        assert_eq!(found["authResults"][0]["authDecision"], I);
    });
}

// tests aws-iot [PL-61]
#[test]
fn effective_policies_are_the_principals_and_the_things() {
    each_standard(|world| {
        furnish(world);
        for name in ["own", "both", "parent"] {
            policy(world, name, &[allow("Publish", &format!("topic/{name}"))]);
        }
        for (name, target) in [
            ("own", certificate('a')),
            ("both", certificate('a')),
            ("both", arn("thinggroup/g1")),
            ("parent", arn("thinggroup/g0")),
            ("own", IDENTITY.to_owned()),
        ] {
            attach(world, name, &target);
        }
        let check = |input: Value, expected: &[&str]| {
            let found = world.ok("GetEffectivePolicies", input);
            let found = found["effectivePolicies"].as_array().unwrap().clone();
            let mut names = crate::world::column(&found, "policyName");
            names.sort();
            assert_eq!(names, expected);
            for policy in &found {
                let name = policy["policyName"].as_str().unwrap();
                assert_eq!(policy["policyArn"], arn(&format!("policy/{name}")));
                assert!(policy["policyDocument"].as_str().unwrap().contains(name));
            }
        };
        let a = certificate('a');
        check(json!({"principal": a}), &["both", "own"]);
        check(
            json!({"principal": a, "thingName": "dev1"}),
            &["both", "own", "parent"],
        );
        check(
            json!({"principal": a, "thingName": "dev2"}),
            &["both", "own"],
        );
        check(json!({"principal": certificate('e')}), &["both", "parent"]);
        check(json!({"principal": IDENTITY}), &["own"]);
        for (input, exception) in [
            (json!({}), "InvalidRequestException"),
            (
                json!({"cognitoIdentityPoolId": "p", "principal": a}),
                "InvalidRequestException",
            ),
            (
                json!({"principal": certificate('f')}),
                "ResourceNotFoundException",
            ),
            (
                json!({"principal": a, "thingName": "none"}),
                "ResourceNotFoundException",
            ),
        ] {
            world.fails("GetEffectivePolicies", input, exception);
        }
    });
}

#[test]
fn facts_hold_all_that_a_verdict_rests_on() {
    each_standard(|world| {
        furnish(world);
        policy(world, "own", &[allow("Publish", "topic/own")]);
        policy(world, "group", &[allow("Publish", "topic/group")]);
        attach(world, "own", &certificate('a'));
        attach(world, "group", &arn("thinggroup/g0"));
        world.ok(
            "AttachThingPrincipal",
            json!({"thingName": "dev2", "principal": certificate('a')}),
        );

        let documents = Arc::new(Documents::new());
        let shared = Arc::clone(&documents);
        let read = move |tx: &mut storage::Tx<'_>| {
            registry::facts(
                tx,
                &scope(),
                &certificate_id('a'),
                &KnownCertificates,
                &shared,
            )
        };
        let facts = world.storage.read_blocking(read).unwrap();
        assert_eq!(facts.certificate.unwrap().id, certificate_id('a').as_str());
        assert_eq!(&*facts.policies[0].name, "own");
        assert_eq!(&*facts.policies[0].version, "1");
        let names: Vec<_> = facts
            .things
            .iter()
            .map(|thing| thing.name.as_str())
            .collect();
        assert_eq!(names, ["dev1", "dev2"]);
        let dev1 = &facts.things[0];
        assert_eq!(dev1.thing_type.as_deref(), Some("pump"));
        assert_eq!(dev1.attributes["site"], "north");
        assert!(!dev1.exclusive);
        let groups: Vec<_> = dev1.groups.iter().map(|group| group.arn.clone()).collect();
        assert_eq!(groups, [arn("thinggroup/g0"), arn("thinggroup/g1")]);
        assert_eq!(&*dev1.groups[0].policies[0].name, "group");
        assert!(dev1.groups[1].policies.is_empty());
        assert!(facts.things[1].groups.is_empty());
    });
}
