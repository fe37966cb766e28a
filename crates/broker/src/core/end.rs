//! Why and how a connection ends.

use device_api::DisconnectReason;
use mqtt::ReasonCode;

/// Why and how a connection ends.
#[derive(Clone, Debug)]
pub(crate) struct End {
    pub(crate) reason: DisconnectReason,
    /// For DISCONNECT of version 5; `None` says nothing.
    pub(crate) code: Option<ReasonCode>,
    pub(crate) text: Option<String>,
    /// Whether the client's will is published.
    pub(crate) sends_will: bool,
}

impl End {
    pub(crate) fn new(reason: DisconnectReason, code: ReasonCode) -> Self {
        Self {
            code: Some(code),
            ..Self::silent(reason)
        }
    }

    pub(crate) fn silent(reason: DisconnectReason) -> Self {
        Self {
            reason,
            code: None,
            text: None,
            sends_will: reason.sends_will(),
        }
    }

    /// Of a client that does not take what it is sent.
    pub(crate) fn too_slow() -> Self {
        Self::new(DisconnectReason::Throttled, ReasonCode::QuotaExceeded)
            .because("the client reads too slowly")
    }

    pub(crate) fn because(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into());
        self
    }
}
