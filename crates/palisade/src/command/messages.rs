//! `palisade pub` and `palisade sub`.

use std::io::Read as _;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use hyper::Method;
use mqtt::QoS;
use serde_json::json;

use crate::arguments::{Output, Pub, Sub};
use crate::bundle::Bundle;
use crate::client::{Client, encode};
use crate::device::{self, Device};
use crate::output;

/// The largest payload read from standard input, in bytes.
const PAYLOAD_MAX: u64 = 1 << 20;

fn payload(command: &Pub) -> Result<Bytes> {
    if let Some(text) = &command.message {
        return Ok(Bytes::from(text.clone()));
    }
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .take(PAYLOAD_MAX)
        .read_to_end(&mut bytes)?;
    Ok(bytes.into())
}

/// Publishes as the administrator over HTTPS.
pub(crate) async fn publish(client: &Client, command: &Pub) -> Result<()> {
    let topic = encode(device::topic_name(&command.topic)?.as_str());
    let path = format!(
        "/topics/{topic}?qos={}&retain={}",
        command.qos, command.retain
    );
    let header = [("content-type", "application/octet-stream")];
    let body = payload(command)?;
    client
        .call("iotdata", Method::POST, &path, &header, body)
        .await?;
    Ok(())
}

/// Publishes as the device of a bundle over MQTT.
pub(crate) async fn publish_as(bundle: &Bundle, command: &Pub) -> Result<()> {
    let qos = if command.qos == 0 {
        QoS::AtMostOnce
    } else {
        QoS::AtLeastOnce
    };
    let mut device = Device::connect(bundle, &bundle.connection.client_id).await?;
    let published = device
        .publish(&command.topic, payload(command)?, qos, command.retain)
        .await;
    // Refused or not, the device leaves in good order.
    published.and(device.disconnect().await)
}

/// Subscribes as the device of a bundle and prints what arrives.
pub(crate) async fn subscribe(output: Output, command: &Sub) -> Result<()> {
    let bundle = Bundle::read(&command.bundle)?;
    let client_id = command
        .client_id
        .as_deref()
        .unwrap_or(&bundle.connection.client_id);
    let mut device = Device::connect(&bundle, client_id).await?;
    device.subscribe(&command.filter).await?;
    let mut left = command.count;
    while left != Some(0) {
        let message = tokio::select! {
            message = device.next() => message?,
            interrupted = tokio::signal::ctrl_c() => {
                interrupted?;
                break;
            }
        };
        let topic = message
            .topic
            .as_ref()
            .map(|topic| topic.as_str().to_owned())
            .unwrap_or_default();
        let text = String::from_utf8_lossy(&message.payload);
        if output == Output::Table {
            output::line(&format!("{topic} {text}"))?;
        } else {
            let shown = json!({"topic": topic, "payload": text, "qos": message.qos.number()});
            output::object(Output::Jsonl, shown.as_object().context("an object")?)?;
        }
        left = left.map(|left| left - 1);
    }
    device.disconnect().await
}
