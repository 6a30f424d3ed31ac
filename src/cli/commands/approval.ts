/** `rebootless approval …`: what is decided of updates for groups, as in WSUS. */
import { type ApprovalRule, approvalActions, severities, supersededSettings } from "../../api/schemas/approvals.ts";
import { printable } from "../../base/printable.ts";
import type { CommandInput, CommandSpec } from "../command.ts";
import { withDryRun } from "../dry-run.ts";
import { instantOf, oneOf, text, texts, wholeNumber } from "../option-values.ts";
import { ask, askAll, pageQuery } from "../server-client.ts";
import { serverOf, serverOptions } from "../server-target.ts";
import { textTable } from "../text-table.ts";

const hotpatchArgument = { name: "<hotpatch>", description: "its id, as `rebootless hotpatch list` shows it" };
const groupOption = { flags: "--group <id>", description: "the group", default: "all" };
const reasonOption = { flags: "--reason <text>", description: "why, for the record" };
const exampleId = "5f0c1d5e-8f4b-4c8e-9c53-0a6d3a6f7c21";

function reasonOf(input: CommandInput): { reason?: string } {
  const reason = text(input, "reason");
  return reason === undefined ? {} : { reason };
}

const approvalList: CommandSpec = {
  name: "approval list",
  summary: "list what is decided of hotpatches, for which groups",
  options: serverOptions,
  examples: [{ command: "rebootless approval list", what: "approvals with their ids" }],
  async run(input, io) {
    const server = serverOf(input, io);
    const approvals = await askAll((cursor) => ask(server, "listApprovals", pageQuery(cursor)));
    const rows = approvals.map((a) => {
      const by = a.source === "person" ? a.createdBy : a.source;
      return [a.hotpatchId, a.groupId, a.action, a.deadline ?? "", a.createdAt, by, a.id];
    });
    const table = textTable(["HOTPATCH", "GROUP", "ACTION", "DEADLINE", "SINCE", "BY", "ID"], rows);
    return { data: { approvals }, text: rows.length === 0 ? "Nothing is approved." : table };
  },
};

const decided = { install: "Approved", removal: "Approved for removal", "not-approved": "Not approved" } as const;

const approvalAdd = withDryRun({
  name: "approval add",
  summary: "decide of a hotpatch for a group and those below it: install, removal, or not approved",
  description:
    "Install offers it to every device of the group, now and when others join. Removal takes it back where it is in place. Not approved keeps it off, whatever is approved for the groups above. The nearest decision counts; of a device in several groups, install before removal before not approved.",
  arguments: [hotpatchArgument],
  options: [
    ...serverOptions,
    groupOption,
    { flags: `--action <${approvalActions.join("|")}>`, description: "what is decided", default: "install" },
    { flags: "--deadline <time>", description: "when it is due at the latest, as 2026-05-01T04:00:00Z or as `now`" },
    reasonOption,
  ],
  examples: [
    { command: "rebootless approval add npm-json5-2.2.1-to-2.2.2 --group web", what: "for the group web" },
    { command: "rebootless approval add npm-json5-2.2.1-to-2.2.2 --action removal", what: "take it back everywhere" },
  ],
  async run(input, io) {
    const [hotpatchId = ""] = input.arguments;
    const action = oneOf(approvalActions, text(input, "action"), "--action") ?? "install";
    const deadline = instantOf(text(input, "deadline"), "--deadline");
    const body = { hotpatchId, groupId: text(input, "group") ?? "all", action, ...reasonOf(input) };
    const approval = await ask(serverOf(input, io), "approve", {
      body: deadline === undefined ? body : { ...body, deadline },
    });
    const line = `${decided[approval.action]} for ${approval.groupId}: ${approval.hotpatchId} (${approval.id}).`;
    return { data: approval, text: line };
  },
});

