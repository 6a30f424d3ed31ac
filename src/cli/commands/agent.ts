/** `rebootless agent …`: the service on each machine that does what its server approves. */
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import path from "node:path";
import { agentFolder, defaultAgentFolder } from "../../agent/agent-folder.ts";
import type { AgentStatus } from "../../agent/status-file.ts";
import { RebootlessError } from "../../base/errors.ts";
import { printable, quoted } from "../../base/printable.ts";
import { readRegularFile } from "../../base/stored-file.ts";
import type { CommandInput, CommandIo, CommandOption, CommandSpec } from "../command.ts";
import { paths, text, wholeNumber } from "../option-values.ts";
import { textTable } from "../text-table.ts";

const stateOption: CommandOption = {
  flags: "--state <folder>",
  description:
    "the agent's own folder (by default /var/lib/rebootless/agent for root, ~/.local/state/rebootless/agent for others)",
};

function folderOf(input: CommandInput, io: CommandIo) {
  const given = text(input, "state");
  return agentFolder(given === undefined ? defaultAgentFolder(io.env) : path.resolve(io.cwd, given));
}

const tokenBytes = 1024;

/**
 * From a file, standard input or the environment: a command line can be read by every user of the machine.
 * The first line counts, so that what `rebootless server token` prints can be handed over as it is.
 */
async function tokenOf(input: CommandInput, io: CommandIo): Promise<string> {
  const file = text(input, "tokenFile");
  const fromEnvironment = io.env.REBOOTLESS_TOKEN;
  if (file === "-") return firstLine(await readInput());
  if (file !== undefined) {
    const check = ({ size }: { size: number }) => {
      if (size > tokenBytes) throw new RebootlessError("input/too-large", `${quoted(file)} is no enrolment token.`);
    };
    return firstLine((await readRegularFile(path.resolve(io.cwd, file), { what: "token", check })).toString("utf8"));
  }
  if (fromEnvironment !== undefined && fromEnvironment !== "") return firstLine(fromEnvironment);
  throw new RebootlessError(
    "usage/arguments",
    "Give the enrolment token with --token-file FILE, with --token-file - on standard input, or in REBOOTLESS_TOKEN.",
  );
}

function firstLine(given: string): string {
  return given.trim().split("\n")[0]?.trim() ?? "";
}

async function readInput(): Promise<string> {
  let given = "";
  for await (const piece of process.stdin.setEncoding("utf8")) {
    given += piece;
    if (given.length > tokenBytes) throw new RebootlessError("input/too-large", "That is no enrolment token.");
  }
  return given;
}

function serverOf(input: CommandInput): string {
  const given = text(input, "server") ?? "";
  if (!URL.canParse(given) || new URL(given).protocol !== "https:") {
    throw new RebootlessError("usage/arguments", "Say where the server is: --server https://NAME:PORT.");
  }
  return new URL(given).href;
}

const enrol: CommandSpec = {
  name: "agent enrol",
  summary: "make this machine a device of a server",
  description:
    "Needs a token of the server, which never stands on a command line. Pins the server's authority, the root of its catalog and the authors of hotpatches; none of them is taken from the server again.",
  options: [
    { flags: "--server <address>", description: "the server, as https://NAME:PORT" },
    { flags: "--token-file <file>", description: "the token, or - for standard input (or REBOOTLESS_TOKEN)" },
    { flags: "--name <name>", description: "what the server calls this machine (by default its host name)" },
    { flags: "--catalog-root <file>", description: "the root of the catalog, instead of the one the server hands out" },
    {
      flags: "--trust <file>",
      description: "the public key of an author of hotpatches, instead of those the server hands out",
      repeatable: true,
    },
    stateOption,
  ],
  examples: [
    {
      command: "rebootless agent enrol --server https://patches.example:8443 --token-file token",
      what: "with a token from `rebootless server token`",
    },
  ],
  async run(input, io) {
    const server = serverOf(input);
    const token = await tokenOf(input, io);
    const folder = folderOf(input, io);
    const [catalogRoot] = paths(input, "catalogRoot", io);
    const { holdFolder } = await import("../../agent/agent-folder.ts");
    const { enrol: enrolMachine } = await import("../../agent/enrolment.ts");
    const name = text(input, "name") ?? hostname();
    const trust = paths(input, "trust", io);
    const enrolled = await holdFolder(
      folder,
      async () => await enrolMachine({ folder, server, token, name, catalogRoot, trust }),
    );
    const { identity, authors, catalogRootSha256 } = enrolled;
    const { deviceId, expiresAt } = identity;
    const lines = [
      `Enrolled as ${printable(name)} (${deviceId}); the certificate is good until ${expiresAt} and renewed by itself.`,
      `Pinned: the catalog's root ${catalogRootSha256.slice(0, 16)}…, ${authors.length} author(s) ${authors.map((id) => `${id.slice(0, 16)}…`).join(", ")}.`,
      "Start it with `rebootless agent run`.",
    ];
    const data = { deviceId, name, server, expiresAt, authors, catalogRootSha256, folder: folder.root };
    return { data, text: lines.join("\n") };
  },
};

