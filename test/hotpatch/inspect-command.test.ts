import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { truncateSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, test } from "node:test";
import { RebootlessError } from "../../src/base/errors.ts";
import { limits } from "../../src/base/limits.ts";
import { inspectCommand } from "../../src/cli/commands/inspect.ts";
import { keyCommands } from "../../src/cli/commands/key.ts";
import { openHotpatchFile } from "../../src/cli/commands/open-file.ts";
import { decodeHotpatch, encodeHotpatch } from "../../src/hotpatch/container.ts";
import { readHotpatchFile, writeHotpatchFile } from "../../src/hotpatch/hotpatch-file.ts";
import { loadSigner } from "../../src/hotpatch/key.ts";
import type { Signer } from "../../src/hotpatch/signature.ts";
import { commandNamed, type Desk, newDesk } from "./support/command.ts";
import { bentContainer, type Json, newKey, refusalOfAsync, sampleHotpatch } from "./support/sample.ts";

async function trustedSigner(desk: Desk): Promise<Signer> {
  const { data } = await desk.run(commandNamed(keyCommands, "key generate"), { options: { out: "alice.key" } });
  await desk.run(commandNamed(keyCommands, "key trust"), { arguments: ["alice.pub"] });
  return await loadSigner((data as Json).privateFile, undefined);
}

function inspect(desk: Desk) {
  return desk.run(inspectCommand, { arguments: ["x.hotpatch"] });
}

function put(desk: Desk, bytes: Uint8Array): void {
  writeFileSync(path.join(desk.folder, "x.hotpatch"), bytes);
}

