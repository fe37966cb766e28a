//! A private key pasted where it does not belong leaves no trace.

use std::fmt;
use std::sync::{Arc, Mutex};

use serde_json::json;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::house::{ADMIN, ASK, Ask, House, NOBODY, each_house};

const KEY: &str = "-----BEGIN PRIVATE KEY-----\nSECRET\n-----END PRIVATE KEY-----";
/// The same within a path.
const KEY_IN_PATH: &str =
    "/-----BEGIN%20PRIVATE%20KEY-----%0ASECRET%0A-----END%20PRIVATE%20KEY-----";

/// Keeps the text of every log line.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        *self.0 += &format!("{field}={value:?} ");
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        span.record(&mut Line(&mut self.0.lock().unwrap()));
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut Line(&mut self.0.lock().unwrap()));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Line(&mut self.0.lock().unwrap()));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

async fn check(house: &House, ask: Ask<'_>, status: u16) {
    let answer = house.ask(ask).await;
    assert_eq!(answer.status, status, "{}", answer.text());
    assert!(!answer.text().contains("SECRET"), "{}", answer.text());
}

#[test]
fn a_pasted_private_key_is_in_no_record_denial_answer_or_log() {
    let log = Log::default();
    let scoped = tracing::subscriber::set_default(log.clone());
    each_house(async |house| {
        let description = json!({"thingTypeName": KEY}).to_string();
        let create = Ask {
            method: "POST",
            body: description.as_bytes(),
            ..ASK
        };
        check(house, create, 400).await;
        check(
            house,
            Ask {
                key: NOBODY,
                ..create
            },
            403,
        )
        .await;
        let named = format!("/things{KEY_IN_PATH}");
        for (key, status) in [(ADMIN, 400), (NOBODY, 403)] {
            let path = named.as_str();
            check(
                house,
                Ask {
                    key,
                    path,
                    ..create
                },
                status,
            )
            .await;
        }
        let topic = format!("/topics{KEY_IN_PATH}");
        let publish = Ask {
            service: "iotdata",
            path: &topic,
            ..create
        };
        for (body, status) in [(b"refuse".as_slice(), 400), (b"break", 500)] {
            check(house, Ask { body, ..publish }, status).await;
        }

        let trail = house.trail().await;
        assert_eq!(trail.len(), 4, "{trail:?}");
        let denials = Ask {
            service: "palisade",
            path: "/denials",
            ..ASK
        };
        check(house, denials, 200).await;
        for text in [json!(trail).to_string(), house.ask(denials).await.text()] {
            assert!(text.contains(gateway::HIDDEN), "{text}");
            assert!(!text.contains("SECRET"), "{text}");
        }
    });
    drop(scoped);
    let log = log.0.lock().unwrap();
    assert!(
        log.contains(&format!("broken on {}", gateway::HIDDEN)),
        "{log}"
    );
    assert!(!log.contains("SECRET"), "{log}");
}
