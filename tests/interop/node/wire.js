// Checks the HTTP/2 frames of the server with Node's HTTP/2 client. A gRPC library would end a call at its deadline
// before the server answers, and would hide some headers.
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

// Returns a length-prefixed message.
function frame(message, compressed = 0) {
  const header = Buffer.alloc(5);
  header.writeUInt8(compressed, 0);
  header.writeUInt32BE(message.length, 1);
  return Buffer.concat([header, message]);
}

// Sends the frames, and then closes the stream if `close` is set. Resolves to the body, and to the headers and
// trailers as `fields`.
function call(path, headers, frames, { close }) {
  return new Promise((resolve, reject) => {
    const stream = session.request(
      { ":method": "POST", ":path": path, "content-type": "application/grpc", te: "trailers", ...headers },
      { endStream: false },
    );
    const fields = {};
    const body = [];
    stream.on("response", (headers) => Object.assign(fields, headers));
    stream.on("trailers", (trailers) => Object.assign(fields, trailers));
    stream.on("data", (chunk) => body.push(chunk));
    stream.on("end", () => {
      stream.close();
      resolve({ fields, body: Buffer.concat(body) });
    });
    stream.on("error", reject);
    for (const each of frames) stream.write(each);
    if (close) stream.end();
  });
}

const point = (x, y) => Buffer.from([0x08, x, 0x10, y]);
// Returns the field `double length = 1` of a reply.
const length = (body) => (assert.equal(body[5], 0x09), body.readDoubleLE(6));

async function main() {
  // The server enforces the deadline, although this client does not.
  let { fields } = await call(PATH_LENGTH, { "grpc-timeout": "200m" }, [frame(point(1, 2))], { close: false });
  assert.equal(fields["grpc-status"], DEADLINE_EXCEEDED);
  const details = Buffer.from(fields["grpc-status-details-bin"], "base64").toString("latin1");
  assert.match(details, /google\.rpc\.ErrorInfo/);
  assert.match(details, /waywiser/);

  // The refusal of an encoding lists the supported encodings.
  const deflated = frame(zlib.deflateSync(point(1, 2)), 1);
  ({ fields } = await call(PATH_LENGTH, { "grpc-encoding": "deflate" }, [deflated], { close: true }));
  assert.equal(fields["grpc-status"], UNIMPLEMENTED);
  assert.match(fields["grpc-accept-encoding"], /\bgzip\b/);

  // Messages may be cut anywhere and be compressed or not.
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
    assert.equal(answer.fields["grpc-status"], OK, answer.fields["grpc-message"]);
    assert.equal(length(answer.body), 18);
  }

  console.log("wire: the server enforces deadlines, lists its encodings, and reads messages however they are cut");
  session.close();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