const approvalRemove = withDryRun({
  name: "approval remove",
  summary: "take an approval back, so that the group has what is decided above it",
  description:
    "What has not begun is withdrawn, unless another group approves it. What is in place stays; `rebootless approval add --action removal` takes it back.",
  arguments: [{ name: "<id>", description: "the id of the approval" }],
  options: serverOptions,
  examples: [{ command: `rebootless approval remove ${exampleId}`, what: "stop a rollout" }],
  async run(input, io) {
    const [approvalId = ""] = input.arguments;
    await ask(serverOf(input, io), "removeApproval", { params: { approvalId } });
    return { data: { approvalId, removed: true }, text: `Removed: ${printable(approvalId)}.` };
  },
});

const approvalDecline = withDryRun({
  name: "approval decline",
  summary: "decline a hotpatch: it is offered nowhere, whatever is approved",
  description: "What is in place stays. With --undo its approvals are in force again.",
  arguments: [hotpatchArgument],
  options: [
    ...serverOptions,
    { flags: "--undo", description: "decline it no longer" },
    { flags: "--reason <text>", description: "why, for the record" },
  ],
  examples: [
    { command: "rebootless approval decline npm-json5-2.2.1-to-2.2.2 --reason 'breaks billing'", what: "off" },
  ],
  async run(input, io) {
    const [hotpatchId = ""] = input.arguments;
    const server = serverOf(input, io);
    const params = { hotpatchId };
    if (input.options.undo === true) {
      await ask(server, "undoDecline", { params });
      return { data: { hotpatchId, declined: false }, text: `Declined no longer: ${printable(hotpatchId)}.` };
    }
    const declined = await ask(server, "declineHotpatch", { params, body: reasonOf(input) });
    return { data: declined, text: `Declined: ${printable(hotpatchId)}.` };
  },
});

const approvalDeclined: CommandSpec = {
  name: "approval declined",
  summary: "list hotpatches that are declined",
  options: serverOptions,
  examples: [{ command: "rebootless approval declined", what: "with who declined them, and why" }],
  async run(input, io) {
    const server = serverOf(input, io);
    const declined = await askAll((cursor) => ask(server, "listDeclined", pageQuery(cursor)));
    const rows = declined.map((d) => [d.hotpatchId, d.createdAt, d.createdBy, d.reason]);
    const table = textTable(["HOTPATCH", "SINCE", "BY", "REASON"], rows);
    return { data: { declined }, text: rows.length === 0 ? "Nothing is declined." : table };
  },
};

const approvalSettings = withDryRun({
  name: "approval settings",
  summary: "show or set what becomes of hotpatches that are superseded",
  options: [
    ...serverOptions,
    { flags: `--superseded <${supersededSettings.join("|")}>`, description: "keep them, or decline them" },
  ],
  examples: [{ command: "rebootless approval settings --superseded when-newer-approved", what: "tidy up by itself" }],
  async run(input, io) {
    const server = serverOf(input, io);
    const superseded = oneOf(supersededSettings, text(input, "superseded"), "--superseded");
    const settings =
      superseded === undefined
        ? await ask(server, "getApprovalSettings")
        : await ask(server, "changeApprovalSettings", { body: { superseded } });
    return { data: settings, text: `superseded hotpatches: ${settings.superseded}` };
  },
});

function ruleRow(rule: ApprovalRule): string[] {
  const { id, title, groupId, severities: named, products, filter, deadlineDays, enabled } = rule;
  const days = deadlineDays === null ? "" : String(deadlineDays);
  return [title, enabled ? "on" : "off", groupId, named.join(","), products.join(","), days, id, filter ?? ""];
}

const ruleList: CommandSpec = {
  name: "approval rule list",
  summary: "list the rules that approve updates by themselves",
  options: serverOptions,
  examples: [{ command: "rebootless approval rule list", what: "rules with their ids" }],
  async run(input, io) {
    const server = serverOf(input, io);
    const rules = await askAll((cursor) => ask(server, "listApprovalRules", pageQuery(cursor)));
    const head = ["TITLE", "IS", "GROUP", "SEVERITIES", "PRODUCTS", "DAYS", "ID", "FILTER"];
    return { data: { rules }, text: rules.length === 0 ? "There is no rule." : textTable(head, rules.map(ruleRow)) };
  },
};

