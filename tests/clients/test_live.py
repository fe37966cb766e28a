"""Operations on live things, as an operator does them at the command line."""

import json
import re
import signal
import sqlite3
import ssl
import subprocess

import paho.mqtt.client as mqtt
import pytest

import conftest
from conftest import BINARY, EVERYTHING, eventually
from test_paho import Client
from wire import Wire
from wire import connect as wire_connect

VERSIONS = [mqtt.MQTTv311, mqtt.MQTTv5]


def rows(platform, *arguments):
    return json.loads(platform.cli(*arguments, "-o", "json").stdout)


class Tracer:
    """`palisade trace` in the background, its records read as they come."""

    def __init__(self, platform, *arguments, output="jsonl"):
        conftest._note_command(["trace"])
        self.process = subprocess.Popen(
            [BINARY, f"--data-dir={platform.data_dir}", "trace", *arguments, "-o", output],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        first = self.process.stderr.readline()
        assert "tracing" in first, first + self.process.stderr.read()

    def end(self):
        """What was shown, once the command has ended by itself."""
        out, err = self.process.communicate(timeout=30)
        assert self.process.returncode == 0, err
        return out

    def records(self):
        return [json.loads(line) for line in self.end().splitlines()]

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)
        return self.records()


@pytest.fixture
def trace(platform):
    tracers = []

    def new(*arguments, **options):
        tracers.append(Tracer(platform, *arguments, **options))
        return tracers[-1]

    yield new
    for tracer in tracers:
        if tracer.process.poll() is None:
            tracer.process.kill()
            tracer.process.wait(30)


def told(record):
    return f"{record.get('direction', '-')} {record['packet']}"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_trace_from_before_the_client_comes(new_device, trace, version):
    device = new_device(*EVERYTHING)
    tracer = trace("--client", device.name, "--count", "8")
    client = Client(device, version=version)
    client.mqtt.username_pw_set("?SDK=paho", "hunter2")
    client.connect()
    client.subscribe("live/t")
    client.publish("live/t", "secret", qos=1)
    eventually(lambda: client.payloads() == ["secret"], "the message")
    records = tracer.records()
    assert sorted(map(told, records)) == sorted([
        "in CONNECT", "out CONNACK", "in SUBSCRIBE", "out SUBACK", "in PUBLISH", "out PUBACK",
        "out PUBLISH", "in PUBACK"])
    assert [record["number"] for record in records] == list(range(1, 9))
    connect, connack = records[:2]
    protocol = "MQTT 5" if version == mqtt.MQTTv5 else "MQTT 3.1.1"
    assert connect["protocol"] == protocol and connect["clientId"] == device.name
    assert connect["flags"] == ["clean", "username", "password"]
    assert connack["reasonCodes"] == [0]
    subscribe = next(record for record in records if record["packet"] == "SUBSCRIBE")
    assert subscribe["filters"] == [{"topicFilter": "live/t", "qos": 1}]
    for record in records:
        if record["packet"] == "PUBLISH":
            assert (record["topic"], record["qos"], record["payloadBytes"]) == ("live/t", 1, 6)
    shown = json.dumps(records)
    assert "secret" not in shown and "hunter2" not in shown and "SDK" not in shown
    client.close()


def test_a_trace_of_a_live_client_with_payloads_until_interrupted(platform, new_device, trace):
    device = new_device(*EVERYTHING)
    client = Client(device).connect()
    tracer = trace("--thing", device.name, "--payload", "4")
    listed = rows(platform, "trace", "--list")
    assert [one["principals"] for one in listed if one["payloadBytes"] == 4] == [
        [device.certificate_id]]
    client.publish("live/t", "secret", qos=1)
    client.publish("live/t", "secret", qos=1)
    # What is shown was read; then the trace is ended.
    first = json.loads(tracer.process.stdout.readline())
    assert told(first) == "in PUBLISH" and first["payload"] == "c2Vjcg=="
    tracer.process.stdout.readline()
    tracer.interrupt()
    mine = [one for one in rows(platform, "trace", "--list")
            if device.certificate_id in one.get("principals", [])]
    assert mine == []
    client.close()


