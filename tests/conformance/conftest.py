"""The servers that the suite runs against, and where one of them is known to differ.

Palisade is asked over mutual TLS, in both profiles. mosquitto is asked the same over a plain
loopback socket: where a widely used server passes, the suite asks for what the standard says and
not for what Palisade happens to do. Where it does not, KNOWN says why; a test named there has to
fail, so that the table cannot grow old.
"""

import pathlib
import shutil
import socket
import subprocess
import tempfile

import pytest

import wire
from conftest import eventually
from wire import Wire

# By server and test. A deviation of profile `aws` is one that AWS has (docs/divergences.md).
KNOWN = {
    "mosquitto": {
        "test_authentication_data_need_a_method": "takes data without a method",
        "test_response_topics[mosquitto-a/#]": "takes any response topic",
        "test_response_topics[mosquitto-+]": "takes any response topic",
        "test_what_no_publish_may_be[mosquitto-v5-dup-qos-0]": "takes DUP at QoS 0",
        "test_what_no_publish_may_be[mosquitto-v311-dup-qos-0]": "takes DUP at QoS 0",
        "test_what_no_publish_may_be[mosquitto-v5-identifier]": "takes a client's identifier",
        "test_what_is_left_of_a_message":
            "what fits a session's window counts as begun while its client is away",
        "test_what_is_too_large_for_a_client_counts_as_delivered":
            "what is too large keeps its place in the window",
        "test_the_window_of_the_server": "does not end a client that has too much open",
        "test_shared_filters_that_are_none[mosquitto-$share/g]": "takes it as an ordinary filter",
        "test_shared_filters_that_are_none[mosquitto-$share/g/]": "takes an empty filter",
        "test_shared_filters_that_are_none[mosquitto-$share//a]": "takes an empty share name",
        "test_shared_filters_that_are_none[mosquitto-$share/+/a]": "takes any share name",
        "test_no_local_is_not_for_shared_subscriptions": "takes it",
        "test_overlapping_subscriptions_of_311":
            "one copy, at the QoS of whichever subscription it finds first",
        "test_a_shared_subscription_gets_nothing_retained": "sends retained messages",
        "test_a_message_of_a_vanished_member_goes_to_another":
            "drops it, which the standard allows",
        "test_when_a_will_is_published[mosquitto-v5-plain-second-connect-True]":
            "a second CONNECT drops the will",
        "test_when_a_will_is_published[mosquitto-v5-retained-second-connect-True]":
            "a second CONNECT drops the will",
        "test_flags_that_are_fixed[mosquitto-v5-c1]": "takes any flags here",
        "test_flags_that_are_fixed[mosquitto-v5-41]": "takes any flags here",
        "test_when_a_will_is_published[mosquitto-v311-plain-second-connect-True]":
            "a second CONNECT drops the will",
        "test_when_a_will_is_published[mosquitto-v311-retained-second-connect-True]":
            "a second CONNECT drops the will",
        "test_flags_that_are_fixed[mosquitto-v311-c1]": "takes any flags here",
        "test_flags_that_are_fixed[mosquitto-v311-41]": "takes any flags here",
        "test_a_delayed_will_goes_with_the_session_that_is_discarded":
            "Clean Start drops the will",
        "test_the_window_is_that_of_the_new_connection":
            "sends again whatever was in flight, over the new window",
    },
    "aws": {
        "test_a_subscription_above_the_maximum_qos": "[MQ-3]: AWS ends the connection",
    },
}


class Broker:
    """A server to be asked."""

    name = None
    # Events of the server's own, that no filter beginning with a wildcard may select.
    system_filter = None
    # Whether it gives a reason before it closes, which the standard only recommends.
    explains = True

    def open(self, version=5):
        raise NotImplementedError

    def connected(self, client_id, version=5, **options):
        """A connection whose CONNECT was accepted."""
        client = self.open(version)
        client.answer = client.ask(wire.connect(client_id, version, **options))
        assert client.answer and (client.answer.kind, client.answer.code) == (wire.CONNACK, 0), (
            client.answer)
        return client


    def ended(self, said, code, version):
        """Whether `said` is all that comes before a close for this reason."""
        told = [(one.kind, one.code) for one in said]
        expected = [(wire.DISCONNECT, code)] if version == 5 else []
        return told == expected or (told == [] and not self.explains)


class Palisade(Broker):
    system_filter = "$aws/events/presence/connected/#"

    def __init__(self, profile, new_platform, directory):
        self.name = profile
        # The suite is one certificate, comes back under one client id, and publishes, faster than
        # anybody is let.
        faster = [f"--set=broker.{name}={value}" for name, value in (
            ("connects_per_principal_s", 1_000_000), ("connects_per_client_s", 1_000_000),
            ("publishes_per_s", 1_000_000), ("publish_bytes_per_s", 1 << 30))]
        self.platform = new_platform(f"--profile={profile}", "--set=device_keys=ecdsa-p256",
                                     *faster, name=f"conformance-{profile}")
        device = wire.enrol(self.platform, self.platform.client("iot"), directory, "device")
        self.device, self.context, self.device_directory = device, device.tls(), directory

    def open(self, version=5):
        return Wire(self.device, version, context=self.context)


class Mosquitto(Broker):
    name = "mosquitto"
    system_filter = "$SYS/#"
    explains = False
    patience_s = wire.PATIENCE_S

    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="palisade-mosquitto-"))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        settings = self.directory / "mosquitto.conf"
        settings.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\n"
                            "max_topic_alias 64\nmax_inflight_messages 1000\n"
                            "max_queued_messages 10000\nretain_available true\n")
        program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        self.log = open(self.directory / "log", "wb")
        self.process = subprocess.Popen([program, "-c", settings], stdout=self.log,
                                        stderr=self.log)

        def listens():
            assert self.process.poll() is None, (self.directory / "log").read_text()
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return True
            except OSError:
                return False

        eventually(listens, "mosquitto listens")

    def open(self, version=5):
        client = Wire.plain(self.port, version)
        client.tls.settimeout(self.patience_s)
        return client

    def stop(self):
        self.process.terminate()
        self.process.wait(30)
        self.log.close()
        shutil.rmtree(self.directory)


@pytest.fixture(scope="session")
def servers(new_platform, tmp_path_factory):
    """Starts each server once, when it is first asked."""
    started = {}

    def server(name):
        if name not in started:
            started[name] = Mosquitto() if name == "mosquitto" else Palisade(
                name, new_platform, tmp_path_factory.mktemp(name))
        return started[name]

    yield server
    if "mosquitto" in started:
        started["mosquitto"].stop()


@pytest.fixture(params=["standard", "aws", "mosquitto"])
def broker(request, servers):
    known = KNOWN.get(request.param, {})
    reason = known.get(request.node.name) or known.get(request.node.originalname)
    if reason:
        request.node.add_marker(pytest.mark.xfail(strict=True, reason=reason))
    server = servers(request.param)
    # What is known not to come is not waited for as long.
    server.patience_s = 0.3 if reason else wire.PATIENCE_S
    return server


@pytest.fixture(params=[5, 4], ids=["v5", "v311"])
def version(request):
    return request.param
