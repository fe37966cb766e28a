"""CONNECT and CONNACK: sections 3.1 and 3.2 of both standards."""

import pytest

import wire
from wire import CONNACK, PINGRESP, PUBLISH, connect, packet, properties, text, u16, u32


def flagged(version, flags, *fields, client_id="x"):
    """A CONNECT with these connect flags and payload fields behind the client id."""
    return packet(0x10, text("MQTT"), bytes([version, flags]), u16(60), properties(version),
                  text(client_id), *fields)


# tests mqtt5 [MQTT-3.1.4-5], [MQTT-3.2.0-1], [MQTT-3.2.2-8], [MQTT-2.2.2-1]
# tests mqtt311 [MQTT-3.1.4-4], [MQTT-3.2.0-1]
def test_an_accepted_connect_is_answered_first_of_all(broker, version, unique):
    client = broker.open(version)
    # A packet that follows at once is answered behind CONNACK.
    client.send(connect(unique(), version), b"\xc0\x00")
    first, second = client.next(), client.next()
    assert (first.kind, first.code, first.session_present) == (CONNACK, 0, False)
    assert second.kind == PINGRESP


# tests mqtt5 [MQTT-3.1.0-1], [MQTT-3.14.0-1]; tests mqtt311 [MQTT-3.1.0-1]
@pytest.mark.parametrize("first", [
    wire.publish("t"), wire.subscribe("t"), b"\xc0\x00", b"\xe0\x00", b"\xd0\x00"],
    ids=["publish", "subscribe", "pingreq", "disconnect", "pingresp"])
def test_nothing_comes_before_connect(broker, first):
    client = broker.open()
    assert client.send(first).rest() == []


# tests mqtt5 [MQTT-3.1.0-2], [MQTT-3.2.0-2], [MQTT-4.13.1-1]
# tests mqtt311 [MQTT-3.1.0-2], [MQTT-4.8.0-1]
def test_a_second_connect_ends_the_connection(broker, version, unique):
    client = broker.connected(unique(), version)
    said = client.send(connect(unique(), version)).rest()
    assert broker.ended(said, 0x82, version)


# tests mqtt5 [MQTT-3.1.2-1], [MQTT-3.1.4-1]; tests mqtt311 [MQTT-3.1.2-1], [MQTT-3.1.4-1]
@pytest.mark.parametrize("name", ["mqtt", "MQTTX", "", "HTTP"])
def test_another_protocol_name_is_not_served(broker, version, name):
    client = broker.open(version)
    said = client.send(packet(0x10, text(name), bytes([version, 2]), u16(60), properties(version),
                              text("x"))).rest()
    assert all(one.kind == CONNACK and one.code in (0x01, 0x84) for one in said)


# tests mqtt5 [MQTT-3.1.2-2], [MQTT-3.2.2-7]; tests mqtt311 [MQTT-3.1.2-2], [MQTT-3.2.2-5]
@pytest.mark.parametrize("level", [0, 1, 2, 6, 7, 127])
def test_another_protocol_level_is_told_so_and_closed(broker, level):
    client = broker.open(4)
    said = client.send(packet(0x10, text("MQTT"), bytes([level, 2]), u16(60), b"\0",
                              text("x"))).rest()
    assert [(one.kind, one.code) for one in said] in ([(CONNACK, 0x01)], [(CONNACK, 0x84)])
    assert not said[0].session_present


# tests mqtt5 [MQTT-3.1.2-3], [MQTT-3.1.2-9], [MQTT-3.1.2-11], [MQTT-3.1.2-12], [MQTT-3.1.2-13]
# tests mqtt5 [MQTT-3.1.2-16], [MQTT-3.1.2-17], [MQTT-3.1.2-18], [MQTT-3.1.2-19], [MQTT-3.1.3-1]
# tests mqtt311 [MQTT-3.1.2-3], [MQTT-3.1.2-9], [MQTT-3.1.2-11], [MQTT-3.1.2-13], [MQTT-3.1.2-14]
# tests mqtt311 [MQTT-3.1.2-15], [MQTT-3.1.2-18], [MQTT-3.1.2-19], [MQTT-3.1.2-20]
# tests mqtt311 [MQTT-3.1.2-21], [MQTT-3.1.3-1], [MQTT-3.1.4-1]
@pytest.mark.parametrize("flags, fields", [
    (0x03, ""), (0x0A, ""), (0x22, ""), (0x1E, "wtp"), (0x06, ""), (0x06, "wt"), (0x82, ""),
    (0xC2, "u"), (0x02, "u"), (0x82, "up"), (0x06, "wtpu")],
    ids=["reserved", "will-qos", "will-retain", "will-qos-3", "no-will", "no-will-payload",
         "no-user", "no-password", "user-unannounced", "password-unannounced", "user-after-will"])
