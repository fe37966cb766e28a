//! Thing types: what things of a kind have in common, and what the broker adds to their messages.
//!
//! Source: contract core 4.3 and 2.10.

use std::time::Duration;

use gateway::{Call, Operation};
use model::{ApiError, Scope, ThingTypeName, random_uuid};
use serde::{Deserialize, Serialize};
use storage::Tx;

use crate::pages::{Page, Window};
use crate::store::thing_types::ThingType;
use crate::tags::{Tag, delete_tags, put_tags};
use crate::{Done, Limits, Ports, store, topics};

/// A user property that the broker adds to each message of a thing of the type (`[MQ-90]`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PropagatingAttribute {
    /// The key of the user property.
    pub user_property_key: String,
    /// Where its value comes from.
    pub value: PropagatedValue,
}

/// Where the value of a propagated user property comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PropagatedValue {
    /// The thing's attribute of this name; absent attributes add nothing.
    ThingAttribute(String),
    /// The client id of the connection.
    ClientId,
    /// The name of the thing of the connection.
    ThingName,
}

/// What the broker adds to the messages of things of `thing_type`; nothing for an unknown type.
///
/// # Errors
/// What the storage answers.
pub fn propagating_attributes(
    tx: &mut Tx<'_>,
    thing_type: &str,
) -> Result<Vec<PropagatingAttribute>, ApiError> {
    let found = store::thing_types::find(tx, thing_type)?;
    Ok(found.map(|found| found.propagating).unwrap_or_default())
}

pub(crate) fn operations(ports: &Ports) -> Vec<Operation> {
    const TYPE: &str = "thingtype/{thingTypeName}";
    let limits = ports.limits;
    vec![
        Operation::write("iot", "CreateThingType", TYPE, move |call, input| {
            create(call, &limits, input)
        }),
        Operation::read("iot", "DescribeThingType", TYPE, describe),
        Operation::write("iot", "UpdateThingType", TYPE, move |call, input| {
            update(call, &limits, input)
        }),
        Operation::write("iot", "DeprecateThingType", TYPE, deprecate),
        Operation::write("iot", "DeleteThingType", TYPE, move |call, input| {
            delete(call, limits.type_retirement, &input)
        }),
        Operation::read("iot", "ListThingTypes", "*", list),
    ]
}

fn arn(scope: &Scope, name: &str) -> String {
    scope.iot_arn(&format!("thingtype/{name}"))
}

fn expect(tx: &mut Tx<'_>, name: &ThingTypeName) -> Result<ThingType, ApiError> {
    store::thing_types::find(tx, name.as_str())?
        .ok_or_else(|| ApiError::not_found(format!("thing type {name} does not exist")))
}

