/** A server of a test with a clock of its own, and those who ask it: an agent, a person with a browser, nobody. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { request as httpsRequest } from "node:https";
import { tmpdir } from "node:os";
import path from "node:path";
import type { TestContext } from "node:test";
import { checkServerIdentity, type PeerCertificate } from "node:tls";
import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import type { Action, Assignment } from "../../../src/api/schemas/actions.ts";
import { type RunningServer, type RunOptions, runServer } from "../../../src/server/run-server.ts";
import { clusterOfRun, newDatabase } from "./postgres-cluster.ts";

export interface Answer {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  // biome-ignore lint/suspicious/noExplicitAny: what a test reads of an answer is what it asserts.
  readonly body: any;
  readonly text: string;
}

export interface Ask {
  readonly method?: string;
  readonly body?: unknown;
  /** A body as it is, instead. */
  readonly raw?: string | Buffer;
  readonly headers?: Record<string, string>;
  /** The path as it goes over the wire, instead of the tidied one of the address. */
  readonly rawPath?: string;
  readonly tls?: { readonly key?: string; readonly cert?: string; readonly maxVersion?: "TLSv1.2" };
}

export interface Machine {
  readonly id: string;
  readonly key: string;
  readonly cert: string;
  readonly request: string;
  ask(path: string, ask?: Ask): Promise<Answer>;
  poll(after?: number, waitMs?: number): Promise<Assignment>;
  report(action: Pick<Action, "id">, event: string, extra?: Record<string, unknown>): Promise<Answer>;
}

export class TestServer {
  readonly folder: string;
  /** Begins with the present, since TLS looks at the clock of the machine. */
  now = Date.now();
  readonly logged: Record<string, unknown>[] = [];
  #running: RunningServer | undefined;
  readonly #options: Partial<RunOptions>;

  constructor(folder: string, options: Partial<RunOptions>) {
    this.folder = folder;
    this.#options = options;
  }

  get running(): RunningServer {
    if (this.#running === undefined) throw new Error("the test's server does not run");
    return this.#running;
  }

  async start(): Promise<void> {
    this.#running = await runServer({
      stateFolder: path.join(this.folder, "state"),
      host: "127.0.0.1",
      port: 0,
      names: [],
      version: "0.0.0-test",
      clock: () => new Date(this.now),
      log: (line) => this.logged.push(line),
      ...this.#options,
    });
  }

  async stop(): Promise<void> {
    await this.#running?.close();
    this.#running = undefined;
  }

  async ask(address: string, ask: Ask = {}): Promise<Answer> {
    const { authority } = this.running.context;
    const url = new URL(address, this.running.address);
    return await exchange(url, { ...ask, tls: { ...ask.tls }, ca: authority.certificate });
  }

  /** A browser that has signed in: its cookie, and the Origin that it sends with changes. */
  async signIn(link?: string): Promise<(address: string, ask?: Ask) => Promise<Answer>> {
    const { status, headers } = await this.ask(link ?? (await this.running.signInLink()));
    assert.equal(status, 303);
    const cookie = String(headers["set-cookie"]).split(";")[0] ?? "";
    return async (address, ask = {}) =>
      await this.ask(address, { ...ask, headers: { cookie, origin: this.running.address, ...ask.headers } });
  }

  async token(body: Record<string, unknown> = {}): Promise<string> {
    const admin = await this.signIn();
    const made = await admin("/v1/enrolment-tokens", { method: "POST", body });
    assert.equal(made.status, 201, made.text);
    return made.body.token;
  }

  async enrol(name: string, body: Record<string, unknown> = {}): Promise<Machine> {
    const { key, request } = await certificateRequest();
    const enrolment = { token: await this.token(body), name, certificateRequest: request };
    const enrolled = await this.ask("/v1/enrol", { method: "POST", body: enrolment });
    assert.equal(enrolled.status, 201, enrolled.text);
    return this.machine(enrolled.body.deviceId, { key, cert: enrolled.body.certificate, request });
  }

  machine(id: string, { key, cert, request }: { key: string; cert: string; request: string }): Machine {
    const ask = (address: string, given: Ask = {}) => this.ask(address, { ...given, tls: { key, cert } });
    let reports = 0;
    return {
      id,
      key,
      cert,
      request,
      ask,
      async poll(after, waitMs = 0) {
        const query = after === undefined ? "" : `&after=${after}`;
        const answer = await ask(`/v1/agent/actions?waitMs=${waitMs}${query}`);
        assert.equal(answer.status, 200, answer.text);
        return answer.body;
      },
      async report(action, event, extra = {}) {
        reports += 1;
        const body = { key: `report-${reports}-${"0".repeat(16)}`, actionId: action.id, event, ...extra };
        return await ask("/v1/agent/reports", { method: "POST", body });
      },
    };
  }
}

export async function openServer(test: TestContext, options: Partial<RunOptions> = {}): Promise<TestServer> {
  const folder = mkdtempSync(path.join(tmpdir(), "rebootless-server-"));
  const cluster = clusterOfRun();
  const database = cluster === undefined ? {} : { database: await newDatabase(cluster) };
  const server = new TestServer(folder, { ...database, ...options });
  test.after(async () => {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  await server.start();
  return server;
}

/** A key and a certificate request for it, both PEM. */
export async function certificateRequest(namedCurve = "P-256"): Promise<{ key: string; request: string }> {
  const keys = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve }, true, ["sign", "verify"]);
  const signingAlgorithm = { name: "ECDSA", hash: "SHA-256" };
  const request = await x509.Pkcs10CertificateRequestGenerator.create({ name: "CN=test", keys, signingAlgorithm });
  const der = await crypto.subtle.exportKey("pkcs8", keys.privateKey);
  return { key: x509.PemConverter.encode(der, "PRIVATE KEY"), request: request.toString("pem") };
}

export type Exchange = Ask & { readonly ca: string };

export function exchange(
  url: URL,
  { method = "GET", body, raw, headers = {}, rawPath, tls, ca }: Exchange,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const payload = raw ?? (body === undefined ? undefined : JSON.stringify(body));
    const typed = payload === undefined ? headers : { "content-type": "application/json", ...headers };
    const settings = {
      ...{ method, headers: typed, ca, agent: false, ...tls },
      ...(rawPath === undefined ? {} : { path: rawPath }),
      // A test may lie in the Host header; the server is checked for where it really is.
      checkServerIdentity: (_: string, certificate: PeerCertificate) => checkServerIdentity(url.hostname, certificate),
    };
    const request = httpsRequest(url, settings, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const text = Buffer.concat(chunks).toString("utf8");
        const isJson = /json/.test(response.headers["content-type"] ?? "");
        const { statusCode: status = 0, headers: answered } = response;
        resolve({ status, headers: answered, text, body: isJson && text !== "" ? JSON.parse(text) : undefined });
      });
    });
    request.on("error", reject);
    request.end(payload);
  });
}
