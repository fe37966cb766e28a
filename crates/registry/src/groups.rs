//! Static thing groups: a tree in which policies are inherited downwards.
//!
//! Membership of things is in [`members`]; this file has the groups themselves.
//!
//! Source: contract core 4.4.

mod members;

use gateway::{Call, Operation};
use model::{ApiError, Scope, ThingGroupName, random_uuid};
use serde::{Deserialize, Serialize};
use storage::Tx;

use crate::attributes::{AttributePayload, Attributes, check_count};
use crate::pages::{NameEnd, Page, Window};
use crate::store::groups::{Below, Group};
use crate::tags::{Tag, delete_tags, put_tags};
use crate::things::check_version;
use crate::{Done, Limits, Ports, store, topics};

pub(crate) use members::{ThingNames, one_name, one_thing};

pub(crate) fn operations(ports: &Ports) -> Vec<Operation> {
    const GROUP: &str = "thinggroup/{thingGroupName}";
    let limits = ports.limits;
    let mut operations = vec![
        Operation::write("iot", "CreateThingGroup", GROUP, move |call, input| {
            create(call, &limits, input)
        })
        .resources(parent),
        Operation::read("iot", "DescribeThingGroup", GROUP, describe),
        Operation::write("iot", "UpdateThingGroup", GROUP, move |call, input| {
            update(call, &limits, input)
        }),
        Operation::write("iot", "DeleteThingGroup", GROUP, delete),
        Operation::read("iot", "ListThingGroups", "*", list),
    ];
    operations.extend(members::operations(ports));
    operations
}

/// The group under which another is made: what is attached to it passes down to the new one.
fn parent(input: &serde_json::Value, scope: &Scope) -> Vec<String> {
    let parent = input.get("parentGroupName");
    let parent = parent.and_then(serde_json::Value::as_str);
    parent.map(|name| arn(scope, name)).into_iter().collect()
}

pub(crate) fn arn(scope: &Scope, name: &str) -> String {
    scope.iot_arn(&format!("thinggroup/{name}"))
}

/// The group, or `ResourceNotFoundException`.
fn expect(tx: &mut Tx<'_>, name: &ThingGroupName) -> Result<Group, ApiError> {
    store::groups::find(tx, name.as_str())?
        .ok_or_else(|| ApiError::not_found(format!("thing group {name} does not exist")))
}

/// A group in a list.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NameAndArn {
    pub(crate) group_name: String,
    pub(crate) group_arn: String,
}

