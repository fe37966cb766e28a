"""Real clients against the real binary: what every test below this folder stands on.

One platform is started for the whole run, on loopback, on ports the system picks, in a directory
of its own. Every call that boto3 makes is noted, so that docs/operations.md can name the test of
each operation and a test can fail for an operation that none exercises.
"""

import collections
import json
import os
import pathlib
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
import urllib.request
import uuid

import boto3
import botocore.config
import botocore.session
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
BINARY = pathlib.Path(os.environ.get("PALISADE_TEST_BINARY", ROOT / "target/debug/palisade"))
RECORD = ROOT / ".build" / "operations.json"
ACCOUNT = "111122223333"
REGION = "us-east-1"
PATIENCE_S = 30

_called = collections.defaultdict(set)
_current_test = None


def eventually(condition, what, patience_s=PATIENCE_S):
    """Waits until `condition()` is true and returns its value."""
    deadline = time.monotonic() + patience_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {patience_s} s: {what}")
        time.sleep(0.01)


class Platform:
    """A running `palisade up` and the ways to talk to it."""

    def __init__(self, data_dir, *flags, environment=None):
        self.data_dir = pathlib.Path(data_dir)
        self.flags = flags
        self.environment = {**os.environ, **(environment or {})}
        self.process = None
        self.log = None

    def start(self):
        loopback = [f"--listen-{name}=127.0.0.1:0" for name in
                    ("mqtt", "device", "https", "control", "operator")
                    if not any(flag.startswith(f"--listen-{name}=") for flag in self.flags)]
        self.log = open(self.data_dir.with_suffix(".log"), "ab")
        self.process = subprocess.Popen(
            [BINARY, "up", f"--data-dir={self.data_dir}", *loopback, *self.flags],
            stdout=self.log, stderr=self.log, env=self.environment)
        run_file = self.data_dir / "run.json"

        def ready():
            if self.process.poll() is not None:
                raise AssertionError(f"palisade ended at once:\n{self.log_text()}")
            try:
                self.run = json.loads(run_file.read_text())
                return self.run["pid"] == self.process.pid and self.health("readyz") == 200
            except (OSError, ValueError):
                return False

        eventually(ready, "palisade is ready")
        return self

    def health(self, name):
        url = f"http://{self.run['endpoints']['operator']}/{name}"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    def metrics(self):
        url = f"http://{self.run['endpoints']['operator']}/metrics"
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.read().decode()

    def log_text(self):
        return self.data_dir.with_suffix(".log").read_text(errors="replace")

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f"palisade did not stop:\n{self.log_text()[-4000:]}")
        return self.process.returncode if self.process else None

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE_S)

    def restart(self):
        self.stop()
        return self.start()

    def port(self, endpoint):
        return int(self.run["endpoints"][endpoint].rsplit(":", 1)[1])

    @property
    def ca(self):
        return str(self.data_dir / "ca.pem")

    @property
    def control_url(self):
        return f"https://localhost:{self.port('control')}"

    def session(self, **credentials):
        """A boto3 session: the administrator's profile, or the credentials given."""
        if not credentials:
            core = botocore.session.Session(profile="palisade")
            core.set_config_variable("config_file", str(self.data_dir / "aws-config"))
            return boto3.Session(botocore_session=core)
        return boto3.Session(region_name=REGION, **credentials)

    def client(self, service, url=None, **credentials):
        client = self.session(**credentials).client(
            service, region_name=REGION, endpoint_url=url or self.control_url, verify=self.ca,
            config=botocore.config.Config(retries={"max_attempts": 0}, connect_timeout=10,
                                          read_timeout=30))
        client.meta.events.register("before-call", _note)
        return client

    def cli(self, *arguments, input=None, check=True):
        """`palisade ARGUMENTS` on this data directory."""
        _note_command([argument for argument in map(str, arguments) if not argument.startswith("-")])
        done = subprocess.run([BINARY, f"--data-dir={self.data_dir}", *arguments], input=input,
                              capture_output=True, text=True, timeout=60)
        if check and done.returncode != 0:
            raise AssertionError(f"palisade {arguments} → {done.returncode}: {done.stderr}")
        return done

    def arn(self, resource):
        return f"arn:aws:iot:{REGION}:{ACCOUNT}:{resource}"


def _note(model, **_):
    if _current_test:
        _called[f"{model.service_model.service_name}:{model.name}"].add(_current_test)


