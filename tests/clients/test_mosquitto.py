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
