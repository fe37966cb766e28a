//! What policies and things are attached to: certificates, identities, groups.
//!
//! Source: contract core `[PL-4]`, `[RG-50]`.

use model::{ApiError, CertificateId, Scope, ThingGroupName};
use storage::Tx;

use crate::{Certificates, store, topics};

/// Who connects: a certificate of this account, or a Cognito identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Principal {
    Certificate { id: CertificateId, arn: String },
    Identity(String),
}

impl Principal {
    /// Reads a certificate ARN of this account or an identity id `region:uuid`.
    pub(crate) fn parse(scope: &Scope, text: &str) -> Result<Self, ApiError> {
        let certificate = scope.iot_name(text, "cert");
        if let Some(id) = certificate.and_then(|name| CertificateId::parse(&name).ok()) {
            let arn = text.to_owned();
            return Ok(Self::Certificate { id, arn });
        }
        if is_identity_id(text) {
            return Ok(Self::Identity(text.to_owned()));
        }
        Err(ApiError::invalid(format!(
            "`{text}` is neither the ARN of a certificate of this account and region, such as \
             {example}, nor a Cognito identity id `region:uuid`",
            example = scope.iot_arn("cert/{64 hexadecimal digits}")
        )))
    }

    /// The certificate's ARN or the identity's id.
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Certificate { arn, .. } => arn,
            Self::Identity(id) => id,
        }
    }

    /// Refuses a certificate that is not registered here.
    pub(crate) fn check_exists(
        &self,
        tx: &mut Tx<'_>,
        certificates: &dyn Certificates,
    ) -> Result<(), ApiError> {
        match self {
            Self::Certificate { id, .. } if !certificates.exists(tx, id)? => Err(
                ApiError::not_found(format!("certificate {id} does not exist")),
            ),
            Self::Certificate { .. } | Self::Identity(_) => Ok(()),
        }
    }
}

/// What a policy can be attached to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Principal(Principal),
    Group { name: ThingGroupName, arn: String },
}

impl Target {
    /// Reads the ARN of a certificate or static group of this account, or an identity id.
    pub(crate) fn parse(scope: &Scope, text: &str) -> Result<Self, ApiError> {
        let group = scope.iot_name(text, "thinggroup");
        match group.and_then(|name| ThingGroupName::parse(&name).ok()) {
            Some(name) => {
                let arn = text.to_owned();
                Ok(Self::Group { name, arn })
            }
            None => Principal::parse(scope, text).map(Self::Principal),
        }
    }

    /// The ARN or identity id, which is the key of attachments.
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Principal(principal) => principal.as_str(),
            Self::Group { arn, .. } => arn,
        }
    }

    /// Refuses a certificate or group that does not exist.
    pub(crate) fn check_exists(
        &self,
        tx: &mut Tx<'_>,
        certificates: &dyn Certificates,
    ) -> Result<(), ApiError> {
        match self {
            Self::Principal(principal) => principal.check_exists(tx, certificates),
            Self::Group { name, .. } if !store::groups::exists(tx, name.as_str())? => Err(
                ApiError::not_found(format!("thing group {name} does not exist")),
            ),
            Self::Group { .. } => Ok(()),
        }
    }

    /// Announces that policies were attached to it or detached from it.
    pub(crate) fn announce(&self, tx: &mut Tx<'_>) -> Result<(), ApiError> {
        match self {
            Self::Principal(principal) => tx.changed(topics::PRINCIPAL, principal.as_str())?,
            Self::Group { name, .. } => tx.changed(topics::THING_GROUP, name.as_str())?,
        }
        Ok(())
    }
}

/// `region:uuid`, the uuid in lower-case hexadecimal with hyphens.
fn is_identity_id(text: &str) -> bool {
    const UUID_LEN: usize = 36;
    let Some((region, uuid)) = text.split_once(':') else {
        return false;
    };
    let shaped = uuid.bytes().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
    });
    model::Region::parse(region).is_ok() && uuid.len() == UUID_LEN && shaped
}

#[cfg(test)]
mod tests;
