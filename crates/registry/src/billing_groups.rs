//! Billing groups: flat, and a thing is in at most one.
//!
//! Source: contract core 4.5.

use gateway::{Call, Operation};
use model::{ApiError, BillingGroupName, Scope, ThingName, random_uuid};
use serde::{Deserialize, Serialize};
use storage::Tx;

use crate::groups::{NameAndArn, ThingNames, one_name, one_thing};
use crate::pages::{NameEnd, Page, Window};
use crate::store::billing_groups::BillingGroup;
use crate::tags::{Tag, delete_tags, put_tags};
use crate::things::check_version;
use crate::{Done, Limits, Ports, store, things};

pub(crate) fn operations(ports: &Ports) -> Vec<Operation> {
    const GROUP: &str = "billinggroup/{billingGroupName}";
    const THING: &str = "thing/{thingName}";
    let limits = ports.limits;
    vec![
        Operation::write("iot", "CreateBillingGroup", GROUP, move |call, input| {
            create(call, &limits, input)
        }),
        Operation::read("iot", "DescribeBillingGroup", GROUP, describe),
        Operation::write("iot", "UpdateBillingGroup", GROUP, update),
        Operation::write("iot", "DeleteBillingGroup", GROUP, delete),
        Operation::read("iot", "ListBillingGroups", "*", list),
        Operation::write("iot", "AddThingToBillingGroup", THING, add).resource(GROUP),
        Operation::write("iot", "RemoveThingFromBillingGroup", THING, remove).resource(GROUP),
        Operation::read("iot", "ListThingsInBillingGroup", GROUP, things_in_group),
    ]
}

fn arn(scope: &Scope, name: &str) -> String {
    scope.iot_arn(&format!("billinggroup/{name}"))
}

