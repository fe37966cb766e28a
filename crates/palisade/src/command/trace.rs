//! `palisade trace`: the packets of one client as they come and go.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::{Method, StatusCode};
use model::Timestamp;
use mqtt::ReasonCode;
use serde_json::{Value, json};

use crate::arguments::{Output, Trace, TraceOf};
use crate::client::{Client, Refused, encode};
use crate::output;

/// How long the server may keep a question that nothing has come to.
const WAIT_S: u64 = 20;

pub(crate) async fn run(client: &Client, output: Output, command: &Trace) -> Result<()> {
    if command.of.list {
        return list(client, output).await;
    }
    if let Some(id) = &command.of.stop {
        return stop(client, id).await;
    }
    let order = order(client, command).await?;
    let started = client
        .send("palisade", Method::POST, "/traces", &order)
        .await?
        .body;
    let id = started["traceId"].as_str().context("a trace has an id")?;
    output::note("tracing; Ctrl-C ends it")?;
    let shown = tokio::select! {
        shown = show(client, output, command, id) => shown,
        interrupted = tokio::signal::ctrl_c() => interrupted.map(|()| Ended::ByUs).map_err(Into::into),
    };
    if matches!(shown, Ok(Ended::ByItself)) {
        return output::note("the trace has ended");
    }
    // Shown or not, the trace is stopped; the first trouble is told.
    let stopped = stop(client, id).await;
    shown.and(stopped)
}

async fn stop(client: &Client, id: &str) -> Result<()> {
    let path = format!("/traces/{}", encode(id));
    let sent = client.send("palisade", Method::DELETE, &path, &Value::Null);
    sent.await.map(drop)
}

async fn list(client: &Client, output: Output) -> Result<()> {
    let mut rows = client.all("palisade", "/traces", "traces").await?;
    output::tell_times(output, &mut rows, &["startedAt", "endsAt"]);
    let columns = [
        ("TRACE", "traceId"),
        ("CLIENT", "clientId"),
        ("PRINCIPALS", "principals"),
        ("BY", "caller"),
        ("UNTIL", "endsAt"),
    ];
    output::rows(output, &columns, &rows)
}

enum Ended {
    ByUs,
    ByItself,
}

async fn order(client: &Client, command: &Trace) -> Result<Value> {
    let mut order = json!({
        "durationSeconds": command.seconds,
        "payloadBytes": command.payload.unwrap_or(0),
    });
    match &command.of {
        TraceOf {
            client: Some(id), ..
        } => order["clientId"] = json!(id),
        TraceOf {
            principal: Some(principal),
            ..
        } => order["principals"] = json!([principal]),
        TraceOf { thing, .. } => {
            let thing = thing.as_deref().unwrap_or_default();
            let path = format!("/things/{}/principals", encode(thing));
            let principals = client.all("iot", &path, "principals").await?;
            if principals.is_empty() {
                bail!("the thing `{thing}` has no certificate");
            }
            order["principals"] = principals.into();
        }
    }
    Ok(order)
}

/// Shows what comes until there was enough of it, or the trace is over.
async fn show(client: &Client, output: Output, command: &Trace, id: &str) -> Result<Ended> {
    let names = command.of.client.is_none();
    let mut left = command.count;
    let mut after = 0;
    loop {
        let path = format!(
            "/traces/{}/records?after={after}&waitSeconds={WAIT_S}",
            encode(id)
        );
        let page = match client.get("palisade", &path).await {
            Ok(answer) => answer.body,
            Err(error) if is_gone(&error) => return Ok(Ended::ByItself),
            Err(error) => return Err(error),
        };
        if let Some(lost) = page["lost"].as_u64().filter(|lost| *lost > 0) {
            output::note(&format!("{lost} packets came too fast and are not shown"))?;
        }
        for record in page["records"].as_array().into_iter().flatten() {
            after = record["number"].as_u64().unwrap_or(after);
            if output == Output::Table {
                output::line(&line(record, names))?;
            } else {
                let object = record.as_object().context("a record is an object")?;
                output::object(Output::Jsonl, object)?;
            }
            if record["direction"].is_string() {
                left = left.map(|left| left.saturating_sub(1));
            }
            if left == Some(0) {
                return Ok(Ended::ByUs);
            }
        }
    }
}

fn is_gone(error: &anyhow::Error) -> bool {
    let refused = error.downcast_ref::<Refused>();
    refused.is_some_and(|refused| refused.status == StatusCode::NOT_FOUND)
}

