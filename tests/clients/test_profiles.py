"""Where the profiles differ: each quota and deviation, observed in `standard` and in `aws`.

docs/divergences.md says in words what is tested here by example.
"""

import json

import pytest
from botocore.exceptions import ClientError

import wire
from conftest import eventually
from wire import (CONNACK, DISCONNECT, PUBACK, PUBLISH, PUBREC, Wire, acknowledge, connect, publish,
                  subscribe)


class Profile:
    """A platform of one profile."""

    def __init__(self, name, platform, directory):
        self.name, self.platform, self.directory = name, platform, directory
        self.iot = platform.client("iot")
        self.device = self.enrol("device")

    @property
    def aws(self):
        return self.name == "aws"

    def either(self, standard, aws):
        """What is expected in this profile."""
        return aws if self.aws else standard

    def enrol(self, name, **options):
        return wire.enrol(self.platform, self.iot, self.directory, name, **options)

    def connected(self, client_id, version=5, **options):
        return Wire.connected(self.device, client_id, version, **options)


@pytest.fixture(scope="module", params=["standard", "aws"])
def profile(request, new_platform, tmp_path_factory):
    platform = new_platform(f"--profile={request.param}", "--set=device_keys=ecdsa-p256")
    return Profile(request.param, platform, tmp_path_factory.mktemp(request.param))


def ends(answer, code):
    """The connection was ended for this reason."""
    return answer is not None and (answer.kind, answer.code) == (DISCONNECT, code)


# What CONNACK announces.
# tests aws-iot [MQ-14]
def test_connack(profile, unique):
    with profile.connected(unique()) as client:
        told = client.answer.properties
    assert told["receive_maximum"] == profile.either(1000, 100)
    assert told.get("maximum_qos") == profile.either(None, 1)
    assert told["packet_bytes"] == profile.either(1 << 20, 149_504)
    assert told["alias_maximum"] == profile.either(64, 8)
    assert told.get("identifiers", 1) == profile.either(1, 0)
    assert told.get("retain", 1) == told.get("wildcards", 1) == told.get("shared", 1) == 1


# tests aws-iot [MQ-2], [MQ-3]
def test_qos_2(profile, unique):
    with profile.connected(unique()) as client:
        answer = client.ask(publish("q/t", qos=2))
        if profile.aws:
            assert ends(answer, 0x9B)
        else:
            assert answer.kind == PUBREC and answer.code in (0, 0x10)
    with profile.connected(unique()) as client:
        answer = client.ask(subscribe("q/t", qos=2))
        assert ends(answer, 0x9B) if profile.aws else answer.codes == [2]
    with profile.connected(unique(), version=4) as client:
        answer = client.ask(publish("q/t", qos=2, version=4))
        assert answer is None if profile.aws else answer.kind == PUBREC
    with profile.connected(unique(), version=4) as client:
        answer = client.ask(subscribe("q/t", qos=2, version=4))
        assert answer is None if profile.aws else answer.codes == [2]
    for version in (5, 4):
        with Wire(profile.device, version) as client:
            answer = client.ask(connect(unique(), version, will=("q/t", "w", 2, False)))
            if not profile.aws:
                assert (answer.kind, answer.code) == (CONNACK, 0)
            elif version == 5:
                assert (answer.kind, answer.code) == (CONNACK, 0x9B)
            else:
                assert answer is None


# tests aws-iot [MQ-13]
@pytest.mark.parametrize("asked, standard, aws", [
    (0, 0, 1200), (1, 1, 30), (29, 29, 30), (30, 30, 30), (1200, 1200, 1200), (1201, 1201, 1200),
    (65_535, 65_535, 1200)])
def test_keep_alive(profile, unique, asked, standard, aws):
    with profile.connected(unique(), keep_alive=asked) as client:
        effective = client.answer.properties.get("keep_alive", asked)
    assert effective == profile.either(standard, aws)
    with profile.connected(unique(), version=4, keep_alive=asked) as client:
        assert client.lives()


