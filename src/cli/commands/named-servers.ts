/** `rebootless server add|list|remove`: servers elsewhere that commands ask by name. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { RebootlessError } from "../../base/errors.ts";
import { quoted } from "../../base/printable.ts";
import { RefusalError } from "../../base/refusal.ts";
import type { CommandInput, CommandIo, CommandSpec } from "../command.ts";
import { text } from "../option-values.ts";
import { ask } from "../server-client.ts";
import { checkName, forgetServer, listServers, readServer, writeServer } from "../server-target.ts";
import { readLink, signInByLink } from "../sign-in-link.ts";
import { textTable } from "../text-table.ts";

const nameArgument = { name: "<name>", description: "what you call the server" };
const linkBytes = 4096;

/** Never from the command line, which every user of the machine can read. */
async function linkText(input: CommandInput, io: CommandIo): Promise<string> {
  const file = text(input, "linkFile");
  if (file === undefined) {
    const given = io.env.REBOOTLESS_SIGN_IN_LINK ?? "";
    if (given !== "") return given.trim();
    throw new RebootlessError(
      "usage/arguments",
      "Give the sign-in link by --link-file, where - is standard input, or in REBOOTLESS_SIGN_IN_LINK.",
    );
  }
  if (file !== "-") return fromFile(path.resolve(io.cwd, file));
  let given = "";
  for await (const piece of process.stdin.setEncoding("utf8")) {
    given += piece;
    if (given.length > linkBytes || given.includes("\n")) break;
  }
  return given.split("\n")[0]?.trim() ?? "";
}

function fromFile(file: string): string {
  try {
    return readFileSync(file, "utf8").split("\n")[0]?.trim() ?? "";
  } catch (error) {
    throw new RebootlessError("input/file-missing", `The file ${quoted(file)} cannot be read.`, { cause: error });
  }
}

const serverAdd: CommandSpec = {
  name: "server add",
  summary: "sign in to a server elsewhere, and give it a name",
  description:
    "Takes a link that `rebootless server sign-in-link --for-command` printed on that server. Its authority is pinned: no other server is believed under this name. A name that is there already is replaced.",
  arguments: [nameArgument],
  options: [{ flags: "--link-file <file>", description: "the file with the link, - for standard input" }],
  examples: [
    { command: "rebootless server add prod --link-file -", what: "paste the link, and press Enter" },
    { command: "rebootless device list --server prod", what: "what it is for" },
  ],
  async run(input, io) {
    const name = checkName(input.arguments[0] ?? "");
    const server = await signInByLink(name, readLink(await linkText(input, io)));
    await writeServer(server, io);
    const { address, expiresAt } = server;
    return { data: { name, address, expiresAt }, text: `Signed in to ${name} (${address}), until ${expiresAt}.` };
  },
};

const serverList: CommandSpec = {
  name: "server list",
  summary: "list the servers that have a name here",
  options: [],
  examples: [{ command: "rebootless server list", what: "names, addresses, and until when you are signed in" }],
  async run(_input, io) {
    const servers = listServers(io).map(({ name, address, expiresAt }) => ({ name, address, expiresAt }));
    const rows = servers.map(({ name, address, expiresAt }) => [name, address, expiresAt]);
    const table = textTable(["NAME", "ADDRESS", "SIGNED IN UNTIL"], rows);
    return { data: { servers }, text: rows.length === 0 ? "No server has a name here." : table };
  },
};

const serverRemove: CommandSpec = {
  name: "server remove",
  summary: "sign out of a named server, and forget it",
  arguments: [nameArgument],
  options: [],
  examples: [{ command: "rebootless server remove prod", what: "end the session there" }],
  async run(input, io) {
    const server = readServer(input.arguments[0] ?? "", io);
    const signedOut = await signOut(server, io);
    forgetServer(server.name, io);
    return { data: { name: server.name, removed: true, signedOut }, text: `Removed: ${server.name}.` };
  },
};

/** A session that has ended already is as good; one that cannot be ended now ends by itself. */
async function signOut(server: ReturnType<typeof readServer>, io: CommandIo): Promise<boolean> {
  try {
    await ask(server, "signOut");
    return true;
  } catch (error) {
    if (error instanceof RefusalError) return false;
    if (!(error instanceof RebootlessError)) throw error;
    io.warn(`The session could not be ended on the server; it ends by itself on ${server.expiresAt}. ${error.message}`);
    return false;
  }
}

export const namedServerCommands: readonly CommandSpec[] = [serverAdd, serverList, serverRemove];