fn named(scope: &Scope, names: Vec<String>) -> Vec<NameAndArn> {
    names
        .into_iter()
        .map(|name| NameAndArn {
            group_arn: arn(scope, &name),
            group_name: name,
        })
        .collect()
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Properties {
    thing_group_description: Option<String>,
    #[serde(default)]
    attribute_payload: AttributePayload,
}

impl Properties {
    /// `group` with what these properties say; what they leave out stays.
    fn applied(self, mut group: Group, limits: &Limits) -> Result<Group, ApiError> {
        if let Some(description) = self.thing_group_description {
            group.description = Some(description);
        }
        group.attributes = self.attribute_payload.applied(group.attributes);
        check_count(&group.attributes, limits.attributes, "a thing group")?;
        Ok(group)
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreateThingGroup {
    thing_group_name: ThingGroupName,
    parent_group_name: Option<ThingGroupName>,
    #[serde(default)]
    thing_group_properties: Properties,
    #[serde(default)]
    tags: Vec<Tag>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CreatedThingGroup {
    thing_group_name: String,
    thing_group_arn: String,
    thing_group_id: String,
}

fn create(
    call: &mut Call<'_, '_>,
    limits: &Limits,
    input: CreateThingGroup,
) -> Result<CreatedThingGroup, ApiError> {
    let name = input.thing_group_name.as_str();
    let arn = arn(call.scope, name);
    if store::groups::exists(call.tx, name)? {
        let message = format!("thing group {name} already exists in this account");
        return Err(ApiError::already_exists(message, name, &arn));
    }
    let root = match &input.parent_group_name {
        Some(parent) => root_of_child(call.tx, limits, parent)?,
        None => name.to_owned(),
    };
    let empty = Group {
        name: name.to_owned(),
        id: random_uuid(),
        parent: input.parent_group_name.map(String::from),
        root,
        description: None,
        attributes: Attributes::new(),
        version: 1,
        created_at: call.now(),
    };
    let group = input.thing_group_properties.applied(empty, limits)?;
    store::groups::insert(call.tx, &group)?;
    put_tags(call.tx, limits, &arn, &input.tags)?;
    Ok(CreatedThingGroup {
        thing_group_name: group.name,
        thing_group_arn: arn,
        thing_group_id: group.id,
    })
}

/// The root of the tree that another child of `parent` would be in, if it may have one.
// spec aws-iot [RG-30]; the operation models no ResourceNotFoundException for the parent.
fn root_of_child(
    tx: &mut Tx<'_>,
    limits: &Limits,
    parent: &ThingGroupName,
) -> Result<String, ApiError> {
    let refused = |what: String| Err(ApiError::invalid(format!("parentGroupName: {what}")));
    let Some(found) = store::groups::find(tx, parent.as_str())? else {
        return refused(format!("thing group {parent} does not exist"));
    };
    let depth = store::groups::ancestors(tx, parent.as_str())?.len();
    if limits.group_depth <= depth {
        let max = limits.group_depth;
        return refused(format!(
            "{parent} is {depth} levels deep; a tree of groups has at most {max} levels"
        ));
    }
    let children = store::groups::children_count(tx, parent.as_str())?;
    if limits.group_children <= children {
        return refused(format!(
            "{parent} has {children} children already, which is the limit"
        ));
    }
    Ok(found.root)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DescribeThingGroup {
    thing_group_name: ThingGroupName,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DescribedThingGroup {
    thing_group_name: String,
    thing_group_id: String,
    thing_group_arn: String,
    version: i64,
    thing_group_properties: DescribedProperties,
    thing_group_metadata: Metadata,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DescribedProperties {
    #[serde(skip_serializing_if = "Option::is_none")]
    thing_group_description: Option<String>,
    attribute_payload: DescribedAttributes,
}

#[derive(Debug, Serialize)]
struct DescribedAttributes {
    attributes: Attributes,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_group_name: Option<String>,
    root_to_parent_thing_groups: Vec<NameAndArn>,
    creation_date: f64,
}

// spec aws-iot [RG-35]
fn describe(
    call: &mut Call<'_, '_>,
    input: DescribeThingGroup,
) -> Result<DescribedThingGroup, ApiError> {
    let group = expect(call.tx, &input.thing_group_name)?;
    let mut above = store::groups::ancestors(call.tx, &group.name)?;
    above.pop();
    Ok(DescribedThingGroup {
        thing_group_arn: arn(call.scope, &group.name),
        thing_group_name: group.name,
        thing_group_id: group.id,
        version: group.version,
        thing_group_properties: DescribedProperties {
            thing_group_description: group.description,
            attribute_payload: DescribedAttributes {
                attributes: group.attributes,
            },
        },
        thing_group_metadata: Metadata {
            parent_group_name: group.parent,
            root_to_parent_thing_groups: named(call.scope, above),
            creation_date: group.created_at.epoch_seconds(),
        },
    })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct UpdateThingGroup {
    thing_group_name: ThingGroupName,
    thing_group_properties: Properties,
    expected_version: Option<i64>,
}

#[derive(Debug, Serialize)]
struct Updated {
    version: i64,
}

// spec aws-iot [RG-37]
fn update(
    call: &mut Call<'_, '_>,
    limits: &Limits,
    input: UpdateThingGroup,
) -> Result<Updated, ApiError> {
    let group = expect(call.tx, &input.thing_group_name)?;
    check_version(input.expected_version, group.version)?;
    let mut next = input.thing_group_properties.applied(group, limits)?;
    next.version += 1;
    store::groups::update(call.tx, &next)?;
    Ok(Updated {
        version: next.version,
    })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DeleteThingGroup {
    thing_group_name: ThingGroupName,
    expected_version: Option<i64>,
}

// spec aws-iot [RG-34]: members leave with the group, children forbid it.
fn delete(call: &mut Call<'_, '_>, input: DeleteThingGroup) -> Result<Done, ApiError> {
    let name = input.thing_group_name.as_str();
    let Some(group) = store::groups::find(call.tx, name)? else {
        return Ok(Done {});
    };
    check_version(input.expected_version, group.version)?;
    if 0 < store::groups::children_count(call.tx, name)? {
        return Err(ApiError::invalid(format!(
            "thing group {name} has child groups; delete them first"
        )));
    }
    let arn = arn(call.scope, name);
    store::policies::detach_all(call.tx, &arn)?;
    store::groups::delete(call.tx, name)?;
    delete_tags(call.tx, &arn)?;
    call.tx.changed(topics::THING_GROUP, name)?;
    Ok(Done {})
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListThingGroups {
    parent_group: Option<ThingGroupName>,
    name_prefix_filter: Option<String>,
    recursive: Option<bool>,
    #[serde(flatten)]
    window: Window,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedThingGroups {
    thing_groups: Vec<NameAndArn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

// spec aws-iot [RG-36]
fn list(call: &mut Call<'_, '_>, input: ListThingGroups) -> Result<ListedThingGroups, ApiError> {
    let below = match (&input.parent_group, input.recursive) {
        (None, None | Some(true)) => Below::Everything,
        (None, Some(false)) => Below::Roots,
        (Some(parent), Some(true)) => Below::Descendants(parent.as_str()),
        (Some(parent), None | Some(false)) => Below::Children(parent.as_str()),
    };
    if let Some(parent) = &input.parent_group {
        expect(call.tx, parent)?;
    }
    let prefix = input.name_prefix_filter.as_deref().unwrap_or_default();
    let filters = [&format!("{below:?}"), prefix];
    let page = Page::open(call.tx, "ListThingGroups", &filters, &input.window)?;
    let end = NameEnd::of(prefix);
    let names = store::groups::page(call.tx, below, page.names(prefix, &end))?;
    let (names, next_token) = page.close(call.tx, names, |name| vec![name.clone()]);
    Ok(ListedThingGroups {
        thing_groups: named(call.scope, names),
        next_token,
    })
}
