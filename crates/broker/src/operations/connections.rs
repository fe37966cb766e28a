//! `GetConnection`, `DeleteConnection`, `ListSubscriptions`, and our own `ListConnections` and
//! `DescribeConnection`.

use gateway::{AsyncCall, Mutation, Operation};
use model::{ApiError, Timestamp};
use serde::{Deserialize, Serialize};

use super::traces::protocol;
use super::{gather, page_after, page_token};
use crate::broker::Broker;
use crate::core::look::{PolicyInForce, SessionFilter};
use crate::core::{ConnectionSummary, Core, Now};

/// Items of a page when the caller names no number, and the most there can be.
const SUBSCRIPTIONS_PAGE: usize = 20;
const SUBSCRIPTIONS_PAGE_MAX: usize = 200;
const CONNECTIONS_PAGE_MAX: usize = 250;

pub(super) fn operations(broker: &Broker) -> Vec<Operation> {
    let (for_get, for_delete) = (broker.clone(), broker.clone());
    let (for_subscriptions, for_list) = (broker.clone(), broker.clone());
    let for_describe = broker.clone();
    vec![
        Operation::asynchronous(
            "iot-data",
            "GetConnection",
            "client/{clientId}",
            Mutation::No,
            move |_: AsyncCall, input: GetInput| {
                let broker = for_get.clone();
                Box::pin(async move { connection(&broker, input).await })
            },
        ),
        Operation::asynchronous(
            "iot-data",
            "DeleteConnection",
            "client/{clientId}",
            Mutation::Yes,
            move |_: AsyncCall, input: DeleteInput| {
                let broker = for_delete.clone();
                Box::pin(async move { delete(&broker, input).await })
            },
        )
        // Who ended a connection or deleted a session is asked afterwards.
        .recorded(),
        Operation::asynchronous(
            "iot-data",
            "ListSubscriptions",
            "client/{clientId}",
            Mutation::No,
            move |_: AsyncCall, input: SubscriptionsInput| {
                let broker = for_subscriptions.clone();
                Box::pin(async move { subscriptions(&broker, input).await })
            },
        ),
        Operation::asynchronous(
            "palisade",
            "ListConnections",
            "*",
            Mutation::No,
            move |_: AsyncCall, input: ListInput| {
                let broker = for_list.clone();
                Box::pin(async move { list(&broker, input).await })
            },
        ),
        Operation::asynchronous(
            "palisade",
            "DescribeConnection",
            "client/{clientId}",
            Mutation::No,
            move |_: AsyncCall, input: DescribeInput| {
                let broker = for_describe.clone();
                Box::pin(async move { describe(&broker, input).await })
            },
        ),
    ]
}