# tests aws-iot [MQ-40]
def test_filters_per_packet(profile, unique):
    most = profile.either(1024, 8)
    filters = [f"f/{n}" for n in range(most + 1)]
    with profile.connected(unique()) as client:
        assert client.subscribe(*filters[:most]) == [1] * most
        assert ends(client.ask(subscribe(*filters)), 0x97)
    with profile.connected(unique()) as client:
        assert ends(client.ask(wire.unsubscribe(*filters)), 0x97)
    with profile.connected(unique(), version=4) as client:
        assert client.subscribe(*filters[:most]) == [1] * most
        assert client.ask(subscribe(*filters, version=4)) is None


# tests aws-iot [MQ-40]
def test_subscriptions(profile, unique):
    most = profile.either(10_000, 50)
    step = profile.either(1000, 8)
    with profile.connected(unique()) as client:
        codes = []
        for start in range(0, most + 1, step):
            codes += client.subscribe(*(f"s/{n}" for n in range(start, min(start + step, most + 1))))
        assert codes == [1] * most + [0x97]
        assert client.lives()


# tests aws-iot [MQ-30]
def test_topics(profile, unique):
    longest, deepest = profile.either(4096, 256), profile.either(128, 8)
    long, deep = "x" * longest, "/".join("x" * deepest)
    for topic in (long, deep):
        for version in (5, 4):
            with profile.connected(unique(), version=version) as client:
                assert client.subscribe(topic) == [1]
                assert client.publish(topic) in (0, 0x10)
    for topic in (long + "x", deep + "/x"):
        with profile.connected(unique()) as client:
            assert client.subscribe(topic) == [0x8F]
            assert ends(client.ask(publish(topic, qos=1)), 0x90)
        with profile.connected(unique(), version=4) as client:
            assert client.ask(publish(topic, qos=1, version=4)) is None
        with profile.connected(unique(), version=4) as client:
            assert client.ask(subscribe(topic, version=4)) is None
    # What names the share or the rule does not count.
    with profile.connected(unique()) as client:
        assert client.subscribe(f"$share/{'g' * 100}/{deep}", f"$share/g/{long}") == [1, 1]
        assert client.publish(f"$aws/rules/{'r' * 100}/{deep}") in (0, 0x10)


# tests aws-iot [MQ-30], [MQ-14]
def test_sizes(profile, unique):
    with profile.connected(unique()) as client:
        most = client.answer.properties["packet_bytes"]
        overhead = len(publish("big", b"", qos=1)) + len(wire.number(most)) - 1
        payload = profile.either(most - overhead, 131_072)
        assert client.publish("big", b"x" * payload) in (0, 0x10)
        if profile.aws:
            assert client.publish("big", b"x" * (payload + 1)) == 0x97
            assert ends(client.ask(publish("big", b"x" * (payload + 1))), 0x95)
    with profile.connected(unique()) as client:
        assert ends(client.ask(b"\x32" + wire.number(most)), 0x95)
    with profile.connected(unique(), version=4) as client:
        assert client.ask(b"\x32" + wire.number(most)) is None
    if profile.aws:
        with profile.connected(unique(), version=4) as client:
            assert client.ask(publish("big", b"x" * (payload + 1), qos=1, version=4)) is None


# tests aws-iot [MQ-41], [MQ-42]
def test_whether_hash_selects_the_parent(profile, unique):
    parent = unique("sensor")
    with profile.connected(unique()) as client, profile.connected(unique()) as sender:
        assert client.subscribe(f"{parent}/#") == [1]
        for id, topic in enumerate((parent, f"{parent}/", f"{parent}/a"), 1):
            assert sender.publish(topic, topic.encode(), id=id) in (0, 0x10)
        found = [client.next_of(PUBLISH).topic for _ in range(profile.either(3, 2))]
        assert found == [parent, f"{parent}/", f"{parent}/a"][profile.either(0, 1):]
        assert client.lives()