def test_a_trace_for_people_names_what_was_refused(new_device, trace):
    device = new_device(("Connect", "client/*"))
    tracer = trace("--principal", device.certificate_arn, "--count", "4", output="table")
    client = Client(device).connect()
    assert client.publish("not/allowed") == 0x87
    out = tracer.end()
    assert f"> CONNECT     [{device.name}] clean" in out
    assert "0x87 NotAuthorized reasonString=not authorized; denial id " in out
    client.close()


def test_a_trace_ends_after_its_time(new_device, trace):
    device = new_device(*EVERYTHING)
    tracer = trace("--client", device.name, "--for", "1")
    assert tracer.records() == []


def test_a_trace_is_in_the_trail_and_can_be_ended_by_others(new_platform, new_device):
    platform = new_platform()
    tracer = Tracer(platform, "--client", "c")
    found, = rows(platform, "trace", "--list")
    assert found["clientId"] == "c" and found["caller"].endswith(":user/administrator")
    platform.cli("trace", "--stop", found["traceId"])
    assert tracer.records() == []
    assert platform.cli("trace", "--stop", found["traceId"], check=False).returncode == 3
    Client(new_device(*EVERYTHING, target=platform, client=platform.client("iot"), name="c")).connect()
    platform.cli("connections", "kick", "c")
    platform.stop()
    with sqlite3.connect(platform.data_dir / "palisade.db") as database:
        names = [name for (name,) in database.execute("SELECT event_name FROM trail_events")]
    assert names.count("StartTrace") == 1 and names.count("StopTrace") == 2
    assert names.count("DeleteConnection") == 1


@pytest.fixture
def sub(platform, unique, tmp_path):
    """`palisade sub` in the background, which offers the hybrid key exchange first; its thing."""
    name = unique("hybrid")
    bundle = tmp_path / f"{name}.zip"
    platform.cli("thing", "create", name, "--bundle", bundle)
    process = subprocess.Popen([BINARY, f"--data-dir={platform.data_dir}", "sub",
                                f"things/{name}/#", "--bundle", bundle], stdout=subprocess.PIPE)
    eventually(lambda: rows(platform, "connections", "list", "--client", name), "it connects")
    yield name
    process.kill()
    process.wait(30)


def test_what_each_connection_agreed_on_is_told_and_counted(platform, new_device, sub):
    device = new_device(*EVERYTHING)
    client = Client(device).connect()
    # The OpenSSL of these clients knows no hybrid key exchange, and is served all the same.
    found, = rows(platform, "connections", "list", "--thing", device.name)
    assert (found["tlsVersion"], found["tlsGroup"], found["tlsResumed"]) == (
        "TLSv1_3", "X25519", False)
    older = device.tls()
    older.maximum_version = ssl.TLSVersion.TLSv1_2
    with Wire(device, context=older) as wire:
        assert wire.ask(wire_connect("older")).code == 0
        found, = rows(platform, "connections", "list", "--client", "older")
        assert (found["tlsVersion"], found["tlsGroup"]) == ("TLSv1_2", "X25519")
    hybrid, = rows(platform, "connections", "list", "--client", sub)
    assert hybrid["tlsGroup"] == "X25519MLKEM768"
    wide = platform.cli("connections", "list", "--wide", "--prefix", sub).stdout
    heading, line = wide.splitlines()
    for column in ("PROTOCOL", "TLS", "GROUP", "KEEP ALIVE", "SUBSCRIPTIONS", "WAITING"):
        assert column in heading
    assert "MQTT 5" in line and "TLSv1_3" in line and "X25519MLKEM768" in line
    assert "GROUP" not in platform.cli("connections", "list").stdout

    def counted(group):
        metric = f'broker_tls_connections{{tls_version="TLSv1_3",group="{group}"}} '
        return int(re.search(re.escape(metric) + r"(\d+)", platform.metrics()).group(1))

    eventually(lambda: counted("X25519") and counted("X25519MLKEM768"), "the metric")
    client.close()