/// `thingTypeProperties`, as requests and answers carry it.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Properties {
    #[serde(skip_serializing_if = "Option::is_none")]
    thing_type_description: Option<String>,
    searchable_attributes: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mqtt5_configuration: Option<Mqtt5Configuration>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mqtt5Configuration {
    propagating_attributes: Option<Vec<WirePropagatingAttribute>>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WirePropagatingAttribute {
    user_property_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thing_attribute: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection_attribute: Option<String>,
}

const CLIENT_ID: &str = "iot:ClientId";
const THING_NAME: &str = "iot:Thing.ThingName";

impl WirePropagatingAttribute {
    // spec aws-iot [MQ-90]
    fn parsed(self) -> Result<PropagatingAttribute, ApiError> {
        let refused = |what: &str| ApiError::invalid(format!("propagatingAttributes: {what}"));
        let Some(user_property_key) = self.user_property_key else {
            return Err(refused("each needs a userPropertyKey"));
        };
        let value = match (self.thing_attribute, self.connection_attribute.as_deref()) {
            (Some(name), None) => PropagatedValue::ThingAttribute(name),
            (None, Some(CLIENT_ID)) => PropagatedValue::ClientId,
            (None, Some(THING_NAME)) => PropagatedValue::ThingName,
            (None, Some(other)) => {
                return Err(refused(&format!(
                    "connectionAttribute `{other}` is neither {CLIENT_ID} nor {THING_NAME}"
                )));
            }
            (Some(_), Some(_)) | (None, None) => {
                return Err(refused(
                    "each has exactly one of thingAttribute and connectionAttribute",
                ));
            }
        };
        Ok(PropagatingAttribute {
            user_property_key,
            value,
        })
    }

    fn of(attribute: &PropagatingAttribute) -> Self {
        let mut wire = Self {
            user_property_key: Some(attribute.user_property_key.clone()),
            ..Self::default()
        };
        match &attribute.value {
            PropagatedValue::ThingAttribute(name) => wire.thing_attribute = Some(name.clone()),
            PropagatedValue::ClientId => wire.connection_attribute = Some(CLIENT_ID.to_owned()),
            PropagatedValue::ThingName => wire.connection_attribute = Some(THING_NAME.to_owned()),
        }
        wire
    }
}

impl Properties {
    fn of(found: &ThingType) -> Self {
        let propagating = &found.propagating;
        Self {
            thing_type_description: found.description.clone(),
            searchable_attributes: Some(found.searchable.clone()),
            mqtt5_configuration: (!propagating.is_empty()).then(|| Mqtt5Configuration {
                propagating_attributes: Some(
                    propagating
                        .iter()
                        .map(WirePropagatingAttribute::of)
                        .collect(),
                ),
            }),
        }
    }

    /// `thing_type` with what these properties say; what they leave out stays.
    fn applied(self, mut thing_type: ThingType, limits: &Limits) -> Result<ThingType, ApiError> {
        if let Some(description) = self.thing_type_description {
            thing_type.description = Some(description);
        }
        if let Some(searchable) = self.searchable_attributes {
            let max = limits.searchable_attributes;
            check_count("searchableAttributes", searchable.len(), max)?;
            thing_type.searchable = searchable;
        }
        let mqtt5 = self.mqtt5_configuration;
        if let Some(propagating) = mqtt5.and_then(|mqtt5| mqtt5.propagating_attributes) {
            let max = limits.propagating_attributes;
            check_count("propagatingAttributes", propagating.len(), max)?;
            thing_type.propagating = propagating
                .into_iter()
                .map(WirePropagatingAttribute::parsed)
                .collect::<Result<_, _>>()?;
        }
        Ok(thing_type)
    }
}

// spec aws-iot [RG-20]
fn check_count(member: &str, count: usize, max: usize) -> Result<(), ApiError> {
    if max < count {
        return Err(ApiError::invalid(format!(
            "{member}: a thing type has at most {max}, not {count}"
        )));
    }
    Ok(())
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreateThingType {
    thing_type_name: ThingTypeName,
    #[serde(default)]
    thing_type_properties: Properties,
    #[serde(default)]
    tags: Vec<Tag>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CreatedThingType {
    thing_type_name: String,
    thing_type_arn: String,
    thing_type_id: String,
}

fn create(
    call: &mut Call<'_, '_>,
    limits: &Limits,
    input: CreateThingType,
) -> Result<CreatedThingType, ApiError> {
    let name = input.thing_type_name.as_str();
    let arn = arn(call.scope, name);
    if store::thing_types::find(call.tx, name)?.is_some() {
        let message = format!("thing type {name} already exists in this account");
        return Err(ApiError::already_exists(message, name, &arn));
    }
    let empty = ThingType {
        name: name.to_owned(),
        id: random_uuid(),
        description: None,
        searchable: Vec::new(),
        propagating: Vec::new(),
        created_at: call.now(),
        deprecated_at: None,
    };
    let new = input.thing_type_properties.applied(empty, limits)?;
    store::thing_types::insert(call.tx, &new)?;
    put_tags(call.tx, limits, &arn, &input.tags)?;
    call.tx.changed(topics::THING_TYPE, name)?;
    Ok(CreatedThingType {
        thing_type_name: new.name,
        thing_type_arn: arn,
        thing_type_id: new.id,
    })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OneThingType {
    thing_type_name: ThingTypeName,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    deprecated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    deprecation_date: Option<f64>,
    creation_date: f64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DescribedThingType {
    thing_type_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    thing_type_id: Option<String>,
    thing_type_arn: String,
    thing_type_properties: Properties,
    thing_type_metadata: Metadata,
}

impl DescribedThingType {
    fn of(scope: &Scope, found: ThingType) -> Self {
        Self {
            thing_type_arn: arn(scope, &found.name),
            thing_type_properties: Properties::of(&found),
            thing_type_metadata: Metadata {
                deprecated: found.deprecated_at.is_some(),
                deprecation_date: found.deprecated_at.map(|at| at.epoch_seconds()),
                creation_date: found.created_at.epoch_seconds(),
            },
            thing_type_name: found.name,
            thing_type_id: Some(found.id),
        }
    }

    /// As lists show it: without the id.
    fn listed(scope: &Scope, found: ThingType) -> Self {
        Self {
            thing_type_id: None,
            ..Self::of(scope, found)
        }
    }
}

fn describe(call: &mut Call<'_, '_>, input: OneThingType) -> Result<DescribedThingType, ApiError> {
    let found = expect(call.tx, &input.thing_type_name)?;
    Ok(DescribedThingType::of(call.scope, found))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct UpdateThingType {
    thing_type_name: ThingTypeName,
    #[serde(default)]
    thing_type_properties: Properties,
}

// spec aws-iot [RG-21]
fn update(
    call: &mut Call<'_, '_>,
    limits: &Limits,
    input: UpdateThingType,
) -> Result<Done, ApiError> {
    let found = expect(call.tx, &input.thing_type_name)?;
    let next = input.thing_type_properties.applied(found, limits)?;
    store::thing_types::update(call.tx, &next)?;
    call.tx.changed(topics::THING_TYPE, &next.name)?;
    Ok(Done {})
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DeprecateThingType {
    thing_type_name: ThingTypeName,
    #[serde(default)]
    undo_deprecate: bool,
}

// spec aws-iot [RG-22]: a second deprecation keeps the date of the first.
fn deprecate(call: &mut Call<'_, '_>, input: DeprecateThingType) -> Result<Done, ApiError> {
    let mut found = expect(call.tx, &input.thing_type_name)?;
    let wanted = match (input.undo_deprecate, found.deprecated_at) {
        (true, _) => None,
        (false, Some(at)) => Some(at),
        (false, None) => Some(call.now()),
    };
    if wanted != found.deprecated_at {
        found.deprecated_at = wanted;
        store::thing_types::update(call.tx, &found)?;
        call.tx.changed(topics::THING_TYPE, &found.name)?;
    }
    Ok(Done {})
}

// spec aws-iot [RG-23]
fn delete(
    call: &mut Call<'_, '_>,
    retirement: Duration,
    input: &OneThingType,
) -> Result<Done, ApiError> {
    let found = expect(call.tx, &input.thing_type_name)?;
    let name = found.name.as_str();
    let Some(deprecated_at) = found.deprecated_at else {
        return Err(ApiError::invalid(format!(
            "thing type {name} must be deprecated before it is deleted"
        )));
    };
    if call.now().since(deprecated_at) < retirement {
        return Err(ApiError::invalid(format!(
            "thing type {name} must have been deprecated for {seconds} seconds before it is \
             deleted; retry later",
            seconds = retirement.as_secs()
        )));
    }
    if store::thing_types::in_use(call.tx, name)? {
        return Err(ApiError::invalid(format!(
            "thing type {name} is still the type of things; give them another first"
        )));
    }
    store::thing_types::delete(call.tx, name)?;
    delete_tags(call.tx, &arn(call.scope, name))?;
    call.tx.changed(topics::THING_TYPE, name)?;
    Ok(Done {})
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListThingTypes {
    thing_type_name: Option<ThingTypeName>,
    #[serde(flatten)]
    window: Window,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedThingTypes {
    thing_types: Vec<DescribedThingType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

fn list(call: &mut Call<'_, '_>, input: ListThingTypes) -> Result<ListedThingTypes, ApiError> {
    let only = input.thing_type_name.as_ref().map(ThingTypeName::as_str);
    let filters = [only.unwrap_or_default()];
    let page = Page::open(call.tx, "ListThingTypes", &filters, &input.window)?;
    let found = match only {
        Some(name) => store::thing_types::find(call.tx, name)?
            .into_iter()
            .collect(),
        None => store::thing_types::page(call.tx, page.after_name(), page.rows())?,
    };
    let (found, next_token) = page.close(call.tx, found, |found| vec![found.name.clone()]);
    let thing_types = found
        .into_iter()
        .map(|found| DescribedThingType::listed(call.scope, found))
        .collect();
    Ok(ListedThingTypes {
        thing_types,
        next_token,
    })
}
