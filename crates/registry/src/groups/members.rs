//! Which things are in which groups.
//!
//! Source: contract core `[RG-31]` to `[RG-33]`, `[RG-36]`.

use gateway::{Call, Operation};
use model::{ApiError, Scope, ThingGroupName, ThingName};
use serde::{Deserialize, Serialize};
use storage::Tx;

use super::{ListedThingGroups, expect, named};
use crate::pages::{Page, Window};
use crate::store::groups::Group;
use crate::{Done, Limits, Ports, store, things, topics};

pub(crate) fn operations(ports: &Ports) -> Vec<Operation> {
    const THING: &str = "thing/{thingName}";
    const GROUP: &str = "thinggroup/{thingGroupName}";
    let limits = ports.limits;
    vec![
        Operation::write("iot", "AddThingToThingGroup", THING, move |call, input| {
            add(call, &limits, &input)
        })
        .resource(GROUP)
        .containment(),
        Operation::write("iot", "RemoveThingFromThingGroup", THING, remove)
            .resource(GROUP)
            .containment(),
        Operation::write(
            "iot",
            "UpdateThingGroupsForThing",
            THING,
            move |call, input| update(call, &limits, &input),
        )
        .resources(named_groups)
        .containment(),
        Operation::read("iot", "ListThingsInThingGroup", GROUP, things_in_group),
        Operation::read("iot", "ListThingGroupsForThing", THING, groups_of_thing),
    ]
}

/// Every group that a thing enters or leaves.
fn named_groups(input: &serde_json::Value, scope: &Scope) -> Vec<String> {
    ["thingGroupsToAdd", "thingGroupsToRemove"]
        .into_iter()
        .filter_map(|member| input.get(member)?.as_array())
        .flatten()
        .filter_map(serde_json::Value::as_str)
        .map(|name| super::arn(scope, name))
        .collect()
}

/// A thing and a group, each by name, by ARN or by both.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ThingAndGroup {
    thing_name: Option<ThingName>,
    thing_arn: Option<String>,
    thing_group_name: Option<ThingGroupName>,
    thing_group_arn: Option<String>,
}

/// The name that a request gives as a name, as an ARN or as both, which then agree.
pub(crate) fn one_name<N: Clone + PartialEq>(
    name: Option<&N>,
    arn: Option<&str>,
    member: &str,
    parse: impl Fn(&str) -> Option<N>,
) -> Result<N, ApiError> {
    let from_arn = match arn {
        None => None,
        Some(arn) => Some(parse(arn).ok_or_else(|| {
            ApiError::invalid(format!(
                "{member}Arn: `{arn}` is not such an ARN of this account and region"
            ))
        })?),
    };
    match (name, from_arn) {
        (None, None) => Err(ApiError::invalid(format!(
            "{member}Name or {member}Arn is required"
        ))),
        (Some(name), Some(other)) if *name != other => Err(ApiError::invalid(format!(
            "{member}Name and {member}Arn name different resources"
        ))),
        (Some(name), _) => Ok(name.clone()),
        (None, Some(name)) => Ok(name),
    }
}

/// The thing that a request names.
pub(crate) fn one_thing(
    scope: &Scope,
    name: Option<&ThingName>,
    arn: Option<&str>,
) -> Result<ThingName, ApiError> {
    one_name(name, arn, "thing", |arn| {
        ThingName::parse(&scope.iot_name(arn, "thing")?).ok()
    })
}

impl ThingAndGroup {
    fn resolved(&self, scope: &Scope) -> Result<(ThingName, ThingGroupName), ApiError> {
        let group_name = self.thing_group_name.as_ref();
        let group_arn = self.thing_group_arn.as_deref();
        Ok((
            one_thing(scope, self.thing_name.as_ref(), self.thing_arn.as_deref())?,
            one_name(group_name, group_arn, "thingGroup", |arn| {
                ThingGroupName::parse(&scope.iot_name(arn, "thinggroup")?).ok()
            })?,
        ))
    }
}

// Whether named by name, by ARN or by both: the gateway has asked about each as given, and what is
// given twice agrees, so that what was asked about is what is acted on.
fn add(call: &mut Call<'_, '_>, limits: &Limits, input: &ThingAndGroup) -> Result<Done, ApiError> {
    let (thing, group) = input.resolved(call.scope)?;
    things::check_exists(call.tx, &thing)?;
    let group = expect(call.tx, &group)?;
    if enter(call.tx, limits, &thing, &group)? {
        call.tx.changed(topics::THING, thing.as_str())?;
    }
    Ok(Done {})
}

