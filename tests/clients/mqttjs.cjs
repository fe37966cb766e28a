// MQTT.js under orders: a line of JSON on standard input is an order, its answer a line on standard
// output. The clients are MQTT.js as it is; what they are sent is noted and waited for.
'use strict';

const fs = require('node:fs');
const readline = require('node:readline');
const mqtt = require('mqtt');

const clients = new Map();

// The next moment at which `ready()` is true, looked at whenever the client hears something.
function heard(client, ready) {
  return new Promise((resolve) => {
    const look = () => {
      if (ready()) {
        client.waiting.delete(look);
        resolve();
      }
    };
    client.waiting.add(look);
    look();
  });
}

function plain(packet) {
  return {
    payload: packet.payload.toString(),
    qos: packet.qos,
    retain: packet.retain,
    dup: packet.dup,
    properties: packet.properties && { ...packet.properties },
  };
}

const orders = {
  async connect({ name, url, files, options }) {
    const read = (path) => fs.readFileSync(path);
    const client = {
      messages: [], connack: null, refused: null, closed: false, disconnect: null, puback: [],
      waiting: new Set(),
    };
    client.mqtt = mqtt.connect(url, {
      ca: read(files.ca), cert: read(files.cert), key: read(files.key), reconnectPeriod: 0,
      connectTimeout: 20000, ...options,
    });
    const note = (event, change) => client.mqtt.on(event, (...found) => {
      change(...found);
      for (const look of [...client.waiting]) look();
    });
    note('packetreceive', (packet) => {
      if (packet.cmd === 'connack') client.connack = packet;
      if (packet.cmd === 'disconnect') client.disconnect = packet;
      if (packet.cmd === 'puback') client.puback.push(packet);
    });
    note('message', (topic, payload, packet) => client.messages.push({ ...plain(packet), topic }));
    note('error', (error) => { client.refused = { code: error.code, message: error.message }; });
    note('close', () => { client.closed = true; });
    note('connect', () => {});
    clients.set(name, client);
    await heard(client, () => client.mqtt.connected || client.closed);
    return {
      connected: client.mqtt.connected, present: client.connack?.sessionPresent ?? false,
      code: client.connack?.reasonCode ?? client.connack?.returnCode ?? null,
      reason: client.connack?.properties?.reasonString ?? null, refused: client.refused,
    };
  },

  async subscribe({ name, topic, options }) {
    const granted = await clients.get(name).mqtt.subscribeAsync(topic, options).catch((error) => error);
    return granted instanceof Error ? { error: granted.message } : { granted: granted.map((one) => one.qos) };
  },

  async publish({ name, topic, payload, options }) {
    const client = clients.get(name);
    const error = await client.mqtt.publishAsync(topic, payload, options).then(() => null, (found) => found);
    const puback = client.puback.at(-1);
    return { code: error?.code ?? 0, reason: puback?.properties?.reasonString ?? null };
  },

  async messages({ name, count }) {
    const client = clients.get(name);
    await heard(client, () => client.messages.length >= count);
    return client.messages.splice(0, count);
  },

  // The socket goes without a word.
  async drop({ name }) {
    const client = clients.get(name);
    client.mqtt.stream.destroy();
    await heard(client, () => client.closed);
    return {};
  },

  async closed({ name }) {
    const client = clients.get(name);
    await heard(client, () => client.closed);
    return { code: client.disconnect?.reasonCode ?? null };
  },

  async end({ name }) {
    await clients.get(name).mqtt.endAsync();
    return {};
  },
};

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const order = JSON.parse(line);
    const answer = await orders[order.do](order);
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
  process.exit(0);
})();
