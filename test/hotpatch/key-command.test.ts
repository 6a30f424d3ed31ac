import assert from "node:assert/strict";
import { createPrivateKey, createPublicKey, generateKeyPairSync } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, test } from "node:test";
import { type ErrorCode, RebootlessError } from "../../src/base/errors.ts";
import { keyCommands } from "../../src/cli/commands/key.ts";
import { encodeHotpatch } from "../../src/hotpatch/container.ts";
import { loadSigner } from "../../src/hotpatch/key.ts";
import { openHotpatch } from "../../src/hotpatch/open-hotpatch.ts";
import { defaultSigningKey, defaultTrustDirectory, loadTrustStore } from "../../src/hotpatch/trust-store.ts";
import { commandNamed, type Desk, newDesk } from "./support/command.ts";
import { type Json, refusalOfAsync, sampleHotpatch } from "./support/sample.ts";

const generate = commandNamed(keyCommands, "key generate");
const trust = commandNamed(keyCommands, "key trust");
const untrust = commandNamed(keyCommands, "key untrust");
const list = commandNamed(keyCommands, "key list");
const show = commandNamed(keyCommands, "key show");

function modeOf(file: string): number {
  return statSync(file).mode & 0o777;
}

async function generated(desk: Desk, options: Record<string, string> = {}): Promise<Json> {
  return (await desk.run(generate, { options })).data;
}

async function failsWith(code: ErrorCode, message: RegExp, action: () => Promise<unknown>): Promise<void> {
  await assert.rejects(action, (error: unknown) => {
    assert.ok(error instanceof RebootlessError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, message);
    return true;
  });
}

