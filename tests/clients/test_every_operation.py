"""boto3 and the AWS CLI walk every operation that is served."""

import contextlib
import io
import json
import os
import re
import subprocess
import sys

import awscli.clidriver
import pytest
from botocore import xform_name
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from botocore.httpsession import URLLib3Session

import conftest
import scenario
from conftest import EVERYTHING, eventually
from test_paho import Client

BEFORE = scenario.THINGS + scenario.CERTIFICATES + scenario.POLICIES + scenario.DATA


class Boto3:
    """Calls through boto3."""

    blob = staticmethod(lambda data: data)

    def __init__(self, platform):
        self.clients = {name: platform.client(name) for name in ("iot", "iot-data", "iam", "sts")}

    def call(self, service, operation, arguments):
        answer = getattr(self.clients[service], xform_name(operation))(**arguments)
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
        return answer

    def refusal(self, service, operation, arguments):
        with pytest.raises(ClientError) as refused:
            self.call(service, operation, arguments)
        return refused.value.response["Error"]["Code"]


class AwsCli:
    """Calls through the AWS CLI's own driver, in this process to spare its start-up."""

    # Version 1 takes the bytes of a blob as they stand.
    blob = staticmethod(lambda data: data.decode())

    def __init__(self, platform, monkeypatch):
        for line in platform.cli("env").stdout.splitlines():
            if line.startswith("export "):
                name, value = line.removeprefix("export ").split("=", 1)
                monkeypatch.setenv(name, value.strip("'"))
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")

    def run(self, service, operation, arguments):
        out, err = io.StringIO(), io.StringIO()
        words = [service, xform_name(operation, "-"), "--cli-input-json", json.dumps(arguments)]
        if operation == "GetCallerIdentity":
            words = words[:2]
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = awscli.clidriver.create_clidriver().main(words)
        return code, out.getvalue(), err.getvalue()

    def call(self, service, operation, arguments):
        code, out, err = self.run(service, operation, arguments)
        assert code == 0, err
        return json.loads(out) if out.strip() else {}

    def refusal(self, service, operation, arguments):
        code, _, err = self.run(service, operation, arguments)
        assert code != 0
        return err.split("(", 1)[1].split(")", 1)[0]


@pytest.fixture(params=["boto3", "aws cli"])
def client(request, platform, monkeypatch):
    return Boto3(platform) if request.param == "boto3" else AwsCli(platform, monkeypatch)


def walk(client, steps, state):
    for service, operation, arguments, check in steps:
        try:
            check(client.call(service, operation, arguments(state)), state)
        except Exception as error:
            raise AssertionError(f"{service} {operation}: {error}") from error


def test_walk(platform, client, new_device, unique, tmp_path):
    state = scenario.new_state(platform, unique, tmp_path, client.blob)
    walk(client, BEFORE, state)
    for service, operation, arguments in scenario.REFUSED:
        code = client.refusal(service, operation, arguments(state))
        assert code in ("InvalidRequestException", "CertificateStateException",
                        "ResourceNotFoundException", "TransferConflictException"), (operation, code)
    device = new_device(*EVERYTHING)
    live = Client(device).connect()
    live.subscribe("live/t")
    state.client_id = device.name
    walk(client, scenario.LIVE[:3], state)
    eventually(lambda: "direct" in live.payloads(), "the direct message")
    walk(client, scenario.LIVE[3:], state)
    eventually(lambda: live.disconnected, "the connection is deleted")
    walk(client, scenario.IDENTITY, state)
    walk(client, scenario.CLEANING, state)


def test_the_cli_as_a_program(platform):
    """The exports of `palisade env` are all that the `aws` command needs."""
    script = 'eval "$("$PALISADE" --data-dir "$DATA" env)" && exec "$AWS" iot list-things'
    aws = os.path.join(os.path.dirname(sys.executable), "aws")
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=60,
                          env={**os.environ, "PALISADE": str(conftest.BINARY), "AWS": aws,
                               "DATA": str(platform.data_dir)})
    assert done.returncode == 0, done.stderr
    assert "things" in json.loads(done.stdout)


