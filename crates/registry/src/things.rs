//! Things: what an operator says a device is.
//!
//! Source: contract core 4.2, `[RG-1]` to `[RG-11]`, `[RG-24]`.

use gateway::{Call, Operation};
use model::{ApiError, BillingGroupName, Scope, ThingName, ThingTypeName, random_uuid};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use storage::Tx;

use crate::attributes::{AttributePayload, Attributes, check_count};
use crate::pages::{NameEnd, Page, Window};
use crate::store::principals::AttachmentPage;
use crate::store::things::{AttributeFilter, Thing};
use crate::{Done, Limits, Ports, store, topics};

pub(crate) fn operations(ports: &Ports) -> Vec<Operation> {
    let limits = ports.limits;
    vec![
        Operation::write(
            "iot",
            "CreateThing",
            "thing/{thingName}",
            move |call, input| create(call, &limits, input),
        )
        .resources(named_billing_group),
        Operation::read("iot", "DescribeThing", "thing/{thingName}", describe),
        Operation::write(
            "iot",
            "UpdateThing",
            "thing/{thingName}",
            move |call, input| update(call, &limits, input),
        ),
        Operation::write("iot", "DeleteThing", "thing/{thingName}", delete),
        Operation::read("iot", "ListThings", "*", list),
    ]
}

/// Who puts a new thing into a billing group must be allowed to.
fn named_billing_group(input: &Value, scope: &Scope) -> Vec<String> {
    let name = input.get("billingGroupName").and_then(Value::as_str);
    name.map(|name| scope.iot_arn(&format!("billinggroup/{name}")))
        .into_iter()
        .collect()
}

/// The thing, or `ResourceNotFoundException`.
pub(crate) fn expect(tx: &mut Tx<'_>, name: &ThingName) -> Result<Thing, ApiError> {
    store::things::find(tx, name.as_str())?.ok_or_else(|| absent(name))
}

/// Refuses a thing that does not exist.
pub(crate) fn check_exists(tx: &mut Tx<'_>, name: &ThingName) -> Result<(), ApiError> {
    match store::things::exists(tx, name.as_str())? {
        true => Ok(()),
        false => Err(absent(name)),
    }
}

fn absent(name: &ThingName) -> ApiError {
    ApiError::not_found(format!("thing {name} does not exist"))
}

fn arn(scope: &Scope, name: &str) -> String {
    scope.iot_arn(&format!("thing/{name}"))
}

