"""What one hostile client costs the others: the broker's CPU per message of theirs, quiet and beside
a flood, a slow reader, malformed packets and a subscription bomb, in interleaved rounds.

    make bench-hostile            five rounds of three seconds for each

The figure is of /proc, so that a busy machine does not lie much; every message is counted.
"""

import pathlib
import statistics
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/clients")]

import wire  # noqa: E402
from conftest import ACCOUNT, Platform  # noqa: E402
from test_overload import flood, read_slowly, say_nonsense, subscribe_to_much  # noqa: E402
from wire import PUBLISH, Wire, publish  # noqa: E402

ROUNDS, SECONDS, PAIRS, RATE = 5, 3.0, 10, 2000
# What holds a hostile client back; docs/settings.md.
BUDGETS = ("broker.packets_per_s=250", "broker.bytes_per_s=32768",
           "broker.accepts_per_address_s=5", "broker.connects_per_principal_s=5",
           "broker.output_bytes_max=262144", "broker.subscriptions_per_session=1000",
           "broker.subscriptions_max=5000")


def cpu_ns(pid):
    tasks = pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks)


class Others:
    """Pairs who exchange so many messages a second."""

    def __init__(self, device):
        self.readers, self.writers, self.received = [], [], [0] * PAIRS
        for number in range(PAIRS):
            reader = Wire.connected(device, f"reader-{number}", keep_alive=0)
            assert reader.subscribe(f"pair/{number}", qos=0) == [0]
            self.readers.append(reader)
            self.writers.append(Wire.connected(device, f"writer-{number}", keep_alive=0))
            time.sleep(0.5)
            threading.Thread(target=self.read, args=(number,), daemon=True).start()
        self.sent = 0

    def read(self, number):
        while True:
            try:
                if self.readers[number].next().kind == PUBLISH:
                    self.received[number] += 1
            except (AssertionError, OSError, wire.Closed):
                return

    def speak(self, seconds):
        start, sent = time.monotonic(), 0
        while (passed := time.monotonic() - start) < seconds:
            while sent < passed * RATE:
                self.writers[sent % PAIRS].send(publish(f"pair/{sent % PAIRS}", b"x" * 128))
                sent += 1
            time.sleep(0.002)
        self.sent += sent
        deadline = time.monotonic() + 10
        while sum(self.received) < self.sent and time.monotonic() < deadline:
            time.sleep(0.002)
        assert sum(self.received) == self.sent, f"lost {self.sent - sum(self.received)}"
        return sent


class Hostile:
    def __init__(self, device, do):
        self.device, self.do, self.stops = device, do, threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        while not self.stops.is_set():
            try:
                with Wire(self.device, source=("127.0.0.2", 0)) as one:
                    one.tls.settimeout(0.2)
                    one.ask(wire.connect("hostile"))
                    while not self.stops.is_set():
                        self.do(one)
            except (AssertionError, OSError, wire.Closed):
                # It is back twenty times a second.
                time.sleep(0.05)

    def __enter__(self):
        self.thread.start()
        time.sleep(0.5)

    def __exit__(self, *_):
        self.stops.set()
        self.thread.join()


def main():
    with tempfile.TemporaryDirectory() as root:
        directory = pathlib.Path(root)
        platform = Platform(directory / "data", f"--account-id={ACCOUNT}",
                            "--set=device_keys=ecdsa-p256", *(f"--set={one}" for one in BUDGETS))
        platform.start()
        try:
            measure(platform, directory)
        finally:
            platform.stop()


def measure(platform, directory):
    iot = platform.client("iot")
    others = Others(wire.enrol(platform, iot, directory, "others"))
    hostile = wire.enrol(platform, iot, directory, "hostile")
    pid = platform.process.pid

    def per_message():
        before = cpu_ns(pid)
        return others.speak(SECONDS), cpu_ns(pid) - before

    others.speak(1)
    print(f"{PAIRS} pairs, {RATE} messages a second; {ROUNDS} rounds of {SECONDS:.0f} s")
    print(f"{'beside':<20}{'quiet, µs':>12}{'beside it, µs':>16}{'ratio':>8}")
    for do in (flood, read_slowly, say_nonsense, subscribe_to_much):
        quiet, beside = [], []
        for _ in range(ROUNDS):
            sent, cpu = per_message()
            quiet.append(cpu / sent / 1000)
            with Hostile(hostile, do):
                sent, cpu = per_message()
                beside.append(cpu / sent / 1000)
        middle = statistics.median(b / q for b, q in zip(beside, quiet))
        print(f"{do.__name__:<20}{statistics.median(quiet):>12.1f}"
              f"{statistics.median(beside):>16.1f}{middle:>8.2f}", flush=True)


if __name__ == "__main__":
    main()
