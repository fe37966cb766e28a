"""The disk is full: nothing is acknowledged that is not kept, the rest goes on, and it recovers by
itself.

On a small file system of its own, where mounting one is permitted.
"""

import contextlib
import subprocess

import pytest

from conftest import ACCOUNT, EVERYTHING, Platform, eventually
from wire import PINGRESP, PUBACK, PUBLISH, Wire, acknowledge, publish, subscribe

SIZE_MIB, RESERVE_MIB, FLOOR_MIB = 64, 2, 4


@pytest.fixture
def small_disk(tmp_path):
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m,mode=700", "tmpfs", place],
                             capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("mounting a file system is not permitted here")
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.fixture
def on_small_disk(small_disk, request):
    platform = Platform(small_disk, f"--account-id={ACCOUNT}",
                        f"--set=disk.reserve_mib={RESERVE_MIB}",
                        f"--set=disk.floor_mib={FLOOR_MIB}", *getattr(request, "param", ()))
    yield platform.start()
    platform.kill()


def fill(place):
    """Until not one byte is left; the log lies elsewhere."""
    ballast = place / "ballast"
    with open(ballast, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    return ballast


def said_so_far(wire):
    """What the server has sent up to now: an answer to a ping comes behind it."""
    wire.send(b"\xc0\x00")
    said = []
    while (packet := wire.next()).kind != PINGRESP:
        said.append(packet)
    return said


@pytest.mark.parametrize("dies", [False, True])
def test_a_full_disk(on_small_disk, small_disk, new_device, dies):
    platform = on_small_disk
    iot = platform.client("iot")
    device, other = (new_device(*EVERYTHING, target=platform, client=iot) for _ in range(2))
    session = {"clean": False, "expiry_s": 3600}
    away = Wire.connected(device, "away", **session)
    assert away.subscribe("kept/#") == [1]
    away.close()
    live = Wire.connected(device, "live")
    assert live.subscribe("live/#") == [1]
    hostile = Wire.connected(other, "hostile")
    sender = Wire.connected(device, "sender")
    assert sender.publish("kept/1", b"before") == 0

    ballast = fill(small_disk)
    sender.send(publish("kept/2", b"meanwhile", 1, 2), publish("kept/r", b"kept", 1, 3, retain=True))
    eventually(lambda: "cannot be stored" in platform.log_text(), "the disk is full")
    assert said_so_far(sender) == [], "nothing is acknowledged that is not kept"
    # What needs no disk goes on, at QoS 0 and 1, and clients still come.
    for qos in (0, 1):
        sender.send(publish("live/t", b"on", qos, 9))
        packet = live.next()
        assert (packet.topic, packet.payload, packet.qos) == ("live/t", b"on", qos)
        if qos:
            live.send(acknowledge(PUBACK, packet.id))
    Wire.connected(device, "newcomer").close()
    # Taking access away goes through, and holds.
    platform.cli("revoke", other.certificate_id)
    assert hostile.rest()[-1].code == 0x87
    assert not any(packet.id in (2, 3) for packet in said_so_far(sender))

    told = {b"before"}
    if dies:
        platform.kill()
        platform.start()
        refused = Wire(other, 5)
        assert refused.rest() == [], "it stays revoked"
        ballast.unlink()
    else:
        ballast.unlink()
        # It recovers by itself, and what waited is acknowledged.
        waiting = {2, 3}
        while waiting:
            packet = sender.next()
            assert packet.code == 0
            waiting.discard(packet.id)
        told |= {b"meanwhile"}
        platform.kill()
        platform.start()
    back = Wire.connected(device, "away", **session)
    assert back.answer.session_present
    found = set()
    while not told <= found:
        packet = back.next_of(PUBLISH)
        found.add(packet.payload)
    if not dies:
        reader = Wire.connected(device, "reader")
        reader.send(subscribe("kept/r", qos=0))
        assert reader.next_of(PUBLISH).payload == b"kept"


@pytest.mark.parametrize("on_small_disk", [["--set=broker.store_backlog_max=16"]], indirect=True)
def test_a_flood_of_what_must_be_kept_holds_up_nobody_else(on_small_disk, small_disk, new_device):
    platform = on_small_disk
    device = new_device(*EVERYTHING, target=platform, client=platform.client("iot"))
    away = Wire.connected(device, "away", clean=False, expiry_s=3600)
    assert away.subscribe("kept") == [1]
    away.close()
    live, sender, flood = (Wire.connected(device, name) for name in ("live", "sender", "flood"))
    assert live.subscribe("live") == [1]
    ballast = fill(small_disk)
    count = 500
    flood.send(*(publish("kept", b"x", 1, id) for id in range(1, count + 1)))
    eventually(lambda: "cannot be stored" in platform.log_text(), "the disk is full")
    for number in range(100):
        sender.send(publish("live", b"%d" % number, 0))
        assert live.next().payload == b"%d" % number
    assert f"broker_store_backlog {count}" not in platform.metrics(), "what waits is bounded"
    ballast.unlink()
    assert [flood.next().id for _ in range(count)] == list(range(1, count + 1))
