"""PUBLISH and its acknowledgements: sections 3.3 to 3.7, 4.3 and 4.9 of both standards."""

import pytest

import wire
from conformance.exchange import OK, deliver, leave, take, until_end
from conftest import eventually
from wire import (PINGRESP, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, acknowledge, publish, text,
                  u16, u32)


# tests mqtt5 [MQTT-3.3.4-1], [MQTT-2.2.1-2], [MQTT-2.2.1-5], [MQTT-3.4.2-1], [MQTT-3.5.2-1]
# tests mqtt5 [MQTT-3.7.2-1], [MQTT-4.3.2-4], [MQTT-4.3.3-8], [MQTT-4.3.3-11]
# tests mqtt311 [MQTT-3.3.4-1], [MQTT-2.3.1-5], [MQTT-2.3.1-6]
def test_each_qos_has_its_answer(broker, version, unique):
    with broker.connected(unique(), version) as client:
        client.send(publish("a/t", version=version))
        assert client.lives()
        answer = client.ask(publish("a/t", qos=1, id=65_535, version=version))
        assert (answer.kind, answer.id) == (PUBACK, 65_535) and answer.code in OK
        if broker.name == "aws":
            return
        answer = client.ask(publish("a/t", qos=2, id=65_535, version=version))
        assert (answer.kind, answer.id) == (PUBREC, 65_535) and answer.code in OK
        answer = client.ask(acknowledge(PUBREL, 65_535))
        assert (answer.kind, answer.id, answer.code) == (PUBCOMP, 65_535, 0)


# tests mqtt5 [MQTT-4.3.1-1], [MQTT-4.3.2-1], [MQTT-4.3.2-2], [MQTT-4.3.3-1], [MQTT-4.3.3-2]
# tests mqtt5 [MQTT-4.3.3-3], [MQTT-4.3.3-4], [MQTT-2.2.1-4], [MQTT-3.3.1-2], [MQTT-3.8.4-8]
# tests mqtt311 [MQTT-4.3.1-1], [MQTT-4.3.2-1], [MQTT-4.3.3-1], [MQTT-2.3.1-4], [MQTT-3.8.4-6]
@pytest.mark.parametrize("granted", [0, 1, 2])
@pytest.mark.parametrize("sent", [0, 1, 2])
def test_a_message_comes_at_the_lower_qos(broker, version, unique, sent, granted):
    if broker.name == "aws" and 2 in (sent, granted):
        pytest.skip("no QoS 2 there")
    topic = unique("t")
    with broker.connected(unique(), version) as receiver, broker.connected(unique()) as sender:
        assert receiver.subscribe(topic, qos=granted) == [granted]
        deliver(sender, topic, b"m", qos=sent, id=9)
        got = receiver.next_of(PUBLISH)
        assert (got.qos, got.dup, got.payload) == (min(sent, granted), False, b"m")
        if got.qos:
            assert got.id != 0
        if got.qos == 2:
            answer = receiver.ask(acknowledge(PUBREC, got.id))
            assert (answer.kind, answer.id) == (PUBREL, got.id)
            receiver.send(acknowledge(PUBCOMP, got.id))
        elif got.qos == 1:
            receiver.send(acknowledge(PUBACK, got.id))
        assert receiver.lives()


# tests mqtt5 [MQTT-3.3.1-3], [MQTT-4.3.2-5]; tests mqtt311 [MQTT-3.3.1-3], [MQTT-4.3.2-2]
def test_dup_is_not_passed_on_and_no_reason_to_drop(broker, version, unique):
    topic = unique("t")
    with broker.connected(unique(), version) as receiver, broker.connected(unique()) as sender:
        receiver.subscribe(topic)
        for payload, dup in ((b"one", False), (b"two", True)):
            # After PUBACK the packet id is a new message, whatever DUP says.
            assert sender.publish(topic, payload, id=5, dup=dup) in OK
            got = receiver.next_of(PUBLISH)
            assert (got.payload, got.dup) == (payload, False)
            receiver.send(acknowledge(PUBACK, got.id))


