//! The two profiles. Source: contract core `[G-2]`.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How faithfully AWS's limits and deviations are reproduced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// The OASIS texts exactly, fail closed, AWS's arbitrary limits lifted.
    #[default]
    Standard,
    /// Every documented quota, deviation and fail-open of AWS, for rehearsal.
    Aws,
}

/// The text is neither `standard` nor `aws`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a profile; use `standard` or `aws`")]
pub struct UnknownProfile(String);

impl FromStr for Profile {
    type Err = UnknownProfile;

    fn from_str(text: &str) -> Result<Self, UnknownProfile> {
        match text {
            "standard" => Ok(Self::Standard),
            "aws" => Ok(Self::Aws),
            other => Err(UnknownProfile(other.to_owned())),
        }
    }
}
