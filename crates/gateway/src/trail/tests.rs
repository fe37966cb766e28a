use std::collections::BTreeMap;

use super::*;
use crate::Call;
use crate::catalogue::Catalogue;
use crate::operation::Operation;

fn scope() -> Scope {
    Scope::new(
        model::AccountId::parse("111122223333").unwrap(),
        model::Region::parse("us-east-1").unwrap(),
    )
}

fn caller() -> Caller {
    Caller {
        kind: CallerKind::User,
        arn: "arn:aws:iam::111122223333:user/team/anna".to_owned(),
        user_id: "AIDAEXAMPLE".to_owned(),
        account: "111122223333".to_owned(),
        access_key_id: Some("AKIDEXAMPLE".to_owned()),
        session_name: None,
        source_ip: [198, 51, 100, 9].into(),
        user_agent: "aws-cli/2".to_owned(),
        policies: Arc::default(),
        tags: BTreeMap::new(),
        certificate: None,
    }
}

fn record(
    service: &'static str,
    name: &'static str,
    input: &Value,
    outcome: Result<&Value, &ApiError>,
) -> Value {
    let work = |_: &mut Call<'_, '_>, _: Value| Ok::<Value, ApiError>(Value::Null);
    let catalogue = Catalogue::new(vec![Operation::write(service, name, "*", work)]).unwrap();
    let event = Event {
        served: catalogue.named(service, name).unwrap(),
        caller: &caller(),
        scope: &scope(),
        request_id: "request-1",
        at: Timestamp::from_seconds(1_767_323_045),
        input,
        outcome,
    };
    let mut record = event.record().record;
    assert_eq!(record["eventID"].as_str().unwrap().len(), 36);
    record["eventID"] = json!("event-1");
    record
}

// tests aws-iot [12.3]
#[test]
fn records_have_the_shape_of_cloudtrail() {
    let input = json!({"policyName": "p1", "target": "A:cert/ab"});
    let found = record("iot", "AttachPolicy", &input, Ok(&Value::Null));
    testkit::golden("golden/trail_attach_policy.json", &format!("{found:#}\n"));
    let error = ApiError::not_found("there is no policy p1");
    let found = record("iot", "AttachPolicy", &input, Err(&error));
    assert_eq!(found["errorCode"], "ResourceNotFoundException");
    assert_eq!(found["errorMessage"], "there is no policy p1");
    assert_eq!(found["responseElements"], Value::Null);
}

#[track_caller]
fn check(
    (service, name): (&'static str, &'static str),
    input: &Value,
    output: &Value,
    request: &Value,
    response: &Value,
) {
    let found = record(service, name, input, Ok(output));
    assert_eq!(&found["requestParameters"], request, "{name}");
    assert_eq!(&found["responseElements"], response, "{name}");
    let text = found.to_string();
    assert!(!text.contains("SECRET"), "{text}");
}

#[test]
fn secrets_never_enter_a_record() {
    check(
        ("iot", "CreateKeysAndCertificate"),
        &json!({"setAsActive": true}),
        &json!({
            "certificateId": "ab",
            "keyPair": {"PublicKey": "public", "PrivateKey": "SECRET"},
        }),
        &json!({"setAsActive": true}),
        &json!({
            "certificateId": "ab",
            "keyPair": {"PublicKey": "public", "PrivateKey": HIDDEN},
        }),
    );
    check(
        ("iam", "CreateAccessKey"),
        &json!({"UserName": "anna"}),
        &json!({"AccessKey": {
            "UserName": "anna", "AccessKeyId": "AKID", "SecretAccessKey": "SECRET",
        }}),
        &json!({"UserName": "anna"}),
        &json!({"AccessKey": {
            "UserName": "anna", "AccessKeyId": "AKID", "SecretAccessKey": HIDDEN,
        }}),
    );
    check(
        ("sts", "AssumeRole"),
        &json!({"RoleArn": "arn", "RoleSessionName": "s", "TokenCode": "SECRET"}),
        &json!({"Credentials": {
            "AccessKeyId": "ASIA", "SecretAccessKey": "SECRET", "SessionToken": "SECRET",
        }}),
        &json!({"RoleArn": "arn", "RoleSessionName": "s", "TokenCode": HIDDEN}),
        &json!({"Credentials": {
            "AccessKeyId": "ASIA", "SecretAccessKey": HIDDEN, "SessionToken": HIDDEN,
        }}),
    );
    check(
        ("iot-data", "Publish"),
        &json!({"topic": "a", "payload": "SECRET"}),
        &Value::Null,
        &json!({"topic": "a", "payload": HIDDEN}),
        &Value::Null,
    );
}

