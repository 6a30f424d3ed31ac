/**
 * How this machine becomes a device, and keeps its certificate fresh.
 *
 * The token names the authority by its SHA-256, so that the server is known before anything secret is sent.
 * What is pinned here, the catalog's root and the authors' keys, is never taken from the server again.
 */
import { createHash, createPublicKey, X509Certificate } from "node:crypto";
import { readFile, rm } from "node:fs/promises";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Enrolment } from "../api/schemas/enrolment.ts";
import { RebootlessError } from "../base/errors.ts";
import { quoted } from "../base/printable.ts";
import { refuse } from "../base/refusal.ts";
import { createFolder, errnoOf, readRegularFile, writeFileAtomically } from "../base/stored-file.ts";
import { keyIdOf, publicKeyPem } from "../hotpatch/key.ts";
import { addTrustedKey, loadTrustStore } from "../hotpatch/trust-store.ts";
import type { AgentFolder } from "./agent-folder.ts";
import { certificateRequest, type Identity, newKey, readIdentity, writeIdentity } from "./identity.ts";
import { ServerLink } from "./server-link.ts";

export interface EnrolOptions {
  readonly folder: AgentFolder;
  readonly server: string;
  /** `ID.SECRET.AUTHORITY`, as `rebootless server token` prints it. */
  readonly token: string;
  readonly name: string;
  /** A root metadata file of the catalog, and public keys of authors: taken in the place of what the server hands out. */
  readonly catalogRoot: string | undefined;
  readonly trust: readonly string[];
}

export interface Enrolled {
  readonly identity: Identity;
  /** Ids of the authors' keys that are pinned. */
  readonly authors: readonly string[];
  readonly catalogRootSha256: string;
}

const attempts = 3;
const retryMs = 500;

/** The folder must be held. Throws `agent/enrolled`, `agent/server-away`; refuses with `agent/authority-unknown`, `agent/trust-missing`, and with what the server refuses with. */
export async function enrol(options: EnrolOptions): Promise<Enrolled> {
  const { folder, server, name } = options;
  await refuseTwice(folder);
  const token = options.token.trim();
  const authority = await authorityOf(server, token);
  const key = await enrolmentKey(folder);
  const link = new ServerLink({ server, authority });
  const request = await certificateRequest(key);
  const body = { token, name, certificateRequest: request };
  const enrolment = await persistently(async () => await link.ask("enrol", { body })).finally(() => link.close());
  const { deviceId, certificate, expiresAt } = enrolment;
  const identity: Identity = {
    ...{ schema: "rebootless.agent-identity/1", server, name, deviceId, key, certificate, authority, expiresAt },
    enrolledAt: new Date().toISOString(),
  };
  await pin(options, identity);
  // Last, since it is what makes this machine enrolled: whatever ends the command before, it is run again.
  await writeIdentity(folder, identity);
  await rm(folder.enrolmentKey, { force: true });
  const authors = [...(await loadTrustStore(folder.trusted)).keys.keys()];
  const root = await readFile(folder.catalogRoot);
  return { identity, authors, catalogRootSha256: createHash("sha256").update(root).digest("hex") };
}

async function refuseTwice(folder: AgentFolder): Promise<void> {
  let identity: Identity;
  try {
    identity = await readIdentity(folder);
  } catch (error) {
    if (error instanceof RebootlessError && error.code === "agent/not-enrolled") return;
    throw error;
  }
  throw new RebootlessError(
    "agent/enrolled",
    `This machine is enrolled already, as ${identity.deviceId} at ${quoted(identity.server)}; \`rebootless agent leave\` undoes that.`,
  );
}

/** The certificate of the server's authority, when it is the one that the token names. */
async function authorityOf(server: string, token: string): Promise<string> {
  const expected = token.split(".")[2] ?? "";
  if (!/^[0-9A-Za-z_-]{43}$/.test(expected)) {
    throw new RebootlessError("usage/arguments", "That is no enrolment token; `rebootless server token` prints one.");
  }
  const link = new ServerLink({ server });
  const { certificate } = await persistently(async () => await link.ask("authority")).finally(() => link.close());
  const found = digestOfCertificate(certificate);
  if (found !== expected) {
    refuse(
      "agent/authority-unknown",
      `Whoever answers at ${quoted(server)} is not the server that made this token. Check the address; somebody may stand in between.`,
    );
  }
  return certificate;
}

