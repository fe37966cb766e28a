"""paho-mqtt, unmodified: MQTT 3.1.1 and 5 over mutual TLS."""

import json
import threading

import paho.mqtt.client as mqtt
import pytest

from conftest import EVERYTHING, eventually

VERSIONS = [mqtt.MQTTv311, mqtt.MQTTv5]


class Client:
    """A paho client whose events can be awaited."""

    def __init__(self, device, client_id=None, version=mqtt.MQTTv5, clean=True, expiry_s=0):
        self.received, self.connected, self.disconnected = [], [], []
        self.granted, self.published = {}, {}
        kind = {} if version == mqtt.MQTTv5 else {"clean_session": clean}
        self.mqtt = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, reconnect_on_failure=False,
                                client_id=client_id or device.name, protocol=version, **kind)
        self.mqtt.tls_set_context(device.tls())
        self.mqtt.on_connect = lambda c, u, flags, code, p: self.connected.append((flags, code))
        self.mqtt.on_disconnect = lambda c, u, f, code, p: self.disconnected.append(code)
        self.mqtt.on_message = lambda c, u, message: self.received.append(message)
        self.mqtt.on_subscribe = lambda c, u, mid, codes, p: self.granted.update({mid: codes})
        self.mqtt.on_publish = lambda c, u, mid, code, p: self.published.update({mid: code})
        self.arguments = {}
        if version == mqtt.MQTTv5:
            properties = mqtt.Properties(mqtt.PacketTypes.CONNECT)
            properties.SessionExpiryInterval = expiry_s
            self.arguments = {"clean_start": clean, "properties": properties}
        self.device = device

    def connect(self):
        self.mqtt.connect("localhost", self.device.platform.port("mqtt"), keepalive=60,
                          **self.arguments)
        self.mqtt.loop_start()
        eventually(lambda: self.connected or self.disconnected, "an answer to CONNECT")
        return self

    def code(self):
        return self.connected[-1][1].value if self.connected else None

    def subscribe(self, *filters, qos=1):
        _, mid = self.mqtt.subscribe([(name, qos) for name in filters])
        codes = eventually(lambda: self.granted.get(mid), "SUBACK")
        return [code.value for code in codes]

    def publish(self, topic, payload="x", qos=1, retain=False):
        info = self.mqtt.publish(topic, payload, qos=qos, retain=retain)
        eventually(lambda: info.mid in self.published or self.disconnected, "PUBACK")
        code = self.published.get(info.mid)
        return None if code is None else code.value

    def payloads(self):
        return [message.payload.decode() for message in self.received]

    def close(self):
        self.mqtt.disconnect()
        self.mqtt.loop_stop()


@pytest.fixture
def connect(request):
    opened = []

    def new(device, **options):
        client = Client(device, **options)
        opened.append(client)
        return client.connect()

    yield new
    for client in opened:
        client.close()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_what_is_allowed_arrives(new_device, connect, version, qos):
    device = new_device(*EVERYTHING)
    client = connect(device, version=version)
    assert client.code() == 0
    assert client.subscribe("a/+/c", qos=qos) == [qos]
    for number in range(20):
        client.publish("a/b/c", str(number), qos=qos)
    eventually(lambda: len(client.received) == 20, "every message")
    assert client.payloads() == [str(number) for number in range(20)]
    assert {message.qos for message in client.received} == {qos}


# tests aws-iot [PL-20]
def test_a_denied_publish_says_why(platform, new_device, connect):
    device = new_device(("Connect", "client/${iot:Connection.Thing.ThingName}"),
                        ("Publish", "topic/things/${iot:Connection.Thing.ThingName}/*"))
    client = connect(device)
    assert client.publish(f"things/{device.name}/t") in (0, 16)
    # tests aws-iot [MQ-31]
    assert client.publish("things/other/t") == 0x87
    assert not client.disconnected
    newest = json.loads(platform.cli("why", "-o", "json").stdout)
    denial = next(d for d in newest if d["resource"].endswith("topic/things/other/t"))
    told = platform.cli("why", denial["denialId"]).stdout
    assert "iot:Publish" in told and "things/other/t" in told
    assert "smallest edit" in told


