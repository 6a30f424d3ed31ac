/**
 * Thread-local variables that a fix adds: threads that run have no room for them in their static TLS, so that they become calls of a runtime of ours (include/rebootless-threads.c).
 *
 * The source is compiled so that every access to a thread-local variable is a call: with gcc in the general dynamic model ("ELF Handling For Thread-Local Storage", 4.1), whose calls for new variables are led to the runtime and for others stay what they are; with clang as emulated TLS.
 * A new variable then is an ordinary new variable with a control object (the layout of libgcc's emutls.c) in its place.
 */
import { basename } from "node:path";
import { sectionFlag, sectionIndex, sectionType, symbolBinding, symbolType } from "../../elf/constants.ts";
import { type Section, sectionBytes } from "../../elf/elf-file.ts";
import type { ElfSymbol } from "../../elf/symbols.ts";
import { type Comparison, compareObjects } from "./compare-objects.ts";
import type { CompileUnit } from "./compile-command.ts";
import { relocation } from "./linked-fields.ts";
import { isGlobal, leadingSymbol, type ObjectFile, type ObjectSection, type Reference } from "./object-file.ts";

/** The runtime's source, and what it defines. */
export const runtimeSource = new URL("./include/rebootless-threads.c", import.meta.url).pathname;
const provider = "rebootless_thread_variable";
const controlBytes = 32;
const addressGetter = "__tls_get_addr";
const emulatedGetter = "__emutls_get_address";
const emulatedPrefix = "__emutls_v.";
const initialPrefix = "__emutls_t.";

/** Names of new variables that sources beside the one that defines them may use. */
export function newThreadNames({ newThreadVariables }: Comparison): string[] {
  return newThreadVariables.flatMap(({ symbols }) => symbols.filter(isGlobal).map(({ name }) => name));
}

/** Whether the fixed object defines or uses a new thread-local variable. */
export function usesNewThreadVariables({ after, newThreadVariables }: Comparison, names: ReadonlySet<string>): boolean {
  return newThreadVariables.length > 0 || after.symbols.some((symbol) => isForeign(symbol, names));
}

function isForeign({ type, section, name }: ElfSymbol, names: ReadonlySet<string>): boolean {
  return type === symbolType.tls && section === sectionIndex.undefined && names.has(name);
}

/** What makes the compiler of this object call for every thread-local variable. */
export function threadCallFlags(unit: CompileUnit, object: ObjectFile): string[] {
  if (isOfClang(object)) return ["-femulated-tls"];
  const model = '__attribute__((tls_model("global-dynamic")))';
  // gcc makes the default model narrower where the object is for a program, and keeps what a variable says of itself. A macro is not expanded within itself.
  const words = isCplusplus(unit) ? ["__thread", "thread_local"] : ["__thread", "_Thread_local"];
  return ["-mtls-dialect=gnu", ...words.map((word) => `-D${word}=${word} ${model}`)];
}

function isOfClang({ elf }: ObjectFile): boolean {
  const comment = elf.sections.find(({ name }) => name === ".comment");
  return comment !== undefined && Buffer.from(sectionBytes(elf, comment)).toString("latin1").includes("clang");
}

function isCplusplus({ source, compiler }: CompileUnit): boolean {
  return /\.(cc|cp|cxx|cpp|CPP|c\+\+|C|ii|mm)$/.test(source) || basename(compiler).includes("++");
}

/** The runtime, compiled as code of the source is; flags about headers and macros of the program do not concern it. */
export function runtimeUnit({ compiler, folder, flags }: CompileUnit): CompileUnit {
  const ofCode = flags.filter((flag) => /^-(m(?!llvm)|f(?!sanitize|plugin|syntax-only)|O|g)/.test(flag));
  // The address of a function of the C library has to be the true one, which a table of addresses holds.
  return { compiler, folder, flags: [...ofCode, "-fPIC", "-x", "c"], source: runtimeSource, given: runtimeSource };
}

