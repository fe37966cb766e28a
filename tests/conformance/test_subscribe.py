"""SUBSCRIBE, UNSUBSCRIBE and what they lead to: 3.3.1, 3.8 to 3.11, 4.7 and 4.8."""

import pytest

import wire
from conformance.exchange import deliver, leave, quiet, take, until_end
from wire import (DISCONNECT, PINGRESP, PUBACK, PUBLISH, PUBREC, PUBREL, SUBACK, UNSUBACK,
                  acknowledge, packet, properties, publish, subscribe, text, u16, unsubscribe)

NO_LOCAL, AS_PUBLISHED, IF_NEW, NEVER = 0x04, 0x08, 0x10, 0x20


# tests aws-iot [MQ-47]
# tests mqtt5 [MQTT-3.8.4-1], [MQTT-3.8.4-2], [MQTT-2.2.1-6], [MQTT-3.8.4-5], [MQTT-3.8.4-6]
# tests mqtt5 [MQTT-3.8.4-7], [MQTT-3.9.3-1], [MQTT-3.9.3-2], [MQTT-3.10.4-4], [MQTT-3.10.4-5]
# tests mqtt5 [MQTT-3.10.4-6], [MQTT-3.11.3-1], [MQTT-3.11.3-2]
# tests mqtt311 [MQTT-3.8.4-1], [MQTT-3.8.4-2], [MQTT-2.3.1-7], [MQTT-3.8.4-4], [MQTT-3.8.4-5]
# tests mqtt311 [MQTT-3.9.3-1], [MQTT-3.9.3-2], [MQTT-3.10.4-4], [MQTT-3.10.4-5]
# tests mqtt311 [MQTT-3.10.4-6]
def test_one_answer_with_a_code_for_each_filter(broker, version, unique):
    one, two, three = unique("f"), unique("f"), unique("f")
    highest = 1 if broker.name == "aws" else 2
    with broker.connected(unique(), version) as client:
        body = b"".join(text(name) + bytes([qos]) for name, qos in (
            (one, 1), (f"{two}/#", 0), (f"+/{three}", highest)))
        answer = client.ask(packet(0x82, u16(513), properties(version), body))
        assert (answer.kind, answer.id, answer.codes) == (SUBACK, 513, [1, 0, highest])
        answer = client.ask(unsubscribe(f"+/{three}", one, "never/there", id=770, version=version))
        assert (answer.kind, answer.id) == (UNSUBACK, 770)
        assert answer.codes == ([0, 0, 0x11] if version == 5 else [])
        answer = client.ask(unsubscribe("never/there", id=771, version=version))
        assert (answer.kind, answer.id) == (UNSUBACK, 771)


# tests mqtt5 [MQTT-3.2.2-10]
def test_a_subscription_above_the_maximum_qos(broker, unique):
    if broker.name == "mosquitto":
        pytest.skip("its maximum is 2")
    with broker.connected(unique()) as client:
        answer = client.ask(subscribe(unique("f"), qos=2))
        assert (answer.kind, answer.codes) == (SUBACK, [2])


# tests mqtt5 [MQTT-3.8.3-1], [MQTT-3.8.3-2], [MQTT-3.8.3-5], [MQTT-3.10.3-1], [MQTT-3.10.3-2]
# tests mqtt5 [MQTT-2.2.1-3], [MQTT-4.7.3-2]
# tests mqtt311 [MQTT-3.8.3-1], [MQTT-3.8.3-3], [MQTT-3-8.3-4], [MQTT-3.10.3-1]
# tests mqtt311 [MQTT-3.10.3-2], [MQTT-2.3.1-1], [MQTT-4.7.3-2]
@pytest.mark.parametrize("first, id, filters", [
    (0x82, 1, b""), (0xA2, 1, b""), (0x82, 0, text("a") + b"\0"), (0xA2, 0, text("a")),
    (0x82, 1, text(b"\xff") + b"\0"), (0xA2, 1, text(b"\xff")), (0x82, 1, text(b"a\0") + b"\0"),
    (0xA2, 1, text(b"a\0")), (0x82, 1, text("a") + b"\x03"), (0x82, 1, text("a") + b"\xC0"),
    (0x82, 1, text("a")), (0x82, 1, text("a") + b"\x30")],
    ids=["no-filter", "no-filter-to-end", "id-0", "id-0-to-end", "utf8", "utf8-to-end", "null",
         "null-to-end", "qos-3", "reserved", "no-options", "retain-handling-3"])
