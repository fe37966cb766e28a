"""MQTT.js, unmodified: MQTT 3.1.1 and 5 over mutual TLS."""

import json
import os
import pathlib
import select
import subprocess

import pytest

from conftest import EVERYTHING, PATIENCE_S, ROOT, eventually

DRIVER = pathlib.Path(__file__).parent / "mqttjs.cjs"


class Node:
    """A Node process with any number of MQTT.js clients, driven by mqttjs.cjs."""

    def __init__(self):
        environment = {**os.environ, "NODE_PATH": str(ROOT / ".build/node/node_modules")}
        self.process = subprocess.Popen(["node", DRIVER], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, env=environment)

    def __call__(self, do, name, **order):
        self.process.stdin.write(json.dumps({"do": do, "name": name, **order}) + "\n")
        self.process.stdin.flush()
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE_S)
        assert ready, f"no answer to {do} {name} within {PATIENCE_S} s"
        return json.loads(self.process.stdout.readline())

    def connect(self, name, device, version=5, **options):
        return self("connect", name, url=f"mqtts://localhost:{device.platform.port('mqtt')}",
                    files={"ca": device.platform.ca, "cert": device.certificate, "key": device.key},
                    options={"clientId": f"{device.name}-{name}", "protocolVersion": version,
                             **options})

    def joined(self, name, device, version=5, **options):
        answer = self.connect(name, device, version, **options)
        assert answer["connected"], answer
        return answer

    def publish(self, name, topic, payload, **options):
        return self("publish", name, topic=topic, payload=payload, options=options)

    def subscribe(self, name, topic, **options):
        return self("subscribe", name, topic=topic, options=options)["granted"]

    def payloads(self, name, count):
        return [one["payload"] for one in self("messages", name, count=count)]


@pytest.fixture
def node():
    driver = Node()
    yield driver
    driver.process.stdin.close()
    driver.process.wait(PATIENCE_S)


@pytest.fixture(params=[4, 5], ids=["v311", "v5"])
def version(request):
    return request.param


def kept(version):
    """A session that outlives its connection."""
    options = {"clean": False}
    return options | ({"properties": {"sessionExpiryInterval": 600}} if version == 5 else {})


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_publish_reaches_subscribe(node, new_device, version, qos):
    device = new_device(*EVERYTHING)
    topic = f"js/{device.name}/t"
    node.joined("a", device, version)
    assert node.subscribe("a", f"js/{device.name}/#", qos=qos) == [qos]
    for number in range(3):
        assert node.publish("a", topic, f"message {number}", qos=qos)["code"] == 0
    got = node("messages", "a", count=3)
    assert [one["payload"] for one in got] == ["message 0", "message 1", "message 2"]
    assert all(one["qos"] == qos and one["topic"] == topic for one in got)
    node("end", "a")


def test_retained_messages(node, new_device, version):
    device = new_device(*EVERYTHING)
    topic = f"js/{device.name}/kept"
    node.joined("a", device, version)
    node.publish("a", topic, "kept", qos=1, retain=True)
    node.subscribe("a", topic, qos=1)
    got = node("messages", "a", count=1)
    assert (got[0]["payload"], got[0]["retain"]) == ("kept", True)
    node.publish("a", topic, "", qos=1, retain=True)
    assert node.payloads("a", 1) == [""]
    node.joined("b", device, version)
    node.subscribe("b", topic, qos=1)
    node.publish("b", topic, "live", qos=1)
    assert node.payloads("b", 1) == ["live"]


def test_a_will_is_sent_for_a_client_that_is_lost(node, new_device, version):
    device = new_device(*EVERYTHING)
    topic = f"js/{device.name}/will"
    node.joined("witness", device, version)
    node.subscribe("witness", topic, qos=1)
    will = {"topic": topic, "payload": "gone", "qos": 1, "retain": False}
    node.joined("leaves", device, version, will={**will, "payload": "not sent"})
    node("end", "leaves")
    node.joined("lost", device, version, will=will)
    node("drop", "lost")
    assert node.payloads("witness", 1) == ["gone"]


@pytest.mark.parametrize("qos", [1, 2])
def test_a_session_is_resumed(node, new_device, version, qos):
    device = new_device(*EVERYTHING)
    topic = f"js/{device.name}/t"
    assert not node.joined("a", device, version, **kept(version))["present"]
    node.subscribe("a", topic, qos=qos)
    node("drop", "a")
    node.joined("sender", device, version)
    for number in range(5):
        node.publish("sender", topic, str(number), qos=qos)
    assert node.joined("a", device, version, **kept(version))["present"]
    assert node.payloads("a", 5) == ["0", "1", "2", "3", "4"]
    node("end", "a")


def test_properties_of_version_5(node, new_device):
    device = new_device(*EVERYTHING)
    topic = f"js/{device.name}/t"
    # MQTT.js numbers topics by itself, and takes numbers.
    node.joined("a", device, autoAssignTopicAlias=True, autoUseTopicAlias=True,
                properties={"topicAliasMaximum": 5, "receiveMaximum": 2})
    node.subscribe("a", topic, qos=1, properties={"subscriptionIdentifier": 300})
    said = {"payloadFormatIndicator": True, "messageExpiryInterval": 100, "contentType": "text",
            "responseTopic": "answer/to", "userProperties": {"k": ["v", "w"]}}
    for number in range(3):
        node.publish("a", topic, str(number), qos=1, properties=said)
    got = node("messages", "a", count=3)
    assert [one["payload"] for one in got] == ["0", "1", "2"]
    for one in got:
        found = one["properties"]
        assert found["userProperties"] == {"k": ["v", "w"]}
        assert found["contentType"] == "text" and found["responseTopic"] == "answer/to"
        assert found["payloadFormatIndicator"] is True and found["subscriptionIdentifier"] == 300
        assert 90 < found["messageExpiryInterval"] <= 100
        assert one["topic"] == topic
    # The server numbers topics too.
    assert got[-1]["properties"]["topicAlias"] == 1


def test_an_assigned_client_id(node, new_device):
    device = new_device(*EVERYTHING)
    assert node.connect("a", device, clientId="")["connected"]
    assert node.connect("b", device, 4, clientId="", clean=True)["connected"]


def test_a_refused_connect_says_why(node, new_device, version):
    device = new_device(("Connect", "client/other"))
    answer = node.connect("a", device, version)
    assert not answer["connected"]
    assert answer["code"] == answer["refused"]["code"] == (0x87 if version == 5 else 5)
    if version == 5:
        # The reason leads to the denial.
        assert device.platform.cli("why", answer["reason"].split()[-1]).stdout


def test_a_denied_publish_says_why(node, new_device):
    device = new_device(("Connect", "client/*"), ("Publish", "topic/allowed"))
    node.joined("a", device)
    assert node.publish("a", "allowed", "x", qos=1)["code"] in (0, 0x10)
    answer = node.publish("a", "denied", "x", qos=1)
    assert answer["code"] == 0x87
    told = device.platform.cli("why", answer["reason"].split()[-1]).stdout
    assert "denied" in told
    node("end", "a")


def test_a_revoked_certificate_ends_the_connection(node, new_device, iot):
    device = new_device(*EVERYTHING)
    node.joined("a", device)
    iot.update_certificate(certificateId=device.certificate_id, newStatus="REVOKED")
    assert node("closed", "a")["code"] == 0x87
    eventually(lambda: not node.connect("b", device)["connected"], "it stays out")
