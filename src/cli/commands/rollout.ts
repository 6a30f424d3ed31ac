/** `rebootless rollout …`: phased rollouts. */
import { rolloutOrders, rolloutSignals, thresholdActions } from "../../api/schemas/rollouts.ts";
import { RebootlessError } from "../../base/errors.ts";
import { printable, quoted } from "../../base/printable.ts";
import type { CommandInput, CommandOption, CommandSpec } from "../command.ts";
import { withDryRun } from "../dry-run.ts";
import { oneOf, text, texts, wholeNumber } from "../option-values.ts";
import { ask, askAll, pageQuery } from "../server-client.ts";
import { serverOf, serverOptions } from "../server-target.ts";
import { textTable } from "../text-table.ts";
import { describedPreview, describedRollout, errorsOf, paceOf, ringsOf, shareOf } from "./rollout-words.ts";

const exampleId = "5f0c1d5e-8f4b-4c8e-9c53-0a6d3a6f7c21";
const rolloutArgument = { name: "<rollout>", description: "the id of the rollout" };
const reasonOption: CommandOption = { flags: "--reason <text>", description: "why, for the record" };

function reasonOf(input: CommandInput): { reason?: string } {
  const reason = text(input, "reason");
  return reason === undefined ? {} : { reason };
}

const rolloutList: CommandSpec = {
  name: "rollout list",
  summary: "list the phased rollouts",
  options: [...serverOptions, { flags: "--hotpatch <id>", description: "only of this hotpatch" }],
  examples: [{ command: "rebootless rollout list", what: "each with its state and how far it is" }],
  async run(input, io) {
    const server = serverOf(input, io);
    const hotpatchId = text(input, "hotpatch");
    const more = hotpatchId === undefined ? {} : { hotpatchId };
    const rollouts = await askAll((cursor) =>
      ask(server, "listRollouts", { query: { ...pageQuery(cursor).query, ...more } }),
    );
    const rows = rollouts.map(({ title, hotpatchId, groupId, state, ring, rings, id, reason }) => {
      const succeeded = rings.reduce((sum, one) => sum + one.succeeded, 0);
      const devices = rings.reduce((sum, one) => sum + one.devices, 0);
      const open = state === "draft" ? "" : (rings[ring]?.name ?? "");
      return [title, hotpatchId, groupId, state, open, `${succeeded}/${devices}`, id, reason];
    });
    const table = textTable(["TITLE", "HOTPATCH", "GROUP", "STATE", "RING", "DONE", "ID", "WHY"], rows);
    return { data: { rollouts }, text: rows.length === 0 ? "There is no rollout." : table };
  },
};

const rolloutShow: CommandSpec = {
  name: "rollout show",
  summary: "show a rollout, ring by ring",
  arguments: [rolloutArgument],
  options: [...serverOptions, { flags: "--devices", description: "each device with its ring" }],
  examples: [{ command: `rebootless rollout show ${exampleId}`, what: "how far it is, and what speaks against it" }],
  async run(input, io) {
    const [rolloutId = ""] = input.arguments;
    const server = serverOf(input, io);
    const rollout = await ask(server, "getRollout", { params: { rolloutId } });
    if (input.options.devices !== true) return { data: rollout, text: describedRollout(rollout) };
    const devices = await askAll((cursor) =>
      ask(server, "listRolloutDevices", { params: { rolloutId }, query: pageQuery(cursor).query }),
    );
    const rows = devices.map(({ deviceName, ring, grantedAt, blocks: [first] }) => [
      ...[deviceName, ring, grantedAt ?? "", first?.code ?? "", first?.reason ?? ""],
    ]);
    const table = textTable(["DEVICE", "RING", "GRANTED", "KEPT OFF BY", "WHY"], rows);
    return { data: { ...rollout, members: devices }, text: `${describedRollout(rollout)}\n${table}` };
  },
};

