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
    for (topic, publish, subscribe, kind) in [
        (
            "$aws/things/t/shadow/update/delta",
            false,
            true,
            ShadowNotification,
        ),
        (
            "$aws/things/t/shadow/update/documents",
            false,
            true,
            ShadowNotification,
        ),
        (
            "$aws/things/t/shadow/name/s/update/delta",
            false,
            true,
            ShadowNotification,
        ),
        ("$aws/things/t/jobs/get", true, false, JobsRequest),
        ("$aws/things/t/jobs/start-next", true, false, JobsRequest),
        ("$aws/things/t/jobs/$next/get", true, false, JobsRequest),
        ("$aws/things/t/jobs/j1/update", true, false, JobsRequest),
        (
            "$aws/things/t/jobs/j1/update/accepted",
            false,
            true,
            JobsResponse,
        ),
        (
            "$aws/things/t/jobs/start-next/rejected",
            false,
            true,
            JobsResponse,
        ),
        ("$aws/things/t/jobs/notify", false, true, JobsNotification),
        (
            "$aws/things/t/jobs/notify-next",
            false,
            true,
            JobsNotification,
        ),
        (
            "$aws/commands/things/t/executions/e/request/json",
            false,
            true,
            CommandRequest,
        ),
        (
            "$aws/commands/clients/c/executions/e/request",
            false,
            true,
            CommandRequest,
        ),
        (
            "$aws/commands/things/t/executions/e/response/cbor",
            true,
            false,
            CommandResponse,
        ),
        (
            "$aws/commands/things/t/executions/e/response",
            true,
            false,
            CommandResponse,
        ),
        (
            "$aws/commands/things/t/executions/e/response/accepted/json",
            false,
            true,
            CommandAcknowledgement,
        ),
        (
            "$aws/commands/things/t/executions/e/response/rejected",
            false,
            true,
            CommandAcknowledgement,
        ),
        (
            "$aws/certificates/create/json",
            true,
            false,
            ProvisioningRequest,
        ),
        (
            "$aws/certificates/create-from-csr/cbor",
            true,
            false,
            ProvisioningRequest,
        ),
        (
            "$aws/certificates/create/json/accepted",
            false,
            true,
            ProvisioningResponse,
        ),
        (
            "$aws/provisioning-templates/p/provision/json",
            true,
            false,
            ProvisioningRequest,
        ),
        (
            "$aws/provisioning-templates/p/provision/cbor/rejected",
            false,
            true,
            ProvisioningResponse,
        ),
        ("$aws/rules/r", true, false, BasicIngest),
        ("$aws/rules/r/a/b", true, false, BasicIngest),
        (
            "$aws/things/t/defender/metrics/json",
            true,
            false,
            DefenderMetrics,
        ),
        (
            "$aws/things/t/defender/metrics/cbor/accepted",
            false,
            true,
            DefenderResponse,
        ),
        (
            "$aws/things/t/tunnels/notify",
            false,
            true,
            TunnelNotification,
        ),
        (
            "$aws/things/t/streams/s/get/cbor",
            true,
            false,
            StreamRequest,
        ),
        (
            "$aws/things/t/streams/s/data/json",
            false,
            true,
            StreamResponse,
        ),
        ("$aws/events/presence/connected/c", false, true, Event),
        ("$aws/events/presence/connect_failed/c", false, true, Event),
        (
            "$aws/events/subscriptions/unsubscribed/c",
            false,
            true,
            Event,
        ),
        ("$aws/events/certificates/registered/ca", false, true, Event),
        ("$aws/events/thing/t/created", false, true, Event),
        ("$aws/events/thingType/t/deleted", false, true, Event),
        ("$aws/events/thingGroup/g/updated", false, true, Event),
        (
            "$aws/events/thingTypeAssociation/thing/t/thingType/y/added",
            false,
            true,
            Event,
        ),
        (
            "$aws/events/thingGroupMembership/thingGroup/g/thing/t/removed",
            false,
            true,
            Event,
        ),
        (
            "$aws/events/thingGroupHierarchy/thingGroup/g/childThingGroup/h/added",
            false,
            true,
            Event,
        ),
        (
            "$aws/events/job/j/cancellation_in_progress",
            false,
            true,
            Event,
        ),
        ("$aws/events/jobExecution/j/timed_out", false, true, Event),
        (
            "$aws/events/commandExecution/c/IN_PROGRESS",
            false,
            true,
            Event,
        ),
        (
            "$aws/sitewise/asset-models/m/assets/a/properties/p",
            false,
            true,
            Unserved,
        ),
        ("$aws/device_location/a", true, true, Unserved),
    ] {
        check(topic, publish, subscribe, kind);
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