def test_what_no_subscribe_may_be(broker, version, unique, first, id, filters):
    client = broker.connected(unique(), version)
    said = client.send(packet(first, u16(id), properties(version), filters)).rest()
    assert any(broker.ended(said, code, version) for code in (0x81, 0x82))


# tests mqtt311 [MQTT-3-8.3-4]
@pytest.mark.parametrize("options", [0x04, 0x08, 0x10, 0x20, 0x80])
def test_the_options_of_version_5_are_reserved_bits_in_311(broker, unique, options):
    client = broker.connected(unique(), 4)
    assert client.send(subscribe("a", version=4, options=options)).rest() == []


# tests mqtt5 [MQTT-4.7.1-1], [MQTT-4.7.1-2], [MQTT-4.7.3-1], [MQTT-4.8.2-1], [MQTT-4.8.2-2]
# tests mqtt311 [MQTT-4.7.1-2], [MQTT-4.7.1-3], [MQTT-4.7.3-1]
@pytest.mark.parametrize("filter", ["a#", "a/#/b", "#/a", "a+", "+a/b", "a/+b", "", "##", "++"])
def test_filters_that_are_none(broker, version, unique, filter):
    """Version 5 may be told in SUBACK; 3.1.1 has no code for it but the close."""
    client = broker.connected(unique(), version)
    client.send(subscribe(filter, version=version), b"\xc0\x00")
    said = []
    try:
        while (one := client.next()).kind != PINGRESP:
            said.append(one)
    except wire.Closed:
        assert any(broker.ended(said, code, version) for code in (0x81, 0x82, 0x8F))
        return
    assert [one.codes for one in said] == [[0x8F if version == 5 else 0x80]]


# tests mqtt5 [MQTT-4.8.2-1], [MQTT-4.8.2-2]
@pytest.mark.parametrize("filter", ["$share/g", "$share/g/", "$share//a", "$share/+/a",
                                    "$share/g#/a"])
def test_shared_filters_that_are_none(broker, unique, filter):
    client = broker.connected(unique())
    client.send(subscribe(filter), b"\xc0\x00")
    try:
        answer = client.next()
    except wire.Closed:
        assert not broker.explains
        return
    assert (answer.kind == SUBACK and answer.codes == [0x8F]) or (
        answer.kind == DISCONNECT and answer.code in (0x81, 0x82, 0x8F))


# tests mqtt5 [MQTT-3.3.2-3], [MQTT-4.7.1-1], [MQTT-4.7.1-2], [MQTT-4.7.3-4], [MQTT-4.5.0-1]
# tests mqtt311 [MQTT-3.3.2-3], [MQTT-4.7.1-2], [MQTT-4.7.1-3], [MQTT-4.7.3-4], [MQTT-4.5.0-1]
@pytest.mark.parametrize("filter, selected, others", [
    ("R/a", ["R/a"], ["R/A", "R/a/", "R/a/b", "R/á", "R", "R/ a"]),
    ("R/+", ["R/a", "R/", "R/A"], ["R/a/b", "R/a/"]),
    ("R/+/c", ["R/b/c", "R//c"], ["R/c", "R/b/c/d", "R/b/C"]),
    ("R/#", ["R/a", "R/a/b", "R/", "R/a/b/c/d"], ["Rx/a"]),
    ("R/a/#", ["R/a/b", "R/a/"], ["R/ab", "R/b/a"]),
    ("R/+/+", ["R/a/b", "R//"], ["R/a", "R/a/b/c"]),
    ("R/\u00e9", ["R/\u00e9"], ["R/e\u0301", "R/e"])])
