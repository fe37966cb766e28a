"""Hostile requests to the HTTP APIs: altered, replayed, smuggled, or asking for what is another's.

Requests are signed and sent by hand, so that what is signed and what is sent can differ.
"""

import datetime
import hashlib
import hmac
import json
import socket
import ssl
import urllib.parse

import botocore
import botocore.config
import pytest
from botocore.exceptions import BotoCoreError, ClientError

import wire
from conftest import ACCOUNT, REGION, eventually
from test_hostile import Bystanders, cases

PATIENCE_S = 10


@pytest.fixture(scope="module")
def bystanders(platform, iot, tmp_path_factory):
    device = wire.enrol(platform, iot, tmp_path_factory.mktemp("beside"), "http-bystander")
    pair = Bystanders(device)
    yield pair
    pair.reader.close()
    pair.writer.close()


@pytest.fixture(autouse=True)
def beside(bystanders):
    yield bystanders
    bystanders.check()


class Key:
    """An access key, perhaps with a session token."""

    def __init__(self, id, secret, token=None):
        self.id, self.secret, self.token = id, secret, token


@pytest.fixture(scope="module")
def admin(platform):
    found = platform.session().get_credentials().get_frozen_credentials()
    return Key(found.access_key, found.secret_key, found.token)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def stamp(late_by_s=0):
    at = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=late_by_s)
    return at.strftime("%Y%m%dT%H%M%SZ")


def signature(key, method, path, query, headers, names, payload, scope, at):
    """Signature version 4 over exactly what is given."""
    canonical = "\n".join([
        method, urllib.parse.quote(path, safe="/-_.~"), query,
        *(f"{name}:{headers[name]}" for name in names), "", ";".join(names), payload])
    text = "\n".join(["AWS4-HMAC-SHA256", at, "/".join(scope), sha256(canonical.encode())])
    secret = ("AWS4" + key.secret).encode()
    for part in (*scope, text):
        secret = hmac.new(secret, part.encode(), hashlib.sha256).digest()
    return secret.hex()


class Call:
    """A request on its way: signed as it says, then altered as a test likes."""

    def __init__(self, platform, key, method, path, body=b"", query="", service="iot", late_by_s=0,
                 host="localhost", region=REGION, payload=None, headers=None, unsigned=(),
                 signed_path=None):
        self.method, self.path, self.query, self.body = method, path, query, body
        self.platform, at = platform, stamp(late_by_s)
        self.headers = {"host": host, "x-amz-date": at, **(headers or {})}
        if payload:
            self.headers["x-amz-content-sha256"] = payload
        if key.token:
            self.headers["x-amz-security-token"] = key.token
        names = sorted(set(self.headers) - set(unsigned))
        scope = (at[:8], region, service, "aws4_request")
        proof = signature(key, method, signed_path or path, query, self.headers, names,
                          payload or sha256(body), scope, at)
        self.headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={key.id}/{'/'.join(scope)}, "
            f"SignedHeaders={';'.join(names)}, Signature={proof}")

    def altered(self, **members):
        for name, value in members.items():
            setattr(self, name, value)
        return self

    def with_header(self, name, value):
        self.headers[name] = value
        return self

    def __bytes__(self):
        target = self.path + ("?" + self.query if self.query else "")
        lines = [f"{self.method} {target} HTTP/1.1",
                 *(f"{name}: {value}" for name, value in self.headers.items()),
                 f"content-length: {len(self.body)}", "connection: close", "", ""]
        return "\r\n".join(lines).encode() + self.body

    def send(self, door="control"):
        return Answer(exchange(self.platform, door, bytes(self)))


class Answer:
    """The first answer on a connection, and how many there were."""

    def __init__(self, data):
        self.data = data
        self.status = int(data.split(b" ", 2)[1]) if data.startswith(b"HTTP/1.1 ") else None
        self.head, _, self.body = data.partition(b"\r\n\r\n")
        self.count = 0
        while data.startswith(b"HTTP/1."):
            self.count += 1
            head, _, rest = data.partition(b"\r\n\r\n")
            length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            data = rest[int(length[0].split(b":")[1]) if length else 0:]

    @property
    def error(self):
        for line in self.head.decode().split("\r\n"):
            name, _, value = line.partition(":")
            if name.lower() == "x-amzn-errortype":
                return value.strip().rstrip(":")


