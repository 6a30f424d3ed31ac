/**
 * Keys of the catalog: the project's own Ed25519 key files, as TUF metadata names them.
 *
 * A keyring finds private keys by the ids that metadata asks for, and opens only those that are needed.
 */
import { createHash, createPublicKey, type KeyObject, sign } from "node:crypto";
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { canonicalize } from "@tufjs/canonical-json";
import { RebootlessError } from "../../base/errors.ts";
import { quoted } from "../../base/printable.ts";
import { errnoOf } from "../../base/stored-file.ts";
import type { KeyId } from "../../hotpatch/dsse.ts";
import { generateKey, keyIdOf, loadPublicKey, loadSigner, publicFileBeside } from "../../hotpatch/key.ts";
import type { Signer } from "../../hotpatch/signature.ts";

/** A public key as TUF specification section 4.2 writes it. */
export interface TufKeyJson {
  readonly keytype: "ed25519";
  readonly scheme: "ed25519";
  readonly keyval: { readonly public: string };
}

export interface TufKey {
  /** SHA-256 of the canonical form of the key object (section 4.2, KEYID). */
  readonly tufId: string;
  /** The id that `rebootless key show` tells. */
  readonly keyId: KeyId;
  readonly json: TufKeyJson;
}

/** A private key that signs metadata. */
export interface RoleSigner extends TufKey {
  /** The signature of some bytes, in lower-case hexadecimal. */
  sign(bytes: Uint8Array): string;
}

export function tufKeyOf(publicKey: KeyObject): TufKey {
  const { x } = publicKey.export({ format: "jwk" });
  const json: TufKeyJson = {
    keytype: "ed25519",
    scheme: "ed25519",
    keyval: { public: Buffer.from(String(x), "base64url").toString("hex") },
  };
  return { tufId: createHash("sha256").update(canonicalize(json)).digest("hex"), keyId: keyIdOf(publicKey), json };
}

export function roleSigner({ privateKey }: Signer, publicKey: KeyObject): RoleSigner {
  return {
    ...tufKeyOf(publicKey),
    sign: (bytes) => sign(null, bytes, privateKey).toString("hex"),
  };
}

interface Entry {
  readonly privateFile: string;
  readonly key: TufKey;
  readonly publicKey: KeyObject;
}

export class Keyring {
  readonly #entries: Map<string, Entry>;
  readonly #passphrase: string | undefined;

  private constructor(entries: Map<string, Entry>, passphrase: string | undefined) {
    this.#entries = entries;
    this.#passphrase = passphrase;
  }

  /**
   * Looks at private keys: each path is a file, or a folder whose `.key` files count, each with its `.pub` beside it.
   * Throws `input/file-missing`, `input/file-unreadable` or `key/invalid`.
   */
  static async open(places: readonly string[], passphrase: string | undefined): Promise<Keyring> {
    const entries = new Map<string, Entry>();
    for (const place of places) {
      for (const privateFile of await keyFiles(place)) {
        const publicKey = await publicHalf(privateFile, passphrase);
        const key = tufKeyOf(publicKey);
        entries.set(key.tufId, { privateFile, key, publicKey });
      }
    }
    return new Keyring(entries, passphrase);
  }

  has(tufId: string): boolean {
    return this.#entries.has(tufId);
  }

  /** Signers for those of the ids whose private keys are here. Refuses with `key/exposed`; throws `key/invalid`. */
  async signers(tufIds: readonly string[]): Promise<RoleSigner[]> {
    const signers: RoleSigner[] = [];
    for (const tufId of tufIds) {
      const entry = this.#entries.get(tufId);
      if (entry === undefined) continue;
      const signer = await loadSigner(entry.privateFile, this.#passphrase);
      if (signer.keyId !== entry.key.keyId) {
        throw new RebootlessError(
          "key/invalid",
          `${quoted(publicFileBeside(entry.privateFile))} is not the public half of the private key beside it.`,
        );
      }
      signers.push(roleSigner(signer, entry.publicKey));
    }
    return signers;
  }
}

/** From the file beside it, which needs no passphrase; where the making of a pair was interrupted, from the private key itself. */
async function publicHalf(privateFile: string, passphrase: string | undefined): Promise<KeyObject> {
  try {
    return (await loadPublicKey(publicFileBeside(privateFile))).publicKey;
  } catch (error) {
    if (!(error instanceof RebootlessError && error.code === "input/file-missing")) throw error;
    return createPublicKey((await loadSigner(privateFile, passphrase)).privateKey);
  }
}

async function keyFiles(place: string): Promise<string[]> {
  try {
    if (!(await stat(place)).isDirectory()) return [place];
    const names = (await readdir(place)).filter((name) => name.endsWith(".key") && !name.startsWith("."));
    return names.sort().map((name) => path.join(place, name));
  } catch (error) {
    const missing = errnoOf(error) === "ENOENT";
    throw new RebootlessError(
      missing ? "input/file-missing" : "input/file-unreadable",
      missing ? `There are no keys at ${quoted(place)}.` : `The keys at ${quoted(place)} cannot be read.`,
      { cause: error },
    );
  }
}

/** Private key files `ROLE-N.key` of a folder, by N; none where the folder is missing. */
export async function numberedKeys(folder: string, role: string): Promise<string[]> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw new RebootlessError("input/file-unreadable", `The folder ${quoted(folder)} cannot be read.`, {
      cause: error,
    });
  }
  const numbers = names.flatMap((name) => {
    const number = name.startsWith(`${role}-`) ? /^(\d{1,6})\.key$/.exec(name.slice(role.length + 1))?.[1] : undefined;
    return number === undefined ? [] : [Number(number)];
  });
  return numbers.sort((left, right) => left - right).map((number) => path.join(folder, `${role}-${number}.key`));
}

/** Makes a key `ROLE-N.key` with the first N above all that are there. */
export async function makeNumberedKey(folder: string, role: string, passphrase: string | undefined): Promise<string> {
  const last = (await numberedKeys(folder, role)).at(-1);
  const number = last === undefined ? 1 : Number(/(\d+)\.key$/.exec(last)?.[1]) + 1;
  return (await generateKey(path.join(folder, `${role}-${number}.key`), passphrase)).privateFile;
}

/** One key file, ready to sign. */
export async function signerOf(privateFile: string, passphrase: string | undefined): Promise<RoleSigner> {
  const publicKey = await publicHalf(privateFile, passphrase);
  const [signer] = await (await Keyring.open([privateFile], passphrase)).signers([tufKeyOf(publicKey).tufId]);
  if (signer === undefined) throw new RebootlessError("bug/invariant", "A key that was just read is not there.");
  return signer;
}
