/** The command is ended by force at any moment: the process is entirely old or entirely new, serves on, and the next command finishes the work. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { startApplication } from "../engine/node/application.ts";
import { begin, type Story } from "./process-story.ts";

const limits = { timeout: 600_000 };
const moments = 8;
const whole = ["old  x", "new x"];

/** How long the command takes when nobody ends it, in milliseconds. */
async function durationOf(
  command: () => Promise<{ readonly code: number | null; readonly error: string }>,
): Promise<number> {
  const start = performance.now();
  const { code, error } = await command();
  assert.equal(code, 0, error);
  return performance.now() - start;
}

async function finishWith(command: "apply" | "revert", { desk, hotpatch, application }: Story): Promise<void> {
  const pid = String(application.pid);
  const { code, out, error, data } = await desk.run(command, hotpatch, "--pid", pid);
  const isOut = command === "revert" && data.refused?.[0]?.code === "target/not-applied";
  assert.ok(code === 0 || isOut, out + error);
  assert.equal(await application.ask(), command === "apply" ? "new x" : "old  x");
  const verdict = await desk.run("verify", hotpatch, "--pid", pid);
  assert.equal(verdict.data.verdicts?.[0]?.state, command === "apply" ? "in-place" : "absent");
}

test("kill -9 of apply and of revert, at every eighth of their time", limits, async (context) => {
  const story = await begin(context);
  const { desk, hotpatch, application } = story;
  const target = ["--pid", String(application.pid)];
  const applyMs = await durationOf(() => desk.run("apply", hotpatch, ...target, "--no-rehearsal"));
  const revertMs = await durationOf(() => desk.run("revert", hotpatch, ...target));
  for (let moment = 1; moment <= moments; moment++) {
    await desk.runAndKill(["apply", hotpatch, ...target, "--no-rehearsal"], (applyMs * moment) / moments);
    assert.ok(whole.includes((await application.ask()) as string));
    await finishWith("apply", story);
    await desk.runAndKill(["revert", hotpatch, ...target], (revertMs * moment) / moments);
    assert.ok(whole.includes((await application.ask()) as string));
    await finishWith("revert", story);
  }
  assert.doesNotMatch(application.stderr(), /Error/);
});

test("kill -9 on the way into a process: the next apply gets in", limits, async (context) => {
  const story = await begin(context);
  const { desk, hotpatch, folder } = story;
  const apply = (pid: number): string[] => ["apply", hotpatch, "--pid", String(pid), "--no-rehearsal"];
  const applyMs = await durationOf(() => desk.run(...apply(story.application.pid)));
  for (let moment = 1; moment <= moments; moment++) {
    const application = await startApplication(
      context,
      folder,
      `const { say } = require("sample"); answer((text = " x") => say(text));`,
    );
    // The first half of the time goes by before the process is touched.
    await desk.runAndKill(apply(application.pid), applyMs * (0.5 + (0.4 * moment) / moments));
    assert.ok(whole.includes((await application.ask()) as string));
    await finishWith("apply", { ...story, application });
    await application.end();
  }
});
