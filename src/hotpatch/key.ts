/**
 * Ed25519 keys in files: the private key as PKCS#8 PEM (RFC 5958, RFC 8410), the public key as SPKI PEM.
 *
 * A key is named by its id, the SHA-256 of the public key's SPKI DER.
 * A private key that others may read is not used, and no key is ever overwritten.
 */
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import type { Stats } from "node:fs";
import { unlink } from "node:fs/promises";
import path from "node:path";
import { RebootlessError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { quoted } from "../base/printable.ts";
import { refuse } from "../base/refusal.ts";
import { createFolder, readRegularFile, writeFileAtomically } from "../base/stored-file.ts";
import type { KeyId } from "./dsse.ts";
import type { Signer } from "./signature.ts";

export interface PublicKeyFile {
  readonly keyId: KeyId;
  readonly publicKey: KeyObject;
}

export interface GeneratedKey {
  readonly keyId: KeyId;
  readonly privateFile: string;
  readonly publicFile: string;
  readonly encrypted: boolean;
}

/** The id of a public key, or of the public half of a private one. */
export function keyIdOf(key: KeyObject): KeyId {
  const publicKey = key.type === "private" ? createPublicKey(key) : key;
  return createHash("sha256")
    .update(publicKey.export({ type: "spki", format: "der" }))
    .digest("hex");
}

export function publicKeyPem(key: KeyObject): string {
  const publicKey = key.type === "private" ? createPublicKey(key) : key;
  return publicKey.export({ type: "spki", format: "pem" });
}

/** Where the public half of a private key file lies: `signing.key` has `signing.pub` beside it. */
export function publicFileBeside(privateFile: string): string {
  return `${privateFile.endsWith(".key") ? privateFile.slice(0, -".key".length) : privateFile}.pub`;
}

/**
 * Makes a key pair and writes both files: the private one with mode 0600, encrypted when there is a passphrase.
 * Throws `key/exists` rather than overwrite either file, and `failure/file-write`.
 */
export async function generateKey(privateFile: string, passphrase: string | undefined): Promise<GeneratedKey> {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const publicFile = publicFileBeside(privateFile);
  await createFolder(path.dirname(privateFile), 0o700);
  const pem =
    passphrase === undefined
      ? privateKey.export({ type: "pkcs8", format: "pem" })
      : privateKey.export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase });
  await writeFileAtomically(privateFile, pem, { mode: 0o600, replace: false });
  try {
    await writeFileAtomically(publicFile, publicKeyPem(publicKey), { mode: 0o644, replace: false });
  } catch (error) {
    // Half a pair would look like a key that can be published.
    await unlink(privateFile);
    throw error;
  }
  return { keyId: keyIdOf(publicKey), privateFile, publicFile, encrypted: passphrase !== undefined };
}

/**
 * The private key of a file, ready to sign; `passphrase` is needed when it is encrypted.
 * Refuses with `key/exposed` when others may read the file; throws `key/invalid`, `input/file-missing` or `input/file-unreadable`.
 */
export async function loadSigner(file: string, passphrase: string | undefined): Promise<Signer> {
  const pem = await readKeyText(file, "private key", (stats) => refuseReadableByOthers(file, stats));
  if (!pem.includes("PRIVATE KEY-----")) {
    throw new RebootlessError(
      "key/invalid",
      `${quoted(file)} is not a private key in PEM form; make one with \`rebootless key generate\`.`,
    );
  }
  if (pem.includes("-----BEGIN ENCRYPTED PRIVATE KEY-----") && passphrase === undefined) {
    throw new RebootlessError(
      "key/invalid",
      `The private key ${quoted(file)} is encrypted; give its passphrase with --passphrase-file or REBOOTLESS_KEY_PASSPHRASE.`,
    );
  }
  let privateKey: KeyObject;
  try {
    privateKey = createPrivateKey(passphrase === undefined ? pem : { key: pem, passphrase });
  } catch (error) {
    const why = passphrase === undefined ? "it is damaged" : "the passphrase is wrong or the file is damaged";
    throw new RebootlessError("key/invalid", `The private key ${quoted(file)} cannot be read: ${why}.`, {
      cause: error,
    });
  }
  mustBeEd25519(privateKey, file);
  return { keyId: keyIdOf(privateKey), privateKey };
}

