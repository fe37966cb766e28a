//! Requests and their answers over HTTP.

use gateway::sigv4::{Signing, sign};
use hyper::header::HeaderMap;
use serde_json::{Value, json};

use crate::house::{ADMIN, ARN, ASK, Ask, House, NOBODY, READER, SECRET, Whom, each_house};

const CREATE: Ask<'static> = Ask {
    method: "POST",
    ..ASK
};

// tests aws-iot [HT-1] [HT-2] [HT-10]
#[test]
fn a_signed_call_is_answered_and_recorded() {
    each_house(async |house| {
        let created = house.ask(CREATE).await;
        assert_eq!(created.status, 200, "{}", created.text());
        assert_eq!(created.json(), json!({"thingName": "pump"}));
        assert_eq!(created.header("content-type"), "application/json");
        assert_eq!(created.header("x-amzn-requestid").len(), 36);
        assert_eq!(created.header("x-palisade-change"), "1");
        let described = house.ask(ASK).await;
        assert_eq!(
            (described.status, described.json()),
            (200, json!({"thingName": "pump"}))
        );
        assert_eq!(described.header("x-palisade-change"), "");

        let trail = house.trail().await;
        assert_eq!(trail.len(), 1, "only what changes something: {trail:?}");
        assert_eq!(trail[0]["eventName"], "CreateThing");
        assert_eq!(trail[0]["requestID"], created.header("x-amzn-requestid"));
        assert_eq!(trail[0]["userIdentity"]["accessKeyId"], ADMIN);
        assert_eq!(trail[0]["userAgent"], "house/1");
        assert_eq!(trail[0]["requestParameters"], json!({"thingName": "pump"}));
        assert_eq!(trail[0]["responseElements"], json!({"thingName": "pump"}));
    });
}

// tests aws-iot [HT-20] [HT-22]
#[test]
fn a_failed_change_is_recorded_with_its_error() {
    each_house(async |house| {
        house.ask(CREATE).await;
        let again = house.ask(CREATE).await;
        assert_eq!(again.status, 409);
        assert_eq!(again.code(), "ResourceAlreadyExistsException");
        assert_eq!(again.json()["resourceArn"], format!("{ARN}thing/pump"));
        let trail = house.trail().await;
        let failed: Vec<&Value> = trail
            .iter()
            .filter(|record| record["errorCode"] == "ResourceAlreadyExistsException")
            .collect();
        assert_eq!((trail.len(), failed.len()), (2, 1));
        let missing = house
            .ask(Ask {
                path: "/things/other",
                ..ASK
            })
            .await;
        assert_eq!(
            (missing.status, missing.code()),
            (404, "ResourceNotFoundException")
        );
    });
}

#[test]
fn secrets_reach_the_caller_and_not_the_trail() {
    each_house(async |house| {
        let answer = house
            .ask(Ask {
                path: "/keys-and-certificate",
                query: "setAsActive=true",
                ..CREATE
            })
            .await;
        assert_eq!(answer.json()["keyPair"]["PrivateKey"], "SECRET");
        let trail = house.trail().await;
        assert_eq!(trail[0]["requestParameters"], json!({"setAsActive": true}));
        assert!(!trail[0].to_string().contains("SECRET"), "{}", trail[0]);
    });
}

async fn check_refusal(house: &House, ask: Ask<'_>, (status, code): (u16, &str), message: &str) {
    let answer = house.ask(ask).await;
    let body = answer.json();
    let found = body["message"].as_str().or(body["Message"].as_str());
    assert_eq!(
        (answer.status, answer.code()),
        (status, code),
        "{}",
        answer.text()
    );
    assert!(found.unwrap().contains(message), "{}", answer.text());
}

