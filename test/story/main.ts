/**
 * `npm run story [-- DEVICES]`: a rehearsal with 200 simulated devices, or as many as told, and three real agents, over months that pass in some minutes; each step is asserted and told as a line of a timeline.
 *
 * The devices speak the real protocol with a real server, and share a clock with it that is moved forward.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { alone, makeForJson5 } from "../agent/support/confined.ts";
import { openDesk } from "../cli/desk.ts";
import { steer, steeredEnvironment, steeringLibrary } from "./support/steered-time.ts";

const devices = Number(process.argv[2] ?? 200);
const library = steeringLibrary();

if (!Number.isInteger(devices) || devices < 20 || devices > 4_000) {
  process.stderr.write("story: say how many devices there are to be, from 20 to 4000\n");
  process.exitCode = 2;
} else if (library === undefined) {
  process.stderr.write("story: libfaketime is not installed; on Debian, `apt-get install libfaketime` installs it\n");
  process.exitCode = 1;
} else {
  const folder = mkdtempSync(path.join(tmpdir(), "rebootless-story-time-"));
  const timeFile = path.join(folder, "time");
  steer(timeFile, 0);
  const words = [path.join(import.meta.dirname, "rehearse.ts"), String(devices), timeFile];
  const env = { ...process.env, NODE_TEST_CONTEXT: undefined, ...steeredEnvironment(library, timeFile) };
  const cleanings: (() => void)[] = [];
  const desk = await openDesk({ after: (clean) => void cleanings.push(clean as () => void) });
  const built = JSON.stringify(await makeForJson5(desk));
  // Real agents look into every process that they may touch, and into them through a port of the loopback, so there are to be none but those of the rehearsal.
  const around = [...alone, process.execPath, ...words];
  const child = spawn("unshare", around, { stdio: "inherit", env: { ...env, REBOOTLESS_TEST_MADE: built } });
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => child.kill(signal));
  const [code] = (await once(child, "exit")) as [number | null];
  rmSync(folder, { recursive: true, force: true });
  for (const clean of cleanings) clean();
  process.exitCode = code ?? 1;
}