/// A record for people: `time direction PACKET what it says`.
fn line(record: &Value, names: bool) -> String {
    let text = |member: &str| record[member].as_str();
    let direction = match text("direction") {
        Some("in") => ">",
        Some(_) => "<",
        None => " ",
    };
    let packet = text("packet").unwrap_or_default();
    let mut line = format!("{} {direction} {packet:<11}", time_of_day(&record["at"]));
    if names {
        let _ = write!(line, " [{}]", text("clientId").unwrap_or("-"));
    }
    for filter in record["filters"].as_array().into_iter().flatten() {
        let _ = write!(
            line,
            " {}",
            filter["topicFilter"].as_str().unwrap_or_default()
        );
        if let Some(qos) = filter["qos"].as_u64() {
            let _ = write!(line, " (qos {qos})");
        }
    }
    if let Some(topic) = text("topic") {
        let _ = write!(line, " {topic}");
    }
    for (member, label) in [("qos", "qos "), ("packetId", "#")] {
        if let Some(number) = record[member].as_u64() {
            let _ = write!(line, " {label}{number}");
        }
    }
    for flag in record["flags"].as_array().into_iter().flatten() {
        let _ = write!(line, " {}", flag.as_str().unwrap_or_default());
    }
    let is_v5 = text("protocol") == Some("MQTT 5");
    for code in record["reasonCodes"].as_array().into_iter().flatten() {
        let _ = write!(
            line,
            " {}",
            reason(code.as_u64().unwrap_or_default(), is_v5)
        );
    }
    if let Some(bytes) = record["payloadBytes"].as_u64() {
        let _ = write!(line, " {bytes} bytes");
    }
    for (name, value) in record["properties"].as_object().into_iter().flatten() {
        let _ = write!(line, " {name}={}", value.as_str().unwrap_or_default());
    }
    if let Some(payload) = text("payload") {
        let bytes = STANDARD.decode(payload).unwrap_or_default();
        let _ = write!(line, " {:?}", String::from_utf8_lossy(&bytes));
    }
    line
}

fn time_of_day(at: &Value) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "milliseconds fit for ages")]
    let millis = (at.as_f64().unwrap_or_default() * 1000.0).round() as i64;
    let at = Timestamp::from_millis(millis).to_string();
    at.get(11..23).unwrap_or(&at).to_owned()
}

/// A reason code, with its name where version 5 has one for it.
fn reason(code: u64, is_v5: bool) -> String {
    let parsed = u8::try_from(code).ok().and_then(ReasonCode::parse);
    match parsed.filter(|_| is_v5 && code >= 0x80) {
        Some(named) => format!("{code:#04x} {named:?}"),
        None => format!("{code:#04x}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_a_line() {
        for (record, expected) in [
            (
                json!({"at": 1_795_232_190.739, "direction": "in", "packet": "PUBLISH",
                    "protocol": "MQTT 5", "topic": "a/b", "qos": 1, "packetId": 7,
                    "flags": ["retain"], "payloadBytes": 2, "payload": "aGkK",
                    "properties": {"contentType": "text/plain"}}),
                "03:36:30.739 > PUBLISH     a/b qos 1 #7 retain 2 bytes contentType=text/plain \
                 \"hi\\n\"",
            ),
            (
                json!({"at": 1_795_232_190.739, "direction": "out", "packet": "SUBACK",
                    "protocol": "MQTT 5", "packetId": 2, "reasonCodes": [1, 135]}),
                "03:36:30.739 < SUBACK      #2 0x01 0x87 NotAuthorized",
            ),
            (
                json!({"at": 1_795_232_190.739, "packet": "CLOSED", "protocol": "MQTT 3.1.1",
                    "properties": {"reason": "CONNECTION_LOST"}}),
                "03:36:30.739   CLOSED      reason=CONNECTION_LOST",
            ),
            (
                json!({"at": 1_795_232_190.739, "direction": "in", "packet": "SUBSCRIBE",
                    "filters": [{"topicFilter": "a/#", "qos": 1}], "packetId": 2}),
                "03:36:30.739 > SUBSCRIBE   a/# (qos 1) #2",
            ),
        ] {
            assert_eq!(line(&record, false), expected);
        }
        let named = json!({"at": 0, "direction": "in", "packet": "PINGREQ", "clientId": "c"});
        assert!(
            line(&named, true).ends_with("PINGREQ     [c]"),
            "{}",
            line(&named, true)
        );
    }
}