/// `VersionConflictException` unless `expected` is absent or the `current` version.
pub(crate) fn check_version(expected: Option<i64>, current: i64) -> Result<(), ApiError> {
    match expected {
        Some(expected) if expected != current => Err(ApiError::version_conflict(format!(
            "expectedVersion: the version is {current}, not {expected}; read again and retry"
        ))),
        _ => Ok(()),
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreateThing {
    thing_name: ThingName,
    thing_type_name: Option<ThingTypeName>,
    #[serde(default)]
    attribute_payload: AttributePayload,
    billing_group_name: Option<BillingGroupName>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CreatedThing {
    thing_name: String,
    thing_arn: String,
    thing_id: String,
}

fn create(
    call: &mut Call<'_, '_>,
    limits: &Limits,
    input: CreateThing,
) -> Result<CreatedThing, ApiError> {
    let wanted = Thing {
        name: input.thing_name.into(),
        id: random_uuid(),
        thing_type: input.thing_type_name.map(String::from),
        billing_group: input.billing_group_name.map(String::from),
        attributes: input.attribute_payload.applied(Attributes::new()),
        version: 1,
    };
    let thing = match store::things::find(call.tx, &wanted.name)? {
        Some(existing) => same_configuration(call.scope, existing, &wanted)?,
        None => {
            if let Some(thing_type) = &wanted.thing_type {
                check_assignable(call.tx, thing_type)?;
            }
            if let Some(group) = &wanted.billing_group
                && store::billing_groups::find(call.tx, group)?.is_none()
            {
                let message = format!("billing group {group} does not exist");
                return Err(ApiError::not_found(message));
            }
            check_attributes(limits, &wanted)?;
            store::things::insert(call.tx, &wanted)?;
            call.tx.changed(topics::THING, &wanted.name)?;
            wanted
        }
    };
    Ok(CreatedThing {
        thing_arn: arn(call.scope, &thing.name),
        thing_name: thing.name,
        thing_id: thing.id,
    })
}

/// Creating the same thing again succeeds; creating another of that name does not.
fn same_configuration(scope: &Scope, existing: Thing, wanted: &Thing) -> Result<Thing, ApiError> {
    let same = existing.thing_type == wanted.thing_type
        && existing.billing_group == wanted.billing_group
        && existing.attributes == wanted.attributes;
    if same {
        return Ok(existing);
    }
    let name = &existing.name;
    let message = format!("thing {name} already exists in this account with another configuration");
    Err(ApiError::already_exists(message, name, &arn(scope, name)))
}

// spec aws-iot [RG-22]: a deprecated type takes no further things.
fn check_assignable(tx: &mut Tx<'_>, thing_type: &str) -> Result<(), ApiError> {
    let found = store::thing_types::find(tx, thing_type)?
        .ok_or_else(|| ApiError::not_found(format!("thing type {thing_type} does not exist")))?;
    if found.deprecated_at.is_some() {
        return Err(ApiError::invalid(format!(
            "thingTypeName: thing type {thing_type} is deprecated and takes no further things"
        )));
    }
    Ok(())
}

// spec aws-iot [RG-2]
fn check_attributes(limits: &Limits, thing: &Thing) -> Result<(), ApiError> {
    let (max, whose) = match thing.thing_type {
        Some(_) => (limits.attributes, "a thing with a type"),
        None => (limits.attributes_without_type, "a thing without a type"),
    };
    check_count(&thing.attributes, max, whose)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DescribeThing {
    thing_name: ThingName,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DescribedThing {
    default_client_id: String,
    thing_name: String,
    thing_id: String,
    thing_arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    thing_type_name: Option<String>,
    attributes: Attributes,
    version: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    billing_group_name: Option<String>,
}

fn describe(call: &mut Call<'_, '_>, input: DescribeThing) -> Result<DescribedThing, ApiError> {
    let thing = expect(call.tx, &input.thing_name)?;
    Ok(DescribedThing {
        default_client_id: thing.name.clone(),
        thing_arn: arn(call.scope, &thing.name),
        thing_name: thing.name,
        thing_id: thing.id,
        thing_type_name: thing.thing_type,
        attributes: thing.attributes,
        version: thing.version,
        billing_group_name: thing.billing_group,
    })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct UpdateThing {
    thing_name: ThingName,
    thing_type_name: Option<ThingTypeName>,
    #[serde(default)]
    attribute_payload: AttributePayload,
    expected_version: Option<i64>,
    #[serde(default)]
    remove_thing_type: bool,
}

fn update(call: &mut Call<'_, '_>, limits: &Limits, input: UpdateThing) -> Result<Done, ApiError> {
    if input.remove_thing_type && input.thing_type_name.is_some() {
        return Err(ApiError::invalid(
            "removeThingType cannot be true when thingTypeName is given",
        ));
    }
    let mut thing = expect(call.tx, &input.thing_name)?;
    check_version(input.expected_version, thing.version)?;
    if input.remove_thing_type {
        thing.thing_type = None;
    }
    if let Some(wanted) = input.thing_type_name.map(String::from)
        && thing.thing_type.as_ref() != Some(&wanted)
    {
        check_assignable(call.tx, &wanted)?;
        thing.thing_type = Some(wanted);
    }
    thing.attributes = input.attribute_payload.applied(thing.attributes);
    check_attributes(limits, &thing)?;
    thing.version += 1;
    store::things::update(call.tx, &thing)?;
    // spec aws-iot [PL-33]: policies read type and attributes of connected things.
    call.tx.changed(topics::THING, &thing.name)?;
    Ok(Done {})
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DeleteThing {
    thing_name: ThingName,
    expected_version: Option<i64>,
}

fn delete(call: &mut Call<'_, '_>, input: DeleteThing) -> Result<Done, ApiError> {
    let name = input.thing_name.as_str();
    let Some(thing) = store::things::find(call.tx, name)? else {
        return Ok(Done {});
    };
    check_version(input.expected_version, thing.version)?;
    let any = AttachmentPage {
        exclusive: None,
        after: "",
        rows: 1,
    };
    if !store::principals::principals(call.tx, name, any)?.is_empty() {
        return Err(ApiError::invalid(format!(
            "thing {name} cannot be deleted while principals are still attached to it; \
             detach them first"
        )));
    }
    store::things::delete(call.tx, name)?;
    call.tx.changed(topics::THING, name)?;
    Ok(Done {})
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListThings {
    thing_type_name: Option<ThingTypeName>,
    attribute_name: Option<String>,
    attribute_value: Option<String>,
    #[serde(default)]
    use_prefix_attribute_value: bool,
    #[serde(flatten)]
    window: Window,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedThings {
    things: Vec<ListedThing>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedThing {
    thing_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    thing_type_name: Option<String>,
    thing_arn: String,
    attributes: Attributes,
    version: i64,
}

fn list(call: &mut Call<'_, '_>, input: ListThings) -> Result<ListedThings, ApiError> {
    let thing_type = input.thing_type_name.as_ref().map(ThingTypeName::as_str);
    let (things, next_token) = match (&input.attribute_name, &input.attribute_value) {
        (None, None) if input.use_prefix_attribute_value => {
            return Err(ApiError::invalid(
                "usePrefixAttributeValue needs attributeName and attributeValue",
            ));
        }
        (None, None) => listed_by_name(call.tx, thing_type, &input.window)?,
        (Some(name), Some(value)) => {
            let end = NameEnd::of(value);
            let prefix = input.use_prefix_attribute_value;
            let filter = AttributeFilter {
                name,
                from: value,
                to: if prefix { end.as_str() } else { value },
                thing_type,
            };
            listed_by_attribute(call.tx, filter, &input.window)?
        }
        (Some(_), None) | (None, Some(_)) => {
            return Err(ApiError::invalid(
                "attributeName and attributeValue are given together or not at all",
            ));
        }
    };
    let things = things
        .into_iter()
        .map(|thing| ListedThing {
            thing_arn: arn(call.scope, &thing.name),
            thing_name: thing.name,
            thing_type_name: thing.thing_type,
            attributes: thing.attributes,
            version: thing.version,
        })
        .collect();
    Ok(ListedThings { things, next_token })
}

type Listed = (Vec<Thing>, Option<String>);

fn listed_by_name(
    tx: &mut Tx<'_>,
    thing_type: Option<&str>,
    window: &Window,
) -> Result<Listed, ApiError> {
    let filters = [thing_type.unwrap_or_default()];
    let page = Page::open(tx, "ListThings", &filters, window)?;
    let (after, rows) = (page.after_name(), page.rows());
    let things = match thing_type {
        None => store::things::page(tx, after, rows)?,
        Some(thing_type) => store::things::page_of_type(tx, thing_type, after, rows)?,
    };
    Ok(page.close(tx, things, |thing| vec![thing.name.clone()]))
}

fn listed_by_attribute(
    tx: &mut Tx<'_>,
    filter: AttributeFilter<'_>,
    window: &Window,
) -> Result<Listed, ApiError> {
    let thing_type = filter.thing_type.unwrap_or_default();
    let filters = [thing_type, filter.name, filter.from, filter.to];
    let page = Page::open(tx, "ListThings", &filters, window)?;
    let after = (page.after_name(), page.after_part(1).unwrap_or_default());
    let things = store::things::page_by_attribute(tx, filter, after, page.rows())?;
    Ok(page.close(tx, things, |thing| {
        let value = thing.attributes.get(filter.name).cloned();
        vec![value.unwrap_or_default(), thing.name.clone()]
    }))
}
