/** `rebootless key …`: making of signing keys, and the keys that this machine trusts. */
import { stat } from "node:fs/promises";
import path from "node:path";
import { RebootlessError } from "../../base/errors.ts";
import { printable, quoted } from "../../base/printable.ts";
import { errnoOf } from "../../base/stored-file.ts";
import {
  checkPassphrase,
  type GeneratedKey,
  generateKey,
  isPrivateKeyFile,
  keyIdOf,
  loadPublicKey,
  loadSigner,
  publicFileBeside,
  publicKeyPem,
  readPassphraseFile,
} from "../../hotpatch/key.ts";
import { addTrustedKey, defaultSigningKey, loadTrustStore, removeTrustedKey } from "../../hotpatch/trust-store.ts";
import type { CommandInput, CommandIo, CommandOption, CommandResult, CommandSpec } from "../command.ts";
import { trustDirectory } from "./open-file.ts";

export const trustDirectoryOption: CommandOption = {
  flags: "--trust-dir <folder>",
  description:
    "the folder of trusted public keys (or REBOOTLESS_TRUST_DIR; by default /etc/rebootless/trusted for root, ~/.config/rebootless/trusted for others)",
};

export const passphraseFileOption: CommandOption = {
  flags: "--passphrase-file <file>",
  description: "a file, readable by you alone, with the passphrase of the private key (or REBOOTLESS_KEY_PASSPHRASE)",
};

/** The passphrase from `--passphrase-file` or REBOOTLESS_KEY_PASSPHRASE; undefined when neither is given. Never from the command line, which every user of the machine can read. */
export async function passphraseOf(input: CommandInput, io: CommandIo): Promise<string | undefined> {
  const file = textOption(input, "passphraseFile");
  if (file !== undefined) {
    return await readPassphraseFile(path.resolve(io.cwd, file));
  }
  const fromEnvironment = io.env.REBOOTLESS_KEY_PASSPHRASE;
  return fromEnvironment === undefined || fromEnvironment === "" ? undefined : checkPassphrase(fromEnvironment);
}

const keyGenerate: CommandSpec = {
  name: "key generate",
  summary: "make an Ed25519 key pair that signs hotpatches",
  description:
    "Writes the private key with mode 0600 and the public key beside it as .pub. An existing key is never overwritten. With a passphrase the private key is encrypted; choose a long one.",
  options: [
    {
      flags: "--out <path>",
      description: "the file of the private key, or a folder (by default ~/.config/rebootless/keys)",
    },
    { flags: "--name <name>", description: "the name of the key in its folder", default: "signing" },
    passphraseFileOption,
  ],
  examples: [
    { command: "rebootless key generate", what: "make the key that `rebootless build` signs with" },
    {
      command: "rebootless key generate --out ./keys/ --name team --passphrase-file ./passphrase",
      what: "make ./keys/team.key, encrypted, and ./keys/team.pub",
    },
  ],
  async run(input, io) {
    const file = await privateFileFor(input, io);
    return describeGenerated(await generateKey(file, await passphraseOf(input, io)));
  },
};

const keyTrust: CommandSpec = {
  name: "key trust",
  summary: "trust the hotpatches that a key signs",
  arguments: [{ name: "<file>", description: "a public key (.pub)" }],
  options: [trustDirectoryOption],
  examples: [{ command: "rebootless key trust alice.pub", what: "let hotpatches signed by alice be applied here" }],
  async run(input, io) {
    const directory = trustDirectory(textOption(input, "trustDir"), io);
    const { key, added } = await addTrustedKey(directory, path.resolve(io.cwd, firstArgument(input)));
    const text = added
      ? `Trusted from now on: ${key.name} (${key.keyId}).\nCompare the id with what the key's owner tells you over another channel.\nKept in ${printable(key.file)}.`
      : `Trusted already: ${key.name} (${key.keyId}), in ${printable(key.file)}.`;
    return { data: { keyId: key.keyId, name: key.name, file: key.file, added }, text };
  },
};

const keyUntrust: CommandSpec = {
  name: "key untrust",
  summary: "stop trusting a key",
  arguments: [{ name: "<keyid>", description: "the id of the key, or its first 8 digits or more" }],
  options: [trustDirectoryOption],
  examples: [{ command: "rebootless key untrust 3b1c9a77", what: "refuse hotpatches of that key from now on" }],
  async run(input, io) {
    const key = await removeTrustedKey(trustDirectory(textOption(input, "trustDir"), io), firstArgument(input));
    return {
      data: { keyId: key.keyId, name: key.name, file: key.file },
      text: `No longer trusted: ${key.name} (${key.keyId}). Hotpatches of it that are in place stay until they are reverted.`,
    };
  },
};

