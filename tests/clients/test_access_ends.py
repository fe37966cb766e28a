"""What is taken away is gone at once: on live sessions, queues, other client ids, HTTPS."""

import json
import http.client
import pathlib
import socket
import ssl
import tempfile

import pytest

from conftest import EVERYTHING, Device, eventually
from test_paho import Client


def deny_everything(platform, iot, name):
    document = {"Version": "2012-10-17",
                "Statement": [{"Effect": "Deny", "Action": "iot:*", "Resource": "*"}]}
    iot.create_policy(policyName=name, policyDocument=json.dumps(document))


def ended(client):
    eventually(lambda: client.disconnected, "the live session ends")
    return client.disconnected[0].value


# tests aws-iot [CT-31]
@pytest.mark.parametrize("status", ["REVOKED", "INACTIVE"])
def test_certificate_status(iot, new_device, status):
    device = new_device(*EVERYTHING)
    client = Client(device).connect()
    assert client.code() == 0
    iot.update_certificate(certificateId=device.certificate_id, newStatus=status)
    assert ended(client) == 0x87
    again = Client(device)
    try:
        again.connect()
        assert again.code() is None
    except (ssl.SSLError, OSError):
        pass


def test_revoke_prints_a_receipt(platform, new_device):
    device = new_device(*EVERYTHING)
    client = Client(device).connect()
    client.subscribe("a/b")
    receipt = json.loads(platform.cli("revoke", device.certificate_id, "-o", "json").stdout)
    assert receipt["status"] == "REVOKED"
    assert receipt["sessionsClosed"] == 1
    assert receipt["elapsedMs"] < 10_000
    ended(client)


def test_a_new_policy_version(platform, iot, new_device):
    device = new_device(*EVERYTHING)
    client = Client(device).connect()
    assert client.publish("a/b") in (0, 16)
    narrower = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "iot:Connect", "Resource": "*"}]}
    iot.create_policy_version(policyName=device.policy, policyDocument=json.dumps(narrower),
                              setAsDefault=True)
    eventually(lambda: client.publish("a/b") == 0x87, "the policy reaches the live session")
    assert not client.disconnected


# tests aws-iot [PL-52]
def test_detaching_the_policy_ends_the_connection(iot, new_device):
    device = new_device(*EVERYTHING)
    client = Client(device).connect()
    iot.detach_policy(policyName=device.policy, target=device.certificate_arn)
    assert ended(client) == 0x87


def test_subscriptions_already_made(platform, iot, new_device):
    device, sender = new_device(*EVERYTHING), new_device(*EVERYTHING)
    client, other = Client(device).connect(), Client(sender).connect()
    client.subscribe("open/t", "secret/t")
    document = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "iot:*", "Resource": "*"},
        {"Effect": "Deny", "Action": "iot:Receive", "Resource": platform.arn("topic/secret/*")}]}
    made = iot.create_policy_version(policyName=device.policy, setAsDefault=True,
                                     policyDocument=json.dumps(document))
    change = made["ResponseMetadata"]["HTTPHeaders"]["x-palisade-change"]
    assert change
    eventually(lambda: _delivers_only_open(other, client), "the policy reaches the deliveries")


def _delivers_only_open(sender, client):
    before = len(client.received)
    sender.publish("secret/t", "s")
    sender.publish("open/t", "o")
    eventually(lambda: "o" in client.payloads()[before:], "the open message")
    return "s" not in client.payloads()[before:]


# tests aws-iot [PL-50]
@pytest.mark.parametrize("client_id", ["its own", "another"])
def test_quarantine_holds_under_any_client_id(platform, iot, new_device, unique, client_id):
    device = new_device(*EVERYTHING)
    group, policy = unique("quarantine"), unique("deny")
    deny_everything(platform, iot, policy)
    iot.create_thing_group(thingGroupName=group)
    iot.attach_policy(policyName=policy, target=platform.arn(f"thinggroup/{group}"))
    name = device.name if client_id == "its own" else f"{device.name}-walk-around"
    client = Client(device, client_id=name).connect()
    assert client.code() == 0
    iot.add_thing_to_thing_group(thingName=device.name, thingGroupName=group)
    assert ended(client) == 0x87
    for attempt in (name, unique("fresh")):
        assert Client(device, client_id=attempt).connect().code() == 0x87
    # tests aws-iot [PL-10]
    assert https_publish(device, "a/b").status == 403
    iot.remove_thing_from_thing_group(thingName=device.name, thingGroupName=group)
    eventually(lambda: Client(device, client_id=name).connect().code() == 0, "release")


def https_publish(device, topic, connection=None):
    connection = connection or http.client.HTTPSConnection(
        "localhost", device.platform.port("https"), context=device.tls(), timeout=10)
    connection.request("POST", f"/topics/{topic}?qos=1", body=b"over https")
    answer = connection.getresponse()
    answer.body = answer.read()
    return answer