# tests aws-iot [MQ-51], [MQ-52], [MQ-72]
def test_retained_messages_and_wildcards(profile, unique):
    root = unique("kept")
    with profile.connected(unique()) as client:
        assert client.publish(f"{root}/t", b"kept", retain=True) in (0, 0x10)
        assert client.subscribe(f"{root}/t", id=2, qos=0) == [0]
        assert client.next_of(PUBLISH).payload == b"kept"
        assert client.subscribe(f"{root}/+", id=3, qos=0) == [0]
        if not profile.aws:
            assert client.next_of(PUBLISH).payload == b"kept"
        assert client.subscribe(f"$share/g/{root}/t", id=4, qos=0) == [0]
        assert client.lives()
        assert client.publish(f"{root}/t", b"", retain=True, id=5) in (0, 0x10)


# tests aws-iot [MQ-46]
def test_subscription_identifiers(profile, unique):
    topic = unique("id")
    with profile.connected(unique()) as client:
        answer = client.ask(subscribe(topic, qos=0, extra=b"\x0b\x07"))
        if profile.aws:
            assert ends(answer, 0xA1)
            return
        assert answer.codes == [0]
        client.send(publish(topic))
        assert client.next_of(PUBLISH).properties["identifier"] == 7


# tests aws-iot [MQ-14], [MQ-34]
def test_what_is_in_flight_towards_a_client(profile, unique):
    """As many as the client allows, at most as many as the profile does."""
    topic, most = unique("flight"), profile.either(1000, 100)
    with profile.connected(unique()) as client:
        assert client.subscribe(topic) == [1]
        for _ in range(0, most + 1, 90):
            # Each sender stays below the rate of one connection.
            with profile.connected(unique()) as sender:
                sender.send(*(publish(topic, qos=1, id=id) for id in range(1, 91)))
                assert {sender.next_of(PUBACK).code for _ in range(90)} <= {0, 0x10}
        got = [client.next_of(PUBLISH) for _ in range(most)]
        assert client.lives()
        client.send(acknowledge(PUBACK, got[0].id))
        assert client.next().kind == PUBLISH


# tests aws-iot [MQ-20]
def test_session_expiry(profile, unique):
    for asked in (604_801, 0xFFFFFFFF):
        with profile.connected(unique(), expiry_s=asked) as client:
            assert client.answer.properties["session_expiry"] == 604_800
    with profile.connected(unique(), expiry_s=604_800) as client:
        assert "session_expiry" not in client.answer.properties
    name = unique()
    with profile.connected(name, version=4, clean=False):
        pass
    data = profile.platform.client("iot-data")
    eventually(lambda: not data.get_connection(clientId=name)["connected"], "the disconnect")
    assert data.get_connection(clientId=name)["sessionExpiry"] == 3600


# tests aws-iot [MQ-81]
@pytest.mark.parametrize("asked, standard, aws", [
    (0, 1, 1), (60, 60, 60), (604_800, 604_800, 604_800), (604_801, 604_801, 604_800),
    (0xFFFFFFFF, 0xFFFFFFFF, 604_800)])
def test_message_expiry(profile, unique, asked, standard, aws):
    topic = unique("expiry")
    with profile.connected(unique()) as client:
        assert client.subscribe(topic, qos=0) == [0]
        client.send(publish(topic, extra=b"\x02" + wire.u32(asked)))
        left = client.next_of(PUBLISH).properties["message_expiry"]
    # What is left is floored.
    assert 0 <= profile.either(standard, aws) - left <= 2


# tests aws-iot [MQ-80]
def test_topic_aliases(profile, unique):
    most = profile.either(64, 8)
    topic = unique("alias")
    with profile.connected(unique()) as client:
        assert client.subscribe(topic, qos=0) == [0]
        client.send(publish(topic, b"named", extra=b"\x23" + wire.u16(most)),
                    publish("", b"alias", extra=b"\x23" + wire.u16(most)))
        assert [client.next_of(PUBLISH).payload for _ in range(2)] == [b"named", b"alias"]
        assert ends(client.ask(publish(topic, extra=b"\x23" + wire.u16(most + 1))), 0x94)


