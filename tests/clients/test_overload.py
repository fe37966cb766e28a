"""Everything used up, everybody back at once, one client who is hostile: who is served, and how.

docs/settings.md names the budgets, docs/threat-model.md the attacks.
"""

import concurrent.futures
import json
import re
import socket
import threading
import time

import pytest

import wire
from conftest import EVERYTHING, eventually
from test_hostile import Bystanders, Silence, counted
from wire import CONNACK, PUBACK, PUBLISH, Wire, acknowledge, connect, publish, subscribe

FLEET = 150


@pytest.fixture
def enrol(tmp_path, unique):
    def new(platform, name=None):
        return wire.enrol(platform, platform.client("iot"), tmp_path, name or unique("device"),
                          allowed=EVERYTHING)
    return new


def reached(platform, budget):
    return counted(platform, f'broker_budget_reached_total{{budget="{budget}"}}')


def refused(device):
    """Whether a connection is closed unanswered."""
    try:
        with Wire(device) as late:
            return late.ask(connect("one-too-many")) is None
    except OSError:
        return True


def test_one_certificate_has_its_share(new_platform, enrol, unique):
    platform = new_platform("--set=device_keys=ecdsa-p256",
                            "--set=broker.connections_per_principal_max=3")
    greedy, modest = enrol(platform), enrol(platform)
    held = [Wire.connected(greedy, unique()) for _ in range(3)]
    for _ in range(20):
        assert refused(greedy)
    with Wire.connected(modest, unique()) as other:
        assert other.lives()
    held.pop().tls.close()
    eventually(lambda: not refused(greedy), "there is room again")
    eventually(lambda: reached(platform, "connections_per_principal_max") >= 20, "it is counted")

    def told():
        lines = [line for line in platform.log_text().splitlines()
                 if "connections_per_principal_max" in line]
        times = sum(int(times) for line in lines for times in re.findall(r"times\S*=\S*?(\d+)", line))
        return lines if times >= 20 else None

    lines = eventually(told, "the log says so")
    assert greedy.certificate_id in lines[0]
    assert len(lines) < 20, "together, not one by one"
    for one in held:
        assert one.lives()


def test_whoever_administers_always_gets_in(new_platform, enrol, unique):
    """Connections, handshakes and output are used up; control and operator plane answer."""
    platform = new_platform("--set=device_keys=ecdsa-p256", "--set=broker.connections_max=12",
                            "--set=broker.handshakes_max=4",
                            "--set=broker.handshake_timeout_ms=120000",
                            "--set=broker.output_bytes_total_max=1048576",
                            "--set=broker.store_backlog_max=16")
    device, other = enrol(platform), enrol(platform)
    iot = platform.client("iot")
    stuck = [Wire.connected(device, unique(), clean=False, expiry_s=600) for _ in range(9)]
    for one in stuck:
        one.tls.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        assert one.subscribe("flood/t", qos=0) == [0]
    sender = Wire.connected(device, unique())

    def output_is_full():
        for _ in range(20):
            sender.send(publish("flood/t", b"x" * 60_000))
        assert sender.lives()
        return reached(platform, "output_bytes_total_max") or counted(
            platform, "broker_dropped_slow_reader_total") > 0

    eventually(output_is_full, "output is full")
    with Silence(platform.port("mqtt")):
        eventually(lambda: reached(platform, "connections_max")
                   or reached(platform, "handshakes_max"), "nobody else gets in")
        for _ in range(5):
            assert platform.health("livez") == platform.health("readyz") == 200
            assert "palisade_policy_staleness_seconds 0" in platform.metrics()
            iot.create_thing(thingName=unique("thing"))
            assert iot.list_things()["things"]
        told = json.loads(platform.cli("revoke", device.certificate_id, "-o", "json").stdout)
        assert told["sessionsClosed"] >= 1
        assert sender.ask(wire.packet(0xC0)) is None or sender.rest() is not None
    eventually(lambda: not refused(other), "there is room again")


