/**
 * Gets files of a catalog, over HTTP(S) or from a local folder, for the TUF client.
 *
 * Every transfer is bounded in bytes while they arrive, in time as a whole, and in silence between two pieces, and is given up at once when it goes beyond.
 * Nothing that arrives here is trusted.
 */
import { constants } from "node:fs";
import { type FileHandle, open, rm } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import tufErrors from "tuf-js/dist/error.js";
import type { Fetcher } from "tuf-js/dist/fetcher.js";
import { RebootlessError } from "../../base/errors.ts";
import { quoted } from "../../base/printable.ts";
import { RefusalError, refuse } from "../../base/refusal.ts";
import { errnoOf } from "../../base/stored-file.ts";
import type { CatalogLimits } from "../catalog-limits.ts";
import { checkMetadataBytes } from "./metadata-check.ts";

/** The last file that was asked for, to explain a refusal by. */
export interface LastFetch {
  readonly name: string;
  /** Absent when it is not there. */
  readonly bytes?: Buffer;
}

const chunkBytes = 64 * 1024;

/** The part of fetch() that is used; whoever needs certificates of his own gives another. */
export type CatalogFetch = (
  address: URL,
  init: { readonly headers: Record<string, string>; readonly signal: AbortSignal },
) => Promise<{ readonly status: number; readonly ok: boolean; readonly body: AsyncIterable<Uint8Array> | null }>;

export class CatalogFetcher implements Fetcher {
  readonly #base: URL;
  readonly #workFolder: string;
  readonly #limits: CatalogLimits;
  readonly #fetch: CatalogFetch;
  #last: LastFetch | undefined;
  #stopped: RefusalError | RebootlessError | undefined;

  constructor(options: {
    readonly base: URL;
    readonly workFolder: string;
    readonly limits: CatalogLimits;
    readonly fetch?: CatalogFetch | undefined;
  }) {
    this.#base = options.base;
    this.#workFolder = options.workFolder;
    this.#limits = options.limits;
    this.#fetch = options.fetch ?? fetch;
  }

  get last(): LastFetch | undefined {
    return this.#last;
  }

  /** Why a transfer was given up, if one was: the TUF client hides the errors of its fetcher. */
  get stopped(): RefusalError | RebootlessError | undefined {
    return this.#stopped;
  }

