"""Clients that want what is not theirs: every attack has its answer, and costs nobody else.

Beside each test a well-behaved pair of clients talks; when the test is over they must still be
connected and have every message, in order. docs/threat-model.md lists the attacks.
"""

import collections
import json
import socket
import ssl
import threading
import time

import pytest

import wire
from conftest import ACCOUNT, EVERYTHING, eventually
from scenario import authority, csr, leaf, openssl
from test_paho import Client
from wire import (CONNACK, DISCONNECT, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, Wire,
                  acknowledge, connect, ended_within, number, packet, publish, subscribe, text, u16)

def cases(**named):
    """Parameters of a test under names that can be read."""
    return [pytest.param(*(value if isinstance(value, tuple) else (value,)), id=name)
            for name, value in named.items()]


# Short enough to be waited for, long enough for an honest client on a busy machine.
HANDSHAKE_MS = 2000
CONNECT_MS = 1000
TIMELY_S = 6


@pytest.fixture(scope="module")
def ground(new_platform):
    return new_platform("--set=device_keys=ecdsa-p256",
                        f"--set=broker.handshake_timeout_ms={HANDSHAKE_MS}",
                        f"--set=broker.connect_timeout_ms={CONNECT_MS}",
                        "--set=broker.output_bytes_max=262144",
                        "--set=broker.write_timeout_ms=1000",
                        "--set=broker.subscriptions_per_session=100",
                        name="hostile")


@pytest.fixture(scope="module")
def api(ground):
    return ground.client("iot")


@pytest.fixture
def enrol(ground, api, tmp_path, unique):
    """Makes devices; what they may do is what the tests are about."""
    def new(*allowed, name=None, **options):
        return wire.enrol(ground, api, tmp_path, name or unique("device"),
                          allowed=allowed or EVERYTHING, **options)
    return new


class Bystanders:
    """Two clients who mind their own business."""

    def __init__(self, device):
        self.told = 0
        self.reader = Client(device, client_id=f"{device.name}-reader").connect()
        self.writer = Client(device, client_id=f"{device.name}-writer").connect()
        assert self.reader.subscribe("beside/t") == [1]

    def speak(self, count=1):
        for _ in range(count):
            assert self.writer.publish("beside/t", str(self.told)) in (0, 16)
            self.told += 1

    def check(self):
        self.speak()
        eventually(lambda: len(self.reader.received) >= self.told, "what was published beside")
        assert self.reader.payloads() == [str(one) for one in range(self.told)]
        assert not self.reader.disconnected and not self.writer.disconnected


@pytest.fixture(scope="module")
def bystanders(ground, api, tmp_path_factory):
    device = wire.enrol(ground, api, tmp_path_factory.mktemp("bystanders"), "bystander")
    pair = Bystanders(device)
    yield pair
    pair.reader.close()
    pair.writer.close()


@pytest.fixture(autouse=True)
def beside(bystanders):
    """The neighbours of whatever happens in a test."""
    bystanders.speak()
    yield bystanders
    bystanders.check()


def refused_at_the_door(device, context=None, port=None):
    """Nobody is served: the handshake fails, or what is said after it is met by the close."""
    # tests aws-iot [MQ-18]
    try:
        stranger = Wire(device, context=context, port=port)
    except (ssl.SSLError, OSError):
        return True
    with stranger:
        return stranger.ask(connect(device.name)) is None


def borrowed(device, directory, certificate_pem, key=None):
    """`device` with another certificate in its hands."""
    certificate = directory / "shown.pem"
    certificate.write_text(certificate_pem)
    context = ssl.create_default_context(cafile=device.platform.ca)
    context.load_cert_chain(certificate, key or device.key)
    return context


# 1. The handshake.


def anonymous(device):
    return ssl.create_default_context(cafile=device.platform.ca)


# tests aws-iot [EP-2]
@pytest.mark.parametrize("door, alpn", [
    ("mqtt", None), ("mqtt", "x-amzn-mqtt-ca"), ("https", None),
    ("device", "x-amzn-mqtt-ca"), ("device", "x-amzn-http-ca")])
def test_no_certificate(ground, enrol, door, alpn):
    device = enrol()
    context = anonymous(device)
    if alpn:
        context.set_alpn_protocols([alpn])
    assert refused_at_the_door(device, context, ground.port(door))


# tests aws-iot [EP-1], [EP-4]
@pytest.mark.parametrize("alpn", [[], ["mqtt"], ["http/1.1"], ["http/1.1", "mqtt"]])
def test_mqtt_without_certificate_at_the_shared_port(ground, enrol, alpn):
    device = enrol()
    context = anonymous(device)
    if alpn:
        context.set_alpn_protocols(alpn)
    try:
        stranger = Wire(device, context=context, port=ground.port("device"))
    except (ssl.SSLError, OSError):
        return
    with stranger:
        answer = stranger.ask(connect(device.name))
        # Whatever comes back is HTTP's complaint, not a CONNACK.
        assert answer is None or bytes([answer.kind << 4 | answer.flags]) == b"H"


def self_signed(directory, name, *arguments):
    openssl(directory, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}",
            *(arguments or ("-days", "30")))
    return (directory / f"{name}.pem").read_text(), directory / f"{name}.key"


def of_another_authority(directory, name, *arguments):
    authority(directory, f"{name}-ca")
    return leaf(directory, f"{name}-ca", name, name), directory / f"{name}.key"


# tests aws-iot [EP-16], [CT-31]
@pytest.mark.parametrize("make", [self_signed, of_another_authority])
@pytest.mark.parametrize("door", ["mqtt", "https"])
def test_a_certificate_nobody_registered(ground, enrol, tmp_path, make, door):
    device = enrol()
    pem, key = make(tmp_path, device.name + "-x")
    context = borrowed(device, tmp_path, pem, key)
    if door == "mqtt":
        assert refused_at_the_door(device, context)
    else:
        assert https_status(ground.port("https"), context) in (None, 401, 403)


