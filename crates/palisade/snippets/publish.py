"""Publishes one message as the thing of this bundle. Needs: pip install paho-mqtt"""
import json
import pathlib
import ssl

import paho.mqtt.client as mqtt

here = pathlib.Path(__file__).parent
connection = json.loads((here / "connection.json").read_text())

client = mqtt.Client(
    mqtt.CallbackAPIVersion.VERSION2,
    client_id=connection["clientId"],
    protocol=mqtt.MQTTv5,
)
client.tls_set(
    ca_certs=str(here / "ca.pem"),
    certfile=str(here / "certificate.pem"),
    keyfile=str(here / "private.key"),
    tls_version=ssl.PROTOCOL_TLS_CLIENT,
)
client.connect(connection["host"], connection["port"])
client.loop_start()
message = client.publish(connection["topic"], "hello from python", qos=1)
message.wait_for_publish(timeout=10)
print("published to", connection["topic"])
client.disconnect()
client.loop_stop()
