// waywiser.v1 from Node: starts a recording, cancels it, reads its state, and finishes it.
//
// usage: node record_path.js ADDRESS PROTO_FOLDER
"use strict";

const assert = require("node:assert/strict");
const grpc = require("@grpc/grpc-js");
const { connect } = require("./client");

const client = connect("waywiser/v1/path.proto", "waywiser.v1.PathService", { longs: Number, enums: String });

const name = `paths/node-${process.pid}`;
const options = { model: "MODEL_PLANAR" };
const count = 1001;

// Each leg has a length of 5. Messages of columns have no offset, because they continue the stream.
function rows(start, end) {
  const points = [];
  for (let i = start; i < end; i += 1) points.push({ x: 3 * i, y: 4 * i });
  return { name, options, write_offset: start, points };
}
function columns(start, end, finish_write) {
  const x = [3 * start];
  const y = [4 * start];
  for (let i = start + 1; i < end; i += 1) {
    x.push(3);
    y.push(4);
  }
  return { name, options, columns: { x, y }, finish_write };
}

function record(messages) {
  return new Promise((resolve, reject) => {
    const call = client.RecordPath((error, reply) => (error ? reject(error) : resolve(reply)));
    for (const message of messages) call.write(message);
    call.end();
  });
}

// Resolves when this many points are durable.
function untilDurable(points) {
  return new Promise((resolve, reject) => {
    const watch = client.WatchPath({ name, allow_missing: true });
    let last = 0;
    watch.on("data", ({ path }) => {
      assert.ok(path.committed_points >= last);
      last = path.committed_points;
      if (last < points) return;
      watch.cancel();
      resolve();
    });
    watch.on("error", (error) => {
      if (error.code !== grpc.status.CANCELLED) reject(error);
    });
  });
}

async function main() {
  const half = 500;
  const cancelled = new Promise((resolve) => {
    const call = client.RecordPath((error) => resolve(error));
    for (let at = 0; at < half; at += 100) call.write(rows(at, at + 100));
    untilDurable(half).then(() => call.cancel());
  });
  assert.equal((await cancelled).code, grpc.status.CANCELLED);

  const { path } = await new Promise((resolve, reject) => {
    client.GetPath({ name }, (error, reply) => (error ? reject(error) : resolve(reply)));
  });
  assert.equal(path.complete, false);
  assert.equal(path.committed_points, half);

  // Sends 20 durable points again.
  const reply = await record([rows(half - 20, half + 20), columns(half + 20, count, true)]);
  assert.equal(reply.skipped_points, 20);
  assert.equal(reply.complete, true);
  assert.equal(reply.committed_points, count);
  assert.equal(reply.summary.length, 5 * (count - 1));
  console.log(`node: cancelled after ${half} points, finished with ${count} points, length ${reply.summary.length}`);
  client.close();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
