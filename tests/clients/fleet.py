"""A fleet under load that outlives the broker, and a checker that knows only what it was told.

Every client keeps to the standard: it repeats what was not acknowledged, answers what it gets, and
comes back when its connection or the broker is gone. What each was promised is noted when the
promise arrives: SUBACK, PUBACK, PUBREC, CONNACK. Moments are numbered by one counter, so that
"before" has a meaning.
"""

import asyncio
import collections
import itertools
import ssl

from wire import (CONNACK, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, SUBACK, UNSUBACK, Packet,
                  acknowledge, connect, publish, subscribe, unsubscribe)

GONE = (ConnectionError, ssl.SSLError, OSError, asyncio.IncompleteReadError)
PATIENCE_S = 60
DISCONNECT = b"\xe0\x00"


class Link:
    """One connection over mutual TLS."""

    def __init__(self, reader, writer, version):
        self.reader, self.writer, self.version = reader, writer, version
        self.buffer = bytearray()

    @classmethod
    async def open(cls, fleet, device, client_id, version=5, **options):
        """Connects and is accepted; the second value is whether there was a session."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", fleet.platform.port("mqtt"), ssl=fleet.tls(device),
            server_hostname="localhost")
        link = cls(reader, writer, version)
        link.send(connect(client_id, version, **options))
        answer = await link.next(PATIENCE_S)
        assert answer and (answer.kind, answer.code) == (CONNACK, 0), answer
        return link, answer.session_present

    def send(self, *packets):
        if self.writer.is_closing():
            raise ConnectionResetError
        self.writer.write(b"".join(packets))

    async def next(self, patience_s):
        """The next packet; `None` when there is none in this time."""
        while True:
            found = self._whole()
            if found:
                return found
            try:
                more = await asyncio.wait_for(self.reader.read(65536), patience_s)
            except TimeoutError:
                return None
            if not more:
                raise ConnectionResetError
            self.buffer += more

    def _whole(self):
        length = shift = 0
        for at in range(1, len(self.buffer)):
            length |= (self.buffer[at] & 0x7F) << shift
            shift += 7
            if not self.buffer[at] & 0x80:
                end = at + 1 + length
                if len(self.buffer) < end:
                    return None
                first, body = self.buffer[0], bytes(self.buffer[at + 1:end])
                del self.buffer[:end]
                return Packet(first, body, self.version)
        return None

    def abort(self):
        self.writer.transport.abort()


class Fleet:
    """The clients, and what they know."""

    def __init__(self, platform, random):
        self.platform, self.random = platform, random
        self.up = asyncio.Event()
        self.loading = False
        self._count = itertools.count(1)
        self._tls = {}
        # Payload to topic, moment of the first sending, moment of the acknowledgement.
        self.messages = {}
        self.agents = []
        self.tasks = []
        self.failed = None
        self.patience_s = PATIENCE_S

    def moment(self):
        return next(self._count)

    def tls(self, device):
        return self._tls.setdefault(device.name, device.tls())

    def add(self, agent):
        self.agents.append(agent)
        self.tasks.append(asyncio.ensure_future(self._live(agent)))
        return agent

    async def _live(self, agent):
        """The agent for ever: whatever ends its connection, it comes back."""
        try:
            while True:
                await self.up.wait()
                try:
                    await agent.live()
                except GONE:
                    agent.lost()
                    await asyncio.sleep(0.02)
        except Exception as error:
            self.failed = self.failed or error
            raise

    async def until(self, condition, what):
        for _ in range(self.patience_s * 50):
            if self.failed:
                raise self.failed
            if condition():
                return
            await asyncio.sleep(0.02)
        raise AssertionError(f"not within {self.patience_s} s: {what() if callable(what) else what}")

    async def close(self):
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def acknowledged(self, matches):
        return {payload for payload, (topic, _, at) in self.messages.items()
                if at and matches(topic)}


class Publisher:
    """Publishes with a window, QoS 1 and 2 mixed, some retained, over a session it keeps."""

    WINDOW = 12

    def __init__(self, fleet, device, number, version):
        self.fleet, self.device, self.version = fleet, device, version
        self.name, self.number = f"publisher-{number}", number
        self.last = 0
        self.retained = None
        # Packet id to payload, topic, QoS, retain, whether PUBREC has come; in order.
        self.flights = {}

    async def live(self):
        link, present = await Link.open(self.fleet, self.device, self.name, self.version,
                                        clean=False, expiry_s=7200 if self.version == 5 else None)
        if not present:
            assert not self.flights, "the session of a publisher is gone"
        for id, (payload, topic, qos, retain, recorded) in self.flights.items():
            link.send(acknowledge(PUBREL, id) if recorded else publish(
                topic, payload.encode(), qos, id, retain, self.version, dup=True))
        breaks_at = self.last + self.fleet.random.randint(100, 1500)
        while True:
            while self.fleet.loading and len(self.flights) < self.WINDOW:
                self.publish(link)
            if breaks_at < self.last:
                link.abort()
                raise ConnectionResetError
            packet = await link.next(0.05)
            if packet:
                self.hears(link, packet)

    def publish(self, link):
        random = self.fleet.random
        self.last += 1
        payload, qos = f"{self.number}:{self.last}", random.choice((1, 2))
        retain = random.random() < 0.1
        if retain:
            # Of one kind: a QoS 1 message that is repeated after a crash would take the place of a
            # later one at QoS 2, which is known to be a repeat.
            qos = 1 + self.number % 2
        topic = f"r/{self.number}" if retain else f"t/{self.number}/{random.randrange(2)}"
        id = next(id for id in itertools.count(1) if id not in self.flights)
        self.flights[id] = (payload, topic, qos, retain, False)
        self.fleet.messages[payload] = (topic, self.fleet.moment(), None)
        if retain:
            self.retained = payload
        link.send(publish(topic, payload.encode(), qos, id, retain, self.version))
        if random.random() < 0.3:
            link.send(publish("t/zero", b"zero", 0, version=self.version))

    def hears(self, link, packet):
        if packet.kind not in (PUBACK, PUBREC, PUBCOMP):
            return
        # A release that was heard before, and whose answer was lost, finds nothing.
        assert packet.code in (0, 0x10) or (packet.kind, packet.code) == (PUBCOMP, 0x92), packet
        flight = self.flights.get(packet.id)
        if not flight:
            return
        payload, topic, qos, retain, _ = flight
        if packet.kind != PUBCOMP:
            sent = self.fleet.messages[payload][1]
            self.fleet.messages[payload] = (topic, sent, self.fleet.moment())
        if packet.kind == PUBREC:
            self.flights[packet.id] = (payload, topic, qos, retain, True)
            link.send(acknowledge(PUBREL, packet.id))
        else:
            del self.flights[packet.id]

    def lost(self):
        pass


class Subscriber:
    """Keeps its session; leaves, breaks off, is taken over, and comes back."""

    def __init__(self, fleet, device, name, filter, qos, version=5, receive_maximum=None):
        self.fleet, self.device, self.name, self.version = fleet, device, name, version
        self.filter, self.qos = filter, qos
        self.extra = b"\x21" + receive_maximum.to_bytes(2, "big") if receive_maximum else b""
        self.known = self.online = self.granted = False
        self.received = collections.Counter()
        self.order = collections.defaultdict(list)
        self.open = set()
        self.link = None

    async def live(self):
        link, present = await Link.open(
            self.fleet, self.device, self.name, self.version, clean=False, extra=self.extra,
            expiry_s=7200 if self.version == 5 else None)
        assert present or not self.known, f"the session of {self.name} is gone"
        self.link, self.online = link, True
        if not self.granted:
            link.send(subscribe(self.filter, qos=self.qos, version=self.version))
        left = self.fleet.random.randint(50, 600)
        while left or not self.fleet.loading:
            packet = await link.next(0.05)
            if packet:
                self.hears(packet)
                left = max(left - 1, 0)
            self.acts()
        await self.leave(link)

    async def leave(self, link):
        how = self.fleet.random.choice(("politely", "by the network", "by takeover"))
        if how == "politely":
            link.send(DISCONNECT)
            await link.writer.drain()
        if how == "by takeover":
            # The next connection finds this one alive.
            self.online = False
            return
        link.abort()
        self.lost()
        await asyncio.sleep(self.fleet.random.random() * 0.3)

    def acts(self):
        pass

    def hears(self, packet):
        link = self.link
        if packet.kind == SUBACK:
            assert packet.codes[0] <= 2, packet
            self.granted = self.known = True
        elif packet.kind == PUBLISH:
            fresh = True
            if packet.qos == 2:
                fresh = packet.id not in self.open
                self.open.add(packet.id)
            if fresh:
                self.takes(packet.topic, packet.payload.decode(), packet.qos)
            if packet.qos:
                link.send(acknowledge(PUBREC if packet.qos == 2 else PUBACK, packet.id))
        elif packet.kind == PUBREL:
            self.open.discard(packet.id)
            link.send(acknowledge(PUBCOMP, packet.id))

    def takes(self, topic, payload, qos):
        self.received[payload] += 1
        assert qos != 2 or self.received[payload] == 1, f"{payload} came twice to {self.name}"
        if self.received[payload] == 1 and ":" in payload:
            publisher, number = payload.split(":")
            line = self.order[publisher, topic]
            assert not line or line[-1] < int(number), f"{payload} after {line[-1]} at {self.name}"
            line.append(int(number))

    def lost(self):
        self.online = False


class Churner(Subscriber):
    """Subscribes and unsubscribes; gets what came while it was subscribed, and nothing else."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        # From SUBSCRIBE sent, SUBACK, UNSUBSCRIBE sent, UNSUBACK.
        self.spans = []
        self.pending = None

    def acts(self):
        if not self.granted or not self.fleet.loading or self.pending:
            return
        if self.fleet.random.random() < 0.02:
            self.toggle(self.link)

    def toggle(self, link):
        ends = bool(self.spans) and self.spans[-1][1] and not self.spans[-1][2]
        if ends:
            self.spans[-1][2] = self.fleet.moment()
            link.send(unsubscribe("t/1/#", version=self.version))
        else:
            self.spans.append([self.fleet.moment(), None, None, None])
            link.send(subscribe("t/1/#", qos=1, version=self.version))
        self.pending = UNSUBACK if ends else SUBACK

    def hears(self, packet):
        if packet.kind == self.pending:
            self.spans[-1][1 if packet.kind == SUBACK else 3] = self.fleet.moment()
            self.pending = None
        super().hears(packet)

    def lost(self):
        super().lost()
        # Nobody knows whether it was done.
        if self.pending == UNSUBACK:
            self.spans[-1][3] = float("inf")
        if self.pending == SUBACK:
            self.spans[-1][1:] = [None, 0, float("inf")]
        self.pending = None

    def owed(self):
        return {payload for payload, (topic, sent, at) in self.fleet.messages.items()
                if at and topic.startswith("t/1/") and any(
                    granted and granted < sent and (not ends or at < ends)
                    for _, granted, ends, _ in self.spans)}

    def strays(self):
        def may(payload):
            topic, sent, at = self.fleet.messages[payload]
            return topic.startswith("t/1/") and any(
                (not at or asked < at) and (not ended or sent < ended)
                for asked, _, _, ended in self.spans)
        return {payload for payload in self.received if ":" in payload and not may(payload)}


class Testator:
    """Connects with a will of its own each time, and ends in every way."""

    __test__ = False

    def __init__(self, fleet, device, number, version):
        self.fleet, self.device, self.version = fleet, device, version
        self.name = f"testator-{number}"
        self.count = itertools.count(1)
        self.standing = None
        self.owed, self.dropped = set(), set()

    async def live(self):
        will = f"{self.name}/{next(self.count)}"
        link, _ = await Link.open(self.fleet, self.device, self.name, self.version,
                                  will=(f"w/{self.name}", will, 1, False),
                                  expiry_s=self.fleet.random.choice((None, 600))
                                  if self.version == 5 else None)
        self.standing = will
        left = self.fleet.random.randint(2, 12)
        while left or not self.fleet.loading:
            if await link.next(0.05) is None:
                left = max(left - 1, 0)
        if self.fleet.random.random() < 0.5:
            self.standing = None
            link.send(DISCONNECT)
            await link.writer.drain()
            try:
                while True:
                    await link.next(PATIENCE_S)
            except GONE:
                # It was heard, unless the broker is gone.
                self.dropped.add(will)
        else:
            link.abort()
            self.lost()

    def lost(self):
        if self.standing:
            self.owed.add(self.standing)
            self.standing = None
