//! What is refused, and how one learns why.

use gateway::{Denial, Door};
use serde_json::{Value, json};

use crate::house::{ADMIN, ARN, ASK, Ask, NOBODY, caller, each_house, later};

const OUR: Ask<'static> = Ask {
    service: "palisade",
    ..ASK
};

// tests aws-iot [HT-23]
#[test]
fn a_denial_leads_to_its_reason() {
    each_house(async |house| {
        let refused = house
            .ask(Ask {
                key: NOBODY,
                method: "POST",
                ..ASK
            })
            .await;
        assert_eq!(
            (refused.status, refused.code()),
            (403, "AccessDeniedException")
        );
        let id = refused.header("x-palisade-denial-id").to_owned();
        let message = refused.json()["Message"].as_str().unwrap().to_owned();
        for part in ["user/nobody", "iot:CreateThing", "thing/pump", &id] {
            assert!(message.contains(part), "{message}");
        }
        let path = format!("/denials/{id}");
        // From memory, and from the database once it is flushed.
        for _ in 0..2 {
            let denial = house.ask(Ask { path: &path, ..OUR }).await.json()["denial"].clone();
            assert_eq!(denial["denialId"], id.as_str());
            assert_eq!(denial["principal"], "arn:aws:iam::111122223333:user/nobody");
            assert_eq!(denial["resource"], format!("{ARN}thing/pump"));
            assert_eq!(
                (&denial["verdict"], &denial["count"]),
                (&json!("implicit-deny"), &json!(1))
            );
            let why: Value = serde_json::from_str(denial["explanation"].as_str().unwrap()).unwrap();
            assert!(why.is_object());
            house.gateway.flush().await;
        }
        let missing = format!("/denials/{}", "0".repeat(32));
        let answer = house
            .ask(Ask {
                path: &missing,
                ..OUR
            })
            .await;
        assert_eq!(
            (answer.status, answer.code()),
            (404, "ResourceNotFoundException")
        );
    });
}

#[test]
fn to_ask_why_is_itself_authorized_and_recorded() {
    each_house(async |house| {
        let path = format!("/denials/{}", "0".repeat(32));
        let refused = house
            .ask(Ask {
                key: NOBODY,
                path: &path,
                ..OUR
            })
            .await;
        assert_eq!(refused.code(), "AccessDeniedException");
        let refused = house
            .ask(Ask {
                key: NOBODY,
                path: "/denials",
                ..OUR
            })
            .await;
        assert_eq!(refused.code(), "AccessDeniedException");
        house
            .ask(Ask {
                path: "/denials",
                ..OUR
            })
            .await;
        let trail = house.trail().await;
        let mut seen: Vec<String> = trail
            .iter()
            .map(|record| format!("{} {}", record["eventName"], record["errorCode"]))
            .collect();
        seen.sort();
        assert_eq!(
            seen,
            [
                "\"GetDenial\" \"AccessDeniedException\"",
                "\"ListDenials\" \"AccessDeniedException\"",
                "\"ListDenials\" null",
            ]
        );
    });
}

#[test]
fn denials_are_listed_in_pages_newest_first() {
    each_house(async |house| {
        let nobody = caller(&json!([]));
        for at in 0..5 {
            let input = json!({"thingName": format!("t{at}")});
            let refused = house
                .gateway
                .call(&nobody, "iot", "DescribeThing", input)
                .await;
            assert_eq!(refused.unwrap_err().exception, "AccessDeniedException");
        }
        let admin = caller(&json!([{"Effect": "Allow", "Action": "*", "Resource": "*"}]));
        let list = async |input: Value| {
            house
                .gateway
                .call(&admin, "palisade", "ListDenials", input)
                .await
        };
        let mut found = Vec::new();
        let mut token = Value::Null;
        loop {
            let input = json!({"maxResults": 2, "nextToken": token, "principal": nobody.arn});
            let page = list(input).await.unwrap();
            let denials = page["denials"].as_array().unwrap().clone();
            assert!(denials.len() <= 2);
            found.extend(denials.iter().map(|denial| denial["resource"].clone()));
            token = page["nextToken"].clone();
            if token.is_null() {
                break;
            }
        }
        found.sort_by_key(Value::to_string);
        let all: Vec<String> = (0..5).map(|at| format!("{ARN}thing/t{at}")).collect();
        assert_eq!(found, all);
        let other = list(json!({"principal": "arn:other"})).await.unwrap();
        assert_eq!(other, json!({"denials": []}));
        let page = list(json!({"maxResults": 2})).await.unwrap();
        let foreign = json!({"principal": nobody.arn, "nextToken": page["nextToken"]});
        assert_eq!(
            list(foreign).await.unwrap_err().exception,
            "InvalidRequestException"
        );
        let bad = list(json!({"nextToken": "bad"})).await;
        assert_eq!(bad.unwrap_err().exception, "InvalidRequestException");
    });
}

#[test]
fn every_refusal_is_counted_by_its_door() {
    each_house(async |house| {
        let check = |expected: [u64; 3]| {
            let text = house.metrics.render().unwrap();
            for (door, count) in ["mqtt", "https", "api"].into_iter().zip(expected) {
                let line = format!("gateway_denials_total{{door=\"{door}\"}} {count}\n");
                assert!(text.contains(&line), "{line} {text}");
            }
        };
        check([0, 0, 0]);
        let refused = Ask { key: NOBODY, ..ASK };
        assert_eq!(house.ask(refused).await.status, 403);
        check([0, 0, 1]);
        for door in [Door::Mqtt, Door::Mqtt, Door::Https] {
            // Repeats count though they coalesce into one record.
            house.denials.record(Denial {
                door,
                principal: "arn".to_owned(),
                client_id: None,
                source_ip: None,
                action: "iot:Publish".to_owned(),
                resource: "*".to_owned(),
                verdict: "implicit-deny",
                explanation: Value::Null,
            });
        }
        check([2, 1, 1]);
        // What is not a verdict of policy is not counted.
        let unsigned = Ask { key: "", ..ASK };
        assert_eq!(house.ask(unsigned).await.status, 403);
        check([2, 1, 1]);
    });
}

/// Every route is refused to a caller without permissions, but for the few that are open.
#[test]
fn every_route_is_refused_without_permission() {
    each_house(async |house| {
        let nobody = caller(&json!([]));
        let routes = house.gateway.routes();
        assert_eq!(routes.len(), 9);
        for route in routes.iter().filter(|route| !route.any_caller) {
            let refused = house
                .gateway
                .call(&nobody, route.service, route.name, json!({}))
                .await;
            let expected = match route.service {
                "iot-data" => "ForbiddenException",
                _ => "AccessDeniedException",
            };
            assert_eq!(refused.unwrap_err().exception, expected, "{}", route.action);
        }
    });
}

#[test]
fn old_records_are_removed() {
    each_house(async |house| {
        house
            .ask(Ask {
                key: NOBODY,
                method: "POST",
                ..ASK
            })
            .await;
        house
            .ask(Ask {
                key: ADMIN,
                method: "POST",
                ..ASK
            })
            .await;
        house.gateway.flush().await;
        let days = |days: i64| later(days * 24 * 3600);
        assert_eq!(house.gateway.reconcile(days(31)).await.unwrap(), 0);
        assert_eq!(
            house.gateway.reconcile(days(32)).await.unwrap(),
            1,
            "the denial"
        );
        assert_eq!(house.gateway.reconcile(days(90)).await.unwrap(), 0);
        assert_eq!(
            house.gateway.reconcile(days(91)).await.unwrap(),
            2,
            "the trail"
        );
        assert!(house.trail().await.is_empty());
    });
}
