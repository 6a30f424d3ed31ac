import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { canonicalJson } from "../../src/base/canonical-json.ts";
import { limits } from "../../src/base/limits.ts";
import type { RefusalCode } from "../../src/base/refusal.ts";
import { decodeHotpatch } from "../../src/hotpatch/container.ts";
import {
  bentContainer,
  containerOf,
  type Json,
  payloadEntry,
  refusalOf,
  sampleManifest,
  sampleTexts,
  utf8,
} from "./support/sample.ts";

const body = Buffer.concat([...sampleTexts().values()]);

function refusalForText(manifest: string) {
  return refusalOf(() => decodeHotpatch(containerOf(utf8(manifest), body)));
}

describe("a manifest that is wrong is refused with the field that is", () => {
  const rows: [what: string, change: (manifest: Json) => void, code: RefusalCode, message: RegExp][] = [
    ["a missing field", (m) => delete m.title, "hotpatch/manifest-invalid", /required.*title/],
    [
      "an unknown field",
      (m) => (m.node.files[0].mode = 1),
      "hotpatch/manifest-invalid",
      /\/node\/files\/0\/mode is not a field/,
    ],
    ["a wrong type", (m) => (m.sequence = "1"), "hotpatch/manifest-invalid", /\/sequence must be integer/],
    ["a fraction", (m) => (m.sequence = 1.5), "hotpatch/manifest-invalid", /\/sequence/],
    ["a target of no kind", (m) => (m.target = { kind: "java" }), "hotpatch/manifest-invalid", /\/target must match/],
    [
      "a target of one kind, not whole",
      (m) => (m.target = { kind: "files" }),
      "hotpatch/manifest-invalid",
      /\/target .*name/,
    ],
    ["a version with a space", (m) => (m.target.version = "1 0"), "hotpatch/manifest-invalid", /\/target\/version/],
    [
      "a severity that is none",
      (m) => (m.advisories[0].severity = "dire"),
      "hotpatch/manifest-invalid",
      /\/advisories\/0\/severity/,
    ],
    ["a title too long", (m) => (m.title = "x".repeat(301)), "hotpatch/manifest-invalid", /\/title/],
    ["an id with a slash", (m) => (m.id = "../x"), "hotpatch/manifest-invalid", /\/id/],
    ["no file", (m) => (m.node.files = []), "hotpatch/manifest-invalid", /\/node\/files/],
    [
      "another registry",
      (m) => (m.node.files[0].registry = "process"),
      "hotpatch/manifest-invalid",
      /\/node\/files\/0\/registry/,
    ],
    [
      "a later schema",
      (m) => (m.schema = "rebootless.hotpatch/2"),
      "hotpatch/version-unknown",
      /"rebootless.hotpatch\/2"; this rebootless reads rebootless.hotpatch\/1/,
    ],
    ["no schema of ours", (m) => (m.schema = "x"), "hotpatch/manifest-invalid", /\/schema/],
    [
      "a payload size above the limit",
      (m) => (m.payloads[0].sizeBytes = limits.payloadBytes + 1),
      "hotpatch/payload-size",
      /\/payloads\/0\/sizeBytes/,
    ],
    [
      "a negative payload size",
      (m) => (m.payloads[0].sizeBytes = -1),
      "hotpatch/payload-size",
      /\/payloads\/0\/sizeBytes/,
    ],
    [
      "a digest that is none",
      (m) => (m.payloads[0].sha256 = "0"),
      "hotpatch/manifest-invalid",
      /\/payloads\/0\/sha256/,
    ],
    [
      "a payload nobody listed",
      (m) => (m.node.files[0].after = "x"),
      "hotpatch/manifest-invalid",
      /\/node\/files\/0\/after names the payload "x"/,
    ],
    [
      "a live text nobody listed",
      (m) => (m.node.files[0].live = "x"),
      "hotpatch/manifest-invalid",
      /\/node\/files\/0\/live names the payload "x"/,
    ],
    [
      "a delta nobody listed",
      (m) => (m.node.files[0].delta.text = "x"),
      "hotpatch/manifest-invalid",
      /\/node\/files\/0\/delta\/text names the payload "x"/,
    ],
    [
      "a payload nobody uses",
      (m) => (m.node.added = []),
      "hotpatch/manifest-invalid",
      /\/payloads\/3 "added\/lib\/helper.js" is used by nothing/,
    ],
    [
      "a payload listed twice",
      (m) => m.payloads.push(m.payloads[0]),
      "hotpatch/manifest-invalid",
      /"after\/lib\/parse.js" twice/,
    ],
    [
      "a file twice",
      (m) => (m.node.added[0].path = "lib/parse.js"),
      "hotpatch/manifest-invalid",
      /"lib\/parse.js" twice/,
    ],
    [
      "an advisory twice",
      (m) => m.advisories.push(m.advisories[0]),
      "hotpatch/manifest-invalid",
      /\/advisories names "CVE-2026-0001" twice/,
    ],
    ["superseding itself", (m) => m.supersedes.push(m.id), "hotpatch/manifest-invalid", /cannot supersede itself/],
    [
      "functions without a live text",
      (m) => {
        delete m.node.files[0].live;
        m.node.added[0].text = "live/lib/parse.js";
        m.payloads.pop();
      },
      "hotpatch/manifest-invalid",
      /\/node\/files\/0\/functions needs a live text/,
    ],
    [
      "a function that ends after its text",
      (m) => (m.node.files[0].functions[0].end = 1000),
      "hotpatch/manifest-invalid",
      /\/functions\/0 lies outside its text \(17 to 1000 of 76\)/,
    ],
    [
      "a mark outside of its function",
      (m) => (m.node.files[0].marks = { before: [{ at: 69, start: 17, end: 68 }], live: [] }),
      "hotpatch/manifest-invalid",
      /\/marks\/before\/0\/at has the place 69, which is out of order or outside its text/,
    ],
    [
      "marks in descending order",
      (m) =>
        (m.node.files[0].marks = {
          before: [],
          live: [
            { at: 40, start: 17, end: 74 },
            { at: 39, start: 17, end: 74 },
          ],
        }),
      "hotpatch/manifest-invalid",
      /\/marks\/live has the place 39, which is out of order/,
    ],
    [
      "the end of a line outside of its function",
      (m) => (m.node.files[0].functions[0].lineEnds = [75]),
      "hotpatch/manifest-invalid",
      /\/functions\/0\/lineEnds has the place 75, which is out of order or outside its text/,
    ],
    [
      "a function that ends before it starts",
      (m) => (m.node.files[0].functions[0].end = 3),
      "hotpatch/manifest-invalid",
      /\/functions\/0 lies outside its text \(17 to 3 of 76\)/,
    ],
    [
      "a function that stood outside of the old text",
      (m) => (m.node.files[0].functions[0].before.end = 71),
      "hotpatch/manifest-invalid",
      /\/functions\/0\/before lies outside its text \(17 to 71 of 70\)/,
    ],
    [
      "a witness outside of the old text",
      (m) => (m.node.files[0].delta.scopes[0].witnesses[0].end = 71),
      "hotpatch/manifest-invalid",
      /\/delta\/scopes\/0\/witnesses\/0 lies outside its text/,
    ],
    [
      "another digest",
      (m) => (m.payloads[0].sha256 = "0".repeat(64)),
      "hotpatch/payload-altered",
      /"after\/lib\/parse.js" was altered/,
    ],
  ];
  for (const [what, change, code, message] of rows) {
    test(what, () => {
      const refusal = refusalOf(() => decodeHotpatch(bentContainer(change)));
      assert.equal(refusal.code, code, refusal.message);
      assert.match(refusal.message, message);
    });
  }

  test("payloads that add up to more than a hotpatch holds", () => {
    const big = (m: Json) => {
      for (let index = 0; index < 5; index++) {
        m.payloads.push({ name: `big${index}`, sizeBytes: limits.payloadBytes, sha256: "0".repeat(64) });
        m.node.added.push({ path: `big${index}.js`, text: `big${index}` });
      }
    };
    assert.equal(refusalOf(() => decodeHotpatch(bentContainer(big))).code, "hotpatch/too-large");
  });
});