# tests aws-iot [MQ-80]
def test_topic_aliases_towards_a_client(profile, unique):
    """As many as the client takes, at most as many as the profile has."""
    root, most = unique("alias"), profile.either(64, 8)
    for asked in (5, 1000):
        with profile.connected(unique(), extra=b"\x22" + wire.u16(asked)) as client:
            assert client.subscribe(f"{root}/+", qos=0) == [0]
            client.send(*(publish(f"{root}/{n}") for n in range(70)))
            got = [client.next_of(PUBLISH) for _ in range(70)]
        aliases = [one.properties["alias"] for one in got if "alias" in one.properties]
        assert aliases == list(range(1, min(asked, most) + 1))


# tests aws-iot [MQ-10]
def test_the_length_of_a_client_id(profile, unique):
    longest = unique().ljust(128, "x")
    for version, code in ((5, 0x85), (4, 0x02)):
        with profile.connected(longest[:-1] + str(version), version):
            pass
        with Wire(profile.device, version) as client:
            answer = client.ask(connect(longest + "x", version))
            assert (answer.kind, answer.code) == (CONNACK, code)


# tests aws-iot [MQ-17]
def test_what_a_denied_client_sees(profile, unique):
    stranger = profile.enrol(unique("stranger"), allowed=[("Connect", "client/nobody")])
    for version, code in ((5, 0x87), (4, 0x05)):
        with Wire(stranger, version) as client:
            answer = client.ask(connect(unique(), version))
            assert (answer.kind, answer.code) == (CONNACK, code)
            assert client.rest() == []


# tests aws-iot [MQ-12]
def test_connects_of_one_client_id(profile, unique):
    name = unique()
    with profile.connected(name):
        with Wire(profile.device) as again:
            answer = again.ask(connect(name))
            assert (answer.kind, answer.code) == (CONNACK, profile.either(0, 0x97))
        with Wire(profile.device, 4) as again:
            answer = again.ask(connect(name, 4))
            assert answer is None if profile.aws else answer.code == 0
    if profile.aws:
        # A second later it may.
        def returns():
            with Wire(profile.device) as later:
                return later.ask(connect(name)).code == 0
        eventually(returns, "the rate allows it again")


# tests aws-iot [MQ-35]
def test_publishes_per_second(profile, unique):
    with profile.connected(unique()) as client:
        client.send(*(publish("rate/t", qos=1, id=n) for n in range(1, 601)))
        codes = [client.next_of(PUBACK).code for _ in range(600)]
        assert (0x97 in codes) == profile.aws
        assert sum(code in (0, 0x10) for code in codes) >= 100
        assert client.lives()


# tests aws-iot [MQ-35]
def test_bytes_per_second(profile, unique):
    """Twice what AWS takes in a second, in a few messages."""
    with profile.connected(unique()) as client:
        client.send(*(publish("rate/t", b"x" * 100_000, qos=1, id=n) for n in range(1, 12)))
        codes = [client.next_of(PUBACK).code for _ in range(11)]
        assert (0x97 in codes) == profile.aws
        assert codes[0] in (0, 0x10)
        assert client.lives()


# tests aws-iot [MQ-32], [MQ-53]
def test_reserved_topics(profile, unique):
    for topic, retain, code in (("$other/t", False, 0x90), ("$aws/events/x", False, 0x90),
                                ("$aws/rules/r/t", True, 0x9A)):
        with profile.connected(unique()) as client:
            assert ends(client.ask(publish(topic, qos=1, retain=retain)), code)
        with profile.connected(unique(), version=4) as client:
            assert client.ask(publish(topic, qos=1, retain=retain, version=4)) is None


# tests aws-iot [MQ-62]
def test_a_will_to_a_shadow_reaches_its_subscribers(profile, unique):
    topic = f"$aws/things/{unique('thing')}/shadow/update"
    with profile.connected(unique()) as witness:
        assert witness.subscribe(topic) == [1]
        profile.connected(unique(), will=(topic, b"{}", 1, False)).close()
        assert witness.next_of(PUBLISH).payload == b"{}"


