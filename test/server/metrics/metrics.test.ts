/** Metrics as Prometheus judges them: the text, the alert rules, and the names that the dashboard and the document use. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { openServer } from "../support/running-server.ts";

const share = path.resolve(import.meta.dirname, "../../../share");
const alerts = path.join(share, "prometheus/alerts.yml");

function promtool(words: readonly string[], options: { input?: string; cwd?: string } = {}): void {
  const { status, stdout, stderr, error } = spawnSync("promtool", words, { encoding: "utf8", ...options });
  assert.equal(status, 0, `${error ?? ""}${stdout}${stderr}`);
}

/** Names of series, without what histograms and counters of one name add. */
function namesIn(text: string): Set<string> {
  return new Set([...text.matchAll(/\brebootless_[a-z_]+/g)].map(([name]) => name.replace(/_(bucket|count|sum)$/, "")));
}

test("promtool accepts what the server tells, and it is true", { timeout: 60_000 }, async (t) => {
  const server = await openServer(t);
  const admin = await server.signIn();
  await server.enrol("m");
  await server.running.tick();
  assert.equal((await server.ask("/metrics")).status, 401);
  const { status, text, headers } = await admin("/metrics");
  assert.equal(status, 200);
  assert.match(String(headers["content-type"]), /^text\/plain; version=0\.0\.4/);
  promtool(["check", "metrics"], { input: text });
  assert.match(text, /^rebootless_devices\{state="enrolled"\} 1$/m);
  assert.match(text, /^rebootless_devices_silent 0$/m);
  assert.match(text, /^rebootless_scheduler_ticks_total [1-9]/m);
  assert.match(
    text,
    /^rebootless_http_request_duration_seconds_count\{method="POST",route="\/v1\/enrol",code="201"\} 1$/m,
  );
  assert.match(text, /^process_resident_memory_bytes \d/m);
  server.now += 2 * 60 * 60 * 1000;
  const later = await (await server.signIn())("/metrics");
  assert.match(later.text, /^rebootless_devices_silent 1$/m);

  const told = namesIn(text);
  for (const file of [alerts, path.join(share, "grafana/rebootless.json")]) {
    for (const name of namesIn(readFileSync(file, "utf8")))
      assert.ok(told.has(name) || name === "rebootless_task_faults_total", `${file} asks for ${name}`);
  }
  const document = readFileSync(new URL("../../../docs/metrics.md", import.meta.url), "utf8");
  const listed = [...document.matchAll(/^\| `(rebootless_[a-z_]+)/gm)].map(([, name = ""]) => name);
  const typed = [...text.matchAll(/^# TYPE (rebootless_[a-z_]+)/gm)].map(([, name = ""]) => name);
  assert.deepEqual(listed.toSorted(), typed.toSorted());
});

test("promtool accepts the alert rules, and they alert when they should", (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), "rebootless-alerts-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  promtool(["check", "rules", alerts]);
  copyFileSync(alerts, path.join(folder, "alerts.yml"));
  copyFileSync(path.join(import.meta.dirname, "alerts.test.yml"), path.join(folder, "test.yml"));
  promtool(["test", "rules", "test.yml"], { cwd: folder });
});