describe("a path that leads out of its folder is refused", () => {
  const rows: [path: string, why: RegExp][] = [
    ["/etc/passwd", /is absolute/],
    ["../x.js", /climbs out with \.\./],
    ["lib/../../x.js", /climbs out with \.\./],
    ["lib/..", /climbs out with \.\./],
    ["./x.js", /contains the part \./],
    ["lib/./x.js", /contains the part \./],
    ["lib//x.js", /contains an empty part/],
    ["lib/", /contains an empty part/],
    ["lib\\x.js", /contains a backslash/],
    ["..\\x.js", /contains a backslash/],
    ["x\0.js", /contains a NUL/],
    ["C:/x.js", /names a drive/],
    ["c:x.js", /names a drive/],
  ];
  for (const [path, why] of rows) {
    test(JSON.stringify(path), () => {
      for (const [field, change] of [
        ["/node/files/0/path", (m: Json) => (m.node.files[0].path = path)],
        ["/node/added/0/path", (m: Json) => (m.node.added[0].path = path)],
      ] as const) {
        const refusal = refusalOf(() => decodeHotpatch(bentContainer(change)));
        assert.equal(refusal.code, "hotpatch/path-out-of-bounds");
        assert.match(refusal.message, why);
        assert.ok(refusal.message.includes(field), refusal.message);
      }
    });
  }

  test("the name of a payload too, since someone may unpack it", () => {
    const change = (m: Json) => (m.payloads[0].name = m.node.files[0].after = "a/../../b");
    assert.equal(refusalOf(() => decodeHotpatch(bentContainer(change))).code, "hotpatch/path-out-of-bounds");
  });

  test("names that only look like it are fine", () => {
    for (const path of ["lib/..x.js", "lib/x..js", "lib/...", "@scope/x.js", "ab:c.js", "grüße.js"]) {
      const { hotpatch } = decodeHotpatch(bentContainer((m) => (m.node.added[0].path = path)));
      assert.equal(hotpatch.manifest.node?.added[0]?.path, path);
    }
  });
});

