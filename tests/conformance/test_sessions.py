"""Sessions beyond a connection: wills, resume, expiry; 3.1.2.5, 3.1.3.2, 4.1, 4.4 of both."""

import pytest

import wire
from conformance.exchange import deliver, leave, quiet, take, until_end
from wire import (PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, Closed, acknowledge, disconnect,
                  publish, u16, u32)


def kept(version, expiry_s=60):
    """What asks for a session that outlives its connection."""
    return {"clean": False, "expiry_s": expiry_s if version == 5 else None}


def forget(broker, name, version):
    """Ends a session that a test has left."""
    broker.connected(name, version).close()


# tests aws-iot [MQ-61]
# tests mqtt5 [MQTT-3.1.2-7], [MQTT-3.1.2-8], [MQTT-3.1.2-10], [MQTT-3.1.2-14], [MQTT-3.1.2-15]
# tests mqtt5 [MQTT-3.14.4-3]
# tests mqtt311 [MQTT-3.1.2-8], [MQTT-3.1.2-10], [MQTT-3.1.2-12], [MQTT-3.1.2-16]
# tests mqtt311 [MQTT-3.1.2-17], [MQTT-3.14.4-3]
@pytest.mark.parametrize("ending, sent", [
    ("lost", True), ("disconnect", False), ("disconnect-with-will", True), ("second-connect", True),
    ("malformed", True), ("taken-over", True)])
@pytest.mark.parametrize("retain", [False, True], ids=["plain", "retained"])
def test_when_a_will_is_published(broker, version, unique, ending, sent, retain):
    if version == 4 and ending == "disconnect-with-will":
        pytest.skip("no such thing in 3.1.1")
    name, topic = unique(), unique("will")
    with broker.connected(unique(), version) as witness:
        witness.subscribe(topic)
        client = broker.connected(name, version, will=(topic, b"w", 1, retain))
        if ending == "lost":
            client.close()
        elif ending == "taken-over":
            broker.connected(name, version)
        else:
            last = {"disconnect": disconnect(), "disconnect-with-will": disconnect(4),
                    "second-connect": wire.connect(name, version), "malformed": b"\xf1\x00"}
            client.send(last[ending]).rest()
        if sent:
            assert [(one.payload, one.retain) for one in take(witness)] == [(b"w", False)]
        assert until_end(witness, witness, topic) == []
        with broker.connected(unique(), version) as later:
            later.subscribe(topic)
            found = [(one.payload, one.retain) for one in quiet(later)]
            assert found == ([(b"w", True)] if sent and retain else [])
        deliver(witness, topic, b"", 0, retain=True)


# tests mqtt311 [MQTT-3.1.2-12]; tests mqtt5 [MQTT-3.1.2-8]
def test_a_connection_without_a_will_ends_without_one(broker, version, unique):
    name, topic = unique(), unique("will")
    with broker.connected(unique()) as witness:
        witness.subscribe(topic)
        broker.connected(name, version, will=(topic, b"w", 0, False)).send(disconnect()).rest()
        # The will belonged to the connection before.
        broker.connected(name, version).close()
        assert until_end(witness, witness, topic) == []


# tests aws-iot [MQ-63], [MQ-64]
# tests mqtt5 [MQTT-3.1.3-9], [MQTT-3.1.2-8]
def test_a_delayed_will(broker, unique):
    name, topic = unique(), unique("will")
    will = {"will": (topic, b"w", 0, False), "will_extra": b"\x18" + u32(1)}
    with broker.connected(unique()) as witness:
        witness.subscribe(topic)
        broker.connected(name, clean=False, expiry_s=60, **will).close()
        # Back in time: the will is taken away.
        with broker.connected(name, clean=False, expiry_s=60, **will) as back:
            assert until_end(back, witness, topic) == []
        # Not back in time, which is the delay and not the session.
        assert take(witness)[0].payload == b"w"
        # The session ends before the delay does.
        long = b"\x18" + u32(600)
        broker.connected(name, expiry_s=1, will=will["will"], will_extra=long).close()
        assert take(witness)[0].payload == b"w"


# tests mqtt5 [MQTT-3.1.2-8]
def test_a_delayed_will_goes_with_the_session_that_is_discarded(broker, unique):
    name, topic = unique(), unique("will")
    with broker.connected(unique()) as witness:
        witness.subscribe(topic)
        broker.connected(name, expiry_s=600, will=(topic, b"w", 0, False),
                         will_extra=b"\x18" + u32(600)).close()
        # Clean Start ends the session, and with it the delay.
        with broker.connected(name):
            assert take(witness)[0].payload == b"w"