/// Puts a thing into a group; whether it was outside before.
// spec aws-iot [RG-31]
fn enter(
    tx: &mut Tx<'_>,
    limits: &Limits,
    thing: &ThingName,
    group: &Group,
) -> Result<bool, ApiError> {
    let memberships = store::groups::memberships(tx, thing.as_str())?;
    if memberships.iter().any(|member| member.group == group.name) {
        return Ok(false);
    }
    if let Some(other) = memberships.iter().find(|member| member.root == group.root) {
        return Err(ApiError::invalid(format!(
            "thing {thing} is in group {other}, which is in the same hierarchy as {new}; \
             remove it from there first",
            other = other.group,
            new = group.name
        )));
    }
    if limits.groups_per_thing <= memberships.len() {
        return Err(ApiError::invalid(format!(
            "thing {thing} is in {count} groups already, which is the limit",
            count = memberships.len()
        )));
    }
    store::groups::add_member(tx, &group.name, thing.as_str())?;
    Ok(true)
}

fn remove(call: &mut Call<'_, '_>, input: ThingAndGroup) -> Result<Done, ApiError> {
    let (thing, group) = input.resolved(call.scope)?;
    things::check_exists(call.tx, &thing)?;
    let group = expect(call.tx, &group)?;
    if store::groups::remove_member(call.tx, &group.name, thing.as_str())? {
        call.tx.changed(topics::THING, thing.as_str())?;
    }
    Ok(Done {})
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct UpdateThingGroupsForThing {
    thing_name: Option<ThingName>,
    #[serde(default)]
    thing_groups_to_add: Vec<ThingGroupName>,
    #[serde(default)]
    thing_groups_to_remove: Vec<ThingGroupName>,
}

// spec aws-iot [RG-33]: one change, so a thing can move within a hierarchy.
fn update(
    call: &mut Call<'_, '_>,
    limits: &Limits,
    input: &UpdateThingGroupsForThing,
) -> Result<Done, ApiError> {
    let to_add = &input.thing_groups_to_add;
    let to_remove = &input.thing_groups_to_remove;
    let Some(thing) = &input.thing_name else {
        return Err(ApiError::invalid("thingName is required"));
    };
    let max = limits.groups_per_thing;
    if max < to_add.len() || max < to_remove.len() {
        return Err(ApiError::invalid(format!(
            "thingGroupsToAdd and thingGroupsToRemove: at most {max} each, as many as a thing \
             can be in"
        )));
    }
    if let Some(both) = to_add.iter().find(|group| to_remove.contains(group)) {
        return Err(ApiError::invalid(format!(
            "thing group {both} is in thingGroupsToAdd and in thingGroupsToRemove"
        )));
    }
    things::check_exists(call.tx, thing)?;
    let mut changed = false;
    for group in to_remove {
        let group = expect(call.tx, group)?;
        changed |= store::groups::remove_member(call.tx, &group.name, thing.as_str())?;
    }
    for group in to_add {
        let group = expect(call.tx, group)?;
        changed |= enter(call.tx, limits, thing, &group)?;
    }
    if changed {
        call.tx.changed(topics::THING, thing.as_str())?;
    }
    Ok(Done {})
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListThingsInThingGroup {
    thing_group_name: ThingGroupName,
    #[serde(default)]
    recursive: bool,
    #[serde(flatten)]
    window: Window,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ThingNames {
    pub(crate) things: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_token: Option<String>,
}

fn things_in_group(
    call: &mut Call<'_, '_>,
    input: ListThingsInThingGroup,
) -> Result<ThingNames, ApiError> {
    let group = expect(call.tx, &input.thing_group_name)?.name;
    let scope_of_list = if input.recursive { "tree" } else { "group" };
    let filters = [group.as_str(), scope_of_list];
    let page = Page::open(call.tx, "ListThingsInThingGroup", &filters, &input.window)?;
    let (after, rows) = (page.after_name(), page.rows());
    let things = store::groups::members(call.tx, &group, input.recursive, after, rows)?;
    let (things, next_token) = page.close(call.tx, things, |thing| vec![thing.clone()]);
    Ok(ThingNames { things, next_token })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListThingGroupsForThing {
    thing_name: ThingName,
    #[serde(flatten)]
    window: Window,
}

fn groups_of_thing(
    call: &mut Call<'_, '_>,
    input: ListThingGroupsForThing,
) -> Result<ListedThingGroups, ApiError> {
    let thing = input.thing_name.as_str();
    things::check_exists(call.tx, &input.thing_name)?;
    let page = Page::open(call.tx, "ListThingGroupsForThing", &[thing], &input.window)?;
    let groups = store::groups::of_thing(call.tx, thing, page.after_name(), page.rows())?;
    let (groups, next_token) = page.close(call.tx, groups, |group| vec![group.clone()]);
    Ok(ListedThingGroups {
        thing_groups: named(call.scope, groups),
        next_token,
    })
}