const createOptions: readonly CommandOption[] = [
  { flags: "--hotpatch <id>", description: "what is rolled out" },
  { flags: "--group <id>", description: "to whom" },
  {
    flags: "--ring <name=takes>",
    description:
      "in order: NAME=10%, NAME=5 devices, NAME=@GROUP, and NAME alone for the rest (by default a canary of one device, a tenth, the rest)",
    repeatable: true,
  },
  { flags: "--opens <name=time>", description: "when a ring opens at the soonest; may be repeated", repeatable: true },
  { flags: `--order <${rolloutOrders.join("|")}>`, description: "by chance, or in turn from each site" },
  { flags: "--site-tag <prefix>", description: "tags that begin so name a device's site (by default site:)" },
  { flags: "--rate <devices>", description: "so many devices an hour" },
  { flags: "--hours <number>", description: "the devices of a ring evenly over so many hours" },
  { flags: "--success <share>", description: "a ring is through at this share, such as 95% or 20 devices" },
  { flags: "--shortfall <pause|halt>", description: "what happens when a ring is done and did not succeed" },
  {
    flags: "--error <signals=share:action>",
    description: `such as failed,crashed=2%:halt; signals: ${rolloutSignals.join(", ")}; actions: ${thresholdActions.join(", ")}`,
    repeatable: true,
  },
  { flags: "--verify <minutes>", description: "the pause behind a ring that is through (by default 60)" },
  { flags: "--silent <hours>", description: "from when a device that is not seen counts as silent (by default 24)" },
];

/** Throws `usage/arguments`. */
function wantedRollout(input: CommandInput, title: string) {
  const hotpatchId = text(input, "hotpatch");
  const groupId = text(input, "group");
  if (hotpatchId === undefined || groupId === undefined) {
    throw new RebootlessError("usage/arguments", "Say what is rolled out to whom: --hotpatch ID --group ID.");
  }
  const rings = texts(input, "ring");
  if (rings.length === 0 && texts(input, "opens").length > 0) {
    throw new RebootlessError("usage/arguments", "--opens goes with rings of your own: name them by --ring.");
  }
  const errors = texts(input, "error");
  const order = oneOf(rolloutOrders, text(input, "order"), "--order");
  const shortfall = oneOf(["pause", "halt"] as const, text(input, "shortfall"), "--shortfall");
  const siteTag = text(input, "siteTag");
  const success = text(input, "success");
  const verify = text(input, "verify");
  if (verify !== undefined && !/^\d{1,5}$/.test(verify)) {
    throw new RebootlessError("usage/arguments", `--verify takes a number of minutes, not ${quoted(verify)}.`);
  }
  const silentHours = wholeNumber(input, "silent", "--silent");
  return {
    ...{ title, hotpatchId, groupId },
    pace: paceOf(wholeNumber(input, "rate", "--rate"), wholeNumber(input, "hours", "--hours")),
    ...(rings.length === 0 ? {} : { rings: ringsOf(rings, texts(input, "opens")) }),
    ...(errors.length === 0 ? {} : { errors: errorsOf(errors) }),
    ...(order === undefined ? {} : { order }),
    ...(shortfall === undefined ? {} : { shortfall }),
    ...(siteTag === undefined ? {} : { siteTag }),
    ...(success === undefined ? {} : { success: shareOf(success, "--success") }),
    ...(verify === undefined ? {} : { verifyMinutes: Number(verify) }),
    ...(silentHours === undefined ? {} : { silentHours }),
    ...reasonOf(input),
  };
}