# tests aws-iot [EP-40]
def test_https_publish_and_its_end(iot, new_device):
    device, watcher = new_device(*EVERYTHING), new_device(*EVERYTHING)
    client = Client(watcher).connect()
    client.subscribe("over/https")
    connection = http.client.HTTPSConnection("localhost", device.platform.port("https"),
                                             context=device.tls(), timeout=10)
    answer = https_publish(device, "over%2Fhttps", connection)
    assert (answer.status, json.loads(answer.body)["message"]) == (200, "OK")
    eventually(lambda: client.payloads() == ["over https"], "the message")
    iot.update_certificate(certificateId=device.certificate_id, newStatus="REVOKED")
    # The connection is kept alive, so TLS alone would not notice.
    assert https_publish(device, "over%2Fhttps", connection).status in (401, 403)


# tests aws-iot [EP-14]
def test_a_resumed_tls_session_is_judged_again(iot, new_device):
    device = new_device(*EVERYTHING)
    context = device.tls()
    port = device.platform.port("https")

    def request(session=None):
        raw = socket.create_connection(("localhost", port), timeout=10)
        tls = context.wrap_socket(raw, server_hostname="localhost", session=session)
        tls.sendall(b"POST /topics/a?qos=1 HTTP/1.1\r\nHost: localhost\r\n"
                    b"Content-Length: 1\r\nConnection: close\r\n\r\nx")
        answer = b""
        while chunk := tls.recv(4096):
            answer += chunk
        return answer.split(b"\r\n")[0], tls.session, tls.session_reused

    status, ticket, reused = request()
    assert b"200" in status and not reused
    status, _, reused = request(ticket)
    assert b"200" in status and reused
    iot.update_certificate(certificateId=device.certificate_id, newStatus="REVOKED")
    try:
        status, _, _ = request(ticket)
        assert b"200" not in status
    except (ssl.SSLError, OSError):
        pass


def test_detaching_the_thing_takes_its_rights(platform, iot, new_device):
    device = new_device(("Connect", "client/*"),
                        ("Publish", "topic/t/${iot:Connection.Thing.ThingName}"))
    client = Client(device).connect()
    assert client.publish(f"t/{device.name}") in (0, 16)
    iot.detach_thing_principal(thingName=device.name, principal=device.certificate_arn)
    eventually(lambda: client.publish(f"t/{device.name}") == 0x87, "the variable is undefined now")


# tests aws-iot [PL-33]
def test_an_attribute_changes_verdicts(platform, iot, unique):
    name, policy = unique("device"), unique("policy")
    iot.create_thing(thingName=name, attributePayload={"attributes": {"site": "north"}})
    document = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "iot:Connect", "Resource": "*"},
        {"Effect": "Allow", "Action": "iot:Publish", "Resource": "*", "Condition": {
            "StringEquals": {"iot:Connection.Thing.Attributes[site]": "north"}}}]}
    iot.create_policy(policyName=policy, policyDocument=json.dumps(document))
    keys = iot.create_keys_and_certificate(setAsActive=True)
    iot.attach_policy(policyName=policy, target=keys["certificateArn"])
    iot.attach_thing_principal(thingName=name, principal=keys["certificateArn"])
    with tempfile.TemporaryDirectory() as directory:
        device = Device(platform, name, keys, policy, pathlib.Path(directory))
        client = Client(device).connect()
        assert client.publish("t") in (0, 16)
        iot.update_thing(thingName=name, attributePayload={"attributes": {"site": "south"}})
        eventually(lambda: client.publish("t") == 0x87, "the attribute reaches the session")
        client.close()


def https_over(device, session=None):
    """Status of a publish on a connection of its own, its TLS session, and whether that resumed."""
    raw = socket.create_connection(("localhost", device.platform.port("https")), timeout=10)
    with device.context.wrap_socket(raw, server_hostname="localhost", session=session) as tls:
        tls.sendall(b"POST /topics/a?qos=1 HTTP/1.1\r\nHost: localhost\r\n"
                    b"Content-Length: 1\r\nConnection: close\r\n\r\nx")
        answer = b""
        while chunk := tls.recv(4096):
            answer += chunk
        return int(answer.split(b" ")[1]), tls.session, tls.session_reused


