/** `rebootless policy …`: quality-update policies, as in Intune. */
import { severities } from "../../api/schemas/approvals.ts";
import { approvalMethods, type Policy } from "../../api/schemas/policies.ts";
import { RebootlessError } from "../../base/errors.ts";
import { printable, quoted } from "../../base/printable.ts";
import type { CommandInput, CommandOption, CommandSpec } from "../command.ts";
import { withDryRun } from "../dry-run.ts";
import { oneOf, text, texts, wholeNumber } from "../option-values.ts";
import { ask, askAll, pageQuery } from "../server-client.ts";
import { serverOf, serverOptions } from "../server-target.ts";
import { textTable } from "../text-table.ts";
import { policyWindows, timeFields, timeOptions, windowText } from "./policy-windows.ts";

const exampleId = "5f0c1d5e-8f4b-4c8e-9c53-0a6d3a6f7c21";
const policyArgument = { name: "<policy>", description: "the id of the policy" };
const reasonOption: CommandOption = { flags: "--reason <text>", description: "why, for the record" };
const daysOption: CommandOption = { flags: "--days <number>", description: "how long, at most 35 days", default: "35" };

/** A whole number from 0. Throws `usage/arguments`. */
export function dayCount(given: string | undefined, flag: string): number | undefined {
  if (given === undefined) return undefined;
  if (!/^\d{1,3}$/.test(given)) {
    throw new RebootlessError("usage/arguments", `${flag} takes a number of days, not ${quoted(given)}.`);
  }
  return Number(given);
}

function reasonOf(input: CommandInput): { reason?: string } {
  const reason = text(input, "reason");
  return reason === undefined ? {} : { reason };
}

function describedPolicy(policy: Policy): string {
  const { id, title, groupIds, rings, hotpatchEnabled, approvalMethod, severities: named, products } = policy;
  const about = [...named, ...products].join(", ");
  return [
    `${title} (${id})`,
    ...(rings.length === 0
      ? [`groups: ${groupIds.join(", ") || "none"}`, `deferral: ${policy.deferralDays} days`]
      : rings.map(({ name, groupId, deferralDays }) => `ring ${name}: ${groupId}, deferral ${deferralDays} days`)),
    `hotpatch: ${hotpatchEnabled ? "on" : "off"}`,
    `approval: ${approvalMethod}`,
    `about: ${about === "" ? "everything" : about}`,
    ...(policy.windows.length === 0 ? [] : [`windows: ${policy.windows.map(windowText).join("; ")}`]),
    ...(policy.activeHours === null ? [] : [`active hours: ${policy.activeHours.from}-${policy.activeHours.to}`]),
    ...(policy.timeZone === null ? [] : [`time zone: ${policy.timeZone}`]),
    ...(policy.announceHours === 0 ? [] : [`announced: ${policy.announceHours} hours before a window opens`]),
    ...(policy.deadlineDays === null ? [] : [`deadline: ${policy.deadlineDays} days, grace ${policy.graceDays} days`]),
    ...(policy.pausedUntil === null ? [] : [`paused until: ${policy.pausedUntil} ${policy.pauseReason}`.trimEnd()]),
    ...(policy.expedited.length === 0 ? [] : [`expedited: ${policy.expedited.join(", ")}`]),
    `made: ${policy.createdAt} by ${policy.createdBy}`,
  ]
    .map(printable)
    .join("\n");
}

const policyList: CommandSpec = {
  name: "policy list",
  summary: "list the quality-update policies",
  options: serverOptions,
  examples: [{ command: "rebootless policy list", what: "policies with their ids, and which are paused" }],
  async run(input, io) {
    const server = serverOf(input, io);
    const policies = await askAll((cursor) => ask(server, "listPolicies", pageQuery(cursor)));
    const rows = policies.map((one) => [
      ...[one.title, one.hotpatchEnabled ? "on" : "off", one.approvalMethod, one.groupIds.join(",")],
      ...[one.rings.map(({ deferralDays }) => deferralDays).join(",") || String(one.deferralDays)],
      ...[one.pausedUntil ?? "", one.id],
    ]);
    const table = textTable(["TITLE", "HOTPATCH", "APPROVAL", "GROUPS", "DEFERRAL", "PAUSED", "ID"], rows);
    return { data: { policies }, text: rows.length === 0 ? "There is no policy." : table };
  },
};

