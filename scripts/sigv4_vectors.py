#!/usr/bin/env python3
"""Writes requests that botocore signed, to hold our verification against.

Run with a Python that has boto3 installed:

    python3 scripts/sigv4_vectors.py

Half of them are what boto3's clients really send for awkward inputs, caught before they leave;
the other half are raw requests with awkward paths, queries and headers. Time, keys and tokens are
fixed, so the file changes only when botocore does.
"""

import base64
import datetime
import json
import os
import pathlib
import uuid
from unittest import mock
from urllib.parse import urlsplit

os.environ["BOTO_DISABLE_CRT"] = "true"  # botocore's own signer, whose clock can be set

import boto3
from botocore import auth
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.config import Config
from botocore.credentials import Credentials

FILE = pathlib.Path(__file__).resolve().parent.parent.joinpath(
    "crates", "gateway", "tests", "vectors", "sigv4.json")
NOW = datetime.datetime(2026, 1, 2, 3, 4, 5)
KEY = "AKIDEXAMPLE012345678"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
TOKEN = "FwoGZXIvYXdzEXAMPLE//////////wEaDH+token=="
HOST = "palisade.example:9443"


def text(value):
    """A header's text: botocore holds some as bytes."""
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def vector(name, request, service, token, form):
    """What the server will see of a signed request."""
    url = urlsplit(request.url)
    headers = [[key.lower(), text(value)] for key, value in request.headers.items()
               if key.lower() != "user-agent"]  # never signed, and says where this ran
    if not any(key == "host" for key, _ in headers):
        headers.append(["host", url.netloc])
    body = request.body if hasattr(request, "body") else request.data
    body = body.encode("utf-8") if isinstance(body, str) else (body or b"")
    return {
        "name": name, "method": request.method, "path": url.path, "query": url.query,
        "headers": sorted(headers), "body": base64.b64encode(body).decode(),
        "service": service, "token": token, "form": form,
    }


def from_clients():
    """Requests of boto3's own clients."""
    arn = "arn:aws:iot:us-east-1:111122223333:cert/" + "ab" * 32
    calls = [
        ("iot", "describe_thing", {"thingName": "pump:7_a-b"}),
        ("iot", "create_thing", {"thingName": "pump", "attributePayload": {
            "attributes": {"place": "Halle/3", "unit": "a.b,c@d#e"}, "merge": True}}),
        ("iot", "list_things", {"attributeName": "a:b", "attributeValue": "x=1/[y]", "maxResults": 5}),
        ("iot", "list_policies", {"ascendingOrder": True, "marker": "abc+/=="}),
        ("iot", "attach_policy", {"policyName": "a+=,.@-b", "target": arn}),
        ("iot", "attach_thing_principal", {"thingName": "pump", "principal": arn}),
        ("iot", "delete_thing", {"thingName": "pump", "expectedVersion": 3}),
        ("iot", "create_thing_group", {"thingGroupName": "g", "thingGroupProperties": {
            "thingGroupDescription": "Größe ~ \"x\" \\"}, "tags": [{"Key": "k é", "Value": "v"}]}),
        ("iot", "untag_resource", {"resourceArn": arn, "tagKeys": ["a b", "ü"]}),
        ("iot", "list_tags_for_resource", {"resourceArn": arn}),
        ("iot-data", "publish", {"topic": "a/b c/ü$+#", "qos": 1, "payload": b"\x00\xffraw"}),
        ("iot-data", "publish", {"topic": "x", "retain": True, "payload": b"",
                                 "userProperties": '[{"a":"b"}]', "contentType": "text/plain; a=b"}),
        ("iot-data", "get_thing_shadow", {"thingName": "pump", "shadowName": "s:1"}),
        ("iot-data", "get_retained_message", {"topic": "/lead//double/"}),
        ("iam", "create_user", {"UserName": "anna+b@x.org", "Tags": [{"Key": "a b", "Value": "ü&="}]}),
        ("iam", "put_user_policy", {"UserName": "anna", "PolicyName": "p", "PolicyDocument":
                                    '{"Version":"2012-10-17","Statement":[]}'}),
        ("iam", "list_users", {}),
        ("sts", "get_caller_identity", {}),
        ("sts", "assume_role", {"RoleArn": "arn:aws:iam::111122223333:role/ops",
                                "RoleSessionName": "anna@x,y=z", "DurationSeconds": 900}),
    ]
    names = {"iot-data": "iotdata"}
    for at, (service, operation, arguments) in enumerate(calls):
        token = TOKEN if at % 3 == 0 else None
        client = boto3.client(
            service, region_name="us-east-1", endpoint_url=f"https://{HOST}",
            aws_access_key_id=KEY, aws_secret_access_key=SECRET, aws_session_token=token,
            config=Config(user_agent_extra="vectors", retries={"total_max_attempts": 1}))
        seen = []

        def caught(request, seen=seen, **_):
            seen.append(request)
            return AWSResponse(request.url, 500, {}, None)

        client.meta.events.register("before-send", caught)
        with mock.patch.object(AWSResponse, "content", b""):
            try:
                getattr(client, operation)(**arguments)
            except client.exceptions.ClientError:
                pass
        name = f"{service} {operation} {at}"
        yield vector(name, seen[0], names.get(service, service), token, "header")


