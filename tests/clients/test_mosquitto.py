"""mosquitto_pub and mosquitto_sub, unmodified."""

import subprocess

import pytest

from conftest import EVERYTHING, eventually


def arguments(device, client_id, version):
    return ["-h", "localhost", "-p", str(device.platform.port("mqtt")), "-i", client_id,
            "-V", version, "--cafile", device.platform.ca, "--cert", device.certificate,
            "--key", device.key]


def subscriptions(device, client_id):
    data = device.platform.client("iot-data")
    try:
        return data.list_subscriptions(clientId=client_id)["subscriptions"]
    except data.exceptions.ResourceNotFoundException:
        return []


@pytest.mark.parametrize("version", ["311", "5"])
@pytest.mark.parametrize("qos", ["0", "1", "2"])
def test_publish_reaches_subscribe(new_device, version, qos):
    device = new_device(*EVERYTHING)
    topic = f"m/{device.name}/t"
    subscriber = subprocess.Popen(
        ["mosquitto_sub", *arguments(device, f"{device.name}-s", version), "-t", f"m/{device.name}/#",
         "-q", qos, "-C", "3", "-W", "30"], stdout=subprocess.PIPE, text=True)
    eventually(lambda: subscriptions(device, f"{device.name}-s"), "the subscription")
    for number in range(3):
        subprocess.run(["mosquitto_pub", *arguments(device, f"{device.name}-p", version), "-t", topic,
                        "-q", qos, "-m", f"message {number}"], check=True, timeout=30)
    out, _ = subscriber.communicate(timeout=30)
    assert subscriber.returncode == 0
    assert out.splitlines() == ["message 0", "message 1", "message 2"]


def test_a_refusal_is_an_exit_code(new_device):
    device = new_device(("Connect", "client/nobody"))
    done = subprocess.run(["mosquitto_pub", *arguments(device, device.name, "5"), "-t", "a", "-q",
                           "1", "-m", "x"], capture_output=True, text=True, timeout=30)
    assert done.returncode != 0
    assert "Not authorized" in done.stderr or "not authori" in done.stderr.lower()


def run(program, device, client_id, version, *more, check=True, input=None):
    return subprocess.run([program, *arguments(device, client_id, version), *more], check=check,
                          capture_output=True, text=True, timeout=60, input=input)


@pytest.mark.parametrize("version", ["311", "5"])
def test_retained_messages(new_device, version):
    device = new_device(*EVERYTHING)
    topic = f"m/{device.name}/kept"
    run("mosquitto_pub", device, f"{device.name}-p", version, "-t", topic, "-q", "1", "-r", "-m", "kept")
    got = run("mosquitto_sub", device, f"{device.name}-s", version, "-t", topic, "-C", "1", "-W", "30",
              "-F", "%r %p")
    assert got.stdout == "1 kept\n"
    run("mosquitto_pub", device, f"{device.name}-p", version, "-t", topic, "-q", "1", "-r", "-n")
    # Nothing is kept any more: the next message is the first it gets.
    subscriber = subprocess.Popen(
        ["mosquitto_sub", *arguments(device, f"{device.name}-t", version), "-t", topic, "-C", "1",
         "-W", "30", "-F", "%r %p"], stdout=subprocess.PIPE, text=True)
    eventually(lambda: subscriptions(device, f"{device.name}-t"), "the subscription")
    run("mosquitto_pub", device, f"{device.name}-p", version, "-t", topic, "-q", "1", "-m", "live")
    assert subscriber.communicate(timeout=60)[0] == "0 live\n"


@pytest.mark.parametrize("version", ["311", "5"])
def test_a_session_that_is_kept(new_device, version):
    device = new_device(*EVERYTHING)
    topic, client_id = f"m/{device.name}/t", f"{device.name}-s"
    kept = ["-c", "-t", topic, "-q", "1"] + (["-x", "600"] if version == "5" else [])
    run("mosquitto_sub", device, client_id, version, *kept, "-E")
    lines = "".join(f"{number}\n" for number in range(20))
    run("mosquitto_pub", device, f"{device.name}-p", version, "-t", topic, "-q", "1", "-l", input=lines)
    got = run("mosquitto_sub", device, client_id, version, *kept, "-C", "20", "-W", "30")
    assert got.stdout == lines


@pytest.mark.parametrize("version", ["311", "5"])
def test_a_will_is_sent_for_a_client_that_is_killed(new_device, version):
    device = new_device(*EVERYTHING)
    topic = f"m/{device.name}/will"
    witness, lost = (subprocess.Popen(
        ["mosquitto_sub", *arguments(device, f"{device.name}-{name}", version), "-t", topic, *more],
        stdout=subprocess.PIPE, text=True) for name, more in (
            ("w", ["-C", "1", "-W", "30"]),
            ("l", ["--will-topic", topic, "--will-payload", "gone", "--will-qos", "1"])))
    for name in ("w", "l"):
        eventually(lambda: subscriptions(device, f"{device.name}-{name}"), "the subscription")
    lost.kill()
    lost.wait(30)
    assert witness.communicate(timeout=60)[0] == "gone\n"


def test_what_version_5_says_of_a_message(new_device):
    device = new_device(*EVERYTHING)
    topic = f"m/{device.name}/t"
    subscriber = subprocess.Popen(
        ["mosquitto_sub", *arguments(device, f"{device.name}-s", "5"), "-t", topic, "-C", "1", "-W", "30",
         "-D", "subscribe", "subscription-identifier", "7", "-F", "%C %R %D %S %P %p"],
        stdout=subprocess.PIPE, text=True)
    eventually(lambda: subscriptions(device, f"{device.name}-s"), "the subscription")
    run("mosquitto_pub", device, f"{device.name}-p", "5", "-t", topic, "-q", "1", "-m", "x",
        "-D", "publish", "content-type", "text", "-D", "publish", "response-topic", "answer",
        "-D", "publish", "correlation-data", "c", "-D", "publish", "user-property", "k", "v")
    assert subscriber.communicate(timeout=60)[0] == "text answer c 7 k:v x\n"


@pytest.mark.parametrize("version", ["311", "5"])
def test_a_refused_client_is_told(new_device, version):
    device = new_device(("Connect", "client/other"))
    done = run("mosquitto_pub", device, device.name, version, "-t", "t", "-m", "x", check=False)
    assert done.returncode != 0 and "not authori" in done.stderr.lower(), done
