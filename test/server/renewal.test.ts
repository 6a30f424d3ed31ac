/** The certificate of a server that runs on for months. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { connect } from "node:tls";
import { openServer, type TestServer } from "./support/running-server.ts";

const dayMs = 24 * 60 * 60 * 1000;

async function certificateOf(server: TestServer): Promise<{ serial: string; validTo: number }> {
  const { hostname: host, port } = new URL(server.running.address);
  const ca = server.running.context.authority.certificate;
  const socket = connect({ host, port: Number(port), ca });
  await once(socket, "secureConnect");
  const { serialNumber: serial, valid_to } = socket.getPeerCertificate();
  socket.destroy();
  return { serial, validTo: Date.parse(valid_to) };
}

test("a running server renews its certificate long before it ends, and connections go on", async (t) => {
  const repeated: { everyMs: number; work: () => Promise<void> }[] = [];
  let stopped = 0;
  const server = await openServer(t, {
    repeat: (everyMs, work) => {
      repeated.push({ everyMs, work });
      return () => {
        stopped += 1;
      };
    },
  });
  const machine = await server.enrol("m");
  const [renewal] = repeated;
  assert.ok(renewal);
  const first = await certificateOf(server);
  assert.ok(first.validTo - server.now > 3 * renewal.everyMs, "there are several tries before it ends");
  const waiting = machine.poll((await machine.poll()).revision, 20_000);
  const { signals } = server.running.context;
  while (signals.countOf(machine.id) === 0) await new Promise((resolve) => setImmediate(resolve));
  // The certificate is judged by the clock of the machine, so the server's own goes ahead by less than its tolerance for other clocks.
  server.now += 60_000;
  await renewal.work();
  const second = await certificateOf(server);
  assert.notEqual(second.serial, first.serial);
  assert.equal(Math.round((second.validTo - first.validTo) / 1000), 60);
  assert.ok(renewal.everyMs < 30 * dayMs);
  const admin = await server.signIn();
  await admin(`/v1/devices/${machine.id}/revocation`, { method: "POST" });
  assert.deepEqual((await waiting).actions, [], "a poll that was under way was answered on its old connection");
  assert.deepEqual(server.logged, []);
  await server.stop();
  assert.equal(stopped, repeated.length);
});
