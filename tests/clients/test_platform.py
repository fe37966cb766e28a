"""`palisade` itself: starting, stopping, refusing, explaining, leaving nothing behind."""

import json
import os
import re
import shutil
import signal
import socket
import ssl
import stat
import subprocess

import botocore.exceptions
import pytest

from conftest import ACCOUNT, BINARY, EVERYTHING, ROOT, eventually
from test_paho import Client


def run(*arguments, environment=None):
    return subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=60,
                          env={**os.environ, **(environment or {})})


def up(*arguments, environment=None):
    loopback = [f"--listen-{name}=127.0.0.1:0" for name in
                ("mqtt", "device", "https", "control", "operator")]
    return run("up", *loopback, *arguments, environment=environment)


def test_the_first_start(new_platform):
    platform = new_platform()
    mode = lambda name: stat.S_IMODE((platform.data_dir / name).stat().st_mode)
    assert stat.S_IMODE(platform.data_dir.stat().st_mode) == 0o700
    assert {name: mode(name) for name in ("master.key", "aws-config", "palisade.db")} == {
        "master.key": 0o600, "aws-config": 0o600, "palisade.db": 0o600}
    told = platform.log_text()
    for part in ("MQTT over mutual TLS", "control plane", "SHA-256", "aws-config (new)", "thing create"):
        assert part in told
    identity = platform.client("sts").get_caller_identity()
    assert identity["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/administrator"
    assert platform.health("livez") == 200
    metrics = platform.metrics()
    assert metrics.endswith("# EOF\n")
    assert "gateway_requests_total" in metrics and "broker_handshakes_failed_total" in metrics


# The server authority may speak for this host only, and no client trusts the device authority.
def test_the_authorities(platform, tmp_path):
    shown = subprocess.run(["openssl", "x509", "-in", platform.ca, "-noout", "-text"],
                           capture_output=True, text=True, check=True).stdout
    assert "X509v3 Name Constraints: critical" in shown and "DNS:localhost" in shown
    assert "prime256v1" in shown


def test_sigterm_tells_sessions_and_keeps_what_was_written(new_platform, new_device):
    platform = new_platform()
    iot = platform.client("iot")
    device = new_device(*EVERYTHING, target=platform, client=iot)
    client = Client(device).connect()
    assert platform.stop() == 0
    eventually(lambda: client.disconnected, "the session is told")
    # Server shutting down.
    assert client.disconnected[0].value == 0x8B
    assert not (platform.data_dir / "run.json").exists()
    platform.start()
    assert platform.client("iot").describe_thing(thingName=device.name)["thingName"] == device.name


def test_kill_loses_nothing_that_was_answered(new_platform, unique):
    platform = new_platform()
    iot = platform.client("iot")
    names = [unique("thing") for _ in range(20)]
    for name in names:
        iot.create_thing(thingName=name)
    platform.kill()
    platform.start()
    found = {thing["thingName"] for thing in platform.client("iot").list_things()["things"]}
    assert found == set(names)


def test_a_second_start_is_refused(platform):
    second = up(f"--data-dir={platform.data_dir}", f"--account-id={ACCOUNT}")
    assert second.returncode == 1
    assert "already runs on" in second.stderr and "palisade down" in second.stderr


@pytest.mark.skipif("PALISADE_TEST_POSTGRES" not in os.environ, reason="make test starts PostgreSQL")
def test_postgresql_serves_and_refuses_a_second_node(new_platform, new_device, tmp_path, unique):
    server = os.environ["PALISADE_TEST_POSTGRES"]
    database = unique("palisade").replace("-", "_")
    subprocess.run(["psql", server, "-qc", f"CREATE DATABASE {database} TEMPLATE template0 "
                    "ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"], check=True)
    url = server.rsplit("/", 1)[0] + "/" + database + (
        "?" + server.split("?", 1)[1] if "?" in server else "")
    platform = new_platform(f"--database={url}")
    iot = platform.client("iot")
    device = new_device(*EVERYTHING, target=platform, client=iot)
    client = Client(device).connect()
    assert client.code() == 0
    client.subscribe("a/b")
    assert client.publish("a/b") in (0, 16)
    second = up(f"--data-dir={tmp_path / 'second'}", f"--database={url}", f"--account-id={ACCOUNT}")
    assert second.returncode == 1
    assert "in use by process" in second.stderr and "stop that node" in second.stderr
    platform.restart()
    assert platform.client("iot").describe_thing(thingName=device.name)["version"] == 1


@pytest.mark.parametrize("arguments, message", [
    (["--account-id=12"], "account id must be 12 characters"),
    (["--region=Mars"], "region = `Mars` (flag)"),
    (["--set=regoin=x"], "did you mean `region`?"),
    (["--database=mysql://x"], "sqlite:"),
    (["--set=listen.control=127.0.0.1"], "listen.control"),
])
def test_bad_settings_are_named(tmp_path, arguments, message):
    refused = run("up", f"--data-dir={tmp_path / 'd'}", *arguments)
    assert refused.returncode == 2
    assert message in refused.stderr, refused.stderr
    assert not (tmp_path / "d").exists()


def test_a_mistyped_variable_is_refused(tmp_path):
    refused = run(f"--data-dir={tmp_path}", "config", "explain",
                  environment={"PALISADE_REGOIN": "eu-west-1"})
    assert refused.returncode == 2
    assert "PALISADE_REGOIN is not a setting; did you mean `PALISADE_REGION`?" in refused.stderr


# tests aws-iot [G-2]
def test_a_limit_of_the_registry_is_a_setting(new_platform):
    platform = new_platform("--set=registry.policies_per_group=1",
                            environment={"PALISADE_REGISTRY_GROUP_DEPTH": "1"})
    iot = platform.client("iot")
    document = json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "iot:Connect", "Resource": "*"}]})
    target = iot.create_thing_group(thingGroupName="g")["thingGroupArn"]
    for name in ("a", "b"):
        iot.create_policy(policyName=name, policyDocument=document)
    iot.attach_policy(policyName="a", target=target)
    with pytest.raises(iot.exceptions.LimitExceededException):
        iot.attach_policy(policyName="b", target=target)
    with pytest.raises(iot.exceptions.ClientError, match="at most 1"):
        iot.create_thing_group(thingGroupName="h", parentGroupName="g")


