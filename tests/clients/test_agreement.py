"""TestAuthorization and the broker answer alike: one table, asked both ways.

Each row is a policy (Allow, Deny) and what is asked of it; what it expects is said once, and the
API, MQTT and HTTPS must all say it.
"""

import json

import pytest

from conftest import EVERYTHING, Device, eventually
from test_access_ends import https_publish
from test_paho import Client

MINE = "${iot:Connection.Thing.ThingName}"
ID = "${iot:ClientId}"


def allow(action, *resources, **more):
    return statement("Allow", action, resources, **more)


def deny(action, *resources, **more):
    return statement("Deny", action, resources, **more)


def statement(effect, action, resources, **more):
    return {"Effect": effect, "Action": f"iot:{action}", "Resource": list(resources) or ["*"], **more}


CONNECT = allow("Connect")
CASES = {
    "nothing but connect": ([CONNECT], [
        ("publish", "a", False), ("subscribe", "a", False)]),
    "a topic and no other": ([CONNECT, allow("Publish", "topic/a/b")], [
        ("publish", "a/b", True), ("publish", "a/b/c", False), ("publish", "a", False)]),
    "a star spans levels": ([CONNECT, allow("Publish", "topic/a/*")], [
        ("publish", "a/b/c", True), ("publish", "a/", True), ("publish", "a", False)]),
    "a question mark is one character": ([CONNECT, allow("Publish", "topic/a?c")], [
        ("publish", "abc", True), ("publish", "ac", False), ("publish", "abbc", False)]),
    "a plus is a letter": ([CONNECT, allow("Subscribe", "topicfilter/a/+/c")], [
        ("subscribe", "a/+/c", True), ("subscribe", "a/b/c", False), ("subscribe", "a/#", False)]),
    "a hash is a letter": ([CONNECT, allow("Subscribe", "topicfilter/a/#")], [
        ("subscribe", "a/#", True), ("subscribe", "a/b", False)]),
    "deny wins": ([allow("*"), deny("Publish", "topic/secret/*")], [
        ("publish", "open", True), ("publish", "secret/x", False), ("subscribe", "secret/x", True)]),
    "deny of a filter": ([allow("*"), deny("Subscribe", "topicfilter/#")], [
        ("subscribe", "#", False), ("subscribe", "a/#", True)]),
    "the thing's name": ([CONNECT, allow("Publish", f"topic/things/{MINE}/*")], [
        ("publish", "things/{me}/t", True), ("publish", "things/other/t", False)]),
    "the client's id": ([CONNECT, allow("Subscribe", f"topicfilter/{ID}/#")], [
        ("subscribe", "{me}/#", True), ("subscribe", "other/#", False)]),
    "an attribute that is there": ([CONNECT, allow("Publish", Condition={"StringEquals": {
        "iot:Connection.Thing.Attributes[site]": "north"}})], [("publish", "a", True)]),
    "an attribute of another value": ([CONNECT, allow("Publish", Condition={"StringEquals": {
        "iot:Connection.Thing.Attributes[site]": "south"}})], [("publish", "a", False)]),
    "attached": ([CONNECT, allow("Publish", Condition={"Bool": {
        "iot:Connection.Thing.IsAttached": "true"}})], [("publish", "a", True)]),
    "another name may not connect": ([allow("Connect", "client/other")], [
        ("connect", "{me}", False)]),
    "its name may connect": ([allow("Connect", f"client/{MINE}")], [("connect", "{me}", True)]),
    "no policy": ([], [("connect", "{me}", False)]),
}
KINDS = {"connect": "client", "publish": "topic", "subscribe": "topicfilter"}


@pytest.fixture
def device(platform, iot, unique, tmp_path):
    """A thing with an attribute, and a certificate whose only policy has these statements."""

    def new(statements):
        name = unique("asked")
        iot.create_thing(thingName=name, attributePayload={"attributes": {"site": "north"}})
        keys = iot.create_keys_and_certificate(setAsActive=True)
        iot.attach_thing_principal(thingName=name, principal=keys["certificateArn"])
        if statements:
            whole = [{**each, "Resource": [resource if resource == "*" else platform.arn(resource)
                                           for resource in each["Resource"]]}
                     for each in statements]
            document = json.dumps({"Version": "2012-10-17", "Statement": whole})
            iot.create_policy(policyName=name, policyDocument=document)
            iot.attach_policy(policyName=name, target=keys["certificateArn"])
        return Device(platform, name, keys, name, tmp_path)

    return new


def api_says(iot, device, action, resource):
    answer = iot.test_authorization(
        principal=device.certificate_arn, clientId=device.name, authInfos=[{
            "actionType": action.upper(),
            "resources": [device.platform.arn(f"{KINDS[action]}/{resource}")]}])
    return answer["authResults"][0]["authDecision"] == "ALLOWED"


def broker_says(client, action, resource):
    match action:
        case "connect":
            return client.code() == 0
        case "publish":
            return client.publish(resource) in (0, 16)
        case "subscribe":
            return client.subscribe(resource) == [1]


# tests aws-iot [PL-20] [PL-30] [PL-33]
@pytest.mark.parametrize("case", CASES)
def test_the_api_and_the_broker_agree(iot, device, case):
    statements, asked = CASES[case]
    device = device(statements)
    client = Client(device).connect()
    for action, resource, expected in asked:
        resource = resource.format(me=device.name)
        found = {"api": api_says(iot, device, action, resource),
                 "mqtt": broker_says(client, action, resource)}
        # Over HTTPS nobody has a client id, and with it no thing: rows that need one are MQTT's.
        text = json.dumps(statements)
        plain = "iot:Connection" not in text and "iot:ClientId" not in text
        if action == "publish" and plain and resource.strip("/") == resource:
            found["https"] = https_publish(device, resource).status == 200
        assert set(found.values()) == {expected}, (action, resource, found)
    client.close()


# tests aws-iot [PL-20]
def test_a_delivery_is_judged_as_the_api_says(iot, device, new_device):
    reader = device([CONNECT, allow("Subscribe"), allow("Receive", "topic/open/*")])
    sender = Client(new_device(*EVERYTHING)).connect()
    client = Client(reader).connect()
    client.subscribe("+/t")
    for topic, expected in (("secret/t", False), ("open/t", True)):
        answer = iot.test_authorization(principal=reader.certificate_arn, clientId=reader.name,
                                        authInfos=[{"actionType": "RECEIVE", "resources": [
                                            reader.platform.arn(f"topic/{topic}")]}])
        assert (answer["authResults"][0]["authDecision"] == "ALLOWED") == expected
        sender.publish(topic, topic)
    # The last one arrives, so what was not delivered before it will not be.
    eventually(lambda: client.received, "the open message")
    assert client.payloads() == ["open/t"]
    for each in (client, sender):
        each.close()
