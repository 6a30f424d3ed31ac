/** `rebootless group …`: the tree of groups that hotpatches are approved for. */
import type { Group, Preview } from "../../api/schemas/groups.ts";
import { RebootlessError } from "../../base/errors.ts";
import { printable } from "../../base/printable.ts";
import type { CommandInput, CommandIo, CommandOption, CommandSpec } from "../command.ts";
import { withDryRun } from "../dry-run.ts";
import { text, texts } from "../option-values.ts";
import { ask, askAll, pageQuery } from "../server-client.ts";
import { type ServerTarget, serverOf, serverOptions } from "../server-target.ts";
import { textTable } from "../text-table.ts";
import { deviceArgument, deviceNamed } from "./device.ts";

const groupArgument = { name: "<group>", description: "the id of a group" };

async function allGroups(server: ServerTarget): Promise<Group[]> {
  return await askAll((cursor) => ask(server, "listGroups", pageQuery(cursor)));
}

/** Each group below its parent, indented by how deep it stands. */
function treeRows(groups: readonly Group[]): string[][] {
  const rows: string[][] = [];
  const visit = (parentId: string | null, depth: number) => {
    for (const group of groups.filter((one) => one.parentId === parentId)) {
      const { id, devices, kind, excludes, exceptions, title, filter } = group;
      const without = [...excludes, ...(exceptions === 0 ? [] : [`${exceptions} by name`])].join(",");
      rows.push([`${"  ".repeat(depth)}${id}`, String(devices), kind, without, filter ?? title]);
      visit(id, depth + 1);
    }
  };
  visit(null, 0);
  return rows;
}

const groupList: CommandSpec = {
  name: "group list",
  summary: "list the groups of devices as a tree",
  options: serverOptions,
  examples: [{ command: "rebootless group list", what: "groups, how many devices are in each, and what is left out" }],
  async run(input, io) {
    const groups = await allGroups(serverOf(input, io));
    const table = textTable(["GROUP", "DEVICES", "KIND", "WITHOUT", "FILTER OR TITLE"], treeRows(groups));
    return { data: { groups }, text: table };
  },
};

const groupShow: CommandSpec = {
  name: "group show",
  summary: "show a group",
  description: "`rebootless device list --group ID` lists its devices.",
  arguments: [groupArgument],
  options: serverOptions,
  examples: [{ command: "rebootless group show web", what: "its place in the tree, its filter, and what is left out" }],
  async run(input, io) {
    const [groupId = ""] = input.arguments;
    const group = await ask(serverOf(input, io), "getGroup", { params: { groupId } });
    return { data: group, text: described(group) };
  },
};

function described({ id, title, kind, parentId, devices, filter, excludes, exceptions }: Group): string {
  return [
    `${id}: ${title}`,
    `kind: ${kind}`,
    ...(parentId === null ? [] : [`below: ${parentId}`]),
    `devices: ${devices}`,
    ...(filter === null ? [] : [`filter: ${filter}`]),
    ...(excludes.length === 0 ? [] : [`excludes: ${excludes.join(", ")}`]),
    ...(exceptions === 0 ? [] : [`excepted devices: ${exceptions}`]),
  ]
    .map(printable)
    .join("\n");
}

const shapeOptions: readonly CommandOption[] = [
  { flags: "--title <title>", description: "what people read" },
  { flags: "--parent <id>", description: "the group that it stands below (`all` unless told)" },
  { flags: "--filter <expression>", description: "the condition that finds its devices, in CEL" },
];

function shapeOf(input: CommandInput) {
  const [title, parentId, filter] = [text(input, "title"), text(input, "parent"), text(input, "filter")];
  return {
    ...(title === undefined ? {} : { title }),
    ...(parentId === undefined ? {} : { parentId }),
    ...(filter === undefined ? {} : { filter }),
  };
}

const groupCreate = withDryRun({
  name: "group create",
  summary: "make a group, static or with a filter",
  arguments: [groupArgument],
  options: [
    ...serverOptions,
    ...shapeOptions,
    { flags: "--exclude <id>", description: "a group whose devices are left out; may be repeated", repeatable: true },
  ],
  examples: [
    { command: "rebootless group create web --title 'Web servers'", what: "a group to put devices into" },
    {
      command: `rebootless group create bookworm --parent servers --filter 'os.id == "debian" && os.version == "12"'`,
      what: "a group whose devices are found by their facts",
    },
  ],
  async run(input, io) {
    const [id = ""] = input.arguments;
    const excludes = texts(input, "exclude");
    const body = { id, ...shapeOf(input), ...(excludes.length === 0 ? {} : { excludes: [...excludes] }) };
    const group = await ask(serverOf(input, io), "makeGroup", { body });
    const found = group.kind === "dynamic" ? ` It has ${count(group.devices, "device")}.` : "";
    return { data: group, text: `Made: ${group.id}.${found}` };
  },
});

const groupUpdate = withDryRun({
  name: "group update",
  summary: "change a group's title, parent or filter",
  description:
    "Who joins is offered what is approved; of who leaves, what has not begun is withdrawn. `rebootless group preview` says before who that is.",
  arguments: [groupArgument],
  options: [...serverOptions, ...shapeOptions],
  examples: [{ command: "rebootless group update bookworm --parent prod", what: "move it with all its devices" }],
  async run(input, io) {
    const [groupId = ""] = input.arguments;
    const body = shapeOf(input);
    if (Object.keys(body).length === 0) {
      throw new RebootlessError("usage/arguments", "Say what changes: --title, --parent or --filter.");
    }
    const group = await ask(serverOf(input, io), "changeGroup", { params: { groupId }, body });
    return { data: group, text: described(group) };
  },
});