def served_certificate(platform, endpoint="mqtt"):
    context = ssl.create_default_context(cafile=platform.ca)
    with socket.create_connection(("localhost", platform.port(endpoint)), timeout=10) as raw:
        try:
            with context.wrap_socket(raw, server_hostname="localhost") as tls:
                return tls.getpeercert()["serialNumber"]
        except ssl.SSLError as error:
            raise AssertionError(f"no handshake on {endpoint}") from error


def test_sighup_reloads_and_drops_nobody(new_platform, new_device):
    platform = new_platform("--set=log.format=json")
    settings = platform.data_dir / "palisade.toml"
    device = new_device(*EVERYTHING, target=platform, client=platform.client("iot"))
    client = Client(device).connect()
    client.subscribe("a/b")
    before = {name: served_certificate(platform, name) for name in ("mqtt", "https", "control")}
    assert len(set(before.values())) == 1

    def said(text):
        return lambda: text in platform.log_text()

    settings.write_text('region = "eu-west-1"\n[log]\nlevel = "debug"\n')
    platform.process.send_signal(signal.SIGHUP)
    eventually(said('"settings":"region"'), "what waits for the next start is named")
    after = {name: served_certificate(platform, name) for name in before}
    assert len(set(after.values())) == 1 and set(after.values()).isdisjoint(before.values())
    assert '"level":"DEBUG"' in platform.log_text()
    settings.write_text('[log]\nlevel = "loud"\n')
    platform.process.send_signal(signal.SIGHUP)
    eventually(said("nothing was changed"), "a file that is not valid is refused")
    assert client.publish("a/b") in (0, 16)
    eventually(lambda: client.payloads() == ["x"], "the session goes on")
    assert not client.disconnected and platform.process.poll() is None


def test_a_second_start_on_the_same_file_is_refused(platform, tmp_path):
    """Another data directory, the same database."""
    database = f"--database=sqlite:{platform.data_dir}/palisade.db"
    (tmp_path / "d").mkdir(mode=0o700)
    shutil.copy(platform.data_dir / "master.key", tmp_path / "d")
    second = up(f"--data-dir={tmp_path / 'd'}", f"--account-id={ACCOUNT}", database)
    assert second.returncode == 1
    assert f"in use by process {platform.process.pid}" in second.stderr, second.stderr
    assert platform.health("readyz") == 200


def test_another_account_is_refused(new_platform):
    platform = new_platform()
    platform.stop()
    refused = up(f"--data-dir={platform.data_dir}", "--account-id=999999999999")
    assert refused.returncode == 1 and "fixed at first start" in refused.stderr


def test_a_wrong_master_key_is_refused(new_platform):
    platform = new_platform()
    platform.stop()
    key = platform.data_dir / "master.key"
    right = key.read_text()
    key.write_text("0" * 64 + "\n")
    refused = up(f"--data-dir={platform.data_dir}")
    assert refused.returncode == 1 and "master key" in refused.stderr, refused.stderr
    key.write_text(right)
    platform.start()