# tests aws-iot [MQ-83]
def test_user_properties(profile, unique):
    most = profile.either(64, 8) * 1024
    pair = b"\x26" + wire.text("k" * 500) + wire.text("v" * 524)
    with profile.connected(unique()) as client:
        assert client.publish("u/t", extra=pair * (most // 1024)) in (0, 0x10)
        assert ends(client.ask(publish("u/t", extra=pair * (most // 1024) + b"\x26\0\1k\0\0")), 0x97)


# tests aws-iot [MQ-11]
def test_another_owner_of_a_client_id(profile, unique):
    stranger, name, topic = profile.enrol(unique("stranger")), unique("meter"), unique("secret")
    with profile.connected(name, clean=False, expiry_s=600) as owner:
        assert owner.subscribe(topic) == [1]

        def attempt():
            with Wire(stranger) as thief:
                answer = thief.ask(connect(name, clean=False, expiry_s=600))
                if answer.code == 0x97:
                    return None
                return answer
        answer = eventually(attempt, "the rate lets it be judged")
        assert answer.code == profile.either(0x85, 0)
        # tests aws-iot [MQ-11]: whoever displaces inherits nothing.
        assert not answer.session_present
        if profile.aws:
            assert owner.next_of(DISCONNECT).code == 0x8E
        else:
            assert owner.lives()


# tests aws-iot [MQ-10]: legal on AWS, refused where wildcards in a client id could be a trap.
@pytest.mark.parametrize("client_id", ["a+b", "a#b"])
def test_wildcards_in_a_client_id(profile, client_id):
    with Wire(profile.device) as client:
        answer = client.ask(connect(client_id))
        assert (answer.kind, answer.code) == (CONNACK, profile.either(0x87, 0))


# 7, policies.


def refused(call, **arguments):
    """The code and status of a refusal; `None` when there was none."""
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]


def document(padding=0):
    """A policy of so many characters, none of them white space."""
    def whole(sid):
        return json.dumps({"Version": "2012-10-17", "Statement": [
            {"Sid": sid, "Effect": "Allow", "Action": "iot:Connect", "Resource": "*"}]},
            separators=(",", ":"))
    return whole("x" * max(padding - len(whole("")), 0))


# tests aws-iot [PL-2]
def test_the_size_of_a_policy(profile, unique):
    create = profile.iot.create_policy
    assert refused(create, policyName=unique(), policyDocument=document(2048)) is None
    # White space does not count.
    spaced = document(2048).replace(",", ",\n" + " " * 500)
    assert refused(create, policyName=unique(), policyDocument=spaced) is None
    found = refused(create, policyName=unique(), policyDocument=document(2049))
    assert found == profile.either(None, ("MalformedPolicyException", 400))


# tests aws-iot [PL-4]
@pytest.mark.parametrize("target, standard, aws", [("certificate", 50, 10), ("group", 50, 2)])
def test_policies_of_a_target(profile, unique, target, standard, aws):
    most = profile.either(standard, aws)
    if target == "certificate":
        arn = profile.iot.create_keys_and_certificate()["certificateArn"]
    else:
        arn = profile.iot.create_thing_group(thingGroupName=unique("group"))["thingGroupArn"]
    names = [unique("policy") for _ in range(most + 1)]
    for name in names:
        profile.iot.create_policy(policyName=name, policyDocument=document())
    attach = profile.iot.attach_policy
    assert [refused(attach, policyName=name, target=arn) for name in names[:most]] == [None] * most
    assert refused(attach, policyName=names[most], target=arn) == ("LimitExceededException", 410)
    # One that is attached may be attached again.
    assert refused(attach, policyName=names[0], target=arn) is None


# tests aws-iot [PL-52]
def test_a_lost_permission_to_connect(profile, unique):
    device = profile.enrol(unique("device"))
    with Wire.connected(device) as client:
        profile.iot.create_policy_version(policyName=device.policy, setAsDefault=True,
                                          policyDocument=json.dumps({
            "Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Action": "iot:Publish", "Resource": "*"}]}))
        if profile.aws:
            assert client.publish("a") in (0, 0x10)
            assert client.lives()
        else:
            assert client.next_of(DISCONNECT).code == 0x87


# tests aws-iot [PL-30]
def test_a_deny_with_an_undefined_variable(profile, unique):
    device = profile.enrol(unique("device"), allowed=[("*", "*")], denied=[
        ("Publish", "topic/${iot:Connection.Thing.Attributes[site]}/t")])
    with Wire.connected(device) as client:
        assert client.publish("north/t") == profile.either(0x87, 0)
        assert client.publish("north/u", id=2) in (0, 0x10)


# tests aws-iot [PL-50]
def test_a_quarantine_under_another_client_id(profile, unique):
    device, group, deny = profile.enrol(unique("device")), unique("group"), unique("deny")
    profile.iot.create_policy(policyName=deny, policyDocument=json.dumps({
        "Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}))
    arn = profile.iot.create_thing_group(thingGroupName=group)["thingGroupArn"]
    profile.iot.attach_policy(policyName=deny, target=arn)
    profile.iot.add_thing_to_thing_group(thingName=device.name, thingGroupName=group)
    for client_id, code in ((device.name, 0x87), (unique("walk-around"), profile.either(0x87, 0))):
        with Wire(device) as client:
            assert client.ask(connect(client_id)).code == code


# 4, the registry.


# tests aws-iot [RG-2]
def test_attributes_of_a_thing(profile, unique):
    def attributes(count):
        return {"attributes": {f"a{n}": "v" for n in range(count)}}

    create, kind = profile.iot.create_thing, unique("type")
    profile.iot.create_thing_type(thingTypeName=kind)
    invalid = ("InvalidRequestException", 400)
    for count, typed, expected in (
            (3, False, None), (4, False, profile.either(None, invalid)),
            (50, False, profile.either(None, invalid)), (50, True, None), (51, True, invalid),
            (51, False, invalid)):
        options = {"thingTypeName": kind} if typed else {}
        found = refused(create, thingName=unique("thing"), attributePayload=attributes(count), **options)
        assert found == expected, (count, typed)


# tests aws-iot [RG-23]
def test_deleting_a_deprecated_type(profile, unique):
    kind = unique("type")
    profile.iot.create_thing_type(thingTypeName=kind)
    profile.iot.deprecate_thing_type(thingTypeName=kind)
    found = refused(profile.iot.delete_thing_type, thingTypeName=kind)
    assert found == profile.either(None, ("InvalidRequestException", 400))


# tests aws-iot [RG-30]
def test_the_depth_of_groups(profile, unique):
    deepest, parent = profile.either(16, 7), {}
    for _ in range(deepest):
        name = unique("group")
        profile.iot.create_thing_group(thingGroupName=name, **parent)
        parent = {"parentGroupName": name}
    assert refused(profile.iot.create_thing_group, thingGroupName=unique("group"), **parent) is not None


# tests aws-iot [RG-30]
def test_the_children_of_a_group(profile, unique):
    parent = unique("group")
    profile.iot.create_thing_group(thingGroupName=parent)
    for _ in range(100):
        profile.iot.create_thing_group(thingGroupName=unique("child"), parentGroupName=parent)
    found = refused(profile.iot.create_thing_group, thingGroupName=unique("child"), parentGroupName=parent)
    assert (found is not None) == profile.aws


# tests aws-iot [RG-31]
def test_the_groups_of_a_thing(profile, unique):
    most, thing = profile.either(50, 10), unique("thing")
    profile.iot.create_thing(thingName=thing)
    found = []
    for _ in range(most + 1):
        group = unique("group")
        profile.iot.create_thing_group(thingGroupName=group)
        found.append(refused(profile.iot.add_thing_to_thing_group, thingName=thing,
                             thingGroupName=group))
    assert found[:most] == [None] * most and found[most] == ("InvalidRequestException", 400)


# tests aws-iot [RG-54]
def test_the_principals_of_a_thing(profile, unique):
    thing = unique("thing")
    profile.iot.create_thing(thingName=thing)
    found = [refused(profile.iot.attach_thing_principal, thingName=thing,
                     principal=profile.iot.create_keys_and_certificate()["certificateArn"])
             for _ in range(11)]
    assert found[:10] == [None] * 10
    assert found[10] == profile.either(None, ("InvalidRequestException", 400))
