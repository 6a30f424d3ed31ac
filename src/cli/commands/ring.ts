/** `rebootless ring …`: the update rings of a policy, as in Intune and Autopatch. */
import { policyLimits, type Ring } from "../../api/schemas/policies.ts";
import { RebootlessError } from "../../base/errors.ts";
import { printable, quoted } from "../../base/printable.ts";
import type { CommandSpec } from "../command.ts";
import { withDryRun } from "../dry-run.ts";
import { texts } from "../option-values.ts";
import { ask } from "../server-client.ts";
import { serverOf, serverOptions } from "../server-target.ts";
import { textTable } from "../text-table.ts";

const policyArgument = { name: "<policy>", description: "the id of the policy" };
const exampleId = "5f0c1d5e-8f4b-4c8e-9c53-0a6d3a6f7c21";

/** `NAME=GROUP:DAYS`. Throws `usage/arguments`. */
function ringOf(given: string): Ring {
  const [, name, groupId, days] = /^([^=]+)=([a-z0-9-]+):(\d{1,2})$/.exec(given) ?? [];
  if (name === undefined || groupId === undefined || days === undefined) {
    throw new RebootlessError("usage/arguments", `--ring takes NAME=GROUP:DAYS, not ${quoted(given)}.`);
  }
  return { name, groupId, deferralDays: Number(days) };
}

function ringTable(rings: readonly Ring[]): string {
  if (rings.length === 0) return "The policy has no rings.";
  const rows = rings.map(({ name, groupId, deferralDays }) => [name, groupId, String(deferralDays)]);
  return textTable(["RING", "GROUP", "DEFERRAL"], rows);
}

const ringList: CommandSpec = {
  name: "ring list",
  summary: "list the update rings of a policy, in their order",
  arguments: [policyArgument],
  options: serverOptions,
  examples: [{ command: `rebootless ring list ${exampleId}`, what: "rings with their groups and deferrals in days" }],
  async run(input, io) {
    const [policyId = ""] = input.arguments;
    const { rings } = await ask(serverOf(input, io), "getPolicy", { params: { policyId } });
    return { data: { policyId, rings }, text: ringTable(rings) };
  },
};

const ringSet = withDryRun({
  name: "ring set",
  summary: "give a policy update rings in place of its groups or rings",
  description: `A policy has ${policyLimits.minRings} to ${policyLimits.maxRings} rings in the order in which they are given, the first called Test and the last Last, each over a group of its own, none with a shorter deferral than the one before. A device is in the first ring whose group it is in.`,
  arguments: [policyArgument],
  options: [
    ...serverOptions,
    { flags: "--ring <name=group:days>", description: "a ring with its deferral; to be repeated", repeatable: true },
  ],
  examples: [
    {
      command: `rebootless ring set ${exampleId} --ring Test=test:0 --ring Web=web:3 --ring Last=all:10`,
      what: "three rings over ten days",
    },
  ],
  async run(input, io) {
    const [policyId = ""] = input.arguments;
    const rings = texts(input, "ring").map(ringOf);
    if (rings.length === 0) throw new RebootlessError("usage/arguments", "Name the rings with --ring.");
    const policy = await ask(serverOf(input, io), "changePolicy", { params: { policyId }, body: { rings } });
    return { data: policy, text: ringTable(policy.rings) };
  },
});

const ringRemove = withDryRun({
  name: "ring remove",
  summary: "take all rings from a policy, which then is for no group until it is given some",
  arguments: [policyArgument],
  options: serverOptions,
  examples: [{ command: `rebootless ring remove ${exampleId}`, what: "what has not begun is withdrawn" }],
  async run(input, io) {
    const [policyId = ""] = input.arguments;
    const policy = await ask(serverOf(input, io), "changePolicy", { params: { policyId }, body: { rings: [] } });
    return { data: policy, text: `${printable(policy.title)} has no rings.` };
  },
});

export const ringCommands: readonly CommandSpec[] = [ringList, ringSet, ringRemove];
