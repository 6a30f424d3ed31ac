/** The hotpatches that can be approved: those that the catalog lists, verified as any client verifies them. */
import type { Baseline, Withdrawal } from "../../api/schemas/catalog.ts";
import type { Trust } from "../../api/schemas/enrolment.ts";
import type { Hotpatch } from "../../api/schemas/hotpatches.ts";
import { RebootlessError } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import { quoted } from "../../base/printable.ts";
import { refuse } from "../../base/refusal.ts";
import { publicKeyPem } from "../../hotpatch/key.ts";
import { loadTrustStore } from "../../hotpatch/trust-store.ts";
import { catalogLimits } from "../../repository/catalog-limits.ts";
import type { CatalogClient } from "../../repository/client/catalog-client.ts";
import { catalogFolders, hotpatchFolder } from "../../repository/layout.ts";
import { shownBaseline, shownHotpatch, shownWithdrawal } from "./shown-entries.ts";

/** For how long a verified list is shown again without another look, in milliseconds. */
const freshMs = 2_000;

/** Everything that the catalog lists, by id. */
export interface CatalogContent {
  readonly hotpatches: readonly Hotpatch[];
  readonly baselines: readonly Baseline[];
  readonly withdrawn: readonly Withdrawal[];
  /** A content with a lower one is an older one. */
  readonly version: number;
}

export class Catalog {
  readonly #client: CatalogClient;
  readonly #clock: () => Date;
  #list: { at: number; content: Promise<CatalogContent> } | undefined;
  #follow: (content: CatalogContent) => Promise<void> = async () => {};

  constructor(client: CatalogClient, clock: () => Date) {
    this.#client = client;
    this.#clock = clock;
  }

  /** Has `follow` see each content before anybody else does. */
  followedBy(follow: (content: CatalogContent) => Promise<void>): void {
    this.#follow = follow;
  }

  /** Refuses with a `catalog/*` code, and throws as CatalogClient.listing does. Not to be called in a transaction. */
  async content(): Promise<CatalogContent> {
    const now = this.#clock().getTime();
    if (this.#list === undefined || Math.abs(now - this.#list.at) > freshMs) {
      const list = { at: now, content: this.#read() };
      this.#list = list;
      // A refusal must not be shown again as if it were news.
      list.content.catch(() => {
        if (this.#list === list) this.#list = undefined;
      });
    }
    return await this.#list.content;
  }

  /** As `content`, and read anew where it lacks the hotpatch: it may have been published since. */
  async contentWith(hotpatchId: string): Promise<CatalogContent> {
    const content = await this.content();
    if (content.hotpatches.some(({ id }) => id === hotpatchId)) return content;
    this.#list = undefined;
    return await this.content();
  }

  /** As `content`. */
  async hotpatches(): Promise<readonly Hotpatch[]> {
    return (await this.content()).hotpatches;
  }

  /** The same with its content as it is now, which may then be asked in a transaction. As `content`. */
  async asRead(hotpatchId?: string): Promise<Catalog> {
    const content = hotpatchId === undefined ? await this.content() : await this.contentWith(hotpatchId);
    return new ReadCatalog(this.#client, this.#clock, content);
  }

  /** As CatalogClient.trustedRoot. */
  async trustedRoot(): Promise<string | undefined> {
    const bytes = await this.#client.trustedRoot();
    return bytes === undefined ? undefined : Buffer.from(bytes).toString("utf8");
  }

  /** As CatalogClient.publicFile. */
  async publicFile(name: string, maxBytes: number): Promise<AsyncGenerator<Uint8Array> | undefined> {
    return await this.#client.publicFile(name, maxBytes);
  }

  async #read(): Promise<CatalogContent> {
    const { hotpatches, baselines, withdrawn, version } = await this.#client.listing();
    const content = {
      hotpatches: hotpatches.flatMap(shownHotpatch).sort(byId),
      baselines: baselines.map(shownBaseline).sort(byId),
      withdrawn: withdrawn.map(shownWithdrawal).sort(byId),
      version,
    };
    await this.#follow(content);
    return content;
  }
}

class ReadCatalog extends Catalog {
  readonly #content: CatalogContent;

  constructor(client: CatalogClient, clock: () => Date, content: CatalogContent) {
    super(client, clock);
    this.#content = content;
  }

  override async content(): Promise<CatalogContent> {
    return this.#content;
  }
}

function byId(left: { readonly id: string }, right: { readonly id: string }): number {
  return left.id < right.id ? -1 : 1;
}

/** Refuses with `server/no-catalog`. */
export function requireCatalog(catalog: Catalog | undefined): Catalog {
  if (catalog === undefined) {
    refuse("server/no-catalog", "This server follows no catalog; start it with --catalog and --catalog-root.");
  }
  return catalog;
}

/**
 * What a machine pins at its enrolment.
 * The authors' keys are those that the administrator entrusted when he started the server; a hotpatch of anybody else is refused on the machine.
 */
export async function trustFor(catalog: Catalog | undefined, trustFolder: string): Promise<Trust> {
  const store = await loadTrustStore(trustFolder);
  const authorKeys = [...store.keys.values()].map(({ publicKey }) => publicKeyPem(publicKey));
  return { catalogRoot: (await catalog?.trustedRoot()) ?? null, authorKeys };
}

/** A metadata file of the catalog, for an agent. Refuses as `requireCatalog`; throws `request/not-found`, and as CatalogClient.publicFile. */
export async function metadataFile(catalog: Catalog | undefined, file: string): Promise<AsyncGenerator<Uint8Array>> {
  const role = file.replace(/^\d+\./, "").replace(/\.json$/, "");
  const bounds: Readonly<Record<string, number>> = {
    root: catalogLimits.rootBytes,
    timestamp: catalogLimits.timestampBytes,
    snapshot: catalogLimits.snapshotBytes,
  };
  return await fileOf(catalog, `${catalogFolders.metadata}/${file}`, bounds[role] ?? catalogLimits.targetsBytes);
}

/** A hotpatch of the catalog, for an agent; as `metadataFile`. */
export async function hotpatchFile(catalog: Catalog | undefined, file: string): Promise<AsyncGenerator<Uint8Array>> {
  return await fileOf(catalog, `${catalogFolders.targets}/${hotpatchFolder}/${file}`, limits.hotpatchBytes);
}

async function fileOf(catalog: Catalog | undefined, name: string, maxBytes: number) {
  const pieces = await requireCatalog(catalog).publicFile(name, maxBytes);
  if (pieces === undefined) throw new RebootlessError("request/not-found", `The catalog has no file ${name}.`);
  return pieces;
}

/** Refuses with `catalog/hotpatch-unknown` or `catalog/withdrawn`, and as `Catalog.content`. */
export async function requireHotpatch(catalog: Catalog | undefined, hotpatchId: string): Promise<Hotpatch> {
  const { hotpatches, withdrawn } = await requireCatalog(catalog).contentWith(hotpatchId);
  const found = hotpatches.find(({ id }) => id === hotpatchId);
  if (found !== undefined) return found;
  const note = withdrawn.find(({ kind, id }) => kind === "hotpatch" && id === hotpatchId);
  if (note !== undefined) {
    const { at, reason } = note;
    refuse("catalog/withdrawn", `${hotpatchId} was withdrawn on ${at}: ${quoted(reason)}`, {
      id: hotpatchId,
      at,
      reason,
    });
  }
  refuse("catalog/hotpatch-unknown", `The catalog lists no hotpatch ${hotpatchId}; see \`rebootless hotpatch list\`.`, {
    id: hotpatchId,
  });
}
