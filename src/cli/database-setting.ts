/**
 * Which database the server has: a PostgreSQL by its address, or else the file in its state folder.
 *
 * A password is read from the environment or a file, never from a command line, which every user of the machine can read.
 */
import path from "node:path";
import { RebootlessError } from "../base/errors.ts";
import { readRegularFile } from "../base/stored-file.ts";
import type { CommandInput, CommandIo, CommandOption } from "./command.ts";
import { text } from "./option-values.ts";

export const databaseOptions: readonly CommandOption[] = [
  {
    flags: "--database <address>",
    description:
      "a PostgreSQL, postgres://USER@HOST/DATABASE, instead of a file in the state folder; with a password, give the address in REBOOTLESS_DATABASE or --database-file",
  },
  { flags: "--database-file <file>", description: "a file whose one line is the address of the PostgreSQL" },
];

/** Undefined where nothing names one. Throws `usage/arguments`, or what reading the file may throw. */
export async function databaseOf(input: CommandInput, io: CommandIo): Promise<string | undefined> {
  const [given, file] = [text(input, "database"), text(input, "databaseFile")];
  if (given !== undefined && file !== undefined) {
    throw new RebootlessError("usage/arguments", "--database and --database-file are two ways to say one thing.");
  }
  // Loaded only here: no other command should wait for it.
  const { postgresAddress } = await import("../server/database/postgres-address.ts");
  if (given !== undefined) {
    if (postgresAddress(given).hasPassword) {
      throw new RebootlessError(
        "usage/arguments",
        "A password on a command line can be read by every user of this machine: change it, and give the address in REBOOTLESS_DATABASE or by --database-file.",
      );
    }
    return given;
  }
  const said = file === undefined ? io.env.REBOOTLESS_DATABASE : await lineOf(path.resolve(io.cwd, file));
  if (said === undefined || said === "") return undefined;
  postgresAddress(said);
  return said;
}

async function lineOf(file: string): Promise<string> {
  const bytes = await readRegularFile(file, { what: "database address" });
  return bytes.toString("utf8").trim();
}