const policyShow: CommandSpec = {
  name: "policy show",
  summary: "show a policy",
  arguments: [policyArgument],
  options: serverOptions,
  examples: [{ command: `rebootless policy show ${exampleId}`, what: "for whom it is, and what waits for what" }],
  async run(input, io) {
    const [policyId = ""] = input.arguments;
    const policy = await ask(serverOf(input, io), "getPolicy", { params: { policyId } });
    return { data: policy, text: describedPolicy(policy) };
  },
};

const fieldOptions: readonly CommandOption[] = [
  { flags: "--group <id>", description: "a group that it is for; may be repeated", repeatable: true },
  { flags: "--hotpatch <on|off>", description: "whether hotpatches may reach these devices" },
  { flags: `--severity <${severities.join("|")}>`, description: "only these; may be repeated", repeatable: true },
  { flags: "--product <kind/name>", description: "only these; kind/* is all of a kind", repeatable: true },
  { flags: "--deferral-days <number>", description: "how long it waits after the arrival in the catalog, 0 to 30" },
  ...timeOptions,
];

function fieldsOf(input: CommandInput) {
  const hotpatch = oneOf(["on", "off"], text(input, "hotpatch"), "--hotpatch");
  const groupIds = [...texts(input, "group")];
  const named = texts(input, "severity").flatMap((word) => oneOf(severities, word, "--severity") ?? []);
  const products = [...texts(input, "product")];
  const deferralDays = dayCount(text(input, "deferralDays"), "--deferral-days");
  return {
    ...(hotpatch === undefined ? {} : { hotpatchEnabled: hotpatch === "on" }),
    ...(groupIds.length === 0 ? {} : { groupIds }),
    ...(named.length === 0 ? {} : { severities: named }),
    ...(products.length === 0 ? {} : { products }),
    ...(deferralDays === undefined ? {} : { deferralDays }),
    ...timeFields(input),
  };
}

const policyCreate = withDryRun({
  name: "policy create",
  summary: "make a quality-update policy for groups",
  description:
    "An automatic policy wants what the catalog lists and it is about, at once and as it arrives; a manual one waits for `rebootless approval add`. What it asks for counts for every hotpatch that it is about, whoever approves it.",
  arguments: [{ name: "<title>", description: "what people call it" }],
  options: [
    ...serverOptions,
    ...fieldOptions,
    { flags: `--approval <${approvalMethods.join("|")}>`, description: "fixed from then on", default: "automatic" },
  ],
  examples: [
    {
      command: "rebootless policy create servers --group web --deferral-days 7 --severity critical --severity high",
      what: "what is critical or high, a week after it arrived",
    },
  ],
  async run(input, io) {
    const [title = ""] = input.arguments;
    const approvalMethod = oneOf(approvalMethods, text(input, "approval"), "--approval") ?? "automatic";
    const body = { title, approvalMethod, ...fieldsOf(input) };
    const policy = await ask(serverOf(input, io), "makePolicy", { body });
    return { data: policy, text: `Made: ${printable(policy.title)} (${policy.id}).` };
  },
});