const rolloutCreate: CommandSpec = {
  name: "rollout create",
  summary: "make a rollout of a hotpatch for a group; `rollout start` begins it",
  description:
    "Rings open one after the other: the next one once the one before reached its success threshold and its verification pause is over. An error threshold counts at its figure, in each ring by itself.",
  arguments: [{ name: "<title>", description: "what people call it" }],
  options: [
    ...serverOptions,
    ...createOptions,
    reasonOption,
    { flags: "--dry-run", description: "say who would get it in which ring, and who would not and why" },
    { flags: "--start", description: "start it at once" },
  ],
  examples: [
    {
      command:
        "rebootless rollout create 'expat everywhere' --hotpatch expat-12 --group all --ring canary=2 --ring early=10% --ring rest --rate 100 --error failed,crashed=2%:halt --dry-run",
      what: "who would get it, and in which order",
    },
  ],
  async run(input, io) {
    const [title = ""] = input.arguments;
    const server = serverOf(input, io);
    const body = wantedRollout(input, title);
    if (input.options.dryRun === true) {
      const preview = await ask(server, "previewRollout", { body });
      return { data: preview, text: describedPreview(preview) };
    }
    const made = await ask(server, "makeRollout", { body });
    if (input.options.start !== true) {
      return { data: made, text: `Made: ${printable(title)}; \`rebootless rollout start ${made.id}\` begins it.` };
    }
    const started = await ask(server, "startRollout", { params: { rolloutId: made.id }, body: reasonOf(input) });
    return { data: started, text: describedRollout(started) };
  },
};

type Step = "startRollout" | "pauseRollout" | "resumeRollout" | "promoteRollout";

function stepCommand(
  word: string,
  route: Step,
  [summary, what]: readonly [summary: string, what: string],
): CommandSpec {
  return withDryRun({
    name: `rollout ${word}`,
    summary,
    arguments: [rolloutArgument],
    options: [...serverOptions, reasonOption],
    examples: [{ command: `rebootless rollout ${word} ${exampleId}`, what }],
    async run(input, io) {
      const [rolloutId = ""] = input.arguments;
      const rollout = await ask(serverOf(input, io), route, { params: { rolloutId }, body: reasonOf(input) });
      return { data: rollout, text: describedRollout(rollout) };
    },
  });
}

const rolloutAbort = withDryRun({
  name: "rollout abort",
  summary: "end a rollout, and keep what is in place or take it back",
  arguments: [rolloutArgument],
  options: [
    ...serverOptions,
    { flags: "--keep", description: "what is in place stays" },
    { flags: "--revert", description: "it is taken back on all devices of the group" },
    reasonOption,
  ],
  examples: [{ command: `rebootless rollout abort ${exampleId} --revert`, what: "take it back everywhere" }],
  async run(input, io) {
    const [rolloutId = ""] = input.arguments;
    const { keep, revert } = input.options;
    if ((keep === true) === (revert === true)) {
      throw new RebootlessError("usage/arguments", "Say --keep or --revert.");
    }
    const body = { outcome: keep === true ? ("keep" as const) : ("revert" as const), ...reasonOf(input) };
    const rollout = await ask(serverOf(input, io), "abortRollout", { params: { rolloutId }, body });
    return { data: rollout, text: describedRollout(rollout) };
  },
});

const rolloutRemove = withDryRun({
  name: "rollout remove",
  summary: "remove a draft or a rollout that has ended; what is in place stays",
  arguments: [rolloutArgument],
  options: serverOptions,
  examples: [{ command: `rebootless rollout remove ${exampleId}`, what: "for good" }],
  async run(input, io) {
    const [rolloutId = ""] = input.arguments;
    await ask(serverOf(input, io), "removeRollout", { params: { rolloutId } });
    return { data: { rolloutId, removed: true }, text: `Removed: ${printable(rolloutId)}.` };
  },
});

export const rolloutCommands: readonly CommandSpec[] = [
  ...[rolloutList, rolloutShow, rolloutCreate],
  stepCommand("start", "startRollout", ["start a draft", "the first ring opens"]),
  stepCommand("pause", "pauseRollout", [
    "pause a rollout: nothing new begins, and nothing is taken back",
    "stop and look",
  ]),
  stepCommand("resume", "resumeRollout", ["go on with a rollout that is paused", "go on"]),
  stepCommand("promote", "promoteRollout", ["open the next ring without waiting", "skip success and verification"]),
  rolloutAbort,
  rolloutRemove,
];
