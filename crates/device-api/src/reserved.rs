//! The reserved topics: which exist, and what a client may do with each.
//!
//! One table says it all; a topic or filter is compared with its rows level by level. This module
//! says what a topic *is*. Whether this client may use it is the policy's question, asked as well.
//!
//! Source: contract core, section 3.1.

#[cfg(test)]
mod tests;

/// What a reserved topic is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A request to a device shadow.
    ShadowRequest,
    /// The answer to a shadow request.
    ShadowResponse,
    /// A shadow's delta or documents notification.
    ShadowNotification,
    /// A device's request to the jobs service.
    JobsRequest,
    /// The answer to a jobs request; goes to the requester alone.
    JobsResponse,
    /// A change of a thing's job queue.
    JobsNotification,
    /// A command on its way to a device.
    CommandRequest,
    /// A device's result of a command.
    CommandResponse,
    /// The acknowledgement of a command's result.
    CommandAcknowledgement,
    /// A fleet provisioning request.
    ProvisioningRequest,
    /// The answer to a fleet provisioning request.
    ProvisioningResponse,
    /// Basic Ingest: straight to a rule.
    BasicIngest,
    /// A device's security metrics.
    DefenderMetrics,
    /// The answer to security metrics.
    DefenderResponse,
    /// A tunnel's token for its destination.
    TunnelNotification,
    /// A file delivery request.
    StreamRequest,
    /// A file delivery answer.
    StreamResponse,
    /// An event of the platform: presence, registry, jobs, commands.
    Event,
    /// Kept for a service that is not here.
    Unserved,
    /// Begins with `$` and is in no table.
    Unknown,
}

/// A topic of the platform, and what clients may do with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserved {
    /// A client may publish to it, policy permitting.
    pub publish_allowed: bool,
    /// A client may subscribe to it, policy permitting.
    pub subscribe_allowed: bool,
    /// What it is for.
    pub kind: Kind,
}

impl Reserved {
    /// What `topic` is to the platform; `None` for an ordinary topic.
    ///
    /// A topic that begins with `$` and stands in no table is [`Kind::Unknown`]: clients may do
    /// nothing with it.
    pub fn classify(topic: &str) -> Option<Self> {
        if !topic.starts_with('$') {
            return None;
        }
        let row = TABLE.iter().find(|row| is_topic_of(row.pattern, topic));
        Some(row.map_or(UNKNOWN, Row::rights))
    }

    /// Whether a client may subscribe to `filter`, which is not a shared one: ordinary topics
    /// always, reserved ones when the filter selects at least one that may be subscribed to.
    ///
    /// A filter that begins with a wildcard never selects reserved topics, so it is ordinary.
    // spec aws-iot [MQ-44]: nobody can subscribe to Basic Ingest, wildcards included.
    pub fn filter_allowed(filter: &str) -> bool {
        if !filter.starts_with('$') {
            return true;
        }
        TABLE
            .iter()
            .any(|row| row.rights.subscribes() && overlaps(row.pattern, filter))
    }
}

const UNKNOWN: Reserved = Reserved {
    publish_allowed: false,
    subscribe_allowed: false,
    kind: Kind::Unknown,
};

#[derive(Clone, Copy)]
enum Rights {
    Publish,
    Subscribe,
    Both,
}

impl Rights {
    fn publishes(self) -> bool {
        matches!(self, Self::Publish | Self::Both)
    }

    fn subscribes(self) -> bool {
        matches!(self, Self::Subscribe | Self::Both)
    }
}

struct Row {
    pattern: &'static str,
    rights: Rights,
    kind: Kind,
}

impl Row {
    fn rights(&self) -> Reserved {
        Reserved {
            publish_allowed: self.rights.publishes(),
            subscribe_allowed: self.rights.subscribes(),
            kind: self.kind,
        }
    }
}

/// In a pattern `*` stands for one non-empty level, `a|b` for either, and a last `**` for any
/// number of further levels, none included.
const fn row(pattern: &'static str, rights: Rights, kind: Kind) -> Row {
    Row {
        pattern,
        rights,
        kind,
    }
}

use Kind::{
    BasicIngest, CommandAcknowledgement, CommandRequest, CommandResponse, DefenderMetrics,
    DefenderResponse, Event, JobsNotification, JobsRequest, JobsResponse, ProvisioningRequest,
    ProvisioningResponse, ShadowNotification, ShadowRequest, ShadowResponse, StreamRequest,
    StreamResponse, TunnelNotification, Unserved,
};
use Rights::{Both, Publish, Subscribe};