# tests mqtt5 [MQTT-4.3.3-10], [MQTT-4.3.3-12]; tests mqtt311 [MQTT-4.3.3-2]
def test_qos_2_is_routed_once_until_it_is_released(broker, version, unique):
    if broker.name == "aws":
        pytest.skip("no QoS 2 there")
    name, topic = unique(), unique("t")
    kept = {"clean": False, "expiry_s": 60 if version == 5 else None}
    with broker.connected(unique()) as receiver:
        receiver.subscribe(topic, qos=0)
        for dup in (False, True, True):
            # A repeat is for a new connection, and for nothing else.
            with broker.connected(name, version, **kept) as sender:
                answer = sender.ask(publish(topic, b"one", 2, 5, version=version, dup=dup))
                assert (answer.kind, answer.id) == (PUBREC, 5)
        with broker.connected(name, version, **kept) as sender:
            assert sender.ask(acknowledge(PUBREL, 5)).kind == PUBCOMP
            # The id is free, though DUP is set.
            deliver(sender, topic, b"two", 2, 5, dup=True)
            assert [one.payload for one in until_end(sender, receiver, topic)] == [b"one", b"two"]
        broker.connected(name, version).close()


# tests mqtt5 [MQTT-3.6.2-1], [MQTT-3.7.2-1]
def test_releases_of_nothing(broker, unique):
    """PUBREL without a message is answered all the same; the code says that there was none."""
    if broker.name == "aws":
        pytest.skip("no QoS 2 there")
    with broker.connected(unique()) as client:
        answer = client.ask(acknowledge(PUBREL, 77))
        assert (answer.kind, answer.id) == (PUBCOMP, 77) and answer.code in (0, 0x92)
        assert client.lives()


# tests mqtt5 [MQTT-4.3.3-9]
def test_a_refused_qos_2_message_frees_its_id(broker, unique):
    if broker.name != "standard":
        pytest.skip("needs a server that refuses a QoS 2 message and stays")
    device = wire.enrol(broker.platform, broker.platform.client("iot"), broker.device_directory,
                        unique("narrow"), allowed=[("Connect", "client/*"), ("Publish", "topic/ok")])
    with wire.Wire.connected(device) as client:
        for _ in range(2):
            answer = client.ask(publish("refused", qos=2, id=3))
            assert (answer.kind, answer.id, answer.code) == (PUBREC, 3, 0x87)
        assert client.publish("ok", qos=2, id=3) in OK
        assert client.ask(acknowledge(PUBREL, 3)).code == 0


# tests aws-iot [MQ-1], [MQ-82]
# tests mqtt5 [MQTT-3.3.2-4], [MQTT-3.3.2-15], [MQTT-3.3.2-16], [MQTT-3.3.2-17], [MQTT-3.3.2-18]
# tests mqtt5 [MQTT-3.3.2-20], [MQTT-3.3.2-13], [MQTT-3.3.2-19], [MQTT-1.5.7-1]
def test_what_a_message_says_of_itself_is_passed_on(broker, unique):
    topic = unique("t")
    said = (b"\x01\x01" + b"\x03" + text("text/plain; ü") + b"\x08" + text("answer/to")
            + b"\x09" + text(b"\0\xff") + wire.user("b", "1") + wire.user("a", "2")
            + wire.user("b", "1") + wire.user("", ""))
    with broker.connected(unique()) as receiver, broker.connected(unique(), 4) as old:
        receiver.subscribe(topic, qos=0)
        old.subscribe(topic, qos=0)
        receiver.send(publish(topic, "ü".encode(), extra=said))
        got = receiver.next_of(PUBLISH)
        assert got.payload == "ü".encode()
        for name, value in (("payload_format", 1), ("content_type", "text/plain; ü"),
                            ("response_topic", "answer/to"), ("correlation_data", b"\0\xff")):
            assert got.properties[name] == value
        users = [value for name, value in got.property_list if name == "user"]
        assert users == [("b", "1"), ("a", "2"), ("b", "1"), ("", "")]
        # Towards 3.1.1 there are no properties to say it in.
        assert old.next_of(PUBLISH).payload == "ü".encode()


