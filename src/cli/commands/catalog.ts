/** `rebootless catalog …`: what a machine gets from a catalog, verified. */
import { createHash } from "node:crypto";
import { homedir } from "node:os";
import path from "node:path";
import { RebootlessError } from "../../base/errors.ts";
import { printable } from "../../base/printable.ts";
import { readRegularFile } from "../../base/stored-file.ts";
import { catalogLimits } from "../../repository/catalog-limits.ts";
import { CatalogClient, type CatalogHotpatch, catalogAddress } from "../../repository/client/catalog-client.ts";
import type { CommandInput, CommandIo, CommandOption, CommandSpec } from "../command.ts";
import { text } from "../option-values.ts";

const fromOptions: readonly CommandOption[] = [
  { flags: "--from <address>", description: "the catalog: an http(s) address, or a folder that holds a copy of it" },
  {
    flags: "--root <file>",
    description: "the root metadata file that the catalog's owner handed over; needed the first time",
  },
  {
    flags: "--state <folder>",
    description:
      "where the metadata that is trusted is kept (by default a folder for each address under /var/lib/rebootless/catalogs for root, ~/.local/state/rebootless/catalogs for others)",
  },
];

const catalogList: CommandSpec = {
  name: "catalog list",
  summary: "list the hotpatches of a catalog",
  description: "The catalog is brought up to date and verified first; one that cannot be proven is refused.",
  options: fromOptions,
  examples: [
    { command: "rebootless catalog list --from https://patches.example/ --root 1.root.json", what: "the first time" },
    { command: "rebootless catalog list --from https://patches.example/", what: "from then on" },
  ],
  async run(input, io) {
    const hotpatches = await (await clientOf(input, io)).hotpatches();
    const lines = hotpatches.length === 0 ? ["The catalog lists no hotpatch."] : hotpatches.map(describe);
    return { data: { hotpatches }, text: lines.join("\n") };
  },
};

export const catalogGet: CommandSpec = {
  name: "catalog get",
  summary: "download a hotpatch from a catalog",
  description:
    "The file is verified against the catalog before it appears. Who built the hotpatch is checked when it is applied.",
  arguments: [{ name: "<id>", description: "the id of the hotpatch, as `rebootless catalog list` shows it" }],
  options: [
    ...fromOptions,
    { flags: "-o, --output <file>", description: "the file to write (by default ID.hotpatch)" },
  ],
  examples: [
    {
      command: "rebootless catalog get npm-lodash-4.17.20-to-4.17.21 --from https://patches.example/",
      what: "for `rebootless apply` on a machine that has no network",
    },
  ],
  async run(input, io) {
    const [id = ""] = input.arguments;
    const client = await clientOf(input, io);
    const name = text(input, "output") ?? `${path.basename(id)}.hotpatch`;
    const file = path.resolve(io.cwd, name);
    const hotpatch = await client.download(id, file);
    return { data: { ...hotpatch, file }, text: `${describe(hotpatch)}\nWritten to ${printable(file)}.` };
  },
};

export const catalogCommands: readonly CommandSpec[] = [catalogList, catalogGet];

function describe({ path: name, sizeBytes, facts }: CatalogHotpatch): string {
  if (facts === undefined) return `${printable(name)}  ${sizeBytes} bytes`;
  const closes = facts.advisories.map(({ id }) => printable(id)).join(", ");
  return `${printable(facts.id)}  ${printable(facts.title)}  ${closes === "" ? "no advisory" : closes}`;
}

async function clientOf(input: CommandInput, io: CommandIo): Promise<CatalogClient> {
  const from = text(input, "from");
  if (from === undefined) throw new RebootlessError("usage/arguments", "Say where the catalog is: --from ADDRESS.");
  const address = catalogAddress(from, io.cwd);
  const root = text(input, "root");
  const given = text(input, "state");
  const stateFolder = given === undefined ? defaultStateFolder(address, io) : path.resolve(io.cwd, given);
  return new CatalogClient({
    address,
    stateFolder,
    ...(root === undefined ? {} : { firstRoot: await readRoot(path.resolve(io.cwd, root)) }),
  });
}

async function readRoot(file: string): Promise<Buffer> {
  return await readRegularFile(file, {
    what: "root metadata",
    check: ({ size }) => {
      if (size <= catalogLimits.rootBytes) return;
      throw new RebootlessError(
        "input/too-large",
        `A root metadata file has at most ${catalogLimits.rootBytes} bytes, and this one ${size}.`,
      );
    },
  });
}

/** XDG Base Directory Specification, XDG_STATE_HOME; root's folder depends on no variable of the user who became root. */
function defaultStateFolder(address: URL, { env }: CommandIo): string {
  const name = createHash("sha256").update(address.href).digest("hex").slice(0, 32);
  if (process.geteuid?.() === 0) return path.join("/var/lib/rebootless/catalogs", name);
  const home = env.HOME !== undefined && path.isAbsolute(env.HOME) ? env.HOME : homedir();
  const given = env.XDG_STATE_HOME;
  const state = given !== undefined && path.isAbsolute(given) ? given : path.join(home, ".local", "state");
  return path.join(state, "rebootless", "catalogs", name);
}
