"""MQTT by the byte, for what no well-behaved client library would send.

Packets are built from parts that may be wrong on purpose, and what comes back is taken apart just
enough to be compared: type, reason code, properties.
"""

import json
import pathlib
import socket
import ssl
import struct
import time

from conftest import EVERYTHING, Device

PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = 3, 4, 5, 6, 7
CONNACK, SUBACK, UNSUBACK, PINGRESP, DISCONNECT, AUTH = 2, 9, 11, 13, 14, 15
PATIENCE_S = 20

# Property identifiers, and how the value of each is written.
_BYTE, _U16, _U32, _TEXT, _BINARY, _NUMBER, _PAIR = range(7)
PROPERTIES = {
    0x01: ("payload_format", _BYTE), 0x02: ("message_expiry", _U32), 0x03: ("content_type", _TEXT),
    0x08: ("response_topic", _TEXT), 0x09: ("correlation_data", _BINARY),
    0x0B: ("identifier", _NUMBER), 0x11: ("session_expiry", _U32), 0x12: ("client_id", _TEXT),
    0x13: ("keep_alive", _U16), 0x15: ("method", _TEXT), 0x16: ("data", _BINARY),
    0x1A: ("response_information", _TEXT), 0x1C: ("reference", _TEXT), 0x1F: ("reason", _TEXT),
    0x21: ("receive_maximum", _U16), 0x22: ("alias_maximum", _U16), 0x23: ("alias", _U16),
    0x24: ("maximum_qos", _BYTE), 0x25: ("retain", _BYTE), 0x26: ("user", _PAIR),
    0x27: ("packet_bytes", _U32), 0x28: ("wildcards", _BYTE), 0x29: ("identifiers", _BYTE),
    0x2A: ("shared", _BYTE),
}


def number(value):
    """A Variable Byte Integer."""
    out = bytearray()
    while True:
        value, digit = divmod(value, 128)
        out.append(digit | (0x80 if value else 0))
        if not value:
            return bytes(out)


def text(value):
    value = value.encode() if isinstance(value, str) else value
    return struct.pack(">H", len(value)) + value


def packet(first, *parts):
    body = b"".join(parts)
    return bytes([first]) + number(len(body)) + body


def properties(version, content=b""):
    return number(len(content)) + content if version == 5 else b""


def u16(value):
    return struct.pack(">H", value)


def u32(value):
    return struct.pack(">I", value)


def connect(client_id, version=5, clean=True, keep_alive=60, expiry_s=None, will=None, extra=b"",
            user=None, password=None, will_extra=b""):
    """CONNECT; `will` is (topic, payload, QoS, retain)."""
    flags = 0x02 if clean else 0
    tail = b""
    if will:
        topic, payload, qos, retain = will
        flags |= 0x04 | qos << 3 | (0x20 if retain else 0)
        tail += properties(version, will_extra) + text(topic) + text(payload)
    if user is not None:
        flags |= 0x80
        tail += text(user)
    if password is not None:
        flags |= 0x40
        tail += text(password)
    content = extra if expiry_s is None else b"\x11" + u32(expiry_s) + extra
    return packet(0x10, text("MQTT"), bytes([version, flags]), u16(keep_alive),
                  properties(version, content), text(client_id), tail)


def publish(topic, payload=b"x", qos=0, id=1, retain=False, version=5, extra=b"", dup=False):
    first = 0x30 | (8 if dup else 0) | qos << 1 | (1 if retain else 0)
    return packet(first, text(topic), u16(id) if qos else b"", properties(version, extra), payload)


def subscribe(*filters, id=1, qos=1, version=5, extra=b"", options=None):
    option = bytes([qos if options is None else options])
    return packet(0x82, u16(id), properties(version, extra),
                  *(text(one) + option for one in filters))


def unsubscribe(*filters, id=1, version=5, extra=b""):
    return packet(0xA2, u16(id), properties(version, extra), *map(text, filters))


