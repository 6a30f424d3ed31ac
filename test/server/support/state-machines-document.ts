/** docs/state-machines.md, whole, from the tables of the server and of the agent, which do not know each other. */
import { courseDocument } from "../../../src/agent/course.ts";
import { stateMachineDocument } from "../../../src/server/actions/state-machine.ts";
import { rolloutDocument } from "../../../src/server/rollouts/rollout-machine.ts";

export function stateMachinesDocument(): string {
  return [stateMachineDocument(), rolloutDocument(), courseDocument()].join("\n");
}
