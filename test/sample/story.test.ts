/** `npm start`: every claim of the story, the next start, how it is interrupted, and what it says when a step does not hold. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, type TestContext, test } from "node:test";
import type { Figures } from "../../sample/story/stage.ts";
import { confine, isConfined } from "../agent/support/confined.ts";
import { checkout, figuresOf, leftBehind, startStory, watch } from "./story-process.ts";

// Its agent looks after every process that it sees, so it is told among the processes of this test alone.
confine("npm start, among the processes of this test alone", import.meta.filename, { ownNetwork: false });

if (isConfined) {
  describe("the story", () => {
    test("holds in every claim, and the next start goes on from what it left", async (t) => {
      const story = startStory(t, ["--once", "--json"]);
      const end = await story.end;
      assert.equal(end.code, 0, end.error);
      const figures = figuresOf(end);
      checkClaims(figures);
      assert.equal(figures.isLaterStart, false);
      checkTimeline(figures);
      assert.match(end.error, /\$ rebootless approval add \S+ --group all/);
      assert.deepEqual(leftBehind(story), []);

      const later = startStory(t, ["--once", "--json"], { state: story.state });
      const laterEnd = await later.end;
      assert.equal(laterEnd.code, 0, laterEnd.error);
      const laterFigures = figuresOf(laterEnd);
      checkClaims(laterFigures);
      assert.equal(laterFigures.isLaterStart, true);
      assert.equal(laterFigures.agent?.deviceId, figures.agent?.deviceId);
      assert.equal(laterFigures.server?.address, figures.server?.address);
      assert.equal(laterFigures.hotpatch?.digest, figures.hotpatch?.digest);
      assert.match(laterEnd.error, /approved at an earlier start, so the agent put it into PID \d+ by itself/);
      assert.deepEqual(leftBehind(later), []);
    });

    test("leaves everything running, with a page to sign in to, until Ctrl-C ends all of it", async (t) => {
      const story = startStory(t, [], { program: path.join(checkout, "scripts", "start.mjs") });
      const [, server, agent] = await story.told(
        /The control plane runs[^(]*\(PID (\d+)\)[\s\S]*agent of[^(]*\(PID (\d+)\)/,
      );
      const [, url, pid] = await story.told(/The service goes on at (\S+) \(PID (\d+)\)[\s\S]*Ctrl-C ends/);
      const [, page] = await story.told(
        /The page: (https:\/\/127\.0\.0\.1:\d+)\. Sign in[\s\S]*https:\/\/\S+\/v1\/sign-in\?token=/,
      );
      const processes = [server, agent, pid].map((found) => watch(Number(found)));
      const status = (await (await fetch(`${url}/status`)).json()) as { pid: number };
      assert.equal(status.pid, Number(pid));
      assert.ok(page);
      story.child.kill("SIGINT");
      const end = await story.end;
      assert.equal(end.code, 0, end.error);
      assert.deepEqual(
        processes.map((process) => process.gone()),
        [true, true, true],
      );
      assert.deepEqual(leftBehind(story), []);
    });

    test("without the sample there are the control plane and the agent", async (t) => {
      const story = startStory(t, ["--once", "--no-sample", "--json"]);
      const end = await story.end;
      assert.equal(end.code, 0, end.error);
      const { ok, server, agent, service, hotpatch } = figuresOf(end);
      assert.deepEqual([ok, service, hotpatch], [true, null, null]);
      assert.ok(server && agent);
      assert.deepEqual(leftBehind(story), []);
    });
  });

  describe("an early end", () => {
    for (const { signal, code } of [
      { signal: "SIGINT", code: 130 },
      { signal: "SIGTERM", code: 143 },
    ] as const) {
      test(`${signal} in the middle leaves nothing behind but the state, with which the next start does well`, async (t) => {
        const story = startStory(t, ["--once"]);
        const [, pid] = await story.told(/A settings service runs[^:]*:[^:]*:\d+: PID (\d+)[\s\S]*\$ rebootless build/);
        const service = watch(Number(pid));
        story.child.kill(signal);
        const end = await story.end;
        assert.equal(end.code, code, end.out);
        assert.match(end.out, /Interrupted at the step "build the hotpatch"/);
        assert.ok(service.gone());
        assert.deepEqual(leftBehind(story), []);
        const next = await startStory(t, ["--once", "--no-sample"], { state: story.state }).end;
        assert.equal(next.code, 0, next.out);
      });
    }

    for (const { who, pattern, message } of [
      {
        who: "service",
        pattern: /A settings service runs[^:]*:[^:]*:\d+: PID (\d+)[\s\S]*requests later/,
        message: /settings service ended by SIGKILL\. Its last output:[\s\S]*settings service: http/,
      },
      {
        who: "control plane",
        pattern: /The control plane runs[^(]*\(PID (\d+)\)/,
        message: /control plane ended by SIGKILL\. Its last output:[\s\S]*Listening on/,
      },
    ]) {
      test(`a ${who} that dies is named, with what it said last`, async (t) => {
        const story = startStory(t, ["--once", "--json"]);
        const [, pid] = await story.told(pattern);
        process.kill(Number(pid), "SIGKILL");
        const end = await story.end;
        assert.equal(end.code, 1);
        assert.match(figuresOf(end).failure?.reason ?? "", message);
        assert.deepEqual(leftBehind(story), []);
      });
    }
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
      const story = startStory(t, ["--once", "--json"], { env: { ...npm, npm_config_cache: cache } });
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
      const port = await takePort(t);
      const story = startStory(t, ["--once", "--json", "--port", String(port)]);
      const end = await story.end;
      assert.equal(end.code, 1);
      assert.equal(figuresOf(end).failure?.step, "start the service");
      assert.match(figuresOf(end).failure?.reason ?? "", /EADDRINUSE/);
      const other = await startStory(t, ["--once", "--json", "--server-port", String(port)]).end;
      assert.equal(other.code, 1);
      assert.match(figuresOf(other).failure?.reason ?? "", /Another program listens on port \d+.*--state/);
    });

    test("a wrong command line, and a state folder that cannot be", async (t) => {
      for (const [words, message] of [
        [["--port", "70000"], /--port takes a number/],
        [["--twice"], /--twice/],
      ] as const) {
        const end = await startStory(t, words).end;
        assert.equal(end.code, 2);
        assert.match(end.error, message);
        assert.match(end.error, /--help/);
      }
      const nowhere = await startStory(t, ["--once"], { state: "/proc/rebootless" }).end;
      assert.equal(nowhere.code, 1);
      assert.match(nowhere.error, /folder "\/proc\/rebootless" cannot be made \(ENOENT\).*--state FOLDER/);
      const help = await startStory(t, ["--help"]).end;
      assert.equal(help.code, 0);
      assert.match(help.out, /--once/);
    });
  });
}

function checkClaims(figures: Figures): void {
  const { ok, failure, service, client, attacks, hotpatch, changes, verdicts, load, status } = figures;
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
  for (const { when, pauseMs, totalMs } of changes) {
    // The agent tells no pause of a process that it found by itself.
    if (figures.isLaterStart && when === "apply") assert.equal(pauseMs, null);
    else assert.ok(pauseMs !== null && pauseMs > 0 && pauseMs < totalMs, `${pauseMs} of ${totalMs} ms`);
  }
  assert.deepEqual(
    verdicts.map(({ state }) => state),
    ["in-place", "in-place"],
  );
  assert.ok(verdicts.every(({ findings }) => findings > 0));
  assert.ok(hotpatch.files.some(({ path: file, functions }) => file === "lib/parse.js" && functions.includes("push")));
  assert.equal(load.failed, 0, load.failures.join("; "));
  assert.ok(load.requests > 1000, `${load.requests} requests`);
  assert.equal(load.connectionsOpened, client.connections);
  for (const phase of ["before", "apply", "patched", "revert", "reverted", "apply again", "patched again"]) {
    assert.ok((load.phases[phase]?.requests ?? 0) > 0, `no request was due in ${phase}`);
  }
  assert.equal(status.last.pid, status.first.pid);
  assert.equal(status.last.startedAt, status.first.startedAt);
  assert.ok(status.last.served >= status.first.served + load.requests);
}

function checkTimeline({ timeline }: Figures): void {
  const expected = [/^published/, /^approved/, /^offered/, /begins/, /^fetched/, /^planned/, /goes into/, /^applied/];
  for (const [index, pattern] of [...expected, /looked for/, /^verified/].entries()) {
    assert.match(timeline[index]?.what ?? "", pattern);
  }
  const times = timeline.map(({ afterMs }) => afterMs);
  assert.deepEqual(
    times,
    times.toSorted((a, b) => a - b),
  );
}

async function takePort(t: TestContext): Promise<number> {
  const holder = createServer();
  await new Promise<void>((resolve) => holder.listen(0, "127.0.0.1", resolve));
  t.after(() => holder.close());
  return (holder.address() as { port: number }).port;
}
