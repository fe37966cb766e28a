"""Who came, who left, who was refused and what they listen to, as a client sees it over MQTT."""

import json
import time

import pytest

from conftest import EVERYTHING, eventually
from test_paho import Client


class Watcher(Client):
    """Hears the lifecycle events of one client id."""

    def __init__(self, device, client_id):
        super().__init__(device)
        self.connect()
        filters = [f"$aws/events/{kind}/+/{client_id}" for kind in ("presence", "subscriptions")]
        assert self.subscribe(*filters) == [1, 1]

    def event(self, kind):
        """The newest event whose topic names `kind`, once there is one."""
        def newest():
            found = [m for m in self.received if m.topic.split("/")[3] == kind]
            return found and json.loads(found[-1].payload)
        return eventually(newest, kind)


@pytest.fixture
def watcher(new_device):
    device = new_device(*EVERYTHING)
    opened = []

    def new(client_id):
        opened.append(Watcher(device, client_id))
        return opened[-1]

    yield new
    for client in opened:
        client.close()


# tests aws-iot [RT-10]
def test_a_connection_from_its_beginning_to_its_end(new_device, watcher):
    device = new_device(*EVERYTHING)
    events = watcher(device.name)
    started_ms = time.time() * 1000
    client = Client(device).connect()
    connected = events.event("connected")
    assert abs(connected.pop("timestamp") - started_ms) < 30_000
    session = connected.pop("sessionIdentifier")
    assert connected == {
        "clientId": device.name, "eventType": "connected", "ipAddress": "127.0.0.1",
        "principalIdentifier": device.certificate_id, "versionNumber": connected["versionNumber"]}

    client.subscribe("a/b", "c/#")
    subscribed = events.event("subscribed")
    assert sorted(subscribed["topics"]) == ["a/b", "c/#"]
    assert (subscribed["eventType"], subscribed["sessionIdentifier"]) == ("subscribed", session)
    client.mqtt.unsubscribe("a/b")
    assert events.event("unsubscribed")["topics"] == ["a/b"]

    client.close()
    left = events.event("disconnected")
    assert left["disconnectReason"] == "CLIENT_INITIATED_DISCONNECT"
    assert left["clientInitiatedDisconnect"] is True
    assert (left["sessionIdentifier"], left["versionNumber"]) == (session, connected["versionNumber"])


# tests aws-iot [RT-10]
@pytest.mark.parametrize("end, reason", [
    ("lost", "CONNECTION_LOST"),
    ("takeover", "DUPLICATE_CLIENTID"),
    ("revoked", "AUTH_ERROR"),
    ("deleted", "API_INITIATED_DISCONNECT"),
])
def test_why_a_connection_ended(platform, iot, new_device, watcher, end, reason):
    device = new_device(*EVERYTHING)
    events = watcher(device.name)
    client = Client(device).connect()
    events.event("connected")
    match end:
        case "lost":
            client.mqtt._sock_close()
        case "takeover":
            Client(device).connect()
        case "revoked":
            iot.update_certificate(certificateId=device.certificate_id, newStatus="REVOKED")
        case "deleted":
            platform.client("iot-data").delete_connection(clientId=device.name)
    left = events.event("disconnected")
    assert left["disconnectReason"] == reason
    assert left["clientInitiatedDisconnect"] is False


# tests aws-iot [RT-12]
def test_a_refused_connection(new_device, watcher):
    device = new_device(("Connect", "client/nobody"))
    events = watcher(device.name)
    assert Client(device).connect().code() == 0x87
    failed = events.event("connect_failed")
    assert (failed["clientId"], failed["eventType"]) == (device.name, "connect_failed")
    assert failed["connectFailureReason"] == "AUTHORIZATION_FAILED"
    assert failed["principalIdentifier"] == device.certificate_id


# tests aws-iot [RT-1]
def test_nobody_can_make_one_up(new_device, watcher):
    device = new_device(*EVERYTHING)
    events = watcher(device.name)
    client = Client(device).connect()
    events.event("connected")
    client.mqtt.publish(f"$aws/events/presence/disconnected/{device.name}", "{}", qos=1)
    eventually(lambda: client.disconnected, "the connection ends")
    assert "disconnectReason" in events.event("disconnected")
