"""Operations on live things, as an operator does them at the command line."""

import json
import signal
import sqlite3
import subprocess

import paho.mqtt.client as mqtt
import pytest

import conftest
from conftest import BINARY, EVERYTHING, eventually
from test_paho import Client

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


def test_a_trace_is_in_the_trail_and_can_be_ended_by_others(new_platform, unique):
    platform = new_platform()
    tracer = Tracer(platform, "--client", "c")
    found, = rows(platform, "trace", "--list")
    assert found["clientId"] == "c" and found["caller"].endswith(":user/administrator")
    platform.cli("trace", "--stop", found["traceId"])
    assert tracer.records() == []
    assert platform.cli("trace", "--stop", found["traceId"], check=False).returncode == 3
    platform.stop()
    with sqlite3.connect(platform.data_dir / "palisade.db") as database:
        names = [name for (name,) in database.execute("SELECT event_name FROM trail_events")]
    assert names.count("StartTrace") == 1 and names.count("StopTrace") == 2
