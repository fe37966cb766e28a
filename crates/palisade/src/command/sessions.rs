//! `palisade sessions`: of clients that are connected and of those that are away.

use anyhow::Result;
use serde_json::{Map, Value};

use super::connections;
use super::selection::query;
use crate::arguments::{Output, SessionsCommand};
use crate::client::{Client, encode};
use crate::output;

pub(crate) async fn run(client: &Client, output: Output, command: &SessionsCommand) -> Result<()> {
    match command {
        SessionsCommand::List { of, away } => {
            let connected = if *away { "&connected=false" } else { "" };
            let path = format!("/sessions?maxResults=250{connected}{}", query(of));
            let mut rows = client.all("palisade", &path, "sessions").await?;
            output::tell_times(output, &mut rows, &["disconnectedSince", "expiresAt"]);
            let columns = [
                ("CLIENT", "clientId"),
                ("CONNECTED", "connected"),
                ("OWNER", "owner"),
                ("SUBSCRIPTIONS", "subscriptions"),
                ("QUEUED", "queuedMessages"),
                ("BYTES", "queuedBytes"),
                ("IN FLIGHT", "inFlightMessages"),
                ("EXPIRES", "expiresAt"),
            ];
            output::rows(output, &columns, &rows)
        }
        SessionsCommand::Show { client: id } => show(client, output, id).await,
        SessionsCommand::Delete {
            client: id,
            prevent_will,
        } => connections::delete(client, id, true, *prevent_will).await,
    }
}

async fn show(client: &Client, output: Output, id: &str) -> Result<()> {
    let path = format!("/sessions/{}", encode(id));
    let mut answer = client.get("palisade", &path).await?.body;
    let subscriptions = format!("/connections/{}/subscriptions?maxResults=200", encode(id));
    let subscriptions = client
        .all("iotdata", &subscriptions, "subscriptions")
        .await?;
    let mut shown = [answer["session"].take()];
    let times = ["connectedSince", "disconnectedSince", "expiresAt"];
    output::tell_times(output, &mut shown, &times);
    let [shown] = shown;
    let mut shown: Map<String, Value> = shown.as_object().cloned().unwrap_or_default();
    let waiting = answer["waiting"].take();
    if output == Output::Table {
        shown.insert(
            "subscribedTo".to_owned(),
            told(&subscriptions, "topicFilter"),
        );
        let waiting = waiting.as_array().map_or(&[][..], Vec::as_slice);
        shown.insert("nextMessages".to_owned(), told(waiting, "topic"));
    } else {
        shown.insert("subscribedTo".to_owned(), subscriptions.into());
        shown.insert("nextMessages".to_owned(), waiting);
    }
    output::object(output, &shown)
}

/// For people: each by its topic or filter, with the QoS.
fn told(items: &[Value], member: &str) -> Value {
    let text = |item: &Value| {
        let name = item[member].as_str().unwrap_or_default();
        let qos = item["qos"].as_u64().unwrap_or_default();
        Value::String(format!("{name} (qos {qos})"))
    };
    items.iter().map(text).collect()
}
