// TLS, a token and a client certificate with @grpc/grpc-js.
//
// usage: node secure.js ADDRESS PROTO_FOLDER CERTIFICATE_FOLDER
//
//   TOKEN   a token that the server accepts
"use strict";

const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const [address, protos, certificates] = process.argv.slice(2);
const read = (name) => fs.readFileSync(path.join(certificates, name));
const definition = loader.loadSync("waywiser/v1/path.proto", { includeDirs: [protos], keepCase: true });
const { PathService } = grpc.loadPackageDefinition(definition).waywiser.v1;

// Resolves to the status code of a call that reads a recording.
function code(credentials, token) {
  const client = new PathService(address, credentials);
  const metadata = new grpc.Metadata();
  if (token !== undefined) metadata.set("authorization", `Bearer ${token}`);
  const options = { deadline: Date.now() + 60_000 };
  return new Promise((resolve) => {
    client.GetPath({ name: "paths/missing-in-node" }, metadata, options, (error) => {
      client.close();
      resolve(error ? error.code : grpc.status.OK);
    });
  });
}

async function main() {
  const tls = grpc.credentials.createSsl(read("ca.pem"));
  const mutual = grpc.credentials.createSsl(read("ca.pem"), read("node.key"), read("node.pem"));
  assert.equal(await code(tls, process.env.TOKEN), grpc.status.NOT_FOUND);
  assert.equal(await code(mutual), grpc.status.NOT_FOUND);
  assert.equal(await code(mutual, "wrong"), grpc.status.UNAUTHENTICATED);
  assert.equal(await code(tls, "wrong"), grpc.status.UNAUTHENTICATED);
  assert.equal(await code(tls), grpc.status.UNAUTHENTICATED);
  assert.equal(await code(grpc.credentials.createSsl(), process.env.TOKEN), grpc.status.UNAVAILABLE);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