#[rustfmt::skip]
const TABLE: &[Row] = &[
    row("$aws/things/*/shadow/get|update|delete", Both, ShadowRequest),
    row("$aws/things/*/shadow/get|update|delete/accepted|rejected", Subscribe, ShadowResponse),
    row("$aws/things/*/shadow/update/delta|documents", Subscribe, ShadowNotification),
    row("$aws/things/*/shadow/name/*/get|update|delete", Both, ShadowRequest),
    row("$aws/things/*/shadow/name/*/get|update|delete/accepted|rejected", Subscribe, ShadowResponse),
    row("$aws/things/*/shadow/name/*/update/delta|documents", Subscribe, ShadowNotification),
    row("$aws/things/*/jobs/get|start-next", Publish, JobsRequest),
    row("$aws/things/*/jobs/get|start-next/accepted|rejected", Subscribe, JobsResponse),
    row("$aws/things/*/jobs/notify|notify-next", Subscribe, JobsNotification),
    row("$aws/things/*/jobs/*/get|update", Publish, JobsRequest),
    row("$aws/things/*/jobs/*/get|update/accepted|rejected", Subscribe, JobsResponse),
    row("$aws/commands/things|clients/*/executions/*/request", Subscribe, CommandRequest),
    row("$aws/commands/things|clients/*/executions/*/request/json|cbor", Subscribe, CommandRequest),
    row("$aws/commands/things|clients/*/executions/*/response/accepted|rejected", Subscribe, CommandAcknowledgement),
    row("$aws/commands/things|clients/*/executions/*/response/accepted|rejected/json|cbor", Subscribe, CommandAcknowledgement),
    row("$aws/commands/things|clients/*/executions/*/response", Publish, CommandResponse),
    row("$aws/commands/things|clients/*/executions/*/response/json|cbor", Publish, CommandResponse),
    row("$aws/certificates/create|create-from-csr/json|cbor", Publish, ProvisioningRequest),
    row("$aws/certificates/create|create-from-csr/json|cbor/accepted|rejected", Subscribe, ProvisioningResponse),
    row("$aws/provisioning-templates/*/provision/json|cbor", Publish, ProvisioningRequest),
    row("$aws/provisioning-templates/*/provision/json|cbor/accepted|rejected", Subscribe, ProvisioningResponse),
    row("$aws/rules/*/**", Publish, BasicIngest),
    row("$aws/things/*/defender/metrics/json|cbor", Publish, DefenderMetrics),
    row("$aws/things/*/defender/metrics/json|cbor/accepted|rejected", Subscribe, DefenderResponse),
    row("$aws/things/*/tunnels/notify", Subscribe, TunnelNotification),
    row("$aws/things/*/streams/*/describe|get/json|cbor", Publish, StreamRequest),
    row("$aws/things/*/streams/*/description|data|rejected/json|cbor", Subscribe, StreamResponse),
    row("$aws/events/presence/connected|disconnected|connect_failed/*", Subscribe, Event),
    row("$aws/events/subscriptions/subscribed|unsubscribed/*", Subscribe, Event),
    row("$aws/events/certificates/registered/*", Subscribe, Event),
    row("$aws/events/thing|thingType|thingGroup/*/created|updated|deleted", Subscribe, Event),
    row("$aws/events/thingTypeAssociation/thing/*/thingType/*/added|removed", Subscribe, Event),
    row("$aws/events/thingGroupMembership/thingGroup/*/thing/*/added|removed", Subscribe, Event),
    row("$aws/events/thingGroupHierarchy/thingGroup/*/childThingGroup/*/added|removed", Subscribe, Event),
    row("$aws/events/job/*/completed|canceled|deleted|cancellation_in_progress|deletion_in_progress", Subscribe, Event),
    row("$aws/events/jobExecution/*/succeeded|failed|rejected|canceled|timed_out|removed|deleted", Subscribe, Event),
    row("$aws/events/commandExecution/*/CREATED|IN_PROGRESS|SUCCEEDED|FAILED|REJECTED|TIMED_OUT", Subscribe, Event),
    row("$aws/sitewise/asset-models/*/assets/*/properties/*", Subscribe, Unserved),
    row("$aws/device_location/**", Both, Unserved),
];

fn is_topic_of(pattern: &str, topic: &str) -> bool {
    let mut levels = topic.split('/');
    for wanted in pattern.split('/') {
        if wanted == "**" {
            return true;
        }
        match levels.next() {
            Some(level) if accepts(wanted, level) => (),
            _ => return false,
        }
    }
    levels.next().is_none()
}

/// Whether at least one topic is selected by both.
fn overlaps(pattern: &str, filter: &str) -> bool {
    let mut levels = filter.split('/');
    for wanted in pattern.split('/') {
        match levels.next() {
            Some("#") => return true,
            _ if wanted == "**" => return true,
            Some(level) if level == "+" || accepts(wanted, level) => (),
            _ => return false,
        }
    }
    // Whether `#` also selects its parent differs by profile; both selections lie in the table.
    matches!(levels.next(), None | Some("#"))
}

fn accepts(wanted: &str, level: &str) -> bool {
    match wanted {
        "*" => !level.is_empty(),
        alternatives => alternatives.split('|').any(|one| one == level),
    }
}
