/** `rebootless device …`: the machines that a server looks after. */
import type { Device, DeviceSearch, FactValue, GroupReason } from "../../api/schemas/devices.ts";
import { deviceSorts, deviceStates } from "../../api/schemas/devices.ts";
import { RebootlessError } from "../../base/errors.ts";
import { printable, quoted } from "../../base/printable.ts";
import type { CommandInput, CommandOption, CommandSpec } from "../command.ts";
import { withDryRun } from "../dry-run.ts";
import { oneOf, text, texts, wholeNumber } from "../option-values.ts";
import { ask, askAll, pageQuery } from "../server-client.ts";
import { type ServerTarget, serverOf, serverOptions } from "../server-target.ts";
import { textTable } from "../text-table.ts";

export const deviceArgument = {
  name: "<device>",
  description: "a device: its name, its id, or the beginning of its id",
};

/** The one device that a word of the user names. Throws `request/not-found`, or `usage/arguments` where several fit. */
export async function deviceNamed(server: ServerTarget, word: string): Promise<Device> {
  const isId = /^[0-9a-f-]{36}$/.test(word);
  // By the server, so that one device of a hundred thousand is not looked for here.
  const devices = isId
    ? [await ask(server, "getDevice", { params: { deviceId: word } })]
    : await searched(server, word === "" ? {} : { text: word.slice(0, 200) });
  const exact = devices.filter(({ id, name }) => id === word || name === word);
  const fitting = exact.length > 0 || word.length < 4 ? exact : devices.filter(({ id }) => id.startsWith(word));
  const [device] = fitting;
  if (device === undefined) {
    throw new RebootlessError(
      "request/not-found",
      `There is no device ${quoted(word)}; see \`rebootless device list\`.`,
    );
  }
  if (fitting.length > 1) {
    const ids = fitting.map(({ id }) => id).join(", ");
    throw new RebootlessError("usage/arguments", `${quoted(word)} fits several devices: ${ids}. Give the id.`);
  }
  return device;
}

async function searched(server: ServerTarget, query: Omit<DeviceSearch, "cursor">, most?: number): Promise<Device[]> {
  const found: Device[] = [];
  let cursor: string | undefined;
  do {
    const page = await ask(server, "listDevices", { query: { ...pageQuery(cursor).query, ...query } });
    found.push(...page.items);
    cursor = page.next;
  } while (cursor !== undefined && (most === undefined || found.length < most));
  return found.slice(0, most);
}

function deviceTable(devices: readonly Device[]): string {
  return textTable(
    ["NAME", "STATE", "LAST SEEN", "GROUPS", "TAGS", "ID"],
    devices.map(({ name, state, lastSeenAt, groups, tags, id }) => [
      ...[name, state, lastSeenAt ?? "never", groups.join(","), tags.join(","), id],
    ]),
  );
}

const searchOptions: readonly CommandOption[] = [
  { flags: "--group <id>", description: "only those of this group" },
  { flags: `--only <${deviceStates.join("|")}>`, description: "only those in this state" },
  { flags: `--sort <${deviceSorts.join("|")}>`, description: "the order; a minus sign turns it round" },
  { flags: "--limit <number>", description: "how many at most" },
];

function searchOf(input: CommandInput): Omit<DeviceSearch, "cursor"> {
  const group = text(input, "group");
  const state = oneOf(deviceStates, text(input, "only"), "--only");
  const sort = oneOf(deviceSorts, text(input, "sort"), "--sort");
  return {
    ...(group === undefined ? {} : { group }),
    ...(state === undefined ? {} : { state }),
    ...(sort === undefined ? {} : { sort }),
  };
}

const deviceList: CommandSpec = {
  name: "device list",
  summary: "list the devices of the server",
  options: [...serverOptions, ...searchOptions],
  examples: [
    { command: "rebootless device list --group web", what: "the devices of the group web" },
    {
      command: "rebootless device list --only enrolled --sort lastSeenAt --limit 20",
      what: "those that were silent for longest",
    },
  ],
  async run(input, io) {
    const query = searchOf(input);
    const devices = await searched(serverOf(input, io), query, wholeNumber(input, "limit", "--limit"));
    const none =
      Object.keys(query).length === 0
        ? "No device is enrolled; `rebootless server token` makes a token for one."
        : "No device is like that.";
    return { data: { devices }, text: devices.length === 0 ? none : deviceTable(devices) };
  },
};