# tests mqtt5 [MQTT-4.1.0-2], [MQTT-3.1.2-23]
def test_a_session_ends_when_its_time_is_up(broker, unique):
    name, topic = unique(), unique("will")
    with broker.connected(unique()) as witness:
        witness.subscribe(topic)
        # The will says when the session is over; its own delay is longer.
        broker.connected(name, expiry_s=1, will=(topic, b"w", 0, False),
                         will_extra=b"\x18" + u32(600)).close()
        take(witness)
        with broker.connected(name, clean=False, expiry_s=0) as back:
            assert not back.answer.session_present


# tests mqtt5 [3.14.2.2.2], [MQTT-4.1.0-1]
@pytest.mark.parametrize("first, last, present", [
    (60, 0, False), (60, 30, True), (60, None, True)])
def test_disconnect_changes_the_session_expiry(broker, unique, first, last, present):
    name = unique()
    extra = b"" if last is None else b"\x11" + u32(last)
    client = broker.connected(name, clean=False, expiry_s=first)
    client.send(disconnect(0, extra)).rest()
    with broker.connected(name, clean=False, expiry_s=0) as back:
        assert back.answer.session_present == present


# tests mqtt5 [3.14.2.2.2]
def test_a_session_that_ends_cannot_be_kept_after_all(broker, unique):
    name = unique()
    client = broker.connected(name, clean=False, expiry_s=0)
    said = client.send(disconnect(0, b"\x11" + u32(60))).rest()
    assert broker.ended(said, 0x82, 5)
    with broker.connected(name, clean=False, expiry_s=0) as back:
        assert not back.answer.session_present


# tests mqtt5 [MQTT-4.1.0-1]; tests mqtt311 [MQTT-4.1.0-1], [MQTT-4.1.0-2]
def test_a_session_lasts_at_least_as_long_as_its_connection(broker, version, unique):
    topic = unique("t")
    options = {"expiry_s": 0} if version == 5 else {}
    with broker.connected(unique(), version, **options) as client:
        client.subscribe(topic, qos=0)
        for number in range(20):
            client.send(publish(topic, b"%d" % number, version=version))
            assert client.next_of(PUBLISH).payload == b"%d" % number


# tests aws-iot [MQ-22], [MQ-23], [MQ-26]
# tests mqtt5 [MQTT-3.1.2-5], [MQTT-4.5.0-1], [MQTT-4.6.0-5], [MQTT-3.1.2-23]
# tests mqtt311 [MQTT-3.1.2-4], [MQTT-3.1.2-5], [MQTT-4.5.0-1], [MQTT-4.1.0-1]
@pytest.mark.parametrize("back_version", [5, 4], ids=["back-v5", "back-v311"])
def test_a_session_takes_messages_while_its_client_is_away(broker, version, back_version, unique):
    name, topic = unique(), unique("t")
    highest = 1 if broker.name == "aws" else 2
    with broker.connected(name, version, **kept(version)) as client:
        client.subscribe(f"{topic}/+", qos=highest)
        leave(client)
    with broker.connected(unique()) as sender:
        for number in range(10):
            deliver(sender, f"{topic}/{number}", b"%d" % number, 1 + number % highest)
    with broker.connected(name, back_version, **kept(back_version)) as client:
        assert client.answer.session_present
        got = take(client, 10)
        assert [one.payload for one in got] == [b"%d" % number for number in range(10)]
        assert not any(one.dup for one in got)
        assert quiet(client) == []
    forget(broker, name, version)


# tests aws-iot [MQ-36]
# tests mqtt5 [MQTT-4.4.0-1], [MQTT-4.6.0-1], [MQTT-3.3.1-1], [MQTT-4.3.2-3], [MQTT-4.3.3-5]
# tests mqtt5 [MQTT-4.3.3-6]
# tests mqtt311 [MQTT-4.4.0-1], [MQTT-4.6.0-1], [MQTT-3.3.1-1], [MQTT-2.3.1-3], [MQTT-4.3.2-1]
# tests mqtt311 [MQTT-4.3.3-1]
def test_what_was_not_acknowledged_is_sent_again(broker, version, unique):
    name, topic = unique(), unique("t")
    qos_2 = broker.name != "aws"
    with broker.connected(unique()) as sender:
        with broker.connected(name, version, **kept(version)) as client:
            client.subscribe(topic, qos=2 if qos_2 else 1)
            for number in range(6):
                deliver(sender, topic, b"%d" % number, 2 if qos_2 and number > 2 else 1)
            first = [client.next_of(PUBLISH) for _ in range(6)]
            client.send(acknowledge(PUBACK, first[1].id))
            if qos_2:
                client.send(acknowledge(PUBREC, first[4].id))
                assert client.next_of(PUBREL).id == first[4].id
            assert client.lives()
        for _ in range(2):
            with broker.connected(name, version, **kept(version)) as client:
                expected = [0, 2, 3, 5] if qos_2 else [0, 2, 3, 4, 5]
                again = [client.next() for _ in range(5)]
                assert [one.id for one in again if one.kind == PUBREL] == (
                    [first[4].id] if qos_2 else [])
                repeated = [one for one in again if one.kind == PUBLISH]
                assert [one.id for one in repeated] == [first[n].id for n in expected]
                assert [one.payload for one in repeated] == [first[n].payload for n in expected]
                assert all(one.dup for one in repeated)
                assert client.lives()
        with broker.connected(name, version, **kept(version)) as client:
            for n in expected:
                two = qos_2 and n > 2
                client.send(acknowledge(PUBREC if two else PUBACK, first[n].id))
            released = [client.next_of(PUBREL).id for _ in range(3)] if qos_2 else []
            assert sorted(released) == sorted(one.id for one in first[3:] if qos_2)
            client.send(*(acknowledge(PUBCOMP, id) for id in released))
            quiet(client)
        with broker.connected(name, version, **kept(version)) as client:
            assert quiet(client) == []
    forget(broker, name, version)