const groupPreview: CommandSpec = {
  name: "group preview",
  summary: "say what a filter would find, and change nothing",
  arguments: [{ name: "<expression>", description: "the filter, in CEL" }],
  options: [...serverOptions, { flags: "--group <id>", description: "say who would join and leave this group" }],
  examples: [
    {
      command: `rebootless group preview 'tpm.version == "2.0" && firmware.secureBoot'`,
      what: "how many devices match, and how many lack a fact",
    },
  ],
  async run(input, io) {
    const [filter = ""] = input.arguments;
    const groupId = text(input, "group");
    const body = { filter, ...(groupId === undefined ? {} : { groupId }) };
    const preview = await ask(serverOf(input, io), "previewFilter", { body });
    return { data: preview, text: previewed(preview) };
  },
};

function count(number: number, word: string): string {
  return `${number.toLocaleString("en-US")} ${word}${number === 1 ? "" : "s"}`;
}

function previewed({ devices, matching, open, lacking, examples, joining, leaving }: Preview): string {
  return [
    `Of ${count(devices, "device")}, ${matching.toLocaleString("en-US")} match.`,
    ...(open === 0 ? [] : [`${count(open, "device")} left open, since facts are missing or do not fit:`]),
    ...lacking.map((row) => `  ${row.devices.toLocaleString("en-US")} lack ${row.fact}`),
    ...(joining === undefined ? [] : [`${count(joining, "device")} would join, ${leaving ?? 0} would leave.`]),
    ...(examples.length === 0 ? [] : [`Among them ${examples.map(({ name }) => name).join(", ")}.`]),
  ]
    .map(printable)
    .join("\n");
}

const groupRemove = withDryRun({
  name: "group remove",
  summary: "remove a group with its approvals",
  description:
    "What has not begun on its devices is withdrawn, unless another group approves it; what is in place stays.",
  arguments: [groupArgument],
  options: serverOptions,
  examples: [{ command: "rebootless group remove web", what: "remove the group, and leave its devices" }],
  async run(input, io) {
    const [groupId = ""] = input.arguments;
    await ask(serverOf(input, io), "removeGroup", { params: { groupId } });
    return { data: { groupId, removed: true }, text: `Removed: ${printable(groupId)}.` };
  },
});

async function membership(input: CommandInput, io: CommandIo) {
  const server = serverOf(input, io);
  const [groupId = "", word = ""] = input.arguments;
  const device = await deviceNamed(server, word);
  return { server, device, params: { groupId, deviceId: device.id } };
}

const groupAdd = withDryRun({
  name: "group add",
  summary: "put a device into a group",
  description: "It is offered what is approved for the group.",
  arguments: [groupArgument, deviceArgument],
  options: serverOptions,
  examples: [{ command: "rebootless group add web web-1", what: "put web-1 into the group web" }],
  async run(input, io) {
    const { server, device, params } = await membership(input, io);
    await ask(server, "addMember", { params });
    return { data: params, text: `${printable(device.name)} is in ${printable(params.groupId)}.` };
  },
});

const groupDrop = withDryRun({
  name: "group drop",
  summary: "take a device out of a group",
  description: "What has not begun on it is withdrawn, unless another group approves it; what is in place stays.",
  arguments: [groupArgument, deviceArgument],
  options: serverOptions,
  examples: [{ command: "rebootless group drop web web-1", what: "take web-1 out of the group web" }],
  async run(input, io) {
    const { server, device, params } = await membership(input, io);
    await ask(server, "removeMember", { params });
    return { data: params, text: `${printable(device.name)} is not in ${printable(params.groupId)}.` };
  },
});

const groupExclude = withDryRun({
  name: "group exclude",
  summary: "leave another group's devices, or one device, out of a group",
  arguments: [groupArgument],
  options: [
    ...serverOptions,
    { flags: "--group <id>", description: "the group whose devices are left out" },
    { flags: "--device <device>", description: "the device that is left out" },
    { flags: "--undo", description: "leave them out no longer" },
  ],
  examples: [
    { command: "rebootless group exclude web --group frozen", what: "keep frozen machines out of web" },
    { command: "rebootless group exclude web --device web-1 --undo", what: "let web-1 in again" },
  ],
  async run(input, io) {
    const [groupId = ""] = input.arguments;
    const [excludedId, word] = [text(input, "group"), text(input, "device")];
    if ((excludedId === undefined) === (word === undefined)) {
      throw new RebootlessError("usage/arguments", "Say what is left out: either --group or --device.");
    }
    const server = serverOf(input, io);
    const isUndone = input.options.undo === true;
    if (excludedId !== undefined) {
      await ask(server, isUndone ? "includeGroup" : "excludeGroup", { params: { groupId, excludedId } });
    } else {
      const { id: deviceId } = await deviceNamed(server, word ?? "");
      await ask(server, isUndone ? "unexceptDevice" : "exceptDevice", { params: { groupId, deviceId } });
    }
    const group = await ask(server, "getGroup", { params: { groupId } });
    return { data: group, text: described(group) };
  },
});

export const groupCommands: readonly CommandSpec[] = [
  ...[groupList, groupShow, groupCreate, groupUpdate, groupPreview, groupRemove],
  ...[groupAdd, groupDrop, groupExclude],
];
