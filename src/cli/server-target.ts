/**
 * Which server a command asks: the one on this machine, by its state folder, or one that `rebootless server add` gave a name.
 *
 * A named server is kept in a file of mode 0600, since the session in it is a credential.
 */
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import path from "node:path";
import type { DryRun } from "../api/schemas/dry-run.ts";
import { RebootlessError } from "../base/errors.ts";
import { quoted } from "../base/printable.ts";
import { createFolder, errnoOf, writeFileAtomically } from "../base/stored-file.ts";
import type { CommandInput, CommandIo, CommandOption } from "./command.ts";

export const stateOption: CommandOption = {
  flags: "--state <folder>",
  description:
    "the server's state folder (or REBOOTLESS_STATE; by default /var/lib/rebootless/server for root, ~/.local/state/rebootless/server for others)",
};

export const tenantOption: CommandOption = {
  flags: "--tenant <name>",
  description: "the server of this tenant, in a state folder of its own below that one (or REBOOTLESS_TENANT)",
};

/** For every command that asks a server. */
export const serverOptions: readonly CommandOption[] = [
  stateOption,
  tenantOption,
  {
    flags: "--server <name>",
    description: "a server elsewhere, by the name that `rebootless server add` gave it (or REBOOTLESS_SERVER)",
  },
  {
    flags: "--token-file <file>",
    description: "with --server: the file of an API token to ask with, instead of a session (or REBOOTLESS_TOKEN)",
  },
];

export interface NamedServer {
  readonly name: string;
  /** Such as `https://patches.example:8443`. */
  readonly address: string;
  /** The certificate of its authority (PEM), which alone is believed. */
  readonly authority: string;
  /** The secret of the session; new when one's own roles were changed in it. */
  session: string;
  readonly expiresAt: string;
  /** An API token, which goes before the session; never kept. */
  readonly token?: string;
  /** Keeps the session's new secret, where the server gave it one. */
  renew?(session: string): Promise<void>;
}

/** A state folder, or a named server. */
export type ServerAddress = string | NamedServer;

/** A server that is asked what it would do, and is left as it is. */
export interface TriedServer {
  readonly tried: ServerAddress;
  /** Takes what each request would do. */
  readonly trial: DryRun[];
}

export type ServerTarget = ServerAddress | TriedServer;

export function isTried(target: ServerTarget): target is TriedServer {
  return typeof target !== "string" && "tried" in target;
}

function stateHome(io: CommandIo): string {
  const home = io.env.XDG_STATE_HOME;
  // XDG Base Directory Specification: relative paths there are to be ignored.
  return home !== undefined && path.isAbsolute(home) ? home : path.join(homedir(), ".local", "state");
}

/** The tenant's where one is named. Throws `usage/arguments`. */
export function stateFolderOf(input: CommandInput, io: CommandIo): string {
  const tenant = tenantOf(input, io);
  const folder = mainFolderOf(input, io);
  return tenant === undefined ? folder : path.join(folder, "tenants", tenant);
}

/** Throws `usage/arguments` for what cannot be a name, and so cannot become a path or a schema either. */
export function tenantOf({ options }: CommandInput, io: CommandIo): string | undefined {
  const tenant = options.tenant ?? io.env.REBOOTLESS_TENANT;
  if (typeof tenant !== "string" || tenant === "") return undefined;
  if (/^[a-z0-9][a-z0-9-]{0,39}$/.test(tenant)) return tenant;
  throw new RebootlessError(
    "usage/arguments",
    `The name of a tenant has up to 40 small letters, digits and hyphens, not ${quoted(tenant)}.`,
  );
}

function mainFolderOf(input: CommandInput, io: CommandIo): string {
  const given = input.options.state ?? io.env.REBOOTLESS_STATE;
  if (typeof given === "string" && given !== "") return path.resolve(io.cwd, given);
  if (process.getuid?.() === 0) return "/var/lib/rebootless/server";
  return path.join(stateHome(io), "rebootless", "server");
}

/** Throws `usage/arguments`, or `server/unknown-name`. */
export function serverOf(input: CommandInput, io: CommandIo): ServerTarget {
  const tried = addressOf(input, io);
  return input.trial === undefined ? tried : { tried, trial: input.trial };
}

