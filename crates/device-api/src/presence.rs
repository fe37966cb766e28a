//! Presence and subscription events: who came, who left, why, and what they listen to.
//!
//! Consumers order events of one client by `versionNumber`, because the connect of a takeover may
//! be published before the disconnect it caused.
//!
//! Source: contract core, section 3.2.

#[cfg(test)]
mod tests;

use model::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// Whether a client with this id is reported at all.
// spec aws-iot [RT-11]: a `+` or `#` in the id would make the event's topic a filter.
pub fn has_lifecycle_events(client_id: &str) -> bool {
    !client_id.contains(['+', '#'])
}

/// Why a connection ended, in the words of the `disconnectReason` member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DisconnectReason {
    /// Authentication or authorisation failed, now or at a change of policy.
    AuthError,
    /// An MQTT DISCONNECT, or a WebSocket Close frame.
    ClientInitiatedDisconnect,
    /// The client broke the protocol or a limit of its packets.
    ClientError,
    /// TCP or TLS is gone.
    ConnectionLost,
    /// Another connection named the same client id.
    #[serde(rename = "DUPLICATE_CLIENTID")]
    DuplicateClientId,
    /// For example a source address that is refused.
    ForbiddenAccess,
    /// Silence for one and a half times the keep alive.
    MqttKeepAliveTimeout,
    /// A failure of ours.
    ServerError,
    /// Maintenance: the server stops.
    ServerInitiatedDisconnect,
    /// `DeleteConnection`.
    ApiInitiatedDisconnect,
    /// A limit was exceeded.
    Throttled,
}

impl DisconnectReason {
    /// Every reason, for tables.
    pub const ALL: [Self; 11] = [
        Self::AuthError,
        Self::ClientInitiatedDisconnect,
        Self::ClientError,
        Self::ConnectionLost,
        Self::DuplicateClientId,
        Self::ForbiddenAccess,
        Self::MqttKeepAliveTimeout,
        Self::ServerError,
        Self::ServerInitiatedDisconnect,
        Self::ApiInitiatedDisconnect,
        Self::Throttled,
    ];

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuthError => "AUTH_ERROR",
            Self::ClientInitiatedDisconnect => "CLIENT_INITIATED_DISCONNECT",
            Self::ClientError => "CLIENT_ERROR",
            Self::ConnectionLost => "CONNECTION_LOST",
            Self::DuplicateClientId => "DUPLICATE_CLIENTID",
            Self::ForbiddenAccess => "FORBIDDEN_ACCESS",
            Self::MqttKeepAliveTimeout => "MQTT_KEEP_ALIVE_TIMEOUT",
            Self::ServerError => "SERVER_ERROR",
            Self::ServerInitiatedDisconnect => "SERVER_INITIATED_DISCONNECT",
            Self::ApiInitiatedDisconnect => "API_INITIATED_DISCONNECT",
            Self::Throttled => "THROTTLED",
        }
    }

    /// The reason with this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == word)
    }

    /// Whether an established connection that ends so leaves its will behind.
    // spec aws-iot [MQ-61]: all but a disconnect the client asked for.
    pub const fn sends_will(self) -> bool {
        !matches!(self, Self::ClientInitiatedDisconnect)
    }
}

/// `$aws/events/presence/connected/{clientId}`.
#[derive(Clone, Copy, Debug)]
pub struct Connected<'a> {
    /// The client.
    pub client_id: &'a str,
    /// When.
    pub at: Timestamp,
    /// A UUID of this connection.
    pub session_identifier: &'a str,
    /// The certificate id.
    pub principal: &'a str,
    /// The exclusively attached thing, if there is one.
    pub thing_name: Option<&'a str>,
    /// Where from.
    pub ip_address: &'a str,
    /// See the module documentation.
    pub version: u64,
}

impl Connected<'_> {
    /// Where it is published.
    pub fn topic(&self) -> String {
        format!("$aws/events/presence/connected/{}", self.client_id)
    }

    /// The document.
    pub fn document(&self) -> Vec<u8> {
        let mut members = header(self.client_id, self.at, "connected");
        members.insert("sessionIdentifier".into(), self.session_identifier.into());
        members.insert("principalIdentifier".into(), self.principal.into());
        put_thing(&mut members, self.thing_name);
        members.insert("ipAddress".into(), self.ip_address.into());
        members.insert("versionNumber".into(), self.version.into());
        bytes(members)
    }
}