def raw(method, url, headers, body, signer):
    """A request signed by `signer`."""
    request = AWSRequest(method=method, url=f"https://{HOST}{url}", headers=headers, data=body)
    signer.add_auth(request)
    return request.prepare()


PATHS = [
    "/", "", "/things", "/things/", "/things/a%3Ab", "/things/a%3ab", "/things/%C3%A4",
    "/a/./b/../c", "/a//b", "/topics//lead", "/~user/-_.", "/a+b", "/a%20b", "/a%252Fb",
]
QUERIES = [
    "?b=2&a=1", "?a=2&a=1", "?a", "?a=", "?a=b%20c", "?a=%7E", "?Z=1&a=2", "?a=1&a%2Fb=2",
    "?marker=abc%2B%2F%3D%3D", "?k=%C3%BC",
]


def from_requests():
    """Raw requests."""
    plain, temporary = Credentials(KEY, SECRET), Credentials(KEY, SECRET, TOKEN)
    for path in PATHS:
        signed = raw("GET", path, {}, b"", auth.SigV4Auth(plain, "iot", "us-east-1"))
        yield vector(f"path {path!r}", signed, "iot", None, "header")
    for query in QUERIES:
        signed = raw("GET", f"/q{query}", {}, b"", auth.SigV4Auth(temporary, "iot", "us-east-1"))
        yield vector(f"query {query!r}", signed, "iot", TOKEN, "header")
    spaced = {"X-Amz-Meta": "  a   b\tc ", "Content-Type": "application/json"}
    signed = raw("POST", "/h", spaced, b'{"a": 1}', auth.SigV4Auth(plain, "iot", "us-east-1"))
    yield vector("header with spaces", signed, "iot", None, "header")
    unsigned = AWSRequest(method="POST", url=f"https://{HOST}/things/pump", data=b"{}")
    unsigned.context["payload_signing_enabled"] = False
    auth.SigV4Auth(plain, "iot", "us-east-1").add_auth(unsigned)
    yield vector("unsigned payload", unsigned.prepare(), "iot", None, "header")


def from_presigned():
    """Presigned URLs."""
    plain, temporary = Credentials(KEY, SECRET), Credentials(KEY, SECRET, TOKEN)
    for url in ["/things", "/things/a%3Ab?maxResults=5&a=b%20c", "/?Action=GetCallerIdentity&Version=2011-06-15"]:
        for credentials in (plain, temporary):
            signer = auth.SigV4QueryAuth(credentials, "iot", "us-east-1", expires=900)
            yield vector(f"presigned {url}", raw("GET", url, {}, b"", signer), "iot",
                         credentials.token, "presigned")
    signer = auth.SigV4QueryAuth(plain, "iot", "us-east-1", expires=900)
    yield vector("presigned change", raw("POST", "/things/pump", {}, b"", signer), "iot", None,
                 "presigned")
    signer = auth.SigV4QueryAuth(plain, "iotdevicegateway", "us-east-1", expires=300)
    request = raw("GET", "/mqtt", {}, b"", signer)
    found = vector("websocket, token appended", request, "iotdevicegateway", TOKEN, "appended")
    found["query"] += "&X-Amz-Security-Token=" + TOKEN.replace("/", "%2F").replace(
        "+", "%2B").replace("=", "%3D")
    yield found


def main():
    """Writes the file."""
    clock = mock.patch.object(auth, "get_current_datetime", lambda **_: NOW)
    ids = mock.patch.object(uuid, "uuid4", lambda: uuid.UUID(int=7))
    with clock, ids:
        vectors = [*from_clients(), *from_requests(), *from_presigned()]
    document = {"at": NOW.strftime("%Y%m%dT%H%M%SZ"), "access_key_id": KEY, "secret": SECRET,
                "region": "us-east-1", "vectors": vectors}
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(len(vectors), "requests")


if __name__ == "__main__":
    main()