/** The public key of a file. Throws `key/invalid` for anything but an Ed25519 SPKI PEM, a private key included. */
export async function loadPublicKey(file: string, check?: (stats: Stats) => void): Promise<PublicKeyFile> {
  const pem = await readKeyText(file, "public key", check);
  if (pem.includes("PRIVATE KEY")) {
    // createPublicKey would take it and derive the public half, and the secret would lie in a folder that all may read.
    throw new RebootlessError(
      "key/invalid",
      `${quoted(file)} is a private key, which stays with its owner; give the .pub file beside it.`,
    );
  }
  let publicKey: KeyObject;
  try {
    publicKey = createPublicKey({ key: pem, format: "pem", type: "spki" });
  } catch (error) {
    throw new RebootlessError("key/invalid", `${quoted(file)} is not a public key in SPKI PEM form.`, { cause: error });
  }
  mustBeEd25519(publicKey, file);
  return { keyId: keyIdOf(publicKey), publicKey };
}

/** Whether a key file holds a private key, by its first line of armour; says nothing of whether it can be used. */
export async function isPrivateKeyFile(file: string): Promise<boolean> {
  return (await readKeyText(file, "key")).includes("PRIVATE KEY-----");
}

/** The passphrase in a file, without the line end that editors add. Refuses with `key/exposed` when others may read it. */
export async function readPassphraseFile(file: string): Promise<string> {
  const text = (
    await readRegularFile(file, {
      what: "passphrase",
      check: (stats) => {
        refuseReadableByOthers(file, stats);
        // The line end may come on top.
        checkSize(stats, { file, maxBytes: limits.passphraseBytes + 2 });
      },
    })
  ).toString("utf8");
  return checkPassphrase(text.replace(/\r?\n$/, ""));
}

/** A passphrase as it was given. Throws `key/invalid` when it is empty or too long. */
export function checkPassphrase(passphrase: string): string {
  if (passphrase === "" || Buffer.byteLength(passphrase) > limits.passphraseBytes) {
    throw new RebootlessError("key/invalid", `A passphrase has 1 to ${limits.passphraseBytes} bytes.`);
  }
  return passphrase;
}

async function readKeyText(file: string, what: string, check?: (stats: Stats) => void): Promise<string> {
  const bytes = await readRegularFile(file, {
    what,
    check: (stats) => {
      checkSize(stats, { file, maxBytes: limits.keyFileBytes });
      check?.(stats);
    },
  });
  return bytes.toString("latin1");
}

function checkSize(stats: Stats, expected: { file: string; maxBytes: number }): void {
  if (stats.size > expected.maxBytes) {
    throw new RebootlessError(
      "input/too-large",
      `${quoted(expected.file)} has ${stats.size} bytes; at most ${expected.maxBytes} are read.`,
    );
  }
}

function refuseReadableByOthers(file: string, stats: Stats): void {
  if ((stats.mode & 0o077) !== 0) {
    const mode = (stats.mode & 0o777).toString(8).padStart(4, "0");
    refuse(
      "key/exposed",
      `${quoted(file)} may be read or changed by others (mode ${mode}). Run \`chmod 600\` on it, and make a new key if others may have read it.`,
      { file, mode },
    );
  }
}

function mustBeEd25519(key: KeyObject, file: string): void {
  if (key.asymmetricKeyType !== "ed25519") {
    throw new RebootlessError(
      "key/invalid",
      `${quoted(file)} is a key of type ${key.asymmetricKeyType ?? "unknown"}; hotpatches are signed with Ed25519.`,
    );
  }
}
