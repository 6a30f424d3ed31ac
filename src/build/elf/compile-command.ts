/**
 * Reading a compiler's command line: which sources it compiles, what it links, and with which flags one source would be compiled alone.
 *
 * Follows GCC's manual, "Invoking GCC" (3.1 to 3.16); clang takes the same spellings.
 */
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { CompilerRun } from "./compiler-wrapper.ts";

/** One source file that is compiled with one set of flags. */
export interface CompileUnit {
  readonly compiler: string;
  readonly folder: string;
  /** Absolute. */
  readonly source: string;
  /** As the build wrote it: what `__FILE__` says. */
  readonly given: string;
  /** What is to be given before the source to compile it: no output, no inputs, no linking, no dependency files. */
  readonly flags: readonly string[];
  /** Where the build put the object; absent where it compiled and linked in one go. */
  readonly object?: string;
  /** What it was linked into in the same run. */
  readonly linked?: string;
  /** How the old version was compiled, where the fix changes that. */
  readonly was?: CompileUnit;
}

/** What a run linked. */
export interface Link {
  readonly output: string;
  /** Objects, archives and shared libraries on the command line, absolute. */
  readonly inputs: readonly string[];
}

export interface ReadCommand {
  readonly units: readonly CompileUnit[];
  readonly link?: Link;
}

const separateValue = new Set(
  "-o -x -I -D -U -L -l -include -imacros -isystem -iquote -idirafter -iprefix -iwithprefix -isysroot -Xlinker -Xassembler -Xpreprocessor -Xclang -T -u -z -MF -MT -MQ -MJ -e -aux-info -target -arch --param -mllvm -specs -wrapper -dumpbase -dumpdir -rpath -soname -h".split(
    " ",
  ),
);
/** Written by the preprocessor beside the object; a replay must not touch the build's own. */
const dependencyFlag = /^-(M|MM|MD|MMD|MG|MP)$|^-M[FTQJ].+|^-Wp,-M/;
const dependencyFlagWithValue = new Set(["-MF", "-MT", "-MQ", "-MJ"]);
const linkFlag =
  /^-(shared|static|pie|no-pie|rdynamic|s|nostdlib|nodefaultlibs|nostartfiles|static-pie|static-libgcc|static-libstdc\+\+|shared-libgcc)$|^-Wl,|^-[lL].+|^-fuse-ld=/;
const linkFlagWithValue = new Set(["-Xlinker", "-L", "-l", "-T", "-u", "-z", "-e", "-rpath", "-soname", "-h"]);
const sourceSuffix = /\.(c|i|cc|cp|cxx|cpp|CPP|c\+\+|C|ii|s|S|sx|m|mm)$/;
const assemblerSuffix = /\.(s|S|sx)$/;
const noObject = /^(-E|-S|-fsyntax-only|--version|-v|-V|-###|-dump.*|-print-.*|--print-.*|--help.*)$/;

export function isAssembler(unit: CompileUnit): boolean {
  return assemblerSuffix.test(unit.source);
}

/** Runs that make no object (preprocessing, questions about the compiler, input from a pipe) give no units. */
export function readCommand(run: CompilerRun): ReadCommand {
  const parameters = expandResponseFiles(run.arguments, run.folder);
  const flags: string[] = [];
  const sources: { given: string; language: string | undefined }[] = [];
  const inputs: string[] = [];
  let output: string | undefined;
  let language: string | undefined;
  let compileOnly = false;
  for (let index = 0; index < parameters.length; index++) {
    const parameter = parameters[index] as string;
    const value = separateValue.has(parameter) ? parameters[++index] : undefined;
    if (noObject.test(parameter)) return { units: [] };
    if (parameter === "-c") compileOnly = true;
    else if (parameter === "-o") output = value;
    else if (parameter.startsWith("-o") && parameter.length > 2 && !parameter.startsWith("-object"))
      output = parameter.slice(2);
    else if (parameter === "-x") language = value === "none" ? undefined : value;
    else if (dependencyFlagWithValue.has(parameter) || dependencyFlag.test(parameter)) continue;
    else if (linkFlagWithValue.has(parameter) || linkFlag.test(parameter)) continue;
    else if (parameter === "-") return { units: [] };
    else if (parameter.startsWith("-")) flags.push(parameter, ...(value === undefined ? [] : [value]));
    else if (sourceSuffix.test(parameter) || language !== undefined) sources.push({ given: parameter, language });
    else inputs.push(resolve(run.folder, parameter));
  }
  const place = (name: string): string => resolve(run.folder, name);
  const linked = compileOnly ? undefined : place(output ?? "a.out");
  const units = sources.map(({ given, language: named }) => ({
    compiler: run.compiler,
    folder: run.folder,
    source: place(given),
    given,
    flags: named === undefined ? flags : [...flags, "-x", named],
    ...(linked === undefined ? { object: place(output ?? objectName(given)) } : { linked }),
  }));
  if (linked === undefined || (units.length === 0 && inputs.length === 0)) return { units };
  return { units, link: { output: linked, inputs } };
}

function objectName(source: string): string {
  return (source.split("/").at(-1) ?? source).replace(/\.[^.]*$/, ".o");
}

/** `@file` stands for the words in the file (GCC 3.2); one that is not there is a plain argument. */
function expandResponseFiles(parameters: readonly string[], folder: string, depth = 0): string[] {
  return parameters.flatMap((parameter) => {
    if (!parameter.startsWith("@") || depth > 8) return [parameter];
    const file = resolve(folder, parameter.slice(1));
    return existsSync(file)
      ? expandResponseFiles(splitWords(readFileSync(file, "utf8")), folder, depth + 1)
      : [parameter];
  });
}

function splitWords(text: string): string[] {
  const words = text.match(/(?:[^\s"'\\]|\\[\s\S]|"(?:[^"\\]|\\[\s\S])*"|'[^']*')+/g) ?? [];
  return words.map((word) => word.replace(/\\([\s\S])|["']/g, "$1"));
}
