/**
 * Who this machine is for the server: its key, its certificate, and the authority that it knows the server by.
 *
 * Invariant: key and certificate stand in one file that is replaced as a whole, so that they always belong together.
 */
import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import { type Static, Type } from "typebox";
import { Instant, record, Uuid } from "../api/schemas/basics.ts";
import { RebootlessError } from "../base/errors.ts";
import { quoted } from "../base/printable.ts";
import { checkSchema } from "../base/schema-check.ts";
import { readRegularFile, writeFileAtomically } from "../base/stored-file.ts";
import type { AgentFolder } from "./agent-folder.ts";

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

export const Identity = record({
  schema: Type.Literal("rebootless.agent-identity/1"),
  server: Type.String(),
  name: Type.String(),
  deviceId: Uuid,
  /** PKCS #8, PEM. */
  key: Type.String(),
  certificate: Type.String(),
  /** The certificate of the server's authority. */
  authority: Type.String(),
  expiresAt: Instant,
  enrolledAt: Instant,
});
export type Identity = Static<typeof Identity>;

/** A new private key, PKCS #8 in PEM. */
export async function newKey(): Promise<string> {
  const { privateKey } = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  return `${x509.PemConverter.encode(await crypto.subtle.exportKey("pkcs8", privateKey), "PRIVATE KEY")}\n`;
}

/** A certificate request (PKCS #10, RFC 2986) for a private key, PEM. */
export async function certificateRequest(keyPem: string): Promise<string> {
  const [pkcs8] = x509.PemConverter.decode(keyPem);
  if (pkcs8 === undefined) throw new RebootlessError("agent/state-damaged", "The agent's key is no PEM.");
  const privateKey = await crypto.subtle.importKey("pkcs8", pkcs8, algorithm, true, ["sign"]);
  const { d: _, key_ops: __, ...publicJwk } = await crypto.subtle.exportKey("jwk", privateKey);
  const publicKey = await crypto.subtle.importKey("jwk", publicJwk, algorithm, true, ["verify"]);
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: "CN=Rebootless agent",
    keys: { privateKey, publicKey },
    signingAlgorithm: algorithm,
  });
  return request.toString("pem");
}

/** Throws `agent/not-enrolled` or `agent/state-damaged`. */
export async function readIdentity(folder: AgentFolder): Promise<Identity> {
  let text: string;
  try {
    text = (await readRegularFile(folder.identity, { what: "identity" })).toString("utf8");
  } catch (error) {
    if (!(error instanceof RebootlessError) || error.code !== "input/file-missing") throw error;
    throw new RebootlessError(
      "agent/not-enrolled",
      `This machine is not enrolled (${quoted(folder.root)}); enrol it with \`rebootless agent enrol\`.`,
      { cause: error },
    );
  }
  const damaged = (cause?: unknown): never => {
    throw new RebootlessError(
      "agent/state-damaged",
      `${quoted(folder.identity)} is damaged; remove the folder and enrol anew.`,
      cause === undefined ? {} : { cause },
    );
  };
  try {
    return checkSchema(Identity, JSON.parse(text), () => damaged());
  } catch (error) {
    if (error instanceof RebootlessError) throw error;
    return damaged(error);
  }
}

export async function writeIdentity(folder: AgentFolder, identity: Identity): Promise<void> {
  await writeFileAtomically(folder.identity, JSON.stringify(identity), { mode: 0o600, replace: true });
}