# tests mqtt5 [MQTT-3.3.2-4], [MQTT-3.3.2-15], [MQTT-3.1.3-10], [MQTT-3.1.2-14]
def test_what_a_will_says_of_itself_is_passed_on(broker, unique):
    topic = unique("will")
    said = (b"\x01\x01" + b"\x03" + text("text") + b"\x08" + text("answer/to") + b"\x09"
            + text(b"\0") + b"\x02" + u32(100) + wire.user("b", "1") + wire.user("a", "2"))
    with broker.connected(unique()) as receiver:
        receiver.subscribe(topic)
        broker.connected(unique(), will=(topic, b"w", 1, False), will_extra=said).close()
        got = receiver.next_of(PUBLISH)
        assert (got.payload, got.qos, got.retain) == (b"w", 1, False)
        assert 98 <= got.properties.pop("message_expiry") <= 100
        users = [value for name, value in got.property_list if name == "user"]
        assert users == [("b", "1"), ("a", "2")]
        for name, value in (("payload_format", 1), ("content_type", "text"),
                            ("response_topic", "answer/to"), ("correlation_data", b"\0")):
            assert got.properties[name] == value


# tests mqtt5 [MQTT-3.3.2-1], [MQTT-3.3.2-2], [MQTT-4.7.0-1], [MQTT-4.7.3-1], [MQTT-4.7.3-2]
# tests mqtt311 [MQTT-3.3.2-1], [MQTT-3.3.2-2], [MQTT-4.7.1-1], [MQTT-4.7.3-1], [MQTT-4.7.3-2]
@pytest.mark.parametrize("topic", ["a/#", "+/a", "a+b", "#", "", b"a\0b", b"\xff"],
                         ids=["hash", "plus", "plus-within", "hash-alone", "empty", "null", "utf8"])
def test_topic_names(broker, version, unique, topic):
    client = broker.connected(unique(), version)
    said = client.send(publish(topic, qos=1, version=version)).rest()
    assert any(broker.ended(said, code, version) for code in (0x81, 0x82, 0x90))


# tests mqtt5 [MQTT-3.3.2-14]
@pytest.mark.parametrize("topic", ["a/#", "+", ""])
def test_response_topics(broker, unique, topic):
    if broker.name == "mosquitto" and topic == "":
        pytest.skip("an empty response topic: the standard is silent")
    client = broker.connected(unique())
    said = client.send(publish("a", extra=b"\x08" + text(topic))).rest()
    assert any(broker.ended(said, code, 5) for code in (0x81, 0x82, 0x90))


# tests mqtt5 [MQTT-3.3.1-2], [MQTT-3.3.1-4], [MQTT-3.3.4-6], [MQTT-2.2.1-3]
# tests mqtt311 [MQTT-3.3.1-2], [MQTT-3.3.1-4], [MQTT-2.3.1-1]
@pytest.mark.parametrize("first, id, extra, code", [
    (0x38, b"", b"", 0x81), (0x36, u16(1), b"", 0x81), (0x32, u16(0), b"", 0x82),
    (0x30, b"", b"\x0b\x01", 0x82)], ids=["dup-qos-0", "qos-3", "id-0", "identifier"])
def test_what_no_publish_may_be(broker, version, unique, first, id, extra, code):
    if version == 4 and extra:
        pytest.skip("no properties in 3.1.1")
    client = broker.connected(unique(), version)
    said = client.send(wire.packet(first, text("t"), id, wire.properties(version, extra))).rest()
    assert broker.ended(said, code, version) or broker.ended(said, 0x81, version)


