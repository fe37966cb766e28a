//! What a door asks, and what it gets.

use std::borrow::Cow;

/// What a device wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the variants are the actions' own names")]
pub enum DeviceAction {
    Connect,
    Publish,
    RetainPublish,
    Subscribe,
    Receive,
    GetRetainedMessage,
    ListRetainedMessages,
    GetThingShadow,
    UpdateThingShadow,
    DeleteThingShadow,
    ListNamedShadowsForThing,
    DescribeJobExecution,
    GetPendingJobExecutions,
    StartNextPendingJobExecution,
    UpdateJobExecution,
    AssumeRoleWithCertificate,
    GetConnection,
    DeleteConnection,
    ListSubscriptions,
    SendDirectMessage,
    Discover,
}

impl DeviceAction {
    /// Every action, in the order of declaration.
    pub const ALL: [Self; 21] = [
        Self::Connect,
        Self::Publish,
        Self::RetainPublish,
        Self::Subscribe,
        Self::Receive,
        Self::GetRetainedMessage,
        Self::ListRetainedMessages,
        Self::GetThingShadow,
        Self::UpdateThingShadow,
        Self::DeleteThingShadow,
        Self::ListNamedShadowsForThing,
        Self::DescribeJobExecution,
        Self::GetPendingJobExecutions,
        Self::StartNextPendingJobExecution,
        Self::UpdateJobExecution,
        Self::AssumeRoleWithCertificate,
        Self::GetConnection,
        Self::DeleteConnection,
        Self::ListSubscriptions,
        Self::SendDirectMessage,
        Self::Discover,
    ];

    /// The action as a policy spells it, for example `iot:Publish`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connect => "iot:Connect",
            Self::Publish => "iot:Publish",
            Self::RetainPublish => "iot:RetainPublish",
            Self::Subscribe => "iot:Subscribe",
            Self::Receive => "iot:Receive",
            Self::GetRetainedMessage => "iot:GetRetainedMessage",
            Self::ListRetainedMessages => "iot:ListRetainedMessages",
            Self::GetThingShadow => "iot:GetThingShadow",
            Self::UpdateThingShadow => "iot:UpdateThingShadow",
            Self::DeleteThingShadow => "iot:DeleteThingShadow",
            Self::ListNamedShadowsForThing => "iot:ListNamedShadowsForThing",
            Self::DescribeJobExecution => "iot:DescribeJobExecution",
            Self::GetPendingJobExecutions => "iot:GetPendingJobExecutions",
            Self::StartNextPendingJobExecution => "iot:StartNextPendingJobExecution",
            Self::UpdateJobExecution => "iot:UpdateJobExecution",
            Self::AssumeRoleWithCertificate => "iot:AssumeRoleWithCertificate",
            Self::GetConnection => "iot:GetConnection",
            Self::DeleteConnection => "iot:DeleteConnection",
            Self::ListSubscriptions => "iot:ListSubscriptions",
            Self::SendDirectMessage => "iot:SendDirectMessage",
            Self::Discover => "greengrass:Discover",
        }
    }

    /// The kind of resource the action is about.
    // spec aws-iot [PL-11]: the kind matters, a topic is not a topic filter.
    // core.md 7.2: ListNamedShadowsForThing is asked about the thing; a
    // statement on `*` covers it as well as one on `thing/{name}`.
    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::Publish | Self::RetainPublish | Self::Receive | Self::GetRetainedMessage => {
                Kind::Topic
            }
            Self::Subscribe => Kind::TopicFilter,
            Self::ListRetainedMessages => Kind::Any,
            Self::GetThingShadow
            | Self::UpdateThingShadow
            | Self::DeleteThingShadow
            | Self::ListNamedShadowsForThing
            | Self::DescribeJobExecution
            | Self::GetPendingJobExecutions
            | Self::StartNextPendingJobExecution
            | Self::UpdateJobExecution
            | Self::Discover => Kind::Thing,
            Self::AssumeRoleWithCertificate => Kind::RoleAlias,
            Self::Connect
            | Self::GetConnection
            | Self::DeleteConnection
            | Self::ListSubscriptions
            | Self::SendDirectMessage => Kind::Client,
        }
    }
}

/// The kinds of resource that devices act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Client,
    Topic,
    TopicFilter,
    Thing,
    RoleAlias,
    Any,
}

impl Kind {
    /// What stands before the name in the last part of an ARN.
    pub(crate) fn arn_part(self) -> &'static str {
        match self {
            Self::Client => "client/",
            Self::Topic => "topic/",
            Self::TopicFilter => "topicfilter/",
            Self::Thing => "thing/",
            Self::RoleAlias => "rolealias/",
            Self::Any => "",
        }
    }
}

