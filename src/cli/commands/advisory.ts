/** `rebootless advisory …`: what others say of holes, beside what is signed. */
import path from "node:path";
import type { AdvisoryNote } from "../../api/schemas/catalog.ts";
import { RebootlessError } from "../../base/errors.ts";
import { printable, quoted } from "../../base/printable.ts";
import { readRegularFile } from "../../base/stored-file.ts";
import { advisoryLimits, readAdvisory } from "../../server/advisories/read-advisory.ts";
import type { CommandIo, CommandSpec } from "../command.ts";
import { ask, askAll, pageQuery } from "../server-client.ts";
import { serverOf, serverOptions } from "../server-target.ts";
import { noteLines } from "./hotpatch.ts";
import { dryRunOption } from "./repo-options.ts";

/** So many at a time as one request may have. */
const notesAtOnce = 20;

async function notesIn(file: string, io: CommandIo): Promise<AdvisoryNote[]> {
  const bytes = await readRegularFile(path.resolve(io.cwd, file), {
    what: "advisory",
    check: ({ size }) => {
      if (size <= advisoryLimits.fileBytes) return;
      const most = advisoryLimits.fileBytes;
      throw new RebootlessError("input/too-large", `${quoted(file)} has ${size} bytes; an advisory may have ${most}.`);
    },
  });
  return readAdvisory(bytes, file);
}

const advisoryImport: CommandSpec = {
  name: "advisory import",
  summary: "keep what advisories say (CSAF 2.0, OSV)",
  description:
    "It is shown beside what authors and publishers signed, with its source, and never in its place. A newer version of a document takes the place of the older one.",
  arguments: [{ name: "<file...>", description: "CSAF 2.0 or OSV documents" }],
  options: [...serverOptions, dryRunOption],
  examples: [
    { command: "rebootless advisory import rhsa-2026_1234.json GHSA-9c47-m6qq-7p4h.json", what: "of both kinds" },
  ],
  async run(input, io) {
    const notes: AdvisoryNote[] = [];
    for (const file of input.arguments) notes.push(...(await notesIn(file, io)));
    for (const { id, doubts } of notes) for (const doubt of doubts) io.warn(`${printable(id)}: ${printable(doubt)}`);
    const dryRun = input.options.dryRun === true;
    let [kept, unchanged] = [0, 0];
    for (let from = 0; from < notes.length && !dryRun; from += notesAtOnce) {
      const items = notes.slice(from, from + notesAtOnce);
      const answer = await ask(serverOf(input, io), "importAdvisories", { body: { items } });
      kept += answer.kept;
      unchanged += answer.unchanged;
    }
    const what = dryRun ? `Would keep ${notes.length}.` : `Kept: ${kept}. Known already: ${unchanged}.`;
    const lines = notes.slice(0, 50).flatMap(noteLines).map(printable);
    return { data: { dryRun, kept, unchanged, notes }, text: [...lines, what].join("\n") };
  },
};

const advisoryList: CommandSpec = {
  name: "advisory list",
  summary: "list what imported advisories say",
  arguments: [{ name: "[id]", description: "only of this hole, such as CVE-2026-0001" }],
  options: serverOptions,
  examples: [{ command: "rebootless advisory list CVE-2022-46175", what: "who says what of a hole" }],
  async run(input, io) {
    const server = serverOf(input, io);
    const [id] = input.arguments;
    const wanted = id === undefined ? {} : { id };
    const items = await askAll((cursor) =>
      ask(server, "listAdvisories", { query: { ...pageQuery(cursor).query, ...wanted } }),
    );
    const lines = items.flatMap(({ note }) => noteLines(note)).map(printable);
    return { data: { items }, text: lines.length === 0 ? "No advisory was imported." : lines.join("\n") };
  },
};

export const advisoryCommands: readonly CommandSpec[] = [advisoryImport, advisoryList];
