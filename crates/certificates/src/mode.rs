//! How an authority was registered, which its certificates inherit.
//!
//! In AWS, where many accounts share a host, SNI_ONLY means that the host name a device asks for
//! says whose certificate it shows. Here one account is served, so both modes connect alike and
//! the mode only decides what a registration must prove.
//!
//! Source: contract core `[CT-4]`, `[CT-21]`, `[CT-22]`.

use serde::{Deserialize, Serialize};

/// The mode of a certificate or of an authority.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Mode {
    /// The authority's owner proved to hold its key.
    #[default]
    Default,
    /// Nobody proved anything.
    SniOnly,
}

impl Mode {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "DEFAULT",
            Self::SniOnly => "SNI_ONLY",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Default, Self::SniOnly]
            .into_iter()
            .find(|mode| mode.as_str() == text)
    }
}
