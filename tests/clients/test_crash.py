"""kill -9 under load: what was acknowledged over MQTT is there after the restart.

The checker knows only what publishers were told: a message whose PUBACK arrived must reach the
session that was away; one that was not acknowledged may or may not.
"""

import threading

import pytest

from conftest import EVERYTHING, eventually
from test_paho import Client

PUBLISHERS = 4
ENOUGH = 1000


class Publisher(threading.Thread):
    """Publishes with a window of its own until the connection ends, and notes what was answered."""

    WINDOW = 50

    def __init__(self, device, number):
        super().__init__()
        self.client = Client(device, client_id=f"{device.name}-p{number}")
        self.number = number
        self.acknowledged = []
        self.sent = {}
        self.room = threading.Semaphore(self.WINDOW)

    def run(self):
        self.client.mqtt.on_publish = self.answered
        self.client.connect()
        for index in range(100_000):
            while not self.room.acquire(timeout=0.1):
                if self.client.disconnected:
                    break
            if self.client.disconnected:
                break
            text = f"{self.number}:{index}"
            info = self.client.mqtt.publish(f"crash/{self.number}", text, qos=1)
            self.sent[info.mid] = text
        self.client.close()

    def answered(self, client, userdata, mid, code, properties):
        # The answer can overtake the note of what was sent by a moment.
        eventually(lambda: mid in self.sent, "the message that is answered")
        if code.value in (0, 16):
            self.acknowledged.append(self.sent.pop(mid))
        self.room.release()


@pytest.mark.parametrize("round", range(3))
def test_nothing_acknowledged_is_lost(new_platform, new_device, round):
    platform = new_platform()
    iot = platform.client("iot")
    device = new_device(*EVERYTHING, target=platform, client=iot)
    away = Client(device, client_id=f"{device.name}-away", expiry_s=3600).connect()
    assert away.subscribe("crash/#") == [1]
    away.close()
    retained = Client(device, client_id=f"{device.name}-r").connect()
    assert retained.publish("kept/t", "kept", retain=True) in (0, 16)
    retained.close()

    publishers = [Publisher(device, number) for number in range(PUBLISHERS)]
    for publisher in publishers:
        publisher.start()
    eventually(lambda: sum(len(p.acknowledged) for p in publishers) >= ENOUGH, "enough is acknowledged")
    platform.kill()
    for publisher in publishers:
        publisher.join(30)
        assert not publisher.is_alive()
    told = {text for publisher in publishers for text in publisher.acknowledged}

    platform.start()
    back = Client(device, client_id=f"{device.name}-away", clean=False, expiry_s=3600).connect()
    assert back.connected[0][0].session_present
    eventually(lambda: told <= set(back.payloads()), "every acknowledged message")
    # Order per publisher, and each once.
    for number in range(PUBLISHERS):
        mine = [text for text in back.payloads() if text.startswith(f"{number}:")]
        indices = [int(text.split(":")[1]) for text in mine]
        assert indices == sorted(set(indices))
    reader = Client(device, client_id=f"{device.name}-reader").connect()
    reader.subscribe("kept/t")
    eventually(lambda: reader.payloads() == ["kept"], "the retained message")
    back.close()
    reader.close()
