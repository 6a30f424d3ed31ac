/**
 * What the compiler is given for a source, as a digest: equal digests mean that nothing in the source changed that code is made of.
 *
 * It is that of the preprocessed text, blind to the numbers of lines, and in C to declarations of functions that nothing in the text uses: a header that declares a new function changes no source but those that call it.
 */
import { createHash, type Hash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { type CompileOptions, preprocess } from "./compile-again.ts";
import type { CompileUnit } from "./compile-command.ts";

/** Options by which a compiler reads more than the source and what it includes: profiles, plug-ins, modules, lists. */
const readsMore =
  /^-(fprofile-use|fauto-profile|fprofile-sample-use|fbranch-probabilities|fplugin|fpass-plugin|load|include-pch|fmodule|fprebuilt-module|fsanitize-\w*list|fsanitize-coverage-\w*list|frandomize-layout|Wa,.*@)/;
/** Text that has the compiler or the assembler read another file. */
const namesMore = /\.incbin\b|\.include\b|^[ \t]*#[ \t]*embed\b/m;
/** As the preprocessor writes where the text comes from (GCC's "The C Preprocessor", 9). */
const lineMarker = /^#[ \t]*(line[ \t]+)?\d/;

/** Of the version that stands at the place of the build; undefined where the text does not tell all that is compiled. */
export async function givenText(unit: CompileUnit, options: CompileOptions, name: string): Promise<string | undefined> {
  if (unit.flags.some((flag) => readsMore.test(flag))) return undefined;
  const folder = join(options.work, "preprocessed");
  mkdirSync(folder, { recursive: true });
  const output = join(folder, `${name}.i`);
  const made = await preprocess(unit, options, output);
  // Compilers pass over what they do not preprocess, such as plain assembly, and write nothing.
  if (!made || !existsSync(output)) return undefined;
  const text = readFileSync(output, "latin1");
  rmSync(output);
  if (namesMore.test(text)) return undefined;
  const digest = createHash("sha256");
  const lines = text.split("\n").filter((line) => line.trim() !== "" && !lineMarker.test(line));
  if (isC(unit)) digestUsed(lines, digest);
  else digest.update(lines.join("\n"), "latin1");
  return digest.digest("hex");
}

/** In C++ what looks like the declaration of a function may be an object whose constructor runs. */
function isC({ compiler, source, flags }: CompileUnit): boolean {
  return source.endsWith(".c") && !basename(compiler).includes("++") && !flags.includes("-x");
}

/** A declaration of one function at file scope (C11 6.7), without attributes, parameters that are functions, or an initialiser. */
const declaration = /^(?:[A-Za-z_]\w*[\s*]+)+([A-Za-z_]\w*)\s*\([^(){};="']*\)\s*;$/;

function digestUsed(lines: readonly string[], digest: Hash): void {
  const uses = new Map<string, number>();
  for (const line of lines)
    for (const [word] of line.matchAll(/[A-Za-z_$][\w$]*/g)) uses.set(word, (uses.get(word) ?? 0) + 1);
  for (const item of fileScopeItems(lines)) {
    const [, name] = declaration.exec(item) ?? [];
    if (name === undefined || uses.get(name) !== 1) digest.update(item, "latin1").update("\n");
  }
}

/** The text in pieces: each ends at a semicolon or a closing brace outside of all braces and parentheses, or is a line of a pragma. */
function* fileScopeItems(lines: readonly string[]): Generator<string> {
  let item = "";
  let depth = 0;
  for (const line of lines) {
    if (/^[ \t]*#/.test(line)) {
      if (item.trim() !== "") yield item.trim();
      yield line;
      item = "";
      continue;
    }
    let from = 0;
    for (const { 0: mark, index } of line.matchAll(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[(){};[\]]/g)) {
      if ("({[".includes(mark)) depth++;
      else if (")}]".includes(mark)) depth--;
      if (depth !== 0 || (mark !== ";" && mark !== "}")) continue;
      yield (item + line.slice(from, index + 1)).trim();
      item = "";
      from = index + 1;
    }
    const rest = line.slice(from);
    if (rest.trim() !== "") item += `${rest}\n`;
  }
  if (item.trim() !== "") yield item.trim();
}
