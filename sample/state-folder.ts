/**
 * The folder in which `npm start` keeps what the next start goes on from: keys, catalog, server, agent, hotpatch.
 */

import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import path from "node:path";
import { createFolder } from "../src/base/stored-file.ts";

/** XDG Base Directory Specification, XDG_STATE_HOME; relative paths there are to be ignored. */
export function defaultStateFolder(env: NodeJS.ProcessEnv): string {
  const given = env.XDG_STATE_HOME;
  const base = given !== undefined && path.isAbsolute(given) ? given : path.join(homedir(), ".local", "state");
  return path.join(base, "rebootless", "start");
}

/** The folder cannot be used; the message says what to do. */
export class StateFolderError extends Error {}

export class StateFolder {
  readonly root: string;
  /** For files of this start alone; goes with `close`. */
  readonly temporary: string;
  readonly authorKey: string;
  readonly authorPublicKey: string;
  readonly catalogKeys: string;
  readonly catalog: string;
  readonly server: string;
  readonly agent: string;
  readonly trusted: string;
  readonly hotpatch: string;
  readonly #port: string;

  private constructor(root: string, temporary: string) {
    const at = (...parts: string[]) => path.join(root, ...parts);
    this.root = root;
    this.temporary = temporary;
    this.authorKey = at("keys", "author.key");
    this.authorPublicKey = at("keys", "author.pub");
    this.catalogKeys = at("catalog-keys");
    this.catalog = at("catalog");
    this.server = at("server");
    this.agent = at("agent");
    this.trusted = at("trusted");
    this.hotpatch = at("json5.hotpatch");
    this.#port = at("port");
  }

  /** Makes it where it is missing. Throws `StateFolderError`. */
  static async open(root: string): Promise<StateFolder> {
    try {
      await createFolder(root, 0o700);
      // Keys lie in it, whatever the umask was when it was made.
      chmodSync(root, 0o700);
      return new StateFolder(root, mkdtempSync(path.join(root, "run-")));
    } catch (error) {
      const { message } = error as Error;
      throw new StateFolderError(`${message} Or name another folder for the state with --state FOLDER.`, {
        cause: error,
      });
    }
  }

  has(file: string): boolean {
    return existsSync(file);
  }

  get firstRoot(): string {
    return path.join(this.catalog, "public", "metadata", "1.root.json");
  }

  get isPublished(): boolean {
    return existsSync(path.join(this.catalog, "public", "metadata", "timestamp.json"));
  }

  get isEnrolled(): boolean {
    return existsSync(this.#identity);
  }

  /** Of this machine, once it is enrolled. */
  get deviceId(): string {
    return (JSON.parse(readFileSync(this.#identity, "utf8")) as { deviceId: string }).deviceId;
  }

  get #identity(): string {
    return path.join(this.agent, "identity.json");
  }

  /** Where the agent was told that the server is; undefined before the first start. */
  get port(): number | undefined {
    return existsSync(this.#port) ? Number(readFileSync(this.#port, "utf8")) : undefined;
  }

  keepPort(port: number): void {
    writeFileSync(this.#port, `${port}\n`, { flush: true });
  }

  close(): void {
    rmSync(this.temporary, { recursive: true, force: true });
  }
}
