/** An agent that ends itself by force at a point: `STATE [POINT [COUNT]]`. What it logs goes to standard error, a line each. */
import { agentFolder } from "../../../src/agent/agent-folder.ts";
import { runAgent } from "../../../src/agent/run-agent.ts";

const [state = "", stopAt, count = "1"] = process.argv.slice(2);
let left = Number(count);
const ending = new AbortController();
process.once("SIGTERM", () => ending.abort());
await runAgent({
  folder: agentFolder(state),
  version: "0.1.0",
  signal: ending.signal,
  maxPauseMs: 60_000,
  waitMs: 10_000,
  // A server that was away is asked again as soon as may be.
  random: () => 0,
  onPoint(point) {
    if (process.env.REBOOTLESS_TEST_POINTS === "1") console.error(`point ${point}`);
    if (point === stopAt && --left === 0) process.kill(process.pid, "SIGKILL");
  },
  log: (line) => console.error(JSON.stringify(line)),
});
