//! `palisade revoke`: a certificate is revoked, and what ended is shown.

use anyhow::{Result, anyhow, bail};
use hyper::Method;
use serde_json::{Map, Value, json};

use crate::arguments::Output;
use crate::client::{Client, encode};
use crate::output;
use crate::usage::{is_hexadecimal, usage};

pub(crate) async fn run(
    client: &Client,
    output: Output,
    certificate: Option<&str>,
    thing: Option<&str>,
) -> Result<()> {
    let certificates = match (certificate, thing) {
        (Some(id), _) if is_hexadecimal(id, 64) => vec![id.to_owned()],
        (Some(other), _) => {
            return Err(usage(anyhow!(
                "`{other}` is not a certificate id (64 hexadecimal characters); for every \
                 certificate of a thing: palisade revoke --thing NAME"
            )));
        }
        (None, Some(thing)) => certificates_of(client, thing).await?,
        (None, None) => bail!("name a certificate, or a thing with --thing"),
    };
    if certificates.is_empty() {
        bail!(
            "no certificate is attached to `{}`",
            thing.unwrap_or_default()
        );
    }
    for id in certificates {
        let mut receipt = revoke(client, &id).await?;
        if output == Output::Table {
            // Which change it was says nothing to people.
            receipt.retain(|member, _| !["sequence", "topic", "key"].contains(&member.as_str()));
        }
        output::object(output, &receipt)?;
    }
    Ok(())
}

/// Revokes one certificate and waits for the broker's receipt.
pub(crate) async fn revoke(client: &Client, id: &str) -> Result<Map<String, Value>> {
    let path = format!("/certificates/{}?newStatus=REVOKED", encode(id));
    let answer = client.send("iot", Method::PUT, &path, &Value::Null).await?;
    let mut shown = Map::new();
    shown.insert("certificateId".to_owned(), json!(id));
    shown.insert("status".to_owned(), json!("REVOKED"));
    if let Some(change) = answer.change {
        let receipt = client
            .get("palisade", &format!("/receipts/{change}"))
            .await?
            .body;
        if let Some(receipt) = receipt.as_object() {
            shown.extend(receipt.clone());
        }
    }
    Ok(shown)
}

/// The ids of the certificates attached to a thing.
pub(crate) async fn certificates_of(client: &Client, thing: &str) -> Result<Vec<String>> {
    let path = format!("/things/{}/principals", encode(thing));
    let principals = client.all("iot", &path, "principals").await?;
    let ids = principals.iter().filter_map(Value::as_str);
    let ids = ids.filter_map(|arn| Some(arn.split_once(":cert/")?.1.to_owned()));
    Ok(ids.collect())
}
