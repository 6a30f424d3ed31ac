/** `npm start`: every claim of the story, how it is interrupted, and what it says when a step does not hold. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, test } from "node:test";
import { checkout, figuresOf, leftBehind, startStory, watch } from "./story-process.ts";

describe("the story", () => {
  test("holds in every claim", async (t) => {
    const story = startStory(t, ["--once", "--json"]);
    const end = await story.end;
    assert.equal(end.code, 0, end.error);
    const { ok, failure, service, client, attacks, hotpatch, changes, verdicts, load, status } = figuresOf(end);
    assert.equal(ok, true);
    assert.equal(failure, null);
    assert.ok(service && client && hotpatch && load && status);

    const holes = attacks.map(({ when, hole }) => [when, hole]);
    const expected = [
      ["before", "open"],
      ["patched", "closed"],
      ["reverted", "open"],
      ["patched again", "closed"],
    ];
    assert.deepEqual(holes, expected);
    for (const { hole, gotPassword, httpStatus, servedBy } of attacks) {
      assert.equal(gotPassword, hole === "open");
      assert.equal(httpStatus, hole === "open" ? 200 : 400);
      assert.equal(servedBy, service.pid);
    }

    assert.deepEqual(
      changes.map(({ when, state, pid }) => [when, state, pid]),
      [
        ["apply", "applied", service.pid],
        ["revert", "reverted", service.pid],
        ["apply again", "applied", service.pid],
      ],
    );
    for (const { pauseMs, totalMs } of changes) {
      assert.ok(pauseMs !== null && pauseMs > 0 && pauseMs < totalMs, `${pauseMs} of ${totalMs} ms`);
    }
    assert.deepEqual(
      verdicts.map(({ state }) => state),
      ["in-place", "in-place"],
    );
    assert.ok(verdicts.every(({ findings }) => findings > 0));
    assert.ok(
      hotpatch.files.some(({ path: file, functions }) => file === "lib/parse.js" && functions.includes("push")),
    );

    assert.equal(load.failed, 0, load.failures.join("; "));
    assert.ok(load.requests > 2000, `${load.requests} requests`);
    assert.equal(load.connectionsOpened, client.connections);
    for (const phase of ["before", "apply", "patched", "revert", "reverted", "apply again", "patched again"]) {
      assert.ok((load.phases[phase]?.requests ?? 0) > 0, `no request was due in ${phase}`);
    }
    assert.equal(status.last.pid, status.first.pid);
    assert.equal(status.last.startedAt, status.first.startedAt);
    assert.ok(status.last.served >= status.first.served + load.requests);

    assert.match(end.error, /\$ rebootless apply json5\.hotpatch --pid \d+/);
    assert.deepEqual(leftBehind(story), []);
  });

  test("leaves the service running, with commands that work, until Ctrl-C ends everything", async (t) => {
    const story = startStory(t, [], { program: path.join(checkout, "scripts", "start.mjs") });
    const [, url, pid] = await story.told(/The service goes on at (\S+) \(PID (\d+)\)[\s\S]*Ctrl-C ends/);
    const service = watch(Number(pid));
    const status = (await (await fetch(`${url}/status`)).json()) as { pid: number };
    assert.equal(status.pid, Number(pid));
    story.child.kill("SIGINT");
    const end = await story.end;
    assert.equal(end.code, 0, end.error);
    assert.ok(service.gone());
    assert.match(end.out, /\$ npx rebootless verify \S+json5\.hotpatch --pid \d+/);
    assert.deepEqual(leftBehind(story), []);
  });
});

describe("an early end", () => {
  for (const { signal, code } of [
    { signal: "SIGINT", code: 130 },
    { signal: "SIGTERM", code: 143 },
  ] as const) {
    test(`${signal} in the middle leaves nothing behind`, async (t) => {
      const story = startStory(t, ["--once"]);
      const [, pid] = await story.told(/PID (\d+)[\s\S]*\$ rebootless build/);
      const service = watch(Number(pid));
      story.child.kill(signal);
      const end = await story.end;
      assert.equal(end.code, code, end.out);
      assert.match(end.out, /Interrupted at the step "build the hotpatch"/);
      assert.ok(service.gone());
      assert.deepEqual(leftBehind(story), []);
    });
  }

  test("a service that dies is named, with what it said last", async (t) => {
    const story = startStory(t, ["--once", "--json"]);
    const [, pid] = await story.told(/PID (\d+)[\s\S]*requests later/);
    process.kill(Number(pid), "SIGKILL");
    const end = await story.end;
    assert.equal(end.code, 1);
    assert.match(
      figuresOf(end).failure?.reason ?? "",
      /ended by SIGKILL\. Its last output:[\s\S]*settings service: http/,
    );
    assert.deepEqual(leftBehind(story), []);
  });
});

describe("a step that does not hold", () => {
  test("a registry that cannot be reached", async (t) => {
    const cache = mkdtempSync(path.join(tmpdir(), "rebootless-empty-cache-"));
    t.after(() => rmSync(cache, { recursive: true, force: true }));
    const npm = {
      npm_config_registry: "http://127.0.0.1:9/",
      npm_config_fetch_retries: "0",
      npm_config_prefer_offline: "false",
    };
    const story = startStory(t, ["--once", "--json"], {
      env: { ...npm, npm_config_cache: cache },
    });
    const end = await story.end;
    assert.equal(end.code, 1);
    const { ok, failure } = figuresOf(end);
    assert.equal(ok, false);
    assert.equal(failure?.step, "build the hotpatch");
    assert.match(failure?.reason ?? "", /npm registry/);
    assert.match(end.error, /the step "build the hotpatch" did not hold/);
    assert.deepEqual(leftBehind(story), []);
  });

  test("a port that is taken", async (t) => {
    const holder = createServer();
    await new Promise<void>((resolve) => holder.listen(0, "127.0.0.1", resolve));
    t.after(() => holder.close());
    const { port } = holder.address() as { port: number };
    const story = startStory(t, ["--once", "--json", "--port", String(port)]);
    const end = await story.end;
    assert.equal(end.code, 1);
    assert.equal(figuresOf(end).failure?.step, "start the service");
    assert.match(figuresOf(end).failure?.reason ?? "", /EADDRINUSE/);
    assert.deepEqual(leftBehind(story), []);
  });

  test("a wrong command line", async (t) => {
    for (const [words, message] of [
      [["--port", "70000"], /--port takes a number/],
      [["--twice"], /--twice/],
    ] as const) {
      const end = await startStory(t, words).end;
      assert.equal(end.code, 2);
      assert.match(end.error, message);
      assert.match(end.error, /--help/);
    }
    const help = await startStory(t, ["--help"]).end;
    assert.equal(help.code, 0);
    assert.match(help.out, /--once/);
  });
});
