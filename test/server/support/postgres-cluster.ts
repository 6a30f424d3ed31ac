/**
 * A PostgreSQL of a test's own: a cluster in a temporary folder, reached over a unix socket alone, and a database for each test.
 *
 * PostgreSQL refuses to run as root, so root runs it as the user that Debian's package makes.
 * A run of many test files shares one cluster through the environment (`sharedCluster`).
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { chownSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";

const installed = "/usr/lib/postgresql";
/** Holds the folder of the socket of a cluster that is there already. */
export const sharedCluster = "REBOOTLESS_TEST_POSTGRES";
const owner = "tester";

/** Where Debian's package has its programs; undefined where it is not installed. */
export function programsFolder(): string | undefined {
  try {
    const [newest] = readdirSync(installed)
      .filter((name) => /^\d+$/.test(name))
      .sort((left, right) => Number(right) - Number(left));
    return newest === undefined ? undefined : path.join(installed, newest, "bin");
  } catch {
    // There is no such folder.
    return undefined;
  }
}

/** For the `skip` of a test. */
export const withoutPostgres = programsFolder() === undefined ? "PostgreSQL is not installed" : false;

interface User {
  readonly uid?: number;
  readonly gid?: number;
}

function ordinaryUser(): User {
  if (process.geteuid?.() !== 0) return {};
  const id = (flag: string) => Number(spawnSync("id", [flag, "postgres"], { encoding: "utf8" }).stdout);
  return { uid: id("-u"), gid: id("-g") };
}

export interface Cluster {
  /** The folder of its socket. */
  readonly socket: string;
  /** The address of a database of that name. */
  address(database: string): string;
  /** `immediate` is as if the machine had lost its power. */
  stop(how?: "fast" | "immediate"): Promise<void>;
  start(port?: number): Promise<void>;
}

export class OwnCluster implements Cluster {
  readonly socket: string;
  readonly #user = ordinaryUser();
  readonly #settings: readonly string[];
  #child: ChildProcess | undefined;

  constructor(settings: readonly string[] = []) {
    this.socket = mkdtempSync(path.join(tmpdir(), "rebootless-postgres-"));
    this.#settings = settings;
    if (this.#user.uid !== undefined) chownSync(this.socket, this.#user.uid, this.#user.gid ?? 0);
    const words = ["-D", this.data, "-U", owner, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"];
    const { status, stderr } = spawnSync(this.#program("initdb"), words, { ...this.#user, encoding: "utf8" });
    assert.equal(status, 0, stderr);
  }

  /** Of the process that all others of the cluster are children of. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  get data(): string {
    return path.join(this.socket, "data");
  }

  #program(name: string): string {
    return path.join(programsFolder() ?? installed, name);
  }

  address(database: string): string {
    return `postgres://${owner}@/${database}?host=${encodeURIComponent(this.socket)}`;
  }

  /** It syncs as it does for users, so that what is measured is true. */
  async start(port = 5432): Promise<void> {
    const settings = [`unix_socket_directories=${this.socket}`, "listen_addresses=", "max_connections=200"];
    const words = [...settings, ...this.#settings].flatMap((setting) => ["-c", setting]);
    const child = spawn(this.#program("postgres"), ["-D", this.data, ...words], {
      ...this.#user,
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.#child = child;
    let said = "";
    child.stderr.on("data", (chunk: Buffer) => {
      said = `${said}${chunk.toString("utf8")}`.slice(-4000);
    });
    for (;;) {
      assert.ok(child.exitCode === null && child.signalCode === null, `PostgreSQL ended: ${said}`);
      if (await answers(`${this.address("postgres")}&port=${port}`)) return;
      await delay(50);
    }
  }

  async stop(how: "fast" | "immediate" = "fast"): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    // As pg_ctl says it (PostgreSQL documentation, section 19.5).
    child.kill(how === "fast" ? "SIGINT" : "SIGQUIT");
    await exited;
  }

  async remove(): Promise<void> {
    await this.stop("immediate");
    rmSync(this.socket, { recursive: true, force: true });
  }
}

async function answers(address: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: address });
  client.on("error", () => undefined);
  try {
    await client.connect();
    return true;
  } catch {
    // Not yet.
    return false;
  } finally {
    await client.end();
  }
}

/** A cluster of this test's own, which it may stop and start. */
export async function openCluster(t: TestContext, settings: readonly string[] = []): Promise<OwnCluster> {
  const cluster = new OwnCluster(settings);
  t.after(() => cluster.remove());
  await cluster.start();
  return cluster;
}

/** A database with nothing in it, and its address. */
export async function newDatabase(cluster: Pick<Cluster, "address">): Promise<string> {
  const name = `test_${randomBytes(8).toString("hex")}`;
  await inDatabase(cluster.address("postgres"), (client) => client.query(`CREATE DATABASE ${name}`));
  return cluster.address(name);
}

export async function inDatabase<Result>(
  address: string,
  work: (client: pg.Client) => Promise<Result>,
): Promise<Result> {
  const client = new pg.Client({ connectionString: address });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** Where this run of the tests has its databases: undefined for SQLite. */
export function clusterOfRun(): Pick<Cluster, "address"> | undefined {
  const socket = process.env[sharedCluster];
  if (socket === undefined || socket === "") return undefined;
  return { address: (database) => `postgres://${owner}@/${database}?host=${encodeURIComponent(socket)}` };
}

const databases = new Map<string, Promise<string>>();

/** What tells the server of a state folder, as a process of its own, of its database in this run: always the same one. */
export async function databaseEnvironment(state: string): Promise<NodeJS.ProcessEnv> {
  const cluster = clusterOfRun();
  if (cluster === undefined) return {};
  const address = databases.get(state) ?? newDatabase(cluster);
  databases.set(state, address);
  return { REBOOTLESS_DATABASE: await address };
}