# tests mqtt5 [MQTT-4.4.0-1]
def test_nothing_is_sent_again_on_the_same_connection(broker, unique):
    topic = unique("t")
    with broker.connected(unique()) as client, broker.connected(unique()) as sender:
        client.subscribe(topic)
        deliver(sender, topic, b"once")
        assert client.next_of(PUBLISH).payload == b"once"
        for number in range(3):
            deliver(sender, topic, b"%d" % number)
        assert [one.payload for one in take(client, 3)] == [b"0", b"1", b"2"]
        assert quiet(client) == []


# tests mqtt5 [MQTT-3.3.4-9], [MQTT-4.9.0-1]
def test_the_window_is_that_of_the_new_connection(broker, unique):
    name, topic = unique(), unique("t")
    with broker.connected(name, clean=False, expiry_s=60, extra=b"\x21" + u16(10)) as client:
        client.subscribe(topic)
        with broker.connected(unique()) as sender:
            for number in range(12):
                deliver(sender, topic, b"%d" % number)
        assert len([client.next_of(PUBLISH) for _ in range(10)]) == 10
        assert client.lives()
    with broker.connected(name, clean=False, expiry_s=0, extra=b"\x21" + u16(3)) as client:
        first = quiet(client)
        assert [one.payload for one in first] == [b"0", b"1", b"2"]
        client.send(*(acknowledge(PUBACK, one.id) for one in first))
        assert [one.payload for one in take(client, 9)] == [b"%d" % n for n in range(3, 12)]


# tests mqtt5 [MQTT-3.12.4-1]; tests mqtt311 [MQTT-3.12.4-1]
def test_every_pingreq_has_its_pingresp(broker, version, unique):
    with broker.connected(unique(), version) as client:
        client.send(b"\xc0\x00" * 50)
        assert {client.next().kind for _ in range(50)} == {wire.PINGRESP}
        assert client.lives()


# tests mqtt5 [MQTT-3.14.4-1], [MQTT-3.14.4-2], [MQTT-3.14.2-1], [MQTT-3.14.2-2], [MQTT-4.13.2-1]
# tests mqtt5 [MQTT-3.14.1-1], [MQTT-3.15.1-1], [MQTT-3.6.1-1], [MQTT-3.8.1-1], [MQTT-3.10.1-1]
# tests mqtt5 [MQTT-2.1.3-1], [MQTT-4.13.1-1]
# tests mqtt311 [MQTT-2.2.2-1], [MQTT-2.2.2-2], [MQTT-3.6.1-1], [MQTT-3.8.1-1], [MQTT-3.10.1-1]
# tests mqtt311 [MQTT-3.14.1-1], [MQTT-4.8.0-1], [MQTT-4.8.0-2]
@pytest.mark.parametrize("first", [0xE1, 0xC1, 0x60, 0x63, 0x80, 0x83, 0xA0, 0xF1, 0x00, 0x41],
                         ids=lambda first: f"{first:02x}")
def test_flags_that_are_fixed(broker, version, unique, first):
    topic = unique("t")
    with broker.connected(unique()) as bystander:
        bystander.subscribe(topic)
        client = broker.connected(unique(), version)
        client.subscribe(topic, qos=0)
        body = b"" if first in (0xE1, 0xC1, 0xF1, 0x00) else u16(1)
        # What comes behind it is not looked at; what is published meanwhile is not sent behind it.
        said = client.send(wire.packet(first, body), publish(topic, version=version)).rest()
        assert broker.ended(said, 0x81, version) or (
            first == 0x00 and broker.ended(said, 0x82, version))
        assert until_end(bystander, bystander, topic) == []


# tests mqtt5 [MQTT-3.14.4-1]; tests mqtt311 [MQTT-4.8.0-1]
def test_nothing_follows_disconnect(broker, version, unique):
    topic = unique("t")
    with broker.connected(unique()) as witness:
        witness.subscribe(topic)
        client = broker.connected(unique(), version)
        client.send(disconnect(), publish(topic, b"late", version=version))
        try:
            assert client.rest() == []
        except Closed:
            pass
        assert until_end(witness, witness, topic) == []
