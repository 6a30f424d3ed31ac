/** `rebootless issue …` and `rebootless hold …`: release health, and what keeps affected devices off a hotpatch. */
import { type Hold, holdStates, issueStatuses, type KnownIssue } from "../../api/schemas/holds.ts";
import { RebootlessError } from "../../base/errors.ts";
import { printable, quoted } from "../../base/printable.ts";
import type { CommandInput, CommandOption, CommandSpec } from "../command.ts";
import { withDryRun } from "../dry-run.ts";
import { text, texts } from "../option-values.ts";
import { ask, askAll, pageQuery } from "../server-client.ts";
import { serverOf, serverOptions } from "../server-target.ts";
import { textTable } from "../text-table.ts";

/** Throws `usage/arguments`. */
function oneOf<Word extends string>(known: readonly Word[], given: string | undefined, flag: string): Word | undefined {
  const found = known.find((word) => word === given);
  if (given === undefined || found !== undefined) return found;
  throw new RebootlessError("usage/arguments", `${flag} takes ${known.join(", ")}, not ${quoted(given)}.`);
}

/** Throws `usage/arguments`. */
function required(input: CommandInput, name: string, what: string): string {
  const given = text(input, name);
  if (given !== undefined && given !== "") return given;
  throw new RebootlessError("usage/arguments", `--${name} is missing: ${what}.`);
}

const statusFlag = `--status <${issueStatuses.join("|")}>`;
const issueArgument = { name: "<issue>", description: "the id of a known issue, as KI00000001" };
const holdArgument = { name: "<hold>", description: "the id of a hold, as SH00000001" };
const whyOption: CommandOption = { flags: "--why <reason>", description: "why; it stands in the history" };

const issueList: CommandSpec = {
  name: "issue list",
  summary: "list the known issues of hotpatches",
  options: [...serverOptions, { flags: statusFlag, description: "only those with this status" }],
  examples: [{ command: "rebootless issue list --status investigating", what: "what is being looked into" }],
  async run(input, io) {
    const server = serverOf(input, io);
    const status = oneOf(issueStatuses, text(input, "status"), "--status");
    const wanted = status === undefined ? {} : { status };
    const issues = await askAll((cursor) =>
      ask(server, "listIssues", { query: { ...pageQuery(cursor).query, ...wanted } }),
    );
    const rows = issues.map((one) => [
      ...[one.id, one.status, one.hotpatchIds.join(","), one.holdIds.join(","), one.changedAt, one.title],
    ]);
    const table = textTable(["ISSUE", "STATUS", "HOTPATCHES", "HOLDS", "CHANGED", "TITLE"], rows);
    return { data: { issues }, text: rows.length === 0 ? "There is no known issue." : table };
  },
};

function describedIssue(issue: KnownIssue): string {
  const { id, title, status, originating, resolvedBy, hotpatchIds, holdIds, history } = issue;
  return [
    `${id}: ${title}`,
    `status: ${status}`,
    ...(hotpatchIds.length === 0 ? [] : [`hotpatches: ${hotpatchIds.join(", ")}`]),
    ...(originating === null ? [] : [`came with: ${originating}`]),
    ...(resolvedBy === null ? [] : [`resolved by: ${resolvedBy}`]),
    ...(holdIds.length === 0 ? [] : [`holds: ${holdIds.join(", ")}`]),
    ...issue.text.split("\n"),
    "history:",
    ...history.map(({ at, by, why, changes }) => `  ${at} ${by}: ${why} (${Object.keys(changes).join(", ")})`),
  ]
    .map(printable)
    .join("\n");
}

const issueShow: CommandSpec = {
  name: "issue show",
  summary: "show a known issue with its history",
  arguments: [issueArgument],
  options: serverOptions,
  examples: [
    { command: "rebootless issue show KI00000001", what: "what is known of it, and who changed what and why" },
  ],
  async run(input, io) {
    const [issueId = ""] = input.arguments;
    const issue = await ask(serverOf(input, io), "getIssue", { params: { issueId } });
    return { data: issue, text: describedIssue(issue) };
  },
};

const issueOptions: readonly CommandOption[] = [
  { flags: "--text <text>", description: "what happens, whom it concerns, and what helps meanwhile" },
  { flags: statusFlag, description: "how far it is" },
  { flags: "--hotpatch <id>", description: "a hotpatch that has it; may be repeated", repeatable: true },
  { flags: "--originating <id>", description: "the update that it came with" },
  whyOption,
];