def test_flags_and_payload_agree(broker, version, flags, fields):
    values = {"w": properties(version), "t": text("t"), "p": text("p"), "u": text("u")}
    client = broker.open(version)
    said = client.send(flagged(version, flags, *(values[field] for field in fields))).rest()
    assert all((one.kind, one.code) in ((CONNACK, 0x81), (CONNACK, 0x82)) for one in said)
    assert said == [] or version == 5


# tests mqtt5 [MQTT-3.1.2-17], [MQTT-3.1.2-19], [MQTT-3.1.3-1], [MQTT-3.1.3-12]
# tests mqtt311 [MQTT-3.1.2-19], [MQTT-3.1.2-21], [MQTT-3.1.3-1], [MQTT-3.1.3-11]
def test_user_name_and_password_have_their_places(broker, version, unique):
    will = (unique("will"), b"w", 0, False)
    broker.connected(unique(), version, will=will, user="user ü", password=b"\0secret")


# tests mqtt5 [MQTT-3.1.2-18]
def test_a_password_needs_no_user_name(broker, unique):
    broker.connected(unique(), 5, password=b"secret")


# tests mqtt311 [MQTT-3.1.2-22]
def test_a_password_needs_a_user_name(broker, unique):
    client = broker.open(4)
    assert client.send(connect(unique(), 4, password=b"secret")).rest() == []


# tests mqtt5 [MQTT-3.1.3-4], [MQTT-3.1.3-11], [MQTT-3.1.3-12], [MQTT-1.5.4-1], [MQTT-1.5.4-2]
# tests mqtt311 [MQTT-3.1.3-4], [MQTT-3.1.3-10], [MQTT-3.1.3-11], [MQTT-1.5.3-1], [MQTT-1.5.3-2]
@pytest.mark.parametrize("bad", [b"a\xff", b"\xed\xa0\x80", b"\xc0\x80", b"a\0"],
                         ids=["not-utf8", "surrogate", "overlong", "null"])
@pytest.mark.parametrize("field", ["client id", "will topic", "user name"])
def test_text_is_utf8(broker, version, field, bad, unique):
    client = broker.open(version)
    options = {"client id": {}, "will topic": {"will": (bad, b"", 0, False)},
               "user name": {"user": bad}}[field]
    said = client.send(connect(bad if field == "client id" else unique(), version,
                               **options)).rest()
    assert all(one.kind == CONNACK and one.code >= 0x80 for one in said)
    assert said == [] or version == 5


# tests mqtt5 [MQTT-3.1.3-3], [MQTT-3.1.3-5]; tests mqtt311 [MQTT-3.1.3-3], [MQTT-3.1.3-5]
@pytest.mark.parametrize("client_id", ["0", "abcdefghijklmnopqrstuvw", "0123456789ABCDEFGHIJKLM",
                                       "NOPQRSTUVWXYZxyz"])
def test_client_ids_every_server_takes(broker, version, client_id):
    broker.connected(client_id, version)


# tests mqtt5 [MQTT-3.1.3-6], [MQTT-3.1.3-7], [MQTT-3.2.2-16]
def test_an_assigned_client_id_is_unique_and_works(broker):
    one, other = broker.connected(""), broker.connected("", expiry_s=60)
    ids = [client.answer.properties["client_id"] for client in (one, other)]
    assert len(set(ids)) == 2 and all(ids)
    other.close()
    # It is a client id like one that the client has named.
    again = broker.connected(ids[1], clean=False, expiry_s=60)
    assert again.answer.session_present
    again.send(wire.disconnect(0, b"\x11" + u32(0)))


# tests mqtt311 [MQTT-3.1.3-6]
def test_empty_client_ids_do_not_collide(broker):
    clients = [broker.connected("", 4) for _ in range(2)]
    assert all(client.lives() for client in clients)