@pytest.mark.parametrize("ends", ["told", "killed"])
def test_a_fleet_comes_back(new_platform, enrol, ends):
    """All at once, through a narrow door: each is served, with its session, and none starves."""
    platform = new_platform("--set=device_keys=ecdsa-p256", "--set=broker.handshakes_max=8",
                            "--set=broker.connects_per_principal_s=1000",
                            *(f"--listen-mqtt=127.0.0.1:{port}" for port in [free_port()]))
    device = enrol(platform)
    context = device.tls()

    def come(number):
        deadline = time.monotonic() + 60
        attempts = 0
        while time.monotonic() < deadline:
            attempts += 1
            try:
                one = Wire(device, context=context)
                answer = one.ask(connect(f"fleet-{number}", clean=False, expiry_s=600))
                if answer is not None and answer.code == 0:
                    return one, answer.session_present
                one.tls.close()
            except OSError:
                pass
            # As clients do: a little later, and not all at the same moment.
            time.sleep(0.05 + number % 10 / 100)
        raise AssertionError(f"fleet-{number} starves after {attempts} attempts")

    with concurrent.futures.ThreadPoolExecutor(FLEET) as pool:
        first = [one for one, _ in pool.map(come, range(FLEET))]
        for one in first[:20]:
            assert one.subscribe("to/all") == [1]
        if ends == "killed":
            platform.kill()
        else:
            platform.stop()
            assert all(0x8B in [got.code for got in one.rest()] for one in first)
        platform.start()
        again = list(pool.map(come, range(FLEET)))
    clients = [one for one, _ in again]
    assert all(present for _, present in again)
    eventually(lambda: counted(platform, "broker_connections ") == FLEET, "all are back")
    with Wire.connected(device, "sender") as sender:
        assert sender.publish("to/all") == 0
    for one in clients[:20]:
        got = one.next_of(PUBLISH)
        one.send(acknowledge(PUBACK, got.id))
    assert all(one.lives() for one in clients)
    for one in first + clients:
        one.tls.close()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


def test_whoever_came_first_is_served_first(new_platform, enrol):
    """One handshake at a time. Each of those who wait is silent until the one before it is served:
    were another's turn first, nobody would be served any more."""
    platform = new_platform("--set=device_keys=ecdsa-p256", "--set=broker.handshakes_max=1",
                            "--set=broker.handshake_timeout_ms=120000")
    device = enrol(platform)
    context = device.tls()
    address = ("127.0.0.1", platform.port("mqtt"))
    with socket.create_connection(address):
        # It says nothing, and holds the only turn.
        waiting = [socket.create_connection(address, timeout=10) for _ in range(30)]
    for number, raw in enumerate(waiting):
        with context.wrap_socket(raw, server_hostname="localhost") as tls:
            tls.sendall(connect(f"waiting-{number}"))
            assert tls.recv(1)[0] >> 4 == CONNACK
    with Wire.connected(device) as late:
        assert late.lives()


class Hostile(threading.Thread):
    """Does one thing again and again, and comes back when it is thrown out."""

    def __init__(self, device, do):
        super().__init__(daemon=True)
        self.device, self.do = device, do
        self.stopping = threading.Event()
        self.rounds = 0

    def run(self):
        while not self.stopping.is_set():
            try:
                with Wire.connected(self.device, f"{self.device.name}-hostile") as one:
                    one.tls.settimeout(0.5)
                    while not self.stopping.is_set():
                        self.do(one)
                        self.rounds += 1
            # It is thrown out, and then let in no more often than its certificate may.
            except (AssertionError, AttributeError, OSError, wire.Closed):
                self.rounds += 1

    def __enter__(self):
        self.start()
        eventually(lambda: self.rounds > 0, "it has begun")
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.join()


def flood(one):
    one.send(publish("hostile/flood", b"x" * 128) * 100)


def read_slowly(one):
    one.send(subscribe("hostile/slow", qos=0))
    one.send(publish("hostile/slow", b"x" * 30_000) * 20)


def say_nonsense(one):
    one.send(b"\x36\xff\xff\xff\xff\x7f" + b"\0" * 100)
    one.rest()


def subscribe_to_much(one):
    one.send(subscribe(*(f"bomb/{time.monotonic_ns()}/{n}/+/#" for n in range(50))))
    one.next()


@pytest.fixture(scope="module")
def guarded(new_platform):
    return new_platform("--set=device_keys=ecdsa-p256", "--set=broker.packets_per_s=500",
                        "--set=broker.output_bytes_max=262144",
                        "--set=broker.subscriptions_per_session=1000",
                        "--set=broker.subscriptions_max=5000")


@pytest.mark.parametrize("do", [flood, read_slowly, say_nonsense, subscribe_to_much])
def test_beside_one_who_is_hostile_nobody_loses_anything(guarded, enrol, unique, do):
    beside = Bystanders(enrol(guarded, unique("beside")))
    with Hostile(enrol(guarded, unique("hostile")), do) as hostile:
        for _ in range(20):
            beside.speak(10)
        before = hostile.rounds
        eventually(lambda: hostile.rounds > before, "it goes on")
        beside.check()
    if do is flood:
        assert reached(guarded, "packets_per_s") > 0, "it was held back"
    beside.check()
    beside.reader.close()
    beside.writer.close()
