//! `palisade policy test`: what the broker would decide, and by which statements.

use anyhow::{Context as _, Result, anyhow, bail};
use hyper::Method;
use serde_json::{Value, json};

use super::revoke::certificates_of;
use crate::arguments::Output;
use crate::client::{Client, encode};
use crate::output;
use crate::usage::usage;

pub(crate) async fn run(
    client: &Client,
    output: Output,
    thing: &str,
    action: &str,
    resource: &str,
) -> Result<()> {
    // As in a policy, too: `iot:Publish`.
    let lower = action.to_ascii_lowercase();
    let (action_type, kind) = match lower.strip_prefix("iot:").unwrap_or(&lower) {
        "connect" => ("CONNECT", "client"),
        "publish" => ("PUBLISH", "topic"),
        "subscribe" => ("SUBSCRIBE", "topicfilter"),
        "receive" => ("RECEIVE", "topic"),
        _ => {
            return Err(usage(anyhow!(
                "`{action}` is not an action; use connect, publish, subscribe or receive"
            )));
        }
    };
    let described = client
        .get("iot", &format!("/things/{}", encode(thing)))
        .await?
        .body;
    let thing_arn = described["thingArn"]
        .as_str()
        .context("a thing has an ARN")?;
    let prefix = thing_arn.split_once(":thing/").context("a thing's ARN")?.0;
    let certificates = certificates_of(client, thing).await?;
    if certificates.is_empty() {
        bail!("no certificate is attached to `{thing}`");
    }
    let resource = if resource.starts_with("arn:") {
        resource.to_owned()
    } else {
        format!("{prefix}:{kind}/{resource}")
    };
    let mut rows = Vec::new();
    for id in certificates {
        let body = json!({
            "principal": format!("{prefix}:cert/{id}"),
            "authInfos": [{
                "actionType": action_type,
                "resources": [resource],
            }],
        });
        let path = format!("/test-authorization?clientId={}", encode(thing));
        let answer = client.send("iot", Method::POST, &path, &body).await?.body;
        rows.push(row(&id, &answer["authResults"][0]));
    }
    let columns = [
        ("CERTIFICATE", "certificateId"),
        ("DECISION", "decision"),
        ("BY", "policies"),
        ("UNDEFINED", "missing"),
    ];
    output::rows(output, &columns, &rows)
}

fn row(certificate: &str, result: &Value) -> Value {
    let deciding = [
        &result["allowed"]["policies"],
        &result["denied"]["explicitDeny"]["policies"],
    ];
    let policies: Vec<&str> = deciding
        .iter()
        .filter_map(|list| list.as_array())
        .flatten()
        .filter_map(|policy| policy["policyName"].as_str())
        .collect();
    json!({
        "certificateId": certificate,
        "decision": result["authDecision"],
        "policies": policies,
        "missing": result["missingContextValues"],
    })
}
