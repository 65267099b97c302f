// What the server itself puts on the wire, seen with Node's own HTTP/2 and no gRPC library:
// a library ends a call at its deadline, and hides some headers, before the server is heard.
//
// usage: node wire.js ADDRESS
"use strict";

const assert = require("node:assert/strict");
const http2 = require("node:http2");
const zlib = require("node:zlib");

const DEADLINE_EXCEEDED = "4";
const UNIMPLEMENTED = "12";
const OK = "0";
const PATH_LENGTH = "/my_package.DisplacementService/computePathLength";

const [address] = process.argv.slice(2);
const session = http2.connect(`http://${address}`);

// A length-prefixed message.
function frame(message, compressed = 0) {
  const header = Buffer.alloc(5);
  header.writeUInt8(compressed, 0);
  header.writeUInt32BE(message.length, 1);
  return Buffer.concat([header, message]);
}

// Sends the frames; closes the stream after them only if told to. Resolves to the headers and
// trailers the server answers with.
function call(path, headers, frames, { close }) {
  return new Promise((resolve, reject) => {
    const stream = session.request(
      { ":method": "POST", ":path": path, "content-type": "application/grpc", te: "trailers", ...headers },
      { endStream: false },
    );
    const told = {};
    const body = [];
    stream.on("response", (fields) => Object.assign(told, fields));
    stream.on("trailers", (fields) => Object.assign(told, fields));
    stream.on("data", (chunk) => body.push(chunk));
    stream.on("end", () => {
      stream.close();
      resolve({ told, body: Buffer.concat(body) });
    });
    stream.on("error", reject);
    for (const each of frames) stream.write(each);
    if (close) stream.end();
  });
}

const point = (x, y) => Buffer.from([0x08, x, 0x10, y]);
// The reply's `double length = 1`.
const length = (body) => (assert.equal(body[5], 0x09), body.readDoubleLE(6));

async function main() {
  // The server keeps the deadline, even of a client that does not.
  let { told } = await call(PATH_LENGTH, { "grpc-timeout": "200m" }, [frame(point(1, 2))], { close: false });
  assert.equal(told["grpc-status"], DEADLINE_EXCEEDED);
  const details = Buffer.from(told["grpc-status-details-bin"], "base64").toString("latin1");
  assert.match(details, /google\.rpc\.ErrorInfo/);
  assert.match(details, /waywiser/);

  // A refused encoding comes with the ones that are understood.
  const deflated = frame(zlib.deflateSync(point(1, 2)), 1);
  ({ told } = await call(PATH_LENGTH, { "grpc-encoding": "deflate" }, [deflated], { close: true }));
  assert.equal(told["grpc-status"], UNIMPLEMENTED);
  assert.match(told["grpc-accept-encoding"], /\bgzip\b/);

  // Frames cut anywhere, compressed or not, are one stream of points.
  const bytes = Buffer.concat([
    frame(point(0, 0)),
    frame(zlib.gzipSync(point(3, 4)), 1),
    frame(point(6, 8)),
    frame(zlib.gzipSync(point(6, 0)), 1),
  ]);
  for (const size of [1, 3, bytes.length]) {
    const pieces = [];
    for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
    const answer = await call(PATH_LENGTH, { "grpc-encoding": "gzip" }, pieces, { close: true });
    assert.equal(answer.told["grpc-status"], OK, answer.told["grpc-message"]);
    assert.equal(length(answer.body), 18);
  }

  console.log("wire: the server keeps deadlines, names its encodings, takes frames however they are cut");
  session.close();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