function digestOfCertificate(pem: string): string {
  try {
    return createHash("sha256").update(new X509Certificate(pem).raw).digest("base64url");
  } catch {
    // What is no certificate has no digest that a token could name.
    return "";
  }
}

/** Kept until the enrolment is done: the server answers the same key again, and no other. */
async function enrolmentKey(folder: AgentFolder): Promise<string> {
  try {
    return (await readRegularFile(folder.enrolmentKey, { what: "key" })).toString("latin1");
  } catch (error) {
    if (!(error instanceof RebootlessError) || error.code !== "input/file-missing") throw error;
  }
  const key = await newKey();
  await writeFileAtomically(folder.enrolmentKey, key, { mode: 0o600, replace: false });
  return key;
}

async function pin({ folder, catalogRoot, trust }: EnrolOptions, identity: Identity): Promise<void> {
  const link = new ServerLink(identity);
  const handed = await persistently(async () => await link.ask("trust")).finally(() => link.close());
  const root = catalogRoot === undefined ? handed.catalogRoot : await readFile(catalogRoot).catch(rootMissing);
  if (root === null || (trust.length === 0 && handed.authorKeys.length === 0)) {
    const what = root === null ? "no catalog (--catalog)" : "no author of hotpatches (--trust)";
    refuse(
      "agent/trust-missing",
      `The server knows ${what}, so this machine would not know whom to trust. Start it with that, or give --catalog-root and --trust here; then run the command again.`,
    );
  }
  // What an earlier attempt pinned may have come from another server.
  await rm(folder.trusted, { recursive: true, force: true });
  await createFolder(folder.trusted, 0o700);
  for (const file of trust) await addTrustedKey(folder.trusted, file);
  for (const pem of trust.length > 0 ? [] : handed.authorKeys) {
    const publicKey = createPublicKey({ key: pem, format: "pem", type: "spki" });
    const file = path.join(folder.trusted, `author.${keyIdOf(publicKey).slice(0, 16)}.pub`);
    await writeFileAtomically(file, publicKeyPem(publicKey), { mode: 0o600, replace: true });
  }
  await rm(folder.catalog, { recursive: true, force: true });
  await writeFileAtomically(folder.catalogRoot, root, { mode: 0o600, replace: true });
}

function rootMissing(error: unknown): never {
  throw new RebootlessError("input/file-missing", `The root metadata file cannot be read: ${errnoOf(error)}.`, {
    cause: error,
  });
}

/** Where an answer was lost on the way, the same question is asked again. */
async function persistently<Result>(ask: () => Promise<Result>): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await ask();
    } catch (error) {
      if (attempt === attempts || !(error instanceof RebootlessError) || error.code !== "agent/server-away")
        throw error;
      await delay(retryMs * attempt);
    }
  }
}

const renewBelow = 1 / 3;

/** Whether a certificate has less than a third of its time before it. */
export function isDue({ certificate }: Pick<Identity, "certificate">, now: Date): boolean {
  const { validFrom, validTo } = new X509Certificate(certificate);
  const [from, to] = [Date.parse(validFrom), Date.parse(validTo)];
  return to - now.getTime() < (to - from) * renewBelow;
}

/** A new key with a new certificate, asked for with the old one; the identity on disk is replaced as a whole. */
export async function renew(folder: AgentFolder, identity: Identity, link: ServerLink): Promise<Identity> {
  const key = await newKey();
  const body = { certificateRequest: await certificateRequest(key) };
  const { certificate, expiresAt }: Enrolment = await link.ask("renewCertificate", { body });
  const renewed = { ...identity, key, certificate, expiresAt };
  await writeIdentity(folder, renewed);
  return renewed;
}