/** The fixed object with calls of the runtime, or why that cannot be. */
export type Provided =
  | { readonly object: ObjectFile; readonly reason?: undefined }
  | { readonly object?: undefined; readonly reason: string };

/** `before` and `after` were compiled with `threadCallFlags`; `names` are new variables of other sources. */
export function provideThreadVariables(before: ObjectFile, after: ObjectFile, names: ReadonlySet<string>): Provided {
  const destroyed = destroyedAtThreadEnd(after);
  if (destroyed !== undefined)
    return {
      reason: `${destroyed} has thread-local objects with a destructor, which would be called at the end of a thread when its code may be gone`,
    };
  if (isOfClang(after)) return ofEmulated(before, after, names);
  return ofGeneralDynamic(after, new Set(compareObjects(before, after).newThreadVariables), names);
}

/** A function that registers a destructor and reaches a thread-local variable. */
function destroyedAtThreadEnd(object: ObjectFile): string | undefined {
  const found = object.sections.find(({ kind, references }) => {
    const used = new Set(references.map(({ symbol }) => symbol.name));
    return kind === "code" && used.has("__cxa_thread_atexit") && (used.has(addressGetter) || used.has(emulatedGetter));
  });
  return found && (leadingSymbol(found)?.name ?? found.name);
}

/** clang has made the control objects; they get the names of their variables, and the call that of our own runtime, which is not that of a runtime in the program. */
function ofEmulated(before: ObjectFile, after: ObjectFile, names: ReadonlySet<string>): Provided {
  const olds = new Set(before.symbols.map(({ name }) => name));
  const variableOf = ({ name }: ElfSymbol): string => name.replace(emulatedPrefix, "");
  const known = after.symbols.find((symbol) => {
    if (!symbol.name.startsWith(emulatedPrefix)) return false;
    return olds.has(symbol.name) || (symbol.section === sectionIndex.undefined && !names.has(variableOf(symbol)));
  });
  if (known !== undefined)
    return {
      reason: `the source also uses ${variableOf(known)}, which threads have already, and clang compiles for new and existing ones in one way only; define the new variable in a source of its own, with a function that gives its address`,
    };
  const renamed = (symbol: ElfSymbol): ElfSymbol => {
    const { name } = symbol;
    if (name === emulatedGetter) return { ...symbol, name: provider };
    if (name.startsWith(emulatedPrefix)) return { ...symbol, name: variableOf(symbol) };
    return name.startsWith(initialPrefix) ? { ...symbol, name: `${name.slice(initialPrefix.length)}.initial` } : symbol;
  };
  return { object: withSymbols(after, renamed) };
}

function ofGeneralDynamic(after: ObjectFile, fresh: ReadonlySet<ObjectSection>, names: ReadonlySet<string>): Provided {
  const isNew = (symbol: ElfSymbol): boolean => {
    const section = after.section(symbol.section);
    return (section !== undefined && fresh.has(section)) || isForeign(symbol, names);
  };
  const calls = new Map<Reference, Partial<Reference>>();
  for (const { references, symbols, name } of after.sections) {
    for (const [index, reference] of references.entries()) {
      if (!isNew(reference.symbol)) continue;
      const call = references[index + 1];
      if (reference.type !== relocation.tlsGd || call?.symbol.name !== addressGetter) {
        const user = symbols[0]?.name ?? name;
        return {
          reason: `${user} reaches ${reference.symbol.name} in a way of access that cannot be led elsewhere${/^__tls_guard/.test(reference.symbol.name) ? "; a variable with an initialiser that has to run needs a place inside a function" : ""}`,
        };
      }
      calls.set(reference, { type: relocation.pc32 });
      calls.set(call, { symbol: { ...call.symbol, name: provider } });
    }
  }
  return { object: withControls(after, fresh, { isNew, calls }) };
}

