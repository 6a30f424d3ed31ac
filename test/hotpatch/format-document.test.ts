import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { limits } from "../../src/base/limits.ts";
import { refusalCodes } from "../../src/base/refusal.ts";
import { magic } from "../../src/hotpatch/container.ts";
import { payloadType } from "../../src/hotpatch/dsse.ts";

const specification = readFileSync(new URL("../../docs/hotpatch-format.md", import.meta.url), "utf8");

test("the specification prints the limits that the reader keeps", () => {
  const rows = [...specification.matchAll(/^\| `(\w+)` \| (\d+) \|/gm)].map(([, name, value]) => [name, Number(value)]);
  assert.deepEqual(Object.fromEntries(rows), { ...limits });
});

test("the specification lists every way in which a hotpatch is refused", () => {
  const listed = [...specification.matchAll(/^\| `(hotpatch\/[\w-]+)` \|/gm)].map(([, code]) => code);
  assert.deepEqual(listed.sort(), refusalCodes.filter((code) => code.startsWith("hotpatch/")).sort());
});

test("the specification names the magic and the payload type that are written", () => {
  const hex = Buffer.from(magic).toString("hex").toUpperCase().match(/../g)?.join(" ");
  assert.ok(hex !== undefined && specification.includes(hex));
  assert.ok(specification.includes(payloadType));
});
