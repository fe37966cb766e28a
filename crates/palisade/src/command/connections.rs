//! `palisade connections`: who is connected now, and who was.

use anyhow::Result;

use crate::arguments::{ConnectionsCommand, Output};
use crate::client::{Client, encode};
use crate::output;

pub(crate) async fn run(
    client: &Client,
    output: Output,
    command: &ConnectionsCommand,
) -> Result<()> {
    match command {
        ConnectionsCommand::List => {
            let mut rows = client
                .all("palisade", "/connections", "connections")
                .await?;
            output::tell_times(output, &mut rows, &["connectedSince"]);
            let columns = [
                ("CLIENT", "clientId"),
                ("THING", "thingName"),
                ("PRINCIPAL", "principal"),
                ("FROM", "sourceIp"),
                ("SINCE", "connectedSince"),
            ];
            output::rows(output, &columns, &rows)
        }
        ConnectionsCommand::History { client_id } => {
            let path = match client_id {
                Some(id) => format!("/connection-history?clientId={}", encode(id)),
                None => "/connection-history".to_owned(),
            };
            let answer = client.get("palisade", &path).await?;
            let mut rows = answer.body["connections"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            output::tell_times(output, &mut rows, &["connectedAt", "disconnectedAt"]);
            let columns = [
                ("CLIENT", "clientId"),
                ("PRINCIPAL", "principal"),
                ("FROM", "sourceAddress"),
                ("CONNECTED", "connectedAt"),
                ("DISCONNECTED", "disconnectedAt"),
                ("REASON", "disconnectReason"),
            ];
            output::rows(output, &columns, &rows)
        }
    }
}
