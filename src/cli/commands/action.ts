/** `rebootless action|events …`: what a server does on its devices. */
import type { Action } from "../../api/schemas/actions.ts";
import type { Event } from "../../api/schemas/events.ts";
import { RebootlessError } from "../../base/errors.ts";
import { printable, quoted } from "../../base/printable.ts";
import type { CommandIo, CommandResult, CommandSpec } from "../command.ts";
import { withDryRun } from "../dry-run.ts";
import { eventStream } from "../event-stream.ts";
import { text, wholeNumber } from "../option-values.ts";
import { ask, askAll, pageQuery } from "../server-client.ts";
import { type ServerTarget, serverOf, serverOptions } from "../server-target.ts";
import { textTable } from "../text-table.ts";
import { deviceNamed } from "./device.ts";

const actionList: CommandSpec = {
  name: "action list",
  summary: "list what is to be done on devices, and how far it is",
  options: [
    ...serverOptions,
    { flags: "--device <device>", description: "only on this device" },
    { flags: "--hotpatch <id>", description: "only of this hotpatch" },
  ],
  examples: [{ command: "rebootless action list --device web-1", what: "what is done on web-1" }],
  async run(input, io) {
    const server = serverOf(input, io);
    const device = text(input, "device");
    const hotpatchId = text(input, "hotpatch");
    const wanted = {
      ...(device === undefined ? {} : { deviceId: (await deviceNamed(server, device)).id }),
      ...(hotpatchId === undefined ? {} : { hotpatchId }),
    };
    const actions = await askAll((cursor) =>
      ask(server, "listActions", { query: { ...pageQuery(cursor).query, ...wanted } }),
    );
    const rows = actions.map((a) => [a.hotpatchId, a.deviceId.slice(0, 8), a.state, a.changedAt, a.id, a.reason]);
    const table = textTable(["HOTPATCH", "DEVICE", "STATE", "SINCE", "ID", "REASON"], rows);
    return { data: { actions }, text: rows.length === 0 ? "There is nothing to do." : table };
  },
};

function requestCommand(event: "offer" | "withdraw" | "revert", summary: string, what: string): CommandSpec {
  return withDryRun({
    name: `action ${event}`,
    summary,
    arguments: [{ name: "<id>", description: "the id of the action" }],
    options: serverOptions,
    examples: [{ command: `rebootless action ${event} 5f0c1d5e-8f4b-4c8e-9c53-0a6d3a6f7c21`, what }],
    async run(input, io) {
      const [actionId = ""] = input.arguments;
      const params = { actionId };
      const action: Action = await ask(serverOf(input, io), "requestAction", { params, body: { event } });
      return { data: action, text: `${action.hotpatchId} on ${action.deviceId} is ${action.state}.` };
    },
  });
}

function eventRow({ sequence, at, kind, subject, data }: Event): string[] {
  const more = Object.entries(data)
    .map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(" ");
  return [String(sequence), at, kind, subject, more];
}

/** Ends where nobody reads any more; Ctrl-C ends it as it ends every command. */
async function followEvents(server: ServerTarget, after: number, io: CommandIo): Promise<CommandResult> {
  const onBreak = () => io.progress("The connection to the server is broken; going on once it answers.");
  let last = after;
  for await (const event of eventStream(server, { after, onBreak })) {
    last = event.sequence;
    if (!(await io.emit(event, eventRow(event).map(printable).join("  ")))) break;
  }
  return { data: { last }, text: "" };
}

const events: CommandSpec = {
  name: "events",
  summary: "show what has happened, oldest first",
  options: [
    ...serverOptions,
    { flags: "--after <number>", description: "only behind this sequence number" },
    { flags: "--limit <number>", description: "how many at most, up to 200 (by default 50)" },
    { flags: "--follow", description: "go on with each event as it happens, until Ctrl-C" },
  ],
  examples: [
    { command: "rebootless events --after 120 --json", what: "what came after the event 120" },
    { command: "rebootless events --follow --json", what: "a line of JSON for each event, with none missing" },
  ],
  async run(input, io) {
    const given = text(input, "after") ?? "0";
    if (!/^\d{1,15}$/.test(given)) {
      throw new RebootlessError("usage/arguments", `--after takes a whole number, not ${quoted(given)}.`);
    }
    const limit = wholeNumber(input, "limit", "--limit");
    const after = Number(given);
    if (input.options.follow === true) {
      if (limit !== undefined) throw new RebootlessError("usage/arguments", "--follow has no --limit.");
      return await followEvents(serverOf(input, io), after, io);
    }
    const query = { after, limit: limit ?? 50 };
    const { items } = await ask(serverOf(input, io), "listEvents", { query });
    const rows = items.map(eventRow);
    const table = textTable(["NO", "AT", "WHAT", "OF", "MORE"], rows);
    return { data: { events: items }, text: rows.length === 0 ? "Nothing has happened since." : table };
  },
};

export const actionCommands: readonly CommandSpec[] = [
  actionList,
  requestCommand("offer", "offer an action again", "after it was refused, failed or was taken back"),
  requestCommand("withdraw", "withdraw an action that has not begun", "keep one device off a hotpatch"),
  requestCommand("revert", "have a hotpatch taken back on a device", "put the old code back"),
  events,
];
