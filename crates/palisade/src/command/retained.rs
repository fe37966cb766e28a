//! `palisade retained`: the messages kept for those who subscribe later.

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::Method;
use serde_json::{Value, json};

use crate::arguments::{Output, RetainedCommand};
use crate::client::{Client, encode};
use crate::output;

pub(crate) async fn run(client: &Client, output: Output, command: &RetainedCommand) -> Result<()> {
    match command {
        RetainedCommand::List { prefix } => {
            let mut rows = list(client, prefix.as_deref()).await?;
            output::tell_times(output, &mut rows, &["lastModifiedAt", "expiresAt"]);
            let columns = [
                ("TOPIC", "topic"),
                ("BYTES", "payloadBytes"),
                ("QOS", "qos"),
                ("MODIFIED", "lastModifiedAt"),
                ("EXPIRES", "expiresAt"),
            ];
            output::rows(output, &columns, &rows)
        }
        RetainedCommand::Show { topic } => {
            let path = format!("/retainedMessage/{}", encode(topic));
            let mut shown = client.get("iotdata", &path).await?.body;
            if output == Output::Table {
                let payload = shown["payload"].as_str().unwrap_or_default();
                let payload = STANDARD.decode(payload).context("the payload")?;
                shown["payload"] = json!(String::from_utf8_lossy(&payload));
                let millis = shown["lastModifiedTime"].as_i64().unwrap_or_default();
                let at = model::Timestamp::from_millis(millis);
                shown["lastModifiedTime"] = json!(at.to_string());
            }
            output::object(output, shown.as_object().context("a message is an object")?)
        }
        RetainedCommand::Delete(which) => match (&which.topic, &which.prefix) {
            (Some(topic), _) => delete(client, topic).await,
            (None, prefix) => {
                let found = list(client, prefix.as_deref()).await?;
                for message in &found {
                    delete(client, message["topic"].as_str().unwrap_or_default()).await?;
                }
                output::object(
                    output,
                    json!({"deleted": found.len()})
                        .as_object()
                        .context("an object")?,
                )
            }
        },
    }
}

async fn list(client: &Client, prefix: Option<&str>) -> Result<Vec<Value>> {
    let path = match prefix {
        Some(prefix) => format!("/retained-messages?topicPrefix={}", encode(prefix)),
        None => "/retained-messages".to_owned(),
    };
    client.all("palisade", &path, "retainedMessages").await
}

async fn delete(client: &Client, topic: &str) -> Result<()> {
    let path = format!("/retained-messages/{}", encode(topic));
    let sent = client.send("palisade", Method::DELETE, &path, &Value::Null);
    sent.await.map(drop)
}