const ruleAdd = withDryRun({
  name: "approval rule add",
  summary: "approve by itself, for a group, what is new in the catalog and fits",
  description:
    "All that is named has to fit. A filter is a condition in CEL over update.id, update.title, update.product, update.kind, update.name, update.severity, update.sequence, update.advisories and update.supersedes.",
  arguments: [{ name: "<title>", description: "what people call it" }],
  options: [
    ...serverOptions,
    groupOption,
    { flags: `--severity <${severities.join("|")}>`, description: "only these", repeatable: true },
    { flags: "--product <kind/name>", description: "only these; kind/* is all of a kind", repeatable: true },
    { flags: "--filter <expression>", description: "a condition over the update" },
    { flags: "--deadline-days <number>", description: "due so many days after the approval" },
  ],
  examples: [
    { command: "rebootless approval rule add worst --severity critical --group test", what: "critical ones, for test" },
    { command: `rebootless approval rule add json --filter 'update.name.startsWith("json")'`, what: "by its name" },
  ],
  async run(input, io) {
    const [title = ""] = input.arguments;
    const filter = text(input, "filter");
    const deadlineDays = wholeNumber(input, "deadlineDays", "--deadline-days");
    const named = texts(input, "severity").flatMap((word) => oneOf(severities, word, "--severity") ?? []);
    const rule = await ask(serverOf(input, io), "makeApprovalRule", {
      body: {
        ...{ title, groupId: text(input, "group") ?? "all", severities: named, products: [...texts(input, "product")] },
        ...(filter === undefined ? {} : { filter }),
        ...(deadlineDays === undefined ? {} : { deadlineDays }),
      },
    });
    return { data: rule, text: `Made: ${printable(rule.title)} (${rule.id}).` };
  },
});

const ruleArgument = { name: "<id>", description: "the id of the rule" };

const ruleChange = withDryRun({
  name: "approval rule switch",
  summary: "switch a rule on or off",
  arguments: [ruleArgument, { name: "<on|off>", description: "whether it is to approve from now on" }],
  options: serverOptions,
  examples: [{ command: `rebootless approval rule switch ${exampleId} off`, what: "let it rest" }],
  async run(input, io) {
    const [ruleId = "", word = ""] = input.arguments;
    const enabled = oneOf(["on", "off"], word, "The second argument") === "on";
    const rule = await ask(serverOf(input, io), "changeApprovalRule", { params: { ruleId }, body: { enabled } });
    return { data: rule, text: `${printable(rule.title)} is ${rule.enabled ? "on" : "off"}.` };
  },
});

const ruleRun: CommandSpec = {
  name: "approval rule run",
  summary: "have a rule approve what the catalog lists already",
  description: "What somebody has decided for that group stays as it is.",
  arguments: [ruleArgument],
  options: [...serverOptions, { flags: "--dry-run", description: "only say what fits" }],
  examples: [{ command: `rebootless approval rule run ${exampleId} --dry-run`, what: "see what it would approve" }],
  async run(input, io) {
    const [ruleId = ""] = input.arguments;
    const dryRun = input.options.dryRun === true;
    const run = await ask(serverOf(input, io), "runApprovalRule", { params: { ruleId }, body: { dryRun } });
    const lines = [`Fits: ${run.fitting.join(", ") || "nothing"}.`];
    if (!dryRun) lines.push(`Approved: ${run.approved.join(", ") || "nothing"}.`);
    return { data: run, text: lines.join("\n") };
  },
};

const ruleRemove = withDryRun({
  name: "approval rule remove",
  summary: "remove a rule; what it has approved stays approved",
  arguments: [ruleArgument],
  options: serverOptions,
  examples: [{ command: `rebootless approval rule remove ${exampleId}`, what: "for good" }],
  async run(input, io) {
    const [ruleId = ""] = input.arguments;
    await ask(serverOf(input, io), "removeApprovalRule", { params: { ruleId } });
    return { data: { ruleId, removed: true }, text: `Removed: ${printable(ruleId)}.` };
  },
});

export const approvalCommands: readonly CommandSpec[] = [
  ...[approvalList, approvalAdd, approvalRemove, approvalDecline, approvalDeclined, approvalSettings],
  ...[ruleList, ruleAdd, ruleChange, ruleRun, ruleRemove],
];