def test_what_a_filter_selects(broker, version, unique, filter, selected, others):
    root = unique("R")
    with broker.connected(unique(), version) as client:
        client.subscribe(filter.replace("R", root, 1), qos=0)
        end = selected[0].replace("R", root, 1)
        for topic in selected + others:
            topic = topic.replace("R", root, 1)
            client.send(publish(topic, topic.encode(), version=version))
        client.send(publish(end, b"end", version=version))
        got = []
        while (one := client.next_of(PUBLISH)).payload != b"end":
            assert one.topic == one.payload.decode()
            got.append(one.topic.replace(root, "R", 1))
        assert got == selected


# tests mqtt5 [MQTT-4.7.1-1]
def test_hash_selects_its_parent(broker, unique):
    if broker.name == "aws":
        pytest.skip("[MQ-41]: AWS does not; tests/clients/test_profiles.py")
    root = unique("R")
    with broker.connected(unique()) as client:
        client.subscribe(f"{root}/#", qos=0)
        client.send(publish(root, b"parent"))
        assert client.next_of(PUBLISH).topic == root


# tests mqtt5 [MQTT-4.7.2-1]; tests mqtt311 [MQTT-4.7.2-1]
def test_wildcards_do_not_select_the_servers_own_topics(broker, version, unique):
    marker = unique("end")
    with broker.connected(unique(), version) as all_of_it, broker.connected(unique()) as system:
        all_of_it.subscribe("#", "+/#", qos=0)
        system.subscribe(broker.system_filter, qos=0)
        broker.connected(unique()).close()
        assert system.next_of(PUBLISH).topic.startswith("$")
        all_of_it.send(publish(marker, b"end", version=version))
        while (one := all_of_it.next_of(PUBLISH)).topic != marker:
            assert not one.topic.startswith("$")


# tests mqtt5 [MQTT-4.7.3-3]; tests mqtt311 [MQTT-4.7.3-3]
def test_the_longest_topic(broker, version, unique):
    """What is over a server's limit is refused, and what is within it works."""
    client = broker.connected(unique(), version)
    topic = unique("x").ljust(256, "x")
    client.subscribe(topic, qos=0)
    client.send(publish(topic, version=version))
    assert client.next_of(PUBLISH).topic == topic
    said = client.send(publish("x" * 65_535, version=version), b"\xc0\x00")
    try:
        assert said.next().kind in (PINGRESP, DISCONNECT)
    except wire.Closed:
        pass


# tests mqtt5 [MQTT-3.10.4-1], [MQTT-3.10.4-2], [MQTT-3.10.4-3]
# tests mqtt311 [MQTT-3.10.4-1], [MQTT-3.10.4-2], [MQTT-3.10.4-3]
def test_unsubscribe_ends_that_subscription_and_no_delivery(broker, version, unique):
    root = unique("R")
    with broker.connected(unique(), version) as client, broker.connected(unique()) as sender:
        client.subscribe(f"{root}/a", f"{root}/b", f"{root}/+/c")
        deliver(sender, f"{root}/a", b"begun")
        begun = client.next_of(PUBLISH)
        # Filters are compared as text: one that selects the same topics is another one.
        client.send(unsubscribe(f"{root}/a", f"{root}/+", f"{root}/x/c", version=version))
        answer = client.next_of(UNSUBACK)
        assert answer.codes == ([0, 0x11, 0x11] if version == 5 else [])
        for topic in ("a", "b", "y/c", "a"):
            deliver(sender, f"{root}/{topic}", topic.encode())
        client.send(acknowledge(PUBACK, begun.id))
        assert [one.payload for one in take(client, 2)] == [b"b", b"y/c"]
        assert quiet(client) == []


