"use strict";
/** A Node.js program that no hotpatch is for; it answers each request with how long it has been the same process. */
const { createServer } = require("node:http");

const startedAt = new Date().toISOString();
const server = createServer((_request, response) => response.end(JSON.stringify({ pid: process.pid, startedAt })));
process.on("disconnect", () => process.exit(0));
server.listen(0, "127.0.0.1", () => process.send({ listening: server.address().port }));