describe("the manifest has one spelling", () => {
  const canonical = canonicalJson(sampleManifest());
  const rows: [what: string, text: string, message: RegExp][] = [
    ["white space", `${canonical}\n`, /not canonical/],
    ["another order", JSON.stringify(sampleManifest()), /not canonical/],
    ["a member twice", canonical.replace('"sequence":1', '"sequence":2,"sequence":1'), /not canonical/],
    ["another spelling of a number", canonical.replace('"sequence":1', '"sequence":1.0'), /not canonical/],
    ["another spelling of a string", canonical.replace("sample 1.0.1", "s\\u0061mple 1.0.1"), /not canonical/],
    ["a byte-order mark", `\ufeff${canonical}`, /not JSON/],
    ["half a surrogate pair", canonical.replace("sample 1.0.1", "\\ud800"), /half of a surrogate pair/],
    ["a prototype at the top", canonical.replace("{", '{"__proto__":{},'), /named __proto__/],
    [
      "a prototype further in",
      canonical.replace('"requirements":{', '"requirements":{"__proto__":{"node":"x"},'),
      /named __proto__/,
    ],
    [
      "nesting",
      canonical.replace('"supersedes":[]', `"supersedes":${"[".repeat(50)}${"]".repeat(50)}`),
      /nested deeper than 16/,
    ],
    [
      "a long string",
      canonical.replace("sample 1.0.1", "x".repeat(limits.jsonStringBytes + 1)),
      /longer than 131072 bytes/,
    ],
    [
      "too many elements",
      canonical.replace('"supersedes":[]', `"supersedes":[${"0,".repeat(limits.jsonElements)}0]`),
      /more than 400000 elements/,
    ],
    ["nothing", "", /not JSON/],
    ["something else", "null", /must be object/],
  ];
  for (const [what, text, message] of rows) {
    test(what, () => {
      const refusal = refusalForText(text);
      assert.equal(refusal.code, "hotpatch/manifest-invalid");
      assert.match(refusal.message, message);
    });
  }
});