interface Leading {
  isNew(symbol: ElfSymbol): boolean;
  /** References of accesses to new variables, and what changes of them. */
  readonly calls: ReadonlyMap<Reference, Partial<Reference>>;
}

function withControls(after: ObjectFile, fresh: ReadonlySet<ObjectSection>, { isNew, calls }: Leading): ObjectFile {
  const first = after.elf.sections.length;
  const places = new Map([...fresh].map((section, index) => [section.header.index, first + index]));
  const control = (symbol: ElfSymbol): ElfSymbol => {
    if (!isNew(symbol)) return symbol;
    const section = places.get(symbol.section);
    if (section === undefined) return { ...symbol, type: symbolType.noType };
    return { ...symbol, section, type: symbolType.object, size: controlBytes };
  };
  const moved = withSymbols(after, control, calls);
  const sections = moved.sections.flatMap((section) => {
    const index = places.get(section.header.index);
    if (index === undefined) return [section];
    const initial = section.header.type === sectionType.nobits ? undefined : initialValue(section);
    return [...(initial === undefined ? [] : [initial]), controlOf(section, index, initial)];
  });
  return { ...moved, sections, section: finder(sections) };
}

/** What the variable begins with in each thread: a constant. */
function initialValue(section: ObjectSection): ObjectSection {
  const name = leadingSymbol(section)?.name ?? section.name;
  const header: Section = {
    ...section.header,
    name: `${section.references.length === 0 ? ".rodata" : ".data.rel.ro"}.${name}`,
    flags: sectionFlag.alloc | (section.references.length === 0 ? 0 : sectionFlag.write),
  };
  const symbol: ElfSymbol = {
    index: 0,
    name: `${name}.initial`,
    value: 0,
    size: header.size,
    type: symbolType.object,
    binding: symbolBinding.local,
    visibility: 0,
    section: header.index,
  };
  return { ...section, header, name: header.name, symbols: [symbol], kind: "constant", group: undefined };
}

function controlOf(section: ObjectSection, index: number, initial: ObjectSection | undefined): ObjectSection {
  const name = `.data.${leadingSymbol(section)?.name ?? section.name}`;
  const { size, align } = section.header;
  const bytes = Buffer.alloc(controlBytes);
  bytes.writeBigUInt64LE(BigInt(size), 0);
  bytes.writeBigUInt64LE(BigInt(align), 8);
  const header: Section = {
    ...section.header,
    index,
    name,
    type: sectionType.progbits,
    flags: sectionFlag.alloc | sectionFlag.write,
    size: controlBytes,
    align: 8,
  };
  const [symbol] = initial?.symbols ?? [];
  const references = symbol === undefined ? [] : [{ offset: 24, type: relocation.abs64, addend: 0, symbol }];
  return { ...section, header, name, bytes, references, kind: "writable" };
}

/** The object with other symbols, wherever they are named; each symbol stays one object. */
function withSymbols(
  object: ObjectFile,
  change: (symbol: ElfSymbol) => ElfSymbol,
  calls: ReadonlyMap<Reference, Partial<Reference>> = new Map(),
): ObjectFile {
  const known = new Map<ElfSymbol, ElfSymbol>();
  const changed = (symbol: ElfSymbol): ElfSymbol => {
    const answer = known.get(symbol) ?? change(symbol);
    known.set(symbol, answer);
    return answer;
  };
  const sections = object.sections.map((section) => ({
    ...section,
    symbols: section.symbols.map(changed),
    references: section.references.map((reference) => ({
      ...reference,
      symbol: changed(reference.symbol),
      ...calls.get(reference),
    })),
  }));
  return { ...object, sections, symbols: object.symbols.map(changed), section: finder(sections) };
}

function finder(sections: readonly ObjectSection[]): ObjectFile["section"] {
  const byIndex = new Map(sections.map((section) => [section.header.index, section]));
  return (index) => byIndex.get(index);
}
