use std::sync::Arc;

use policy::{Dialect, Document, NamedPolicy};
use serde_json::json;

use super::*;
use crate::Call;
use crate::catalogue::Catalogue;
use crate::operation::Operation;

const ARN: &str = "arn:aws:iot:us-east-1:111122223333:";

fn scope() -> Scope {
    Scope::new(
        model::AccountId::parse("111122223333").unwrap(),
        model::Region::parse("us-east-1").unwrap(),
    )
}

fn caller(statements: &Value) -> Caller {
    let text = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
    let document = Document::parse(&text, Dialect::Identity).unwrap();
    let policy = NamedPolicy {
        name: "p".into(),
        arn: "arn:aws:iam::111122223333:user/anna/p".into(),
        version: "v1".into(),
        document: Arc::new(document),
        text: text.into(),
    };
    Caller {
        kind: CallerKind::User,
        arn: "arn:aws:iam::111122223333:user/anna".to_owned(),
        user_id: "AIDA".to_owned(),
        account: "111122223333".to_owned(),
        access_key_id: None,
        session_name: None,
        source_ip: [198, 51, 100, 9].into(),
        user_agent: "ua".to_owned(),
        policies: Arc::new(vec![policy]),
        tags: BTreeMap::from([("team".to_owned(), "ops".to_owned())]),
        certificate: None,
    }
}

fn attach() -> Operation {
    let work = |_: &mut Call<'_, '_>, _: Value| Ok::<Value, ApiError>(Value::Null);
    Operation::write("iot", "AttachPolicy", "policy/{policyName}", work).resource("{target}")
}

fn publish() -> Operation {
    let work = |_: &mut Call<'_, '_>, _: Value| Ok::<Value, ApiError>(Value::Null);
    Operation::write("iot-data", "Publish", "topic/{topic}", work)
        .also("iot:RetainPublish", |input| input["retain"] == true)
        .resources(|input, _| match input["topic"].as_str() {
            Some("twice") => vec![format!("{ARN}topic/twice"), format!("{ARN}topic/more")],
            _ => Vec::new(),
        })
}

#[track_caller]
fn check_questions(operation: Operation, input: &Value, expected: &[(&str, &str)]) {
    let catalogue = Catalogue::new(vec![operation]).unwrap();
    let served = catalogue.at(0).unwrap();
    let found: Vec<_> = questions(served, input, &caller(&json!([])), &scope())
        .unwrap()
        .into_iter()
        .map(|question| (question.action, question.resource))
        .collect();
    let expected: Vec<_> = expected
        .iter()
        .map(|(action, resource)| ((*action).to_owned(), resource.replace("A:", ARN)))
        .collect();
    assert_eq!(found, expected, "{input}");
}

#[test]
fn every_action_is_asked_on_every_resource_once() {
    check_questions(
        attach(),
        &json!({"policyName": "p", "target": "arn:x"}),
        &[
            ("iot:AttachPolicy", "A:policy/p"),
            ("iot:AttachPolicy", "arn:x"),
        ],
    );
    check_questions(
        publish(),
        &json!({"topic": "a/b"}),
        &[("iot:Publish", "A:topic/a/b")],
    );
    check_questions(
        publish(),
        &json!({"topic": "a", "retain": true}),
        &[
            ("iot:Publish", "A:topic/a"),
            ("iot:RetainPublish", "A:topic/a"),
        ],
    );
    check_questions(
        publish(),
        &json!({"topic": "twice"}),
        &[
            ("iot:Publish", "A:topic/twice"),
            ("iot:Publish", "A:topic/more"),
        ],
    );
}

fn groups(count: usize) -> Value {
    let names: Vec<String> = (0..count).map(|at| format!("g{at}")).collect();
    json!({"thingName": "t", "thingGroupsToAdd": names})
}

