/**
 * The address of a PostgreSQL database: `postgres://USER@HOST/DATABASE?sslmode=verify-full&sslrootcert=FILE`, read as `pg` reads it.
 *
 * Invariant: what is shown or logged of an address never has its password.
 */
import type { ClientConfig } from "pg";
import { parse, toClientConfig } from "pg-connection-string";
import { RebootlessError } from "../../base/errors.ts";

export interface PostgresAddress {
  readonly config: ClientConfig;
  /** Host and database, for messages. */
  readonly shown: string;
  readonly hasPassword: boolean;
  /** The schema of a tenant; otherwise that which the search path of the role begins with. */
  readonly schema?: string;
}

/**
 * Each `sslmode` but `disable` checks the certificate and the name of the database's server; with `uselibpqcompat=true` they mean what libpq means.
 * Throws `usage/arguments`.
 */
export function postgresAddress(given: string): PostgresAddress {
  if (!/^postgres(ql)?:\/\//.test(given)) throw wrong("it has to begin with postgres://");
  try {
    const compatible = /[?&]uselibpqcompat=true(&|$)/.test(given);
    const strict = compatible
      ? given
      : given.replace(/([?&]sslmode=)(prefer|require|verify-ca)(?=&|$)/, "$1verify-full");
    const options = parse(strict);
    const config = toClientConfig(options);
    if (!config.database) throw wrong("it names no database behind the host");
    // Where pg finds neither, it tries a local socket or the loopback address.
    const shown = `${config.host || "localhost"}/${config.database}`;
    return { config, shown, hasPassword: Boolean(config.password) };
  } catch (error) {
    if (error instanceof RebootlessError) throw error;
    // The cause may have the address in it, and with it the password; a missing file is what a person can mend.
    const missing = /ENOENT|EACCES/.test(String(error))
      ? "a certificate file that it names cannot be read"
      : "it is no URL";
    throw wrong(missing);
  }
}

function wrong(why: string): RebootlessError {
  return new RebootlessError("usage/arguments", `The address of the database cannot be used: ${why}.`);
}
