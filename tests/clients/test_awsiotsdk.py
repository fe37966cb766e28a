"""The AWS IoT Device SDK for Python v2, unmodified: mutual TLS and ALPN, MQTT 3.1.1 and 5."""

import concurrent.futures
import random
import socket
import threading

import pytest
from awscrt import mqtt, mqtt5
from awsiot import mqtt5_client_builder, mqtt_connection_builder

from conftest import EVERYTHING

PATIENCE_S = 30


@pytest.fixture(scope="module")
def alpn_platform(new_platform):
    """The SDK offers ALPN `x-amzn-mqtt-ca` on port 443 only, so a platform has it, on a loopback
    address that nobody else uses."""
    host = f"127.{random.randint(1, 254)}.{random.randint(1, 254)}.{random.randint(1, 254)}"
    try:
        socket.create_server((host, 443)).close()
    except OSError as error:
        # Not ours to have: without root (net.ipv4.ip_unprivileged_port_start), or a server of
        # this machine has it on every address.
        pytest.skip(f"port 443 cannot be bound: {error}")
    return host, new_platform(f"--listen-device={host}:443", f"--hosts=localhost,{host}")


@pytest.fixture(params=["8883", "443 with ALPN"])
def device_at(request, new_device):
    """A device, and the host and port to connect it to."""
    if request.param == "8883":
        device = new_device(*EVERYTHING)
        return device, "localhost", device.platform.port("mqtt")
    host, platform = request.getfixturevalue("alpn_platform")
    return new_device(*EVERYTHING, target=platform, client=platform.client("iot")), host, 443


# tests aws-iot [EP-3] [MQ-16]
def test_mqtt311(device_at):
    device, host, port = device_at
    connection = mqtt_connection_builder.mtls_from_path(
        endpoint=host, port=port, client_id=device.name,
        cert_filepath=device.certificate, pri_key_filepath=device.key,
        ca_filepath=device.platform.ca, clean_session=True, keep_alive_secs=30)
    assert connection.connect().result(PATIENCE_S) == {"session_present": False}
    arrived = concurrent.futures.Future()
    subscribed, _ = connection.subscribe(
        "sdk/t", mqtt.QoS.AT_LEAST_ONCE,
        lambda topic, payload, **_: arrived.set_result((topic, payload)))
    assert subscribed.result(PATIENCE_S)["qos"] == mqtt.QoS.AT_LEAST_ONCE
    published, _ = connection.publish("sdk/t", "hello", mqtt.QoS.AT_LEAST_ONCE)
    published.result(PATIENCE_S)
    assert arrived.result(PATIENCE_S) == ("sdk/t", b"hello")
    connection.disconnect().result(PATIENCE_S)


def client5(device, host="localhost", port=None):
    connected, failed = threading.Event(), concurrent.futures.Future()
    inbox = []
    arrived = threading.Condition()

    def received(data):
        with arrived:
            inbox.append(data.publish_packet)
            arrived.notify_all()

    client = mqtt5_client_builder.mtls_from_path(
        endpoint=host, port=port or device.platform.port("mqtt"),
        cert_filepath=device.certificate, pri_key_filepath=device.key,
        ca_filepath=device.platform.ca, client_id=device.name,
        on_publish_received=received,
        on_lifecycle_connection_success=lambda _: connected.set(),
        on_lifecycle_connection_failure=lambda data: failed.done() or failed.set_result(data))
    client.start()
    return client, connected, failed, inbox, arrived


def test_mqtt5(device_at):
    client, connected, _, inbox, arrived = client5(*device_at)
    assert connected.wait(PATIENCE_S)
    subscribed = client.subscribe(mqtt5.SubscribePacket(
        subscriptions=[mqtt5.Subscription(topic_filter="sdk5/+", qos=mqtt5.QoS.AT_LEAST_ONCE)]))
    codes = subscribed.result(PATIENCE_S).reason_codes
    assert codes == [mqtt5.SubackReasonCode.GRANTED_QOS_1]
    published = client.publish(mqtt5.PublishPacket(
        topic="sdk5/t", payload="hello", qos=mqtt5.QoS.AT_LEAST_ONCE, content_type="text/plain",
        user_properties=[mqtt5.UserProperty("k", "v")]))
    assert published.result(PATIENCE_S).puback.reason_code == mqtt5.PubackReasonCode.SUCCESS
    with arrived:
        assert arrived.wait_for(lambda: inbox, PATIENCE_S)
    packet = inbox[0]
    # tests aws-iot [MQ-82]
    assert (packet.payload, packet.content_type) == (b"hello", "text/plain")
    assert [(p.name, p.value) for p in packet.user_properties] == [("k", "v")]
    client.stop()


# tests aws-iot [MQ-31]
def test_a_denied_publish_gets_a_reason_code_and_an_id(new_device):
    device = new_device(("Connect", "client/*"))
    client, connected, _, _, _ = client5(device)
    assert connected.wait(PATIENCE_S)
    puback = client.publish(mqtt5.PublishPacket(
        topic="forbidden", payload="x", qos=mqtt5.QoS.AT_LEAST_ONCE)).result(PATIENCE_S).puback
    assert puback.reason_code == mqtt5.PubackReasonCode.NOT_AUTHORIZED
    assert "denial" in puback.reason_string
    client.stop()


def test_a_refused_client_id_gets_a_reason_code(new_device):
    device = new_device(("Connect", "client/nobody"))
    client, _, failed, _, _ = client5(device)
    connack = failed.result(PATIENCE_S).connack_packet
    assert connack.reason_code == mqtt5.ConnectReasonCode.NOT_AUTHORIZED
    client.stop()