#[test]
fn a_resource_is_asked_about_however_it_is_named() {
    let work = |_: &mut Call<'_, '_>, _: Value| Ok::<Value, ApiError>(Value::Null);
    let add = || {
        let thing = "thing/{thingName}";
        Operation::write("iot", "AddThingToThingGroup", thing, work)
            .resource("thinggroup/{thingGroupName}")
    };
    let both = |thing: &str, group: &str| {
        [thing, group].map(|resource| ("iot:AddThingToThingGroup", resource.to_owned()))
    };
    let group_arn = format!("{ARN}thinggroup/g");
    let foreign = "arn:aws:iot:eu-west-1:999988887777:thinggroup/g";
    for (input, expected) in [
        (
            json!({"thingName": "t", "thingGroupName": "g"}),
            both("A:thing/t", "A:thinggroup/g").to_vec(),
        ),
        (
            json!({"thingName": "t", "thingGroupArn": group_arn}),
            both("A:thing/t", "A:thinggroup/g").to_vec(),
        ),
        (
            json!({"thingName": "t", "thingGroupName": "g", "thingGroupArn": group_arn}),
            both("A:thing/t", "A:thinggroup/g").to_vec(),
        ),
        (
            json!({"thingName": "t", "thingGroupArn": foreign}),
            both("A:thing/t", foreign).to_vec(),
        ),
        (
            json!({"thingName": "t", "thingGroupName": "other", "thingGroupArn": group_arn}),
            [
                both("A:thing/t", "A:thinggroup/other").to_vec(),
                both("A:thing/t", "A:thinggroup/g")[1..].to_vec(),
            ]
            .concat(),
        ),
        (json!({}), both("A:thing/*", "A:thinggroup/*").to_vec()),
    ] {
        let expected: Vec<_> = expected
            .iter()
            .map(|(action, resource)| (*action, resource.as_str()))
            .collect();
        check_questions(add(), &input, &expected);
    }
}

#[test]
fn who_names_nobody_is_asked_about_as_itself_where_that_is_meant() {
    let work = |_: &mut Call<'_, '_>, _: Value| Ok::<Value, ApiError>(Value::Null);
    let own = |input: Value, expected: &str| {
        let keys = Operation::write("iam", "CreateAccessKey", "iam:user/{UserName}", work);
        check_questions(
            keys.or_caller(),
            &input,
            &[("iam:CreateAccessKey", expected)],
        );
    };
    own(
        json!({"UserName": "eve"}),
        "arn:aws:iam::111122223333:user/eve",
    );
    own(json!({}), "arn:aws:iam::111122223333:user/anna");
    own(
        json!({"UserName": null}),
        "arn:aws:iam::111122223333:user/anna",
    );
}

#[test]
fn there_is_always_a_question_and_there_are_not_too_many() {
    let work = |_: &mut Call<'_, '_>, _: Value| Ok::<Value, ApiError>(Value::Null);
    let update = |template: &'static str| {
        Operation::write("iot", "UpdateThingGroupsForThing", template, work)
    };
    let count = |operation: Operation, input: &Value| {
        let catalogue = Catalogue::new(vec![operation]).unwrap();
        let served = catalogue.at(0).unwrap();
        let asked = questions(served, input, &caller(&json!([])), &scope());
        asked
            .map(|asked| asked.len())
            .map_err(|error| error.message)
    };
    let by_group = "thinggroup/{thingGroupsToAdd}";
    assert_eq!(count(update(by_group), &groups(0)), Ok(1));
    assert_eq!(count(update(by_group), &groups(2)), Ok(2));
    assert_eq!(count(update(by_group), &groups(RESOURCES_MAX)), Ok(1000));
    let refused = "the request names more than 1000 resources".to_owned();
    let over = groups(RESOURCES_MAX + 1);
    assert_eq!(count(update(by_group), &over), Err(refused.clone()));
    let computed = || {
        update("thing/{thingName}").resources(|input, _| {
            let names = input["thingGroupsToAdd"].as_array().into_iter().flatten();
            names.filter_map(Value::as_str).map(str::to_owned).collect()
        })
    };
    assert_eq!(count(computed(), &groups(RESOURCES_MAX - 1)), Ok(1000));
    assert_eq!(count(computed(), &groups(RESOURCES_MAX)), Err(refused));
    // Repeats are one.
    let same = json!({"thingName": "t", "thingGroupsToAdd": vec!["g"; 5000]});
    assert_eq!(count(computed(), &same), Ok(2));
}