def _note_command(words):
    """The operations of our own service are called through the command line."""
    match words[:2]:
        case ["why", id] if id not in ("json", "jsonl", "table"):
            operations = ["GetDenial"]
        case ["why", *_]:
            operations = ["ListDenials"]
        case ["revoke", *_]:
            operations = ["GetReceipt"]
        case ["connections", "list"]:
            operations = ["ListConnections"]
        case ["connections", "show"]:
            operations = ["DescribeConnection"]
        case ["sessions", "list"]:
            operations = ["ListSessions"]
        case ["sessions", "show"]:
            operations = ["DescribeSession"]
        case ["subscriptions", "list"]:
            operations = ["SearchSubscriptions"]
        case ["retained", "list"]:
            operations = ["SearchRetainedMessages"]
        case ["retained", "delete"]:
            operations = ["DeleteRetainedMessage"]
        case ["connections", "history"]:
            operations = ["ListConnectionHistory"]
        case ["trace", "json"]:
            operations = ["ListTraces"]
        case ["trace", *stopped]:
            operations = ["StopTrace"] if stopped else ["StartTrace", "GetTraceRecords", "StopTrace"]
        case _:
            return
    for operation in operations:
        _called[f"palisade:{operation}"].add(_current_test)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    global _current_test
    _current_test = item.nodeid.removeprefix("tests/clients/")


def pytest_sessionfinish(session):
    RECORD.parent.mkdir(exist_ok=True)
    called = {name: sorted(tests) for name, tests in sorted(_called.items())}
    RECORD.write_text(json.dumps(called, indent=1))


def called_operations():
    return _called


@pytest.fixture(scope="session")
def new_platform():
    """Starts further platforms, each in a directory of its own; all are gone at the end."""
    root = pathlib.Path(tempfile.mkdtemp(prefix="palisade-test-"))
    started = []

    def new(*flags, name=None, environment=None):
        data_dir = root / (name or uuid.uuid4().hex[:8])
        flags = (f"--account-id={ACCOUNT}", *flags)
        platform = Platform(data_dir, *flags, environment=environment)
        started.append(platform)
        return platform.start()

    yield new
    for platform in started:
        platform.kill()
    shutil.rmtree(root)


@pytest.fixture(scope="session")
def platform(new_platform):
    return new_platform(name="shared")


@pytest.fixture(scope="session")
def iot(platform):
    return platform.client("iot")


@pytest.fixture
def unique():
    """A name that no other test uses."""
    return lambda prefix="x": f"{prefix}-{uuid.uuid4().hex[:10]}"


class Device:
    """A thing with a certificate, a policy and the files a client needs."""

    def __init__(self, platform, name, keys, policy, directory):
        self.platform = platform
        self.name = name
        self.certificate_id = keys["certificateId"]
        self.certificate_arn = keys["certificateArn"]
        self.policy = policy
        self.certificate = str(directory / f"{name}.pem")
        self.key = str(directory / f"{name}.key")
        pathlib.Path(self.certificate).write_text(keys["certificatePem"])
        pathlib.Path(self.key).write_text(keys["keyPair"]["PrivateKey"])

    def tls(self):
        context = ssl.create_default_context(cafile=self.platform.ca)
        context.load_cert_chain(self.certificate, self.key)
        return context


@pytest.fixture
def new_device(platform, iot, tmp_path, unique):
    """Makes devices whose policy allows what is named, each as (action, resource) pairs."""

    def new(*allowed, name=None, target=None, client=None, attach_thing=True):
        owner, api = target or platform, client or iot
        name = name or unique("device")
        statements = [{"Effect": "Allow", "Action": f"iot:{action}",
                       "Resource": "*" if resource == "*" else owner.arn(resource)}
                      for action, resource in allowed]
        policy = None
        keys = api.create_keys_and_certificate(setAsActive=True)
        if statements:
            policy = f"policy-{name}"
            document = {"Version": "2012-10-17", "Statement": statements}
            api.create_policy(policyName=policy, policyDocument=json.dumps(document))
            api.attach_policy(policyName=policy, target=keys["certificateArn"])
        if attach_thing:
            api.create_thing(thingName=name)
            api.attach_thing_principal(thingName=name, principal=keys["certificateArn"])
        return Device(owner, name, keys, policy, tmp_path)

    return new


EVERYTHING = [("Connect", "client/*"), ("Publish", "topic/*"), ("RetainPublish", "topic/*"),
              ("Subscribe", "topicfilter/*"), ("Receive", "topic/*")]
