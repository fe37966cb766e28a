//! `palisade operations`: every operation that is served, as docs and tests need it.

use anyhow::Result;
use serde_json::{Value, json};

use crate::arguments::Output;
use crate::{assembly, output};

pub(crate) fn run(output: Output) -> Result<()> {
    let rows: Vec<Value> = assembly::routes()?
        .iter()
        .map(|route| {
            json!({
                "service": route.service,
                "operation": route.name,
                "method": route.method,
                "uri": route.uri,
                "action": route.action,
                "mutates": route.mutates,
            })
        })
        .collect();
    let columns = [
        ("SERVICE", "service"),
        ("OPERATION", "operation"),
        ("METHOD", "method"),
        ("URI", "uri"),
    ];
    output::rows(output, &columns, &rows)
}