# tests aws-iot [MQ-50], [MQ-52]
# tests mqtt5 [MQTT-3.3.1-5], [MQTT-3.3.1-6], [MQTT-3.3.1-7], [MQTT-3.3.1-8]
# tests mqtt311 [MQTT-3.3.1-5], [MQTT-3.3.1-6], [MQTT-3.3.1-7], [MQTT-3.3.1-8], [MQTT-3.3.1-9]
# tests mqtt311 [MQTT-3.3.1-10], [MQTT-3.3.1-11], [MQTT-3.3.1-12], [MQTT-3.1.2.7]
def test_what_is_retained(broker, version, unique):
    topic = unique("t")

    def kept(qos=1):
        with broker.connected(unique(), version) as reader:
            reader.subscribe(topic, qos=qos)
            found = quiet(reader)
            assert all(one.retain for one in found)
            return [(one.payload, one.qos) for one in found]

    with broker.connected(unique(), version) as watcher:
        watcher.subscribe(topic)
        with broker.connected(unique(), version) as sender:
            deliver(sender, topic, b"one", 1, retain=True)
            deliver(sender, topic, b"passing", 1)
        # The publisher's session is over; what it left is not.
        assert kept() == [(b"one", 1)] and kept(qos=0) == [(b"one", 0)]
        with broker.connected(unique(), version) as sender:
            deliver(sender, topic, b"two", 0, retain=True)
            assert sender.lives()
            assert kept() == [(b"two", 0)]
            deliver(sender, topic, b"", 1, retain=True)
        assert kept() == []
        live = take(watcher, 4)
        assert [(one.payload, one.retain) for one in live] == [
            (b"one", False), (b"passing", False), (b"two", False), (b"", False)]


# tests mqtt5 [MQTT-3.3.1-9], [MQTT-3.3.1-10], [MQTT-3.3.1-11], [MQTT-3.8.4-3], [MQTT-3.8.4-4]
@pytest.mark.parametrize("handling, first, again", [(0, 1, 1), (IF_NEW, 1, 0), (NEVER, 0, 0)])
@pytest.mark.parametrize("wild", [False, True], ids=["exact", "wildcard"])
def test_retain_handling(broker, unique, handling, first, again, wild):
    if wild and broker.name == "aws":
        pytest.skip("[MQ-51]: AWS sends none; tests/clients/test_profiles.py")
    topic = unique("t")
    with broker.connected(unique()) as sender, broker.connected(unique()) as client:
        deliver(sender, f"{topic}/a", b"kept", retain=True)
        asked = f"{topic}/+" if wild else f"{topic}/a"
        for expected in (first, again):
            client.subscribe(asked, options=handling | 1)
            assert len(quiet(client)) == expected
        # The subscription itself was made either way, once.
        deliver(sender, f"{topic}/a", b"live")
        assert [one.payload for one in until_end(sender, client, f"{topic}/a")] == [b"live"]
        deliver(sender, f"{topic}/a", b"", 0, retain=True)


# tests mqtt5 [MQTT-3.8.4-3]; tests mqtt311 [MQTT-3.8.4-3]
def test_a_subscription_is_replaced(broker, version, unique):
    topic = unique("t")
    with broker.connected(unique(), version) as client, broker.connected(unique()) as sender:
        deliver(sender, topic, b"kept", retain=True)
        for granted in (1, 0):
            assert client.subscribe(topic, qos=granted) == [granted]
            assert [(one.payload, one.qos) for one in quiet(client)] == [(b"kept", granted)]
        deliver(sender, topic, b"live")
        assert [(one.payload, one.qos) for one in until_end(sender, client, topic)] == [(b"live", 0)]
        deliver(sender, topic, b"", 0, retain=True)


# tests mqtt5 [MQTT-3.3.1-12], [MQTT-3.3.1-13]
@pytest.mark.parametrize("options, sent, seen", [
    (0, True, False), (0, False, False), (AS_PUBLISHED, True, True), (AS_PUBLISHED, False, False)])
def test_retain_as_published(broker, unique, options, sent, seen):
    topic = unique("t")
    with broker.connected(unique()) as client, broker.connected(unique()) as sender:
        client.subscribe(topic, options=options)
        deliver(sender, topic, b"m", 0, retain=sent)
        assert client.next_of(PUBLISH).retain == seen
        deliver(sender, topic, b"", 0, retain=True)


# tests aws-iot [MQ-46]
# tests mqtt5 [MQTT-3.8.3-3]
def test_no_local(broker, unique):
    topic = unique("t")
    with broker.connected(unique()) as client, broker.connected(unique()) as other:
        client.subscribe(topic, options=NO_LOCAL | 1)
        other.subscribe(topic, options=NO_LOCAL | 1)
        deliver(client, topic, b"mine", 0)
        deliver(other, topic, b"others", 0)
        assert [one.payload for one in take(client)] == [b"others"]
        assert [one.payload for one in take(other)] == [b"mine"]
        assert quiet(client) == quiet(other) == []