const deviceSearch: CommandSpec = {
  name: "device search",
  summary: "find devices by words, or by a filter over their facts",
  description:
    "Each word is in the name, in a tag, at the beginning of the id, or in what the device tells of its system and machine. docs/filters.md describes filters, and `rebootless device facts` lists the facts.",
  arguments: [{ name: "[words...]", description: "words, each of which has to be found" }],
  options: [
    ...serverOptions,
    { flags: "--filter <expression>", description: "a condition over facts and tags, in CEL" },
    ...searchOptions,
  ],
  examples: [
    { command: "rebootless device search debian web", what: "devices with both words" },
    {
      command: `rebootless device search --filter 'packages["openssl"].olderThan("3.0.17-1~deb12u2")'`,
      what: "who has an older openssl installed",
    },
  ],
  async run(input, io) {
    const filter = text(input, "filter");
    const words = input.arguments.join(" ").trim();
    if (filter === undefined && words === "") {
      throw new RebootlessError("usage/arguments", "Give words to look for, or --filter.");
    }
    const query = {
      ...searchOf(input),
      ...(filter === undefined ? {} : { filter }),
      ...(words === "" ? {} : { text: words }),
    };
    const devices = await searched(serverOf(input, io), query, wholeNumber(input, "limit", "--limit"));
    return { data: { devices }, text: devices.length === 0 ? "No device is like that." : deviceTable(devices) };
  },
};

function reasonLines({ groupId, member, because }: GroupReason): string {
  const clauses = because.map(({ kind, groupId: other = "", why = "" }) => {
    if (kind === "every") return "it has every device";
    if (kind === "by-hand") return "put in by hand";
    if (kind === "filter") return "its filter holds";
    if (kind === "child") return `in ${other} below it`;
    if (kind === "open") return `its filter is open: ${why}`;
    return kind === "excepted" ? "excepted by name" : `in ${other}, which it excludes`;
  });
  return `${member ? "in" : "not in"} ${groupId}: ${clauses.join("; ")}`;
}

const deviceShow: CommandSpec = {
  name: "device show",
  summary: "show a device with its groups, why it is in each, its actions and its facts",
  arguments: [deviceArgument],
  options: serverOptions,
  examples: [{ command: "rebootless device show web-1", what: "what web-1 told of itself, and what is done on it" }],
  async run(input, io) {
    const server = serverOf(input, io);
    const device = await deviceNamed(server, input.arguments[0] ?? "");
    const params = { deviceId: device.id };
    const { facts } = await ask(server, "getFacts", { params });
    const { items: groups } = await ask(server, "listGroupReasons", { params });
    const actions = await askAll((cursor) =>
      ask(server, "listActions", { query: { ...pageQuery(cursor).query, ...params } }),
    );
    const rows = actions.map(({ hotpatchId, state }) => [hotpatchId, state]);
    const lines = [
      deviceTable([device]),
      "",
      ...groups.map((reason) => printable(reasonLines(reason))),
      ...(rows.length === 0 ? [] : ["", textTable(["HOTPATCH", "STATE"], rows)]),
      ...(Object.keys(facts).length === 0 ? [] : [""]),
      ...Object.entries(facts).map(([name, value]) => printable(`${name}: ${shortly(value)}`)),
    ];
    return { data: { device, groups, facts, actions }, text: lines.join("\n") };
  },
};

function shortly(value: FactValue): string {
  if (typeof value !== "object") return String(value);
  if (Array.isArray(value)) return value.join(", ");
  const count = Object.keys(value).length;
  return `${count} ${count === 1 ? "entry" : "entries"}`;
}