def exchange(platform, door, data, context=None):
    """Everything that comes back until the server closes or says no more."""
    context = context or ssl.create_default_context(cafile=platform.ca)
    found = b""
    try:
        raw = socket.create_connection(("localhost", platform.port(door)), PATIENCE_S)
        with context.wrap_socket(raw, server_hostname="localhost") as tls:
            tls.sendall(data)
            while more := tls.recv(65536):
                found += more
    except TimeoutError:
        raise AssertionError(f"left open after {found[:200]}") from None
    except OSError:
        pass
    return found


# 1. Signatures.


# tests aws-iot [HT-23]
@pytest.mark.parametrize("door", ["control", "device"])
def test_unsigned(platform, door):
    answer = Answer(exchange(platform, door, b"GET /things HTTP/1.1\r\nHost: localhost\r\n"
                                             b"Connection: close\r\n\r\n"))
    assert (answer.status, answer.error) == (403, "MissingAuthenticationTokenException")


def create(platform, key, name, **options):
    return Call(platform, key, "POST", f"/things/{name}", b"{}", **options)


EMPTY = sha256(b"")
WITHOUT_A_KEY = Key("AKIA0000000000000000", "s" * 40)

# What is done to a signed CreateThing, so that it must not happen.
# tests aws-iot [HT-1], [EP-33], [13.3]
ALTERED = dict(
    body=lambda p, k, n: create(p, k, n).altered(body=b'{"attributePayload":{}}'),
    body_cut=lambda p, k, n: create(p, k, n).altered(body=b""),
    hash_of_another_body=lambda p, k, n: create(p, k, n, payload=EMPTY),
    hash_only_stated=lambda p, k, n: create(p, k, n).with_header("x-amz-content-sha256", sha256(b"{}")),
    unsigned_payload=lambda p, k, n: create(p, k, n, payload="UNSIGNED-PAYLOAD"),
    streaming=lambda p, k, n: create(p, k, n, payload="STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
    method=lambda p, k, n: Call(p, k, "GET", f"/things/{n}", b"{}").altered(method="POST"),
    path=lambda p, k, n: create(p, k, "signed").altered(path=f"/things/{n}"),
    query=lambda p, k, n: create(p, k, n).altered(query="x=1"),
    old=lambda p, k, n: create(p, k, n, late_by_s=16 * 60),
    of_tomorrow=lambda p, k, n: create(p, k, n, late_by_s=-16 * 60),
    another_host=lambda p, k, n: create(p, k, n, host="evil.example"),
    host_changed=lambda p, k, n: create(p, k, n).with_header("host", "127.0.0.1"),
    host_twice=lambda p, k, n: create(p, k, n).with_header("Host", "evil.example"),
    host_unsigned=lambda p, k, n: create(p, k, n, unsigned=["host"]),
    date_unsigned=lambda p, k, n: create(p, k, n, unsigned=["x-amz-date"]),
    date_twice=lambda p, k, n: create(p, k, n).with_header("X-Amz-Date", stamp()),
    header_unsigned=lambda p, k, n: create(p, k, n).with_header("x-amz-meta", "1"),
    another_service=lambda p, k, n: create(p, k, n, service="iotdata"),
    no_service=lambda p, k, n: create(p, k, n, service="s3"),
    another_region=lambda p, k, n: create(p, k, n, region="eu-west-1"),
    unknown_key=lambda p, k, n: create(p, WITHOUT_A_KEY, n),
    wrong_secret=lambda p, k, n: create(p, Key(k.id, "s" * 40), n),
    no_secret=lambda p, k, n: create(p, Key(k.id, ""), n),
    token_of_nobody=lambda p, k, n: create(p, Key(k.id, k.secret, "token"), n),
    authorization_twice=lambda p, k, n: create(p, k, n).with_header("Authorization", "AWS4-HMAC-SHA256"),
    no_signature=lambda p, k, n: create(p, k, n).with_header("authorization", "AWS4-HMAC-SHA256"),
    another_algorithm=lambda p, k, n: create(p, k, n).with_header("authorization", "Bearer x"),
)


@pytest.mark.parametrize("alter", cases(**ALTERED))
def test_an_altered_request_does_nothing(platform, iot, admin, unique, alter):
    name = unique("thing")
    answer = alter(platform, admin, name).send()
    assert answer.status in (400, 403, 404) and answer.count == 1, answer.data
    with pytest.raises(iot.exceptions.ResourceNotFoundException):
        iot.describe_thing(thingName=name)


def test_the_same_request_unaltered(platform, iot, admin, unique):
    name = unique("thing")
    assert create(platform, admin, name).send().status == 200
    # 14 minutes are within the skew of the control plane, as is this request a second time.
    assert create(platform, admin, name, late_by_s=14 * 60).send().status == 200
    assert iot.describe_thing(thingName=name)["version"] == 1


# tests aws-iot [HT-1]
@pytest.mark.parametrize("late_by_s, status", [(4 * 60, 200), (6 * 60, 403), (-6 * 60, 403)])
def test_the_data_plane_is_stricter_about_time(platform, admin, late_by_s, status):
    call = Call(platform, admin, "POST", "/topics/a", b"x", service="iotdata", late_by_s=late_by_s)
    assert call.send("device").status == status


# tests aws-iot [13.3]
def test_the_control_plane_is_not_at_the_devices_door(platform, iot, admin, unique):
    name = unique("thing")
    for door in ("device", "https"):
        assert create(platform, admin, name).send(door).status in (403, None)
    with pytest.raises(iot.exceptions.ResourceNotFoundException):
        iot.describe_thing(thingName=name)


def presigned(platform, key, method, path, valid_s=60, late_by_s=0, body=b""):
    at = stamp(late_by_s)
    scope = (at[:8], REGION, "iot", "aws4_request")
    query = "&".join(f"{name}={urllib.parse.quote(value, safe='')}" for name, value in sorted({
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Credential": f"{key.id}/{'/'.join(scope)}",
        "X-Amz-Date": at, "X-Amz-Expires": str(valid_s), "X-Amz-SignedHeaders": "host"}.items()))
    proof = signature(key, method, path, query, {"host": "localhost"}, ["host"], sha256(body), scope, at)
    head = (f"{method} {path}?{query}&X-Amz-Signature={proof} HTTP/1.1\r\nhost: localhost\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n")
    return Answer(exchange(platform, "control", head.encode() + body))


# tests aws-iot [HT-1]
@pytest.mark.parametrize("method, path, valid_s, late_by_s, status", cases(
    read=("GET", "/things", 60, 0, 200), expired=("GET", "/things", 60, 61, 403),
    for_a_year=("GET", "/things", 31_536_000, 0, (400, 403)), for_ever=("GET", "/things", 0, 0, (400, 403)),
    create=("POST", "/things/presigned", 60, 0, 403), delete=("DELETE", "/things/presigned", 60, 0, 403),
    attach=("PUT", "/things/presigned/principals", 60, 0, (400, 403))))
def test_presigned_urls_only_read(platform, admin, method, path, valid_s, late_by_s, status):
    answer = presigned(platform, admin, method, path, valid_s, late_by_s)
    assert answer.status in (status if isinstance(status, tuple) else (status,)), answer.data


# 2. Whose session is it.


@pytest.fixture(scope="module")
def iam(platform):
    return platform.client("iam")


def allow(*pairs):
    return json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": action, "Resource": resource} for action, resource in pairs]})


def user(iam, name, document):
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=document)
    made = iam.create_access_key(UserName=name)["AccessKey"]
    return Key(made["AccessKeyId"], made["SecretAccessKey"])


