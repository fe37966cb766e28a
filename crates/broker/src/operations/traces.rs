//! `StartTrace`, `GetTraceRecords`, `StopTrace`, `ListTraces`: the packets of one client, live.
//!
//! A trace is read by whoever started it and by nobody else, whatever policies say. Payloads are
//! shown to those who may do `palisade:TracePayload` beside. Starting and stopping stand in the
//! trail.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gateway::{AsyncCall, Mutation, Operation};
use model::{ApiError, CertificateId, Timestamp};
use mqtt::{Sender, Version};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::broker::Broker;
use crate::core::trace::{Record, TraceOf, TraceOrder, TracePage, TraceSummary, Wake};

/// How long a trace lasts when the caller does not say, in seconds.
const LASTS_S: u64 = 600;
/// Records of a page when the caller names no number, and the most there can be.
const PAGE_MAX: usize = 250;

pub(super) fn operations(broker: &Broker) -> Vec<Operation> {
    let (for_start, for_records) = (broker.clone(), broker.clone());
    let (for_stop, for_list) = (broker.clone(), broker.clone());
    vec![
        Operation::asynchronous(
            "palisade",
            "StartTrace",
            "client/{clientId}",
            Mutation::Yes,
            move |call: AsyncCall, input: StartInput| {
                let broker = for_start.clone();
                Box::pin(async move { start(&broker, &call, input).await })
            },
        )
        .also("palisade:TracePayload", |input| {
            input["payloadBytes"]
                .as_u64()
                .is_some_and(|bytes| bytes > 0)
        }),
        Operation::asynchronous(
            "palisade",
            "GetTraceRecords",
            "palisade:trace/{traceId}",
            Mutation::No,
            move |call: AsyncCall, input: RecordsInput| {
                let broker = for_records.clone();
                Box::pin(async move { records(&broker, &call, input).await })
            },
        ),
        Operation::asynchronous(
            "palisade",
            "StopTrace",
            "palisade:trace/{traceId}",
            Mutation::Yes,
            move |_: AsyncCall, input: StopInput| {
                let broker = for_stop.clone();
                Box::pin(async move { stop(&broker, input).await })
            },
        ),
        Operation::asynchronous(
            "palisade",
            "ListTraces",
            "*",
            Mutation::No,
            move |_: AsyncCall, _: Nothing| {
                let broker = for_list.clone();
                Box::pin(async move { list(&broker).await })
            },
        ),
    ]
}

#[derive(Deserialize, Serialize)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StartInput {
    client_id: Option<String>,
    principals: Option<Vec<String>>,
    #[serde(default)]
    payload_bytes: usize,
    duration_seconds: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StartOutput {
    trace_id: String,
    ends_at: f64,
}

async fn start(
    broker: &Broker,
    call: &AsyncCall,
    input: StartInput,
) -> Result<StartOutput, ApiError> {
    let of = match (input.client_id, input.principals) {
        (Some(client_id), None) => TraceOf::Client(client_id.into()),
        (None, Some(principals)) => {
            let principals = principals.iter().map(|text| certificate(text));
            TraceOf::Principals(principals.collect::<Result<_, _>>()?)
        }
        _ => {
            let text = "name either 'clientId' or 'principals', and not both";
            return Err(ApiError::invalid(text));
        }
    };
    let order = TraceOrder {
        id: model::random_hex::<16>(),
        of,
        caller: call.caller.arn.clone(),
        payload_bytes: input.payload_bytes,
        lasts: Duration::from_secs(input.duration_seconds.unwrap_or(LASTS_S)),
    };
    let started = broker
        .with_core(move |core, now| core.start_trace(now, order))
        .await?;
    let started = started.map_err(|_| {
        ApiError::throttled("there are as many traces as there may be; stop one, or wait")
    })?;
    Ok(StartOutput {
        trace_id: started.id,
        ends_at: started.ends_at.epoch_seconds(),
    })
}

/// The certificate of a principal, by its id or its ARN.
fn certificate(text: &str) -> Result<CertificateId, ApiError> {
    let id = text.rsplit_once(":cert/").map_or(text, |(_, id)| id);
    CertificateId::parse(id).map_err(|error| ApiError::invalid(format!("'principals': {error}")))
}