// tests aws-iot [HT-23]
#[test]
fn signatures_are_refused_with_the_errors_of_the_front_end() {
    let refused = async |house: &House, ask: Ask<'_>, code: &str, message: &str| {
        check_refusal(house, ask, (403, code), message).await;
    };
    each_house(async |house| {
        let unsigned = Ask { key: "", ..ASK };
        let missing = "MissingAuthenticationTokenException";
        refused(house, unsigned, missing, "Missing Authentication Token").await;
        let unknown = Ask {
            key: "AKIDUNKNOWN",
            ..ASK
        };
        refused(house, unknown, "UnrecognizedClientException", "invalid").await;
        let invalid = "InvalidSignatureException";
        let foreign = Ask {
            service: "s3",
            ..ASK
        };
        refused(house, foreign, invalid, "a service that is served").await;
        let plane = Ask {
            peer: Whom::Data,
            ..ASK
        };
        refused(house, plane, invalid, "iotdata").await;
    });
}

// tests aws-iot [HT-1]
#[test]
fn a_request_signed_for_another_host_is_refused() {
    each_house(async |house| {
        for (host, status) in [
            ("palisade.example", 200),
            ("palisade.example:9443", 200),
            ("PALISADE.EXAMPLE:1", 200),
            ("other.example:9443", 403),
            ("palisade.example.other.example", 403),
            ("palisade.example@other.example", 403),
            ("127.0.0.1:9443", 403),
        ] {
            let list = Ask {
                path: "/things",
                ..ASK
            };
            let headers = sign(&Signing {
                method: list.method,
                path: list.path,
                query: list.query,
                host,
                headers: &HeaderMap::new(),
                body: list.body,
                access_key_id: ADMIN,
                secret: SECRET,
                session_token: None,
                region: "us-east-1",
                service: list.service,
                at: testkit::START,
            });
            let request = list.with(&headers.unwrap());
            let answer = house.send(request, Whom::Control).await;
            assert_eq!(answer.status, status, "{host}: {}", answer.text());
            let refused = answer.code() == "InvalidSignatureException";
            assert_eq!(refused, status == 403, "{host}: {}", answer.text());
        }
    });
}

// tests aws-iot [HT-2] [HT-4]
#[test]
fn what_cannot_be_read_is_refused_with_its_place() {
    let bad = async |house: &House, ask: Ask<'_>, message: &str| {
        check_refusal(house, ask, (400, "InvalidRequestException"), message).await;
    };
    let unknown = async |house: &House, method: &str, path: &str| {
        let unknown = (404, "UnknownOperationException");
        check_refusal(
            house,
            Ask {
                method,
                path,
                ..ASK
            },
            unknown,
            "iot",
        )
        .await;
    };
    each_house(async |house| {
        let body = |body| Ask { body, ..CREATE };
        bad(house, body(b"["), "line 1 column 1").await;
        bad(
            house,
            body(br#"{"thingTypeName": 1}"#),
            "'thingTypeName' must be a text",
        )
        .await;
        let path = |path| Ask { path, ..CREATE };
        bad(house, path("/things/a%20b"), "'a b' at 'thingName'").await;
        bad(house, path("/things/%FF"), "'thingName' in the path").await;
        unknown(house, "GET", "/nothing").await;
        unknown(house, "GET", "/thing-types").await;
        unknown(house, "DELETE", "/things/pump").await;
    });
}

/// Nobody learns from a validation message what they may not ask.
#[test]
fn authorization_comes_before_validation() {
    each_house(async |house| {
        let bad_name = Ask {
            key: NOBODY,
            path: "/things/a%20b",
            ..CREATE
        };
        let answer = house.ask(bad_name).await;
        assert_eq!(
            (answer.status, answer.code()),
            (403, "AccessDeniedException")
        );
    });
}

const PUBLISH: Ask<'static> = Ask {
    key: READER,
    service: "iotdata",
    method: "POST",
    path: "/topics/a%2Fb",
    body: b"\x00raw",
    ..ASK
};