describe("key generate", () => {
  test("writes a private key for its owner alone and a public key for all, whatever the umask", async () => {
    for (const umask of [0o000, 0o077]) {
      const desk = newDesk();
      const before = process.umask(umask);
      try {
        const key = await generated(desk);
        assert.equal(key.privateFile, path.join(desk.folder, ".config/rebootless/keys/signing.key"));
        assert.equal(key.publicFile, path.join(desk.folder, ".config/rebootless/keys/signing.pub"));
        assert.equal(modeOf(key.privateFile), 0o600);
        assert.equal(modeOf(key.publicFile), 0o644);
        assert.equal(modeOf(path.dirname(key.privateFile)), 0o700);
        assert.equal(createPrivateKey(readFileSync(key.privateFile)).asymmetricKeyType, "ed25519");
        assert.match(readFileSync(key.publicFile, "utf8"), /^-----BEGIN PUBLIC KEY-----\n/);
        assert.equal(createPublicKey(readFileSync(key.publicFile)).asymmetricKeyType, "ed25519");
        assert.deepEqual(readdirSync(path.dirname(key.privateFile)).sort(), ["signing.key", "signing.pub"]);
      } finally {
        process.umask(before);
      }
    }
  });

  test("puts the key where --out and --name say", async () => {
    const desk = newDesk();
    mkdirSync(path.join(desk.folder, "there"));
    const rows: [Record<string, string>, string, string][] = [
      [{ out: "a.key" }, "a.key", "a.pub"],
      [{ out: "plain" }, "plain", "plain.pub"],
      [{ out: "there", name: "team" }, "there/team.key", "there/team.pub"],
      [{ out: "new/", name: "team" }, "new/team.key", "new/team.pub"],
    ];
    for (const [options, privateFile, publicFile] of rows) {
      const key = await generated(desk, options);
      assert.equal(key.privateFile, path.join(desk.folder, privateFile));
      assert.ok(existsSync(path.join(desk.folder, publicFile)));
    }
    await failsWith("usage/arguments", /cannot name a key/, () => generated(desk, { name: "../../x" }));
  });

  test("never overwrites a private or a public key", async () => {
    const desk = newDesk();
    const key = await generated(desk);
    const before = readFileSync(key.privateFile, "utf8");
    await failsWith("key/exists", /signing\.key" exists already/, () => generated(desk));
    assert.equal(readFileSync(key.privateFile, "utf8"), before);
    rmSync(key.privateFile);
    await failsWith("key/exists", /signing\.pub" exists already/, () => generated(desk));
    assert.ok(!existsSync(key.privateFile), "half a pair was left behind");
    symlinkSync("nowhere", key.privateFile);
    await failsWith("key/exists", /signing\.key" exists already/, () => generated(desk));
  });

  test("makes one key when two start at once", async () => {
    const desk = newDesk();
    const results = await Promise.allSettled([generated(desk), generated(desk)]);
    const made = results.filter((result) => result.status === "fulfilled");
    assert.equal(made.length, 1);
    const { keyId } = made[0]!.value;
    assert.equal((await loadSigner(defaultSigningKey(desk.io.env), undefined)).keyId, keyId);
    assert.equal(
      ((await desk.run(show, { arguments: [".config/rebootless/keys/signing.pub"] })) as Json).data.keyId,
      keyId,
    );
  });

  test("says what is in the way of writing", async () => {
    const desk = newDesk();
    writeFileSync(path.join(desk.folder, "file"), "");
    await failsWith("failure/file-write", /cannot be made/, () => generated(desk, { out: "file/below/x.key" }));
  });
});

describe("a passphrase", () => {
  test("from a file encrypts the key, which then signs with it only", async () => {
    const desk = newDesk();
    const file = path.join(desk.folder, "passphrase");
    writeFileSync(file, "correct horse\n", { mode: 0o600 });
    const key = await generated(desk, { passphraseFile: "passphrase" });
    assert.equal(key.encrypted, true);
    assert.match(readFileSync(key.privateFile, "utf8"), /^-----BEGIN ENCRYPTED PRIVATE KEY-----\n/);
    assert.equal((await loadSigner(key.privateFile, "correct horse")).keyId, key.keyId);
    await failsWith("key/invalid", /passphrase is wrong/, () => loadSigner(key.privateFile, "correct horse\n"));
    await failsWith("key/invalid", /is encrypted; give its passphrase/, () => loadSigner(key.privateFile, undefined));
  });

  test("comes from the environment as well", async () => {
    const desk = newDesk({ REBOOTLESS_KEY_PASSPHRASE: "staple" });
    const key = await generated(desk);
    assert.equal((await loadSigner(key.privateFile, "staple")).keyId, key.keyId);
    assert.equal(((await desk.run(show, { arguments: [key.privateFile] })) as Json).data.keyId, key.keyId);
  });

  test("that is empty, too long, or lies open is not taken", async () => {
    const desk = newDesk();
    const file = path.join(desk.folder, "passphrase");
    writeFileSync(file, "\n", { mode: 0o600 });
    await failsWith("key/invalid", /1 to 1024 bytes/, () => generated(desk, { passphraseFile: file }));
    writeFileSync(file, "x".repeat(1025));
    await failsWith("key/invalid", /1 to 1024 bytes/, () => generated(desk, { passphraseFile: file }));
    writeFileSync(file, "x".repeat(2000));
    await failsWith("input/too-large", /2000 bytes/, () => generated(desk, { passphraseFile: file }));
    writeFileSync(file, "fine");
    chmodSync(file, 0o644);
    assert.equal((await refusalOfAsync(() => generated(desk, { passphraseFile: file }))).code, "key/exposed");
    assert.ok(!existsSync(path.join(desk.folder, ".config")));
  });
});

describe("a private key", () => {
  test("that others may read or change is refused, with what to do", async () => {
    const desk = newDesk();
    const { privateFile } = await generated(desk);
    for (const mode of [0o640, 0o604, 0o620, 0o644]) {
      chmodSync(privateFile, mode);
      const { code, message } = await refusalOfAsync(() => loadSigner(privateFile, undefined));
      assert.equal(code, "key/exposed");
      assert.match(message, new RegExp(`mode 0${mode.toString(8)}.*chmod 600`));
    }
    chmodSync(privateFile, 0o400);
    await loadSigner(privateFile, undefined);
  });

  test("that is none is named as what it is", async () => {
    const desk = newDesk();
    const at = (name: string, content: string) => {
      const file = path.join(desk.folder, name);
      writeFileSync(file, content, { mode: 0o600 });
      return file;
    };
    const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
    await failsWith("input/file-missing", /no private key file/, () =>
      loadSigner(path.join(desk.folder, "none"), undefined),
    );
    await failsWith("key/invalid", /not a private key in PEM/, () => loadSigner(at("text", "hello"), undefined));
    await failsWith("key/invalid", /it is damaged/, () =>
      loadSigner(at("damaged", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), undefined),
    );
    await failsWith("key/invalid", /type rsa.*Ed25519/, () =>
      loadSigner(at("rsa", rsa.privateKey.export({ type: "pkcs8", format: "pem" })), undefined),
    );
    await failsWith("input/too-large", /at most 16384/, () => loadSigner(at("large", "x".repeat(20_000)), undefined));
    await failsWith("input/file-unreadable", /not a regular file/, () => loadSigner(desk.folder, undefined));
  });
});

describe("the trust store", () => {
  test("lets in what a trusted key signed, until the key is removed", async () => {
    const desk = newDesk();
    const key = await generated(desk, { out: "alice.key" });
    const bytes = encodeHotpatch(sampleHotpatch(), [await loadSigner(key.privateFile, undefined)]);
    const open = async () =>
      openHotpatch(bytes, await loadTrustStore(path.join(desk.folder, "trusted")), { allowUnsigned: false });

    assert.equal((await refusalOfAsync(open)).code, "hotpatch/no-trusted-key");
    const added = await desk.run(trust, { arguments: ["alice.pub"] });
    assert.match(added.text, /Trusted from now on: alice \([0-9a-f]{64}\)/);
    assert.deepEqual((await open()).signedBy, [key.keyId]);
    assert.match((await desk.run(trust, { arguments: ["alice.pub"] })).text, /Trusted already/);

    // A second file of the same key must not keep it trusted.
    writeFileSync(path.join(desk.folder, "trusted/copy.pub"), readFileSync(key.publicFile));
    const removed = await desk.run(untrust, { arguments: [key.keyId.slice(0, 8).toUpperCase()] });
    assert.match(removed.text, /No longer trusted/);
    assert.equal((await refusalOfAsync(open)).code, "hotpatch/no-trusted-key");
  });

  test("lists its keys, and the user's own", async () => {
    const desk = newDesk();
    assert.match((await desk.run(list)).text, /No key is trusted here/);
    const own = await generated(desk);
    const other = await generated(desk, { out: "bob.key" });
    await desk.run(trust, { arguments: ["bob.pub"] });
    const { data, text } = await desk.run(list);
    assert.deepEqual(
      (data as Json).trusted.map((key: Json) => [key.keyId, key.name]),
      [[other.keyId, "bob"]],
    );
    assert.equal((data as Json).signing.keyId, own.keyId);
    assert.ok(text.includes(`  ${other.keyId}  bob`));
    assert.ok(text.includes(own.keyId));
  });

  test("takes a folder named with --trust-dir", async () => {
    const desk = newDesk();
    await generated(desk, { out: "alice.key" });
    await desk.run(trust, { arguments: ["alice.pub"], options: { trustDir: "elsewhere" } });
    assert.equal((await loadTrustStore(path.join(desk.folder, "elsewhere"))).keys.size, 1);
    assert.equal((await loadTrustStore(path.join(desk.folder, "trusted"))).keys.size, 0);
  });

  test("never takes a private key in", async () => {
    const desk = newDesk();
    const { privateFile } = await generated(desk);
    await failsWith("key/invalid", /is a private key, which stays with its owner/, () =>
      desk.run(trust, { arguments: [privateFile] }),
    );
    assert.ok(!existsSync(path.join(desk.folder, "trusted")));
  });

  test("that everyone may change is refused", async () => {
    const desk = newDesk();
    await generated(desk, { out: "alice.key" });
    await desk.run(trust, { arguments: ["alice.pub"] });
    const folder = path.join(desk.folder, "trusted");
    const file = path.join(folder, readdirSync(folder)[0]!);
    for (const exposed of [folder, file]) {
      const before = modeOf(exposed);
      chmodSync(exposed, before | 0o002);
      const { code, message } = await refusalOfAsync(() => loadTrustStore(folder));
      assert.equal(code, "key/exposed");
      assert.match(message, /chmod o-w/);
      chmodSync(exposed, before);
    }
  });

  test("names a file that is no key rather than trust less than it seems", async () => {
    const desk = newDesk();
    const folder = path.join(desk.folder, "trusted");
    mkdirSync(folder);
    writeFileSync(path.join(folder, "README"), "not looked at");
    assert.equal((await loadTrustStore(folder)).keys.size, 0);
    writeFileSync(path.join(folder, "x.pub"), "ssh-ed25519 AAAA");
    await failsWith("key/invalid", /x\.pub" is not a public key in SPKI PEM/, () => loadTrustStore(folder));
  });

  test("asks for an id that is one, and the only one", async () => {
    const desk = newDesk();
    await failsWith("key/invalid", /at least 8 hexadecimal/, () => desk.run(untrust, { arguments: ["abc"] }));
    await failsWith("key/invalid", /not a key id/, () => desk.run(untrust, { arguments: ["../../etc"] }));
    await failsWith("key/unknown", /begins with 0123456789/, () => desk.run(untrust, { arguments: ["0123456789"] }));
  });

  test("shows a key and whether it is trusted", async () => {
    const desk = newDesk();
    const key = await generated(desk, { out: "alice.key" });
    assert.match(
      (await desk.run(show, { arguments: ["alice.key"] })).text,
      /private Ed25519 key\nKey id: .*\nNot trusted/,
    );
    await desk.run(trust, { arguments: ["alice.pub"] });
    const { text, data } = await desk.run(show, { arguments: ["alice.pub"] });
    assert.match(text, /public Ed25519 key\nKey id: .*\nTrusted/);
    assert.equal((data as Json).keyId, key.keyId);
    assert.doesNotMatch(JSON.stringify((await desk.run(show, { arguments: ["alice.key"] })).data), /PRIVATE KEY/);
  });
});

test("the folders of keys follow the environment, and root's its own", () => {
  const home = mkdtempSync(path.join(tmpdir(), "rebootless-test-"));
  rmSync(home, { recursive: true });
  assert.equal(defaultTrustDirectory({ HOME: home }, 1000), path.join(home, ".config/rebootless/trusted"));
  assert.equal(defaultTrustDirectory({ HOME: home, XDG_CONFIG_HOME: "/xdg" }, 1000), "/xdg/rebootless/trusted");
  assert.equal(
    defaultTrustDirectory({ HOME: home, XDG_CONFIG_HOME: "relative" }, 1000),
    path.join(home, ".config/rebootless/trusted"),
  );
  assert.equal(defaultTrustDirectory({ HOME: home, XDG_CONFIG_HOME: "/xdg" }, 0), "/etc/rebootless/trusted");
  assert.equal(defaultTrustDirectory({ REBOOTLESS_TRUST_DIR: "/keys" }, 0), "/keys");
  assert.equal(defaultSigningKey({ HOME: home }), path.join(home, ".config/rebootless/keys/signing.key"));
  assert.equal(defaultSigningKey({ HOME: home, XDG_CONFIG_HOME: "/xdg" }), "/xdg/rebootless/keys/signing.key");
});