def test_a_connection_is_shown_and_ended(platform, iot, new_device, unique):
    device, watcher = new_device(*EVERYTHING), new_device(*EVERYTHING)
    will = f"gone/{device.name}"
    watching = Client(watcher).connect()
    watching.subscribe(will)
    group = unique("group")
    iot.create_thing_group(thingGroupName=group)
    iot.attach_policy(policyName=device.policy, target=platform.arn(f"thinggroup/{group}"))
    iot.add_thing_to_thing_group(thingName=device.name, thingGroupName=group)

    def joined(client_id):
        client = Client(device, client_id=client_id, expiry_s=3600)
        client.mqtt.will_set(will, client_id)
        return client.connect()

    client = joined(device.name)
    shown = rows(platform, "connections", "show", device.name)
    assert shown["principal"] == device.certificate_id
    assert shown["owner"] == f"thing:{device.name}" and shown["things"] == [device.name]
    assert shown["willTopic"] == will and shown["keepAliveSeconds"] == 60
    assert {"policyName": device.policy, "version": "1"} in shown["policies"]
    assert {"policyName": device.policy, "version": "1", "thingGroupName": group} in shown["policies"]
    assert shown["targetPort"] == platform.port("mqtt")
    assert shown["certificateExpiresAt"] > shown["accessReadAt"]
    iot.update_thing(thingName=device.name, attributePayload={"attributes": {"site": "north"}})
    eventually(lambda: rows(platform, "connections", "show", device.name)["accessReadAt"]
               > shown["accessReadAt"], "the change reaches the connection")
    told = platform.cli("connections", "show", device.name).stdout
    assert f"{device.policy} version 1 of group {group}" in told

    platform.cli("connections", "kick", device.name)
    eventually(lambda: client.disconnected, "the client is told")
    assert client.disconnected[0].value == 0x98
    eventually(lambda: watching.payloads() == [device.name], "the will")
    assert platform.cli("connections", "show", device.name, check=False).returncode == 3
    assert rows(platform, "connections", "list", "--client", device.name) == []
    kept, = rows(platform, "sessions", "list", "--client", device.name)
    assert not kept["connected"] and kept["disconnectReason"] == "API_INITIATED_DISCONNECT"

    other = joined(f"{device.name}-2")
    platform.cli("connections", "kick", f"{device.name}-2", "--clean-session", "--prevent-will")
    eventually(lambda: other.disconnected, "the client is told")
    assert rows(platform, "sessions", "list", "--client", f"{device.name}-2") == []
    assert platform.cli("connections", "kick", f"{device.name}-2", check=False).returncode == 3
    assert watching.publish(will, "last") in (0, 16)
    eventually(lambda: "last" in watching.payloads(), "the last message")
    assert watching.payloads() == [device.name, "last"]
    watching.close()


def test_sessions_that_wait_are_listed_shown_and_deleted(platform, new_device):
    device, sender = new_device(*EVERYTHING), new_device(*EVERYTHING)
    client = Client(device, expiry_s=3600).connect()
    client.subscribe("wait/t", "wait/#")
    client.close()
    sending = Client(sender).connect()
    assert sending.publish("wait/t", "four") in (0, 16)
    away, = rows(platform, "sessions", "list", "--away", "--thing", device.name)
    assert away["clientId"] == device.name and away["owner"] == f"thing:{device.name}"
    assert (away["queuedMessages"], away["queuedBytes"]) == (2, 2 * len("wait/tfour"))
    assert away["expiresAt"] > away["disconnectedSince"]
    shown = rows(platform, "sessions", "show", device.name)
    assert shown["subscribedTo"] == [{"topicFilter": "wait/#", "qos": 1},
                                     {"topicFilter": "wait/t", "qos": 1}]
    assert [(one["topic"], one["payloadBytes"]) for one in shown["nextMessages"]] == [
        ("wait/t", 4)] * 2
    people = platform.cli("sessions", "show", device.name).stdout
    assert "wait/# (qos 1), wait/t (qos 1)" in people
    platform.cli("sessions", "delete", device.name)
    assert platform.cli("sessions", "show", device.name, check=False).returncode == 3
    again = Client(device, clean=False, expiry_s=3600).connect()
    assert not again.connected[0][0].session_present
    again.close()
    sending.close()


