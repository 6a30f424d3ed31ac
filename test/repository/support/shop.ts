/** A repository of a test with its keys and its clock, and clients that follow it. */
import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { TestContext } from "node:test";
import { Updater } from "tuf-js";
import type { Refusal } from "../../../src/base/refusal.ts";
import { encodeHotpatch } from "../../../src/hotpatch/container.ts";
import { openHotpatch } from "../../../src/hotpatch/open-hotpatch.ts";
import type { Baseline } from "../../../src/repository/baseline.ts";
import type { CatalogLimits } from "../../../src/repository/catalog-limits.ts";
import { CatalogClient, catalogAddress } from "../../../src/repository/client/catalog-client.ts";
import { hotpatchPath, type RoleName } from "../../../src/repository/layout.ts";
import { type Release, type ReleaseStage, silentRelease } from "../../../src/repository/release-facts.ts";
import { type InitOptions, initRepository } from "../../../src/repository/writer/init.ts";
import { publish, stageHotpatch } from "../../../src/repository/writer/publish.ts";
import { renew } from "../../../src/repository/writer/renew.ts";
import { defaultExpiryDays, repositoryFolder } from "../../../src/repository/writer/repository-folder.ts";
import { type RotateOptions, rotateKey } from "../../../src/repository/writer/rotate-key.ts";
import { stageBaseline } from "../../../src/repository/writer/staged-baselines.ts";
import { Keyring } from "../../../src/repository/writer/tuf-keys.ts";
import { restage, withdraw } from "../../../src/repository/writer/withdraw.ts";
import { newKey, refusalOfAsync, sampleHotpatch, trusting } from "../../hotpatch/support/sample.ts";
import { filesOf, serve } from "./mirror-server.ts";

const author = newKey();

/** A signed hotpatch of that id. */
export function hotpatchBytes(id: string, sequence = 1, supersedes: string[] = []): Buffer {
  const { manifest, payloads } = sampleHotpatch();
  return encodeHotpatch({ manifest: { ...manifest, id, sequence, supersedes }, payloads }, [author.signer]);
}

export class Shop {
  readonly folder: string;
  readonly keys: string;
  readonly repository: ReturnType<typeof repositoryFolder>;
  /** What the writer takes for the present. */
  now = new Date();
  readonly #test: TestContext;
  #served: string | undefined;

  constructor(folder: string, test: TestContext) {
    this.#test = test;
    this.folder = folder;
    this.keys = path.join(folder, "keys");
    this.repository = repositoryFolder(path.join(folder, "repo"));
  }

