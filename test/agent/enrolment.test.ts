/** Enrolment and renewal against a server of the test; no process is looked at here. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { copyFileSync, existsSync, readdirSync, renameSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { agentFolder, holdFolder } from "../../src/agent/agent-folder.ts";
import { type EnrolOptions, enrol, isDue, renew } from "../../src/agent/enrolment.ts";
import { readIdentity } from "../../src/agent/identity.ts";
import { ServerLink } from "../../src/agent/server-link.ts";
import { RebootlessError } from "../../src/base/errors.ts";
import { RefusalError } from "../../src/base/refusal.ts";
import { generateKey } from "../../src/hotpatch/key.ts";
import { catalogAddress } from "../../src/repository/client/catalog-client.ts";
import { temporaryFolder } from "../engine/node/application.ts";
import { openShop } from "../repository/support/shop.ts";
import { openServer, type TestServer } from "../server/support/running-server.ts";

async function open(t: TestContext, { trusting = true }: { trusting?: boolean } = {}) {
  const shop = openShop(t);
  await shop.init();
  const { publicFile, keyId } = await generateKey(path.join(shop.folder, "author.key"), undefined);
  const address = catalogAddress(shop.repository.publicFolder, shop.folder);
  const firstRoot = path.join(shop.repository.metadataFolder, "1.root.json");
  const catalog = { address, firstRoot };
  const server = await openServer(t, trusting ? { catalog, trust: [publicFile] } : { catalog });
  const folder = agentFolder(path.join(temporaryFolder(t), "agent"));
  return { server, folder, publicFile, keyId, firstRoot };
}

async function enrolAt(server: TestServer, options: Pick<EnrolOptions, "folder"> & Partial<EnrolOptions>) {
  const token = options.token ?? (await server.token());
  const common = { server: server.running.address, name: "m", catalogRoot: undefined, trust: [] };
  return await holdFolder(options.folder, async () => await enrol({ ...common, ...options, token }));
}

function coded(code: string) {
  return (error: unknown) =>
    (error instanceof RebootlessError && error.code === code) ||
    (error instanceof RefusalError && error.refusals[0]?.code === code);
}

test("a machine enrols, pins what the server hands out, and keeps it to itself", async (t) => {
  const { server, folder, keyId } = await open(t);
  const { identity, authors } = await enrolAt(server, { folder });
  assert.deepEqual(authors, [keyId]);
  assert.deepEqual(await readIdentity(folder), identity);
  assert.equal(statSync(folder.root).mode & 0o777, 0o700);
  assert.equal(statSync(folder.identity).mode & 0o777, 0o600);
  assert.ok(!existsSync(folder.enrolmentKey));
  const link = new ServerLink(identity);
  assert.deepEqual((await link.ask("poll", { query: { waitMs: 0 } })).actions, []);
  link.close();
  await assert.rejects(enrolAt(server, { folder }), coded("agent/enrolled"));
});

test("an answer that was lost is asked for again with the same key, and gives the same device", async (t) => {
  const { server, folder } = await open(t);
  const token = await server.token();
  const { identity } = await enrolAt(server, { folder, token });
  renameSync(folder.identity, path.join(folder.root, "old.json"));
  writeFileSync(folder.enrolmentKey, identity.key, { mode: 0o600 });
  const again = await enrolAt(server, { folder, token });
  assert.equal(again.identity.deviceId, identity.deviceId);
  const other = agentFolder(path.join(temporaryFolder(t), "other"));
  await assert.rejects(enrolAt(server, { folder: other, token }), coded("access/token-invalid"));
});

test("whoever is not the server of the token gets nothing of it", async (t) => {
  const { server, folder } = await open(t);
  const impostor = await openServer(t);
  const token = await server.token();
  const common = { folder, token, name: "m", catalogRoot: undefined, trust: [] };
  const asked = enrol({ ...common, server: impostor.running.address });
  await assert.rejects(asked, coded("agent/authority-unknown"));
  assert.ok(!existsSync(folder.identity));
  await assert.rejects(enrol({ ...common, server: server.running.address, token: "a.b" }), coded("usage/arguments"));
});

test("with nobody to trust a machine is not enrolled; files of its own stand in", async (t) => {
  const { server, folder, publicFile, keyId, firstRoot } = await open(t, { trusting: false });
  const token = await server.token();
  await assert.rejects(enrolAt(server, { folder, token }), coded("agent/trust-missing"));
  const { authors } = await enrolAt(server, { folder, token, trust: [publicFile], catalogRoot: firstRoot });
  assert.deepEqual(authors, [keyId]);
});

test("a certificate is renewed when a third of its time is left, with a new key", async (t) => {
  const { server, folder } = await open(t);
  const { identity } = await enrolAt(server, { folder });
  const dayMs = 86_400_000;
  const inDays = (days: number) => new Date(Date.now() + days * dayMs);
  assert.deepEqual([isDue(identity, inDays(19)), isDue(identity, inDays(21))], [false, true]);
  server.now += 5 * dayMs;
  const link = new ServerLink(identity);
  const renewed = await renew(folder, identity, link);
  link.close();
  assert.ok(Date.parse(renewed.expiresAt) > Date.parse(identity.expiresAt));
  assert.notEqual(renewed.key, identity.key);
  assert.ok(new X509Certificate(renewed.certificate).subjectAltName?.includes(identity.deviceId));
  assert.deepEqual(await readIdentity(folder), renewed);
});

test("the server hands on its catalog's files, and no others", async (t) => {
  const { server, folder, firstRoot } = await open(t);
  const { identity } = await enrolAt(server, { folder });
  copyFileSync(firstRoot, path.join(path.dirname(path.dirname(firstRoot)), "secret.json"));
  const machine = server.machine(identity.deviceId, { key: identity.key, cert: identity.certificate, request: "" });
  const served = readdirSync(path.dirname(firstRoot));
  for (const name of served) assert.equal((await machine.ask(`/v1/catalog/metadata/${name}`)).status, 200, name);
  const others = [
    "99.root.json",
    "..%2Fsecret.json",
    "%2e%2e/secret.json",
    "../secret.json",
    "root.txt",
    "x".repeat(300),
  ];
  for (const name of others) {
    const { status } = await machine.ask(`/v1/catalog/metadata/${name}`);
    assert.ok(status === 404 || status === 400 || status === 414, `${name}: ${status}`);
  }
  assert.equal((await server.ask("/v1/catalog/metadata/timestamp.json")).status, 401);
});