describe("inspect", () => {
  test("says what a trusted hotpatch changes, for whom, and who signed it", async () => {
    const desk = newDesk();
    const signer = await trustedSigner(desk);
    const bytes = encodeHotpatch(sampleHotpatch(), [signer]);
    put(desk, bytes);
    const { text, data } = await inspect(desk);
    for (const line of [
      /^npm-sample-1\.0\.0-to-1\.0\.1 \(sequence 1\)$/m,
      /^For +npm package sample 1\.0\.0, made to behave as 1\.0\.1$/m,
      /^Needs +Node\.js >=20$/m,
      /^Closes +CVE-2026-0001 \(high\): parse evaluates its input$/m,
      new RegExp(`^Signed by +alice ${signer.keyId}, trusted here$`, "m"),
      new RegExp(`^Digest +sha256:${decodeHotpatch(bytes).digest}$`, "m"),
      new RegExp(`^File +${bytes.length} bytes, 4 payloads of \\d+ bytes, sha256:[0-9a-f]{64}$`, "m"),
      /^ {2}lib\/parse\.js \(commonjs; live edit, values of the module set\)$/m,
      /^ {4}functions: parse$/m,
      /^ {4}NOT REACHED in a process that has loaded it: pattern, line 3: A copy of it is held by another module\.$/m,
      /^Adds 1 file:\n {2}lib\/helper\.js \(33 bytes\)$/m,
    ]) {
      assert.match(text, line);
    }
    assert.doesNotMatch(text, /NOT TRUSTED/);
    assert.deepEqual(desk.warnings, []);
    const json = data as Json;
    assert.equal(json.signatures.trusted, true);
    assert.deepEqual(json.signatures.signedBy, [{ keyId: signer.keyId, name: "alice" }]);
    assert.deepEqual(json.files[0].functions, ["parse"]);
    assert.deepEqual(json.added, [{ path: "lib/helper.js", sizeBytes: 33 }]);
    assert.deepEqual(JSON.parse(JSON.stringify(json)), json);
  });

  test("shows an unsigned hotpatch, and says loudly that it is one", async () => {
    const desk = newDesk();
    put(desk, encodeHotpatch(sampleHotpatch(), []));
    const { text, data } = await inspect(desk);
    assert.match(text, /^NOT TRUSTED: nobody known here vouches/);
    assert.match(text, /^Signed by +NOBODY$/m);
    assert.match(desk.warnings.join(), /^NOT TRUSTED.*no signature/);
    assert.equal((data as Json).signatures.untrusted.code, "hotpatch/unsigned");
  });

  test("shows a hotpatch of a stranger, without calling the signature good", async () => {
    const desk = newDesk();
    await trustedSigner(desk);
    const mallory = newKey();
    put(desk, encodeHotpatch(sampleHotpatch(), [mallory.signer]));
    const { text } = await inspect(desk);
    assert.match(text, new RegExp(`^Signed by +${mallory.signer.keyId}, NOT trusted here and not checked$`, "m"));
    assert.match(desk.warnings.join(), /^NOT TRUSTED/);
  });

  test("refuses an altered one", async () => {
    const desk = newDesk();
    const bytes = encodeHotpatch(sampleHotpatch(), [await trustedSigner(desk)]);
    bytes[bytes.length - 1]! ^= 1;
    put(desk, bytes);
    assert.equal((await refusalOfAsync(() => inspect(desk))).code, "hotpatch/payload-altered");
  });

  test("lets no string of the file reach the terminal raw", async () => {
    const desk = newDesk();
    const evil = "\u001b[2Jevil\u009b31m\u202e\r";
    put(
      desk,
      bentContainer((m) => {
        m.title = `${evil}\nSigned by   alice`;
        m.description = `first${evil}\nSigned by   alice`;
        m.target.name = evil;
        m.requirements.node = evil;
        m.advisories[0].summary = evil;
        m.supersedes = [evil];
        m.node.files[0].path = `lib/${evil}.js`;
        m.node.files[0].functions[0].name = evil;
        m.node.files[0].unreachable[0] = { name: evil, line: 1, reason: evil };
        m.node.added[0].path = `lib/${evil}2.js`;
      }),
    );
    const { text } = await inspect(desk);
    assert.doesNotMatch(text.replaceAll("\n", ""), /[\p{Cc}\p{Cf}]/u);
    assert.equal(text.match(/^Signed by/gm)?.length, 1);
    assert.match(text, /\\u\{1b\}\[2Jevil\\u\{9b\}31m\\u\{202e\}\\u\{d\}/);
    put(
      desk,
      bentContainer((m) => (m.node.files[0].path = `../${evil}`)),
    );
    const refusal = await refusalOfAsync(() => inspect(desk));
    assert.doesNotMatch(refusal.message, /[\p{Cc}\p{Cf}]/u);
    put(
      desk,
      bentContainer((m) => (m[evil] = 1)),
    );
    assert.doesNotMatch((await refusalOfAsync(() => inspect(desk))).message, /[\p{Cc}\p{Cf}]/u);
  });
});

describe("opening a file to act on it", () => {
  test("warns when nobody vouches for it, and only then", async () => {
    const desk = newDesk();
    const signer = await trustedSigner(desk);
    put(desk, encodeHotpatch(sampleHotpatch(), [signer]));
    const trusted = await openHotpatchFile("x.hotpatch", { trustDirectory: undefined, allowUnsigned: true }, desk.io);
    assert.equal(trusted.trusted, true);
    assert.deepEqual(desk.warnings, []);
    put(desk, encodeHotpatch(sampleHotpatch(), []));
    const strict = { trustDirectory: undefined, allowUnsigned: false };
    assert.equal(
      (await refusalOfAsync(() => openHotpatchFile("x.hotpatch", strict, desk.io))).code,
      "hotpatch/unsigned",
    );
    await openHotpatchFile("x.hotpatch", { ...strict, allowUnsigned: true }, desk.io);
    assert.match(desk.warnings.join(), /^"x\.hotpatch" is used although it is UNSIGNED.*--allow-unsigned/);
  });

  test("reads regular files of a sane size only", async () => {
    const desk = newDesk();
    const missing = { code: "input/file-missing" };
    await assert.rejects(() => readHotpatchFile(path.join(desk.folder, "none")), missing);
    await assert.rejects(() => readHotpatchFile(desk.folder), { code: "input/file-unreadable" });
    await assert.rejects(() => readHotpatchFile("/dev/zero"), { code: "input/file-unreadable" });
    const pipe = path.join(desk.folder, "pipe");
    execFileSync("mkfifo", [pipe]);
    await assert.rejects(
      () => readHotpatchFile(pipe),
      (error: unknown) => error instanceof RebootlessError && /not a regular file/.test(error.message),
    );
    const sparse = path.join(desk.folder, "sparse");
    writeFileSync(sparse, "");
    truncateSync(sparse, limits.hotpatchBytes + 1);
    assert.equal((await refusalOfAsync(() => readHotpatchFile(sparse))).code, "hotpatch/too-large");
  });

  test("gives back what was written, over a file of that name", async () => {
    const desk = newDesk();
    const file = path.join(desk.folder, "x.hotpatch");
    writeFileSync(file, "old");
    const bytes = encodeHotpatch(sampleHotpatch(), []);
    await writeHotpatchFile(file, bytes);
    assert.deepEqual(await readHotpatchFile(file), bytes);
    await assert.rejects(() => writeHotpatchFile(path.join(desk.folder, "no/x.hotpatch"), bytes), {
      code: "failure/file-write",
    });
  });
});
