/**
 * The server's own certificate authority: one root that signs the server's certificate and those of agents, and nothing else.
 *
 * X.509 as RFC 5280 profiles it, keys ECDSA on P-256.
 * Invariant: the root's key is in `root.key` of the authority's folder with mode 0600, and leaves the process in no other way; it is not in the database.
 * Whether a device may still come in is asked of the database at each request; there is no revocation list.
 */
import "reflect-metadata";
import { createHash, createPrivateKey, createPublicKey, type webcrypto } from "node:crypto";
import { isIP } from "node:net";
import path from "node:path";
import * as x509 from "@peculiar/x509";
import { RebootlessError } from "../../base/errors.ts";
import { quoted } from "../../base/printable.ts";
import { refuse } from "../../base/refusal.ts";
import { createFolder, readRegularFile, writeFileAtomically } from "../../base/stored-file.ts";

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const dayMs = 24 * 60 * 60 * 1000;
/** Clocks of a fleet differ; a certificate that is not valid yet would lock a machine out. */
const skewMs = 10 * 60 * 1000;

export const validityDays = { root: 3650, server: 90, agent: 30 } as const;
export const deviceUriPrefix = "urn:rebootless:device:";

/** A private key with its certificate, as PEM. */
export interface Credentials {
  readonly key: string;
  readonly certificate: string;
  readonly expiresAt: Date;
}

export interface AgentCertificate {
  readonly certificate: string;
  readonly expiresAt: Date;
  /** SHA-256 of the device's public key (SubjectPublicKeyInfo, DER). */
  readonly keyDigest: Buffer;
}

export class Authority {
  /** PEM. */
  readonly certificate: string;
  /** SHA-256 of the certificate (DER). */
  readonly sha256: Buffer;
  readonly #key: webcrypto.CryptoKey;
  readonly #clock: () => Date;

  private constructor(key: webcrypto.CryptoKey, certificate: string, clock: () => Date) {
    this.#key = key;
    this.certificate = certificate;
    this.sha256 = createHash("sha256")
      .update(new Uint8Array(new x509.X509Certificate(certificate).rawData))
      .digest();
    this.#clock = clock;
  }

  /** Reads the authority of a folder, or makes it. Throws `server/state-damaged`, `failure/file-write` or `input/file-unreadable`. */
  static async open(folder: string, clock: () => Date): Promise<Authority> {
    await createFolder(folder, 0o700);
    const keyFile = path.join(folder, "root.key");
    const certificateFile = path.join(folder, "root.pem");
    try {
      const pem = await foundOrMade(keyFile, 0o600, newKeyPem);
      const keys = await importKeys(pem);
      const certificate = await foundOrMade(certificateFile, 0o644, () => rootCertificate(keys, clock()));
      const named = createPublicKey(certificate).export({ type: "spki", format: "der" });
      if (!named.equals(createPublicKey(pem).export({ type: "spki", format: "der" }))) throw new Error("two keys");
      return new Authority(keys.privateKey, certificate, clock);
    } catch (error) {
      if (error instanceof RebootlessError) throw error;
      throw new RebootlessError(
        "server/state-damaged",
        `The authority in ${quoted(folder)} cannot be used: its key and its certificate do not belong together, or one is damaged; put a backup in its place.`,
        { cause: error },
      );
    }
  }

