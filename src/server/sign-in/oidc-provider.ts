/** A provider of OpenID Connect as the server is told of it, and as it describes itself (OpenID Connect Discovery 1.0). */
import { readFile } from "node:fs/promises";
import * as oidc from "openid-client";
import { RebootlessError } from "../../base/errors.ts";
import { quoted } from "../../base/printable.ts";
import { refuse } from "../../base/refusal.ts";

export interface OidcSettings {
  readonly issuer: URL;
  readonly clientId: string;
  /** Holds the secret and nothing else; without it the client is a public one. */
  readonly clientSecretFile?: string;
  /** The claim that is a person's name here. */
  readonly nameClaim: string;
  /** What becomes of somebody whom the provider knows and nobody has added here. */
  readonly newPeople: "refuse" | "auditor";
}

const patienceSeconds = 10;
const loopback = new Set(["127.0.0.1", "[::1]", "localhost"]);

/** The provider as the server knows it; asked for its metadata at the first sign-in, and again where it did not answer. */
export class OidcProvider {
  readonly settings: OidcSettings;
  #found: Promise<oidc.Configuration> | undefined;

  constructor(settings: OidcSettings) {
    const { protocol, hostname } = settings.issuer;
    if (protocol !== "https:" && !(protocol === "http:" && loopback.has(hostname))) {
      throw new RebootlessError("usage/arguments", "The issuer of OpenID Connect begins with https://.");
    }
    this.settings = settings;
  }

  /** Refuses with `server/provider-away`. */
  async configuration(): Promise<oidc.Configuration> {
    this.#found ??= this.#discover();
    try {
      return await this.#found;
    } catch (error) {
      this.#found = undefined;
      if (error instanceof RebootlessError) throw error;
      return refuse(
        "server/provider-away",
        `The provider ${this.settings.issuer.href} does not answer; \`rebootless server sign-in-link\` lets in meanwhile.`,
        { why: error instanceof Error ? error.message : String(error) },
      );
    }
  }

  async #discover(): Promise<oidc.Configuration> {
    const { issuer, clientId, clientSecretFile } = this.settings;
    const secret = clientSecretFile === undefined ? undefined : await readSecret(clientSecretFile);
    const isPlain = issuer.protocol === "http:";
    const configuration = await oidc.discovery(
      issuer,
      clientId,
      secret,
      secret === undefined ? oidc.None() : undefined,
      { timeout: patienceSeconds, execute: isPlain ? [oidc.allowInsecureRequests] : [] },
    );
    // The signature counts although the token comes from the provider itself (OpenID Connect Core section 3.1.3.7, point 6).
    oidc.enableNonRepudiationChecks(configuration);
    return configuration;
  }
}

async function readSecret(file: string): Promise<string> {
  try {
    return (await readFile(file, "utf8")).trim();
  } catch (error) {
    throw new RebootlessError("input/file-missing", `The client secret ${quoted(file)} cannot be read.`, {
      cause: error,
    });
  }
}
