"""The command line for daily work, and the bundles it makes."""

import json
import os
import re
import subprocess
import sys
import zipfile

import pytest

from conftest import BINARY, ROOT, eventually


def rows(platform, *arguments):
    return json.loads(platform.cli(*arguments, "-o", "json").stdout)


@pytest.fixture
def bundle(platform, unique, tmp_path):
    """A new thing's bundle: the zip file, its folder, its thing."""
    name = unique("pump")
    path = tmp_path / f"{name}.zip"
    platform.cli("thing", "create", name, "--bundle", path)
    folder = tmp_path / name
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    return path, folder, name


def test_a_thing_and_its_bundle(platform, bundle):
    path, folder, name = bundle
    assert path.stat().st_mode & 0o777 == 0o600
    assert {entry.name for entry in folder.iterdir()} == {
        "certificate.pem", "private.key", "ca.pem", "connection.json", "publish.py", "publish.mjs",
        "publish.c", "publish.sh"}
    assert name in [thing["thingName"] for thing in rows(platform, "thing", "list")]
    shown = rows(platform, "thing", "show", name)
    assert len(shown["principals"]) == 1
    again = platform.cli("thing", "create", name, "--bundle", path, check=False)
    assert again.returncode == 1 and "never written over" in again.stderr


SNIPPETS = {
    "publish.py": [sys.executable, "publish.py"],
    "publish.sh": ["sh", "publish.sh"],
    "publish.c": ["sh", "-c", "cc publish.c -lmosquitto -o publish && ./publish"],
    "publish.mjs": ["node", "publish.mjs"],
}


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_every_snippet_of_a_bundle_works(platform, bundle, snippet):
    path, folder, name = bundle
    if snippet == "publish.mjs":
        os.symlink(ROOT / ".build/node/node_modules", folder / "node_modules")
    done = subprocess.run(SNIPPETS[snippet], cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert f"published to things/{name}/hello" in done.stdout


def test_pub_and_sub(platform, bundle):
    path, _, name = bundle
    topic = f"things/{name}/t"
    waiting = subprocess.Popen(
        [BINARY, f"--data-dir={platform.data_dir}", "sub", topic,
         "--bundle", path, "--count", "1"], stdout=subprocess.PIPE, text=True)
    eventually(lambda: subscribed(platform, name), "the subscription")
    platform.cli("pub", topic, "-m", "from the administrator")
    out, _ = waiting.communicate(timeout=30)
    assert out == f"{topic} from the administrator\n"
    denied = platform.cli("pub", "things/other/t", "-m", "x", "--bundle", path, check=False)
    assert denied.returncode == 4
    denial = re.search(r"[0-9a-f]{32}", denied.stderr).group()
    told = platform.cli("why", denial).stdout
    assert "smallest edit" in told and "things/other/t" in told
    # The deciding statement's absence, what came near, and its variables.
    assert "No statement allows it" in told and "ItsOwnTopics" in told
    assert f'iot:Connection.Thing.ThingName = "{name}"' in told


def subscribed(platform, name):
    found = [c for c in rows(platform, "connections", "list") if c["clientId"] == name]
    return found and found[0]["subscriptions"] == 1


def test_the_suggested_edit_allows_what_was_denied(platform, iot, bundle):
    path, _, name = bundle
    denied = platform.cli("pub", "plant/7/t", "-m", "x", "--bundle", path, check=False)
    denial = re.search(r"[0-9a-f]{32}", denied.stderr).group()
    edit = rows(platform, "why", denial)["explanation"]["suggestedEdit"]
    document = {"Version": "2012-10-17", "Statement": [edit["statement"]]}
    iot.create_policy(policyName=f"edit-{name}", policyDocument=json.dumps(document))
    principal = iot.list_thing_principals(thingName=name)["principals"][0]
    iot.attach_policy(policyName=f"edit-{name}", target=principal)
    platform.cli("pub", "plant/7/t", "-m", "x", "--bundle", path)


@pytest.mark.parametrize("action, resource, decision", [
    ("connect", "{}", "ALLOWED"),
    ("publish", "things/{}/t", "ALLOWED"),
    ("publish", "things/other/t", "IMPLICIT_DENY"),
    ("subscribe", "things/{}/#", "ALLOWED"),
    ("receive", "things/other/t", "IMPLICIT_DENY"),
])
def test_policy_test(platform, bundle, action, resource, decision):
    _, _, name = bundle
    found = rows(platform, "policy", "test", "--thing", name, "--action", action, "--resource",
                 resource.format(name))
    assert [row["decision"] for row in found] == [decision]


def test_connections_and_their_history(platform, bundle):
    path, _, name = bundle
    platform.cli("pub", f"things/{name}/t", "-m", "x", "--bundle", path)
    history = lambda: rows(platform, "connections", "history", "--client-id", name)
    eventually(lambda: history() and history()[0].get("disconnectReason"), "the history's end")
    assert history()[0]["disconnectReason"] == "CLIENT_INITIATED_DISCONNECT"
    assert history()[0]["tlsVersion"].endswith("1.3") or "1_3" in history()[0]["tlsVersion"]


def test_why_lists_the_newest(platform, bundle):
    path, _, name = bundle
    platform.cli("pub", "things/elsewhere/t", "-m", "x", "--bundle", path, check=False)
    newest = rows(platform, "why")
    assert any(denial["resource"].endswith("topic/things/elsewhere/t") for denial in newest)