# tests mqtt5 [MQTT-3.8.3-4]
def test_no_local_is_not_for_shared_subscriptions(broker, unique):
    client = broker.connected(unique())
    said = client.send(subscribe("$share/g/t", options=NO_LOCAL)).rest()
    assert broker.ended(said, 0x82, 5)


# tests aws-iot [MQ-37]
# tests mqtt5 [MQTT-3.3.4-2], [MQTT-3.3.4-3], [MQTT-3.3.4-4], [MQTT-3.3.4-5]
def test_overlapping_subscriptions(broker, unique):
    """One copy with all identifiers, or one per subscription with its own: both are allowed."""
    root = unique("R")
    identified = broker.name != "aws"
    with broker.connected(unique()) as client, broker.connected(unique()) as sender:
        for number, (filter, qos) in enumerate(
                ((f"{root}/#", 0), (f"{root}/+", 1), (f"{root}/a", 0)), 1):
            # The second identifier needs two bytes.
            extra = b"\x0b" + wire.number(number * 100) if identified and number < 3 else b""
            assert client.subscribe(filter, qos=qos, extra=extra) == [qos]
        deliver(sender, f"{root}/a", b"m", 1)
        copies = until_end(sender, client, f"{root}/a")
        rest = [one for one in quiet(client) if one.payload != b"end"]
        copies += rest
        assert copies and max(one.qos for one in copies) == 1
        ids = sorted(value for one in copies for name, value in one.property_list
                     if name == "identifier")
        assert ids == ([100, 200] if identified else [])
        assert len(copies) in (1, 3)


# tests mqtt311 [MQTT-3.3.5-1]
def test_overlapping_subscriptions_of_311(broker, unique):
    root = unique("R")
    with broker.connected(unique(), 4) as client, broker.connected(unique()) as sender:
        for filter, qos in ((f"{root}/#", 0), (f"{root}/+", 1), (f"{root}/a", 0)):
            assert client.subscribe(filter, qos=qos) == [qos]
        deliver(sender, f"{root}/a", b"m", 1)
        copies = until_end(sender, client, f"{root}/a")
        assert max(one.qos for one in copies) == 1


# tests mqtt5 [MQTT-3.3.4-3]
def test_a_replaced_subscription_has_its_last_identifier(broker, unique):
    if broker.name == "aws":
        pytest.skip("[MQ-46]: no identifiers there")
    topic = unique("t")
    with broker.connected(unique()) as client:
        deliver(client, topic, b"kept", retain=True)
        for extra, expected in ((b"\x0b\x07", 7), (b"\x0b\x08", 8), (b"", None)):
            client.subscribe(topic, qos=0, extra=extra)
            assert [one.properties.get("identifier") for one in quiet(client)] == [expected]
            client.send(publish(topic, b"live"))
            assert client.next_of(PUBLISH).properties.get("identifier") == expected
        deliver(client, topic, b"", 0, retain=True)


# tests mqtt5 [3.8.2.1.2]
def test_a_subscription_identifier_is_not_0(broker, unique):
    client = broker.connected(unique())
    said = client.send(subscribe("t", extra=b"\x0b\x00")).rest()
    assert any(broker.ended(said, code, 5) for code in (0x81, 0x82))


# tests aws-iot [MQ-70], [MQ-71]
# tests mqtt5 [MQTT-4.8.2-3], [4.8.2]
def test_a_shared_subscription_has_each_message_once(broker, version, unique):
    topic = unique("t")
    shared = f"$share/{unique('g')}/{topic}"
    members = [broker.connected(unique(), version) for _ in range(3)]
    for qos, member in zip((0, 1, 1), members):
        assert member.subscribe(shared, qos=qos) == [qos]
    with broker.connected(unique()) as sender, broker.connected(unique()) as own:
        own.subscribe(topic)
        for number in range(30):
            deliver(sender, topic, b"%d" % number)
        assert [one.payload for one in take(own, 30)] == [b"%d" % n for n in range(30)]
        got = []
        for member, highest in zip(members, (0, 1, 1)):
            found = quiet(member)
            assert all(one.qos <= highest for one in found)
            got += [int(one.payload) for one in found]
        assert sorted(got) == list(range(30))
    for member in members:
        member.close()