const run: CommandSpec = {
  name: "agent run",
  summary: "run the agent of this machine",
  description:
    "Does what the server approves in the Node.js processes that this user may touch, all of them as root, and goes on protecting them while the server is away. SIGTERM ends it in order; what is in place stays.",
  options: [
    stateOption,
    {
      flags: "--max-pause <ms>",
      description: "refuse where a process would stand still longer than this",
      default: "250",
    },
    { flags: "--wait <seconds>", description: "how long to wait for calls of changed functions to end", default: "10" },
  ],
  examples: [{ command: "rebootless agent run", what: "as a service manager starts it" }],
  async run(input, io) {
    const folder = folderOf(input, io);
    const maxPauseMs = wholeNumber(input, "maxPause", "--max-pause") ?? 250;
    const waitMs = (wholeNumber(input, "wait", "--wait") ?? 10) * 1000;
    const ending = new AbortController();
    process.once("SIGTERM", () => ending.abort());
    const { runAgent } = await import("../../agent/run-agent.ts");
    await runAgent({
      ...{ folder, maxPauseMs, waitMs, signal: ending.signal, version: ownVersion() },
      log: (line) => {
        const { level, message, ...fields } = line;
        const more = Object.entries(fields).map(([name, value]) => `${name}=${wordOf(value)}`);
        const label = level === "info" ? "" : `${level}: `;
        io.log({ at: new Date().toISOString(), ...line }, [`${label}${message}`, ...more].join(" "));
      },
    });
    return { data: { ended: true }, text: "Ended." };
  },
};

function wordOf(value: unknown): string {
  const word = typeof value === "string" ? value : JSON.stringify(value);
  return /^[\w@./:+-]+$/.test(word) ? word : JSON.stringify(word);
}

function ownVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8"));
  return String((manifest as { version: unknown }).version);
}

const status: CommandSpec = {
  name: "agent status",
  summary: "show what the agent of this machine does",
  description: "Read from the agent's folder, whether it runs or not.",
  options: [stateOption],
  examples: [{ command: "rebootless agent status", what: "its server, its actions, the processes that it protects" }],
  async run(input, io) {
    const { statusOf } = await import("../../agent/status-file.ts");
    const data = await statusOf(folderOf(input, io));
    return { data, text: describe(data) };
  },
};

const contacts = {
  unknown: "not heard of yet",
  connected: "connected",
  away: "away; what is in force stays in force",
  "cut-off": "has cut this machine off; what is in place stays, enrol it anew to get work again",
} as const;

function describe(found: AgentStatus): string {
  const { running, pid, name, device, server, contact, certificateExpiresAt, actions, processes, unreported } = found;
  const seen = contact.lastContactAt === undefined ? "" : ` (last contact ${contact.lastContactAt})`;
  const lines = [
    running ? `The agent runs (PID ${pid}).` : "The agent does not run; what follows is what it knew last.",
    `Device: ${printable(name)} (${device})`,
    `Server: ${printable(server)}: ${contacts[contact.state]}${seen}`,
    ...(contact.state === "connected" || contact.message === undefined ? [] : [`  ${printable(contact.message)}`]),
    `Certificate: good until ${certificateExpiresAt}`,
    ...(unreported === 0 ? [] : [`Not told yet: ${unreported} report(s)`]),
    "",
    actions.length === 0
      ? "Nothing was approved for this machine."
      : textTable(
          ["HOTPATCH", "STATE", "REASON"],
          actions.map(({ hotpatch, state, reason }) => [hotpatch, state, reason]),
        ),
    "",
    processes.length === 0
      ? "No process has a hotpatch."
      : textTable(
          ["PID", "HOTPATCHES", "COMMAND"],
          processes.map(({ pid, hotpatches, command }) => [String(pid), hotpatches.join(", "), command]),
        ),
  ];
  return lines.join("\n");
}

const leave: CommandSpec = {
  name: "agent leave",
  summary: "make this machine no device any more",
  description:
    "Tells the server, and removes the key, the certificate and what was pinned. Hotpatches stay in place unless --revert takes them out first. End the agent before. Where the server does not answer, the device has to be revoked there.",
  options: [
    stateOption,
    { flags: "--yes", description: "do it; without it, only say what would be done" },
    { flags: "--revert", description: "take the hotpatches out of the processes first" },
  ],
  examples: [{ command: "rebootless agent leave --yes", what: "forget the server, and leave processes as they are" }],
  async run(input, io) {
    const folder = folderOf(input, io);
    const revert = input.options.revert === true;
    const { leave: leaveServer, whatLeavingDoes } = await import("../../agent/leave.ts");
    const { server, deviceId, hotpatches } = await whatLeavingDoes(folder);
    const what = hotpatches.length === 0 ? "no hotpatch" : hotpatches.map(printable).join(", ");
    if (input.options.yes !== true) {
      const then = revert ? `taking out ${what}` : `leaving ${what} in place`;
      const sure = `Would leave ${printable(server)} as ${deviceId}, ${then}. Say --yes to do it.`;
      return { data: { left: false, server, deviceId, hotpatches }, text: sure, exitCode: 3 };
    }
    const { reverted, untold } = await leaveServer(folder, { revert, progress: io.progress });
    const took = revert ? ` Taken out of ${reverted.length} process(es).` : "";
    if (untold !== undefined)
      io.warn(`${untold} It does not know yet; revoke the device there: rebootless device revoke ${deviceId}`);
    const told = untold === undefined;
    return { data: { left: true, told, server, deviceId, hotpatches, reverted }, text: `Left.${took}` };
  },
};

export const agentCommands: readonly CommandSpec[] = [
  enrol,
  { ...enrol, name: "agent enroll", summary: "the same as agent enrol" },
  run,
  status,
  leave,
];
