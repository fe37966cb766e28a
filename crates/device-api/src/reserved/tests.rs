use proptest::prelude::*;

use super::*;

#[track_caller]
fn check(topic: &str, publish: bool, subscribe: bool, kind: Kind) {
    let expected = Reserved {
        publish_allowed: publish,
        subscribe_allowed: subscribe,
        kind,
    };
    assert_eq!(Reserved::classify(topic), Some(expected), "topic {topic:?}");
    assert_eq!(
        Reserved::filter_allowed(topic),
        subscribe,
        "as a filter {topic:?}"
    );
}

/// Topic, what a client may do (`P` publish, `S` subscribe), what it is for.
#[rustfmt::skip]
const CASES: &[(&str, &str, Kind)] = &[
    ("$aws/things/t/shadow/update/delta", "S", ShadowNotification),
    ("$aws/things/t/shadow/update/documents", "S", ShadowNotification),
    ("$aws/things/t/shadow/name/s/update/delta", "S", ShadowNotification),
    ("$aws/things/t/jobs/get", "P", JobsRequest),
    ("$aws/things/t/jobs/start-next", "P", JobsRequest),
    ("$aws/things/t/jobs/$next/get", "P", JobsRequest),
    ("$aws/things/t/jobs/j1/update", "P", JobsRequest),
    ("$aws/things/t/jobs/j1/update/accepted", "S", JobsResponse),
    ("$aws/things/t/jobs/start-next/rejected", "S", JobsResponse),
    ("$aws/things/t/jobs/notify", "S", JobsNotification),
    ("$aws/things/t/jobs/notify-next", "S", JobsNotification),
    ("$aws/commands/things/t/executions/e/request/json", "S", CommandRequest),
    ("$aws/commands/clients/c/executions/e/request", "S", CommandRequest),
    ("$aws/commands/things/t/executions/e/response/cbor", "P", CommandResponse),
    ("$aws/commands/things/t/executions/e/response", "P", CommandResponse),
    ("$aws/commands/things/t/executions/e/response/accepted/json", "S", CommandAcknowledgement),
    ("$aws/commands/things/t/executions/e/response/rejected", "S", CommandAcknowledgement),
    ("$aws/certificates/create/json", "P", ProvisioningRequest),
    ("$aws/certificates/create-from-csr/cbor", "P", ProvisioningRequest),
    ("$aws/certificates/create/json/accepted", "S", ProvisioningResponse),
    ("$aws/provisioning-templates/p/provision/json", "P", ProvisioningRequest),
    ("$aws/provisioning-templates/p/provision/cbor/rejected", "S", ProvisioningResponse),
    ("$aws/rules/r", "P", BasicIngest),
    ("$aws/rules/r/a/b", "P", BasicIngest),
    ("$aws/things/t/defender/metrics/json", "P", DefenderMetrics),
    ("$aws/things/t/defender/metrics/cbor/accepted", "S", DefenderResponse),
    ("$aws/things/t/tunnels/notify", "S", TunnelNotification),
    ("$aws/things/t/streams/s/get/cbor", "P", StreamRequest),
    ("$aws/things/t/streams/s/data/json", "S", StreamResponse),
    ("$aws/events/presence/connected/c", "S", Event),
    ("$aws/events/presence/connect_failed/c", "S", Event),
    ("$aws/events/subscriptions/unsubscribed/c", "S", Event),
    ("$aws/events/certificates/registered/ca", "S", Event),
    ("$aws/events/thing/t/created", "S", Event),
    ("$aws/events/thingType/t/deleted", "S", Event),
    ("$aws/events/thingGroup/g/updated", "S", Event),
    ("$aws/events/thingTypeAssociation/thing/t/thingType/y/added", "S", Event),
    ("$aws/events/thingGroupMembership/thingGroup/g/thing/t/removed", "S", Event),
    ("$aws/events/thingGroupHierarchy/thingGroup/g/childThingGroup/h/added", "S", Event),
    ("$aws/events/job/j/cancellation_in_progress", "S", Event),
    ("$aws/events/jobExecution/j/timed_out", "S", Event),
    ("$aws/events/commandExecution/c/IN_PROGRESS", "S", Event),
    ("$aws/sitewise/asset-models/m/assets/a/properties/p", "S", Unserved),
    ("$aws/device_location/a", "PS", Unserved),
];

// tests aws-iot [RT-2], [MQ-32]
#[test]
fn every_row_of_the_contract() {
    for verb in ["get", "update", "delete"] {
        for shadow in ["shadow", "shadow/name/cfg"] {
            let base = format!("$aws/things/t/{shadow}/{verb}");
            check(&base, true, true, ShadowRequest);
            check(&format!("{base}/accepted"), false, true, ShadowResponse);
            check(&format!("{base}/rejected"), false, true, ShadowResponse);
        }
    }
    for (topic, rights, kind) in CASES {
        check(topic, rights.contains('P'), rights.contains('S'), *kind);
    }
}

#[test]
fn what_stands_in_no_table_may_not_be_used() {
    for topic in [
        "$",
        "$aws",
        "$SYS/broker/uptime",
        "$aws/things/t/shadow",
        "$aws/things//shadow/get",
        "$aws/things/t/shadow/GET",
        "$aws/things/t/shadow/get/accepted/more",
        "$aws/rules",
        "$aws/rules/",
        "$aws/events/presence/connected",
        "$aws/events/presence/connected/a/b",
        "$share",
    ] {
        check(topic, false, false, Kind::Unknown);
    }
    for ordinary in ["a", "a/$aws/b", "/", "aws/rules/r"] {
        assert_eq!(Reserved::classify(ordinary), None, "{ordinary:?}");
    }
}

// tests aws-iot [MQ-42], [MQ-44]
#[test]
fn filters_are_allowed_when_they_select_something_subscribable() {
    for filter in [
        "#",
        "+/rules/r",
        "a/b",
        "$aws/#",
        "$aws/events/#",
        "$aws/events/presence/+/+",
        "$aws/things/+/shadow/update/accepted",
        "$aws/things/t/shadow/#",
        "$aws/things/t/shadow/update/accepted/#",
        "$aws/things/t/jobs/#",
        "$aws/+/presence/connected/c",
    ] {
        assert!(Reserved::filter_allowed(filter), "{filter:?}");
    }
    for filter in [
        "$aws/rules/#",
        "$aws/rules/r",
        "$aws/rules/+/a",
        "$SYS/#",
        "$aws/certificates/create/json",
        "$aws/things/+/defender/metrics/json",
    ] {
        assert!(!Reserved::filter_allowed(filter), "{filter:?}");
    }
}

proptest! {
    /// Any text may come from a client; a topic that may be subscribed to is, as a filter of
    /// itself, allowed, and nothing panics.
    #[test]
    fn topic_and_filter_agree(
        topic in "\\$(aws)?(/(things|t|shadow|get|update|jobs|rules|events|accepted||\\+)){0,7}",
    ) {
        let allowed = Reserved::filter_allowed(&topic);
        if !topic.contains('+') {
            let classified = Reserved::classify(&topic).expect("begins with a dollar sign");
            prop_assert_eq!(classified.subscribe_allowed, allowed);
        }
    }
}
