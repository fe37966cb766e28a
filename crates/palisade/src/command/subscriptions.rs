//! `palisade subscriptions`: who subscribed to what, and who would get a topic.

use std::fmt::Write as _;

use anyhow::Result;

use super::selection::query;
use crate::arguments::{Output, SubscriptionsCommand};
use crate::client::{Client, encode};
use crate::output;

pub(crate) async fn run(
    client: &Client,
    output: Output,
    command: &SubscriptionsCommand,
) -> Result<()> {
    let SubscriptionsCommand::List { of, filter, topic } = command;
    let mut path = format!("/subscriptions?maxResults=250{}", query(of));
    for (name, value) in [("topicFilter", filter), ("topic", topic)] {
        if let Some(value) = value {
            let _ = write!(path, "&{name}={}", encode(value));
        }
    }
    let rows = client.all("palisade", &path, "subscriptions").await?;
    let mut columns = vec![
        ("CLIENT", "clientId"),
        ("CONNECTED", "connected"),
        ("FILTER", "topicFilter"),
        ("QOS", "qos"),
        ("SHARED", "shared"),
    ];
    if topic.is_some() {
        columns.push(("MAY RECEIVE", "mayReceive"));
    }
    output::rows(output, &columns, &rows)
}
