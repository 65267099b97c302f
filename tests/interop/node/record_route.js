// RecordRoute from Node: streams a route with @grpc/grpc-js and checks the reply.
//
// usage: node record_route.js ADDRESS PROTO_FOLDER
"use strict";

const assert = require("node:assert/strict");
const { connect } = require("./client");

const client = connect("routeguide/route_guide.proto", "routeguide.RouteGuide");

// A quarter of a meridian in 9 000 legs of 0.01 degree, whose length is known.
const count = 9001;
const expected = Math.round((Math.PI / 2) * 6371008.8);

const call = client.RecordRoute((error, summary) => {
  assert.ifError(error);
  assert.equal(summary.point_count, count);
  assert.equal(summary.feature_count, 0);
  assert.equal(summary.distance, expected);
  assert.ok(summary.elapsed_time >= 0);
  console.log(`node: ${count} points, ${summary.distance} m`);
  client.close();
});

let next = 0;
function send() {
  while (next < count) {
    const point = { latitude: next * 100_000, longitude: 150_000_000 };
    next += 1;
    if (!call.write(point)) return call.once("drain", send);
  }
  call.end();
}
send();
