// Publishes one message as the thing of this bundle. Needs: npm install mqtt
import { readFileSync } from "node:fs";
import mqtt from "mqtt";

const here = (name) => readFileSync(new URL(name, import.meta.url));
const connection = JSON.parse(here("connection.json"));

const client = await mqtt.connectAsync({
  protocol: "mqtts",
  host: connection.host,
  port: connection.port,
  clientId: connection.clientId,
  protocolVersion: 5,
  ca: here("ca.pem"),
  cert: here("certificate.pem"),
  key: here("private.key"),
});
await client.publishAsync(connection.topic, "hello from javascript", { qos: 1 });
console.log("published to", connection.topic);
await client.endAsync();