@pytest.mark.parametrize("damage", ["foreign", "truncated"])
def test_a_damaged_database_is_refused(new_platform, damage):
    platform = new_platform()
    platform.stop()
    database = platform.data_dir / "palisade.db"
    if damage == "foreign":
        for path in platform.data_dir.glob("palisade.db*"):
            path.unlink()
        subprocess.run(["python3", "-c", "import sqlite3,sys; c=sqlite3.connect(sys.argv[1]);"
                        "c.execute('create table photos(x)'); c.commit()", database], check=True)
    else:
        database.write_bytes(database.read_bytes()[:9000])
    refused = up(f"--data-dir={platform.data_dir}")
    assert refused.returncode == 1
    assert len(refused.stderr.strip()) > 20 and "panicked" not in refused.stderr, refused.stderr


def test_the_master_key_rotates(new_platform, unique):
    platform = new_platform()
    platform.client("iot").create_thing(thingName="kept")
    platform.stop()
    before = (platform.data_dir / "master.key").read_text()
    platform.cli("master-key", "rotate")
    assert (platform.data_dir / "master.key").read_text() != before
    platform.start()
    assert platform.client("iot").describe_thing(thingName="kept")
    # A rotation that was cut off: the database has the new key, the file still the old one.
    platform.stop()
    key = platform.data_dir / "master.key"
    key.rename(platform.data_dir / "master.next")
    key.write_text(before)
    key.chmod(0o600)
    platform.start()
    assert platform.client("iot").describe_thing(thingName="kept")
    assert not (platform.data_dir / "master.next").exists()


def test_the_administrators_key_rotates_and_recovers(new_platform):
    platform = new_platform()
    first = platform.client("sts")
    platform.cli("admin", "rotate-key")
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        first.get_caller_identity()
    assert refused.value.response["Error"]["Code"] in ("UnrecognizedClientException",
                                                       "InvalidClientTokenId")
    assert platform.client("sts").get_caller_identity()
    platform.stop()
    (platform.data_dir / "aws-config").unlink()
    platform.cli("admin", "recover-key")
    platform.start()
    assert platform.client("sts").get_caller_identity()


def test_settings_are_explained(tmp_path):
    (tmp_path / "palisade.toml").write_text('profile = "aws"\n[listen]\nmqtt = "127.0.0.1:1883"\n')
    done = run(f"--data-dir={tmp_path}", "--set=region=eu-west-1", "config", "explain", "-o", "json",
               environment={"PALISADE_ADVERTISE": "iot.example"})
    rows = {row["key"]: (row["value"], row["origin"]) for row in json.loads(done.stdout)}
    assert rows["region"] == ("eu-west-1", "flag")
    assert rows["advertise"] == ("iot.example", "environment PALISADE_ADVERTISE")
    assert rows["profile"] == ("aws", f"file {tmp_path}/palisade.toml")
    assert rows["listen.operator"] == ("127.0.0.1:9600", "default")


def test_the_doctor(new_platform):
    platform = new_platform()
    checks = lambda: {(row["check"], row["result"]) for row in json.loads(
        platform.cli("doctor", "-o", "json", check=False).stdout)}
    assert ("database", "ok") in checks() and ("clock", "ok") in checks()
    platform.stop()
    os.chmod(platform.data_dir / "master.key", 0o644)
    done = platform.cli("doctor", "-o", "json", "--set=listen.device=127.0.0.1:0", check=False)
    assert done.returncode == 1
    assert ("master-key", "PROBLEM") in checks()
    os.chmod(platform.data_dir / "master.key", 0o600)


def everything_in(directory):
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in directory.iterdir()}


def test_the_doctor_changes_nothing(new_platform, tmp_path):
    before_the_first = run(f"--data-dir={tmp_path / 'd'}", "doctor", "-o", "json")
    found = [row for row in json.loads(before_the_first.stdout) if row["check"] != "ports"]
    assert found and {row["result"] for row in found} == {"ok"}
    assert list(tmp_path.iterdir()) == []

    platform = new_platform()
    running = json.loads(platform.cli("doctor", "-o", "json").stdout)
    assert {row["result"] for row in running} == {"ok"}, running
    details = " ".join(row["detail"] for row in running)
    assert f"process {platform.process.pid} runs here and is ready" in details
    assert f"lease: held by process {platform.process.pid}" in details
    platform.stop()
    before = everything_in(platform.data_dir)
    platform.cli("doctor", check=False)
    assert everything_in(platform.data_dir) == before
    key = platform.data_dir / "master.key"
    right = key.read_text()
    key.unlink()
    platform.cli("doctor", check=False)
    assert not key.exists()
    key.write_text("0" * 64 + "\n")
    key.chmod(0o600)
    wrong = platform.cli("doctor", check=False)
    assert wrong.returncode == 1 and "the master key is not the one" in wrong.stdout
    key.write_text(right)


