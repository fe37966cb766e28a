//! Principals of things: which certificate or identity speaks for which thing.
//!
//! Source: contract core 4.6.

use std::sync::Arc;

use gateway::{Call, Operation};
use model::{ApiError, ThingName};
use serde::{Deserialize, Serialize};
use storage::Tx;

use crate::groups::ThingNames;
use crate::pages::{Page, Window};
use crate::principal::Principal;
use crate::store::principals::{Attachment, AttachmentPage};
use crate::{Certificates, Done, Limits, Ports, store, things, topics};

/// Whether any thing is attached to a principal (a certificate's ARN or an identity's id).
///
/// # Errors
/// What the storage answers.
pub fn has_things(tx: &mut Tx<'_>, principal: &str) -> Result<bool, ApiError> {
    let any = first(1);
    Ok(!store::principals::things(tx, principal, any)?.is_empty())
}

/// The first `rows` attachments of either kind.
pub(crate) fn first(rows: usize) -> AttachmentPage<'static> {
    AttachmentPage {
        exclusive: None,
        after: "",
        rows: i64::try_from(rows).unwrap_or(i64::MAX),
    }
}

pub(crate) fn operations(ports: &Ports) -> Vec<Operation> {
    const THING: &str = "thing/{thingName}";
    const PRINCIPAL: &str = "{principal}";
    let limits = ports.limits;
    let certificates = || Arc::clone(&ports.certificates);
    let (attached, listed, listed_v2) = (certificates(), certificates(), certificates());
    vec![
        Operation::write("iot", "AttachThingPrincipal", THING, move |call, input| {
            attach(call, &*attached, &limits, &input)
        })
        .resource(PRINCIPAL),
        Operation::write("iot", "DetachThingPrincipal", THING, detach)
            .resource(PRINCIPAL)
            .containment(),
        Operation::read("iot", "ListThingPrincipals", THING, principals_of_thing),
        Operation::read(
            "iot",
            "ListThingPrincipalsV2",
            THING,
            principals_of_thing_v2,
        ),
        Operation::read(
            "iot",
            "ListPrincipalThings",
            PRINCIPAL,
            move |call, input| things_of_principal(call, &*listed, &input),
        ),
        Operation::read(
            "iot",
            "ListPrincipalThingsV2",
            PRINCIPAL,
            move |call, input| things_of_principal_v2(call, &*listed_v2, &input),
        ),
    ]
}

/// How a thing is attached to a principal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum ThingPrincipalType {
    #[serde(rename = "EXCLUSIVE_THING")]
    Exclusive,
    #[default]
    #[serde(rename = "NON_EXCLUSIVE_THING")]
    NonExclusive,
}

