/** A hotpatch for a target that the test has linked itself: addresses come from its symbol table. */
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { parseElf } from "../../../../src/elf/elf-file.ts";
import { fileImage } from "../../../../src/elf/image.ts";
import { buildId, elfNotes } from "../../../../src/elf/notes.ts";
import { type ElfSymbol as LinkedSymbol, staticSymbols } from "../../../../src/elf/symbols.ts";
import type { ElfSymbol } from "../../../../src/hotpatch/elf-manifest.ts";
import type { Hotpatch } from "../../../../src/hotpatch/hotpatch.ts";
import { run } from "./target.ts";

export interface NativeFix {
  readonly folder: string;
  /** The linked program or library, with its symbol table. */
  readonly binary: string;
  /** C source of the new functions; what it does not define is taken from the binary, else imported. */
  readonly source: string;
  readonly functions: readonly string[];
  readonly immediate?: boolean;
  readonly flags?: readonly string[];
  readonly id?: string;
  readonly supersedes?: readonly string[];
  readonly type?: "executable" | "library";
  /** Functions of `source`, by when they are called. */
  readonly hooks?: Readonly<Partial<Record<"beforeApply" | "afterApply" | "beforeRevert" | "afterRevert", string>>>;
  /** Such as g++; gcc otherwise. */
  readonly compiler?: "gcc" | "g++" | "clang" | "clang++";
}

export function buildNativeHotpatch(fix: NativeFix): Hotpatch {
  const { folder, binary, source, functions, flags = [], id = "elf-test", type = "executable" } = fix;
  const compiler = fix.compiler ?? "gcc";
  const file = join(folder, `${id}.${compiler.endsWith("++") ? "cc" : "c"}`);
  const object = join(folder, `${id}.o`);
  writeFileSync(file, source);
  run(compiler, ["-O2", "-ffunction-sections", "-fdata-sections", ...flags, "-c", "-o", object, file]);
  const objectBytes = readFileSync(object);
  const linked = parseElf(readFileSync(binary));
  const symbols = staticSymbols(linked);
  const undefinedNames = staticSymbols(parseElf(objectBytes))
    .filter(({ section, name, index }) => index > 0 && section === 0 && name !== "")
    .map(({ name }) => name);
  const payload = `${basename(binary)}.o`;
  const image = fileImage(linked);
  return {
    manifest: {
      schema: "rebootless.hotpatch/1",
      id,
      sequence: 1,
      title: id,
      advisories: [],
      target: { kind: "elf", name: basename(binary) },
      supersedes: [...(fix.supersedes ?? [])],
      requirements: {},
      elf: {
        binaries: [
          {
            name: basename(binary),
            buildId: buildId(elfNotes(linked)) as string,
            type,
            object: payload,
            functions: functions.map((name) => {
              const found = definition(symbols, name);
              if (found === undefined) throw new Error(`${binary} does not define ${name}`);
              const bytes = image.bytesAt(found.value, found.size);
              const sha256 = createHash("sha256").update(bytes).digest("hex");
              const policy = fix.immediate === true ? "immediate" : "quiescent";
              return { name, address: found.value, sizeBytes: found.size, sha256, replacement: name, policy };
            }),
            symbols: undefinedNames.map((name) => whereIs(name, symbols)),
          },
        ],
        hooks: Object.fromEntries(
          Object.entries(fix.hooks ?? {}).map(([moment, symbol]) => [moment, [{ binary: basename(binary), symbol }]]),
        ),
        afterApply: [],
        notices: [],
      },
      payloads: [
        {
          name: payload,
          sizeBytes: objectBytes.length,
          sha256: createHash("sha256").update(objectBytes).digest("hex"),
        },
      ],
    },
    payloads: new Map([[payload, objectBytes]]),
  };
}

function definition(symbols: readonly LinkedSymbol[], name: string): LinkedSymbol | undefined {
  return symbols.find((symbol) => symbol.name === name && symbol.section !== 0);
}

const threadLocal = 6;

function whereIs(name: string, symbols: readonly LinkedSymbol[]): ElfSymbol {
  const found = definition(symbols, name);
  if (found === undefined) return { kind: "import", name };
  return found.type === threadLocal
    ? { kind: "tls", name, offset: found.value }
    : { kind: "address", name, address: found.value };
}