function issueFields(input: CommandInput) {
  const [body, originating] = [text(input, "text"), text(input, "originating")];
  const status = oneOf(issueStatuses, text(input, "status"), "--status");
  const hotpatchIds = [...texts(input, "hotpatch")];
  return {
    ...(body === undefined ? {} : { text: body }),
    ...(originating === undefined ? {} : { originating }),
    ...(status === undefined ? {} : { status }),
    ...(hotpatchIds.length === 0 ? {} : { hotpatchIds }),
  };
}

const issueCreate = withDryRun({
  name: "issue create",
  summary: "make an issue known",
  description: "`rebootless hold create --issue` keeps affected devices off the hotpatches that have it.",
  arguments: [{ name: "<title>", description: "one line that people recognize it by" }],
  options: [...serverOptions, ...issueOptions],
  examples: [
    {
      command:
        "rebootless issue create 'Slow start after 12' --text 'Seen on hosts with ZFS.' --hotpatch expat-12 --why 'Ticket 4711'",
      what: "one that is being looked into",
    },
  ],
  async run(input, io) {
    const [title = ""] = input.arguments;
    const why = required(input, "why", "say where it comes from");
    const fields = { ...issueFields(input), text: required(input, "text", "say what happens") };
    const issue = await ask(serverOf(input, io), "makeIssue", { body: { title, why, ...fields } });
    return { data: issue, text: `Known: ${issue.id}, ${issue.status}.` };
  },
});

const issueUpdate = withDryRun({
  name: "issue update",
  summary: "change a known issue, and say why",
  description:
    "Resolved, its holds are released. With --resolved-by, that hotpatch and newer ones of its product pass, and older ones stay held.",
  arguments: [issueArgument],
  options: [
    ...serverOptions,
    { flags: "--title <title>", description: "one line that people recognize it by" },
    ...issueOptions,
    { flags: "--resolved-by <id>", description: "the hotpatch that resolves it" },
  ],
  examples: [
    {
      command: "rebootless issue update KI00000001 --resolved-by expat-13 --why 'Fixed upstream'",
      what: "let the newer hotpatch pass the holds of the issue",
    },
  ],
  async run(input, io) {
    const [issueId = ""] = input.arguments;
    const [title, resolvedBy] = [text(input, "title"), text(input, "resolvedBy")];
    const why = required(input, "why", "every change has a reason");
    const fields = {
      ...issueFields(input),
      ...(title === undefined ? {} : { title }),
      ...(resolvedBy === undefined ? {} : { resolvedBy }),
    };
    if (Object.keys(fields).length === 0) {
      throw new RebootlessError("usage/arguments", "Say what changes, such as --status or --resolved-by.");
    }
    const body = { ...fields, why };
    const issue = await ask(serverOf(input, io), "changeIssue", { params: { issueId }, body });
    return { data: issue, text: describedIssue(issue) };
  },
});

function heldBy({ hotpatchIds, products }: Hold): string {
  return [...hotpatchIds, ...products].join(",");
}

const holdList: CommandSpec = {
  name: "hold list",
  summary: "list the safeguard holds",
  options: [...serverOptions, { flags: `--only <${holdStates.join("|")}>`, description: "only those in this state" }],
  examples: [{ command: "rebootless hold list --only active", what: "what is held, and on how many devices" }],
  async run(input, io) {
    const server = serverOf(input, io);
    const state = oneOf(holdStates, text(input, "only"), "--only");
    const wanted = state === undefined ? {} : { state };
    const holds = await askAll((cursor) =>
      ask(server, "listHolds", { query: { ...pageQuery(cursor).query, ...wanted } }),
    );
    const rows = holds.map((one) => [
      ...[one.id, one.state, heldBy(one), String(one.devices), one.issueId ?? "", one.filter ?? "", one.reason],
    ]);
    const table = textTable(["HOLD", "STATE", "HOLDS", "DEVICES", "ISSUE", "FILTER", "REASON"], rows);
    return { data: { holds }, text: rows.length === 0 ? "There is no hold." : table };
  },
};

