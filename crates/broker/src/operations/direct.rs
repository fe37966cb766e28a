//! `SendDirectMessage`: to one client, whatever it subscribed to.
//!
//! Source: contract core 2.11, `[MQ-96]`.

use std::time::Duration;

use gateway::{AsyncCall, Mutation, Operation};
use model::{ApiError, ErrorKind};
use mqtt::packet::Publish;
use mqtt::{QoS, TopicName};
use serde::{Deserialize, Serialize};

use super::connections::no_such_client;
use super::properties::Message;
use crate::broker::Broker;
use crate::core::{Direct, DirectOutcome};

/// How long the client's acknowledgement is awaited when the caller does not say, and the longest a
/// caller may ask for. Source: API reference of SendDirectMessage, `timeout`.
const PATIENCE_S: u64 = 5;
const PATIENCE_S_MAX: u64 = 15;

pub(super) fn operations(broker: &Broker) -> Vec<Operation> {
    let broker = broker.clone();
    vec![
        Operation::asynchronous(
            "iot-data",
            "SendDirectMessage",
            "client/{clientId}",
            Mutation::Yes,
            move |call: AsyncCall, input: Input| {
                let broker = broker.clone();
                Box::pin(async move { send(&broker, &call, input).await })
            },
        )
        // spec aws-iot [PL-42]
        .condition_key("iot:Topic", "topic"),
    ]
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Input {
    client_id: String,
    #[serde(flatten)]
    message: Message,
    #[serde(default)]
    confirmation: bool,
    timeout: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Output {
    message: &'static str,
    trace_id: String,
}

/// The gateway has judged users and roles; a device's policies are asked here, where the topic that
/// they may speak of is known.
// spec aws-iot [MQ-96], [PL-42]
async fn judge(
    broker: &Broker,
    call: &AsyncCall,
    client_id: &str,
    publish: &Publish,
) -> Result<(), ApiError> {
    let caller = &call.caller;
    let Some(certificate) = caller.certificate.clone() else {
        return Ok(());
    };
    let topic = publish.topic.as_ref().map_or("", TopicName::as_str);
    broker
        .iot_policies()
        .authorize_direct(certificate, caller.source_ip, client_id, topic)
        .await
}

async fn send(broker: &Broker, call: &AsyncCall, input: Input) -> Result<Output, ApiError> {
    let qos = if input.confirmation {
        QoS::AtLeastOnce
    } else {
        QoS::AtMostOnce
    };
    let asked_s = input.timeout.unwrap_or(PATIENCE_S);
    // Without a confirmation nothing is awaited, and what is asked for does not count.
    if input.confirmation && !(1..=PATIENCE_S_MAX).contains(&asked_s) {
        return Err(ApiError::invalid(format!(
            "'timeout' is {asked_s}; it must be 1 to {PATIENCE_S_MAX} seconds"
        )));
    }
    let publish = input.message.publish(broker.limits(), qos)?;
    judge(broker, call, &input.client_id, &publish).await?;
    let client_id = input.client_id.clone();
    let (outcome, confirmed) = broker
        .run(move |shell| {
            let (token, confirmed) = shell.confirmation();
            let direct = Direct { publish, token };
            let outcome = shell.with(|core, now| core.send_direct(now, &client_id, direct));
            if outcome != DirectOutcome::Pending {
                shell.forget_confirmation(token);
            }
            (outcome, confirmed)
        })
        .await?;
    match outcome {
        DirectOutcome::Sent => (),
        DirectOutcome::Pending => {
            let patience = Duration::from_secs(asked_s);
            let delivered = tokio::time::timeout(patience, confirmed).await;
            if !matches!(delivered, Ok(Ok(true))) {
                return Err(ApiError::new(
                    ErrorKind::Unavailable,
                    "GatewayTimeoutException",
                    "the client did not acknowledge the message",
                ));
            }
        }
        DirectOutcome::Offline => return Err(no_such_client(&input.client_id)),
        DirectOutcome::Forbidden => {
            return Err(ApiError::new(
                ErrorKind::Forbidden,
                "ForbiddenException",
                "the client may not receive on this topic",
            ));
        }
        DirectOutcome::Busy => {
            return Err(ApiError::throttled(
                "the client has no room for another message",
            ));
        }
        DirectOutcome::TooLarge => {
            return Err(ApiError::new(
                ErrorKind::TooLarge,
                "RequestEntityTooLargeException",
                "the message is too large for the client",
            ));
        }
    }
    Ok(Output {
        message: "OK",
        trace_id: call.request_id.to_string(),
    })
}