const policyUpdate = withDryRun({
  name: "policy update",
  summary: "change a policy; devices follow at once",
  arguments: [policyArgument],
  options: [...serverOptions, { flags: "--title <title>", description: "what people call it" }, ...fieldOptions],
  examples: [{ command: `rebootless policy update ${exampleId} --deferral-days 3`, what: "wait less" }],
  async run(input, io) {
    const [policyId = ""] = input.arguments;
    const title = text(input, "title");
    const body = { ...fieldsOf(input), ...(title === undefined ? {} : { title }) };
    if (Object.keys(body).length === 0) {
      throw new RebootlessError("usage/arguments", "Say what changes, such as --deferral-days.");
    }
    const policy = await ask(serverOf(input, io), "changePolicy", { params: { policyId }, body });
    return { data: policy, text: describedPolicy(policy) };
  },
});

function pauseCommand(word: "pause" | "extend", route: "pausePolicy" | "extendPause", summary: string): CommandSpec {
  return withDryRun({
    name: `policy ${word}`,
    summary,
    arguments: [policyArgument],
    options: [...serverOptions, daysOption, reasonOption],
    examples: [{ command: `rebootless policy ${word} ${exampleId} --days 7`, what: "until this time next week" }],
    async run(input, io) {
      const [policyId = ""] = input.arguments;
      const days = wholeNumber(input, "days", "--days") ?? 35;
      const body = { days, ...reasonOf(input) };
      const policy = await ask(serverOf(input, io), route, { params: { policyId }, body });
      return { data: policy, text: `${printable(policy.title)} is paused until ${policy.pausedUntil}.` };
    },
  });
}

const policyResume = withDryRun({
  name: "policy resume",
  summary: "end the pause of a policy",
  arguments: [policyArgument],
  options: serverOptions,
  examples: [{ command: `rebootless policy resume ${exampleId}`, what: "go on now" }],
  async run(input, io) {
    const [policyId = ""] = input.arguments;
    const policy = await ask(serverOf(input, io), "resumePolicy", { params: { policyId } });
    return { data: policy, text: `${printable(policy.title)} goes on.` };
  },
});

const policyExpedite = withDryRun({
  name: "policy expedite",
  summary: "bring a hotpatch to the devices of a policy without its deferral",
  description: "Holds, eligibility and pauses count all the same. With --undo it waits again where it has not begun.",
  arguments: [policyArgument, { name: "<hotpatch>", description: "its id, as `rebootless hotpatch list` shows it" }],
  options: [...serverOptions, reasonOption, { flags: "--undo", description: "expedite it no longer" }],
  examples: [{ command: `rebootless policy expedite ${exampleId} expat-12 --reason 'exploited'`, what: "now" }],
  async run(input, io) {
    const [policyId = "", hotpatchId = ""] = input.arguments;
    const server = serverOf(input, io);
    const params = { policyId, hotpatchId };
    if (input.options.undo === true) {
      await ask(server, "endExpedite", { params });
      return { data: { ...params, expedited: false }, text: `Expedited no longer: ${printable(hotpatchId)}.` };
    }
    const policy = await ask(server, "expedite", { params, body: reasonOf(input) });
    return { data: policy, text: `Expedited for ${printable(policy.title)}: ${printable(hotpatchId)}.` };
  },
});

const policyRemove = withDryRun({
  name: "policy remove",
  summary: "remove a policy with what it decided; what is in place stays",
  arguments: [policyArgument],
  options: serverOptions,
  examples: [{ command: `rebootless policy remove ${exampleId}`, what: "for good" }],
  async run(input, io) {
    const [policyId = ""] = input.arguments;
    await ask(serverOf(input, io), "removePolicy", { params: { policyId } });
    return { data: { policyId, removed: true }, text: `Removed: ${printable(policyId)}.` };
  },
});

export const policyCommands: readonly CommandSpec[] = [
  ...[policyList, policyShow, policyCreate, policyUpdate],
  pauseCommand("pause", "pausePolicy", "pause a policy: nothing new begins, and nothing is taken back"),
  policyResume,
  pauseCommand("extend", "extendPause", "have the pause of a policy end later, counted from now"),
  ...[policyWindows, policyExpedite, policyRemove],
];