def acknowledge(kind, id, code=None):
    """PUBACK, PUBREC, PUBREL or PUBCOMP; the reason code is of version 5."""
    reason = b"" if code is None else bytes([code])
    return packet(kind << 4 | (2 if kind == PUBREL else 0), u16(id), reason)


def disconnect(code=None, extra=None):
    """DISCONNECT; reason code and properties are of version 5."""
    reason = b"" if code is None else bytes([code])
    return packet(0xE0, reason, b"" if extra is None else properties(5, extra))


def user(name, value):
    """A user property."""
    return b"\x26" + text(name) + text(value)


class Packet:
    """A packet from the server."""

    def __init__(self, first, body, version):
        self.kind, self.flags, self.body, self.version = first >> 4, first & 15, body, version

    def __repr__(self):
        return f"<packet {self.kind} {self.body.hex()}>"

    @property
    def code(self):
        """The reason code; success where it may be left out."""
        at = {CONNACK: 1, DISCONNECT: 0}.get(self.kind, 2)
        return self.body[at] if at < len(self.body) else 0

    @property
    def codes(self):
        """The reason codes of SUBACK or UNSUBACK."""
        at = 2
        if self.version == 5:
            length, at = _number(self.body, at)
            at += length
        return list(self.body[at:])

    @property
    def id(self):
        at = self._topic_end() if self.kind == PUBLISH else 0
        return struct.unpack_from(">H", self.body, at)[0]

    @property
    def session_present(self):
        return self.body[0] == 1

    @property
    def topic(self):
        return self.body[2:self._topic_end()].decode()

    @property
    def qos(self):
        return self.flags >> 1 & 3

    @property
    def payload(self):
        _, end = self._publish_properties()
        return self.body[end:]

    @property
    def dup(self):
        return bool(self.flags & 8)

    @property
    def retain(self):
        return bool(self.flags & 1)

    @property
    def properties(self):
        """Each property by its name; of one that occurs more than once, the last."""
        return dict(self.property_list)

    @property
    def property_list(self):
        """The properties in their order, as (name, value)."""
        if self.kind == PUBLISH:
            return self._publish_properties()[0]
        at = {CONNACK: 2, DISCONNECT: 1, AUTH: 1, SUBACK: 2, UNSUBACK: 2}.get(self.kind, 3)
        return _properties(self.body, at)[0] if self.version == 5 else []

    def _topic_end(self):
        return 2 + struct.unpack_from(">H", self.body)[0]

    def _publish_properties(self):
        at = self._topic_end() + (2 if self.qos else 0)
        return _properties(self.body, at) if self.version == 5 else ([], at)