  /** The same test's shop in another folder. */
  elsewhere(folder: string): Shop {
    return new Shop(folder, this.#test);
  }

  async init(options: Partial<InitOptions> = {}): Promise<void> {
    const one = { keys: 1, threshold: 1 };
    await initRepository(this.repository, {
      now: this.now,
      dryRun: false,
      keyFolder: this.keys,
      passphrase: undefined,
      sizes: { root: one, targets: one, publishers: one },
      publisherKeys: [],
      expiryDays: defaultExpiryDays,
      ...options,
    });
  }

  async keyring(): Promise<Keyring> {
    return await Keyring.open([this.keys], undefined);
  }

  async add(id: string, sequence = 1, release?: Release): Promise<string> {
    const bytes = hotpatchBytes(id, sequence);
    const opened = openHotpatch(bytes, trusting(author), { allowUnsigned: false });
    const said = release === undefined ? {} : { release };
    return await stageHotpatch(this.repository, bytes, opened, { dryRun: false, ...said });
  }

  async addSuperseding(id: string, supersedes: string[]): Promise<string> {
    const bytes = hotpatchBytes(id, 2, supersedes);
    const opened = openHotpatch(bytes, trusting(author), { allowUnsigned: false });
    return await stageHotpatch(this.repository, bytes, opened, { dryRun: false });
  }

  async addBaseline(baseline: Baseline): Promise<string> {
    return await stageBaseline(this.repository, baseline, { dryRun: false });
  }

  async withdraw(id: string, reason: string): Promise<void> {
    await withdraw(this.repository, { now: this.now, dryRun: false, keyring: await this.keyring(), id, reason });
  }

  async stage(id: string, stage: ReleaseStage): Promise<void> {
    const otherwise = silentRelease("2026-11");
    await restage(this.repository, {
      now: this.now,
      dryRun: false,
      keyring: await this.keyring(),
      id,
      stage,
      otherwise,
    });
  }

  async publish(...ids: readonly string[]): Promise<readonly string[]> {
    for (const id of ids) await this.add(id);
    const options = { now: this.now, dryRun: false, keyring: await this.keyring() };
    return (await publish(this.repository, options)).published;
  }

  async renew(...roles: readonly RoleName[]): Promise<void> {
    await renew(this.repository, { now: this.now, dryRun: false, roles, keyring: await this.keyring() });
  }

  async rotate(role: RoleName, options: Partial<RotateOptions> = {}): Promise<void> {
    await rotateKey(this.repository, {
      now: this.now,
      dryRun: false,
      role,
      keyring: await this.keyring(),
      passphrase: undefined,
      replace: [],
      keep: false,
      newKeys: [],
      keyFolder: this.keys,
      threshold: undefined,
      oldKeysLost: false,
      ...options,
    });
  }

  /** A copy of what is served at this moment, for a mirror that stays behind or lies. */
  mirror(name: string): string {
    const folder = path.join(this.folder, "mirrors", name);
    rmSync(folder, { recursive: true, force: true });
    cpSync(this.repository.publicFolder, folder, { recursive: true });
    return folder;
  }

  firstRoot(): Buffer {
    return readFileSync(path.join(this.repository.metadataFolder, "1.root.json"));
  }

  /** The project's client; the same name is the same machine. */
  client(
    name: string,
    from: string = this.repository.publicFolder,
    limits: Partial<CatalogLimits> = {},
  ): CatalogClient {
    return new CatalogClient({
      address: catalogAddress(from, this.folder),
      stateFolder: path.join(this.folder, "clients", name),
      firstRoot: this.firstRoot(),
      limits,
    });
  }

  /** tuf-js with nothing of the project, over HTTP; answers the bytes of a hotpatch. */
  async plainClient(name: string, id: string): Promise<Buffer | undefined> {
    const folder = path.join(this.folder, "plain", name);
    mkdirSync(folder, { recursive: true });
    if (!readdirSync(folder).includes("root.json")) writeFileSync(path.join(folder, "root.json"), this.firstRoot());
    this.#served ??= await serve(this.#test, filesOf(this.repository.publicFolder));
    const updater = new Updater({
      metadataDir: folder,
      metadataBaseUrl: `${this.#served}metadata`,
      targetDir: folder,
      targetBaseUrl: `${this.#served}targets`,
    });
    await updater.refresh();
    const target = await updater.getTargetInfo(hotpatchPath(id));
    return target === undefined ? undefined : readFileSync(await updater.downloadTarget(target));
  }
}

export function openShop(test: TestContext): Shop {
  const folder = mkdtempSync(path.join(tmpdir(), "rebootless-catalog-"));
  test.after(() => rmSync(folder, { recursive: true, force: true }));
  return new Shop(folder, test);
}

export async function refusalOfRefresh(client: CatalogClient): Promise<Refusal> {
  return await refusalOfAsync(() => client.refresh());
}

/** What a refusal must be: its code, and words of its own. */
export function assertRefusal(refusal: Refusal, code: Refusal["code"], words: RegExp): void {
  assert.equal(refusal.code, code, refusal.message);
  assert.match(refusal.message, words);
}

export function ids(hotpatches: Awaited<ReturnType<CatalogClient["hotpatches"]>>): string[] {
  return hotpatches.map(({ facts }) => facts?.id ?? "no facts").sort();
}
