//! `palisade connections`: who is connected now, and who was.

use anyhow::{Context as _, Result};
use hyper::Method;
use serde_json::Value;

use super::selection::query;
use crate::arguments::{ConnectionsCommand, Output};
use crate::client::{Client, encode};
use crate::output;

/// What a list shows, and what it shows beside when it may be wide.
const COLUMNS: [(&str, &str); 5] = [
    ("CLIENT", "clientId"),
    ("THING", "thingName"),
    ("PRINCIPAL", "principal"),
    ("FROM", "sourceIp"),
    ("SINCE", "connectedSince"),
];
const WIDE: [(&str, &str); 9] = [
    ("PORT", "sourcePort"),
    ("PROTOCOL", "protocol"),
    ("TLS", "tlsVersion"),
    ("GROUP", "tlsGroup"),
    ("RESUMED", "tlsResumed"),
    ("KEEP ALIVE", "keepAliveSeconds"),
    ("EXPIRY", "sessionExpirySeconds"),
    ("SUBSCRIPTIONS", "subscriptions"),
    ("WAITING", "waitingMessages"),
];

pub(crate) async fn run(
    client: &Client,
    output: Output,
    command: &ConnectionsCommand,
) -> Result<()> {
    match command {
        ConnectionsCommand::List { of, wide } => {
            let path = format!("/connections?connected=true{}", query(of));
            let mut rows = client.all("palisade", &path, "connections").await?;
            output::tell_times(output, &mut rows, &["connectedSince"]);
            let beside = if *wide { &WIDE[..] } else { &[] };
            output::rows(output, &[&COLUMNS, beside].concat(), &rows)
        }
        ConnectionsCommand::Show { client: id } => {
            let path = format!("/connections/{}", encode(id));
            let mut answer = client.get("palisade", &path).await?.body;
            let mut shown = [answer["connection"].take()];
            let times = ["connectedSince", "certificateExpiresAt", "accessReadAt"];
            output::tell_times(output, &mut shown, &times);
            if output == Output::Table {
                tell_policies(&mut shown[0]);
            }
            output::object(
                output,
                shown[0].as_object().context("a connection is an object")?,
            )
        }
        ConnectionsCommand::Kick {
            client: id,
            clean_session,
            prevent_will,
        } => delete(client, id, *clean_session, *prevent_will).await,
        ConnectionsCommand::History { client_id } => {
            let path = match client_id {
                Some(id) => format!("/connection-history?clientId={}", encode(id)),
                None => "/connection-history".to_owned(),
            };
            let answer = client.get("palisade", &path).await?;
            let mut rows = answer.body["connections"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            output::tell_times(output, &mut rows, &["connectedAt", "disconnectedAt"]);
            let columns = [
                ("CLIENT", "clientId"),
                ("PRINCIPAL", "principal"),
                ("FROM", "sourceAddress"),
                ("CONNECTED", "connectedAt"),
                ("DISCONNECTED", "disconnectedAt"),
                ("REASON", "disconnectReason"),
            ];
            output::rows(output, &columns, &rows)
        }
    }
}

/// Ends a client's connection, and with `clean` its session.
pub(super) async fn delete(
    client: &Client,
    id: &str,
    clean: bool,
    prevent_will: bool,
) -> Result<()> {
    let path = format!(
        "/connections/{}?cleanSession={clean}&preventWillMessage={prevent_will}",
        encode(id)
    );
    let sent = client.send("iotdata", Method::DELETE, &path, &Value::Null);
    sent.await.map(drop)
}

/// For people, policies are a line of names with their versions and groups.
fn tell_policies(connection: &mut Value) {
    let policies = connection["policies"].as_array().into_iter().flatten();
    let name = |policy: &Value| {
        let text = |member: &str| policy[member].as_str().unwrap_or_default();
        let group = match text("thingGroupName") {
            "" => String::new(),
            group => format!(" of group {group}"),
        };
        let name = format!("{} version {}{group}", text("policyName"), text("version"));
        Value::String(name)
    };
    connection["policies"] = policies.map(name).collect();
}