def test_down_purge_leaves_nothing(new_platform):
    platform = new_platform()
    assert "deleted" in platform.cli("down", "--purge").stdout
    assert not platform.data_dir.exists()
    assert platform.process.wait(30) == 0


def test_down_purge_finds_what_lies_elsewhere(new_platform, tmp_path):
    database, key = tmp_path / "other" / "p.db", tmp_path / "keys" / "master.key"
    for path in (database, key):
        path.parent.mkdir(mode=0o700)
    platform = new_platform(f"--database=sqlite:{database}", f"--set=master_key_file={key}")
    assert (tmp_path / "other" / "p.db.reserve").exists()
    # The flags of the start are not repeated.
    told = platform.cli("down", "--purge").stdout
    assert f"deleted {database}" in told and f"left: {key}" in told, told
    assert not platform.data_dir.exists() and list(database.parent.iterdir()) == []
    assert key.exists()


def settings_in(text):
    return set(re.findall(r"^\| `([a-z_]+(?:\.[a-z_0-9]+)?)` \|", text, re.MULTILINE))


def test_every_setting_and_metric_is_documented(platform):
    rows = json.loads(run("config", "explain", "-o", "json").stdout)
    documented = settings_in((ROOT / "docs/settings.md").read_text())
    assert documented == {row["key"] for row in rows}
    # A metric with labels is shown once there is one to show.
    platform.client("sts").get_caller_identity()
    named = re.findall(r"`((?:gateway|broker|palisade)_[a-z_]+)`",
                       (ROOT / "docs/operating.md").read_text())
    served = re.findall(r"^# TYPE (\S+)", platform.metrics(), re.MULTILINE)
    assert {name.removesuffix("_total") for name in named} == set(served)


def test_json_logs_hold_no_secret(new_platform, new_device):
    platform = new_platform("--log-format=json", "--set=log.level=debug")
    device = new_device(*EVERYTHING, target=platform, client=platform.client("iot"))
    Client(device).connect().close()
    config = (platform.data_dir / "aws-config").read_text()
    secret = re.search(r"aws_secret_access_key = (\S+)", config).group(1)
    log = platform.log_text()
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert lines and secret not in log and "PRIVATE KEY" not in log


def test_a_full_disk(new_platform, unique):
    """Ordinary writes fail with a clear error, reads and revocation go on, and it recovers."""
    platform = new_platform()
    iot = platform.client("iot")
    keys = iot.create_keys_and_certificate(setAsActive=True)
    free = os.statvfs(platform.data_dir)
    floor = free.f_bavail * free.f_frsize // (1 << 20) + 10_000
    platform.stop()
    platform.flags = (*platform.flags, f"--set=disk.floor_mib={floor}")
    platform.start()
    iot = platform.client("iot")
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        iot.create_thing(thingName=unique("thing"))
    assert refused.value.response["Error"]["Code"] == "ServiceUnavailableException"
    assert "disk" in refused.value.response["Error"]["Message"]
    assert iot.describe_certificate(certificateId=keys["certificateId"])
    iot.update_certificate(certificateId=keys["certificateId"], newStatus="REVOKED")
    platform.stop()
    platform.flags = platform.flags[:-1]
    platform.start()
    platform.client("iot").create_thing(thingName=unique("thing"))
    found = platform.client("iot").describe_certificate(certificateId=keys["certificateId"])
    assert found["certificateDescription"]["status"] == "REVOKED"


def test_the_demonstration_ends_well(tmp_path):
    done = run(f"--data-dir={tmp_path / 'd'}", "demo", "--exit")
    assert done.returncode == 0, done.stderr + done.stdout
    for part in ("oversteps and is refused", "smallest edit", "its live session is gone",
                 "cannot come back"):
        assert part in done.stdout, done.stdout
    assert not list(tmp_path.iterdir())


def test_exit_codes(platform):
    assert platform.cli("thing", "show", "nobody", check=False).returncode == 3
    assert platform.cli("why", "x", check=False).returncode == 2
    assert platform.cli("why", "0" * 32, check=False).returncode == 3
    assert run("no-such-command").returncode == 2


def test_completions():
    assert "palisade" in run("completions", "bash").stdout