def role_session(platform, iam, name, document):
    trust = json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": ACCOUNT}}]})
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=document)
    made = platform.client("sts").assume_role(RoleArn=arn, RoleSessionName="session")["Credentials"]
    return Key(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"])


# tests aws-iot [HT-1]
def test_session_tokens_are_not_exchanged(platform, iam, admin, unique):
    reader = role_session(platform, iam, unique("reader"), allow(("iot:ListThings", "*")))
    writer = role_session(platform, iam, unique("writer"), allow(("iot:*", "*")))

    def status(id, secret, token):
        return Call(platform, Key(id, secret, token), "GET", "/thing-groups").send().status

    assert status(writer.id, writer.secret, writer.token) == 200
    assert status(reader.id, reader.secret, reader.token) == 403
    for id, secret, token in [
            (reader.id, reader.secret, writer.token), (writer.id, writer.secret, reader.token),
            (reader.id, writer.secret, writer.token), (writer.id, writer.secret, None),
            (writer.id, writer.secret, writer.token[:-4]), (writer.id, writer.secret, writer.token + "x"),
            (admin.id, admin.secret, writer.token), (writer.id, writer.secret, "x" * 5000)]:
        assert status(id, secret, token) in (400, 403), (id, token)
    # The token must be under the signature.
    call = Call(platform, Key(writer.id, writer.secret), "GET", "/thing-groups")
    assert call.with_header("x-amz-security-token", writer.token).send().status == 403


# 3. Paths and names.


@pytest.fixture(scope="module")
def narrow(platform, iot, iam):
    """A user who may do everything with the thing `mine`, which is next to `other`."""
    iot.create_thing(thingName="mine")
    iot.create_thing(thingName="other", attributePayload={"attributes": {"secret": "treasure"}})
    return user(iam, "narrow", allow(("iot:*", platform.arn("thing/mine"))))


PATHS = ["/things/other", "/things/mine/../other", "/things/mine%2F..%2Fother",
         "/things/mine%2f..%2fother", "//things/other", "/things//other", "/things/./other",
         "/things/other/", "/./things/other", "/x/../things/other", "/%74hings/other",
         "/things/oth%65r", "/things/mine%00other", "/things/mine/other", "/things/mine%2Fother",
         "/things/mine%0Aother", "/things/mine%3Fother", "/things/mine%23/../other",
         "/things/%2e%2e/things/other", "/things/mine\\..\\other", "/things/mine;/../other", "/things/mine%252F..%252Fother",
         "/things/*", "/things/%2A", "/things/mine,other", "/things/other%20", "/things/OTHER",
         "/things/mine%C0%AF..%C0%AFother", "https://localhost/things/other", "*", "things/other"]


# tests aws-iot [HT-4], [HT-23]
@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("path", PATHS)
def test_no_path_leads_to_another_thing(platform, iot, narrow, method, path):
    whole = path.removeprefix("https://localhost")
    normal = urllib.parse.urljoin("/", urllib.parse.quote(urllib.parse.unquote_to_bytes(whole)))
    for signed_path in {whole, "/things/mine", "/things/other", normal, urllib.parse.unquote(whole)}:
        call = Call(platform, narrow, method, path, signed_path=signed_path)
        answer = call.send()
        assert answer.status in (400, 403, 404, None), answer.data
        assert b"treasure" not in answer.data
    assert iot.describe_thing(thingName="other")["attributes"]["secret"] == "treasure"


def test_the_path_that_is_allowed(platform, narrow):
    for path in ("/things/mine", "/things/%6Dine"):
        assert Call(platform, narrow, "GET", path).send().status == 200


# 4. What a narrow user names beside the path.


def refused(call):
    with pytest.raises(ClientError) as error:
        call()
    return error.value.response["Error"]["Code"]


# tests aws-iot [HT-3], [HT-23], [PL-5]
def test_what_stands_in_headers_and_bodies_is_judged(platform, iot, iam, unique):
    certificates = [iot.create_keys_and_certificate(setAsActive=True)["certificateArn"] for _ in range(2)]
    own, foreign = certificates
    names = [unique("policy") for _ in range(2)]
    things = [unique("thing") for _ in range(2)]
    groups = [unique("group") for _ in range(2)]
    document = json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "iot:Connect", "Resource": "*"}]})
    for policy, thing, group in zip(names, things, groups):
        iot.create_policy(policyName=policy, policyDocument=document)
        iot.create_thing(thingName=thing)
        iot.create_thing_group(thingGroupName=group)
    name = unique("operator")
    key = user(iam, name, allow(*(("iot:*", resource) for resource in (
        own, platform.arn(f"policy/{names[0]}"), platform.arn(f"thing/{things[0]}"),
        platform.arn(f"thinggroup/{groups[0]}")))))
    narrow = platform.client("iot", aws_access_key_id=key.id, aws_secret_access_key=key.secret)
    for call in (
            lambda: narrow.attach_thing_principal(thingName=things[0], principal=foreign),
            lambda: narrow.attach_thing_principal(thingName=things[1], principal=own),
            lambda: narrow.attach_policy(policyName=names[0], target=foreign),
            lambda: narrow.attach_policy(policyName=names[0], target=platform.arn(f"thinggroup/{groups[1]}")),
            lambda: narrow.attach_principal_policy(policyName=names[0], principal=foreign),
            lambda: narrow.add_thing_to_thing_group(thingName=things[0], thingGroupName=groups[1]),
            lambda: narrow.add_thing_to_thing_group(thingName=things[1], thingGroupName=groups[0]),
            lambda: narrow.add_thing_to_thing_group(
                thingArn=platform.arn(f"thing/{things[1]}"), thingGroupName=groups[0]),
            lambda: narrow.add_thing_to_thing_group(
                thingName=things[0], thingArn=platform.arn(f"thing/{things[1]}"), thingGroupName=groups[0]),
            lambda: narrow.update_thing_groups_for_thing(
                thingName=things[0], thingGroupsToAdd=[groups[0], groups[1]]),
            lambda: narrow.tag_resource(resourceArn=platform.arn(f"thinggroup/{groups[1]}"),
                                        tags=[{"Key": "a", "Value": "b"}]),
            lambda: narrow.update_certificate(certificateId=foreign.split("/")[1], newStatus="REVOKED"),
            lambda: narrow.delete_policy(policyName=names[1])):
        assert refused(call) in ("AccessDeniedException", "InvalidRequestException")
    assert iot.list_thing_principals(thingName=things[0])["principals"] == []
    assert iot.list_thing_principals(thingName=things[1])["principals"] == []
    for target in (*certificates, platform.arn(f"thinggroup/{groups[1]}")):
        assert iot.list_attached_policies(target=target)["policies"] == []
    assert iot.list_things_in_thing_group(thingGroupName=groups[1])["things"] == []
    assert iot.list_things_in_thing_group(thingGroupName=groups[0])["things"] == []
    narrow.attach_thing_principal(thingName=things[0], principal=own)
    narrow.attach_policy(policyName=names[0], target=own)
    # As on AWS, the target alone is judged, whichever policy it is given.
    narrow.attach_policy(policyName=names[1], target=own)


