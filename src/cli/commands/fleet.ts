/** `rebootless device|group …`: the machines that a server looks after. */
import type { Device } from "../../api/schemas/devices.ts";
import { RebootlessError } from "../../base/errors.ts";
import { printable, quoted } from "../../base/printable.ts";
import type { CommandInput, CommandIo, CommandSpec } from "../command.ts";
import { text } from "../option-values.ts";
import { ask, askAll, pageQuery } from "../server-client.ts";
import { type ServerTarget, serverOf, serverOptions } from "../server-target.ts";
import { textTable } from "../text-table.ts";

const deviceArgument = { name: "<device>", description: "a device: its name, its id, or the beginning of its id" };
const groupArgument = { name: "<group>", description: "the id of a group" };

async function allDevices(server: ServerTarget): Promise<Device[]> {
  return await askAll((cursor) => ask(server, "listDevices", pageQuery(cursor)));
}

/** The one device that a word of the user names. Throws `request/not-found`, or `usage/arguments` where several fit. */
export async function deviceNamed(server: ServerTarget, word: string): Promise<Device> {
  const devices = await allDevices(server);
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

function deviceTable(devices: readonly Device[]): string {
  if (devices.length === 0) return "No device is enrolled; `rebootless server token` makes a token for one.";
  return textTable(
    ["NAME", "STATE", "LAST SEEN", "GROUPS", "ID"],
    devices.map(({ name, state, lastSeenAt, groups, id }) => [
      name,
      state,
      lastSeenAt ?? "never",
      groups.join(","),
      id,
    ]),
  );
}

const deviceList: CommandSpec = {
  name: "device list",
  summary: "list the devices of the server",
  options: [...serverOptions, { flags: "--group <id>", description: "only those of this group" }],
  examples: [{ command: "rebootless device list --group web", what: "the devices of the group web" }],
  async run(input, io) {
    const server = serverOf(input, io);
    const groupId = text(input, "group");
    const devices =
      groupId === undefined
        ? await allDevices(server)
        : await askAll((cursor) => ask(server, "listMembers", { params: { groupId }, ...pageQuery(cursor) }));
    return { data: { devices }, text: deviceTable(devices) };
  },
};

const deviceShow: CommandSpec = {
  name: "device show",
  summary: "show a device with its facts and its actions",
  arguments: [deviceArgument],
  options: serverOptions,
  examples: [{ command: "rebootless device show web-1", what: "what web-1 told of itself, and what is done on it" }],
  async run(input, io) {
    const server = serverOf(input, io);
    const device = await deviceNamed(server, input.arguments[0] ?? "");
    const { facts } = await ask(server, "getFacts", { params: { deviceId: device.id } });
    const actions = await askAll((cursor) =>
      ask(server, "listActions", { query: { ...pageQuery(cursor).query, deviceId: device.id } }),
    );
    const lines = [
      deviceTable([device]),
      ...(actions.length === 0
        ? []
        : [
            "",
            textTable(
              ["HOTPATCH", "STATE"],
              actions.map((a) => [a.hotpatchId, a.state]),
            ),
          ]),
      ...(Object.keys(facts).length === 0 ? [] : [""]),
      ...Object.entries(facts).map(([name, value]) => `${printable(name)}: ${printable([value].flat().join(", "))}`),
    ];
    return { data: { device, facts, actions }, text: lines.join("\n") };
  },
};

const deviceRevoke: CommandSpec = {
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
};

const groupList: CommandSpec = {
  name: "group list",
  summary: "list the groups of devices",
  options: serverOptions,
  examples: [{ command: "rebootless group list", what: "groups, and how many devices are in each" }],
  async run(input, io) {
    const server = serverOf(input, io);
    const groups = await askAll((cursor) => ask(server, "listGroups", pageQuery(cursor)));
    const rows = groups.map(({ id, devices, title }) => [id, String(devices), title]);
    return { data: { groups }, text: textTable(["GROUP", "DEVICES", "TITLE"], rows) };
  },
};

const groupMake: CommandSpec = {
  name: "group make",
  summary: "make a group",
  arguments: [groupArgument],
  options: [...serverOptions, { flags: "--title <title>", description: "what people read" }],
  examples: [{ command: "rebootless group make web --title 'Web servers'", what: "a group to approve hotpatches for" }],
  async run(input, io) {
    const [id = ""] = input.arguments;
    const title = text(input, "title");
    const body = title === undefined ? { id } : { id, title };
    const group = await ask(serverOf(input, io), "makeGroup", { body });
    return { data: group, text: `Made: ${group.id}.` };
  },
};

const groupRemove: CommandSpec = {
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
};

async function membership(input: CommandInput, io: CommandIo) {
  const server = serverOf(input, io);
  const [groupId = "", word = ""] = input.arguments;
  const device = await deviceNamed(server, word);
  return { server, device, params: { groupId, deviceId: device.id } };
}

const groupAdd: CommandSpec = {
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
};

const groupDrop: CommandSpec = {
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
};

export const fleetCommands: readonly CommandSpec[] = [
  ...[deviceList, deviceShow, deviceRevoke],
  ...[groupList, groupMake, groupRemove, groupAdd, groupDrop],
];