def _number(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not data[at - 1] & 0x80:
            return value, at


def _properties(data, at):
    found = []
    if at >= len(data):
        return found, at
    length, at = _number(data, at)
    end = at + length
    while at < end:
        name, form = PROPERTIES[data[at]]
        value, at = _value(data, at + 1, form)
        found.append((name, value))
    return found, end


def _value(data, at, form):
    """The value at `at`, and where the next one begins."""
    if form == _NUMBER:
        return _number(data, at)
    if form == _PAIR:
        key, at = _value(data, at, _TEXT)
        value, at = _value(data, at, _TEXT)
        return (key, value), at
    if form in (_TEXT, _BINARY):
        size = struct.unpack_from(">H", data, at)[0]
        raw = bytes(data[at + 2:at + 2 + size])
        return (raw.decode() if form == _TEXT else raw), at + 2 + size
    size = {_BYTE: 1, _U16: 2, _U32: 4}[form]
    return int.from_bytes(data[at:at + size], "big"), at + size


class Closed(Exception):
    """The server closed the connection."""


class Wire:
    """One connection over mutual TLS that says what it is told."""

    def __init__(self, device, version=5, port=None, context=None, session=None, source=None):
        self.version = version
        raw = self._dial(port or device.platform.port("mqtt"), source)
        self.tls = (context or device.tls()).wrap_socket(raw, server_hostname="localhost",
                                                         session=session)
        self.buffer = b""

    @staticmethod
    def _dial(port, source=None):
        raw = socket.create_connection(("localhost", port), PATIENCE_S, source)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return raw

    @classmethod
    def plain(cls, port, version=5):
        """A connection without TLS, to a broker that is not ours."""
        wire = cls.__new__(cls)
        wire.version, wire.tls, wire.buffer = version, cls._dial(port), b""
        return wire

    @classmethod
    def connected(cls, device, client_id=None, version=5, **options):
        """A connection whose CONNECT was accepted."""
        wire = cls(device, version)
        wire.answer = wire.ask(connect(device.name if client_id is None else client_id, version,
                                       **options))
        assert (wire.answer.kind, wire.answer.code) == (CONNACK, 0), wire.answer
        return wire

    def send(self, *packets):
        self.tls.sendall(b"".join(packets))
        return self

    def ask(self, *packets):
        """Sends, and returns the next packet; `None` when the server closed instead."""
        try:
            self.send(*packets)
        except OSError:
            pass
        try:
            return self.next()
        except Closed:
            return None

    def next(self):
        """The next packet from the server."""
        first = self._take(1)[0]
        length, shift = 0, 0
        while True:
            digit = self._take(1)[0]
            length |= (digit & 0x7F) << shift
            shift += 7
            if not digit & 0x80:
                return Packet(first, self._take(length), self.version)

    def next_of(self, kind):
        """The next packet of a kind; others are passed over."""
        while True:
            found = self.next()
            if found.kind == kind:
                return found

    def rest(self):
        """Everything until the server closes."""
        found = []
        while True:
            try:
                found.append(self.next())
            except Closed:
                return found

    def subscribe(self, *filters, **options):
        self.send(subscribe(*filters, version=self.version, **options))
        return self.next_of(SUBACK).codes

    def publish(self, topic, payload=b"x", qos=1, **options):
        """The reason code of PUBACK or PUBREC; `None` when the server ended the connection."""
        answer = self.ask(publish(topic, payload, qos, version=self.version, **options))
        while answer and answer.kind == PUBLISH:
            answer = self.next()
        return answer.code if answer and answer.kind in (PUBACK, PUBREC) else None

    def lives(self):
        """Whether the server still answers, and has said nothing else."""
        answer = self.ask(b"\xc0\x00")
        return answer is not None and answer.kind == PINGRESP

    def close(self):
        self.tls.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _take(self, count):
        while len(self.buffer) < count:
            try:
                more = self.tls.recv(65536)
            except TimeoutError as error:
                raise AssertionError(f"no answer within {PATIENCE_S} s") from error
            except (ssl.SSLError, ConnectionError, OSError) as error:
                raise Closed from error
            if not more:
                raise Closed
            self.buffer += more
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken


def ended_within(wire, limit_s):
    """Waits for the server's close, and returns how long it took and what it said before."""
    since = time.monotonic()
    said = wire.rest()
    took = time.monotonic() - since
    assert took < limit_s, f"closed only after {took:.1f} s"
    return said


def enrol(platform, iot, directory, name, allowed=EVERYTHING, denied=(), thing=None):
    """A device; `allowed` and `denied` are (action, resource) pairs. `thing` may exist already."""
    keys = iot.create_keys_and_certificate(setAsActive=True)
    statements = [{"Effect": effect, "Action": f"iot:{action}",
                   "Resource": "*" if resource == "*" else platform.arn(resource)}
                  for effect, pairs in (("Allow", allowed), ("Deny", denied))
                  for action, resource in pairs]
    if statements:
        document = {"Version": "2012-10-17", "Statement": statements}
        iot.create_policy(policyName=f"policy-{name}", policyDocument=json.dumps(document))
        iot.attach_policy(policyName=f"policy-{name}", target=keys["certificateArn"])
    iot.create_thing(thingName=thing or name)
    iot.attach_thing_principal(thingName=thing or name, principal=keys["certificateArn"])
    return Device(platform, name, keys, f"policy-{name}", pathlib.Path(directory))