# tests mqtt311 [MQTT-3.1.3-8], [MQTT-3.1.3-9], [MQTT-3.2.2-4], [MQTT-3.2.2-5]
def test_an_empty_client_id_needs_a_clean_session(broker):
    client = broker.open(4)
    said = client.send(connect("", 4, clean=False)).rest()
    assert [(one.kind, one.code, one.session_present) for one in said] == [(CONNACK, 0x02, False)]


# tests mqtt5 [MQTT-3.1.3-8], [MQTT-3.2.2-6], [MQTT-3.2.2-7], [MQTT-3.1.4-6], [MQTT-4.13.2-1]
# tests mqtt311 [MQTT-3.1.3-9], [MQTT-3.2.2-5], [MQTT-3.1.4-5]
def test_a_rejected_client_id(broker, version, unique):
    if broker.name == "mosquitto":
        pytest.skip("mosquitto takes any client id")
    topic = unique("t")
    with broker.connected(unique()) as witness:
        witness.subscribe(topic, qos=0)
        client = broker.open(version)
        # Beginning with `$`, which Palisade keeps for itself.
        said = client.send(connect("$" + unique(), version),
                           wire.publish(topic, version=version)).rest()
        code = 0x85 if version == 5 else 0x02
        assert [(one.kind, one.code, one.session_present) for one in said] == [
            (CONNACK, code, False)]
        assert witness.lives()


# tests mqtt5 [MQTT-3.1.4-3]; tests mqtt311 [MQTT-3.1.4-2]
def test_a_client_id_is_taken_over(broker, version, unique):
    name = unique()
    first = broker.connected(name, version)
    second = broker.connected(name, version)
    said = first.rest()
    assert broker.ended(said, 0x8E, version)
    assert second.lives()


# tests mqtt5 [MQTT-3.1.2-4], [MQTT-3.1.2-5], [MQTT-3.1.2-6], [MQTT-3.1.2-23], [MQTT-3.1.3-2]
# tests mqtt5 [MQTT-3.1.4-4], [MQTT-3.2.2-2], [MQTT-3.2.2-3], [MQTT-4.1.0-2]
@pytest.mark.parametrize("kept, clean, present", [
    (60, False, True), (60, True, False), (0, False, False), (None, False, False)])
def test_whether_a_session_is_resumed(broker, unique, kept, clean, present):
    name, topic = unique(), unique("t")
    with broker.connected(name, clean=False, expiry_s=kept) as first:
        assert not first.answer.session_present
        first.subscribe(topic, qos=0)
        first.send(wire.disconnect(0)).rest()
    with broker.connected(name, clean=clean, expiry_s=0) as again:
        assert again.answer.session_present == present
        again.send(wire.publish(topic, b"before"))
        assert again.lives() != present
        if present:
            assert again.next().kind == PINGRESP


# tests mqtt311 [MQTT-3.1.2-4], [MQTT-3.1.2-6], [MQTT-3.1.3-2], [MQTT-3.1.4-3], [MQTT-3.2.2-1]
# tests mqtt311 [MQTT-3.2.2-2], [MQTT-3.2.2-3]
@pytest.mark.parametrize("first_clean, clean, present", [
    (False, False, True), (False, True, False), (True, False, False), (True, True, False)])
def test_whether_a_session_is_resumed_in_311(broker, unique, first_clean, clean, present):
    name, topic = unique(), unique("t")
    with broker.connected(name, 4, clean=first_clean) as first:
        first.subscribe(topic, qos=0)
        first.send(wire.disconnect()).rest()
    with broker.connected(name, 4, clean=clean) as again:
        assert again.answer.session_present == present
        again.send(wire.publish(topic, b"before", version=4))
        assert again.lives() != present
        if present:
            assert again.next().kind == PINGRESP
    broker.connected(name, 4, clean=True).close()


# tests mqtt5 [MQTT-3.1.2-28], [MQTT-4.12.0-6]
def test_connack_says_nothing_that_was_not_asked(broker, unique):
    for extra in (b"", b"\x19\x00"):
        with broker.connected(unique(), extra=extra) as client:
            told = client.answer.properties
            assert "response_information" not in told
            assert "method" not in told and "data" not in told


