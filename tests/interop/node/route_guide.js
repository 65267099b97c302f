// The four calls of the RouteGuide tutorial of gRPC with @grpc/grpc-js, in the order of its client programs. The server has no
// features.
//
// usage: node route_guide.js ADDRESS PROTO_FOLDER
"use strict";

const assert = require("node:assert/strict");
const { connect } = require("./client");

const client = connect("routeguide/route_guide.proto", "routeguide.RouteGuide");

// Resolves to the messages of a stream.
function messages(stream) {
  return new Promise((resolve, reject) => {
    const received = [];
    stream.on("data", (message) => received.push(message));
    stream.on("error", reject);
    stream.on("end", () => resolve(received));
  });
}

const point = (latitude, longitude) => ({ latitude, longitude });

async function main() {
  const at = point(409146138, -746188906);
  const feature = await new Promise((resolve, reject) => {
    client.getFeature(at, (error, feature) => (error ? reject(error) : resolve(feature)));
  });
  assert.deepEqual(feature, { name: "", location: at });

  const rectangle = { lo: point(400000000, -750000000), hi: point(420000000, -730000000) };
  assert.deepEqual(await messages(client.listFeatures(rectangle)), []);

  const summary = await new Promise((resolve, reject) => {
    const call = client.recordRoute((error, summary) => (error ? reject(error) : resolve(summary)));
    for (let number = 0; number < 10; number += 1) call.write(point(number * 1_000_000, 0));
    call.end();
  });
  assert.equal(summary.point_count, 10);
  assert.equal(summary.distance, Math.round((0.9 * Math.PI * 6371008.8) / 180));

  // Other tests may have left notes at other places.
  const texts = [
    ["First message", point(0, 777)],
    ["Second message", point(0, 778)],
    ["Third message", point(0, 779)],
    ["Fourth message", point(0, 777)],
  ];
  const chat = client.routeChat();
  const answers = messages(chat);
  for (const [message, location] of texts) chat.write({ message, location });
  chat.end();
  assert.deepEqual(await answers, [{ message: "First message", location: point(0, 777) }]);

  console.log("node: the four calls of the quick start work");
  client.close();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
