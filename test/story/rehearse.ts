/** The rehearsal itself, in a process that sees the steered time: `DEVICES TIME_FILE`. */
import { test } from "node:test";
import { enrol, inventory } from "./chapters/fleet.ts";
import { hold, lateJoiner, pauseAndResume, ringsByDays } from "./chapters/policy.ts";
import { realAgents } from "./chapters/real-agents.ts";
import { badHotpatch, ringByRing } from "./chapters/rollout.ts";
import { emergency, offTrack, unplannedBaseline } from "./chapters/servicing.ts";
import { openRehearsal } from "./rehearsal.ts";

const [devices = "", timeFile = ""] = process.argv.slice(2);

test("a fleet over some months", { timeout: 1_800_000 }, async (t) => {
  const story = await openRehearsal(t, {
    ...{ devices: Number(devices), timeFile },
    say: (line) => process.stdout.write(`${line}\n`),
  });
  const from = Date.now();
  await enrol(story);
  await inventory(story);
  const policyId = await ringsByDays(story);
  await hold(story);
  await pauseAndResume(story, policyId);
  await lateJoiner(story);
  await story.ask("removePolicy", { params: { policyId } });
  await ringByRing(story);
  await badHotpatch(story);
  await unplannedBaseline(story);
  await offTrack(story);
  await emergency(story);
  await realAgents(t, story);
  const days = Math.round((Date.now() - from) / 86_400_000);
  story.tell(`the end: ${days} days, every step asserted`);
});