fn expect(tx: &mut Tx<'_>, name: &BillingGroupName) -> Result<BillingGroup, ApiError> {
    store::billing_groups::find(tx, name.as_str())?
        .ok_or_else(|| ApiError::not_found(format!("billing group {name} does not exist")))
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Properties {
    #[serde(skip_serializing_if = "Option::is_none")]
    billing_group_description: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreateBillingGroup {
    billing_group_name: BillingGroupName,
    #[serde(default)]
    billing_group_properties: Properties,
    #[serde(default)]
    tags: Vec<Tag>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CreatedBillingGroup {
    billing_group_name: String,
    billing_group_arn: String,
    billing_group_id: String,
}

fn create(
    call: &mut Call<'_, '_>,
    limits: &Limits,
    input: CreateBillingGroup,
) -> Result<CreatedBillingGroup, ApiError> {
    let name = input.billing_group_name.as_str();
    let arn = arn(call.scope, name);
    if store::billing_groups::find(call.tx, name)?.is_some() {
        let message = format!("billing group {name} already exists in this account");
        return Err(ApiError::already_exists(message, name, &arn));
    }
    let group = BillingGroup {
        name: name.to_owned(),
        id: random_uuid(),
        description: input.billing_group_properties.billing_group_description,
        version: 1,
        created_at: call.now(),
    };
    store::billing_groups::insert(call.tx, &group)?;
    put_tags(call.tx, limits, &arn, &input.tags)?;
    Ok(CreatedBillingGroup {
        billing_group_name: group.name,
        billing_group_arn: arn,
        billing_group_id: group.id,
    })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DescribeBillingGroup {
    billing_group_name: BillingGroupName,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DescribedBillingGroup {
    billing_group_name: String,
    billing_group_id: String,
    billing_group_arn: String,
    version: i64,
    billing_group_properties: Properties,
    billing_group_metadata: Metadata,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    creation_date: f64,
}

fn describe(
    call: &mut Call<'_, '_>,
    input: DescribeBillingGroup,
) -> Result<DescribedBillingGroup, ApiError> {
    let group = expect(call.tx, &input.billing_group_name)?;
    Ok(DescribedBillingGroup {
        billing_group_arn: arn(call.scope, &group.name),
        billing_group_name: group.name,
        billing_group_id: group.id,
        version: group.version,
        billing_group_properties: Properties {
            billing_group_description: group.description,
        },
        billing_group_metadata: Metadata {
            creation_date: group.created_at.epoch_seconds(),
        },
    })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct UpdateBillingGroup {
    billing_group_name: BillingGroupName,
    billing_group_properties: Properties,
    expected_version: Option<i64>,
}

#[derive(Debug, Serialize)]
struct Updated {
    version: i64,
}

fn update(call: &mut Call<'_, '_>, input: UpdateBillingGroup) -> Result<Updated, ApiError> {
    let mut group = expect(call.tx, &input.billing_group_name)?;
    check_version(input.expected_version, group.version)?;
    if let Some(description) = input.billing_group_properties.billing_group_description {
        group.description = Some(description);
    }
    group.version += 1;
    store::billing_groups::update(call.tx, &group)?;
    Ok(Updated {
        version: group.version,
    })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DeleteBillingGroup {
    billing_group_name: BillingGroupName,
    expected_version: Option<i64>,
}

fn delete(call: &mut Call<'_, '_>, input: DeleteBillingGroup) -> Result<Done, ApiError> {
    let name = input.billing_group_name.as_str();
    let Some(group) = store::billing_groups::find(call.tx, name)? else {
        return Ok(Done {});
    };
    check_version(input.expected_version, group.version)?;
    store::billing_groups::delete(call.tx, name)?;
    delete_tags(call.tx, &arn(call.scope, name))?;
    Ok(Done {})
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListBillingGroups {
    name_prefix_filter: Option<String>,
    #[serde(flatten)]
    window: Window,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedBillingGroups {
    billing_groups: Vec<NameAndArn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

fn list(
    call: &mut Call<'_, '_>,
    input: ListBillingGroups,
) -> Result<ListedBillingGroups, ApiError> {
    let prefix = input.name_prefix_filter.as_deref().unwrap_or_default();
    let page = Page::open(call.tx, "ListBillingGroups", &[prefix], &input.window)?;
    let end = NameEnd::of(prefix);
    let names = store::billing_groups::page(call.tx, page.names(prefix, &end))?;
    let (names, next_token) = page.close(call.tx, names, |name| vec![name.clone()]);
    let billing_groups = names
        .into_iter()
        .map(|name| NameAndArn {
            group_arn: arn(call.scope, &name),
            group_name: name,
        })
        .collect();
    Ok(ListedBillingGroups {
        billing_groups,
        next_token,
    })
}

/// A thing and a billing group, each by name, by ARN or by both.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ThingAndGroup {
    thing_name: Option<ThingName>,
    thing_arn: Option<String>,
    billing_group_name: Option<BillingGroupName>,
    billing_group_arn: Option<String>,
}

impl ThingAndGroup {
    fn resolved(&self, scope: &Scope) -> Result<(ThingName, BillingGroupName), ApiError> {
        let group_name = self.billing_group_name.as_ref();
        let group_arn = self.billing_group_arn.as_deref();
        Ok((
            one_thing(scope, self.thing_name.as_ref(), self.thing_arn.as_deref())?,
            one_name(group_name, group_arn, "billingGroup", |arn| {
                BillingGroupName::parse(&scope.iot_name(arn, "billinggroup")?).ok()
            })?,
        ))
    }
}

/// A thing that is in another billing group moves.
fn add(call: &mut Call<'_, '_>, input: ThingAndGroup) -> Result<Done, ApiError> {
    let (thing, group) = input.resolved(call.scope)?;
    things::check_exists(call.tx, &thing)?;
    let group = expect(call.tx, &group)?;
    store::things::set_billing_group(call.tx, thing.as_str(), Some(&group.name))?;
    Ok(Done {})
}

/// A thing that is not in this billing group stays where it is.
fn remove(call: &mut Call<'_, '_>, input: ThingAndGroup) -> Result<Done, ApiError> {
    let (thing, group) = input.resolved(call.scope)?;
    let thing = things::expect(call.tx, &thing)?;
    let group = expect(call.tx, &group)?;
    if thing.billing_group == Some(group.name) {
        store::things::set_billing_group(call.tx, &thing.name, None)?;
    }
    Ok(Done {})
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListThingsInBillingGroup {
    billing_group_name: BillingGroupName,
    #[serde(flatten)]
    window: Window,
}

fn things_in_group(
    call: &mut Call<'_, '_>,
    input: ListThingsInBillingGroup,
) -> Result<ThingNames, ApiError> {
    let group = expect(call.tx, &input.billing_group_name)?.name;
    let page = Page::open(
        call.tx,
        "ListThingsInBillingGroup",
        &[&group],
        &input.window,
    )?;
    let (after, rows) = (page.after_name(), page.rows());
    let things = store::billing_groups::members(call.tx, &group, after, rows)?;
    let (things, next_token) = page.close(call.tx, things, |thing| vec![thing.clone()]);
    Ok(ThingNames { things, next_token })
}
