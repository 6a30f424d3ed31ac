/** The hotpatches that can be approved: those that the catalog lists, verified as any client verifies them. */
import type { Trust } from "../../api/schemas/enrolment.ts";
import type { Hotpatch } from "../../api/schemas/hotpatches.ts";
import { RebootlessError } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import { refuse } from "../../base/refusal.ts";
import { publicKeyPem } from "../../hotpatch/key.ts";
import { loadTrustStore } from "../../hotpatch/trust-store.ts";
import { catalogLimits } from "../../repository/catalog-limits.ts";
import type { CatalogClient, CatalogHotpatch } from "../../repository/client/catalog-client.ts";
import { catalogFolders, hotpatchFolder } from "../../repository/layout.ts";
import { type Page, type PageAsked, pageBounds, pageFrom } from "../database/page.ts";

/** For how long a verified list is shown again without another look, in milliseconds. */
const freshMs = 2_000;

export class Catalog {
  readonly #client: CatalogClient;
  readonly #clock: () => Date;
  #list: { at: number; hotpatches: Promise<Hotpatch[]> } | undefined;

  constructor(client: CatalogClient, clock: () => Date) {
    this.#client = client;
    this.#clock = clock;
  }

  /** By id. Refuses with a `catalog/*` code, and throws as CatalogClient.hotpatches does. */
  async hotpatches(): Promise<Hotpatch[]> {
    const now = this.#clock().getTime();
    if (this.#list === undefined || Math.abs(now - this.#list.at) > freshMs) {
      const list = { at: now, hotpatches: this.#read() };
      this.#list = list;
      // A refusal must not be shown again as if it were news.
      list.hotpatches.catch(() => {
        if (this.#list === list) this.#list = undefined;
      });
    }
    return await this.#list.hotpatches;
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

  async #read(): Promise<Hotpatch[]> {
    const listed = await this.#client.hotpatches();
    return listed.flatMap(shown).sort((left, right) => (left.id < right.id ? -1 : 1));
  }
}

/** A hotpatch without facts that fit the schema cannot be told from another, and is left out. */
function shown({ facts, sizeBytes }: CatalogHotpatch): Hotpatch[] {
  if (facts === undefined) return [];
  const { schema: _, ...rest } = facts;
  return [{ ...rest, sizeBytes }];
}

/** Refuses with `server/no-catalog`. */
export function requireCatalog(catalog: Catalog | undefined): Catalog {
  if (catalog === undefined) {
    refuse("server/no-catalog", "This server follows no catalog; start it with --catalog and --catalog-root.");
  }
  return catalog;
}

export async function listHotpatches(catalog: Catalog | undefined, asked: PageAsked): Promise<Page<Hotpatch>> {
  const { after, rows } = pageBounds(asked);
  const all = await requireCatalog(catalog).hotpatches();
  return pageFrom(all.filter(({ id }) => id > after).slice(0, rows), asked, (hotpatch) => hotpatch);
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

/** Refuses with `catalog/hotpatch-unknown`, and as `hotpatches`. */
export async function requireHotpatch(catalog: Catalog | undefined, hotpatchId: string): Promise<Hotpatch> {
  const all = await requireCatalog(catalog).hotpatches();
  const found = all.find(({ id }) => id === hotpatchId);
  if (found !== undefined) return found;
  refuse("catalog/hotpatch-unknown", `The catalog lists no hotpatch ${hotpatchId}; see \`rebootless hotpatch list\`.`, {
    id: hotpatchId,
  });
}
