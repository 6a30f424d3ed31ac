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
  // TLS judges a certificate by the clock of the machine, so the server starts in the past and comes to the present.
  const started = Date.now() - 20 * dayMs;
  let now = started;
  const server = await openServer(t, {
    clock: () => new Date(now),
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
  assert.ok(first.validTo > Date.now() + 30 * dayMs, "there is time for many tries before it ends");
  const waiting = machine.poll((await machine.poll()).revision, 20_000);
  const { signals } = server.running.context;
  while (signals.countOf(machine.id) === 0) await new Promise((resolve) => setImmediate(resolve));
  now = started + dayMs;
  await renewal.work();
  assert.equal((await certificateOf(server)).serial, first.serial, "a young certificate stays");
  // A machine that slept has a clock that leaps: what counts is the age, and not how long the timer ran.
  now = started + 20 * dayMs;
  await renewal.work();
  const second = await certificateOf(server);
  assert.notEqual(second.serial, first.serial);
  assert.equal(Math.round((second.validTo - first.validTo) / dayMs), 20);
  now -= 60_000;
  await renewal.work();
  assert.notEqual((await certificateOf(server)).serial, second.serial, "a clock that was set back has one of its own");
  const admin = await server.signIn();
  await admin(`/v1/devices/${machine.id}/revocation`, { method: "POST" });
  assert.deepEqual((await waiting).actions, [], "a poll that was under way was answered on its old connection");
  assert.deepEqual(server.logged, []);
  await server.stop();
  assert.equal(stopped, repeated.length);
});
