/** `rebootless hotpatch|approval|action|events …`: what a server does on its devices. */
import type { Action } from "../../api/schemas.ts";
import { RebootlessError } from "../../base/errors.ts";
import { printable, quoted } from "../../hotpatch/printable.ts";
import type { CommandSpec } from "../command.ts";
import { text, wholeNumber } from "../option-values.ts";
import { ask, askAll, pageQuery, stateFolderOf, stateOption } from "../server-client.ts";
import { textTable } from "../text-table.ts";
import { deviceNamed } from "./fleet.ts";

const hotpatchList: CommandSpec = {
  name: "hotpatch list",
  summary: "list the hotpatches that can be approved",
  description: "They are those of the catalog that the server follows, verified.",
  options: [stateOption],
  examples: [{ command: "rebootless hotpatch list", what: "what the catalog has to offer" }],
  async run(input, io) {
    const state = stateFolderOf(input, io);
    const hotpatches = await askAll((cursor) => ask(state, "listHotpatches", pageQuery(cursor)));
    const rows = hotpatches.map(({ id, advisories, title }) => [id, advisories.map((a) => a.id).join(","), title]);
    const table = textTable(["HOTPATCH", "ADVISORIES", "TITLE"], rows);
    return { data: { hotpatches }, text: rows.length === 0 ? "The catalog lists no hotpatch." : table };
  },
};

const approvalList: CommandSpec = {
  name: "approval list",
  summary: "list what is approved, and for which groups",
  options: [stateOption],
  examples: [{ command: "rebootless approval list", what: "approvals with their ids" }],
  async run(input, io) {
    const state = stateFolderOf(input, io);
    const approvals = await askAll((cursor) => ask(state, "listApprovals", pageQuery(cursor)));
    const rows = approvals.map((a) => [a.hotpatchId, a.groupId, a.createdAt, a.createdBy, a.id]);
    const table = textTable(["HOTPATCH", "GROUP", "SINCE", "BY", "ID"], rows);
    return { data: { approvals }, text: rows.length === 0 ? "Nothing is approved." : table };
  },
};

const approvalAdd: CommandSpec = {
  name: "approval add",
  summary: "approve a hotpatch for a group",
  description: "It is offered to every device of the group, now and when others join.",
  arguments: [{ name: "<hotpatch>", description: "its id, as `rebootless hotpatch list` shows it" }],
  options: [stateOption, { flags: "--group <id>", description: "the group", default: "all" }],
  examples: [{ command: "rebootless approval add npm-json5-2.2.1-to-2.2.2 --group web", what: "for the group web" }],
  async run(input, io) {
    const [hotpatchId = ""] = input.arguments;
    const body = { hotpatchId, groupId: text(input, "group") ?? "all" };
    const approval = await ask(stateFolderOf(input, io), "approve", { body });
    return { data: approval, text: `Approved for ${approval.groupId}: ${approval.hotpatchId} (${approval.id}).` };
  },
};

const approvalRemove: CommandSpec = {
  name: "approval remove",
  summary: "take an approval back",
  description:
    "What has not begun is withdrawn, unless another group approves it. What is in place stays; `rebootless action revert` takes it back.",
  arguments: [{ name: "<id>", description: "the id of the approval" }],
  options: [stateOption],
  examples: [{ command: "rebootless approval remove 5f0c1d5e-8f4b-4c8e-9c53-0a6d3a6f7c21", what: "stop a rollout" }],
  async run(input, io) {
    const [approvalId = ""] = input.arguments;
    await ask(stateFolderOf(input, io), "removeApproval", { params: { approvalId } });
    return { data: { approvalId, removed: true }, text: `Removed: ${printable(approvalId)}.` };
  },
};

const actionList: CommandSpec = {
  name: "action list",
  summary: "list what is to be done on devices, and how far it is",
  options: [
    stateOption,
    { flags: "--device <device>", description: "only on this device" },
    { flags: "--hotpatch <id>", description: "only of this hotpatch" },
  ],
  examples: [{ command: "rebootless action list --device web-1", what: "what is done on web-1" }],
  async run(input, io) {
    const state = stateFolderOf(input, io);
    const device = text(input, "device");
    const hotpatchId = text(input, "hotpatch");
    const wanted = {
      ...(device === undefined ? {} : { deviceId: (await deviceNamed(state, device)).id }),
      ...(hotpatchId === undefined ? {} : { hotpatchId }),
    };
    const actions = await askAll((cursor) =>
      ask(state, "listActions", { query: { ...pageQuery(cursor).query, ...wanted } }),
    );
    const rows = actions.map((a) => [a.hotpatchId, a.deviceId.slice(0, 8), a.state, a.changedAt, a.id, a.reason]);
    const table = textTable(["HOTPATCH", "DEVICE", "STATE", "SINCE", "ID", "REASON"], rows);
    return { data: { actions }, text: rows.length === 0 ? "There is nothing to do." : table };
  },
};

function requestCommand(event: "offer" | "withdraw" | "revert", summary: string, what: string): CommandSpec {
  return {
    name: `action ${event}`,
    summary,
    arguments: [{ name: "<id>", description: "the id of the action" }],
    options: [stateOption],
    examples: [{ command: `rebootless action ${event} 5f0c1d5e-8f4b-4c8e-9c53-0a6d3a6f7c21`, what }],
    async run(input, io) {
      const [actionId = ""] = input.arguments;
      const params = { actionId };
      const action: Action = await ask(stateFolderOf(input, io), "requestAction", { params, body: { event } });
      return { data: action, text: `${action.hotpatchId} on ${action.deviceId} is ${action.state}.` };
    },
  };
}

const events: CommandSpec = {
  name: "events",
  summary: "show what has happened, oldest first",
  options: [
    stateOption,
    { flags: "--after <number>", description: "only behind this sequence number" },
    { flags: "--limit <number>", description: "how many at most, up to 200", default: "50" },
  ],
  examples: [{ command: "rebootless events --after 120 --json", what: "what came after the event 120" }],
  async run(input, io) {
    const given = text(input, "after") ?? "0";
    if (!/^\d{1,15}$/.test(given)) {
      throw new RebootlessError("usage/arguments", `--after takes a whole number, not ${quoted(given)}.`);
    }
    const query = { after: Number(given), limit: wholeNumber(input, "limit", "--limit") ?? 50 };
    const { items } = await ask(stateFolderOf(input, io), "listEvents", { query });
    const rows = items.map(({ sequence, at, kind, subject, data }) => [
      String(sequence),
      at,
      kind,
      subject,
      Object.entries(data)
        .map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`)
        .join(" "),
    ]);
    const table = textTable(["NO", "AT", "WHAT", "OF", "MORE"], rows);
    return { data: { events: items }, text: rows.length === 0 ? "Nothing has happened since." : table };
  },
};

export const rolloutCommands: readonly CommandSpec[] = [
  hotpatchList,
  ...[approvalList, approvalAdd, approvalRemove],
  actionList,
  requestCommand("offer", "offer an action again", "after it was refused, failed or was taken back"),
  requestCommand("withdraw", "withdraw an action that has not begun", "keep one device off a hotpatch"),
  requestCommand("revert", "have a hotpatch taken back on a device", "put the old code back"),
  events,
];
