import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Built, buildProject, hasProgram, newFunctions, readelfComplaints, replaced } from "./support/project.ts";
import { fixedFirst, sampleFiles } from "./support/sample-project.ts";

const files = sampleFiles;
const fixed = { "first.c": fixedFirst };

/** Every address that the match found is that of the unstripped twin. */
function assertAddresses(built: Built): void {
  for (const { name, address } of built.binary.functions) assert.equal(address, built.addresses.get(name), name);
  for (const symbol of built.binary.symbols) {
    if (symbol.kind !== "address") continue;
    const name = symbol.name.replace(/\.original$/, "");
    const known = built.addresses.get(name);
    // Several files have these; nm's list then holds one of them.
    const twice = ["counter", "helper", "clamp", "__PRETTY_FUNCTION__.0"].includes(name);
    if (known !== undefined && !twice) assert.equal(symbol.address, known, name);
  }
}

describe("a fix of one function is found in the stripped binary", () => {
  for (const { compiler, flags, output } of [
    { compiler: "gcc", flags: "-O0" },
    { compiler: "gcc", flags: "-O1 -g" },
    { compiler: "gcc", flags: "-O2 -fcf-protection=full -fstack-protector-strong" },
    { compiler: "gcc", flags: "-O3" },
    { compiler: "gcc", flags: "-Os" },
    { compiler: "gcc", flags: "-O2 -fno-pie -no-pie" },
    { compiler: "gcc", flags: "-O2 -fPIC", output: "lib.so" },
    { compiler: "gcc", flags: "-O2 -fPIC -fvisibility=hidden -fno-plt", output: "lib.so" },
    { compiler: "gcc", flags: "-O2 -ffunction-sections -fdata-sections -Wl,--gc-sections" },
    { compiler: "clang", flags: "-O2 -Wl,--build-id" },
    { compiler: "clang", flags: "-O0 -Wl,--build-id" },
    { compiler: "clang", flags: "-Os -fPIC -fcf-protection=full -Wl,--build-id", output: "lib.so" },
  ]) {
    const skip = hasProgram(compiler) ? false : `${compiler} is not installed`;
    test(`${compiler} ${flags}${output === undefined ? "" : `, ${output}`}`, { skip }, async () => {
      const built = await buildProject({ files, fixed, compiler, flags, ...(output === undefined ? {} : { output }) });
      assert.deepEqual(replaced(built), ["measure"]);
      assert.deepEqual(newFunctions(built), []);
      assertAddresses(built);
      assert.deepEqual(built.report.binaries[0]?.newVariables, [{ name: "refused", size: 4 }]);
      assert.equal(readelfComplaints(built), "");
      // The old binary does not import puts.
      const puts = built.binary.symbols.find(({ name }) => name === "puts");
      assert.ok(puts?.kind === "import" && puts.library === "libc.so.6" && puts.version === "GLIBC_2.2.5");
    });
  }
});

for (const flags of ["-O2 -static", "-O2 -static-pie"])
  test(`${flags}: what was linked in is found, what was not is refused by name`, async () => {
    await assert.rejects(
      buildProject({ files, fixed, flags }),
      /puts, which the fixed code of first\.c needs, has no address/,
    );
    const within = { "first.c": fixedFirst.replace('puts("too large");', 'printf("too large: %d\\n", n);') };
    const built = await buildProject({ files, fixed: within, flags });
    assert.deepEqual(replaced(built), ["measure"]);
    assertAddresses(built);
    assert.ok(built.binary.symbols.every(({ kind }) => kind === "address"));
  });

test("the same fix gives the same bytes, wherever the binary's source was", async () => {
  const one = await buildProject({ files, fixed, flags: "-O2" });
  const other = await buildProject({ files, fixed, flags: "-O2" });
  assert.equal(
    Buffer.compare(
      one.hotpatch.payloads.get(one.binary.object) as Buffer,
      other.hotpatch.payloads.get(other.binary.object) as Buffer,
    ),
    0,
  );
  assert.equal(Buffer.compare(one.bytes, other.bytes), 0);
});
