//! Where one capability's question meets another's answer.
//!
//! Capabilities never import each other; each declares what it asks, in its own words, and this
//! is the only place where all are in view.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use broker::PropagatedSource;
use certificates::Status;
use model::{ApiError, CertificateId, Scope};
use policy::CertificateFacts;
use registry::{Documents, Limits, PropagatedValue, Tag};
use storage::Tx;

/// What the registry asks about certificates.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KnownCertificates;

impl registry::Certificates for KnownCertificates {
    fn exists(&self, tx: &mut Tx<'_>, id: &CertificateId) -> Result<bool, ApiError> {
        certificates::exists(tx, id)
    }

    fn ca_exists(&self, tx: &mut Tx<'_>, id: &CertificateId) -> Result<bool, ApiError> {
        certificates::authority_exists(tx, id)
    }

    fn facts(
        &self,
        tx: &mut Tx<'_>,
        id: &CertificateId,
    ) -> Result<Option<CertificateFacts>, ApiError> {
        certificates::facts(tx, id)
    }
}

/// What certificates ask about things and policies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RegistryAttachments;

impl certificates::Attachments for RegistryAttachments {
    fn has_things(&self, tx: &mut Tx<'_>, certificate_arn: &str) -> Result<bool, ApiError> {
        registry::has_things(tx, certificate_arn)
    }

    fn has_policies(&self, tx: &mut Tx<'_>, certificate_arn: &str) -> Result<bool, ApiError> {
        registry::has_policies(tx, certificate_arn)
    }

    fn detach_all_policies(&self, tx: &mut Tx<'_>, certificate_arn: &str) -> Result<(), ApiError> {
        registry::detach_all_policies(tx, certificate_arn)
    }
}

/// Where the tags of certificate authorities are kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RegistryTags {
    pub(crate) limits: Limits,
}

impl certificates::Tags for RegistryTags {
    fn put(&self, tx: &mut Tx<'_>, arn: &str, tags: &[(String, String)]) -> Result<(), ApiError> {
        let tag = |(key, value): &(String, String)| Tag {
            key: key.clone(),
            value: value.clone(),
        };
        let tags: Vec<Tag> = tags.iter().map(tag).collect();
        registry::put_tags(tx, &self.limits, arn, &tags)
    }

    fn clear(&self, tx: &mut Tx<'_>, arn: &str) -> Result<(), ApiError> {
        registry::delete_tags(tx, arn)
    }
}

/// Things of a group that are read at once; of a larger one each principal is read again.
const AMENDED_THINGS_MAX: usize = 100_000;

/// What the broker asks about a device.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    pub(crate) scope: Scope,
    pub(crate) documents: Arc<Documents>,
}

impl broker::Directory for Directory {
    fn device(
        &self,
        tx: &mut Tx<'_>,
        id: &CertificateId,
    ) -> Result<Option<broker::DeviceRecord>, ApiError> {
        let Some(status) = certificates::status(tx, id)? else {
            return Ok(None);
        };
        let facts = registry::facts(tx, &self.scope, id, &KnownCertificates, &self.documents)?;
        let propagating = propagating(tx, &facts)?;
        let active = status == Status::Active;
        Ok(Some(broker::DeviceRecord {
            active,
            status: status.to_string(),
            facts,
            propagating,
        }))
    }

    fn amendment(
        &self,
        tx: &mut Tx<'_>,
        topic: &str,
        key: &str,
    ) -> Result<Option<broker::Amendment>, ApiError> {
        let (scope, documents) = (&self.scope, &*self.documents);
        match topic {
            registry::POLICY_CHANGED => {
                let policy = registry::policy_now(tx, scope, key, documents)?;
                Ok(policy.map(broker::Amendment::Policy))
            }
            registry::GROUP_CHANGED => {
                let group = registry::group_now(tx, scope, key, documents, AMENDED_THINGS_MAX)?;
                Ok(group.map(|(policies, things)| broker::Amendment::Group {
                    name: key.to_owned(),
                    policies,
                    things,
                }))
            }
            _ => Ok(None),
        }
    }

    fn introduce(
        &self,
        tx: &mut Tx<'_>,
        der: &[u8],
        source_ip: IpAddr,
    ) -> Result<Option<broker::Event>, ApiError> {
        let event = certificates::introduce(tx, &self.scope, der, source_ip)?;
        Ok(event.map(|event| broker::Event {
            topic: event.topic,
            payload: event.payload,
        }))
    }
}

/// What the types of these things add to messages; most add nothing, and are left out.
fn propagating(
    tx: &mut Tx<'_>,
    facts: &policy::Facts,
) -> Result<BTreeMap<String, Vec<broker::PropagatingAttribute>>, ApiError> {
    let types = facts
        .things
        .iter()
        .filter_map(|thing| thing.thing_type.as_ref());
    let types: BTreeSet<&String> = types.collect();
    let mut found = BTreeMap::new();
    for name in types {
        let attributes = registry::propagating_attributes(tx, name)?;
        if !attributes.is_empty() {
            let attributes = attributes.into_iter().map(propagating_attribute).collect();
            found.insert(name.clone(), attributes);
        }
    }
    Ok(found)
}

fn propagating_attribute(of: registry::PropagatingAttribute) -> broker::PropagatingAttribute {
    broker::PropagatingAttribute {
        key: of.user_property_key,
        source: match of.value {
            PropagatedValue::ThingAttribute(name) => PropagatedSource::ThingAttribute(name),
            PropagatedValue::ClientId => PropagatedSource::ClientId,
            PropagatedValue::ThingName => PropagatedSource::ThingName,
        },
    }
}