#[track_caller]
fn check(statements: &Value, input: &Value, expected: Result<(), (&str, Verdict)>) {
    let caller = caller(statements);
    let now = Timestamp::from_seconds(1_767_323_045);
    let context = context(&caller, input, now, &scope());
    let questions = ["policy/p", "cert/c"]
        .map(|name| Question {
            action: "iot:AttachPolicy".to_owned(),
            resource: format!("{ARN}{name}"),
        })
        .to_vec();
    let found = identity(&caller, questions, &context)
        .map_err(|refused| (refused.question.resource.clone(), refused.decision.verdict));
    let expected = expected.map_err(|(name, verdict)| (format!("{ARN}{name}"), verdict));
    assert_eq!(found, expected, "{statements}");
}

#[test]
fn all_resources_must_be_allowed_and_the_refused_one_is_named() {
    let none = json!({});
    let allow =
        |resource: &str| json!([{"Effect": "Allow", "Action": "iot:*", "Resource": resource}]);
    check(&allow("*"), &none, Ok(()));
    check(
        &allow(&format!("{ARN}policy/*")),
        &none,
        Err(("cert/c", Verdict::ImplicitDeny)),
    );
    check(
        &allow(&format!("{ARN}cert/*")),
        &none,
        Err(("policy/p", Verdict::ImplicitDeny)),
    );
    let denied = json!([
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": "iot:AttachPolicy", "Resource": format!("{ARN}cert/*")},
    ]);
    check(&denied, &none, Err(("cert/c", Verdict::ExplicitDeny)));
}

#[track_caller]
fn check_condition(condition: Value, input: &Value, allowed: bool) {
    let statements =
        json!([{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": condition}]);
    let refused = Err(("policy/p", Verdict::ImplicitDeny));
    check(&statements, input, if allowed { Ok(()) } else { refused });
}

#[test]
fn conditions_see_the_caller_and_the_time() {
    let check = |operator: &str, key: &str, value: &str, allowed: bool| {
        check_condition(json!({operator: {key: value}}), &json!({}), allowed);
    };
    check("IpAddress", "aws:SourceIp", "198.51.100.0/24", true);
    check("IpAddress", "aws:SourceIp", "203.0.113.0/24", false);
    check("StringEquals", "aws:username", "anna", true);
    check("StringEquals", "aws:userid", "AIDA", true);
    check("StringEquals", "aws:PrincipalTag/team", "ops", true);
    check("StringEquals", "aws:PrincipalTag/team", "dev", false);
    check("StringEquals", "aws:PrincipalType", "AssumedRole", false);
    check("StringEquals", "aws:RequestedRegion", "us-east-1", true);
    check("StringEquals", "aws:UserAgent", "ua", true);
    check("Bool", "aws:SecureTransport", "true", true);
    check(
        "DateLessThan",
        "aws:CurrentTime",
        "2026-01-02T03:04:06Z",
        true,
    );
    check(
        "DateLessThan",
        "aws:CurrentTime",
        "2026-01-02T03:04:05Z",
        false,
    );
    check("NumericLessThan", "aws:EpochTime", "1767323046", true);
}

#[test]
fn conditions_see_when_a_session_began_and_nothing_of_the_kind_for_others() {
    let scope = scope();
    let issued = |kind: CallerKind| {
        let who = Caller {
            kind,
            ..caller(&json!([]))
        };
        let now = Timestamp::from_seconds(1_767_323_045);
        let mut keys = context(&who, &json!({}), now, &scope);
        keys.remove("aws:TokenIssueTime")
    };
    let issued_at = Timestamp::from_millis(1_767_323_045_999);
    let expected = Some(vec!["2026-01-02T03:04:05Z".to_owned()]);
    assert_eq!(issued(CallerKind::AssumedRole { issued_at }), expected);
    assert_eq!(issued(CallerKind::User), None);
}

#[test]
fn conditions_see_the_tags_of_the_request() {
    let stage = || json!({"StringEquals": {"aws:RequestTag/stage": "test"}});
    let keys = || json!({"ForAllValues:StringEquals": {"aws:TagKeys": ["stage"]}});
    let tagged = json!({"tags": [{"Key": "stage", "Value": "test"}], "Tags": []});
    check_condition(stage(), &tagged, true);
    check_condition(stage(), &json!({}), false);
    check_condition(
        stage(),
        &json!({"Tags": [{"Key": "stage", "Value": "test"}]}),
        true,
    );
    check_condition(
        stage(),
        &json!({"tags": [{"Key": "stage", "Value": "live"}]}),
        false,
    );
    check_condition(keys(), &tagged, true);
    check_condition(keys(), &json!({"tagKeys": ["stage"]}), true);
    check_condition(keys(), &json!({"tagKeys": ["stage", "other"]}), false);
}

#[test]
fn devices_are_asked_about_in_the_words_of_iot_policies() {
    let thing = |name: &str, shadow: Option<&str>| OwnedResource::Thing {
        name: name.to_owned(),
        shadow: shadow.map(str::to_owned),
    };
    for (action, resource, expected) in [
        (
            "iot:Publish",
            "A:topic/a/b",
            OwnedResource::Topic("a/b".to_owned()),
        ),
        (
            "iot:Subscribe",
            "A:topicfilter/a/#",
            OwnedResource::TopicFilter("a/#".to_owned()),
        ),
        (
            "iot:GetConnection",
            "A:client/c",
            OwnedResource::Client("c".to_owned()),
        ),
        ("iot:GetThingShadow", "A:thing/t", thing("t", None)),
        ("iot:GetThingShadow", "A:thing/t/s", thing("t", Some("s"))),
        (
            "iot:AssumeRoleWithCertificate",
            "A:rolealias/r",
            OwnedResource::RoleAlias("r".to_owned()),
        ),
        ("iot:ListRetainedMessages", "*", OwnedResource::Any),
        (
            "iot:Publish",
            "arn:aws:iot:other:1:topic/a",
            OwnedResource::Any,
        ),
    ] {
        let question = Question {
            action: action.to_owned(),
            resource: resource.replace("A:", ARN),
        };
        let found = device_requests(&[question], &scope()).unwrap();
        assert_eq!(found[0].0.name(), action);
        assert_eq!(found[0].1, expected, "{resource}");
    }
    let foreign = Question {
        action: "iot:CreateThing".to_owned(),
        resource: "*".to_owned(),
    };
    let refused = device_requests(&[foreign], &scope()).unwrap_err();
    assert_eq!(refused.exception, "ForbiddenException");
}

// tests aws-iot [HT-23]
#[test]
fn the_message_names_who_what_and_where() {
    let caller = caller(&json!([{"Effect": "Allow", "Action": "sts:*", "Resource": "*"}]));
    let question = Question {
        action: "iot:CreateThing".to_owned(),
        resource: format!("{ARN}thing/a"),
    };
    let refused = identity(&caller, vec![question], &BTreeMap::new()).unwrap_err();
    assert_eq!(
        refusal_message(&caller, &refused, "d1"),
        "User: arn:aws:iam::111122223333:user/anna is not authorized to perform: iot:CreateThing \
         on resource: arn:aws:iot:us-east-1:111122223333:thing/a because no identity-based policy \
         allows the iot:CreateThing action (denial id d1)"
    );
}