function describedHold(hold: Hold): string {
  return [
    `${hold.id}: ${hold.state}, ${hold.reason}`,
    `holds: ${heldBy(hold)}`,
    `devices: ${hold.filter ?? "all"}`,
    `kept off now: ${hold.devices}`,
    ...(hold.issueId === null ? [] : [`issue: ${hold.issueId}`]),
    ...(hold.resolvedBy === null ? [] : [`passes: ${hold.resolvedBy} and newer ones`]),
    `made: ${hold.createdAt} by ${hold.createdBy}`,
    ...(hold.releasedAt === null ? [] : [`released: ${hold.releasedAt} by ${hold.releasedBy}: ${hold.releaseReason}`]),
  ]
    .map(printable)
    .join("\n");
}

const holdShow: CommandSpec = {
  name: "hold show",
  summary: "show a safeguard hold",
  description: "`rebootless device state --only onHold` lists the devices.",
  arguments: [holdArgument],
  options: serverOptions,
  examples: [{ command: "rebootless hold show SH00000001", what: "what it holds, where, since when and why" }],
  async run(input, io) {
    const [holdId = ""] = input.arguments;
    const hold = await ask(serverOf(input, io), "getHold", { params: { holdId } });
    return { data: hold, text: describedHold(hold) };
  },
};

const holdCreate: CommandSpec = {
  name: "hold create",
  summary: "keep hotpatches off the devices that a condition finds",
  description:
    "It acts at once, also on devices that come later. What has not begun is withdrawn; what is in place stays. A device that does not tell what the filter asks for is held as well.",
  options: [
    ...serverOptions,
    { flags: "--hotpatch <id>", description: "a hotpatch to hold; may be repeated", repeatable: true },
    { flags: "--product <product>", description: "a product to hold, as elf/expat; may be repeated", repeatable: true },
    { flags: "--filter <expression>", description: "which devices, in CEL; all unless told" },
    { flags: "--issue <id>", description: "the known issue that it is for, which releases it when it is resolved" },
    { flags: "--reason <reason>", description: "what people read who ask why" },
    { flags: "--dry-run", description: "say how many devices the filter finds, and hold nothing" },
  ],
  examples: [
    {
      command: `rebootless hold create --hotpatch expat-12 --filter '"zfs" in packages' --reason 'Slow start with ZFS' --issue KI00000001`,
      what: "only where ZFS is installed",
    },
  ],
  async run(input, io) {
    const server = serverOf(input, io);
    const [filter, issueId] = [text(input, "filter"), text(input, "issue")];
    if (input.options.dryRun === true) {
      const preview = await ask(server, "previewFilter", { body: { filter: filter ?? "true" } });
      const { devices, matching, lacking } = preview;
      const found = `Of ${devices} devices ${matching} would be held.`;
      const more = lacking.map(
        ({ fact, devices: count }) => `${count} do not tell ${fact}, and would be held as well.`,
      );
      return { data: preview, text: [found, ...more].map(printable).join("\n") };
    }
    const body = {
      ...{ hotpatchIds: [...texts(input, "hotpatch")], products: [...texts(input, "product")] },
      ...(filter === undefined ? {} : { filter }),
      ...(issueId === undefined ? {} : { issueId }),
      reason: required(input, "reason", "say why"),
    };
    const hold = await ask(server, "makeHold", { body });
    return { data: hold, text: `Held: ${hold.id}; kept off ${hold.devices} devices now.` };
  },
};

const holdRelease = withDryRun({
  name: "hold release",
  summary: "release a safeguard hold, and say why",
  description: "What is wanted is offered again, unless something else is in the way.",
  arguments: [holdArgument],
  options: [...serverOptions, { flags: "--reason <reason>", description: "why it is released" }],
  examples: [{ command: "rebootless hold release SH00000001 --reason 'Not the cause'", what: "let the hotpatch pass" }],
  async run(input, io) {
    const [holdId = ""] = input.arguments;
    const body = { reason: required(input, "reason", "say why it is released") };
    const hold = await ask(serverOf(input, io), "releaseHold", { params: { holdId }, body });
    return { data: hold, text: `Released: ${hold.id}.` };
  },
});

export const holdCommands: readonly CommandSpec[] = [
  ...[issueList, issueShow, issueCreate, issueUpdate],
  ...[holdList, holdShow, holdCreate, holdRelease],
];
