/** Sign-in against a real provider of OpenID Connect, by a browser that keeps cookies and follows redirects. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import Provider from "oidc-provider";
import { openServer, type TestServer } from "../support/running-server.ts";

interface Idp {
  readonly issuer: string;
  readonly http: Server;
}

/** Lets in whoever gives a name, which becomes the subject and the preferred name. */
async function openProvider(t: TestContext, redirectUri: () => string): Promise<Idp> {
  const http = createServer().listen(0, "127.0.0.1");
  await once(http, "listening");
  const issuer = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  const client = {
    client_id: "rebootless",
    client_secret: "a secret of the test alone",
    grant_types: ["authorization_code"],
  };
  let handle: ReturnType<Provider["callback"]> | undefined;
  http.on("request", (request, response) => {
    // The server's port is known only once it runs, behind the provider.
    handle ??= new Provider(issuer, {
      clients: [{ ...client, redirect_uris: [redirectUri()], response_types: ["code"] }],
      claims: { openid: ["sub"], profile: ["preferred_username"], email: ["email", "email_verified"] },
      findAccount: (_context, id) => ({
        accountId: id,
        claims: async () => ({
          sub: `subject-${id}`,
          preferred_username: id,
          email: `${id}@example.org`,
          email_verified: false,
        }),
      }),
      pkce: { required: () => true },
      cookies: { keys: ["a key of the test alone"] },
    }).callback();
    return handle(request, response);
  });
  t.after(() => {
    http.closeAllConnections();
    http.close();
  });
  return { issuer, http };
}

/** Cookies by host and path are not told apart, since the two hosts differ by their ports alone: it keeps a jar for each. */
class Browser {
  readonly #server: TestServer;
  readonly jars = { server: new Map<string, string>(), provider: new Map<string, string>() };

  constructor(server: TestServer) {
    this.#server = server;
  }

  #header(jar: keyof Browser["jars"]): string {
    return [...this.jars[jar]].map(([name, value]) => `${name}=${value}`).join("; ");
  }

  #keep(jar: keyof Browser["jars"], lines: readonly string[]): void {
    for (const line of lines) {
      const [pair = ""] = line.split(";");
      const at = pair.indexOf("=");
      const [name, value] = [pair.slice(0, at), pair.slice(at + 1)];
      if (value === "" || /max-age=0|expires=thu, 01 jan 1970/i.test(line)) this.jars[jar].delete(name);
      else this.jars[jar].set(name, value);
    }
  }

  async server(address: string, headers: Record<string, string> = {}) {
    const answer = await this.#server.ask(address, { headers: { cookie: this.#header("server"), ...headers } });
    this.#keep("server", answer.headers["set-cookie"] ? [answer.headers["set-cookie"]].flat() : []);
    return answer;
  }

  async provider(address: string, form?: Record<string, string>) {
    const answer = await fetch(address, {
      redirect: "manual",
      headers: { cookie: this.#header("provider") },
      ...(form === undefined ? {} : { method: "POST", body: new URLSearchParams(form) }),
    });
    this.#keep("provider", answer.headers.getSetCookie());
    return { status: answer.status, location: answer.headers.get("location"), text: await answer.text() };
  }

  /** From the button of the page to the address that the provider sends the browser back to. */
  async toCallback(name: string, issuer: string): Promise<string> {
    const begun = await this.server("/v1/sign-in/oidc");
    assert.equal(begun.status, 303, begun.text);
    let at = String(begun.headers.location);
    for (let turn = 0; turn < 12; turn++) {
      if (at.startsWith(this.#server.running.address)) return at;
      const { location, text } = await this.provider(at);
      if (location !== null) {
        at = new URL(location, issuer).href;
        continue;
      }
      const prompt = /name="prompt" value="(\w+)"/.exec(text)?.[1] ?? assert.fail(text);
      const form = prompt === "login" ? { prompt, login: name, password: "any" } : { prompt };
      const action = /action="([^"]+)"/.exec(text)?.[1] ?? at;
      const posted = await this.provider(new URL(action, issuer).href, form);
      at = new URL(posted.location ?? assert.fail(posted.text), issuer).href;
    }
    return assert.fail(`the provider never came to an end: ${at}`);
  }

  async signIn(name: string, issuer: string) {
    const callback = new URL(await this.toCallback(name, issuer));
    return await this.server(callback.pathname + callback.search);
  }
}