# tests mqtt5 [MQTT-3.3.2-7], [MQTT-3.3.2-8], [MQTT-3.3.2-9], [MQTT-3.3.2-12], [MQTT-3.2.2-17]
def test_aliases_of_a_client(broker, unique):
    topic = unique("t")
    with broker.connected(unique()) as receiver:
        receiver.subscribe(topic, f"{topic}/other", qos=0)
        with broker.connected(unique()) as sender:
            most = sender.answer.properties["alias_maximum"]
            assert most > 0
            for alias in (1, most):
                sender.send(publish(topic, b"name", extra=b"\x23" + u16(alias)),
                            publish("", b"alias", extra=b"\x23" + u16(alias)))
            # Given to another topic, it stands for that from now on.
            sender.send(publish(f"{topic}/other", b"name", extra=b"\x23" + u16(1)),
                        publish("", b"alias", extra=b"\x23" + u16(1)))
            got = [receiver.next_of(PUBLISH) for _ in range(6)]
            assert [one.topic for one in got] == [topic] * 4 + [f"{topic}/other"] * 2
            assert all("alias" not in one.properties for one in got)
            said = sender.send(publish(topic, extra=b"\x23" + u16(most + 1))).rest()
            assert broker.ended(said, 0x94, 5)
        # Of one connection it means nothing to the next, and 0 means nothing to anybody.
        for alias, codes in ((1, (0x82, 0x94)), (0, (0x81, 0x94))):
            with broker.connected(unique()) as sender:
                said = sender.send(publish("", extra=b"\x23" + u16(alias))).rest()
                assert any(broker.ended(said, code, 5) for code in codes)


# tests mqtt5 [MQTT-3.1.2-26], [MQTT-3.1.2-27], [MQTT-3.3.2-11]
@pytest.mark.parametrize("most", [None, 0, 1, 2])
def test_aliases_towards_a_client(broker, unique, most):
    topics = [unique("t") for _ in range(3)]
    extra = b"" if most is None else b"\x22" + u16(most)
    with broker.connected(unique(), extra=extra) as receiver:
        receiver.subscribe(*topics, qos=0)
        names = {}
        for _ in range(3):
            for topic in topics:
                receiver.send(publish(topic, topic.encode()))
                got = receiver.next_of(PUBLISH)
                alias = got.properties.get("alias")
                if alias is not None:
                    assert 0 < alias <= (most or 0)
                    if got.topic:
                        names[alias] = got.topic
                # Named or not, it is the topic that was published to.
                assert (got.topic or names[alias]) == topic


# tests aws-iot [MQ-25], [MQ-55], [MQ-81]
# tests mqtt5 [MQTT-3.3.2-5], [MQTT-3.3.2-6], [MQTT-3.3.1-5], [MQTT-4.3.3-13]
def test_what_is_left_of_a_message(broker, unique):
    """The expiry counts down; at its end the message is gone, for new subscribers and queues."""
    topic, queue, name = unique("t"), unique("q"), unique()
    expiring = b"\x02" + u32(2)
    with broker.connected(name, clean=False, expiry_s=60) as away:
        away.subscribe(queue)
        leave(away)
    with broker.connected(unique()) as client:
        assert client.publish(queue, b"short", extra=expiring) in OK
        assert client.publish(queue, b"long", id=2, extra=b"\x02" + u32(1000)) in OK
        assert client.publish(topic, b"kept", id=3, retain=True, extra=expiring) in OK
        if broker.name != "aws":
            assert client.publish(queue, b"begun", 2, id=4, extra=expiring) in OK
        seen = []

        def gone():
            client.send(wire.subscribe(topic, qos=0), b"\xc0\x00")
            while True:
                one = client.next()
                if one.kind == PUBLISH:
                    seen.append(one.properties["message_expiry"])
                    return client.next_of(PINGRESP) is None
                if one.kind == PINGRESP:
                    return True

        eventually(gone, "the retained message is gone")
        assert seen and all(0 <= left <= 2 for left in seen) and seen == sorted(seen, reverse=True)
        assert min(seen) < 2
        if broker.name != "aws":
            # The exchange goes on all the same.
            assert client.ask(acknowledge(PUBREL, 4)).code == 0
        with broker.connected(name, clean=False, expiry_s=0) as back:
            got = back.next_of(PUBLISH)
            assert got.payload == b"long" and 900 < got.properties["message_expiry"] < 1000