fn no_such_trace(id: &str) -> ApiError {
    ApiError::not_found(format!(
        "there is no trace `{id}` of yours; it may have ended, because its time was over or nobody \
         read it"
    ))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RecordsInput {
    trace_id: String,
    #[serde(default)]
    after: u64,
    max_results: Option<usize>,
    #[serde(default)]
    wait_seconds: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RecordsOutput {
    records: Vec<TraceRecord>,
    lost: u64,
    ends_at: f64,
}

async fn records(
    broker: &Broker,
    call: &AsyncCall,
    input: RecordsInput,
) -> Result<RecordsOutput, ApiError> {
    let limit = input.max_results.unwrap_or(PAGE_MAX).min(PAGE_MAX);
    let read = async |wake: Option<Wake>| {
        let (id, caller) = (input.trace_id.clone(), call.caller.arn.clone());
        let after = input.after;
        let page = broker
            .with_core(move |core, now| core.read_trace(now, &id, &caller, after, limit, wake));
        page.await?.ok_or_else(|| no_such_trace(&input.trace_id))
    };
    let (news, told) = oneshot::channel();
    let wake: Wake = Box::new(move || {
        // Whoever waited may have gone away.
        let _gone = news.send(());
    });
    let mut page: TracePage = read((input.wait_seconds > 0).then_some(wake)).await?;
    if page.records.is_empty() && input.wait_seconds > 0 {
        let patience = Duration::from_secs(input.wait_seconds);
        // Told or not: what is there counts.
        let _late = tokio::time::timeout(patience, told).await;
        page = read(None).await?;
    }
    Ok(RecordsOutput {
        records: page.records.into_iter().map(Into::into).collect(),
        lost: page.lost,
        ends_at: page.ends_at.epoch_seconds(),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StopInput {
    trace_id: String,
}

async fn stop(broker: &Broker, input: StopInput) -> Result<Nothing, ApiError> {
    let id = input.trace_id.clone();
    let found = broker
        .with_core(move |core, _| core.stop_trace(&id))
        .await?;
    if found {
        return Ok(Nothing {});
    }
    Err(no_such_trace(&input.trace_id))
}

#[derive(Serialize)]
struct ListOutput {
    traces: Vec<ListedTrace>,
}

async fn list(broker: &Broker) -> Result<ListOutput, ApiError> {
    let found = broker.with_core(|core, now| core.traces(now)).await?;
    let traces = found.into_iter().map(Into::into).collect();
    Ok(ListOutput { traces })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedTrace {
    trace_id: String,
    caller: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    principals: Vec<String>,
    payload_bytes: usize,
    started_at: f64,
    ends_at: f64,
}

impl From<TraceSummary> for ListedTrace {
    fn from(found: TraceSummary) -> Self {
        let (client_id, principals) = match found.of {
            TraceOf::Client(id) => (Some(id.as_ref().to_owned()), Vec::new()),
            TraceOf::Principals(ids) => {
                let ids = ids.iter().map(|id| id.as_str().to_owned());
                (None, ids.collect())
            }
        };
        Self {
            trace_id: found.id,
            caller: found.caller,
            client_id,
            principals,
            payload_bytes: found.payload_bytes,
            started_at: found.started_at.epoch_seconds(),
            ends_at: found.ends_at.epoch_seconds(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TraceRecord {
    number: u64,
    at: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    direction: Option<&'static str>,
    packet: &'static str,
    connection: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<&'static str>,
    bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    packet_id: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    qos: Option<u8>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    flags: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reason_codes: Vec<u8>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    filters: Vec<TracedFilter>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    properties: BTreeMap<&'static str, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TracedFilter {
    topic_filter: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    qos: Option<u8>,
}

impl From<Record> for TraceRecord {
    fn from(record: Record) -> Self {
        let seen = record.seen;
        let filter = |(topic_filter, qos)| TracedFilter { topic_filter, qos };
        Self {
            number: record.number,
            at: Timestamp::epoch_seconds(record.at),
            direction: record.sender.map(|sender| match sender {
                Sender::Client => "in",
                Sender::Server => "out",
            }),
            packet: seen.what,
            connection: record.connection.as_ref().to_owned(),
            client_id: record.client_id.as_deref().map(str::to_owned),
            protocol: record.version.map(protocol),
            bytes: seen.bytes,
            packet_id: seen.packet_id,
            topic: seen.topic,
            qos: seen.qos,
            flags: seen.flags,
            reason_codes: seen.reason_codes,
            filters: seen.filters.into_iter().map(filter).collect(),
            payload_bytes: seen.payload_bytes,
            payload: seen.payload.map(|bytes| STANDARD.encode(bytes)),
            properties: seen.properties,
        }
    }
}

/// A version as the API names it.
pub(super) const fn protocol(version: Version) -> &'static str {
    match version {
        Version::V311 => "MQTT 3.1.1",
        Version::V5 => "MQTT 5",
    }
}