impl ThingPrincipalType {
    fn of(attachment: &Attachment) -> Self {
        if attachment.exclusive {
            Self::Exclusive
        } else {
            Self::NonExclusive
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AttachThingPrincipal {
    thing_name: ThingName,
    principal: String,
    #[serde(default)]
    thing_principal_type: ThingPrincipalType,
}

fn attach(
    call: &mut Call<'_, '_>,
    certificates: &dyn Certificates,
    limits: &Limits,
    input: &AttachThingPrincipal,
) -> Result<Done, ApiError> {
    let principal = Principal::parse(call.scope, &input.principal)?;
    let thing = input.thing_name.as_str();
    let exclusive = input.thing_principal_type == ThingPrincipalType::Exclusive;
    things::check_exists(call.tx, &input.thing_name)?;
    principal.check_exists(call.tx, certificates)?;
    if exclusive && matches!(principal, Principal::Identity(_)) {
        return Err(ApiError::invalid(
            "thingPrincipalType: only a certificate can be attached exclusively",
        ));
    }
    let rows = first(limits.things_per_principal);
    let attached = store::principals::things(call.tx, principal.as_str(), rows)?;
    let same = |found: &&Attachment| found.other == thing;
    if let Some(existing) = attached.iter().find(same)
        && existing.exclusive == exclusive
    {
        return Ok(Done {});
    }
    check_exclusive(&attached, thing, exclusive)?;
    check_counts(call.tx, limits, thing, attached.len())?;
    store::principals::attach(call.tx, principal.as_str(), thing, exclusive)?;
    call.tx.changed(topics::PRINCIPAL, principal.as_str())?;
    Ok(Done {})
}

// spec aws-iot [RG-51]: an exclusive thing is the only thing of its certificate, and another type
// of attachment needs a detachment first.
fn check_exclusive(attached: &[Attachment], thing: &str, exclusive: bool) -> Result<(), ApiError> {
    let refused = |why: String| Err(ApiError::invalid(format!("thingPrincipalType: {why}")));
    if attached.iter().any(|found| found.other == thing) {
        return refused(format!(
            "thing {thing} is attached to this principal with the other type; detach it first"
        ));
    }
    match attached.first() {
        Some(found) if found.exclusive => refused(format!(
            "the principal is attached exclusively to thing {}",
            found.other
        )),
        Some(found) if exclusive => refused(format!(
            "the principal is attached to other things, such as {}",
            found.other
        )),
        _ => Ok(()),
    }
}

// spec aws-iot [RG-54]: the operation models no LimitExceededException.
fn check_counts(
    tx: &mut Tx<'_>,
    limits: &Limits,
    thing: &str,
    things: usize,
) -> Result<(), ApiError> {
    let max = limits.things_per_principal;
    if max <= things {
        return Err(ApiError::invalid(format!(
            "principal: at most {max} things can be attached to it"
        )));
    }
    let max = limits.principals_per_thing;
    if max <= store::principals::principals(tx, thing, first(max))?.len() {
        return Err(ApiError::invalid(format!(
            "thingName: at most {max} principals can be attached to thing {thing}"
        )));
    }
    Ok(())
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DetachThingPrincipal {
    thing_name: ThingName,
    principal: String,
}

/// Takes effect at once; detaching what is not attached succeeds.
// spec aws-iot [RG-50]
fn detach(call: &mut Call<'_, '_>, input: DetachThingPrincipal) -> Result<Done, ApiError> {
    let principal = Principal::parse(call.scope, &input.principal)?;
    things::check_exists(call.tx, &input.thing_name)?;
    let thing = input.thing_name.as_str();
    if store::principals::detach(call.tx, principal.as_str(), thing)? {
        call.tx.changed(topics::PRINCIPAL, principal.as_str())?;
    }
    Ok(Done {})
}

/// A page of the attachments of one thing.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfThing {
    thing_name: ThingName,
    thing_principal_type: Option<ThingPrincipalType>,
    #[serde(flatten)]
    window: Window,
}

/// A page of the attachments of one principal.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfPrincipal {
    principal: String,
    thing_principal_type: Option<ThingPrincipalType>,
    #[serde(flatten)]
    window: Window,
}

type Attachments = (Vec<Attachment>, Option<String>);

impl OfThing {
    fn page(&self, call: &mut Call<'_, '_>, list: &str) -> Result<Attachments, ApiError> {
        things::check_exists(call.tx, &self.thing_name)?;
        let thing = self.thing_name.as_str();
        page(
            call.tx,
            list,
            (thing, self.thing_principal_type),
            &self.window,
            |tx, page| store::principals::principals(tx, thing, page),
        )
    }
}

impl OfPrincipal {
    fn page(
        &self,
        call: &mut Call<'_, '_>,
        certificates: &dyn Certificates,
        list: &str,
    ) -> Result<Attachments, ApiError> {
        let principal = Principal::parse(call.scope, &self.principal)?;
        principal.check_exists(call.tx, certificates)?;
        let whose = principal.as_str();
        page(
            call.tx,
            list,
            (whose, self.thing_principal_type),
            &self.window,
            |tx, page| store::principals::things(tx, whose, page),
        )
    }
}

fn page(
    tx: &mut Tx<'_>,
    list: &str,
    (whose, only): (&str, Option<ThingPrincipalType>),
    window: &Window,
    read: impl Fn(&mut Tx<'_>, AttachmentPage<'_>) -> Result<Vec<Attachment>, ApiError>,
) -> Result<Attachments, ApiError> {
    let page = Page::open(tx, list, &[whose, &format!("{only:?}")], window)?;
    let attachments = AttachmentPage {
        exclusive: only.map(|only| only == ThingPrincipalType::Exclusive),
        after: page.after_name(),
        rows: page.rows(),
    };
    let found = read(tx, attachments)?;
    Ok(page.close(tx, found, |found| vec![found.other.clone()]))
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedPrincipals {
    principals: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

fn principals_of_thing(
    call: &mut Call<'_, '_>,
    input: OfThing,
) -> Result<ListedPrincipals, ApiError> {
    let (found, next_token) = input.page(call, "ListThingPrincipals")?;
    let principals = found.into_iter().map(|found| found.other).collect();
    Ok(ListedPrincipals {
        principals,
        next_token,
    })
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedPrincipalObjects {
    thing_principal_objects: Vec<PrincipalObject>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PrincipalObject {
    principal: String,
    thing_principal_type: ThingPrincipalType,
}

fn principals_of_thing_v2(
    call: &mut Call<'_, '_>,
    input: OfThing,
) -> Result<ListedPrincipalObjects, ApiError> {
    let (found, next_token) = input.page(call, "ListThingPrincipalsV2")?;
    let thing_principal_objects = found
        .into_iter()
        .map(|found| PrincipalObject {
            thing_principal_type: ThingPrincipalType::of(&found),
            principal: found.other,
        })
        .collect();
    Ok(ListedPrincipalObjects {
        thing_principal_objects,
        next_token,
    })
}

fn things_of_principal(
    call: &mut Call<'_, '_>,
    certificates: &dyn Certificates,
    input: &OfPrincipal,
) -> Result<ThingNames, ApiError> {
    let (found, next_token) = input.page(call, certificates, "ListPrincipalThings")?;
    let things = found.into_iter().map(|found| found.other).collect();
    Ok(ThingNames { things, next_token })
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedThingObjects {
    principal_thing_objects: Vec<ThingObject>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ThingObject {
    thing_name: String,
    thing_principal_type: ThingPrincipalType,
}

fn things_of_principal_v2(
    call: &mut Call<'_, '_>,
    certificates: &dyn Certificates,
    input: &OfPrincipal,
) -> Result<ListedThingObjects, ApiError> {
    let (found, next_token) = input.page(call, certificates, "ListPrincipalThingsV2")?;
    let principal_thing_objects = found
        .into_iter()
        .map(|found| ThingObject {
            thing_principal_type: ThingPrincipalType::of(&found),
            thing_name: found.other,
        })
        .collect();
    Ok(ListedThingObjects {
        principal_thing_objects,
        next_token,
    })
}