def test_every_served_operation_is_walked(platform):
    """A new operation without a step here fails this test."""
    walked = {(step[0], step[1]) for part in (
        BEFORE, scenario.LIVE, scenario.IDENTITY, scenario.CLEANING, scenario.REFUSED)
        for step in part}
    served = {(row["service"], row["operation"])
              for row in json.loads(platform.cli("operations", "-o", "json").stdout)
              if row["service"] != "palisade"}
    assert served == walked


def test_what_is_not_served_is_unknown(platform):
    """Never success: an operation of the model that has no behaviour here is refused."""
    iot = platform.client("iot")
    with pytest.raises(ClientError) as refused:
        iot.list_jobs()
    assert refused.value.response["Error"]["Code"] == "UnknownOperationException"
    with pytest.raises(ClientError) as refused:
        platform.client("iam").list_groups()
    assert refused.value.response["Error"]["Code"] in ("InvalidAction", "UnknownOperationException")


def test_nobody_may_do_anything_without_a_policy(platform, unique):
    """Authorization coverage: each operation, as a user without policies, is denied, and the
    denial has an id."""
    iam = platform.client("iam")
    user = unique("nobody")
    iam.create_user(UserName=user)
    key = iam.create_access_key(UserName=user)["AccessKey"]
    credentials = {"aws_access_key_id": key["AccessKeyId"],
                   "aws_secret_access_key": key["SecretAccessKey"]}
    clients = {service: platform.client(service, **credentials)
               for service in ("iot", "iot-data", "iam", "sts")}
    served = json.loads(platform.cli("operations", "-o", "json").stdout)
    assert 110 < len(served)
    for row in served:
        if row["operation"] == "GetCallerIdentity":
            continue
        if row["service"] == "palisade":
            status, code, headers = raw_call(platform, key, row)
        else:
            status, code, headers = refused_call(clients[row["service"]], row)
        assert (status, code) in ((403, "AccessDeniedException"), (403, "AccessDenied"),
                                  (403, "ForbiddenException")), (row, status, code)
        assert re.fullmatch("[0-9a-f]{32}", headers["x-palisade-denial-id"]), row


def refused_call(client, row):
    model = client.meta.service_model.operation_model(row["operation"])
    arguments = filled(model.input_shape) if model.input_shape else {}
    with pytest.raises(ClientError) as refused:
        getattr(client, xform_name(row["operation"]))(**arguments)
    answer = refused.value.response
    found = answer["ResponseMetadata"]
    return found["HTTPStatusCode"], answer["Error"]["Code"], found["HTTPHeaders"]


def raw_call(platform, key, row):
    """Our own service, which botocore has no model of, signed by botocore all the same."""
    path = row["uri"]
    for label, value in (("denialId", "1" * 32), ("sequence", "1"), ("traceId", "1" * 32),
                         ("clientId", "c"), ("topic", "t")):
        path = path.replace(f"{{{label}}}", value)
    request = AWSRequest(row["method"], platform.control_url + path)
    signer = SigV4Auth(Credentials(key["AccessKeyId"], key["SecretAccessKey"]), "palisade",
                       conftest.REGION)
    signer.add_auth(request)
    answer = URLLib3Session(verify=platform.ca).send(request.prepare())
    return answer.status_code, answer.headers["x-amzn-ErrorType"].rstrip(":"), answer.headers


def filled(shape):
    """The required members of a structure, with values that pass the client's own checks."""
    return {name: value_of(member) for name, member in shape.members.items()
            if name in shape.required_members}


def value_of(shape):
    match shape.type_name:
        case "structure":
            return filled(shape)
        case "list":
            return [value_of(shape.member)]
        case "map":
            return {}
        case "boolean":
            return True
        case "integer" | "long":
            return shape.metadata.get("min", 1)
        case "blob":
            return b"x"
        case _:
            return (shape.enum or ["x" * max(1, shape.metadata.get("min", 1))])[0]
