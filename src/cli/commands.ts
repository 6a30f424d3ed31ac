/**
 * The list of all commands, in the order in which help shows them.
 *
 * To add one: write its `CommandSpec` in a file under commands/, import it here, and put it into the list; help, completion, exit codes and --json come by themselves.
 */
import type { CommandSpec } from "./command.ts";
import { actionCommands } from "./commands/action.ts";
import { advisoryCommands } from "./commands/advisory.ts";
import { agentCommands } from "./commands/agent.ts";
import { approvalCommands } from "./commands/approval.ts";
import { approvalRequestCommands } from "./commands/approval-requests.ts";
import { auditCommands } from "./commands/audit.ts";
import { baselineCommands } from "./commands/baseline.ts";
import { buildCommands } from "./commands/build.ts";
import { buildElfCommand } from "./commands/build-elf.ts";
import { catalogCommands } from "./commands/catalog.ts";
import { completionCommand } from "./commands/completion.ts";
import { debugInfoCommand } from "./commands/debug-info.ts";
import { deviceCommands } from "./commands/device.ts";
import { deviceStateCommands } from "./commands/device-state.ts";
import { eligibilityCommands } from "./commands/eligibility.ts";
import { groupCommands } from "./commands/group.ts";
import { holdCommands } from "./commands/hold.ts";
import { hotpatchCommands } from "./commands/hotpatch.ts";
import { inspectCommand } from "./commands/inspect.ts";
import { keyCommands } from "./commands/key.ts";
import { policyCommands } from "./commands/policy.ts";
import { applyCommand, revertCommand, verifyCommand } from "./commands/process-commands.ts";
import { psCommand } from "./commands/ps.ts";
import { repoCommands } from "./commands/repo.ts";
import { ringCommands } from "./commands/ring.ts";
import { rolloutCommands } from "./commands/rollout.ts";
import { serverCommands } from "./commands/server.ts";
import { tokenCommands } from "./commands/token.ts";
import { userCommands } from "./commands/user.ts";
import { webhookCommands } from "./commands/webhook.ts";

const workingCommands: readonly CommandSpec[] = [
  psCommand,
  ...buildCommands,
  buildElfCommand,
  inspectCommand,
  applyCommand,
  verifyCommand,
  revertCommand,
  debugInfoCommand,
  ...keyCommands,
  ...repoCommands,
  ...catalogCommands,
  ...serverCommands,
  ...userCommands,
  ...tokenCommands,
  ...agentCommands,
  ...deviceCommands,
  ...deviceStateCommands,
  ...groupCommands,
  ...holdCommands,
  ...approvalCommands,
  ...approvalRequestCommands,
  ...policyCommands,
  ...ringCommands,
  ...hotpatchCommands,
  ...baselineCommands,
  ...advisoryCommands,
  ...eligibilityCommands,
  ...rolloutCommands,
  ...actionCommands,
  ...auditCommands,
  ...webhookCommands,
];

/** Completion knows all the others, so it stands last. */
export const commands: readonly CommandSpec[] = [...workingCommands, completionCommand(workingCommands)];