# tests mqtt5 [MQTT-3.2.2-22], [MQTT-3.1.2-22]; tests mqtt311 [MQTT-3.1.2-24]
def test_silence_ends_the_connection(broker, version, unique):
    if broker.name == "aws":
        pytest.skip("keep alives begin at 30 s there; tests/clients/test_profiles.py")
    if broker.name == "mosquitto" and version == 4:
        pytest.skip("it looks only every few seconds; once is enough")
    will = (unique("will"), b"gone", 0, False)
    with broker.connected(unique()) as witness:
        witness.subscribe(will[0], qos=0)
        client = broker.connected(unique(), version, keep_alive=1, will=will)
        said = wire.ended_within(client, 10)
        assert broker.ended(said, 0x8D, version)
        assert witness.next_of(PUBLISH).payload == b"gone"


# tests mqtt5 [MQTT-3.2.2-9], [MQTT-3.2.2-12]; tests mqtt311 [MQTT-3.2.2-6]
def test_maximum_qos_is_told_and_holds_for_wills(broker, unique):
    most = broker.connected(unique()).answer.properties.get("maximum_qos", 2)
    assert most == (1 if broker.name == "aws" else 2)
    client = broker.open()
    answer = client.ask(connect(unique(), will=(unique(), b"", 2, False)))
    assert (answer.kind, answer.code) == (CONNACK, 0 if most == 2 else 0x9B)
    if most < 2:
        assert client.rest() == []
        # 3.1.1 has no return code that would describe it.
        client = broker.open(4)
        assert client.send(connect(unique(), 4, will=(unique(), b"", 2, False))).rest() == []


# tests mqtt5 [MQTT-4.12.0-1], [MQTT-4.12.0-4], [MQTT-3.1.4-2]
@pytest.mark.parametrize("data", [b"", b"\x16" + text("data")], ids=["method", "method-and-data"])
def test_an_authentication_method_is_refused(broker, unique, data):
    client = broker.open()
    said = client.send(connect(unique(), extra=b"\x15" + text("SCRAM-SHA-256") + data)).rest()
    assert [(one.kind, one.code) for one in said] in ([(CONNACK, 0x8C)], [(CONNACK, 0x87)])


# tests mqtt5 [3.1.2.11.10], [MQTT-4.13.1-1]
def test_authentication_data_need_a_method(broker, unique):
    client = broker.open()
    said = client.send(connect(unique(), extra=b"\x16" + text("data"))).rest()
    assert [(one.kind, one.code) for one in said] in ([(CONNACK, 0x82)], [])


# tests mqtt5 [MQTT-4.12.0-7], [MQTT-4.12.1-2], [MQTT-3.15.2-1]
@pytest.mark.parametrize("code", [0x00, 0x18, 0x19])
def test_auth_without_a_method_is_a_protocol_error(broker, unique, code):
    client = broker.connected(unique())
    said = client.send(packet(0xF0, bytes([code]), properties(5, b"\x15" + text("SCRAM")))).rest()
    assert broker.ended(said, 0x82, 5)


# tests mqtt5 [MQTT-1.5.4-3]; tests mqtt311 [MQTT-1.5.3-3]
def test_a_byte_order_mark_is_a_character(broker, version, unique):
    plain = unique("t")
    marked = "\ufeff" + plain
    with broker.connected(unique(), version) as client:
        assert client.subscribe(plain, marked, qos=0) == [0, 0]
        client.send(wire.publish(marked, b"marked", version=version),
                    wire.publish(plain, b"plain", version=version))
        got = [client.next_of(PUBLISH) for _ in range(2)]
        assert [(one.topic, one.payload) for one in got] == [(marked, b"marked"), (plain, b"plain")]
        assert client.lives()


# tests mqtt5 [MQTT-4.2-1]; tests mqtt311 [MQTT-7.1.1-1]
def test_packets_are_not_aligned_with_anything(broker, version, unique):
    topic = unique("t")
    stream = (connect(unique(), version) + wire.subscribe(topic, version=version)
              + wire.publish(topic, b"x" * 300, qos=1, id=7, version=version) + b"\xc0\x00")
    client = broker.open(version)
    for at in range(0, len(stream), 7):
        client.send(stream[at:at + 7])
    kinds = [client.next().kind for _ in range(5)]
    assert kinds[:2] == [CONNACK, wire.SUBACK] and set(kinds[2:]) == {PUBLISH, wire.PUBACK, PINGRESP}


# tests mqtt311 [MQTT-7.0.0-2]
def test_no_extension_is_needed(broker, unique):
    """The shortest possible conversation works."""
    with broker.connected(unique(), 4, keep_alive=0) as client:
        assert client.subscribe("t", qos=0) == [0]