# tests aws-iot [HT-1], [HT-3]
def test_a_principal_under_no_signature_or_twice(platform, iot, admin, unique):
    thing = unique("thing")
    iot.create_thing(thingName=thing)
    own, foreign = [iot.create_keys_and_certificate()["certificateArn"] for _ in range(2)]
    path = f"/things/{thing}/principals"
    for call in (
            Call(platform, admin, "PUT", path).with_header("x-amzn-principal", foreign),
            Call(platform, admin, "PUT", path, headers={"x-amzn-principal": own})
            .with_header("x-amzn-principal", foreign),
            Call(platform, admin, "PUT", path, headers={"x-amzn-principal": own})
            .with_header("X-Amzn-Principal", foreign)):
        assert call.send().status in (400, 403)
    assert iot.list_thing_principals(thingName=thing)["principals"] == []


# 5. Lists.


# tests aws-iot [RG-11], [HT-30]
def test_a_page_token_is_good_for_its_list_only(iot, unique):
    kind = unique("type")
    for _ in range(3):
        iot.create_thing(thingName=unique("paged"), attributePayload={"attributes": {"kind": kind}})
        iot.create_thing_type(thingTypeName=unique("type"))
        iot.create_policy(policyName=unique("policy"), policyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Action": "iot:Connect", "Resource": "*"}]}))
    things = iot.list_things(maxResults=1)["nextToken"]
    types = iot.list_thing_types(maxResults=1)["nextToken"]
    filtered = iot.list_things(maxResults=1, attributeName="kind", attributeValue=kind)["nextToken"]
    policies = iot.list_policies(pageSize=1)["nextMarker"]
    flipped = things[:5] + ("A" if things[5] != "A" else "B") + things[6:]
    for call in (
            lambda: iot.list_things(nextToken=types), lambda: iot.list_things(nextToken=filtered),
            lambda: iot.list_thing_types(nextToken=things), lambda: iot.list_policies(marker=things),
            lambda: iot.list_things(nextToken=policies), lambda: iot.list_things(nextToken=flipped),
            lambda: iot.list_things(nextToken=things[:-4]), lambda: iot.list_things(nextToken="' OR 1=1"),
            lambda: iot.list_things(nextToken="A" * 4000),
            lambda: iot.list_things(nextToken=filtered, attributeName="kind", attributeValue="another")):
        assert refused(call) == "InvalidRequestException"
    assert iot.list_things(nextToken=things, maxResults=1)["things"]


# 6. HTTP itself.

POST = b"POST /things/smuggled HTTP/1.1\r\nHost: localhost\r\n"
INNER = b"GET /things HTTP/1.1\r\nHost: localhost\r\nX: "

# Requests whose end two readers could see in two places.
SMUGGLED = dict(
    length_and_chunked=POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + INNER,
    chunked_and_length=POST + b"Transfer-Encoding: chunked\r\nContent-Length: 200\r\n\r\n0\r\n\r\n" + INNER,
    two_lengths=POST + b"Content-Length: 0\r\nContent-Length: 44\r\n\r\n" + INNER,
    list_of_lengths=POST + b"Content-Length: 0, 44\r\n\r\n" + INNER,
    plus_length=POST + b"Content-Length: +0\r\n\r\n" + INNER,
    minus_length=POST + b"Content-Length: -1\r\n\r\n" + INNER,
    hex_length=POST + b"Content-Length: 0x0\r\n\r\n" + INNER,
    huge_length=POST + b"Content-Length: 99999999999999999999999\r\n\r\n" + INNER,
    unknown_coding=POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + INNER,
    chunked_is_not_last=POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + INNER,
    space_before_colon=POST + b"Transfer-Encoding : chunked\r\nContent-Length: 0\r\n\r\n" + INNER,
    folded=POST + b"Content-Length: 0\r\nX: a\r\n Transfer-Encoding: chunked\r\n\r\n" + INNER,
    nul_in_header=POST + b"X: a\0b\r\nContent-Length: 0\r\n\r\n" + INNER,
    cr_in_header=POST + b"X: a\rTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n" + INNER,
    bad_chunk_size=POST + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n" + INNER,
    huge_chunk_size=POST + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n\r\n" + INNER,
    version_9=b"GET /things HTTP/9.9\r\nHost: localhost\r\n\r\n" + INNER,
    version_2_in_plain=b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    no_version=b"GET /things\r\n\r\n",
    no_method=b" /things HTTP/1.1\r\nHost: localhost\r\n\r\n",
    tab_for_space=b"GET\t/things\tHTTP/1.1\r\nHost: localhost\r\n\r\n",
    garbage=b"\x00\xff" * 500 + b"\r\n\r\n",
    connect_method=b"CONNECT localhost:22 HTTP/1.1\r\nHost: localhost:22\r\nConnection: close\r\n\r\n",
    headers_64_kib=b"GET /things HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 65_536 + b"\r\n\r\n",
    headers_1000=b"GET /things HTTP/1.1\r\nHost: localhost\r\n" + b"X: a\r\n" * 1000 + b"\r\n",
    long_target=b"GET /" + b"a" * 65_536 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
)


@pytest.mark.parametrize("said", cases(**SMUGGLED))
@pytest.mark.parametrize("door", ["control", "device", "https"])
def test_one_request_is_at_most_one_answer(platform, smuggler, door, said):
    context = smuggler.tls() if door == "https" else None
    answer = Answer(exchange(platform, door, said, context))
    assert answer.count <= 1 and answer.status in (400, 403, 404, 405, 411, 413, 414, 431, 501, 505, None)


@pytest.fixture(scope="module")
def smuggler(platform, iot, tmp_path_factory):
    return wire.enrol(platform, iot, tmp_path_factory.mktemp("smuggler"), "smuggler")


def test_no_status_was_smuggled(iot):
    with pytest.raises(iot.exceptions.ResourceNotFoundException):
        iot.describe_thing(thingName="smuggled")


# tests aws-iot [EP-42], [EP-46], [MQ-32], [EP-43]
@pytest.mark.parametrize("target, status", cases(
    events=("/topics/$aws/events/presence/connected/x?qos=1", 400),
    events_encoded=("/topics/%24aws%2Fevents%2Fpresence%2Fconnected%2Fx?qos=1", 400),
    answer=("/topics/%24aws/things/x/shadow/update/accepted?qos=1", 400),
    wildcard=("/topics/a%2F%23?qos=1", 400), plus=("/topics/a/+/b", 400), empty=("/topics/", (400, 404)),
    deep=("/topics/" + "a%2F" * 200, 400), nul=("/topics/a%00b", 400), latin_1=("/topics/a%FF", 400),
    qos_2=("/topics/a?qos=2", 400), qos_x=("/topics/a?qos=x", 400), twice_encoded=("/topics/a%252Fb", 200),
    retained_shadow=("/topics/%24aws%2Fthings%2Fx%2Fshadow%2Fupdate?retain=true", 400),
    expiry=("/topics/a?messageExpiry=x", 400), things=("/things/mine", (403, 404, 405)),
    connections=("/connections/x/messages?topic=a", (403, 404))))
def test_publishing_over_https(platform, smuggler, target, status):
    said = (f"POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n"
            "Connection: close\r\n\r\nx").encode()
    answer = Answer(exchange(platform, "https", said, smuggler.tls()))
    assert answer.status in (status if isinstance(status, tuple) else (status,)), answer.data


# tests aws-iot [13.3]
def test_a_signature_beside_a_certificate_gives_no_further_right(platform, iot, admin, smuggler, unique):
    """Whoever shows a certificate is that device, whatever else the request says."""
    name = unique("thing")
    for door in ("https", "control"):
        said = bytes(create(platform, admin, name, headers={"x-amz-meta": "1"}).altered(
            body=b'{"x":1}'))
        answer = Answer(exchange(platform, door, said, smuggler.tls()))
        assert answer.status in (400, 403, 404, 405)
    with pytest.raises(iot.exceptions.ResourceNotFoundException):
        iot.describe_thing(thingName=name)


def test_bodies_that_are_too_much(platform, admin, unique):
    for body, statuses in ((b"[" * 100_000, (400, 413)), (b'{"a":' * 1000 + b"1" + b"}" * 1000, (400,)),
                           (b"x" * 1_100_000, (400, 413)), (b"\xff\xfe", (400,)), (b'{"a":1e999999}', (400, 200)),
                           (b'{"attributePayload":' + b'{"attributes":{"a":"b"}}' + b"}" * 3, (400,))):
        answer = Call(platform, admin, "POST", f"/things/{unique('t')}", body).send()
        assert answer.status in statuses, (body[:30], answer.data)


def test_who_is_refused_leaves_a_record_and_no_more(platform, narrow):
    """The refused learns an id; what it leads to takes a permission of its own."""
    answer = Call(platform, narrow, "GET", "/things/other").send()
    assert answer.status == 403 and b"treasure" not in answer.data
    head = answer.head.decode().lower()
    denial = next(line.split(":")[1].strip() for line in head.split("\r\n")
                  if line.startswith("x-palisade-denial-id"))
    eventually(lambda: platform.cli("why", denial, check=False).returncode == 0, "the record")
    asked = Call(platform, narrow, "GET", f"/denials/{denial}", service="palisade").send()
    assert asked.status in (403, 404)


NASTY = ["a\0b", "x" * 5000, "'; DROP TABLE things; --", "../../etc/passwd",
         "\ufffe\U0010ffff\u202e", "-1"]


@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
@pytest.mark.parametrize("who", ["administrator", "nobody"])
def test_no_input_is_an_internal_error(platform, iam, unique, who, text):
    """Every operation with the same nasty text in every member: refused, never broken."""
    credentials = {}
    if who == "nobody":
        key = user(iam, unique("nobody"), allow(("iot:NoSuchAction", "*")))
        credentials = {"aws_access_key_id": key.id, "aws_secret_access_key": key.secret}
    config = botocore.config.Config(retries={"max_attempts": 0}, parameter_validation=False)
    for service in ("iot", "iot-data", "iam", "sts"):
        client = platform.session(**credentials).client(
            service, region_name=REGION, endpoint_url=platform.control_url, verify=platform.ca,
            config=config)
        for name in client.meta.service_model.operation_names:
            operation = client.meta.service_model.operation_model(name)
            if operation.auth_type == "none":
                continue
            shape = operation.input_shape
            members = {member: text for member, kind in (shape.members if shape else {}).items()
                       if kind.type_name in ("string", "blob")}
            try:
                getattr(client, botocore.xform_name(name))(**members)
            except ClientError as error:
                assert error.response["ResponseMetadata"]["HTTPStatusCode"] < 500, (name, error)
            except (BotoCoreError, UnicodeError, ValueError, LookupError, TypeError):
                # The SDK itself does not put this into a header or path.
                pass
    # What was refused could be written down.
    listed = json.loads(platform.cli("why", "-o", "json").stdout)
    assert isinstance(listed, list)
