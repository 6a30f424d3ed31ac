import assert from "node:assert/strict";
import { test } from "node:test";
import { rehearseInspector } from "../../../../src/engine/node/attach/inspector-rehearsal.ts";
import { tcpListeners } from "../../../../src/process/sockets.ts";

test("the rehearsal of an attach leaves no port open in the command", async () => {
  await rehearseInspector();
  assert.deepEqual(tcpListeners(process.pid), []);
});
