"""Two corpora of bad packets, sent to the running server beside clients who must not notice.

malformed.txt and order.txt say in their heads how they are read.
"""

import pathlib
import re

import pytest

import wire
from conformance.exchange import deliver, take
from wire import CONNACK, DISCONNECT, PINGRESP, PUBCOMP, PUBREL, SUBACK, UNSUBACK, connect

HERE = pathlib.Path(__file__).parent
KINDS = {"connack": CONNACK, "disconnect": DISCONNECT, "suback": SUBACK, "unsuback": UNSUBACK,
         "pubcomp": PUBCOMP, "pubrel": PUBREL}
# How many connections are open at once.
BATCH = 40


def from_notation(rest):
    """The bytes that a line of the corpora stands for."""
    out = b""
    while rest:
        first, rest = rest[0], rest[1:]
        if first == " ":
            continue
        if first == "|":
            body = from_notation(rest)
            return out + wire.number(len(body)) + body
        if first == "[":
            inside, rest = rest.split("]", 1)
            out += wire.properties(5, from_notation(inside))
        elif first in "'\"":
            inside, rest = rest.split(first, 1)
            out += wire.text(inside) if first == "'" else inside.encode()
        else:
            out += bytes.fromhex(first + rest[0])
            rest = rest[1:]
    return out


def lines(name):
    found = (HERE / name).read_text().splitlines()
    return [line for line in found if line and not line.startswith("#")]


class Case:
    """Bytes to send, and what has to come of it."""

    def __init__(self, line, version, first, packets, expected, unique):
        self.line, self.version, self.first, self.expected = line, version, first, expected
        text = packets.replace("{unique}", unique("u"))
        self.bytes = b"".join(from_notation(packet) for packet in text.split(";"))

    @classmethod
    def malformed(cls, line, unique):
        """A line of malformed.txt."""
        version, rest = line.split(maxsplit=1)
        packet, outcome = rest.split("=>")
        code = outcome.split()[0]
        first = packet.startswith("1")
        if code == "84" or (version == "v5" and first and " 05 " in packet):
            # Which 3.1.1 says in its own code.
            answer = "connack 01" if version == "v311" and "06" not in packet else f"connack {code}"
            if code == "84":
                level = from_notation(packet.split("|")[1])[6 if "'MQTT'" in packet else 8]
                answer = "connack 84" if "'MQTT'" in packet and level > 5 else "connack 01"
        elif version == "v5" and not first:
            answer = f"disconnect {code}"
        else:
            answer = "close"
        return cls(line, 5 if version == "v5" else 4, first, packet, answer, unique)

    @classmethod
    def of_order(cls, line, unique):
        """A line of order.txt."""
        version, place, rest = line.split(maxsplit=2)
        packets, answer = rest.split("=>")
        return cls(line, 5 if version == "v5" else 4, place == "first", packets, answer.strip(),
                   unique)

    def start(self, broker, name):
        client = broker.open(self.version)
        before = b"" if self.first else connect(name, self.version)
        try:
            # Behind it a packet that a server which goes on would answer.
            client.send(before + self.bytes + b"\xc0\x00")
        except OSError:
            # It has closed already, and its last words are still to be read.
            pass
        return client

    def complaint(self, client):
        """What differs from what is expected."""
        said = []
        try:
            while (one := client.next()).kind != PINGRESP:
                said.append(one)
            lives = True
        except wire.Closed:
            lives = False
        word, *code = self.expected.split()
        last = said[-1] if said else None
        code = int(code[0], 16) if code else None
        if not self.first and (last is None or (said[0].kind, said[0].code) != (CONNACK, 0)):
            return f"{self.line}: no CONNACK but {said}"
        if word == "close":
            right = not lives and (last is None or last.kind not in (CONNACK, DISCONNECT)
                                   or (not self.first and last is said[0]))
        elif word == "lives":
            right = lives and last is said[0]
        else:
            found = last and (last.codes[0] if last.kind in (SUBACK, UNSUBACK) else last.code)
            right = (last is not None and last.kind == KINDS[word] and found == (code or 0)
                     and lives == (word not in ("connack", "disconnect")))
        return None if right else f"{self.line}: {'lives' if lives else 'closed'} after {said}"


def run(broker, cases, unique):
    """Sends every case on a connection of its own; a bystander loses nothing meanwhile."""
    complaints, topic = [], unique("t")
    with broker.connected(unique()) as bystander, broker.connected(unique()) as sender:
        bystander.subscribe(topic)
        for at in range(0, len(cases), BATCH):
            batch = cases[at:at + BATCH]
            deliver(sender, topic, b"before %d" % at)
            clients = [case.start(broker, unique()) for case in batch]
            deliver(sender, topic, b"after %d" % at)
            for case, client in zip(batch, clients):
                complaints.append(case.complaint(client))
                client.close()
            got = [one.payload for one in take(bystander, 2)]
            assert got == [b"before %d" % at, b"after %d" % at]
    return [complaint for complaint in complaints if complaint]


@pytest.fixture(params=["standard", "aws"])
def profile(request, servers):
    return servers(request.param)


# tests mqtt5 [MQTT-4.13.1-1], [MQTT-4.13.2-1]; tests mqtt311 [MQTT-4.8.0-1], [MQTT-3.1.4-1]
# tests aws-iot [MQ-85]
def test_malformed_packets(profile, unique):
    cases = [Case.malformed(line, unique) for line in lines("malformed.txt")]
    assert len(cases) >= 300
    assert run(profile, cases, unique) == []
    assert "panicked" not in profile.platform.log_text()


# tests mqtt5 [MQTT-4.13.1-1]; tests mqtt311 [MQTT-4.8.0-1]
def test_packets_in_the_wrong_place(profile, unique):
    cases = [Case.of_order(line, unique) for line in lines("order.txt")]
    if profile.name == "aws":
        # Where QoS 2 is not served it is refused before anything else.
        qos_2 = re.compile(r"; ?34|then 34|' 02 ;")
        cases = [case for case in cases if not qos_2.search(case.line)]
    assert run(profile, cases, unique) == []
    assert "panicked" not in profile.platform.log_text()


# tests mqtt5 [MQTT-4.2-1]
def test_a_malformed_packet_may_come_in_pieces(profile, unique):
    """However it is cut, what is said of it is the same."""
    cases = [Case.malformed(line, unique) for line in lines("malformed.txt")][::23]
    for case in cases:
        client = profile.open(case.version)
        try:
            client.send(b"" if case.first else connect(unique(), case.version))
            for at in range(len(case.bytes)):
                client.send(case.bytes[at:at + 1])
            client.send(b"\xc0\x00")
        except OSError:
            pass
        assert case.complaint(client) is None
        client.close()