#[test]
fn a_private_key_in_a_place_of_another_thing_never_enters_a_record() {
    let key = "-----BEGIN EC PRIVATE KEY-----\nSECRET\n-----END EC PRIVATE KEY-----";
    let register = ("iot", "RegisterCertificate");
    check(
        register,
        &json!({"certificatePem": format!("my key\n{key}"), "caCertificatePem": key}),
        &json!({"certificateId": key}),
        &json!({"certificatePem": format!("my key\n{HIDDEN}"), "caCertificatePem": HIDDEN}),
        &json!({"certificateId": HIDDEN}),
    );
    check(
        ("iot", "CreateThing"),
        &json!({"thingName": "a", "attributePayload": {"attributes": {key: key}}}),
        &Value::Null,
        &json!({"thingName": "a", "attributePayload": {"attributes": {HIDDEN: HIDDEN}}}),
        &Value::Null,
    );
    // The end of the key is where the message is cut.
    let long = format!("{}{key} is bad", "x".repeat(MESSAGE_BYTES_MAX - 50));
    let input = json!({"certificatePem": key});
    let error = ApiError::invalid(long);
    let found = record(register.0, register.1, &input, Err(&error));
    let expected = format!("{}{HIDDEN} is bad", "x".repeat(MESSAGE_BYTES_MAX - 50));
    assert_eq!(found["errorMessage"], expected);
    assert_eq!(
        found["requestParameters"],
        json!({"certificatePem": HIDDEN})
    );
}

#[test]
fn records_are_bounded() {
    let document = |len: usize| json!({"policyName": "p", "policyDocument": "x".repeat(len)});
    let around = document(0).to_string().len();
    let fits = document(ELEMENTS_BYTES_MAX - around);
    let found = record("iot", "CreatePolicy", &fits, Ok(&Value::Null));
    assert_eq!(found["requestParameters"], fits);
    let over = document(ELEMENTS_BYTES_MAX - around + 1);
    let found = record("iot", "CreatePolicy", &over, Ok(&Value::Null));
    assert_eq!(
        found["requestParameters"],
        json!({"omitted": "larger than 32768 bytes"})
    );
    let error = ApiError::invalid("ä".repeat(2000));
    let found = record("iot", "CreatePolicy", &over, Err(&error));
    let message = found["errorMessage"].as_str().unwrap();
    assert_eq!(message.len(), MESSAGE_BYTES_MAX);
}

fn waiting_record() -> TrailRecord {
    TrailRecord {
        id: model::random_uuid(),
        at: Timestamp::from_seconds(100),
        event_name: "CreateThing",
        event_source: "iot.amazonaws.com",
        user_arn: "arn".to_owned(),
        access_key_id: None,
        error_code: None,
        record: Value::Null,
    }
}

fn stored(storage: &Storage) -> usize {
    let count = storage.read_blocking(|tx| {
        let row = tx.query_one("SELECT COUNT(*) FROM trail_events", &[])?;
        row.expect("a count").int(0)
    });
    usize::try_from(count.unwrap()).unwrap()
}

#[test]
fn a_full_journal_counts_what_it_loses_and_writes_the_rest() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    testkit::each_database(crate::MIGRATIONS, |storage| {
        let journal = Journal::default();
        for _ in 0..WAITING_MAX {
            journal.push(waiting_record());
        }
        assert_eq!(journal.lost(), 0);
        journal.push(waiting_record());
        assert_eq!(journal.lost(), 1);
        runtime.block_on(journal.flush(storage)).unwrap();
        assert_eq!(stored(storage), WAITING_MAX);
        runtime.block_on(journal.flush(storage)).unwrap();
        assert_eq!(stored(storage), WAITING_MAX);
        let remove = |moment: i64| {
            let oldest = Timestamp::from_millis(moment);
            let removed =
                storage.write_blocking(Urgency::Normal, move |tx| remove_older(tx, oldest));
            removed.unwrap().value
        };
        assert_eq!(remove(100_000), 0);
        assert_eq!(remove(100_001), u64::from(REMOVE_BATCH));
        assert_eq!(stored(storage), WAITING_MAX - REMOVE_BATCH as usize);
    });
}