const keyList: CommandSpec = {
  name: "key list",
  summary: "list the trusted keys, and the key of your own",
  options: [trustDirectoryOption],
  examples: [{ command: "rebootless key list", what: "show whose hotpatches this machine takes" }],
  async run(input, io) {
    const store = await loadTrustStore(trustDirectory(textOption(input, "trustDir"), io));
    const trusted = [...store.keys.values()].map(({ keyId, name, file }) => ({ keyId, name, file }));
    const signing = await ownSigningKey(io);
    const lines =
      trusted.length === 0
        ? [`No key is trusted here: ${printable(store.directory)} holds none.`]
        : [`Trusted here (${printable(store.directory)}):`, ...trusted.map(({ keyId, name }) => `  ${keyId}  ${name}`)];
    if (signing !== undefined) {
      lines.push("Your own signing key:", `  ${signing.keyId}  ${printable(signing.file)}`);
    }
    return { data: { trustDirectory: store.directory, trusted, signing: signing ?? null }, text: lines.join("\n") };
  },
};

const keyShow: CommandSpec = {
  name: "key show",
  summary: "show the id and the public half of a key file",
  arguments: [{ name: "<file>", description: "a private or public key" }],
  options: [passphraseFileOption, trustDirectoryOption],
  examples: [
    { command: "rebootless key show ~/.config/rebootless/keys/signing.pub", what: "show the id to tell others" },
  ],
  async run(input, io) {
    const file = path.resolve(io.cwd, firstArgument(input));
    const isPrivate = await isPrivateKeyFile(file);
    const key = isPrivate
      ? (await loadSigner(file, await passphraseOf(input, io))).privateKey
      : (await loadPublicKey(file)).publicKey;
    const keyId = keyIdOf(key);
    const store = await loadTrustStore(trustDirectory(textOption(input, "trustDir"), io));
    const trusted = store.keys.has(keyId);
    const kind = isPrivate ? "private" : "public";
    const text = `${printable(file)}: ${kind} Ed25519 key\nKey id: ${keyId}\n${trusted ? "Trusted" : "Not trusted"} on this machine.\n${publicKeyPem(key).trimEnd()}`;
    return { data: { file, kind, keyId, trusted, publicKey: publicKeyPem(key) }, text };
  },
};

export const keyCommands: readonly CommandSpec[] = [keyGenerate, keyTrust, keyUntrust, keyList, keyShow];

async function privateFileFor(input: CommandInput, io: CommandIo): Promise<string> {
  const name = textOption(input, "name") ?? "signing";
  if (!/^[0-9A-Za-z@+_-][0-9A-Za-z@+_.-]{0,99}$/.test(name)) {
    throw new RebootlessError(
      "usage/arguments",
      `${quoted(name)} cannot name a key: use letters, digits and @ + _ - . only.`,
    );
  }
  const out = textOption(input, "out");
  if (out === undefined) {
    return path.join(path.dirname(defaultSigningKey(io.env)), `${name}.key`);
  }
  const resolved = path.resolve(io.cwd, out);
  return out.endsWith("/") || (await isFolder(resolved)) ? path.join(resolved, `${name}.key`) : resolved;
}

function describeGenerated(key: GeneratedKey): CommandResult {
  const lines = [
    `Made a signing key: ${key.keyId}`,
    `  private  ${printable(key.privateFile)} (mode 0600, ${key.encrypted ? "encrypted with the passphrase" : "not encrypted"}); keep it to yourself`,
    `  public   ${printable(key.publicFile)}; give it to those who shall trust your hotpatches: rebootless key trust FILE.pub`,
  ];
  return { data: key, text: lines.join("\n") };
}

async function ownSigningKey(io: CommandIo): Promise<{ keyId: string; file: string } | undefined> {
  const file = defaultSigningKey(io.env);
  try {
    const { keyId } = await loadPublicKey(publicFileBeside(file));
    return { keyId, file };
  } catch (error) {
    if (error instanceof RebootlessError && error.code === "input/file-missing") {
      return undefined;
    }
    throw error;
  }
}

async function isFolder(file: string): Promise<boolean> {
  try {
    return (await stat(file)).isDirectory();
  } catch (error) {
    // ENOTDIR as well: making the folders says better what is in the way.
    if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ENOTDIR") {
      return false;
    }
    throw new RebootlessError(
      "input/file-unreadable",
      `${quoted(file)} cannot be looked at: ${errnoOf(error) ?? "unknown error"}.`,
      { cause: error },
    );
  }
}

function textOption(input: CommandInput, name: string): string | undefined {
  const value = input.options[name];
  return typeof value === "string" ? value : undefined;
}

function firstArgument(input: CommandInput): string {
  const [argument] = input.arguments;
  if (argument === undefined) {
    throw new RebootlessError("usage/arguments", "An argument is missing; see --help.");
  }
  return argument;
}