def test_who_would_receive_a_topic(platform, new_device, unique):
    topic = f"who/{unique()}/t"
    reader = new_device(*EVERYTHING)
    deaf = new_device(("Connect", "client/*"), ("Subscribe", "topicfilter/*"))
    clients = [Client(device).connect() for device in (reader, deaf)]
    clients[0].subscribe("who/+/t", "who/other", f"$share/g/{topic}")
    clients[1].subscribe(topic)
    found = rows(platform, "subscriptions", "list", "--topic", topic)
    assert {(one["clientId"], one["topicFilter"], one["shared"], one["mayReceive"])
            for one in found} == {(reader.name, "who/+/t", False, True),
                                  (reader.name, f"$share/g/{topic}", True, True),
                                  (deaf.name, topic, False, False)}
    of_one = rows(platform, "subscriptions", "list", "--client", reader.name)
    assert [one["topicFilter"] for one in of_one] == [f"$share/g/{topic}", "who/+/t", "who/other"]
    same = rows(platform, "subscriptions", "list", "--filter", topic)
    assert [one["clientId"] for one in same] == [deaf.name]
    assert platform.cli("subscriptions", "list", "--topic", "a/#", check=False).returncode == 2
    for client in clients:
        client.close()


def test_retained_messages_are_found_shown_and_forgotten(platform, new_device, unique):
    prefix = f"kept/{unique()}"
    for number in range(3):
        platform.cli("pub", f"{prefix}/{number}", "-m", f"m{number}", "--retain")
    listed = rows(platform, "retained", "list", "--prefix", prefix)
    assert [(one["topic"], one["payloadBytes"]) for one in listed] == [
        (f"{prefix}/{number}", 2) for number in range(3)]
    assert "m1" in platform.cli("retained", "show", f"{prefix}/1").stdout
    watching = Client(new_device(*EVERYTHING)).connect()
    watching.subscribe(f"{prefix}/#")
    eventually(lambda: len(watching.received) == 3, "the retained messages")
    platform.cli("retained", "delete", f"{prefix}/1")
    assert platform.cli("retained", "show", f"{prefix}/1", check=False).returncode == 3
    assert platform.cli("retained", "delete", f"{prefix}/1", check=False).returncode == 3
    assert rows(platform, "retained", "delete", "--prefix", prefix) == {"deleted": 2}
    assert rows(platform, "retained", "list", "--prefix", prefix) == []
    # Those who were subscribed are sent nothing.
    platform.cli("pub", f"{prefix}/last", "-m", "last")
    eventually(lambda: "last" in watching.payloads(), "the last message")
    assert watching.payloads() == ["m0", "m1", "m2", "last"]
    watching.close()


def test_nobody_steers_the_terminal_of_who_looks(platform, new_device, trace):
    device = new_device(*EVERYTHING)
    tracer = trace("--client", device.name, "--payload", "--count", "4", output="table")
    client = Client(device).connect()
    evil = f"evil/{device.name}/\x1b[2J"
    client.subscribe(evil)
    assert not re.search("[\x1b]", platform.cli("subscriptions", "list", "--client", device.name).stdout)
    assert "\\u{1b}[2J" in tracer.end()
    client.close()


def test_lists_have_pages(platform, new_device, unique):
    """More sessions and subscriptions than one answer holds."""
    device = new_device(*EVERYTHING)
    client = Client(device).connect()
    filters = [f"page/{number:03}" for number in range(300)]
    for first in range(0, 300, 100):
        client.subscribe(*filters[first:first + 100])
    found = rows(platform, "subscriptions", "list", "--client", device.name)
    assert [one["topicFilter"] for one in found] == filters
    client.close()