# tests aws-iot [EP-14] [PL-50]
def test_quarantine_holds_on_a_resumed_tls_session(platform, iot, new_device, unique):
    device = new_device(*EVERYTHING)
    device.context = device.tls()
    status, ticket, _ = https_over(device)
    assert status == 200
    group, policy = unique("quarantine"), unique("deny")
    deny_everything(platform, iot, policy)
    iot.create_thing_group(thingGroupName=group)
    iot.attach_policy(policyName=policy, target=platform.arn(f"thinggroup/{group}"))
    iot.add_thing_to_thing_group(thingName=device.name, thingGroupName=group)
    status, ticket, reused = https_over(device, ticket)
    assert (status, reused) == (403, True)
    iot.remove_thing_from_thing_group(thingName=device.name, thingGroupName=group)
    assert https_over(device, ticket)[0] == 200


def test_attaching_a_deny(platform, iot, new_device, unique):
    device, policy = new_device(*EVERYTHING), unique("deny")
    document = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Deny", "Action": "iot:Publish", "Resource": "*"}]}
    iot.create_policy(policyName=policy, policyDocument=json.dumps(document))
    client = Client(device).connect()
    assert client.publish("a/b") in (0, 16)
    iot.attach_policy(policyName=policy, target=device.certificate_arn)
    eventually(lambda: client.publish("a/b") == 0x87, "the deny reaches the live session")
    iot.detach_policy(policyName=policy, target=device.certificate_arn)
    eventually(lambda: client.publish("a/b") in (0, 16), "and leaves it")
    client.close()


# tests aws-iot [MQ-24]
@pytest.mark.parametrize("change", ["policy", "revoked"])
def test_queued_messages_are_judged_when_they_are_delivered(platform, iot, new_device, change):
    device, sender = new_device(*EVERYTHING), Client(new_device(*EVERYTHING)).connect()
    client = Client(device, expiry_s=3600).connect()
    client.subscribe("open/t", "secret/t")
    client.close()
    for topic in ("secret/t", "open/t"):
        assert sender.publish(topic, topic) == 0
    sender.close()
    if change == "policy":
        document = {"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "iot:*", "Resource": "*"},
            {"Effect": "Deny", "Action": "iot:Receive", "Resource": platform.arn("topic/secret/*")}]}
        iot.create_policy_version(policyName=device.policy, setAsDefault=True,
                                  policyDocument=json.dumps(document))
        again = Client(device, clean=False, expiry_s=3600).connect()
        eventually(lambda: again.received, "the open message")
        assert again.payloads() == ["open/t"]
        again.close()
        return
    iot.update_certificate(certificateId=device.certificate_id, newStatus="REVOKED")
    # Another certificate of the same thing has the thing's session, and its own rights.
    other = new_device(("Connect", "client/*"), attach_thing=False)
    iot.attach_thing_principal(thingName=device.name, principal=other.certificate_arn)
    again = Client(other, client_id=device.name, clean=False, expiry_s=3600).connect()
    assert again.connected[0][0].session_present
    again.mqtt.publish("end", qos=1)
    eventually(lambda: again.published, "an answer, behind which nothing was delivered")
    assert again.received == []
    again.close()


def test_a_refused_certificate_is_logged_with_its_fingerprint(platform, iot, new_device):
    device = new_device(*EVERYTHING)
    iot.update_certificate(certificateId=device.certificate_id, newStatus="INACTIVE")
    client = Client(device)
    try:
        client.connect()
        assert client.code() is None
    except (ssl.SSLError, OSError):
        pass

    def told():
        lines = [line for line in platform.log_text().splitlines() if device.certificate_id in line]
        return any("INACTIVE" in line for line in lines)

    eventually(told, "a line with the fingerprint and the reason")
    data = platform.client("iot-data")
    with pytest.raises(data.exceptions.ResourceNotFoundException):
        data.get_connection(clientId=device.name)


# tests aws-iot [PL-42] [MQ-96]
@pytest.mark.parametrize("effect, allowed", [("Allow", {"cmd/x"}), ("Deny", {"other/x"})])
def test_a_user_sends_directly_on_some_topics_only(platform, new_device, unique, effect, allowed):
    iam, name = platform.client("iam"), unique("operator")
    statements = [{"Effect": effect, "Action": "iot:SendDirectMessage", "Resource": "*",
                   "Condition": {"StringLike": {"iot:Topic": "cmd/*"}}}]
    if effect == "Deny":
        statements.append({"Effect": "Allow", "Action": "iot:*", "Resource": "*"})
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps(
        {"Version": "2012-10-17", "Statement": statements}))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    data = platform.client("iot-data", aws_access_key_id=key["AccessKeyId"],
                           aws_secret_access_key=key["SecretAccessKey"])
    device = new_device(*EVERYTHING)
    client = Client(device).connect()
    for topic in ("cmd/x", "other/x"):
        send = lambda: data.send_direct_message(clientId=device.name, topic=topic, payload=b"x")
        if topic in allowed:
            send()
        else:
            with pytest.raises(data.exceptions.ForbiddenException):
                send()
    eventually(lambda: [message.topic for message in client.received] == list(allowed), "the message")
