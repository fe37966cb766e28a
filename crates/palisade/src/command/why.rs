//! `palisade why ID`: what decided a denial, and the smallest edit that would allow it.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, anyhow};
use serde_json::{Value, json};

use crate::arguments::Output;
use crate::client::{Client, encode};
use crate::output;
use crate::usage::{is_hexadecimal, usage};

pub(crate) async fn run(client: &Client, output: Output, id: Option<&str>) -> Result<()> {
    let Some(id) = id else {
        return newest(client, output).await;
    };
    if !is_hexadecimal(id, 32) {
        return Err(usage(anyhow!(
            "`{id}` is not a denial id (32 hexadecimal characters); for the newest denials: \
             palisade why"
        )));
    }
    let answer = client
        .get("palisade", &format!("/denials/{}", encode(id)))
        .await?;
    let mut denial = answer.body["denial"].clone();
    let explanation = denial["explanation"].as_str().unwrap_or("{}");
    denial["explanation"] = serde_json::from_str(explanation).context("the explanation")?;
    if output == Output::Table {
        return output::line(story(&denial).trim_end());
    }
    let object = denial.as_object().context("a denial is an object")?;
    output::object(output, object)
}

async fn newest(client: &Client, output: Output) -> Result<()> {
    let answer = client.get("palisade", "/denials?maxResults=25").await?;
    let denials = answer.body["denials"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let columns = [
        ("DENIAL", "denialId"),
        ("TIMES", "count"),
        ("PRINCIPAL", "principal"),
        ("ACTION", "action"),
        ("RESOURCE", "resource"),
    ];
    output::rows(output, &columns, &denials)
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or("-")
}

/// The denial in words.
fn story(denial: &Value) -> String {
    let mut out = String::new();
    let explanation = &denial["explanation"];
    let times = denial["count"].as_u64().unwrap_or(1);
    let _ = writeln!(out, "{}", headline(denial));
    let _ = writeln!(out, "  principal  {}", text(denial, "principal"));
    for (member, label) in [("clientId", "client id"), ("sourceIp", "from")] {
        if let Some(value) = denial[member].as_str() {
            let _ = writeln!(out, "  {label:<9}  {value}");
        }
    }
    if times > 1 {
        let _ = writeln!(out, "  repeated   {times} times");
    }
    let deciding = explanation["deciding"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    if let Some(refusal) = explanation["refusal"].as_str() {
        let _ = writeln!(out, "\nNo policy was asked: {refusal}.");
    } else if deciding.is_empty() {
        let _ = writeln!(out, "\nNo statement allows it.");
    } else {
        let _ = writeln!(out, "\nDecided by:");
        for statement in &deciding {
            let _ = writeln!(out, "  {}", statement_line(statement));
        }
    }
    near_misses(&mut out, explanation);
    variables(&mut out, explanation);
    match &explanation["suggestedEdit"] {
        Value::Null if !deciding.is_empty() => {
            let _ = writeln!(out, "\nNo edit is suggested against an explicit Deny.");
        }
        Value::Null => {}
        edit => {
            let place = edit["policyName"].as_str();
            let place = place.map_or_else(
                || "a new policy".to_owned(),
                |name| format!("policy {name}"),
            );
            let _ = writeln!(out, "\nThe smallest edit that would allow it, in {place}:");
            let _ = writeln!(out, "{}", indented(&edit["statement"]));
        }
    }
    out
}

fn headline(denial: &Value) -> String {
    let (action, resource) = (text(denial, "action"), text(denial, "resource"));
    format!(
        "{action} on {resource} was denied ({})",
        text(denial, "verdict")
    )
}

fn statement_line(statement: &Value) -> String {
    let sid = statement["sid"]
        .as_str()
        .map(|sid| format!(" \"{sid}\""))
        .unwrap_or_default();
    let group = statement["source"]["group"].as_str();
    let group = group
        .map(|name| format!(", attached to the thing group {name}"))
        .unwrap_or_default();
    format!(
        "{} in policy {} version {}{group}, statement {}{sid}",
        text(statement, "effect"),
        text(statement, "policyName"),
        text(statement, "version"),
        statement["index"]
            .as_u64()
            .map_or_else(|| "-".to_owned(), |index| index.to_string()),
    )
}

fn near_misses(out: &mut String, explanation: &Value) {
    let misses = explanation["nearMisses"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    if misses.is_empty() {
        return;
    }
    let _ = writeln!(out, "\nCame near:");
    for miss in &misses {
        let statement = &miss["statement"];
        let failed = failed_part(&miss["failed"]);
        let _ = writeln!(out, "  {}: {failed}", statement_line(statement));
    }
}

/// Which part of a statement did not match, in words.
fn failed_part(failed: &Value) -> String {
    let list = |value: &Value| {
        let texts = value
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str);
        texts.collect::<Vec<_>>().join(", ")
    };
    if let Some(resource) = failed.get("resource") {
        let filled = list(&resource["filled"]);
        let patterns = if filled.is_empty() {
            list(&resource["patterns"])
        } else {
            filled
        };
        return format!("its resource is {patterns}");
    }
    let Some(condition) = failed.get("condition") else {
        return "it did not apply".to_owned();
    };
    let actual = match &condition["actual"] {
        Value::Null => "undefined".to_owned(),
        actual => list(actual),
    };
    let (operator, key) = (text(condition, "operator"), text(condition, "key"));
    let expected = list(&condition["expected"]);
    format!("its condition {operator} wants {key} = {expected}, which is {actual}")
}

fn variables(out: &mut String, explanation: &Value) {
    let Some(variables) = explanation["variables"]
        .as_object()
        .filter(|map| !map.is_empty())
    else {
        return;
    };
    let _ = writeln!(out, "\nVariables:");
    for (name, value) in variables {
        let value = value
            .as_str()
            .map_or_else(|| "undefined".to_owned(), |text| json!(text).to_string());
        let _ = writeln!(out, "  {name} = {value}");
    }
}

fn indented(value: &Value) -> String {
    let pretty = serde_json::to_string_pretty(value).unwrap_or_default();
    pretty
        .lines()
        .map(|line| format!("  {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_allow_is_told() {
        let told = story(&json!({
            "action": "iot:Publish", "resource": "topic/b", "verdict": "implicitDeny",
            "principal": "ab", "clientId": "pump-7", "count": 3,
            "explanation": {"deciding": [], "variables": {"iot:ClientId": "pump-7", "x": null},
                "suggestedEdit": {"policyName": "p", "statement": {"Effect": "Allow"}}}
        }));
        for part in [
            "No statement allows it",
            "repeated   3 times",
            "x = undefined",
            "\"Allow\"",
        ] {
            assert!(told.contains(part), "{part:?} in {told}");
        }
    }

    #[test]
    fn where_no_policy_was_asked_the_reason_is_told() {
        let told = story(&json!({
            "action": "iot:Publish", "resource": "topic/w", "verdict": "implicit-deny",
            "principal": "ab",
            "explanation": {"deciding": [], "refusal": "the certificate is not active"}
        }));
        let expected = "No policy was asked: the certificate is not active.";
        assert!(told.contains(expected), "{told}");
        assert!(!told.contains("edit"), "{told}");
    }

    #[test]
    fn no_edit_against_an_explicit_deny() {
        let told = story(&json!({
            "action": "iot:Publish", "resource": "topic/b", "verdict": "explicitDeny",
            "principal": "ab",
            "explanation": {"deciding": [{"effect": "Deny", "policyName": "q", "version": "1",
                "index": 0, "sid": "stop"}], "suggestedEdit": null}
        }));
        assert!(
            told.contains("Deny in policy q version 1, statement 0 \"stop\""),
            "{told}"
        );
        assert!(told.contains("No edit is suggested"), "{told}");
    }
}