/// What every operation on a client answers when there is none.
pub(super) fn no_such_client(client_id: &str) -> ApiError {
    let text = format!("client `{client_id}` is neither connected nor has it a session");
    ApiError::not_found(text)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GetInput {
    client_id: String,
    #[serde(default)]
    include_socket_information: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GetOutput {
    connected: bool,
    client_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    thing_name: Option<String>,
    clean_session: bool,
    keep_alive_duration: u16,
    session_expiry: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    connected_since: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disconnected_since: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disconnect_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_ip: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_ip: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_port: Option<u16>,
}

// spec aws-iot [2.11], [MQ-95]
async fn connection(broker: &Broker, input: GetInput) -> Result<GetOutput, ApiError> {
    let client_id = input.client_id.clone();
    let found = broker
        .with_core(move |core, _| core.connection_of(&client_id))
        .await?;
    let found = found.ok_or_else(|| no_such_client(&input.client_id))?;
    let shows_sockets = input.include_socket_information;
    let source = found.source.filter(|_| shows_sockets);
    let target = found.target.filter(|_| shows_sockets);
    Ok(GetOutput {
        connected: found.connected,
        client_id: found.client_id,
        thing_name: found.thing,
        clean_session: found.clean,
        keep_alive_duration: found.keep_alive_s,
        session_expiry: found.session_expiry_s,
        connected_since: found.connected.then(|| found.connected_at.millis()),
        disconnected_since: found.disconnected_at.map(Timestamp::millis),
        disconnect_reason: found.disconnect_reason.map(|reason| reason.as_str()),
        source_ip: source.map(|address| address.ip().to_string()),
        source_port: source.map(|address| address.port()),
        target_ip: target.map(|address| address.ip().to_string()),
        target_port: target.map(|address| address.port()),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DeleteInput {
    client_id: String,
    #[serde(default)]
    clean_session: bool,
    #[serde(default)]
    prevent_will_message: bool,
}

#[derive(Serialize)]
struct Nothing {}

async fn delete(broker: &Broker, input: DeleteInput) -> Result<Nothing, ApiError> {
    let client_id = input.client_id.clone();
    let (clean, prevent_will) = (input.clean_session, input.prevent_will_message);
    let (found, written) = broker
        .with_core(move |core, now| {
            let found = core.delete_connection(now, &client_id, clean, prevent_will);
            (found, core.written())
        })
        .await?;
    if !found {
        return Err(no_such_client(&input.client_id));
    }
    broker.persisted(written).await;
    Ok(Nothing {})
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SubscriptionsInput {
    client_id: String,
    next_token: Option<String>,
    max_results: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SubscriptionsOutput {
    subscriptions: Vec<SubscriptionOutput>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SubscriptionOutput {
    topic_filter: String,
    qos: u8,
}

async fn subscriptions(
    broker: &Broker,
    input: SubscriptionsInput,
) -> Result<SubscriptionsOutput, ApiError> {
    let storage = broker.storage();
    let name = format!("ListSubscriptions/{}", input.client_id);
    let after = page_after(storage, name.clone(), input.next_token).await?;
    let after = after.into_iter().next().unwrap_or_default();
    let limit = input.max_results.unwrap_or(SUBSCRIPTIONS_PAGE);
    let limit = limit.min(SUBSCRIPTIONS_PAGE_MAX);
    let client_id = input.client_id.clone();
    let found = broker
        .with_core(move |core, _| core.subscriptions_of(&client_id, &after, limit))
        .await?;
    let (page, more) = found.ok_or_else(|| no_such_client(&input.client_id))?;
    let last = page.last().filter(|_| more).map(|one| one.filter.clone());
    let next_token = match last {
        Some(filter) => Some(page_token(storage, name, vec![filter]).await?),
        None => None,
    };
    let subscriptions = page.into_iter().map(|one| SubscriptionOutput {
        topic_filter: one.filter,
        qos: one.qos.number(),
    });
    Ok(SubscriptionsOutput {
        subscriptions: subscriptions.collect(),
        next_token,
    })
}

/// Which sessions a list is about; shared by those of connections, sessions and subscriptions.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Filter {
    client_id: Option<String>,
    client_id_prefix: Option<String>,
    principal: Option<String>,
    thing_name: Option<String>,
    connected: Option<bool>,
}

impl From<Filter> for SessionFilter {
    fn from(filter: Filter) -> Self {
        Self {
            client_id: filter.client_id,
            client_prefix: filter.client_id_prefix,
            principal: filter.principal,
            thing: filter.thing_name,
            connected: filter.connected,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListInput {
    #[serde(flatten)]
    filter: Filter,
    next_token: Option<String>,
    max_results: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ListOutput {
    connections: Vec<ListedConnection>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedConnection {
    client_id: String,
    connected: bool,
    principal: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    thing_name: Option<String>,
    protocol: &'static str,
    clean_session: bool,
    keep_alive_seconds: u16,
    session_expiry_seconds: u32,
    subscriptions: usize,
    waiting_messages: usize,
    connected_since: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    disconnected_since: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disconnect_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_ip: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_version: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_group: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_resumed: Option<bool>,
}

impl From<ConnectionSummary> for ListedConnection {
    fn from(found: ConnectionSummary) -> Self {
        Self {
            client_id: found.client_id,
            connected: found.connected,
            principal: found.principal,
            thing_name: found.thing,
            protocol: protocol(found.version),
            clean_session: found.clean,
            keep_alive_seconds: found.keep_alive_s,
            session_expiry_seconds: found.session_expiry_s,
            subscriptions: found.subscriptions,
            waiting_messages: found.waiting,
            connected_since: found.connected_at.epoch_seconds(),
            disconnected_since: found.disconnected_at.map(Timestamp::epoch_seconds),
            disconnect_reason: found.disconnect_reason.map(|reason| reason.as_str()),
            source_ip: found.source.map(|address| address.ip().to_string()),
            source_port: found.source.map(|address| address.port()),
            tls_version: found.negotiated.map(|agreed| agreed.version.as_str()),
            tls_group: found.negotiated.map(|agreed| agreed.group.as_str()),
            tls_resumed: found.negotiated.map(|agreed| agreed.resumed),
        }
    }
}

async fn list(broker: &Broker, input: ListInput) -> Result<ListOutput, ApiError> {
    let storage = broker.storage();
    let filter = input.filter;
    let name = format!("ListConnections/{filter:?}");
    let after = page_after(storage, name.clone(), input.next_token).await?;
    let after = after.into_iter().next().unwrap_or_default();
    let limit = input.max_results.unwrap_or(CONNECTIONS_PAGE_MAX);
    let limit = limit.min(CONNECTIONS_PAGE_MAX);
    let wanted = SessionFilter::from(filter);
    let look = move |core: &Core, _: Now, after: &String, room: usize| {
        core.look_at_sessions(after, room, &wanted)
    };
    let (page, next) = gather(broker, after, limit, look).await?;
    let next_token = match next {
        Some(client_id) => Some(page_token(storage, name, vec![client_id]).await?),
        None => None,
    };
    let connections = page.into_iter().map(|found| found.connection.into());
    Ok(ListOutput {
        connections: connections.collect(),
        next_token,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DescribeInput {
    client_id: String,
}

#[derive(Serialize)]
struct DescribeOutput {
    connection: DescribedConnection,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DescribedConnection {
    #[serde(flatten)]
    listed: ListedConnection,
    connection_id: String,
    owner: String,
    target_ip: String,
    target_port: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_name: Option<String>,
    certificate_expires_at: f64,
    access_read_at: f64,
    things: Vec<String>,
    policies: Vec<DescribedPolicy>,
    queued_messages: usize,
    queued_bytes: u64,
    in_flight_messages: usize,
    receiving_messages: usize,
    receive_maximum: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    maximum_packet_bytes: Option<usize>,
    output_bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    will_topic: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DescribedPolicy {
    policy_name: String,
    version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    thing_group_name: Option<String>,
}

async fn describe(broker: &Broker, input: DescribeInput) -> Result<DescribeOutput, ApiError> {
    let client_id = input.client_id.clone();
    let found = broker
        .with_core(move |core, _| core.connection_details(&client_id))
        .await?;
    let found = found.ok_or_else(|| {
        ApiError::not_found(format!("client `{}` is not connected", input.client_id))
    })?;
    let session = found.session;
    let target = session.connection.target;
    let policy = |policy: PolicyInForce| DescribedPolicy {
        policy_name: policy.name,
        version: policy.version,
        thing_group_name: policy.group,
    };
    Ok(DescribeOutput {
        connection: DescribedConnection {
            connection_id: found.connection_id,
            owner: session.owner,
            target_ip: target.map_or_else(String::new, |target| target.ip().to_string()),
            target_port: target.map_or(0, |target| target.port()),
            server_name: found.server_name,
            certificate_expires_at: found.certificate_ends.epoch_seconds(),
            access_read_at: found.access_read_at.epoch_seconds(),
            things: found.things,
            policies: found.policies.into_iter().map(policy).collect(),
            queued_messages: session.queued,
            queued_bytes: session.queued_bytes,
            in_flight_messages: session.in_flight,
            receiving_messages: session.receiving,
            receive_maximum: found.window,
            maximum_packet_bytes: found.packet_bytes_max,
            output_bytes: found.output_bytes,
            will_topic: found.will_topic,
            listed: session.connection.into(),
        },
    })
}