# tests mqtt5 [4.8.2]
def test_a_shared_subscription_gets_nothing_retained(broker, unique):
    topic = unique("t")
    with broker.connected(unique()) as client:
        deliver(client, topic, b"kept", retain=True)
        assert client.subscribe(f"$share/g/{topic}") == [1]
        assert quiet(client) == []
        deliver(client, topic, b"", 0, retain=True)


# tests aws-iot [MQ-74]
# tests mqtt5 [4.8.2]
def test_a_message_of_a_vanished_member_goes_to_another(broker, unique):
    topic = unique("t")
    shared = f"$share/{unique('g')}/{topic}"
    with broker.connected(unique()) as sender, broker.connected(unique()) as stays:
        leaves = broker.connected(unique())
        leaves.subscribe(shared)
        deliver(sender, topic, b"m", 1)
        assert leaves.next_of(PUBLISH).payload == b"m"
        stays.subscribe(shared)
        # Its session ends with the connection, and the message was not acknowledged.
        leaves.close()
        assert [one.payload for one in take(stays)] == [b"m"]


# tests mqtt5 [MQTT-4.8.2-4], [MQTT-4.8.2-5]
@pytest.mark.parametrize("returns", [True, False])
def test_qos_2_is_completed_with_the_member_it_was_begun_with(broker, unique, returns):
    if broker.name == "aws":
        pytest.skip("no QoS 2 there")
    topic, name = unique("t"), unique()
    shared = f"$share/{unique('g')}/{topic}"
    with broker.connected(unique()) as sender, broker.connected(unique()) as stays:
        with broker.connected(name, clean=False, expiry_s=60 if returns else 0) as leaves:
            leaves.subscribe(shared, qos=2)
            deliver(sender, topic, b"m", 2)
            begun = leaves.next_of(PUBLISH)
            stays.subscribe(shared, qos=2)
            leaves.send(acknowledge(PUBREC, begun.id))
            leaves.next_of(PUBREL)
            leave(leaves)
        if returns:
            with broker.connected(name, clean=False, expiry_s=0) as back:
                again = back.next_of(PUBREL)
                assert again.id == begun.id
                back.send(acknowledge(wire.PUBCOMP, begun.id))
                assert back.lives()
                leave(back)
        assert until_end(sender, stays, topic) == []


# tests mqtt5 [MQTT-4.8.2-6]
@pytest.mark.parametrize("qos", [1, 2])
def test_what_a_member_refuses_is_discarded(broker, unique, qos):
    if broker.name == "aws" and qos == 2:
        pytest.skip("no QoS 2 there")
    topic = unique("t")
    shared = f"$share/{unique('g')}/{topic}"
    with broker.connected(unique()) as sender, broker.connected(unique()) as stays:
        refuses = broker.connected(unique())
        refuses.subscribe(shared, qos=qos)
        deliver(sender, topic, b"m", qos)
        got = refuses.next_of(PUBLISH)
        stays.subscribe(shared, qos=qos)
        refuses.send(acknowledge(PUBACK if qos == 1 else PUBREC, got.id, 0x97))
        assert refuses.lives()
        leave(refuses)
        assert until_end(sender, stays, topic) == []


# tests mqtt5 [MQTT-3.9.2-1], [MQTT-3.9.2-2], [MQTT-3.4.2-2]
def test_an_answer_that_would_be_too_large_goes_without_its_reason(broker, unique):
    if broker.name == "mosquitto":
        pytest.skip("it gives no reasons")
    device = wire.enrol(broker.platform, broker.platform.client("iot"), broker.device_directory,
                        unique("narrow"), allowed=[("Connect", "client/*")])
    with wire.Wire.connected(device, extra=b"\x27" + wire.u32(30)) as client:
        answer = client.ask(subscribe("refused"))
        assert (answer.codes, answer.property_list) == ([0x87], [])
        answer = client.ask(publish("refused", qos=1))
        assert (answer.code, answer.property_list) == (0x87, [])