const deviceFacts: CommandSpec = {
  name: "device facts",
  summary: "show the facts of a device with when each changed, or the facts that there are",
  arguments: [{ name: "[device]", description: "a device; without it, the catalog of facts is shown" }],
  options: [
    ...serverOptions,
    { flags: "--name <fact>", description: "only this fact, whole; may be given more than once", repeatable: true },
  ],
  examples: [
    { command: "rebootless device facts", what: "what filters can ask for" },
    { command: "rebootless device facts web-1 --name packages", what: "every package of web-1" },
  ],
  async run(input, io) {
    const server = serverOf(input, io);
    const [word] = input.arguments;
    const names = texts(input, "name");
    if (word === undefined) {
      const { items } = await ask(server, "listKnownFacts");
      const known = items.filter(({ name }) => names.length === 0 || names.includes(name));
      const rows = known.map(({ name, type, meaning }) => [name, type, meaning]);
      return { data: { facts: known }, text: textTable(["FACT", "TYPE", "WHAT IT MEANS"], rows) };
    }
    const device = await deviceNamed(server, word);
    const told = await ask(server, "getFacts", { params: { deviceId: device.id } });
    const wanted = Object.entries(told.facts).filter(([name]) => names.length === 0 || names.includes(name));
    const rows = wanted.flatMap(([name, value]) => {
      const changed = told.changedAt[name] ?? "";
      if (names.length === 0 || typeof value !== "object") return [[name, changed, shortly(value)]];
      if (Array.isArray(value)) return value.map((entry) => [name, changed, entry]);
      return Object.entries(value).map(([key, entry]) => [name, changed, `${key} ${entry}`]);
    });
    const { revision, changedAt } = told;
    const data = { device, revision, facts: Object.fromEntries(wanted), changedAt };
    const none = names.length === 0 ? "It has told nothing yet." : "It does not tell that.";
    return { data, text: rows.length === 0 ? none : textTable(["FACT", "SINCE", "VALUE"], rows) };
  },
};

const deviceTag = withDryRun({
  name: "device tag",
  summary: "give a device tags, or take them from it",
  description: "Filters ask for them as `tags`; groups follow at once.",
  arguments: [deviceArgument],
  options: [
    ...serverOptions,
    { flags: "--add <tag>", description: "a tag to give; may be given more than once", repeatable: true },
    { flags: "--remove <tag>", description: "a tag to take; may be given more than once", repeatable: true },
  ],
  examples: [{ command: "rebootless device tag web-1 --add prod --remove test", what: "web-1 goes into production" }],
  async run(input, io) {
    const [add, remove] = [texts(input, "add"), texts(input, "remove")];
    if (add.length + remove.length === 0) {
      throw new RebootlessError("usage/arguments", "Say which tags: --add TAG or --remove TAG.");
    }
    const server = serverOf(input, io);
    const { id } = await deviceNamed(server, input.arguments[0] ?? "");
    const body = { add: [...add], remove: [...remove] };
    const device = await ask(server, "tagDevice", { params: { deviceId: id }, body });
    const tags = device.tags.length === 0 ? "no tags" : device.tags.join(", ");
    return { data: device, text: `${printable(device.name)} has ${tags}; it is in ${device.groups.join(", ")}.` };
  },
});

const deviceMove = withDryRun({
  name: "device move",
  summary: "move a device from one static group to another",
  description: "It is put into the new group first, so that what both have approved goes on.",
  arguments: [deviceArgument],
  options: [
    ...serverOptions,
    { flags: "--from <id>", description: "the group that it leaves" },
    { flags: "--to <id>", description: "the group that it joins" },
  ],
  examples: [{ command: "rebootless device move web-1 --from test --to prod", what: "web-1 leaves the test ring" }],
  async run(input, io) {
    const [from, to] = [text(input, "from"), text(input, "to")];
    if (from === undefined || to === undefined) {
      throw new RebootlessError("usage/arguments", "Say where from and where to: --from GROUP --to GROUP.");
    }
    const server = serverOf(input, io);
    const { id: deviceId } = await deviceNamed(server, input.arguments[0] ?? "");
    await ask(server, "addMember", { params: { groupId: to, deviceId } });
    await ask(server, "removeMember", { params: { groupId: from, deviceId } });
    const device = await ask(server, "getDevice", { params: { deviceId } });
    return { data: device, text: `${printable(device.name)} is in ${device.groups.join(", ")}.` };
  },
});

const deviceRevoke = withDryRun({
  name: "device revoke",
  summary: "cut a device off for good",
  description:
    "Its certificate no longer counts. What is in place on it stays there. To let it in again, enrol it anew.",
  arguments: [deviceArgument],
  options: serverOptions,
  examples: [{ command: "rebootless device revoke web-1", what: "before a machine is thrown away" }],
  async run(input, io) {
    const server = serverOf(input, io);
    const { id } = await deviceNamed(server, input.arguments[0] ?? "");
    const device = await ask(server, "revokeDevice", { params: { deviceId: id } });
    return { data: device, text: `Revoked: ${printable(device.name)} (${device.id}).` };
  },
});

export const deviceCommands: readonly CommandSpec[] = [
  ...[deviceList, deviceSearch, deviceShow, deviceFacts, deviceTag, deviceMove, deviceRevoke],
];