async function open(t: TestContext, newPeople: "refuse" | "auditor" = "refuse") {
  let server: TestServer | undefined;
  const idp = await openProvider(t, () => `${server?.running.address}/v1/sign-in/oidc/callback`);
  const folder = mkdtempSync(path.join(tmpdir(), "rebootless-oidc-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const clientSecretFile = path.join(folder, "secret");
  writeFileSync(clientSecretFile, "a secret of the test alone\n", { mode: 0o600 });
  const oidc = {
    issuer: new URL(idp.issuer),
    clientId: "rebootless",
    clientSecretFile,
    nameClaim: "preferred_username",
    newPeople,
  };
  server = await openServer(t, { oidc });
  const admin = await server.signIn();
  return { idp, server, admin, browser: new Browser(server) };
}

test("a person whom somebody added signs in by the provider, is known by its word for him from then on, and is out when he is disabled", async (t) => {
  const { idp, server, admin, browser } = await open(t);
  assert.deepEqual((await server.ask("/v1/sign-in/methods")).body, { oidc: true, password: false });
  const anna = await admin("/v1/people", {
    method: "POST",
    body: { name: "anna", grants: [{ role: "auditor", groupId: "all" }] },
  });
  const signedIn = await browser.signIn("anna", idp.issuer);
  assert.deepEqual([signedIn.status, signedIn.headers.location], [303, "/"], signedIn.text);
  const cookies = String(signedIn.headers["set-cookie"]);
  assert.match(cookies, /__Host-rebootless-session=[\w-]{43}; Path=\/; Max-Age=\d+; HttpOnly; Secure; SameSite=Strict/);
  assert.equal((await browser.server("/v1/session")).body.name, "anna");
  assert.equal((await browser.server("/v1/devices")).status, 200);
  const { items } = await (await admin(`/v1/people/${anna.body.id}/sessions`)).body;
  assert.equal(items[0].method, "oidc");
  await admin(`/v1/people/${anna.body.id}`, { method: "PATCH", body: { state: "disabled" } });
  assert.equal((await browser.server("/v1/devices")).status, 401);
  const again = await new Browser(server).signIn("anna", idp.issuer);
  assert.deepEqual([again.status, again.body?.code], [409, "access/person-disabled"]);
  assert.deepEqual(server.logged, []);
});

test("whom nobody added is refused, or becomes an auditor where that is asked for; a browser gets the page", async (t) => {
  const { idp, browser } = await open(t);
  const refused = await browser.signIn("eve", idp.issuer);
  assert.deepEqual([refused.status, refused.body?.code], [403, "access/person-unknown"]);
  const other = await open(t, "auditor");
  assert.equal((await other.browser.signIn("eve", other.idp.issuer)).status, 303);
  const { body } = await other.browser.server("/v1/session");
  assert.deepEqual([body.name, body.grants], ["eve", [{ role: "auditor", groupId: "all" }]]);
  const callback = new URL(await browser.toCallback("eve", idp.issuer));
  const page = await browser.server(callback.pathname + callback.search, { accept: "text/html" });
  assert.deepEqual([page.status, page.headers.location], [303, "/?refused=access%2Fperson-unknown"]);
});

test("a flow is good once, in its own browser, for ten minutes, with its own state and nonce", async (t) => {
  const { idp, server, browser } = await open(t, "auditor");
  const code = async (answer: Promise<{ status: number; body: { code?: string } | undefined }>) => {
    const { status, body } = await answer;
    return `${status} ${body?.code}`;
  };
  const pathOf = (address: string) => address.slice(server.running.address.length);
  const first = pathOf(await browser.toCallback("a", idp.issuer));
  const victim = new Browser(server);
  assert.equal(await code(victim.server(first)), "403 access/sign-in-expired", "without the cookie of the flow");
  await victim.server("/v1/sign-in/oidc");
  assert.equal(
    await code(victim.server(first)),
    "403 access/provider-refused",
    "with the flow of another one: login CSRF",
  );
  assert.equal((await browser.server(first)).status, 303);
  assert.equal(await code(browser.server(first)), "403 access/sign-in-expired", "used before");
  const late = new Browser(server);
  const path = pathOf(await late.toCallback("a", idp.issuer));
  server.now += 10 * 60 * 1000;
  assert.equal(await code(late.server(path)), "403 access/sign-in-expired");
  const wrong = new Browser(server);
  const forged = pathOf(await wrong.toCallback("a", idp.issuer)).replace(/iss=[^&]+/, "iss=https%3A%2F%2Fevil.example");
  assert.equal(await code(wrong.server(forged)), "403 access/provider-refused", "the issuer is another one (RFC 9207)");
  await browser.server("/v1/sign-in/oidc");
  const denied = "/v1/sign-in/oidc/callback?error=access_denied&error_description=no";
  assert.equal(await code(browser.server(denied)), "403 access/provider-refused");
  assert.equal(await code(browser.server("/v1/sign-in/oidc", { host: "evil.example" })), "403 access/origin");
  assert.deepEqual(server.logged, []);
});

test("a provider that is away is said to be, links let in meanwhile, and it is asked again once it is back", async (t) => {
  const { idp, server, browser } = await open(t, "auditor");
  const { port } = idp.http.address() as AddressInfo;
  idp.http.closeAllConnections();
  await new Promise((resolve) => idp.http.close(resolve));
  const away = await browser.server("/v1/sign-in/oidc");
  assert.deepEqual([away.status, away.body.code, away.headers["retry-after"]], [503, "server/provider-away", "30"]);
  assert.equal((await (await server.signIn())("/v1/session")).status, 200);
  idp.http.listen(port, "127.0.0.1");
  await once(idp.http, "listening");
  assert.equal((await browser.signIn("a", idp.issuer)).status, 303);
  const without = await openServer(t);
  assert.equal((await without.ask("/v1/sign-in/oidc")).body.code, "server/no-provider");
});