# tests aws-iot [MQ-31]
def test_a_v3_client_is_closed_for_a_denied_publish(new_device, connect):
    device = new_device(("Connect", "client/*"))
    client = connect(device, version=mqtt.MQTTv311)
    client.publish("not/allowed")
    eventually(lambda: client.disconnected, "the connection closes")


# tests aws-iot [MQ-43]
def test_one_denied_filter_does_not_spoil_the_others(new_device, connect):
    device = new_device(("Connect", "client/*"), ("Subscribe", "topicfilter/a/*"))
    client = connect(device)
    assert client.subscribe("a/b", "secret/b") == [1, 0x87]


def test_another_client_id_is_refused(new_device, connect):
    device = new_device(("Connect", "client/${iot:Connection.Thing.ThingName}"))
    assert connect(device, client_id="somebody-else").code() == 0x87


def test_a_session_survives_the_connection(new_device, connect):
    device, other = new_device(*EVERYTHING), new_device(*EVERYTHING)
    first = connect(device, clean=True, expiry_s=3600)
    first.subscribe("queue/t")
    first.close()
    sender = connect(other)
    for number in range(5):
        assert sender.publish("queue/t", str(number)) in (0, 16)
    second = connect(device, clean=False, expiry_s=3600)
    assert second.connected[0][0].session_present
    eventually(lambda: len(second.received) == 5, "the queued messages")
    assert second.payloads() == ["0", "1", "2", "3", "4"]


def test_retained_messages_and_wills(new_device, connect, unique):
    device, other = new_device(*EVERYTHING), new_device(*EVERYTHING)
    topic = unique("r")
    connect(device).publish(topic, "kept", retain=True)
    watcher = connect(other)
    watcher.subscribe(topic)
    eventually(lambda: watcher.received, "the retained message")
    assert watcher.received[0].retain and watcher.payloads() == ["kept"]

    mortal = Client(device, client_id=f"{device.name}-mortal")
    mortal.mqtt.will_set(topic, "gone", qos=1)
    mortal.connect()
    assert mortal.code() == 0
    mortal.mqtt._sock_close()
    eventually(lambda: "gone" in watcher.payloads(), "the will")


def test_two_shared_subscribers_split_the_work(new_device, connect, unique):
    device = new_device(*EVERYTHING)
    topic = unique("work")
    workers = [connect(device, client_id=f"{device.name}-{n}") for n in range(2)]
    for worker in workers:
        assert worker.subscribe(f"$share/g/{topic}") == [1]
    sender = connect(device, client_id=f"{device.name}-sender")
    for number in range(40):
        sender.publish(topic, str(number))
    eventually(lambda: sum(len(w.received) for w in workers) == 40, "each message once")
    got = sorted(int(text) for worker in workers for text in worker.payloads())
    assert got == list(range(40))


def test_a_newer_connection_takes_the_session_over(new_device, connect):
    device = new_device(*EVERYTHING)
    first = connect(device)
    second = connect(device)
    # tests aws-iot [MQ-11]
    eventually(lambda: first.disconnected, "the first connection ends")
    assert first.disconnected[0].value == 0x8E
    assert second.code() == 0 and not second.disconnected


def test_many_clients_at_once(new_device, connect):
    device = new_device(*EVERYTHING)
    clients = []
    lock = threading.Lock()

    def run(number):
        client = connect(device, client_id=f"{device.name}-{number}")
        client.subscribe(f"many/{number}")
        for index in range(10):
            client.publish(f"many/{number}", str(index))
        with lock:
            clients.append(client)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(clients) == 20
    for client in clients:
        eventually(lambda: len(client.received) == 10, "its own messages")
