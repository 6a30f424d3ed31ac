/**
 * The keys that this machine trusts: a folder of public keys, one `.pub` file each.
 *
 * Whoever can write into the folder decides what code runs in patched processes, so a folder or key that everyone may change is refused.
 */
import type { Stats } from "node:fs";
import { readdir, stat, unlink } from "node:fs/promises";
import { homedir } from "node:os";
import path from "node:path";
import { RebootlessError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { quoted } from "../base/printable.ts";
import { refuse } from "../base/refusal.ts";
import { createFolder, errnoOf, syncFolder, writeFileAtomically } from "../base/stored-file.ts";
import type { KeyId } from "./dsse.ts";
import { loadPublicKey, publicKeyPem } from "./key.ts";
import type { TrustedKey, TrustStore } from "./signature.ts";

/** The part of a key's id that stands in the name of its file. */
const shortIdLength = 16;

/** Shortest prefix of a key id that `removeTrustedKey` takes. */
const minPrefixLength = 8;

/**
 * The folder of trusted keys: `REBOOTLESS_TRUST_DIR`, or `/etc/rebootless/trusted` for root, or `rebootless/trusted` in the user's configuration folder.
 * Root's default depends on no variable of the user who became root.
 */
export function defaultTrustDirectory(
  env: NodeJS.ProcessEnv,
  effectiveUserId: number | undefined = process.geteuid?.(),
): string {
  if (env.REBOOTLESS_TRUST_DIR !== undefined && env.REBOOTLESS_TRUST_DIR !== "") {
    return env.REBOOTLESS_TRUST_DIR;
  }
  if (effectiveUserId === 0) {
    return "/etc/rebootless/trusted";
  }
  return path.join(configFolder(env), "rebootless", "trusted");
}

/** The private key that signs when none is named. */
export function defaultSigningKey(env: NodeJS.ProcessEnv): string {
  return path.join(configFolder(env), "rebootless", "keys", "signing.key");
}

/**
 * Reads every `.pub` file of a folder; a folder that does not exist holds no keys.
 * Refuses with `key/exposed`; throws `key/invalid` for a file that is no Ed25519 public key, rather than trust less than its owner believes.
 */
export async function loadTrustStore(directory: string): Promise<TrustStore> {
  const keys = new Map<KeyId, TrustedKey>();
  for (const file of await listKeyFiles(directory)) {
    const { keyId, publicKey } = await loadPublicKey(file, (stats) => refuseWritableByAll(file, stats));
    keys.set(keyId, { keyId, publicKey, file, name: nameOfFile(file, keyId) });
  }
  return { directory, keys };
}

/** Adds a public key; answers with what the store already had if it was trusted before. */
export async function addTrustedKey(
  directory: string,
  publicFile: string,
): Promise<{ key: TrustedKey; added: boolean }> {
  const { keyId, publicKey } = await loadPublicKey(publicFile);
  const store = await loadTrustStore(directory);
  const present = store.keys.get(keyId);
  if (present !== undefined) {
    return { key: present, added: false };
  }
  if (store.keys.size >= limits.trustedKeys) {
    throw new RebootlessError(
      "input/too-large",
      `${quoted(directory)} holds ${store.keys.size} keys already, the most that are read; remove some with \`rebootless key untrust\`.`,
    );
  }
  const name = nameOfFile(publicFile, keyId);
  const file = path.join(directory, `${name}.${keyId.slice(0, shortIdLength)}.pub`);
  await createFolder(directory, 0o755);
  await writeFileAtomically(file, publicKeyPem(publicKey), { mode: 0o644, replace: false });
  return { key: { keyId, publicKey, file, name }, added: true };
}

/** Removes the one key whose id is, or begins with, `idOrPrefix`. Throws `key/unknown` when there is none or more than one. */
export async function removeTrustedKey(directory: string, idOrPrefix: string): Promise<TrustedKey> {
  const prefix = idOrPrefix.toLowerCase();
  if (!/^[0-9a-f]+$/.test(prefix) || prefix.length < minPrefixLength) {
    throw new RebootlessError(
      "key/invalid",
      `${quoted(idOrPrefix)} is not a key id: give at least ${minPrefixLength} hexadecimal digits of one that \`rebootless key list\` shows.`,
    );
  }
  const store = await loadTrustStore(directory);
  const [key, another] = [...store.keys.values()].filter(({ keyId }) => keyId.startsWith(prefix));
  if (key === undefined) {
    throw new RebootlessError(
      "key/unknown",
      `No key in ${quoted(directory)} has an id that begins with ${prefix}; see \`rebootless key list\`.`,
    );
  }
  if (another !== undefined) {
    throw new RebootlessError(
      "key/unknown",
      `More than one key in ${quoted(directory)} has an id that begins with ${prefix}; give more digits.`,
    );
  }
  // The same key may lie there under several names, and must not stay trusted through another one.
  for (const file of await listKeyFiles(directory)) {
    if ((await loadPublicKey(file)).keyId === key.keyId) {
      await removeFile(file);
    }
  }
  await syncFolder(directory);
  return key;
}

async function listKeyFiles(directory: string): Promise<string[]> {
  let names: string[];
  try {
    refuseWritableByAll(directory, await stat(directory));
    names = await readdir(directory);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") {
      return [];
    }
    if (errnoOf(error) === undefined) {
      throw error;
    }
    throw new RebootlessError(
      "input/file-unreadable",
      `The folder of trusted keys ${quoted(directory)} cannot be read: ${errnoOf(error)}.`,
      { cause: error },
    );
  }
  const files = names.filter((name) => name.endsWith(".pub") && !name.startsWith(".")).sort();
  if (files.length > limits.trustedKeys) {
    throw new RebootlessError(
      "input/too-large",
      `${quoted(directory)} holds ${files.length} keys; at most ${limits.trustedKeys} are read.`,
    );
  }
  return files.map((name) => path.join(directory, name));
}

async function removeFile(file: string): Promise<void> {
  try {
    await unlink(file);
  } catch (error) {
    throw new RebootlessError(
      "failure/file-write",
      `The key ${quoted(file)} could not be removed and is still trusted: ${errnoOf(error) ?? "unknown error"}.`,
      { cause: error },
    );
  }
}

function refuseWritableByAll(file: string, stats: Stats): void {
  if ((stats.mode & 0o002) !== 0) {
    refuse(
      "key/exposed",
      `Everyone may change ${quoted(file)}, and so decide which hotpatches are trusted. Run \`chmod o-w\` on it, and look at what it holds.`,
      { file },
    );
  }
}

/** `alice` for `alice.pub` and for `alice.0123456789abcdef.pub`; characters that need quoting become `_`. */
function nameOfFile(file: string, keyId: KeyId): string {
  const base = path.basename(file).replace(/\.pub$/, "");
  const suffix = `.${keyId.slice(0, shortIdLength)}`;
  const name = base.endsWith(suffix) ? base.slice(0, -suffix.length) : base;
  return name.replace(/[^0-9A-Za-z@+_-]/g, "_").slice(0, 100) || "key";
}

/** XDG Base Directory Specification: an unset, empty or relative XDG_CONFIG_HOME means `~/.config`. */
function configFolder(env: NodeJS.ProcessEnv): string {
  if (env.XDG_CONFIG_HOME !== undefined && path.isAbsolute(env.XDG_CONFIG_HOME)) {
    return env.XDG_CONFIG_HOME;
  }
  const home = env.HOME !== undefined && path.isAbsolute(env.HOME) ? env.HOME : homedir();
  return path.join(home, ".config");
}