# tests aws-iot [MQ-86]
# tests mqtt5 [MQTT-3.1.2-24], [MQTT-3.1.2-25]
def test_what_is_too_large_for_a_client_counts_as_delivered(broker, unique):
    topic = unique("t")
    with broker.connected(unique(), extra=b"\x27" + u32(100) + b"\x21" + u16(1)) as receiver, \
            broker.connected(unique()) as sender:
        receiver.subscribe(topic)
        for id, size in enumerate((10, 200, 20, 200, 30), 1):
            assert sender.publish(topic, b"x" * size, id=id) in OK
        for size in (10, 20, 30):
            got = receiver.next_of(PUBLISH)
            assert len(got.payload) == size
            receiver.send(acknowledge(PUBACK, got.id))
        assert receiver.lives()


# tests mqtt5 [MQTT-3.2.2-15]
def test_what_is_too_large_for_the_server(broker, unique):
    client = broker.connected(unique())
    most = client.answer.properties.get("packet_bytes")
    if most is None:
        pytest.skip("it takes anything")
    said = client.send(b"\x30" + wire.number(most)).rest()
    assert broker.ended(said, 0x95, 5)


# tests mqtt5 [MQTT-3.3.4-9], [MQTT-3.3.4-10], [MQTT-4.9.0-1], [MQTT-4.9.0-2], [MQTT-4.9.0-3]
@pytest.mark.parametrize("qos", [1, 2])
def test_the_window_of_a_client(broker, unique, qos):
    if broker.name == "aws" and qos == 2:
        pytest.skip("no QoS 2 there")
    topic = unique("t")
    with broker.connected(unique(), extra=b"\x21" + u16(2)) as receiver, \
            broker.connected(unique()) as sender:
        receiver.subscribe(topic, qos=qos)
        for number in range(5):
            deliver(sender, topic, b"%d" % number, qos)
        open_now = [receiver.next_of(PUBLISH) for _ in range(2)]
        # Nothing but QoS 1 and 2 messages waits for the window.
        sender.send(publish(topic, b"zero"))
        assert receiver.next_of(PUBLISH).payload == b"zero"
        assert receiver.subscribe(unique("u"), id=7) == [1]
        assert receiver.lives()
        first, second = open_now
        if qos == 2:
            receiver.send(acknowledge(PUBREC, second.id), acknowledge(PUBREC, first.id))
            assert [receiver.next().id for _ in range(2)] == [second.id, first.id]
            # Received is not released: the window is as full as it was.
            assert receiver.lives()
        kind = PUBACK if qos == 1 else PUBCOMP
        receiver.send(acknowledge(kind, first.id), acknowledge(kind, second.id))
        order = [one.payload for one in open_now + take(receiver, 3)]
        assert order == [b"%d" % number for number in range(5)]


# tests mqtt5 [MQTT-3.3.4-7]
def test_the_window_of_the_server(broker, unique):
    if broker.name == "aws":
        pytest.skip("no QoS 2 there, and QoS 1 is acknowledged at once")
    client = broker.connected(unique())
    most = client.answer.properties.get("receive_maximum", 65_535)
    if most > 5000:
        pytest.skip("too wide to fill")
    # Never released, so that every one takes up the window.
    client.send(*(publish("w/t", qos=2, id=id) for id in range(1, most + 2)))
    said = client.rest()
    assert [one.kind for one in said[:-1]] == [PUBREC] * (len(said) - 1)
    assert (said[-1].kind, said[-1].code) == (wire.DISCONNECT, 0x93) and len(said) <= most + 1


# tests mqtt5 [MQTT-4.4.0-2], [MQTT-4.3.3-3]
@pytest.mark.parametrize("qos", [1, 2])
def test_a_refusing_acknowledgement_is_one(broker, unique, qos):
    if broker.name == "aws" and qos == 2:
        pytest.skip("no QoS 2 there")
    name, topic = unique(), unique("t")
    with broker.connected(unique()) as sender:
        with broker.connected(name, clean=False, expiry_s=60) as receiver:
            receiver.subscribe(topic, qos=qos)
            deliver(sender, topic, b"unwanted", qos)
            got = receiver.next_of(PUBLISH)
            receiver.send(acknowledge(PUBACK if qos == 1 else PUBREC, got.id, 0x83))
            assert receiver.lives()
        with broker.connected(name, clean=False, expiry_s=0) as receiver:
            assert receiver.answer.session_present and receiver.lives()