/// What the action is done to. Names are taken as they are, never as patterns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource<'a> {
    /// An MQTT client id.
    Client(&'a str),
    /// A client id and the topic of a message to it alone, for
    /// [`DeviceAction::SendDirectMessage`] with its key `iot:Topic`.
    DirectMessage {
        /// The receiver.
        client: &'a str,
        /// The topic it is delivered on.
        topic: &'a str,
    },
    /// A topic name.
    Topic(&'a str),
    /// A topic filter as the client wrote it, `$share/..` included.
    TopicFilter(&'a str),
    /// A thing, or one of its named shadows.
    Thing {
        /// The thing's name.
        name: &'a str,
        /// The shadow's name; `None` for the classic shadow and for jobs.
        shadow: Option<&'a str>,
    },
    /// A role alias.
    RoleAlias(&'a str),
    /// The action has no resource of its own; only `*` covers it.
    Any,
}

impl<'a> Resource<'a> {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Client(_) | Self::DirectMessage { .. } => Kind::Client,
            Self::Topic(_) => Kind::Topic,
            Self::TopicFilter(_) => Kind::TopicFilter,
            Self::Thing { .. } => Kind::Thing,
            Self::RoleAlias(_) => Kind::RoleAlias,
            Self::Any => Kind::Any,
        }
    }

    /// What follows the kind in the ARN. Allocates for a named shadow only,
    /// which no MQTT message is.
    pub(crate) fn name(&self) -> Cow<'a, str> {
        Cow::Borrowed(match self {
            Self::Thing {
                name,
                shadow: Some(shadow),
            } => return format!("{name}/{shadow}").into(),
            Self::Client(name)
            | Self::DirectMessage { client: name, .. }
            | Self::Topic(name)
            | Self::TopicFilter(name)
            | Self::Thing { name, shadow: None }
            | Self::RoleAlias(name) => name,
            Self::Any => "*",
        })
    }

    /// The filter within a shared subscription.
    pub(crate) fn unshared_filter(&self) -> Option<&'a str> {
        let Self::TopicFilter(filter) = self else {
            return None;
        };
        let (_share_name, bare) = filter.strip_prefix("$share/")?.split_once('/')?;
        Some(bare)
    }
}

/// One question.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// What the device wants to do.
    pub action: DeviceAction,
    /// To what. A resource of another kind than the action's is never allowed.
    pub resource: Resource<'a>,
    /// The time in milliseconds since 1970, for `aws:CurrentTime` and `aws:EpochTime`.
    pub now_ms: i64,
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Verdict {
    /// A statement allows it and none denies it.
    Allowed,
    /// A statement denies it.
    ExplicitDeny,
    /// No statement speaks of it.
    ImplicitDeny,
}

impl Verdict {
    /// Both must allow; a Deny of either is a Deny. This is how an identity
    /// policy and an IoT policy combine for an authenticated federated identity.
    // spec aws-iot [CR-10]
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::ExplicitDeny, _) | (_, Self::ExplicitDeny) => Self::ExplicitDeny,
            (Self::Allowed, Self::Allowed) => Self::Allowed,
            _ => Self::ImplicitDeny,
        }
    }

    /// From whether a Deny and whether an Allow applies.
    // core.md 7.6: Deny before Allow, and without either, no.
    pub(crate) fn of(denied: bool, allowed: impl FnOnce() -> bool) -> Self {
        if denied {
            Self::ExplicitDeny
        } else if allowed() {
            Self::Allowed
        } else {
            Self::ImplicitDeny
        }
    }
}

/// Proof that a request was allowed. What needs permission takes one of these,
/// so that forgetting the check does not compile; only
/// [`Authorizer::permit`](crate::Authorizer::permit) makes it, for one request.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub struct Permit<'a> {
    action: DeviceAction,
    resource: Resource<'a>,
}

impl<'a> Permit<'a> {
    pub(crate) fn granted(request: &Request<'a>) -> Self {
        Self {
            action: request.action,
            resource: request.resource,
        }
    }

    /// What was allowed.
    pub fn action(&self) -> DeviceAction {
        self.action
    }

    /// To what.
    pub fn resource(&self) -> Resource<'a> {
        self.resource
    }
}

/// The request was not allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// A statement denies it.
    #[error("a policy statement denies this")]
    Explicit,
    /// No statement allows it.
    #[error("no policy statement allows this")]
    Implicit,
}