/// `$aws/events/presence/disconnected/{clientId}`.
#[derive(Clone, Copy, Debug)]
pub struct Disconnected<'a> {
    /// The client.
    pub client_id: &'a str,
    /// When.
    pub at: Timestamp,
    /// The UUID its connected event carried.
    pub session_identifier: &'a str,
    /// The certificate id.
    pub principal: &'a str,
    /// The exclusively attached thing, if there is one.
    pub thing_name: Option<&'a str>,
    /// The number its connected event carried.
    pub version: u64,
    /// Why.
    pub reason: DisconnectReason,
}

impl Disconnected<'_> {
    /// Where it is published.
    pub fn topic(&self) -> String {
        format!("$aws/events/presence/disconnected/{}", self.client_id)
    }

    /// The document.
    pub fn document(&self) -> Vec<u8> {
        let asked = self.reason == DisconnectReason::ClientInitiatedDisconnect;
        let mut members = header(self.client_id, self.at, "disconnected");
        members.insert("clientInitiatedDisconnect".into(), asked.into());
        members.insert("sessionIdentifier".into(), self.session_identifier.into());
        members.insert("principalIdentifier".into(), self.principal.into());
        put_thing(&mut members, self.thing_name);
        members.insert("disconnectReason".into(), self.reason.as_str().into());
        members.insert("versionNumber".into(), self.version.into());
        bytes(members)
    }
}

/// `$aws/events/presence/connect_failed/{clientId}`: authenticated, but not allowed to connect.
#[derive(Clone, Copy, Debug)]
pub struct ConnectFailed<'a> {
    /// The client id it asked for.
    pub client_id: &'a str,
    /// When.
    pub at: Timestamp,
    /// A UUID of this connection.
    pub session_identifier: &'a str,
    /// The certificate id.
    pub principal: &'a str,
    /// Where from.
    pub ip_address: &'a str,
}

impl ConnectFailed<'_> {
    /// Where it is published.
    pub fn topic(&self) -> String {
        format!("$aws/events/presence/connect_failed/{}", self.client_id)
    }

    /// The document.
    // spec aws-iot [RT-12]
    pub fn document(&self) -> Vec<u8> {
        let mut members = header(self.client_id, self.at, "connect_failed");
        members.insert("connectFailureReason".into(), "AUTHORIZATION_FAILED".into());
        members.insert("principalIdentifier".into(), self.principal.into());
        members.insert("sessionIdentifier".into(), self.session_identifier.into());
        members.insert("ipAddress".into(), self.ip_address.into());
        bytes(members)
    }
}

/// Which way a client's subscriptions changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscriptionChange {
    /// By SUBSCRIBE.
    Subscribed,
    /// By UNSUBSCRIBE.
    Unsubscribed,
}

impl SubscriptionChange {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Subscribed => "subscribed",
            Self::Unsubscribed => "unsubscribed",
        }
    }
}

/// `$aws/events/subscriptions/{subscribed,unsubscribed}/{clientId}`: one per packet.
#[derive(Clone, Copy, Debug)]
pub struct Subscriptions<'a> {
    /// The client.
    pub client_id: &'a str,
    /// When.
    pub at: Timestamp,
    /// Which way.
    pub change: SubscriptionChange,
    /// The UUID of its connection.
    pub session_identifier: &'a str,
    /// The certificate id.
    pub principal: &'a str,
    /// The filters that were granted or given up.
    pub filters: &'a [&'a str],
}

impl Subscriptions<'_> {
    /// Where it is published.
    pub fn topic(&self) -> String {
        let (change, client) = (self.change.as_str(), self.client_id);
        format!("$aws/events/subscriptions/{change}/{client}")
    }

    /// The document.
    pub fn document(&self) -> Vec<u8> {
        let mut members = header(self.client_id, self.at, self.change.as_str());
        members.insert("sessionIdentifier".into(), self.session_identifier.into());
        members.insert("principalIdentifier".into(), self.principal.into());
        members.insert("topics".into(), json!(self.filters));
        bytes(members)
    }
}

fn header(client_id: &str, at: Timestamp, event: &str) -> Map<String, Value> {
    let mut members = Map::new();
    members.insert("clientId".into(), client_id.into());
    members.insert("timestamp".into(), at.millis().into());
    members.insert("eventType".into(), event.into());
    members
}

fn put_thing(members: &mut Map<String, Value>, thing_name: Option<&str>) {
    if let Some(name) = thing_name {
        members.insert("thingName".into(), name.into());
    }
}

fn bytes(members: Map<String, Value>) -> Vec<u8> {
    Value::Object(members).to_string().into_bytes()
}
