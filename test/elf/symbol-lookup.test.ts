/** Names lead to the addresses that the dynamic linker gives for them. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { after, describe, test } from "node:test";
import { type DynamicObject, dynamicSymbols, readDynamic } from "../../src/elf/dynamic.ts";
import { parseElf } from "../../src/elf/elf-file.ts";
import { fileImage } from "../../src/elf/image.ts";
import { resolveSymbol } from "../../src/elf/symbol-lookup.ts";
import { symbolVersion, versionHidden, versionIndexMask } from "../../src/elf/versions.ts";
import { missing, Workshop } from "./support/programs.ts";

function objectOf(path: string): DynamicObject {
  const object = readDynamic(fileImage(parseElf(readFileSync(path))));
  assert.ok(object, path);
  return object;
}

/** By path, the load bias of what the dynamic linker has mapped, and by line of the input what it says. */
function ask(path: string, lines: readonly string[]): { biases: Map<string, number>; answers: (number | undefined)[] } {
  const output = execFileSync(path, { input: lines.join("\n"), encoding: "utf8", timeout: 30_000, maxBuffer: 1 << 26 });
  const biases = new Map<string, number>();
  const answers: (number | undefined)[] = [];
  for (const line of output.trim().split("\n")) {
    const [kind, value = "", name = ""] = line.split(" ");
    if (kind === "object") biases.set(name, Number.parseInt(value, 16));
    else answers.push(value === "-" ? undefined : Number.parseInt(value, 16));
  }
  return { biases, answers };
}

for (const hashStyle of ["gnu", "sysv"]) {
  describe(`lookup in a program with ${hashStyle} hashes`, { skip: missing("gcc"), timeout: 120_000 }, () => {
    const workshop = new Workshop();
    after(() => workshop.remove());

    test("every name of the C and the mathematical library, with and without versions", () => {
      const flags = ["-O1", "-rdynamic", `-Wl,--hash-style=${hashStyle}`, "-Wl,--no-as-needed", "-lm"];
      const program = workshop.compile("gcc", "asks", ["asks-linker.c"], flags);
      const paths = [program, "/lib/x86_64-linux-gnu/libm.so.6", "/lib/x86_64-linux-gnu/libc.so.6"];
      const scope = paths.map(objectOf);
      const names = scope.flatMap((object) =>
        dynamicSymbols(object)
          .filter(({ type, section, name }) => type !== 6 && section !== 0 && name !== "")
          .map((symbol) => {
            const raw = symbolVersion(object.versions, symbol.index) ?? 0;
            const version = object.versions.byIndex.get(raw & versionIndexMask)?.name;
            return { name: symbol.name, version, hidden: (raw & versionHidden) !== 0, ifunc: symbol.type === 10 };
          }),
      );
      const questions = [
        ...new Set(names.map(({ name }) => name)),
        ...names.flatMap(({ name, version }) => (version === undefined ? [] : [`${name} ${version}`])),
        "no_such_name",
        "memcpy NO_SUCH_VERSION",
      ];
      const { biases, answers } = ask(program, questions);
      assert.equal(answers.length, questions.length);
      let compared = 0;
      for (const [index, question] of questions.entries()) {
        const [name = "", version] = question.split(" ");
        const found = resolveSymbol(scope, {
          name,
          newest: true,
          ...(version === undefined ? {} : { version, exactVersion: true }),
        });
        const answer = answers[index];
        if (found === undefined) {
          assert.equal(answer, undefined, question);
          continue;
        }
        // An IFUNC's address is what its resolver says; that there is one has to do.
        if (found.kind === "ifunc") assert.ok(answer, question);
        else {
          const bias = found.kind === "absolute" ? 0 : (biases.get(paths[scope.indexOf(found.object)]!) ?? 0);
          assert.equal(found.symbol.value + bias, answer, question);
        }
        compared += 1;
      }
      assert.ok(compared > 3000, `${compared} names`);
      // A reference in a program, other than dlvsym, is content with the program's own definition without a version.
      assert.equal(resolveSymbol(scope, { name: "cbrt", version: "GLIBC_2.2.5" })?.object, scope[0]);
    });
  });
}