def https_status(port, context):
    """The status of a publish over HTTPS; `None` when there was no answer."""
    try:
        raw = socket.create_connection(("localhost", port), timeout=10)
        with context.wrap_socket(raw, server_hostname="localhost") as tls:
            tls.sendall(b"POST /topics/a?qos=1 HTTP/1.1\r\nHost: localhost\r\n"
                        b"Content-Length: 1\r\nConnection: close\r\n\r\nx")
            answer = b""
            while more := tls.recv(4096):
                answer += more
    except OSError:
        return None
    return int(answer.split()[1]) if answer else None


# tests aws-iot [CT-10], [CT-31]
@pytest.mark.parametrize("days, status, welcome", [
    (("20200101000000Z", "20210101000000Z"), "ACTIVE", False),
    (("20400101000000Z", "20410101000000Z"), "ACTIVE", False),
    (("20200101000000Z", "20410101000000Z"), "ACTIVE", True),
    (("20200101000000Z", "20410101000000Z"), "INACTIVE", False),
    (("20200101000000Z", "20410101000000Z"), "REVOKED", False),
])
def test_standing_and_validity(ground, api, enrol, tmp_path, days, status, welcome):
    device = enrol()
    csr(tmp_path, "own", device.name)
    authority(tmp_path, "ca")
    (tmp_path / "index.txt").touch()
    (tmp_path / "ca.cnf").write_text(
        "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\nnew_certs_dir=.\nrand_serial=yes\n"
        "default_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n")
    openssl(tmp_path, "ca", "-batch", "-config", "ca.cnf", "-in", "own.csr", "-out", "own.pem",
            "-cert", "ca.pem", "-keyfile", "ca.key", "-startdate", days[0], "-enddate", days[1],
            "-notext")
    pem = (tmp_path / "own.pem").read_text()
    known = api.register_certificate_without_ca(certificatePem=pem, status="ACTIVE")
    api.attach_policy(policyName=device.policy, target=known["certificateArn"])
    if status != "ACTIVE":
        api.update_certificate(certificateId=known["certificateId"], newStatus=status)
    context = borrowed(device, tmp_path, pem, tmp_path / "own.key")
    assert refused_at_the_door(device, context) != welcome
    assert (https_status(ground.port("https"), context) == 200) == welcome


# tests aws-iot [EP-14]
def test_a_ticket_outlives_no_revocation(api, enrol):
    device = enrol()
    context = device.tls()

    def come(session=None):
        return Wire(device, context=context, session=session)

    with come() as first:
        assert first.ask(connect(device.name)).code == 0
        ticket = first.tls.session
        assert not first.tls.session_reused and first.tls.version() == "TLSv1.3"
    with come(ticket) as again:
        assert again.ask(connect(device.name)).code == 0
        assert again.tls.session_reused
        ticket = again.tls.session
    api.update_certificate(certificateId=device.certificate_id, newStatus="REVOKED")
    try:
        with come(ticket) as back:
            assert back.ask(connect(device.name)) is None
    except (ssl.SSLError, OSError):
        pass


# tests aws-iot [CT-40]
def test_just_in_time_registration(ground, api, enrol, tmp_path, unique):
    name = unique("factory")
    code = api.get_registration_code()["registrationCode"]
    pem = authority(tmp_path, name, code)
    registered = api.register_ca_certificate(
        caCertificate=pem, verificationCertificate=(tmp_path / f"{name}-proof.pem").read_text(),
        setAsActive=True, allowAutoRegistration=True)
    watcher = Client(enrol()).connect()
    topic = f"$aws/events/certificates/registered/{registered['certificateId']}"
    assert watcher.subscribe(topic) == [1]
    device = enrol()
    context = borrowed(device, tmp_path, leaf(tmp_path, name, "new", "new"), tmp_path / "new.key")
    assert refused_at_the_door(device, context)
    eventually(lambda: watcher.received, "the event")
    told = json.loads(watcher.received[0].payload)
    assert told["certificateStatus"] == "PENDING_ACTIVATION"
    assert told["caCertificateId"] == registered["certificateId"]
    assert told["awsAccountId"] == ACCOUNT
    # As long as nobody decides, it stays out, and every attempt is told.
    assert refused_at_the_door(device, context)
    assert https_status(ground.port("https"), context) in (None, 401, 403)
    eventually(lambda: len(watcher.received) >= 2, "the second event")
    api.update_certificate(certificateId=told["certificateId"], newStatus="ACTIVE")
    # Known, and still without a right.
    with Wire(device, context=context) as newcomer:
        assert newcomer.ask(connect("newcomer")).code == 0x87
    arn = ground.arn(f"cert/{told['certificateId']}")
    api.attach_policy(policyName=device.policy, target=arn)
    with Wire(device, context=context) as newcomer:
        assert newcomer.ask(connect("newcomer")).code == 0
    # A leaf of an authority that was switched off is nobody's.
    api.update_ca_certificate(certificateId=registered["certificateId"], newStatus="INACTIVE")
    late = borrowed(device, tmp_path, leaf(tmp_path, name, "late", "late"), tmp_path / "late.key")
    before = len(watcher.received)
    assert refused_at_the_door(device, late)
    with Wire(device, context=context) as newcomer:
        assert newcomer.ask(connect("newcomer")).code == 0
    assert len(watcher.received) == before
    watcher.close()


# The order of P-256's group: s and its negative prove the same.
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def der(tag, content):
    size = len(content)
    length = bytes([size]) if size < 128 else bytes([0x82]) + u16(size)
    if 128 <= size < 256:
        length = bytes([0x81, size])
    return bytes([tag]) + length + content