function addressOf(input: CommandInput, io: CommandIo): ServerAddress {
  const { state, server, tenant } = input.options;
  if (tenant !== undefined && server !== undefined) {
    throw new RebootlessError(
      "usage/arguments",
      "--tenant is for a server of this machine; a server elsewhere has a name of its own.",
    );
  }
  if (state !== undefined && server !== undefined) {
    throw new RebootlessError("usage/arguments", "--state and --server name two servers; give one of them.");
  }
  // What the command line says goes before what the environment says.
  const name = server ?? (state === undefined && tenant === undefined ? io.env.REBOOTLESS_SERVER : undefined);
  if (typeof name !== "string" || name === "") {
    if (input.options.tokenFile === undefined) return stateFolderOf(input, io);
    throw new RebootlessError("usage/arguments", "--token-file is for a server elsewhere; name it with --server.");
  }
  const token = tokenOf(input, io);
  return token === undefined ? readServer(name, io) : { ...readServer(name, io), token };
}

/**
 * For what belongs to whoever asks, such as his own sessions: on the local socket nobody in particular asks.
 * `instead` says what this command can do there. Throws `usage/arguments`, or `server/unknown-name`.
 */
export function ownServerOf(input: CommandInput, io: CommandIo, instead = ""): ServerTarget {
  const server = serverOf(input, io);
  if (typeof addressOf(input, io) !== "string") return server;
  throw new RebootlessError(
    "usage/arguments",
    `This is for a person who is signed in, and a state folder is nobody's in particular: name the server with --server (\`rebootless server add\` signs in to one${listServers(io).length > 0 ? ", `rebootless server list` has yours" : ""})${instead}.`,
  );
}

/** Never from the command line, which every user of the machine can read. Throws `input/file-missing`, or `usage/arguments`. */
function tokenOf({ options }: CommandInput, io: CommandIo): string | undefined {
  const file = options.tokenFile;
  const given = typeof file === "string" ? firstLine(path.resolve(io.cwd, file)) : (io.env.REBOOTLESS_TOKEN ?? "");
  const token = given.trim();
  if (token === "" && file === undefined) return undefined;
  if (/^rbl_[\w-]{43}$/.test(token)) return token;
  throw new RebootlessError(
    "usage/arguments",
    "That is no API token; it begins with rbl_, and `token create` made it.",
  );
}

function firstLine(file: string): string {
  try {
    return readFileSync(file, "utf8").split("\n")[0] ?? "";
  } catch (error) {
    throw new RebootlessError("input/file-missing", `The file ${quoted(file)} cannot be read.`, { cause: error });
  }
}

function folderOf(io: CommandIo): string {
  return path.join(stateHome(io), "rebootless", "servers");
}

/** Throws `usage/arguments` for what cannot be a name, and so cannot become a path either. */
export function checkName(name: string): string {
  if (/^[a-z0-9][a-z0-9-]{0,62}$/.test(name)) return name;
  throw new RebootlessError(
    "usage/arguments",
    `The name of a server has small letters, digits and hyphens, not ${quoted(name)}.`,
  );
}

export function readServer(name: string, io: CommandIo): NamedServer {
  const file = path.join(folderOf(io), `${checkName(name)}.json`);
  try {
    const server = { ...(JSON.parse(readFileSync(file, "utf8")) as NamedServer), name };
    return { ...server, renew: (session) => writeServer({ ...server, session }, io) };
  } catch (error) {
    const why = errnoOf(error) === "ENOENT" ? `There is no server ${quoted(name)}` : `${quoted(file)} cannot be read`;
    throw new RebootlessError("server/unknown-name", `${why}; \`rebootless server add ${name}\` adds it.`, {
      cause: error,
    });
  }
}

export async function writeServer({ name, ...rest }: NamedServer, io: CommandIo): Promise<void> {
  await createFolder(folderOf(io), 0o700);
  const file = path.join(folderOf(io), `${checkName(name)}.json`);
  await writeFileAtomically(file, `${JSON.stringify(rest)}\n`, { mode: 0o600, replace: true });
}

export function forgetServer(name: string, io: CommandIo): void {
  rmSync(path.join(folderOf(io), `${checkName(name)}.json`), { force: true });
}

/** By name. */
export function listServers(io: CommandIo): readonly NamedServer[] {
  try {
    const names = readdirSync(folderOf(io)).filter((file) => file.endsWith(".json"));
    return names.sort().map((file) => readServer(file.slice(0, -".json".length), io));
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw error;
  }
}
