/** `rebootless audit …`: whether what a server tells of the past is what it told before. */
import { createReadStream } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import { apiLimits } from "../../api/api-limits.ts";
import { ChainCheck } from "../../api/event-chain.ts";
import { Event } from "../../api/schemas/events.ts";
import { checkJsonBounds } from "../../base/canonical-json.ts";
import { RebootlessError } from "../../base/errors.ts";
import { quoted } from "../../base/printable.ts";
import { checkSchema } from "../../base/schema-check.ts";
import { writeFileAtomically } from "../../base/stored-file.ts";
import type { CommandIo, CommandSpec } from "../command.ts";
import { text } from "../option-values.ts";
import { ask } from "../server-client.ts";
import { type ServerTarget, serverOf, serverOptions } from "../server-target.ts";

const reportEvery = 10_000;

async function* eventsOf(server: ServerTarget): AsyncGenerator<Event> {
  for (let after = 0; ; ) {
    const { items } = await ask(server, "listEvents", { query: { after, limit: apiLimits.pageItems } });
    yield* items;
    const last = items.at(-1);
    if (last === undefined) return;
    after = last.sequence;
  }
}

/** Throws `input/file-missing` or `input/json-invalid`. */
async function* eventsIn(file: string): AsyncGenerator<Event> {
  const stream = createReadStream(file);
  let number = 0;
  try {
    for await (const line of createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY })) {
      number++;
      if (line !== "") yield eventFrom(line, `line ${number} of ${quoted(file)}`);
    }
  } catch (error) {
    if (error instanceof RebootlessError) throw error;
    throw new RebootlessError("input/file-missing", `The file ${quoted(file)} cannot be read.`, { cause: error });
  }
}

function eventFrom(line: string, where: string): Event {
  const bad = (why: string, cause?: unknown): never => {
    throw new RebootlessError("input/json-invalid", `In ${where} there is no event: ${why}.`, { cause });
  };
  let value: unknown;
  try {
    const { jsonDepth: maxDepth, jsonElements: maxElements, jsonStringBytes: maxStringBytes } = apiLimits;
    checkJsonBounds(Buffer.from(line), { maxDepth, maxElements, maxStringBytes });
    value = JSON.parse(line);
  } catch (error) {
    return bad(error instanceof RebootlessError ? error.message : "it is not JSON", error);
  }
  return checkSchema(Event, value, ({ field, problem }) => bad(`${field === "" ? "the whole" : field} ${problem}`));
}

function anchorFrom(given: string | undefined): { sequence: number; link: string } | undefined {
  if (given === undefined) return undefined;
  const [, sequence = "", link = ""] = /^([1-9]\d{0,14}):([0-9A-Za-z_-]{43})$/.exec(given) ?? [];
  if (link === "")
    throw new RebootlessError(
      "usage/arguments",
      `--anchor takes a number and a link, as \`audit verify\` prints them (NUMBER:LINK), not ${quoted(given)}.`,
    );
  return { sequence: Number(sequence), link };
}

async function follow(events: AsyncIterable<Event>, check: ChainCheck, io: CommandIo): Promise<void> {
  for await (const event of events) {
    if (!check.take(event)) return;
    if (event.sequence % reportEvery === 0) io.progress(`${event.sequence} events hang together`);
  }
}

function sentences(check: ChainCheck, hasAnchor: boolean): string {
  const { first, last, head, linked, unlinked } = check;
  if (first === undefined) return "There are no events.";
  return [
    `Events ${first} to ${last} hang together: none was changed, left out or added.`,
    ...(unlinked > 0 ? [`The first ${unlinked} are from before events were linked; nothing proves them.`] : []),
    ...(hasAnchor && !check.hasAnchor
      ? ["The anchor's event was dropped for its age; the anchor proved nothing."]
      : []),
    ...(hasAnchor && check.hasAnchor ? ["The anchor is among them, as it was."] : []),
    ...(linked > 0 && head !== undefined
      ? [
          `Anchor: ${last}:${head}`,
          "Keep it away from the server: given with --anchor, it shows whether somebody who holds the database wrote all of it anew.",
        ]
      : []),
  ].join("\n");
}

const auditVerify: CommandSpec = {
  name: "audit verify",
  summary: "prove that no event of a server was changed, left out or added",
  description:
    "Each event carries a digest of itself and of all before it. What somebody wrote anew from one event on to the end is seen with an anchor that was kept from before.",
  options: [
    ...serverOptions,
    { flags: "--file <file>", description: "events of `audit export` instead of a server's" },
    { flags: "--anchor <number:link>", description: "the newest event of an earlier time, as this command printed it" },
  ],
  examples: [
    { command: "rebootless audit verify", what: "read all events, and print an anchor to keep" },
    { command: "rebootless audit verify --file events.jsonl", what: "what an auditor was given, with no server" },
  ],
  async run(input, io) {
    const file = text(input, "file");
    const anchor = anchorFrom(text(input, "anchor"));
    const check = new ChainCheck(anchor);
    await follow(file === undefined ? eventsOf(serverOf(input, io)) : eventsIn(path.resolve(io.cwd, file)), check, io);
    const fault = check.end();
    const { first, last, linked, unlinked, head } = check;
    const data = { holds: fault === undefined, first, last, linked, unlinked, link: head, fault };
    if (fault === undefined) return { data, text: sentences(check, anchor !== undefined) };
    return { data, text: `Event ${fault.sequence}: ${fault.problem}.`, exitCode: 1 };
  },
};

const auditExport: CommandSpec = {
  name: "audit export",
  summary: "write all events to a file, a line of JSON each",
  options: [
    ...serverOptions,
    { flags: "-o, --output <file>", description: "the file to write (by default events.jsonl)" },
  ],
  examples: [
    { command: "rebootless audit export -o events.jsonl", what: "for an auditor, who proves them by himself" },
  ],
  async run(input, io) {
    const file = path.resolve(io.cwd, text(input, "output") ?? "events.jsonl");
    let events = 0;
    const lines = async function* (): AsyncGenerator<string> {
      for await (const event of eventsOf(serverOf(input, io))) {
        events++;
        if (events % reportEvery === 0) io.progress(`${events} events`);
        yield `${JSON.stringify(event)}\n`;
      }
    };
    await writeFileAtomically(file, lines(), { mode: 0o600, replace: true });
    return { data: { file, events }, text: `Wrote ${events} events to ${quoted(file)}.` };
  },
};

export const auditCommands: readonly CommandSpec[] = [auditVerify, auditExport];
