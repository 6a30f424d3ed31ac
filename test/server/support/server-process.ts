/** A server as a process of its own, which can be killed and started again on the port that it had. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import type { Shop } from "../../repository/support/shop.ts";
import { databaseEnvironment } from "./postgres-cluster.ts";

const main = path.resolve(import.meta.dirname, "../../../src/cli/main.ts");

export interface ServerProcessOptions {
  /** The catalog that it follows. */
  readonly shop?: Shop | undefined;
  /** More words of the command. */
  readonly words?: readonly string[];
  /** The address of its PostgreSQL; that of the run of the tests otherwise, if there is one. */
  readonly database?: string;
}

export class ServerProcess {
  readonly state: string;
  address = "";
  /** Whether it listens, as far as we know. */
  isUp = false;
  readonly #options: ServerProcessOptions;
  #child: ChildProcess | undefined;
  #port = "0";

  constructor(state: string, options: ServerProcessOptions = {}) {
    this.state = state;
    this.#options = options;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  async start(): Promise<void> {
    const { shop, words = [], database } = this.#options;
    const databases =
      database === undefined ? await databaseEnvironment(this.state) : { REBOOTLESS_DATABASE: database };
    const all = ["server", "run", "--state", this.state, "--port", this.#port, ...catalogWords(shop), ...words];
    const child = spawn(process.execPath, [main, ...all], {
      env: { ...process.env, ...databases },
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.#child = child;
    let said = "";
    await new Promise<void>((resolve, reject) => {
      child.stderr.on("data", (chunk: Buffer) => {
        if (this.isUp) return;
        said += chunk.toString("utf8");
        const address = /Listening on (https:\S+),/.exec(said)?.[1];
        if (address === undefined) return;
        this.address = address;
        // The port that it has once it keeps, so that agents find it again.
        this.#port = new URL(address).port;
        this.isUp = true;
        resolve();
      });
      child.once("exit", () => reject(new Error(`the server ended: ${said}`)));
    });
  }

  async end(signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<void> {
    this.isUp = false;
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill(signal);
    await exited;
  }
}

function catalogWords(shop: Shop | undefined): string[] {
  if (shop === undefined) return [];
  const { publicFolder, metadataFolder } = shop.repository;
  return ["--catalog", publicFolder, "--catalog-root", path.join(metadataFolder, "1.root.json")];
}
