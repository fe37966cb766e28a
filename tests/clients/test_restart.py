"""Nothing that was answered is lost: the walk's resources, read before and after a kill."""

import json
import os
import sqlite3
import subprocess

import pytest

import scenario
from conftest import EVERYTHING, eventually
from test_every_operation import Boto3
from test_paho import Client

CREATES = scenario.THINGS + scenario.CERTIFICATES + scenario.POLICIES + scenario.DATA + [
    step for step in scenario.IDENTITY if not step[1].startswith(("Delete", "Untag", "Update"))]
# What a restart may change, or a read of it does.
PASSING = {"ResponseMetadata", "AccessKeyLastUsed"}


def read_everything(client, state):
    """The answer of each read of the walk."""
    found = {}
    for number, (service, operation, arguments, _) in enumerate(CREATES):
        if operation.startswith(("Get", "List", "Describe")):
            answer = client.call(service, operation, arguments(state))
            found[number, operation] = {
                name: str(value) if hasattr(value, "read") else value
                for name, value in answer.items() if name not in PASSING}
            for value in answer.values():
                if hasattr(value, "read"):
                    found[number, operation]["body"] = value.read()
    return found


def database_of(engine, unique):
    if engine == "sqlite":
        return []
    if "PALISADE_TEST_POSTGRES" not in os.environ:
        pytest.skip("make test starts PostgreSQL")
    server = os.environ["PALISADE_TEST_POSTGRES"]
    name = unique("restart").replace("-", "_")
    subprocess.run(["psql", server, "-qc", f"CREATE DATABASE {name} TEMPLATE template0 ENCODING "
                    "'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"], check=True)
    return [f"--database={server.rsplit('/', 1)[0]}/{name}"]


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_every_resource_is_there_after_a_kill(new_platform, unique, tmp_path, engine):
    platform = new_platform(*database_of(engine, unique))
    client = Boto3(platform)
    state = scenario.new_state(platform, unique, tmp_path, client.blob)
    for service, operation, arguments, check in CREATES:
        check(client.call(service, operation, arguments(state)), state)
    before = read_everything(client, state)
    assert len({operation for _, operation in before}) > 40
    platform.kill()
    platform.start()
    assert read_everything(Boto3(platform), state) == before


def rows(platform, *arguments):
    return json.loads(platform.cli(*arguments, "-o", "json").stdout)


def test_records_and_messages_are_there_after_a_kill(new_platform, new_device):
    """Denials, connection history, the trail; a session, its queue and a retained message."""
    platform = new_platform()
    iot = platform.client("iot")
    allowed = [(action, resource) for action, resource in EVERYTHING if action != "Publish"]
    device = new_device(*allowed, ("Publish", "topic/open/*"), target=platform, client=iot)
    client = Client(device, expiry_s=3600).connect()
    client.subscribe("open/queued")
    assert client.publish("secret/t") == 0x87
    client.close()
    sender = Client(device, client_id=f"{device.name}-sender").connect()
    assert sender.publish("open/queued", "waiting") in (0, 16)
    assert sender.publish("open/kept", "kept", retain=True) in (0, 16)
    sender.close()

    def ended():
        history = rows(platform, "connections", "history")
        return len(history) == 2 and all("disconnectedAt" in row for row in history) and history

    history = eventually(ended, "the history is written")
    # Denials are written in batches; until then they are told from memory.
    denial = rows(platform, "why")[0]["denialId"]
    reason = rows(platform, "why", denial)
    platform.stop()
    platform.start()
    platform.kill()
    platform.start()
    assert rows(platform, "connections", "history") == history
    assert rows(platform, "why", denial) == reason
    again = Client(device, clean=False, expiry_s=3600).connect()
    assert again.connected[0][0].session_present
    eventually(lambda: again.payloads() == ["waiting"], "the queued message")
    again.subscribe("open/kept")
    eventually(lambda: again.payloads() == ["waiting", "kept"], "the retained message")
    again.close()
    platform.stop()
    with sqlite3.connect(platform.data_dir / "palisade.db") as database:
        names = {name for (name,) in database.execute("SELECT event_name FROM trail_events")}
    assert {"CreateThing", "CreatePolicy", "AttachPolicy", "CreateKeysAndCertificate"} <= names