# tests mqtt5 [MQTT-4.6.0-2], [MQTT-4.6.0-3], [MQTT-4.6.0-4]
# tests mqtt311 [MQTT-4.6.0-2], [MQTT-4.6.0-3], [MQTT-4.6.0-4]
def test_answers_come_in_order(broker, version, unique):
    ids = [9, 3, 200, 1, 77]
    with broker.connected(unique(), version) as client:
        client.send(*(publish("o/t", qos=1, id=id, version=version) for id in ids))
        assert [client.next_of(PUBACK).id for _ in ids] == ids
        if broker.name == "aws":
            return
        client.send(*(publish("o/t", qos=2, id=id, version=version) for id in ids))
        assert [client.next_of(PUBREC).id for _ in ids] == ids
        client.send(*(acknowledge(PUBREL, id) for id in ids))
        assert [client.next_of(PUBCOMP).id for _ in ids] == ids
        topic = unique("t")
        client.subscribe(topic, qos=2)
        with broker.connected(unique()) as sender:
            for id in ids:
                deliver(sender, topic, b"x", 2, id)
        sent = [client.next_of(PUBLISH).id for _ in ids]
        client.send(*(acknowledge(PUBREC, id) for id in sent))
        assert [client.next_of(PUBREL).id for _ in ids] == sent


# tests aws-iot [MQ-5]
# tests mqtt5 [MQTT-4.6.0-5], [MQTT-4.6.0-6]; tests mqtt311 [MQTT-4.6.0-5], [MQTT-4.6.0-6]
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_messages_come_in_order(broker, version, unique, qos):
    if broker.name == "aws" and qos == 2:
        pytest.skip("no QoS 2 there")
    topic = unique("t")
    with broker.connected(unique(), version) as receiver, broker.connected(unique()) as sender:
        receiver.subscribe(topic, qos=qos)
        sent = [b"%d" % number for number in range(90)]
        sender.send(*(publish(topic, payload, qos, id=1 + n) for n, payload in enumerate(sent)))
        if qos == 2:
            sender.send(*(acknowledge(PUBREL, sender.next_of(PUBREC).id) for _ in sent))
        assert [one.payload for one in take(receiver, len(sent))] == sent


# tests mqtt311 [MQTT-3.3.5-2]; tests mqtt5 [MQTT-3.4.2-1]
def test_a_publish_that_is_not_allowed(broker, version, unique):
    if broker.name == "mosquitto":
        pytest.skip("it is given no access list here")
    device = wire.enrol(broker.platform, broker.platform.client("iot"), broker.device_directory,
                        unique("narrow"), allowed=[("Connect", "client/*")])
    with wire.Wire.connected(device, version=version) as client:
        answer = client.ask(publish("refused", qos=1, version=version))
        assert (answer and answer.code) == (0x87 if version == 5 else None)


# tests aws-iot [MQ-84]
# tests mqtt5 [MQTT-3.1.2-29]
@pytest.mark.parametrize("asked, told", [(None, True), (1, True), (0, False)])
def test_problem_information(broker, unique, asked, told):
    if broker.name == "mosquitto":
        pytest.skip("it is given no access list here")
    device = wire.enrol(broker.platform, broker.platform.client("iot"), broker.device_directory,
                        unique("narrow"), allowed=[("Connect", "client/*")])
    extra = b"" if asked is None else bytes([0x17, asked])
    with wire.Wire.connected(device, extra=extra) as client:
        answer = client.ask(publish("refused", qos=1))
        assert (answer.kind, answer.code, "reason" in answer.properties) == (PUBACK, 0x87, told)
        answer = client.ask(wire.subscribe("refused", id=2))
        assert (answer.codes, "reason" in answer.properties) == ([0x87], told)
        # In DISCONNECT a reason is always allowed.
        answer = client.ask(publish("refused"))
        assert answer.code == 0x87 and answer.properties["reason"]
