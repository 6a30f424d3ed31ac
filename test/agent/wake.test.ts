import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { test } from "node:test";
import { Wake } from "../../src/agent/wake.ts";

const longMs = 20_000;

test("a signal ends the wait that is under way, however many ran out before", { timeout: 10_000 }, async () => {
  const ending = new AbortController();
  const wake = new Wake();
  for (let count = 0; count < 3; count++) await wake.wait(1, ending.signal);
  const waiting = wake.wait(longMs, ending.signal);
  ending.abort();
  await waiting;
  await wake.wait(longMs, ending.signal);
});

test("a wake-up ends a wait, or the next one where nobody waits", { timeout: 10_000 }, async () => {
  const { signal } = new AbortController();
  const wake = new Wake();
  const waiting = wake.wait(longMs, signal);
  wake.wake();
  await waiting;
  wake.wake();
  await wake.wait(longMs, signal);
  assert.equal(getEventListeners(signal, "abort").length, 0, "a wait leaves nothing behind");
});