// tests aws-iot [HT-13] [EP-40] [EP-43]
#[test]
fn the_data_plane_takes_raw_bodies() {
    let check = async |house: &House, ask: Ask<'_>| {
        let answer = house.ask(ask).await;
        let expected = json!({"message": "OK", "traceId": answer.header("x-amzn-requestid")});
        assert_eq!((answer.status, answer.json()), (200, expected));
    };
    each_house(async |house| {
        check(house, PUBLISH).await;
        check(
            house,
            Ask {
                path: "/topics/a/b",
                ..PUBLISH
            },
        )
        .await;
        check(
            house,
            Ask {
                service: "iotdevicegateway",
                ..PUBLISH
            },
        )
        .await;
        check(
            house,
            Ask {
                peer: Whom::Data,
                ..PUBLISH
            },
        )
        .await;
        check(
            house,
            Ask {
                body: b"",
                ..PUBLISH
            },
        )
        .await;
        assert!(
            house.trail().await.is_empty(),
            "the data plane is not recorded"
        );
    });
}

// tests aws-iot [EP-42]
#[test]
fn the_data_plane_refuses_by_its_own_exceptions() {
    each_house(async |house| {
        let body = Ask {
            body: b"refuse",
            ..PUBLISH
        };
        let invalid = (400, "InvalidRequestException");
        check_refusal(house, body, invalid, "refused on a/b").await;
        let retained = Ask {
            query: "retain=true",
            ..PUBLISH
        };
        let forbidden = (403, "ForbiddenException");
        check_refusal(house, retained, forbidden, "iot:RetainPublish").await;
        let method = Ask {
            method: "PUT",
            ..PUBLISH
        };
        check_refusal(house, method, (405, "MethodNotAllowedException"), "PUT").await;
    });
}

const CREATE_USER: Ask<'static> = Ask {
    service: "iam",
    method: "POST",
    path: "/",
    body: b"Action=CreateUser&Version=2010-05-08&UserName=anna",
    ..ASK
};

#[test]
fn the_query_protocol_answers_xml() {
    each_house(async |house| {
        let answer = house.ask(CREATE_USER).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, "text/xml")
        );
        let text = answer.text();
        assert!(text.contains("<UserName>anna</UserName>"), "{text}");
        assert!(text.contains(answer.header("x-amzn-requestid")), "{text}");
        let identity = Ask {
            key: NOBODY,
            service: "sts",
            body: b"Action=GetCallerIdentity&Version=2011-06-15",
            ..CREATE_USER
        };
        let text = house.ask(identity).await.text();
        assert!(text.contains(":user/nobody</Arn>"), "{text}");
    });
}

#[test]
fn the_query_protocol_has_codes_of_its_own() {
    let check = async |house: &House, ask: Ask<'_>, status: u16, code: &str| {
        let answer = house.ask(ask).await;
        let code = format!("<Code>{code}</Code>");
        assert_eq!(answer.status, status, "{}", answer.text());
        assert!(answer.text().contains(&code), "{}", answer.text());
    };
    each_house(async |house| {
        let body = |body| Ask {
            body,
            ..CREATE_USER
        };
        let key = |key| Ask { key, ..CREATE_USER };
        check(house, body(b"Action=Nothing"), 400, "InvalidAction").await;
        let old = body(b"Action=CreateUser&Version=1999-01-01&UserName=a");
        check(house, old, 400, "InvalidAction").await;
        check(house, body(b""), 400, "InvalidAction").await;
        let method = Ask {
            method: "PUT",
            query: "Action=CreateUser&UserName=anna",
            body: b"",
            ..CREATE_USER
        };
        check(house, method, 400, "InvalidAction").await;
        check(
            house,
            Ask {
                path: "/x",
                ..CREATE_USER
            },
            400,
            "InvalidAction",
        )
        .await;
        check(house, body(b"Action=CreateUser"), 400, "ValidationError").await;
        let name = body(b"Action=CreateUser&UserName=a%20b");
        check(house, name, 400, "ValidationError").await;
        check(house, key(NOBODY), 403, "AccessDenied").await;
        check(house, key("AKIDUNKNOWN"), 403, "InvalidClientTokenId").await;
    });
}
