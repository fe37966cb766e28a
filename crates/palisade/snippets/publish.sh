#!/bin/sh
# Publishes one message as the thing of this bundle. Needs: apt install mosquitto-clients
cd "$(dirname "$0")" || exit 1
mosquitto_pub -h {host} -p {port} -i {client_id} -V 5 -q 1 \
  --cafile ca.pem --cert certificate.pem --key private.key \
  -t {topic} -m "hello from mosquitto" && echo "published to {topic}"