  /** A metadata file. Throws `DownloadHTTPError` where there is none, for the TUF client to understand. */
  async downloadBytes(url: string, maxLength: number): Promise<Buffer> {
    const name = this.#nameOf(url);
    this.#last = { name };
    return await this.#noting(async () => {
      const pieces: Uint8Array[] = [];
      const bounds = { maxBytes: maxLength, maxMs: this.#limits.metadataMs };
      for await (const piece of this.#pieces(url, bounds)) pieces.push(piece);
      const bytes = Buffer.concat(pieces);
      this.#last = { name, bytes };
      checkMetadataBytes(name, bytes, this.#limits);
      return bytes;
    });
  }

  /** A target, into a temporary file that is gone when `handler` is done. */
  async downloadFile<Result>(
    url: string,
    maxLength: number,
    handler: (file: string) => Promise<Result>,
  ): Promise<Result> {
    const name = this.#nameOf(url);
    this.#last = { name };
    const file = path.join(this.#workFolder, "download");
    await this.#noting(async () => {
      const handle = await open(file, "w", 0o600);
      try {
        const bounds = { maxBytes: maxLength, maxMs: this.#limits.hotpatchMs };
        for await (const piece of this.#pieces(url, bounds)) await handle.writeFile(piece);
      } finally {
        await handle.close();
      }
    });
    try {
      return await handler(file);
    } finally {
      await rm(file, { force: true });
    }
  }

  /** A file as it is, for somebody who verifies it himself. Throws `DownloadHTTPError` where there is none. */
  stream(name: string, maxBytes: number): AsyncGenerator<Uint8Array> {
    return this.#pieces(new URL(name, this.#base).href, { maxBytes, maxMs: this.#limits.hotpatchMs });
  }

  #nameOf(url: string): string {
    const { pathname } = new URL(url);
    const base = this.#base.pathname;
    return decodeURIComponent(pathname.startsWith(base) ? pathname.slice(base.length) : pathname);
  }

  async #noting<Result>(work: () => Promise<Result>): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof RefusalError || error instanceof RebootlessError) this.#stopped = error;
      throw error;
    }
  }

  async *#pieces(url: string, bounds: Bounds): AsyncGenerator<Uint8Array> {
    const address = new URL(url);
    const name = this.#nameOf(url);
    let received = 0;
    const pieces = address.protocol === "file:" ? this.#filePieces(address) : this.#httpPieces(address, bounds);
    for await (const piece of pieces) {
      received += piece.length;
      if (received > bounds.maxBytes) {
        refuse(
          "catalog/too-large",
          `The catalog's ${quoted(name)} goes on after the ${bounds.maxBytes} bytes that it may have; it was not read further. Whoever serves it may be trying to fill this machine (endless data).`,
          { file: name, maxBytes: bounds.maxBytes },
        );
      }
      yield piece;
    }
  }

  async *#filePieces(address: URL): AsyncGenerator<Uint8Array> {
    const file = fileURLToPath(address);
    if (!file.startsWith(fileURLToPath(this.#base))) {
      throw new RebootlessError("failure/catalog-unreachable", `${quoted(file)} lies outside of the catalog.`);
    }
    let handle: FileHandle;
    try {
      handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    } catch (error) {
      if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ENOTDIR") await this.#absent(address, 404);
      throw unreachable(address, errnoOf(error) ?? "unknown error", error);
    }
    try {
      if (!(await handle.stat()).isFile()) throw unreachable(address, "it is not a regular file");
      for (;;) {
        const { bytesRead, buffer } = await handle.read(Buffer.alloc(chunkBytes), 0, chunkBytes, null);
        if (bytesRead === 0) return;
        yield buffer.subarray(0, bytesRead);
      }
    } finally {
      await handle.close();
    }
  }

  async *#httpPieces(address: URL, { maxMs }: Bounds): AsyncGenerator<Uint8Array> {
    const patience = new Patience(this.#limits.silenceMs, maxMs);
    try {
      const response = await this.#fetch(address, {
        headers: { "user-agent": "rebootless", "cache-control": "no-cache" },
        signal: patience.signal,
      });
      if (response.status === 403 || response.status === 404) await this.#absent(address, response.status);
      if (!response.ok) throw unreachable(address, `the server answers ${response.status}`);
      for await (const piece of response.body ?? []) {
        patience.heard();
        yield piece;
      }
    } catch (error) {
      if (patience.over !== undefined) this.#tooSlow(address, patience.over);
      if (error instanceof RebootlessError || error instanceof tufErrors.DownloadHTTPError) throw error;
      throw unreachable(address, networkReason(error), error);
    } finally {
      // Whatever the reason for stopping: the connection must not go on filling buffers.
      patience.end();
    }
  }

  /** TUF specification 5.3.3: that there is no further root is how a client learns that it has the newest. */
  async #absent(address: URL, status: number): Promise<never> {
    if (path.basename(address.pathname) === "timestamp.json") throw unreachable(address, "there is no such file");
    throw new tufErrors.DownloadHTTPError("There is no such file", status);
  }

  #tooSlow(address: URL, over: "silent" | "late"): never {
    const name = this.#nameOf(address.href);
    const how =
      over === "silent" ? `sent nothing for ${this.#limits.silenceMs} ms` : "did not finish within the time for a file";
    refuse(
      "catalog/too-slow",
      `The catalog's ${quoted(name)} was given up: its server ${how}. Try again, or another mirror; one that does so on purpose keeps machines from updates (slow retrieval).`,
      { file: name },
    );
  }
}

interface Bounds {
  readonly maxBytes: number;
  readonly maxMs: number;
}

/** Two clocks over one transfer: since the last piece, and since the beginning. */
class Patience {
  readonly #controller = new AbortController();
  readonly #silenceMs: number;
  readonly #late: NodeJS.Timeout;
  #silent: NodeJS.Timeout;
  over: "silent" | "late" | undefined;

  constructor(silenceMs: number, maxMs: number) {
    this.#silenceMs = silenceMs;
    this.#late = setTimeout(() => this.#give("late"), maxMs);
    this.#silent = setTimeout(() => this.#give("silent"), silenceMs);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  heard(): void {
    clearTimeout(this.#silent);
    this.#silent = setTimeout(() => this.#give("silent"), this.#silenceMs);
  }

  end(): void {
    clearTimeout(this.#silent);
    clearTimeout(this.#late);
    this.#controller.abort();
  }

  #give(over: "silent" | "late"): void {
    this.over = over;
    this.#controller.abort();
  }
}

function networkReason(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  return errnoOf(cause) ?? errnoOf(error) ?? "the connection failed";
}

function unreachable(address: URL, why: string, cause?: unknown): RebootlessError {
  return new RebootlessError(
    "failure/catalog-unreachable",
    `The catalog cannot be reached at ${quoted(address.href)}: ${why}. Check the address and the network, then try again.`,
    { details: { address: address.href }, ...(cause === undefined ? {} : { cause }) },
  );
}
