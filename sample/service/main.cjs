"use strict";
/**
 * The settings service: `node main.cjs [--port N]`, on 127.0.0.1 alone.
 *
 * SETTINGS_ADMINISTRATOR_TOKEN is the bearer token by which an administrator is known.
 * A process manager on the other end of an IPC channel is told when the service listens; the service ends with its manager.
 */
const { parseArgs } = require("node:util");
const { createService } = require("./server.cjs");

const { port } = parseArgs({ options: { port: { type: "string", default: "0" } } }).values;
const server = createService({ administratorToken: process.env.SETTINGS_ADMINISTRATOR_TOKEN });

function end() {
  server.close(() => process.exit(0));
  // Idle and busy connections alike: a service that is told to end must not wait for its clients.
  server.closeAllConnections();
}

process.on("SIGTERM", end);
process.on("SIGINT", end);
process.on("disconnect", end);
server.on("error", (error) => {
  console.error(`settings service: ${error.message}`);
  process.exit(1);
});
server.listen(Number(port), "127.0.0.1", () => {
  const listening = server.address().port;
  console.log(`settings service: http://127.0.0.1:${listening} (pid ${process.pid}, Node ${process.version})`);
  process.send?.({ listening });
});