describe("a hotpatch for native programs", () => {
  const object = utf8("an object");
  const manifest = (): Json => ({
    ...sampleManifest(),
    id: "elf-sample",
    target: { kind: "elf", name: "libsample", version: "1.0-1" },
    node: undefined,
    elf: {
      binaries: [
        {
          name: "libsample.so.1",
          buildId: "00112233445566778899aabbccddeeff00112233",
          type: "library",
          object: "libsample.o",
          functions: [
            {
              name: "parse",
              address: 0x1000,
              sizeBytes: 64,
              sha256: "b".repeat(64),
              replacement: "parse",
              policy: "quiescent",
            },
          ],
          symbols: [
            { kind: "address", name: "cache", address: 0x4000 },
            { kind: "import", name: "memcpy", version: "GLIBC_2.14", library: "libc.so.6" },
            { kind: "tls", name: "depth", offset: 8 },
          ],
        },
      ],
      hooks: { afterApply: [{ binary: "libsample.so.1", symbol: "mend" }] },
      afterApply: [{ kind: "signal", signal: "SIGHUP" }],
      notices: [],
    },
    payloads: [payloadEntry("libsample.o", object)],
  });
  const read = (change: (manifest: Json) => void) => {
    const changed = manifest();
    change(changed);
    return decodeHotpatch(containerOf(utf8(canonicalJson(JSON.parse(JSON.stringify(changed)))), object));
  };

  test("reads back", () => {
    assert.equal(read(() => undefined).hotpatch.manifest.elf?.binaries[0]?.functions[0]?.name, "parse");
  });

  const rows: [what: string, change: (manifest: Json) => void, message: RegExp][] = [
    ["no section", (m) => delete m.elf, /exactly one of the sections node and elf/],
    ["two sections", (m) => (m.node = sampleManifest().node), /exactly one of the sections node and elf/],
    ["another kind of target", (m) => (m.target = { kind: "files", name: "x" }), /\/target\/kind must be "elf"/],
    ["a build-id that is none", (m) => (m.elf.binaries[0].buildId = "xyz"), /\/elf\/binaries\/0\/buildId/],
    ["an address above user space", (m) => (m.elf.binaries[0].functions[0].address = 2 ** 47), /address/],
    ["a symbol twice", (m) => m.elf.binaries[0].symbols.push(m.elf.binaries[0].symbols[0]), /"cache" twice/],
    [
      "functions that overlap",
      (m) => m.elf.binaries[0].functions.push({ ...m.elf.binaries[0].functions[0], name: "next", address: 0x103f }),
      /"parse" and "next" overlap/,
    ],
    ["a hook elsewhere", (m) => (m.elf.hooks.afterApply[0].binary = "libc.so.6"), /names the binary "libc.so.6"/],
    [
      "a symbol elsewhere",
      (m) => m.elf.binaries[0].symbols.push({ kind: "binary", name: "x", binary: "y", address: 1 }),
      /\/elf\/binaries\/0\/symbols\/3\/binary names the binary "y"/,
    ],
    ["an object nobody listed", (m) => (m.elf.binaries[0].object = "x"), /names the payload "x"/],
  ];
  for (const [what, change, message] of rows) {
    test(what, () => {
      const refusal = refusalOf(() => read(change));
      assert.equal(refusal.code, "hotpatch/manifest-invalid");
      assert.match(refusal.message, message);
    });
  }
});
