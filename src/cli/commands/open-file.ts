/**
 * Opening of a hotpatch file for a command: finds the trusted keys, reads, checks, and warns of what nobody vouches for.
 *
 * Every command that acts on a hotpatch opens it here, so that none can forget the check or the warning.
 */
import path from "node:path";
import { quoted } from "../../base/printable.ts";
import { readHotpatchFile } from "../../hotpatch/hotpatch-file.ts";
import { type OpenedHotpatch, openHotpatch } from "../../hotpatch/open-hotpatch.ts";
import type { TrustStore } from "../../hotpatch/signature.ts";
import { defaultTrustDirectory, loadTrustStore } from "../../hotpatch/trust-store.ts";
import type { CommandIo } from "../command.ts";

export interface OpenFileOptions {
  /** `--trust-dir`; without it the machine's default. */
  readonly trustDirectory: string | undefined;
  /** `--allow-unsigned`: open a hotpatch as well that no trusted key has signed, with a warning. */
  readonly allowUnsigned: boolean;
}

/**
 * Reads and opens a hotpatch; a relative path starts from `io.cwd`.
 * Refuses with a `hotpatch/*` code or `key/exposed`; throws `input/*` or `key/invalid`.
 */
export async function openHotpatchFile(file: string, options: OpenFileOptions, io: CommandIo): Promise<OpenedHotpatch> {
  const { opened } = await openWithTrust(file, options, io);
  if (opened.untrusted !== undefined) {
    const why =
      opened.untrusted.code === "hotpatch/unsigned" ? "it is UNSIGNED" : "no key that is TRUSTED HERE has signed it";
    io.warn(
      `${quoted(file)} is used although ${why}, because of --allow-unsigned. Whoever wrote this file decides what code runs in the process.`,
    );
  }
  return opened;
}

/** The same without the warning, and with the trust store, for a command that shows the file and has words of its own. */
export async function openWithTrust(
  file: string,
  options: OpenFileOptions,
  io: CommandIo,
): Promise<{ opened: OpenedHotpatch; trust: TrustStore }> {
  const trust = await loadTrustStore(trustDirectory(options.trustDirectory, io));
  const bytes = await readHotpatchFile(path.resolve(io.cwd, file));
  return { opened: openHotpatch(bytes, trust, { allowUnsigned: options.allowUnsigned }), trust };
}

/** The folder of trusted keys that a command works with, absolute. */
export function trustDirectory(given: string | undefined, io: CommandIo): string {
  return path.resolve(io.cwd, given ?? defaultTrustDirectory(io.env));
}
