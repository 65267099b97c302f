// Connects to the server under test with @grpc/grpc-js. The arguments of each program are ADDRESS PROTO_FOLDER.
"use strict";

const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

// Returns a client of the service with this full name, which the file defines.
exports.connect = (file, name, options = {}) => {
  const [address, protos] = process.argv.slice(2);
  const definition = loader.loadSync(file, {
    includeDirs: [protos],
    keepCase: true,
    defaults: true,
    ...options,
  });
  const services = grpc.loadPackageDefinition(definition);
  const Service = name.split(".").reduce((scope, part) => scope[part], services);
  return new Service(address, grpc.credentials.createInsecure());
};
