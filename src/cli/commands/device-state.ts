/** `rebootless device state|why`: how it stands with the hotpatches of each product on each device. */
import { type ProductState, productStates } from "../../api/device-state-table.ts";
import type { DeviceState, ExplainedState, StateCounts } from "../../api/schemas/device-states.ts";
import { RebootlessError } from "../../base/errors.ts";
import { printable, quoted } from "../../base/printable.ts";
import type { CommandInput, CommandSpec } from "../command.ts";
import { text, wholeNumber } from "../option-values.ts";
import { ask, pageQuery } from "../server-client.ts";
import { serverOf, serverOptions } from "../server-target.ts";
import { textTable } from "../text-table.ts";
import { deviceArgument, deviceNamed } from "./device.ts";

/** Throws `usage/arguments`. */
function stateOf(input: CommandInput): ProductState | undefined {
  const given = text(input, "only");
  const found = productStates.find((state) => state === given);
  if (given === undefined || found !== undefined) return found;
  throw new RebootlessError("usage/arguments", `--only takes ${productStates.join(", ")}, not ${quoted(given)}.`);
}

function called({ state, sequence, until }: Pick<DeviceState, "state" | "sequence" | "until">): string {
  const counted = state === "hotpatched" || state === "verified" ? `${state}(${sequence})` : state;
  return until === null ? counted : `${counted} until ${until}`;
}

function countTable(items: readonly StateCounts[]): string {
  const rows = items.flatMap(({ product, devices, states }) =>
    productStates.flatMap((state) => {
      const count = (states as Record<ProductState, number>)[state];
      return count === 0 ? [] : [[product, state, String(count), `${((100 * count) / devices).toFixed(1)} %`]];
    }),
  );
  return rows.length === 0
    ? "No hotpatch was ever wanted on a device."
    : textTable(["PRODUCT", "STATE", "DEVICES", "SHARE"], rows);
}

const deviceState: CommandSpec = {
  name: "device state",
  summary: "count the devices in each state for each product, or list those in one state",
  description:
    "A product is what hotpatches are for, as `npm/json5` or `elf/expat`. docs/device-states.md describes the states; `rebootless device why` says why a device is in its own.",
  options: [
    ...serverOptions,
    { flags: "--product <product>", description: "only this product" },
    { flags: "--group <id>", description: "only devices of this group" },
    { flags: `--only <${productStates.join("|")}>`, description: "list the devices in this state" },
    { flags: "--list", description: "list devices instead of counting them" },
    { flags: "--limit <number>", description: "how many to list at most" },
  ],
  examples: [
    { command: "rebootless device state", what: "how many devices are in which state" },
    { command: "rebootless device state --product elf/expat --only onHold", what: "whom a hold keeps off it" },
  ],
  async run(input, io) {
    const server = serverOf(input, io);
    const [product, group, state] = [text(input, "product"), text(input, "group"), stateOf(input)];
    const limit = wholeNumber(input, "limit", "--limit");
    const scope = {
      ...(product === undefined ? {} : { product }),
      ...(group === undefined ? {} : { group }),
    };
    if (state === undefined && input.options.list !== true) {
      const { items } = await ask(server, "countDeviceStates", { query: scope });
      return { data: { counts: items }, text: countTable(items) };
    }
    const found: DeviceState[] = [];
    let cursor: string | undefined;
    do {
      const query = { ...pageQuery(cursor).query, ...scope, ...(state === undefined ? {} : { state }) };
      const page = await ask(server, "listDeviceStates", { query });
      found.push(...page.items);
      cursor = page.next;
    } while (cursor !== undefined && (limit === undefined || found.length < limit));
    const states = found.slice(0, limit);
    const rows = states.map((one) => [
      ...[one.deviceName, one.product, called(one), one.hotpatchId ?? "", one.since ?? "", one.reason],
    ]);
    const table = textTable(["DEVICE", "PRODUCT", "STATE", "HOTPATCH", "SINCE", "WHY"], rows);
    return { data: { states }, text: rows.length === 0 ? "No device is like that." : table };
  },
};

function explained(state: ExplainedState): string[] {
  const { product, hotpatchId, since, reason, helps, inPlace, blocks, heldInPlace } = state;
  const others = blocks.filter((block) => block.hotpatchId !== hotpatchId || block.reason !== reason);
  return [
    `${product}: ${called(state)}, ${hotpatchId}, since ${since}`,
    `  why: ${reason}`,
    `  what would change it: ${helps}`,
    ...(inPlace === null ? [] : [`  in memory: ${inPlace.hotpatchId} (sequence ${inPlace.sequence})`]),
    ...heldInPlace.map((hold) => `  in memory: ${hold.reason}`),
    ...others.map((block) => `  also: ${block.hotpatchId}: ${block.reason} ${block.helps}`),
  ];
}

const deviceWhy: CommandSpec = {
  name: "device why",
  summary: "say in which state a device is for each product, why, since when, and what would change it",
  arguments: [deviceArgument],
  options: [...serverOptions, { flags: "--product <product>", description: "only this product" }],
  examples: [{ command: "rebootless device why web-1", what: "why web-1 has a hotpatch, or has not got it" }],
  async run(input, io) {
    const server = serverOf(input, io);
    const device = await deviceNamed(server, input.arguments[0] ?? "");
    const { items } = await ask(server, "explainDevice", { params: { deviceId: device.id } });
    const product = text(input, "product");
    const states = items.filter((state) => product === undefined || state.product === product);
    const lines = states.flatMap(explained).map(printable);
    const none = `${printable(device.name)} is not targeted: no hotpatch is wanted on it, and none is in place.`;
    return { data: { device, states }, text: lines.length === 0 ? none : lines.join("\n") };
  },
};

export const deviceStateCommands: readonly CommandSpec[] = [deviceState, deviceWhy];
