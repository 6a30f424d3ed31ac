/**
 * Hotpatches on this machine: fetched through the catalog, verified against the root and the authors that were pinned at the enrolment.
 *
 * A file that is there is opened anew each time, signature and contents, before anything is done with it.
 */

import { readFile } from "node:fs/promises";
import path from "node:path";
import { RebootlessError } from "../base/errors.ts";
import { refuse } from "../base/refusal.ts";
import { createFolder } from "../base/stored-file.ts";
import { readHotpatchFile } from "../hotpatch/hotpatch-file.ts";
import { type OpenedHotpatch, openHotpatch } from "../hotpatch/open-hotpatch.ts";
import { loadTrustStore } from "../hotpatch/trust-store.ts";
import { CatalogClient } from "../repository/client/catalog-client.ts";
import type { AgentFolder } from "./agent-folder.ts";
import type { ServerLink } from "./server-link.ts";

export class HotpatchStore {
  readonly #folder: AgentFolder;
  readonly #opened = new Map<string, OpenedHotpatch>();

  constructor(folder: AgentFolder) {
    this.#folder = folder;
  }

  /** Downloads and opens it. Refuses with a `catalog/*` or `hotpatch/*` code; throws as CatalogClient.download. */
  async fetch(id: string, link: ServerLink): Promise<OpenedHotpatch> {
    await createFolder(this.#folder.hotpatches, 0o700);
    this.#opened.delete(id);
    await (await this.#client(link)).download(id, this.#fileOf(id));
    return await this.open(id);
  }

  /** Opens what was fetched before. Refuses with a `hotpatch/*` code; throws `input/file-missing`. */
  async open(id: string): Promise<OpenedHotpatch> {
    const known = this.#opened.get(id);
    if (known !== undefined) return known;
    const trust = await loadTrustStore(this.#folder.trusted);
    const opened = openHotpatch(await readHotpatchFile(this.#fileOf(id)), trust, { allowUnsigned: false });
    if (opened.hotpatch.manifest.id !== id) {
      refuse("hotpatch/manifest-invalid", `The hotpatch that is listed as ${id} is another one.`);
    }
    this.#opened.set(id, opened);
    return opened;
  }

  /** What the catalog has hotpatches for: packages as `name@version`, binaries as `build-id:HEX`. As CatalogClient.hotpatches. */
  async targets(link: ServerLink): Promise<Set<string>> {
    const listed = await (await this.#client(link)).hotpatches();
    return new Set(
      listed.flatMap(({ facts }) => {
        const target = facts?.target;
        const binaries = facts?.binaries ?? [];
        return target?.kind === "npm"
          ? [`${target.name}@${target.version}`]
          : binaries.map(({ buildId }) => `build-id:${buildId}`);
      }),
    );
  }

  async #client(link: ServerLink): Promise<CatalogClient> {
    return new CatalogClient({
      address: link.catalogAddress,
      stateFolder: this.#folder.catalog,
      firstRoot: await readFile(this.#folder.catalogRoot),
      fetch: link.catalogFetch,
    });
  }

  /** Ids come from the contract, which allows nothing that means something in a path. */
  #fileOf(id: string): string {
    if (!/^[0-9A-Za-z][0-9A-Za-z._@+-]*$/.test(id)) {
      throw new RebootlessError("bug/invariant", "The id of a hotpatch has characters that it must not have.");
    }
    return path.join(this.#folder.hotpatches, `${id}.hotpatch`);
  }
}