def der_parts(data):
    """The elements of a DER sequence's content, each whole."""
    parts, at = [], 0
    while at < len(data):
        size, start = data[at + 1], at + 2
        if size & 0x80:
            count = size & 0x7F
            size, start = int.from_bytes(data[start:start + count], "big"), start + count
        parts.append((data[at], data[start:start + size]))
        at = start + size
    return parts


def der_number(value):
    return der(2, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def with_other_signature(pem):
    """The same certificate with the other of the two ECDSA signatures that verify."""
    [(_, whole)] = der_parts(ssl.PEM_cert_to_DER_cert(pem))
    (_, signed), (_, algorithm), (_, bits) = der_parts(whole)
    [(_, pair)] = der_parts(bits[1:])
    (_, r), (_, s) = der_parts(pair)
    other = P256_ORDER - int.from_bytes(s, "big")
    signature = der(0x30, der(2, r) + der_number(other))
    return ssl.DER_cert_to_PEM_cert(
        der(0x30, der(0x30, signed) + der(0x30, algorithm) + der(3, b"\0" + signature)))


def with_long_length(pem):
    """The same certificate with a length written longer than it need be."""
    content = ssl.PEM_cert_to_DER_cert(pem)
    assert content[1] == 0x82
    return ssl.DER_cert_to_PEM_cert(content[:1] + b"\x83\x00" + content[2:])


def with_a_tail(pem):
    return ssl.DER_cert_to_PEM_cert(ssl.PEM_cert_to_DER_cert(pem) + b"\x05\x00")


# tests aws-iot [CT-1]
@pytest.mark.parametrize("bend", [with_other_signature, with_long_length, with_a_tail])
def test_another_spelling_of_a_certificate(api, enrol, tmp_path, bend):
    device = enrol()
    pem, key = self_signed(tmp_path, device.name + "-own")
    known = api.register_certificate_without_ca(certificatePem=pem, status="ACTIVE")
    api.attach_policy(policyName=device.policy, target=known["certificateArn"])
    bent = bend(pem)
    assert bent != pem
    assert not refused_at_the_door(device, borrowed(device, tmp_path, pem, key))
    if bend is with_other_signature:
        # OpenSSL writes the others as they should be before it shows them.
        assert refused_at_the_door(device, borrowed(device, tmp_path, bent, key))
    api.update_certificate(certificateId=known["certificateId"], newStatus="REVOKED")
    with pytest.raises(api.exceptions.ClientError) as refused:
        api.register_certificate_without_ca(certificatePem=bent, status="ACTIVE")
    assert refused.value.response["Error"]["Code"] in (
        "ResourceAlreadyExistsException", "CertificateValidationException",
        "CertificateStateException")


# tests aws-iot [EP-12], [EP-13]
@pytest.mark.parametrize("name, welcome", [
    (None, True), ("localhost", True), ("LOCALHOST", True), ("evil.example", False),
    ("localhost.evil.example", False), ("sub.localhost", False)])
def test_the_name_asked_for(enrol, name, welcome):
    device = enrol()
    context = device.tls()
    context.check_hostname = False
    raw = socket.create_connection(("localhost", device.platform.port("mqtt")), timeout=10)
    try:
        tls = context.wrap_socket(raw, server_hostname=name)
    except OSError:
        assert not welcome
        return
    with tls:
        tls.sendall(connect(device.name))
        try:
            assert tls.recv(2)[:1] == b"\x20" and welcome
        except OSError:
            assert not welcome


# tests aws-iot [EP-10], [EP-11]
@pytest.mark.parametrize("version, ciphers", [
    (ssl.TLSVersion.TLSv1, "ALL:@SECLEVEL=0"),
    (ssl.TLSVersion.TLSv1_1, "ALL:@SECLEVEL=0"),
    (ssl.TLSVersion.TLSv1_2, "AES128-SHA:AES256-SHA:@SECLEVEL=0"),
    (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES256-SHA384:@SECLEVEL=0"),
    (ssl.TLSVersion.TLSv1_2, "aNULL:eNULL:@SECLEVEL=0"),
])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_versions_and_suites(enrol, version, ciphers):
    device = enrol()
    context = device.tls()
    context.minimum_version = context.maximum_version = version
    context.set_ciphers(ciphers)
    with pytest.raises((ssl.SSLError, OSError)):
        Wire(device, context=context)


@pytest.mark.parametrize("said", cases(
    mqtt=connect("plain"), http=b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", zeros=b"\0" * 512,
    ones=b"\xff" * 4096, long_record=b"\x16\x03\x01\xff\xff" + b"\x01" * 70_000,
    long_hello=b"\x16\x03\x01\x00\x04\x01\xff\xff\xff", alert=b"\x15\x03\x03\x00\x02\x01\x00",
    ssl2=b"\x80\x2e\x01\x00\x02"))
@pytest.mark.parametrize("door", ["mqtt", "device", "https", "control"])
def test_no_tls_at_all(ground, door, said):
    with socket.create_connection(("localhost", ground.port(door)), timeout=TIMELY_S) as raw:
        try:
            raw.sendall(said)
            # At most a TLS alert comes back.
            raw.shutdown(socket.SHUT_WR)
            answer = b""
            while more := raw.recv(4096):
                answer += more
        except OSError:
            answer = b""
        assert answer[:1] in (b"", b"\x15")


# 2. Those who keep us waiting.


# tests mqtt5 [MQTT-3.1.0-1]; tests mqtt311 [MQTT-3.1.0-1]
@pytest.mark.parametrize("first", cases(
    publish=publish("a", qos=1), subscribe=subscribe("#"), ping=b"\xc0\x00", disconnect=b"\xe0\x00",
    auth=b"\xf0\x00", connack=b"\x20\x02\x00\x00", reserved=b"\x00\x00", puback=b"\x40\x02\x00\x01",
    http=b"GET / HTTP/1.1\r\n\r\n", ones=b"\xff" * 64))
def test_the_first_packet_is_not_connect(enrol, first):
    with Wire(enrol()) as stranger:
        assert stranger.ask(first + connect("x")) is None


# tests aws-iot [MQ-1]; tests mqtt5 [MQTT-3.1.2-1], [MQTT-3.1.2-3]
@pytest.mark.parametrize("body, answer", cases(
    version_3=(text("MQIsdp") + b"\x03\x02\x00\x3c" + text("a"), 0x01),
    version_6=(text("MQTT") + b"\x06\x02\x00\x3c\x00" + text("a"), 0x84),
    version_0=(text("MQTT") + b"\x00\x02\x00\x3c" + text("a"), 0x01),
    another_protocol=(text("HTTP") + b"\x04\x02\x00\x3c" + text("a"), None),
    reserved_flag=(text("MQTT") + b"\x05\x03\x00\x3c\x00" + text("a"), None),
    will_qos_3=(text("MQTT") + b"\x05\x1e\x00\x3c\x00" + text("a") + b"\x00" + text("w") + text(""),
                None),
    not_utf8=(text("MQTT") + b"\x05\x02\x00\x3c\x00" + text(b"\xff\xfe"), None),
    nul=(text("MQTT") + b"\x05\x02\x00\x3c\x00" + text("a\0b"), None),
    trailing=(text("MQTT") + b"\x05\x02\x00\x3c\x00" + text("a") + b"trailing", None),
))
def test_a_connect_that_is_none(enrol, body, answer):
    with Wire(enrol()) as stranger:
        found = stranger.ask(packet(0x10, body))
        if answer is None:
            assert found is None or (found.kind, found.code) in ((CONNACK, 0x81), (CONNACK, 0x82))
        else:
            assert (found.kind, found.code) == (CONNACK, answer)


# tests aws-iot [MQ-2]
def test_enhanced_authentication_is_not_offered(enrol):
    with Wire(enrol()) as stranger:
        answer = stranger.ask(connect("x", extra=b"\x15" + text("SCRAM-SHA-1")))
        assert (answer.kind, answer.code) == (CONNACK, 0x8C)


@pytest.mark.parametrize("said", cases(
    silence=b"", one_byte=b"\x10", nearly_all=connect("never-finished")[:-3],
    announces_much=b"\x10\xff\xff\x03" + text("MQTT")))
def test_a_connect_that_never_ends(enrol, said):
    with Wire(enrol()) as stranger:
        stranger.send(said)
        assert ended_within(stranger, TIMELY_S) == []


def test_a_connect_in_drops(enrol):
    """Each byte is a sign of life, and the whole still has to come in time."""
    whole = iter(connect("drop-by-drop" + "x" * 100))
    with Wire(enrol()) as stranger:
        stranger.tls.settimeout(0.05)
        since = time.monotonic()

        def closed():
            try:
                if byte := next(whole, None):
                    stranger.tls.sendall(bytes([byte]))
                return stranger.tls.recv(16) == b""
            except TimeoutError:
                return False
            except OSError:
                return True

        eventually(closed, "the close", patience_s=TIMELY_S)
        assert time.monotonic() - since > CONNECT_MS / 2000


def client_hello():
    """The first bytes of a handshake."""
    context = ssl.create_default_context()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        context.wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()


@pytest.mark.parametrize("said", cases(silence=b"", half=client_hello()[:50], hello=client_hello()))
@pytest.mark.parametrize("door", ["mqtt", "device"])
def test_a_handshake_that_never_ends(ground, door, said):
    with socket.create_connection(("localhost", ground.port(door)), timeout=TIMELY_S) as raw:
        raw.sendall(said)
        try:
            while raw.recv(4096):
                pass
        except ConnectionError:
            pass


class Silence:
    """Opens connections as fast as it can, says `said` on each, and then nothing."""

    def __init__(self, port, said=b"", context=None):
        self.port, self.said, self.context = port, said, context
        self.open = collections.deque()
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.stopping.is_set():
            try:
                raw = socket.create_connection(("127.0.0.1", self.port), timeout=1)
                self.open.append(raw)
                if self.context:
                    self.open[-1] = raw = self.context.wrap_socket(raw, server_hostname="localhost")
                raw.sendall(self.said)
            except OSError:
                pass
            if len(self.open) > 1500:
                self.open.popleft().close()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()
        for raw in self.open:
            raw.close()


@pytest.fixture(scope="module")
def patient(new_platform):
    """Waits so long for a handshake that whoever waits for one to end gives up first."""
    return new_platform("--set=device_keys=ecdsa-p256",
                        "--set=broker.handshake_timeout_ms=120000", name="patient")


@pytest.mark.parametrize("said", cases(silence=b"", hello=client_hello()))
def test_many_handshakes_that_never_end(patient, tmp_path, unique, beside, said):
    """More of them than there may be at once, for ever: another address still gets in."""
    device = wire.enrol(patient, patient.client("iot"), tmp_path, unique("device"),
                        allowed=EVERYTHING)
    with Silence(patient.port("mqtt"), said) as silence:
        eventually(lambda: len(silence.open) > 400, "the flood")
        for _ in range(5):
            with Wire(device, source=("127.0.0.2", 0)) as honest:
                assert honest.ask(connect(device.name)).code == 0 and honest.lives()
        beside.speak()


@pytest.mark.parametrize("door", ["device", "control"])
def test_many_silent_connections_shut_nobody_out(ground, api, enrol, door):
    """Strangers need no certificate here, only TLS; whoever administers must still get through."""
    context = ssl.create_default_context(cafile=ground.ca)
    device = enrol()
    with Silence(ground.port(door), b"GET /things HTTP/1.1\r\nHost:", context) as silence:
        eventually(lambda: len(silence.open) > 1100, "the flood")
        with Wire(device, source=("127.0.0.2", 0)) as honest:
            assert honest.ask(connect(device.name)).code == 0
        answer = administer(ground, source=("127.0.0.2", 0))
        assert b"403 Forbidden" in answer


def administer(ground, source):
    """An unsigned call: it is refused, and that is an answer."""
    raw = socket.create_connection(("localhost", ground.port("control")), 5, source)
    context = ssl.create_default_context(cafile=ground.ca)
    with context.wrap_socket(raw, server_hostname="localhost") as tls:
        tls.sendall(b"GET /things HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return tls.recv(4096)


# tests aws-iot [MQ-13], [MQ-85]
def test_half_a_packet_then_silence(enrol):
    with Wire.connected(enrol(), keep_alive=1) as stranger:
        stranger.send(publish("a", b"x" * 100, qos=1)[:20])
        [said] = ended_within(stranger, TIMELY_S)
        assert (said.kind, said.code) == (DISCONNECT, 0x8D)


# tests aws-iot [MQ-13]: a control packet counts, not a byte.
def test_drops_do_not_keep_a_connection_alive(enrol):
    whole = iter(publish("a", b"x" * 1000, qos=1))
    with Wire.connected(enrol(), keep_alive=1) as stranger:
        stranger.tls.settimeout(0.05)
        found = b""

        def closed():
            nonlocal found
            try:
                stranger.tls.sendall(bytes([next(whole)]))
                more = stranger.tls.recv(64)
                found += more
                return more == b""
            except TimeoutError:
                return False
            except OSError:
                return True

        eventually(closed, "the close", patience_s=TIMELY_S)
        assert found[:1] in (b"", b"\xe0")


# 3. Packets that are none.

# What follows an accepted CONNECT, and the reason for which it ends.
# tests mqtt5 [MQTT-4.13.1-1], [MQTT-2.1.3-1], [MQTT-1.5.5-1], [MQTT-3.3.1-4], [MQTT-2.2.1-3]
# tests mqtt5 [MQTT-3.3.2-2], [MQTT-1.5.4-1], [MQTT-1.5.4-2], [MQTT-3.8.3-2], [MQTT-3.1.0-2]
# tests aws-iot [MQ-15], [MQ-30], [MQ-40], [MQ-75], [MQ-80], [MQ-82], [MQ-83]
MALFORMED = dict(
    reserved_type=(b"\x00\x00", 0x81),
    long_length=(b"\x30\xff\xff\xff\xff\x01", 0x81),
    padded_length=(b"\xc0\x80\x00", 0x81),
    ping_flags=(b"\xc1\x00", 0x81),
    subscribe_flags=(packet(0x80, u16(1), b"\0", text("a"), b"\0"), 0x81),
    pubrel_flags=(packet(0x60, u16(1)), 0x81),
    qos_3=(packet(0x36, text("a"), u16(1), b"\0"), 0x81),
    dup_at_qos_0=(packet(0x38, text("a"), b"\0"), 0x81),
    id_0=(publish("a", qos=1, id=0), 0x82),
    subscribe_id_0=(subscribe("a", id=0), 0x82),
    wildcard_in_topic=(publish("a/#"), 0x90),
    plus_in_topic=(publish("a/+/b"), 0x90),
    no_topic=(publish(""), 0x82),
    not_utf8=(publish(b"a\xff"), 0x81),
    surrogate=(publish(b"a\xed\xa0\x80"), 0x81),
    overlong_slash=(publish(b"a\xc0\xafb"), 0x81),
    nul_in_topic=(publish("a\0b"), 0x81),
    topic_cut_short=(packet(0x30, u16(500), b"a"), 0x81),
    unknown_property=(publish("a", extra=b"\x7f\x01"), 0x81),
    foreign_property=(publish("a", extra=b"\x11" + wire.u32(1)), 0x81),
    property_twice=(publish("a", extra=b"\x02" + wire.u32(1) + b"\x02" + wire.u32(2)), 0x82),
    property_cut_short=(packet(0x30, text("a"), number(200), b"\x26\0"), 0x81),
    format_neither_0_nor_1=(publish("a", extra=b"\x01\x02"), 0x82),
    alias_0=(publish("a", extra=b"\x23\0\0"), 0x94),
    alias_over_the_maximum=(publish("a", extra=b"\x23\xff\xff"), 0x94),
    alias_never_set=(publish("", extra=b"\x23\x00\x05"), 0x82),
    wildcard_in_response_topic=(publish("a", extra=b"\x08" + text("r/#")), 0x90),
    identifier_from_a_client=(publish("a", extra=b"\x0b\x01"), 0x82),
    too_large=(b"\x30" + number(2_000_000), 0x95),
    largest=(b"\x30\xff\xff\xff\x7f", 0x95),
    no_filters=(packet(0x82, u16(1), b"\0"), 0x82),
    filter_without_options=(packet(0x82, u16(1), b"\0", text("a")), 0x81),
    reserved_options=(subscribe("a", options=0x40), 0x81),
    subscribe_qos_3=(subscribe("a", options=0x03), 0x82),
    retain_handling_3=(subscribe("a", options=0x30), 0x82),
    no_local_and_shared=(subscribe("$share/g/a", options=0x05), 0x82),
    identifier_0=(subscribe("a", extra=b"\x0b\0"), 0x82),
    too_many_filters=(subscribe(*(f"f/{n}" for n in range(1025))), 0x97),
    too_many_user_properties=(publish("a", extra=(b"\x26" + text("k" * 500) + text("v" * 500)) * 100),
                              0x97),
    no_filters_to_leave=(packet(0xA2, u16(1), b"\0"), 0x82),
    connect_again=(connect("again"), 0x82),
    connack=(packet(0x20, b"\0\0\0"), 0x82),
    suback=(packet(0x90, u16(1), b"\0\0"), 0x82),
    unsuback=(packet(0xB0, u16(1), b"\0\0"), 0x82),
    pingresp=(b"\xd0\x00", 0x82),
    auth=(packet(0xF0, b"\x18", number(4), b"\x15" + text("m")), 0x82),
    puback_nobody_waits_for=(packet(0x40, u16(77), b"\x03"), 0x81),
    server_reason_in_disconnect=(packet(0xE0, b"\x8e\0"), 0x82),
    expiry_raised_from_0=(packet(0xE0, b"\0", number(5), b"\x11" + wire.u32(60)), 0x82),
    trailing=(packet(0xC0, b"\0"), 0x81),
)


@pytest.mark.parametrize("said, reason", cases(**MALFORMED))
def test_malformed(shared_device, unique, said, reason):
    with Wire.connected(shared_device, unique()) as stranger:
        answer = stranger.ask(said)
        assert (answer.kind, hex(answer.code)) == (DISCONNECT, hex(reason))
        assert stranger.rest() == []


# tests mqtt311 [MQTT-4.8.0-1]
def test_malformed_in_version_3(shared_device, unique):
    """3.1.1 has no reason to give: it is closed, whatever was wrong."""
    only_in_5 = ("propert", "alias", "identifier", "response_topic", "format", "expiry", "auth",
                 "options", "retain_handling", "no_local", "padded", "server_reason", "too_many_user")
    for name, (said, _) in MALFORMED.items():
        if any(word in name for word in only_in_5):
            continue
        with Wire.connected(shared_device, unique(), version=4) as stranger:
            assert stranger.ask(said) is None, name


@pytest.fixture(scope="module")
def shared_device(ground, api, tmp_path_factory):
    """A device for tests that need no right in particular."""
    return wire.enrol(ground, api, tmp_path_factory.mktemp("shared"), "shared-device")


def test_acknowledgements_of_nothing(shared_device, unique):
    with Wire.connected(shared_device, unique()) as stranger:
        for kind in (PUBACK, PUBREC, PUBREL, PUBCOMP):
            stranger.send(acknowledge(kind, 4711))
        stranger.send(b"\xc0\x00")
        said = [stranger.next() for _ in range(3)]
        # tests mqtt5 [4.3.3]: packet identifier not found, 0x92, is an answer and not an end.
        assert [(one.kind, one.code) for one in said[:2]] == [(PUBREL, 0x92), (PUBCOMP, 0x92)]
        assert said[2].kind == wire.PINGRESP


def test_more_in_flight_than_allowed(shared_device, unique):
    with Wire.connected(shared_device, unique()) as stranger:
        room = stranger.answer.properties["receive_maximum"]
        for id in range(1, room + 2):
            stranger.send(publish("flight/t", qos=2, id=id))
        # tests aws-iot [MQ-34]; tests mqtt5 [MQTT-3.3.4-7]
        end = stranger.next_of(DISCONNECT)
        assert end.code == 0x93


def test_version_3_knows_of_no_such_maximum(shared_device, unique):
    """It is not read from while we owe it an answer; what it has still to say frees it."""
    with Wire.connected(shared_device, unique(), version=4) as honest:
        count = 1000
        for id in range(1, count + 1):
            honest.send(publish("flight/t", qos=2, id=id, version=4))
        for id in range(1, count + 1):
            assert honest.next_of(PUBREC).id == id
        for id in range(1, count + 1):
            honest.send(acknowledge(PUBREL, id))
        for id in range(1, count + 1):
            assert honest.next_of(PUBCOMP).id == id
        assert honest.publish("flight/t") == 0
    with Wire.connected(shared_device, unique(), version=4) as greedy:
        for id in range(1, count + 2):
            greedy.send(publish("flight/t", qos=2, id=id, version=4))
        # It goes on publishing instead of releasing: nothing is left but to close.
        assert len(greedy.rest()) == count


# 4. Names, rights, sessions.


# tests aws-iot [MQ-32], [RT-2]
RESERVED_FROM_US = [
    "$aws/events/presence/connected/x", "$aws/events/certificates/registered/x",
    "$aws/things/x/shadow/update/accepted", "$aws/things/x/shadow/update/delta",
    "$aws/things/x/jobs/notify", "$aws/things/x/tunnels/notify", "$aws/events/thing/x/deleted",
    "$aws/certificates/create/json/accepted", "$aws", "$aws/", "$aws/rules", "$aws/rules/",
    "$AWS/things/x/shadow/update", "$SYS/broker/uptime", "$share/g/t", "$", "$aws/things//shadow/update"]


@pytest.mark.parametrize("topic", RESERVED_FROM_US)
@pytest.mark.parametrize("version, qos", [(5, 0), (5, 1), (5, 2), (4, 0), (4, 1)])
def test_speaking_for_the_platform(shared_device, unique, topic, version, qos):
    with Wire.connected(shared_device, unique(), version=version) as stranger:
        answer = stranger.ask(publish(topic, qos=qos, version=version))
        if version == 5:
            assert (answer.kind, answer.code) == (DISCONNECT, 0x90)
        else:
            assert answer is None


# tests aws-iot [MQ-44], [MQ-42]
def test_filters_nobody_may_have(shared_device, unique):
    with Wire.connected(shared_device, unique()) as stranger:
        for refused in ("$aws/rules/r", "$aws/rules/#", "$aws/rules/+/x", "$SYS/#", "$share/g/$aws/rules/#",
                        "$share/g/$share/h/t", "$share/g", "$share//t", "$share/g/", "$share/+/t",
                        "a#", "+x", "a/#/b", "", "$share/g#/t", "$aws/things/x/jobs/get"):
            assert stranger.subscribe(refused) == [0x8F], refused
        assert stranger.subscribe("#", "$aws/#", "+/+/+/+/+") == [1, 1, 1]
        stranger.send(publish("$aws/rules/r/topic", b"for the rule", qos=1, id=9))
        assert stranger.next_of(PUBACK).code in (0, 0x10)
        assert stranger.lives()


# tests aws-iot [MQ-10]
@pytest.mark.parametrize("client_id, version, clean, code", cases(
    dollar=("$x", 5, True, 0x85), dollar_v3=("$x", 4, True, 0x02), long=("x" * 129, 5, True, 0x85),
    long_in_bytes=("é" * 65, 5, True, 0x85), long_v3=("x" * 129, 4, True, 0x02),
    empty_unclean_v3=("", 4, False, 0x02), longest=("x" * 128, 5, True, 0),
    plus=("a+b", 5, True, 0x87), hash=("#", 5, True, 0x87), star=("*", 5, True, 0x87),
    question=("a?", 5, True, 0x87), plus_v3=("+", 4, True, 0x05), slashes=("a/b", 5, True, 0),
    space=(" ", 5, True, 0), empty=("", 5, True, 0), empty_v3=("", 4, True, 0)))
def test_client_ids(shared_device, client_id, version, clean, code):
    with Wire(shared_device, version) as stranger:
        answer = stranger.ask(connect(client_id, version, clean))
        assert (answer.kind, answer.code) == (CONNACK, code)
        if version == 5 and not client_id:
            assert len(answer.properties["client_id"]) > 20


# tests aws-iot [MQ-10]: the policy applies to the id that was assigned.
def test_an_empty_client_id_is_no_way_around_the_policy(enrol):
    device = enrol(("Connect", "client/${iot:Connection.Thing.ThingName}"))
    for version, code in ((5, 0x87), (4, 0x05)):
        with Wire(device, version) as stranger:
            assert stranger.ask(connect("", version)).code == code


# tests aws-iot [MQ-11]
@pytest.mark.parametrize("version, code", [(5, 0x85), (4, 0x02)])
def test_a_stranger_takes_no_live_session(enrol, unique, version, code):
    victim, thief, name = enrol(), enrol(), unique("meter")
    with Wire.connected(victim, name, expiry_s=600, clean=False) as owner:
        assert owner.subscribe("secret/t") == [1]
        with Wire(thief, version) as stranger:
            answer = stranger.ask(connect(name, version, clean=True))
            assert (answer.kind, answer.code) == (CONNACK, code)
        assert owner.lives()
        owner.send(publish("secret/t", b"still here"))
        assert owner.next_of(PUBLISH).payload == b"still here"


# tests aws-iot [MQ-11], [RG-52]
def test_a_rotated_certificate_keeps_the_session(api, enrol, unique):
    thing = unique("meter")
    old = enrol(name=thing)
    new = enrol(name=f"{thing}-new", thing=thing)
    other = enrol()
    with Wire.connected(old, thing, clean=False, expiry_s=600) as first:
        assert first.subscribe("keep/t") == [1]
        with Wire(new) as second:
            answer = second.ask(connect(thing, clean=False, expiry_s=600))
            assert (answer.code, answer.session_present) == (0, True)
            assert first.next_of(DISCONNECT).code == 0x8E
    with Wire.connected(other, unique()) as sender:
        assert sender.publish("keep/t", b"waiting") in (0, 0x10)
    with Wire(new) as third:
        answer = third.ask(connect(thing, clean=False))
        assert (answer.code, answer.session_present) == (0, True)
        assert third.next_of(PUBLISH).payload == b"waiting"


# tests aws-iot [MQ-11]
def test_a_stored_session_of_another_is_neither_inherited_nor_ended(enrol, unique):
    victim, thief, name, topic = enrol(), enrol(), unique("meter"), unique("secret")
    with Wire.connected(victim, name, clean=False, expiry_s=600) as owner:
        assert owner.subscribe(topic) == [1]
    with Wire.connected(thief, unique()) as sender:
        assert sender.publish(topic, b"for the owner") in (0, 0x10)
    with Wire(thief) as stranger:
        answer = stranger.ask(connect(name, clean=False, expiry_s=600))
        assert (answer.code, answer.session_present) == (0x85, False)
    with Wire(victim) as owner:
        assert owner.ask(connect(name, clean=False, expiry_s=600)).session_present
        assert owner.next_of(PUBLISH).payload == b"for the owner"


# tests aws-iot [MQ-54], [MQ-60], [PL-11]
@pytest.mark.parametrize("will, code", cases(
    denied=(("secret/t", "w", 0, False), 0x87), retained=(("open/t", "w", 0, True), 0x87),
    reserved=(("$aws/events/presence/connected/x", "w", 0, False), 0x90),
    reserved_and_retained=(("$aws/things/x/shadow/update", "w", 0, True), 0x90),
    wildcard=(("open/#", "w", 0, False), 0x90), allowed=(("open/t", "w", 1, False), 0)))
def test_wills(enrol, will, code):
    device = enrol(("Connect", "client/*"), ("Publish", "topic/open/*"), ("Publish", "topic/$aws/*"),
                   ("RetainPublish", "topic/$aws/*"))
    with Wire(device) as stranger:
        answer = stranger.ask(connect(device.name, will=will))
        assert (answer.code if answer else None) == code
    if code != 0x90 and code is not None:
        with Wire(device, 4) as stranger:
            answer = stranger.ask(connect(device.name, 4, will=will))
            assert answer.code == (0 if code == 0 else 0x05)


# tests aws-iot [MQ-54], [MQ-31]
def test_retained_without_the_right_to(enrol, unique, shared_device):
    device = enrol(("Connect", "client/*"), ("Publish", "topic/*"))
    topic = unique("r")
    with Wire.connected(device) as stranger:
        assert stranger.publish(topic, qos=1, retain=True) == 0x87
        assert stranger.publish(topic, qos=2, retain=True) == 0x87
        assert stranger.publish(topic, qos=1, id=2) in (0, 0x10)
        answer = stranger.ask(publish(topic, retain=True))
        assert (answer.kind, answer.code) == (DISCONNECT, 0x87)
    with Wire.connected(device, version=4) as stranger:
        assert stranger.ask(publish(topic, retain=True, qos=1, version=4)) is None
    with Wire.connected(shared_device, unique()) as watcher:
        assert watcher.subscribe(topic) == [1]
        assert watcher.lives()


# tests aws-iot [MQ-30], [MQ-44]
def test_two_hundred_levels(shared_device, unique):
    deep = "/".join("x" * 200)
    with Wire.connected(shared_device, unique()) as stranger:
        assert stranger.subscribe(deep, f"{deep}/#", f"$share/g/{deep}") == [0x8F] * 3
        answer = stranger.ask(publish(deep, qos=1))
        assert (answer.kind, answer.code) == (DISCONNECT, 0x90)
    with Wire.connected(shared_device, unique(), version=4) as stranger:
        assert stranger.ask(publish("/" * 200, qos=1, version=4)) is None


# tests aws-iot [PL-20], [PL-21], [PL-23]
def test_ways_around_a_deny(enrol, unique, shared_device):
    device = enrol(*EVERYTHING, denied=[
        ("Subscribe", "topicfilter/secret/*"), ("Receive", "topic/secret/*"),
        ("Publish", "topic/secret/*")])
    with Wire.connected(device) as stranger, Wire.connected(shared_device, unique()) as owner:
        for refused in ("secret/t", "secret/#", "$share/g/secret/t", "$share/g/secret/#"):
            assert stranger.subscribe(refused) == [0x87], refused
        # Filters that only select what is denied are granted, and deliver nothing of it.
        assert stranger.subscribe("#", "+/t", "$share/g/#", "$share/g/+/t") == [1] * 4
        assert owner.publish("secret/t", b"secret", retain=True, id=2) in (0, 0x10)
        assert owner.publish("open/t", b"open", id=3) in (0, 0x10)
        got = {stranger.next_of(PUBLISH).payload for _ in range(4)}
        assert b"secret" not in got and b"open" in got
        assert stranger.subscribe("#") == [1]
        # An alias stands for its topic and is judged as it.
        assert stranger.publish("secret/t", id=4, extra=b"\x23\0\x01") == 0x87
        assert stranger.publish("", id=5, extra=b"\x23\0\x01") == 0x87
        assert stranger.publish("secret/t", id=6, qos=2) == 0x87
        assert owner.publish("secret/t", b"", retain=True, id=4) in (0, 0x10)


# tests aws-iot [PL-31]
def test_a_client_id_that_is_a_pattern(enrol, unique):
    device = enrol(("Connect", "*"), ("Publish", "topic/${iot:ClientId}/t"),
                   ("Subscribe", "topicfilter/${iot:ClientId}/t"))
    for client_id in ("*", "?", "+", "#", "a*"):
        with Wire(device) as stranger:
            assert stranger.ask(connect(client_id)).code == 0x87, client_id
    with Wire.connected(device, "x${iot:ClientId}") as stranger:
        assert stranger.publish("other/t") == 0x87
        assert stranger.subscribe("other/t", "+/t", "#") == [0x87] * 3


# 5. Too much of everything.


# tests aws-iot [MQ-40]
def test_a_subscription_bomb(shared_device, unique, beside):
    with Wire.connected(shared_device, unique()) as stranger:
        codes = []
        for start in range(0, 1000, 50):
            codes += stranger.subscribe(*(f"bomb/{n}/+/#" for n in range(start, start + 50)))
            beside.speak(1)
        assert codes == [1] * 100 + [0x97] * 900
        # Those it has may be renewed, and one given up makes room for one.
        assert stranger.subscribe("bomb/7/+/#") == [1]
        stranger.send(wire.unsubscribe("bomb/7/+/#"))
        assert stranger.next_of(wire.UNSUBACK).codes == [0]
        assert stranger.subscribe("bomb/new", "bomb/newer") == [1, 0x97]


def test_a_slow_reader_is_cut(shared_device, unique, beside):
    """It asks for everything and reads nothing; its neighbours go on."""
    topic, name = unique("slow"), unique("slow")
    with (Wire.connected(shared_device, name) as slow,
          Wire.connected(shared_device, unique()) as other,
          Wire.connected(shared_device, unique()) as sender):
        slow.tls.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        assert slow.subscribe(topic, qos=0) == [0]
        assert other.subscribe(topic) == [1]

        def is_cut():
            for id in range(1, 20):
                assert sender.publish(topic, b"x" * 60_000, id=id) in (0, 0x10)
                got = other.next_of(PUBLISH)
                assert len(got.payload) == 60_000
                other.send(acknowledge(PUBACK, got.id))
            beside.speak(1)
            history = shared_device.platform.cli("connections", "history", "-o", "json").stdout
            return any(row.get("clientId") == name and row.get("disconnectReason") == "THROTTLED"
                       for row in json.loads(history))

        eventually(is_cut, "the slow reader is cut")


# tests aws-iot [MQ-40]
def test_a_flood_of_connections(new_platform, tmp_path, unique):
    platform = new_platform("--set=device_keys=ecdsa-p256", "--set=broker.accepts_per_address_s=20")
    device = wire.enrol(platform, platform.client("iot"), tmp_path, unique("device"))
    with Wire.connected(device) as honest:
        with Silence(platform.port("mqtt")):
            eventually(lambda: "broker_refused_address_rate_total" in platform.metrics()
                       and counted(platform, "broker_refused_address_rate_total") > 200, "the flood")
            assert honest.lives() and honest.publish("a") in (0, 0x10)
            with Wire(device, source=("127.0.0.2", 0)) as neighbour:
                assert neighbour.ask(connect(unique())).code == 0

        def is_let_in_again():
            try:
                with Wire(device) as late:
                    answer = late.ask(connect(unique()))
                    return answer is not None and answer.code == 0
            except OSError:
                return False

        eventually(is_let_in_again, "the flood is over")
        assert honest.lives()


def counted(platform, name):
    return sum(float(line.rsplit(" ", 1)[1]) for line in platform.metrics().splitlines()
               if line.startswith(name))
