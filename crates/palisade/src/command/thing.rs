//! `palisade thing`: a thing with everything it needs to connect.

use std::path::Path;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use crate::arguments::{Output, ThingCommand};
use crate::bundle::{Bundle, BundleFile, Connection};
use crate::client::{Client, Refused, encode};
use crate::data_dir::DataDir;
use crate::output;
use crate::run_file::RunFile;

/// The policy attached when no other is named.
const POLICY_NAME: &str = "palisade-thing";

/// A thing may connect under its own name and use the topics below `things/{its name}/`.
fn policy_document(prefix: &str) -> Value {
    let thing = "${iot:Connection.Thing.ThingName}";
    json!({"Version": "2012-10-17", "Statement": [
        {"Sid": "ConnectAsItself", "Effect": "Allow", "Action": "iot:Connect",
         "Resource": format!("{prefix}:client/{thing}"),
         "Condition": {"Bool": {"iot:Connection.Thing.IsAttached": "true"}}},
        {"Sid": "ItsOwnTopics", "Effect": "Allow",
         "Action": ["iot:Publish", "iot:RetainPublish", "iot:Receive"],
         "Resource": format!("{prefix}:topic/things/{thing}/*")},
        {"Sid": "ItsOwnFilters", "Effect": "Allow", "Action": "iot:Subscribe",
         "Resource": format!("{prefix}:topicfilter/things/{thing}/*")},
    ]})
}

pub(crate) async fn run(
    client: &Client,
    data_dir: &DataDir,
    output: Output,
    command: &ThingCommand,
) -> Result<()> {
    match command {
        ThingCommand::Create {
            name,
            bundle,
            policy,
        } => {
            let made = create(client, data_dir, name, bundle, policy.as_deref()).await?;
            let shown = json!({
                "thing": name,
                "certificateId": made.connection.certificate_id,
                "bundle": bundle.display().to_string(),
                "endpoint": format!("{}:{}", made.connection.host, made.connection.port),
            });
            output::object(output, shown.as_object().context("an object")?)
        }
        ThingCommand::List => {
            let rows = client.all("iot", "/things", "things").await?;
            let columns = [
                ("THING", "thingName"),
                ("TYPE", "thingTypeName"),
                ("VERSION", "version"),
                ("ATTRIBUTES", "attributes"),
            ];
            output::rows(output, &columns, &rows)
        }
        ThingCommand::Show { name } => {
            let path = format!("/things/{}", encode(name));
            let mut thing = client.get("iot", &path).await?.body;
            let principals = format!("{path}/principals");
            let groups = format!("{path}/thing-groups");
            thing["principals"] = client.all("iot", &principals, "principals").await?.into();
            thing["groups"] = client
                .all("iot", &groups, "thingGroups")
                .await?
                .iter()
                .map(|group| group["groupName"].clone())
                .collect();
            output::object(output, thing.as_object().context("a thing is an object")?)
        }
    }
}

/// Creates thing, certificate and, when needed, the default policy; attaches them; writes the
/// bundle.
pub(crate) async fn create(
    client: &Client,
    data_dir: &DataDir,
    name: &str,
    path: &Path,
    policy: Option<&str>,
) -> Result<Bundle> {
    let (host, port) = RunFile::read(&data_dir.run_file())?.mqtt()?;
    if let Some(policy) = policy {
        let path = format!("/policies/{}", encode(policy));
        client.get("iot", &path).await?;
    }
    // The key exists nowhere else: where it goes is settled before it is made.
    let file = BundleFile::reserve(path)?;
    let thing = client
        .send(
            "iot",
            Method::POST,
            &format!("/things/{}", encode(name)),
            &json!({}),
        )
        .await?
        .body;
    let thing_arn = thing["thingArn"].as_str().context("a thing has an ARN")?;
    let prefix = thing_arn
        .split_once(":thing/")
        .context("a thing's ARN")?
        .0
        .to_owned();
    let policy = match policy {
        Some(name) => name.to_owned(),
        None => default_policy(client, &prefix).await?,
    };
    let keys = credentials(client, name, &policy).await?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let bundle = Bundle {
        connection: Connection {
            host,
            port,
            thing_name: name.to_owned(),
            client_id: name.to_owned(),
            topic: format!("things/{name}/hello"),
            certificate_id: text(&keys["certificateId"]),
        },
        certificate: text(&keys["certificatePem"]),
        private_key: text(&keys["keyPair"]["PrivateKey"]),
        ca: std::fs::read_to_string(data_dir.ca()).context("ca.pem")?,
    };
    file.write(&bundle)?;
    Ok(bundle)
}

/// A key and an active certificate, attached to the policy and the thing.
async fn credentials(client: &Client, thing: &str, policy: &str) -> Result<Value> {
    let path = "/keys-and-certificate?setAsActive=true";
    let keys = client
        .send("iot", Method::POST, path, &Value::Null)
        .await?
        .body;
    let arn = keys["certificateArn"]
        .as_str()
        .context("a certificate has an ARN")?;
    let target = json!({ "target": arn });
    let attach = format!("/target-policies/{}", encode(policy));
    client.send("iot", Method::PUT, &attach, &target).await?;
    let principals = format!("/things/{}/principals", encode(thing));
    let header = [("x-amzn-principal", arn)];
    client
        .call("iot", Method::PUT, &principals, &header, Bytes::new())
        .await?;
    Ok(keys)
}

/// The default policy, created when it is not there; an operator may have edited it.
async fn default_policy(client: &Client, prefix: &str) -> Result<String> {
    let body = json!({ "policyDocument": policy_document(prefix).to_string() });
    let made = client
        .send(
            "iot",
            Method::POST,
            &format!("/policies/{POLICY_NAME}"),
            &body,
        )
        .await;
    match made {
        Ok(_) => {}
        Err(error) => match error.downcast_ref::<Refused>() {
            Some(refused) if refused.status == StatusCode::CONFLICT => {}
            _ => return Err(error),
        },
    }
    Ok(POLICY_NAME.to_owned())
}
