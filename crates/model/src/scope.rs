//! The account and region that an installation serves.

use crate::{AccountId, Arn, Region};

/// Partition, region and account: fixed at first start, part of every ARN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// `aws` unless told otherwise.
    pub partition: String,
    /// The region answered to.
    pub region: Region,
    /// The one account served.
    pub account: AccountId,
}

impl Scope {
    /// A scope in the partition `aws`.
    pub fn new(account: AccountId, region: Region) -> Self {
        Self {
            partition: "aws".to_owned(),
            region,
            account,
        }
    }

    /// `arn:{partition}:iot:{region}:{account}:{resource}`. Source: contract core `[G-4]`.
    pub fn iot_arn(&self, resource: &str) -> String {
        let Self {
            partition,
            region,
            account,
        } = self;
        format!("arn:{partition}:iot:{region}:{account}:{resource}")
    }

    /// `arn:{partition}:iam::{account}:{resource}`.
    pub fn iam_arn(&self, resource: &str) -> String {
        let Self {
            partition, account, ..
        } = self;
        format!("arn:{partition}:iam::{account}:{resource}")
    }

    /// The name of the IoT resource of `kind` that `arn` names here, if it is one of ours.
    pub fn iot_name(&self, arn: &str, kind: &str) -> Option<String> {
        let arn = Arn::parse(arn).ok()?;
        let ours = arn.service == "iot"
            && arn.partition == self.partition
            && arn.region == self.region.as_str()
            && arn.account == self.account.as_str();
        let (found, name) = arn.kind_and_name()?;
        (ours && found == kind).then(|| name.to_owned())
    }
}
