"""A reload drops nobody and a stop loses nothing, at both MQTT doors, while messages flow."""

import signal

import pytest

from conftest import EVERYTHING, eventually
from test_platform import served_certificate
from wire import CONNACK, DISCONNECT, PUBACK, PUBLISH, Wire, acknowledge, connect

# The port of MQTT alone, and the one that chooses by ALPN.
DOORS = ["mqtt", "device"]
MESSAGES = 200
RELOADS = 5


def enter(device, door, client_id, version=5, clean=True, expiry_s=None):
    """A client whose CONNECT was accepted, and the answer."""
    context = device.tls()
    if door == "device":
        context.set_alpn_protocols(["x-amzn-mqtt-ca"])
    wire = Wire(device, version, port=device.platform.port(door), context=context)
    expiry_s = expiry_s if version == 5 else None
    answer = wire.ask(connect(client_id, version, clean=clean, expiry_s=expiry_s))
    assert (answer.kind, answer.code) == (CONNACK, 0), answer
    wire.session_present = answer.session_present
    return wire


def messages(wire, count):
    """The next messages, each acknowledged."""
    found = []
    while len(found) < count:
        message = wire.next_of(PUBLISH)
        wire.send(acknowledge(PUBACK, message.id))
        found.append(message.payload.decode())
    return found


def test_reloads_while_messages_flow(new_platform, new_device):
    """Each publish is acknowledged and each message arrives once, in order, whatever is reloaded."""
    platform = new_platform()
    device = new_device(*EVERYTHING, target=platform, client=platform.client("iot"))
    readers = {door: enter(device, door, f"reader-{door}", version)
               for door, version in zip(DOORS, (5, 4))}
    senders = {door: enter(device, door, f"sender-{door}") for door in DOORS}
    for reader in readers.values():
        assert reader.subscribe("flow/+") == [1]
    certificates = {door: {served_certificate(platform, door)} for door in DOORS}
    for number in range(MESSAGES):
        for door, sender in senders.items():
            payload = f"{door} {number}".encode()
            assert sender.publish(f"flow/{door}", payload) == 0
        if number % (MESSAGES // RELOADS) == 0:
            platform.process.send_signal(signal.SIGHUP)
            for door, seen in certificates.items():
                newer = eventually(lambda: {served_certificate(platform, door)} - seen,
                                   "a new certificate is presented")
                seen |= newer
    for reader in readers.values():
        arrived = messages(reader, len(DOORS) * MESSAGES)
        for door in DOORS:
            of_door = [payload for payload in arrived if payload.startswith(f"{door} ")]
            assert of_door == [f"{door} {number}" for number in range(MESSAGES)]
    assert all(len(seen) == RELOADS + 1 for seen in certificates.values())
    for wire in [*readers.values(), *senders.values()]:
        assert wire.lives()
        wire.close()


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("version", [4, 5])
def test_a_stop_tells_clients_and_keeps_sessions(new_platform, new_device, door, version):
    platform = new_platform()
    device = new_device(*EVERYTHING, target=platform, client=platform.client("iot"))
    here = enter(device, door, "here", version, clean=False, expiry_s=3600)
    away = enter(device, door, "away", version, clean=False, expiry_s=3600)
    sender = enter(device, door, "sender")
    for wire in (here, away):
        assert wire.subscribe("kept/t") == [1]
    away.close()
    eventually(lambda: '"connected":false' in platform.cli(
        "sessions", "list", "--client", "away", "-o", "jsonl").stdout, "it is away")
    for payload in (b"1", b"2", b"3"):
        assert sender.publish("kept/t", payload) == 0
    in_flight = [here.next_of(PUBLISH) for _ in range(3)]
    here.send(acknowledge(PUBACK, in_flight[0].id))
    assert here.lives()
    assert platform.stop() == 0
    for wire, speaks in ((here, version), (sender, 5)):
        said = [packet for packet in wire.rest() if packet.kind == DISCONNECT]
        # Server shutting down; 3.1.1 has no word for it.
        assert [packet.code for packet in said] == ([0x8B] if speaks == 5 else [])

    platform.start()
    again = enter(device, door, "here", version, clean=False, expiry_s=3600)
    assert again.session_present
    repeated = [again.next_of(PUBLISH) for _ in range(2)]
    assert [(one.id, one.payload, bool(one.flags & 8)) for one in repeated] == [
        (one.id, one.payload, True) for one in in_flight[1:]]
    for one in repeated:
        again.send(acknowledge(PUBACK, one.id))
    waited = enter(device, door, "away", version, clean=False, expiry_s=3600)
    assert waited.session_present and messages(waited, 3) == ["1", "2", "3"]
    # Nobody has to subscribe again.
    sender = enter(device, door, "sender")
    assert sender.publish("kept/t", b"4") == 0
    assert messages(again, 1) == messages(waited, 1) == ["4"]
    for wire in (again, waited, sender):
        wire.close()