  /** A new key and certificate for the server under these names, which are DNS names or IP addresses. */
  async serverCredentials(names: readonly string[]): Promise<Credentials> {
    const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
    const alternatives = names.map((value) => ({
      type: isIP(value) === 0 ? ("dns" as const) : ("ip" as const),
      value,
    }));
    const { certificate, expiresAt } = await this.#sign({
      subject: "CN=Rebootless server",
      publicKey: keys.publicKey,
      days: validityDays.server,
      usage: x509.ExtendedKeyUsage.serverAuth,
      alternatives,
    });
    const exported = Buffer.from(await crypto.subtle.exportKey("pkcs8", keys.privateKey));
    const key = createPrivateKey({ key: exported, format: "der", type: "pkcs8" }).export({
      type: "pkcs8",
      format: "pem",
    });
    return { key: String(key), certificate, expiresAt };
  }

  /**
   * A certificate that names the device in a URI of its subject alternative name (RFC 5280 section 4.2.1.6).
   * Of the request (PKCS #10, RFC 2986) only the key counts, and that its holder signed it. Refuses with `enrolment/request-invalid`.
   */
  async agentCertificate(requestPem: string, deviceId: string): Promise<AgentCertificate> {
    const { key, keyDigest } = await keyOfRequest(requestPem);
    const { certificate, expiresAt } = await this.#sign({
      subject: `CN=${deviceId}`,
      publicKey: key,
      days: validityDays.agent,
      usage: x509.ExtendedKeyUsage.clientAuth,
      alternatives: [{ type: "url", value: `${deviceUriPrefix}${deviceId}` }],
    });
    return { certificate, expiresAt, keyDigest };
  }

  async #sign(wanted: {
    subject: string;
    publicKey: x509.PublicKeyType;
    days: number;
    usage: x509.ExtendedKeyUsage;
    alternatives: x509.JsonGeneralNames;
  }): Promise<{ certificate: string; expiresAt: Date }> {
    const now = this.#clock().getTime();
    // To the second, which is what a certificate can say.
    const expiresAt = new Date(Math.floor((now + wanted.days * dayMs) / 1000) * 1000);
    const root = new x509.X509Certificate(this.certificate);
    const signed = await x509.X509CertificateGenerator.create({
      subject: wanted.subject,
      issuer: root.subject,
      notBefore: new Date(now - skewMs),
      notAfter: expiresAt,
      publicKey: wanted.publicKey,
      signingKey: this.#key,
      signingAlgorithm: algorithm,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([wanted.usage]),
        new x509.SubjectAlternativeNameExtension(wanted.alternatives),
        await x509.AuthorityKeyIdentifierExtension.create(root),
      ],
    });
    return { certificate: `${signed.toString("pem")}\n`, expiresAt };
  }
}

/** The key of a certificate request whose signature fits, and its digest. Refuses with `enrolment/request-invalid`. */
export async function keyOfRequest(pem: string): Promise<{ key: x509.PublicKey; keyDigest: Buffer }> {
  let request: x509.Pkcs10CertificateRequest | undefined;
  let genuine = false;
  try {
    request = new x509.Pkcs10CertificateRequest(pem);
    const key = createPublicKey({ key: Buffer.from(request.publicKey.rawData), format: "der", type: "spki" });
    const suitable = key.asymmetricKeyType === "ec" && key.asymmetricKeyDetails?.namedCurve === "prime256v1";
    genuine = suitable && (await request.verify());
  } catch {
    // Whatever the parser stumbled over, the request is the sender's and the answer is the same.
    genuine = false;
  }
  if (request === undefined || !genuine) {
    refuse(
      "enrolment/request-invalid",
      "The certificate request is not a PKCS #10 request (PEM) for an ECDSA key on P-256, signed with that key.",
    );
  }
  const keyDigest = createHash("sha256").update(new Uint8Array(request.publicKey.rawData)).digest();
  return { key: request.publicKey, keyDigest };
}

async function rootCertificate(keys: webcrypto.CryptoKeyPair, now: Date): Promise<string> {
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: "CN=Rebootless authority",
    notBefore: new Date(now.getTime() - skewMs),
    notAfter: new Date(now.getTime() + validityDays.root * dayMs),
    keys,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return `${certificate.toString("pem")}\n`;
}

/** Of several servers that make the file at one time, one does, and the others take what it made. */
async function foundOrMade(file: string, mode: number, make: () => Promise<string>): Promise<string> {
  const found = await textIfThere(file);
  if (found !== undefined) return found;
  const made = await make();
  try {
    await writeFileAtomically(file, made, { mode, replace: false });
    return made;
  } catch (error) {
    const quicker =
      error instanceof RebootlessError && error.code === "key/exists" ? await textIfThere(file) : undefined;
    if (quicker === undefined) throw error;
    return quicker;
  }
}

async function newKeyPem(): Promise<string> {
  const { privateKey } = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const der = Buffer.from(await crypto.subtle.exportKey("pkcs8", privateKey));
  return String(createPrivateKey({ key: der, format: "der", type: "pkcs8" }).export({ type: "pkcs8", format: "pem" }));
}

async function importKeys(pem: string): Promise<webcrypto.CryptoKeyPair> {
  const pkcs8 = createPrivateKey(pem).export({ type: "pkcs8", format: "der" });
  const spki = createPublicKey(pem).export({ type: "spki", format: "der" });
  return {
    privateKey: await crypto.subtle.importKey("pkcs8", pkcs8, algorithm, false, ["sign"]),
    publicKey: await crypto.subtle.importKey("spki", spki, algorithm, true, ["verify"]),
  };
}

async function textIfThere(file: string): Promise<string | undefined> {
  try {
    return (await readRegularFile(file, { what: "authority" })).toString("latin1");
  } catch (error) {
    if (error instanceof RebootlessError && error.code === "input/file-missing") return undefined;
    throw error;
  }
}
