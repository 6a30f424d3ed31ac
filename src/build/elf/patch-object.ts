/**
 * The object of a hotpatch: what changed and what is new, with all that it needs, and a list of what it expects in the process.
 *
 * From the changed functions on, references are followed.
 * Code and variables that the process has are referred to; strings and constants travel; what is new travels.
 * A direct call of a changed function goes to the new one.
 * The address of a changed function is that of the old one, whose entry leads to the new: pointers stay equal, and stay good after a revert.
 */
import { sectionFlag, sectionType, symbolBinding, symbolType } from "../../elf/constants.ts";
import type { Comparison } from "./compare-objects.ts";
import { binaryHandle, exitHandlers, finalization, plainRegistration, registration } from "./exit-handlers.ts";
import { relocation } from "./linked-fields.ts";
import {
  isFunction,
  isGlobal,
  leadingSymbol,
  type ObjectSection,
  type Reference,
  referredSection,
} from "./object-file.ts";
import { type NewRelocation, type NewSection, type NewSymbol, writeObject } from "./object-writer.ts";
import { mergeEntryAt } from "./section-bytes.ts";
import { type FunctionUnwind, readUnwindEntries, type UnwindEntry } from "./unwind-entries.ts";

/** One source of the patch; hooks are sources as well, of which everything is new. */
export interface PatchSource {
  /** For telling symbols of one name apart: the path of the source. */
  readonly name: string;
  readonly comparison: Comparison;
  /** Whether the process has this constant where it can be referred to. */
  has(section: ObjectSection): boolean;
  /** A hook file, which may name what is static in a source of the program. */
  readonly reachesStatics?: boolean;
}

/** What an undefined symbol of the object stands for. */
export interface Expectation {
  /** Its name in the object. */
  readonly name: string;
  readonly source: PatchSource;
  /** The symbol in the old object; for what no old object has, only the name. */
  readonly symbolName: string;
  /** The old section that defines it; undefined for what the source only declares. */
  readonly defined: ObjectSection | undefined;
  readonly weak: boolean;
  readonly thread: boolean;
}

export interface CarriedCode {
  readonly source: PatchSource;
  readonly section: ObjectSection;
  /** Its symbol in the object. */
  readonly symbol: string;
  /** The old code that it takes the place of; undefined for new functions. */
  readonly before: ObjectSection | undefined;
  readonly reason: string;
}

export interface PatchObject {
  readonly bytes: Uint8Array;
  readonly code: readonly CarriedCode[];
  readonly expectations: readonly Expectation[];
  readonly newVariables: readonly { readonly name: string; readonly size: number }[];
  /** New functions whose address is taken. */
  readonly escaping: readonly string[];
  /** The function that runs and forgets what the fix registers for the end of the process, where it may register anything. */
  readonly finalize: string | undefined;
}

export interface PatchObjectOptions {
  /** Whether the binary is a shared library. */
  readonly isLibrary: boolean;
}

interface MutableSection extends Omit<NewSection, "relocations" | "bytes" | "size"> {
  bytes: Uint8Array;
  size: number;
  relocations: (NewRelocation & { symbol: NewSymbol })[];
}

const callTypes: ReadonlySet<number> = new Set([relocation.plt32]);

export class PatchObjectBuilder {
  readonly #options: PatchObjectOptions;
  readonly #sections: MutableSection[] = [];
  readonly #symbols: NewSymbol[] = [];
  readonly #carried = new Map<ObjectSection, { section: MutableSection; symbol: NewSymbol }>();
  readonly #sourceOf = new Map<ObjectSection, PatchSource>();
  readonly #code: CarriedCode[] = [];
  readonly #expectations = new Map<string, Expectation & { readonly symbol: NewSymbol }>();
  readonly #usedNames = new Set<string>();
  readonly #pools = new Map<string, { section: MutableSection; symbol: NewSymbol; entries: Map<string, number> }>();
  readonly #newVariables: { name: string; size: number }[] = [];
  readonly #escaping = new Set<string>();
  readonly #globals = new Map<string, { source: PatchSource; section: ObjectSection }>();
  readonly #groups = new Map<string, ObjectSection>();
  readonly #queue: (() => void)[] = [];
  #ends: readonly NewSection[] = [];

  /** `sources` in the order in which their sections are to stand. */
  constructor(sources: readonly PatchSource[], options: PatchObjectOptions) {
    this.#options = options;
    for (const source of sources) {
      const { after, pairs, changedCode, changedConstants, newVariables } = source.comparison;
      for (const section of after.sections) {
        this.#sourceOf.set(section, source);
        const fresh =
          changedCode.has(section) ||
          newVariables.includes(section) ||
          changedConstants.has(section) ||
          (section.kind === "constant" && pairs.beforeOf(section) === undefined);
        if (!fresh) continue;
        for (const symbol of section.symbols)
          if (isGlobal(symbol) && !this.#globals.has(symbol.name)) this.#globals.set(symbol.name, { source, section });
      }
    }
  }

  /** Carries a section of a source's fixed object, and all that it leads to. */
  carry(section: ObjectSection): void {
    this.#carry(section);
    for (let task = this.#queue.shift(); task !== undefined; task = this.#queue.shift()) task();
  }

  /** What was carried so far. */
  get code(): readonly CarriedCode[] {
    return this.#code;
  }

  finish(): PatchObject {
    this.#carryUnwinding();
    const finalize = this.#ownExitHandlers();
    return {
      finalize,
      bytes: writeObject([...this.#sections, ...this.#ends], this.#symbols),
      code: this.#code,
      expectations: [...this.#expectations.values()].map(({ symbol, ...rest }) => ({ ...rest, name: symbol.name })),
      newVariables: this.#newVariables,
      escaping: [...this.#escaping].sort(),
    };
  }

  /** Files what the fix registers for the end of the process under a handle of our own; the name of what ends it. */
  #ownExitHandlers(): string | undefined {
    const registering = this.#expectations.get(`name ${registration}`);
    const plain = this.#expectations.get(`name ${plainRegistration}`);
    const source = registering?.source ?? plain?.source;
    const added = this.#added();
    if (source === undefined || added.variables.length + added.functions.length === 0) return undefined;
    const users = this.#sections.flatMap(({ relocations }) => relocations);
    const called = {
      register: registering?.symbol ?? this.#expectName(registration, source, {}),
      registerPlain: plain?.symbol,
      finalize: this.#expectName(finalization, source, {}),
    };
    const handlers = exitHandlers(added, called);
    const exchange = (from: NewSymbol | undefined, to: NewSymbol | undefined): void => {
      for (const use of users) if (use.symbol === from && to !== undefined) use.symbol = to;
    };
    exchange(called.register, handlers.register);
    exchange(called.registerPlain, handlers.registerPlain);
    if (plain !== undefined && !this.#options.isLibrary)
      this.#expectations.set(`name ${plainRegistration}`, { ...plain, weak: true });
    // Where the old code has no use for the binary's handle, all that names it registers what is new.
    const handle = this.#expectations.get(`name ${binaryHandle}`);
    if (handle !== undefined && !this.#isUsedBefore(binaryHandle)) {
      exchange(handle.symbol, handlers.handle);
      this.#expectations.delete(`name ${binaryHandle}`);
      this.#symbols.splice(this.#symbols.indexOf(handle.symbol), 1);
    }
    this.#ends = handlers.sections;
    this.#symbols.push(...handlers.symbols);
    return handlers.finalize.name;
  }

  /** Variables that the process does not have, and functions whose address is taken. */
  #added(): { readonly variables: readonly NewSymbol[]; readonly functions: readonly NewSymbol[] } {
    const variables = new Set(this.#newVariables.map(({ name }) => name));
    const escaping = this.#code.filter(
      ({ section, before }) => before === undefined && this.#escaping.has(leadingSymbol(section)?.name ?? section.name),
    );
    const functions = new Set(escaping.map(({ symbol }) => symbol));
    const defined = this.#symbols.filter(({ section }) => section !== undefined);
    return {
      variables: defined.filter(({ name }) => variables.has(name)),
      functions: defined.filter(({ name }) => functions.has(name)),
    };
  }

  #isUsedBefore(name: string): boolean {
    return [...this.#sourceOf.values()].some(({ comparison }) =>
      comparison.before.symbols.some((symbol) => symbol.name === name),
    );
  }

  #carry(section: ObjectSection): { section: MutableSection; symbol: NewSymbol } {
    const kept =
      section.group === undefined
        ? this.#firstOfWeak(section)
        : (this.#groups.get(`${section.group} ${section.name}`) ?? section);
    const known = this.#carried.get(kept);
    if (known !== undefined) return known;
    if (kept !== section) return this.#carry(kept);
    if (section.group !== undefined) this.#groups.set(`${section.group} ${section.name}`, section);
    const source = this.#source(section);
    const { header } = section;
    const made: MutableSection = {
      name: section.name,
      type: header.type,
      flags: header.flags,
      align: header.align,
      bytes: section.bytes,
      size: header.size,
      relocations: [],
    };
    this.#sections.push(made);
    const symbol: NewSymbol = { name: "", section: made, value: 0, size: 0, type: symbolType.section };
    this.#symbols.push(symbol);
    const answer = { section: made, symbol };
    this.#carried.set(section, answer);
    this.#name(section, made, source);
    this.#queue.push(() => {
      for (const reference of section.references)
        made.relocations.push(this.#relocation(source, section, reference, reference.offset));
    });
    return answer;
  }

  /** Of weak definitions of one name in several sources a linker keeps the first. */
  #firstOfWeak(section: ObjectSection): ObjectSection {
    const leading = leadingSymbol(section);
    if (leading?.binding !== symbolBinding.weak) return section;
    return this.#globals.get(leading.name)?.section ?? section;
  }

  #source(section: ObjectSection): PatchSource {
    return this.#sourceOf.get(section) as PatchSource;
  }

  /** Gives the section's symbols names of their own, and keeps the books. */
  #name(section: ObjectSection, made: MutableSection, source: PatchSource): void {
    const leading = leadingSymbol(section);
    let leadingName = "";
    for (const symbol of section.symbols) {
      if (
        symbol.type !== symbolType.function &&
        symbol.type !== symbolType.object &&
        symbol.type !== symbolType.gnuIfunc &&
        symbol !== leading
      )
        continue;
      const name = this.#unique(symbol.name, source);
      this.#symbols.push({ name, section: made, value: symbol.value, size: symbol.size, type: symbol.type });
      if (symbol === leading) leadingName = name;
    }
    const before = source.comparison.pairs.beforeOf(section);
    if (section.kind === "code") {
      const reason = source.comparison.changedCode.get(section) ?? "it is needed";
      this.#code.push({ source, section, symbol: leadingName, before, reason });
    } else if (section.kind === "writable" && before === undefined && leadingName !== "")
      this.#newVariables.push({ name: leadingName, size: section.header.size });
  }

  #unique(name: string, source: PatchSource): string {
    const file = source.name.split("/").at(-1) ?? source.name;
    let candidate = name;
    for (let number = 0; this.#usedNames.has(candidate); number++)
      candidate = number === 0 ? `${name}.${file}` : `${name}.${file}.${number}`;
    this.#usedNames.add(candidate);
    return candidate;
  }

  #relocation(source: PatchSource, from: ObjectSection, reference: Reference, offset: number): NewRelocation {
    const { after, pairs, changedCode } = source.comparison;
    const { type, addend, symbol } = reference;
    const target = referredSection(after, reference);
    const make = (to: NewSymbol, newAddend = addend): NewRelocation => ({
      offset,
      type,
      addend: newAddend,
      symbol: to,
    });
    if (target === undefined) return make(this.#undefined(source, from, reference));
    const common = this.#sharedVariable(target, reference);
    if (common !== undefined) return make(common);
    if (target.kind === "strings" || target.kind === "constants") {
      const entry = mergeEntryAt(target, reference);
      if (entry === undefined) return make(this.#carry(target).symbol, symbol.value + addend);
      const pool = this.#pool(target, entry.bytes);
      return make(pool.symbol, symbol.value + addend - entry.start + pool.offset);
    }
    const before = pairs.beforeOf(target);
    const travels =
      target.kind === "code"
        ? changedCode.has(target)
        : before === undefined ||
          /^DW\.ref\./.test(leadingSymbol(target)?.name ?? "") ||
          (target.kind === "constant" && !source.has(target));
    if (!travels) {
      const { symbol: expected, value } = this.#expect(source, target, before as ObjectSection);
      return make(expected, symbol.value + addend - value);
    }
    if (target.kind === "code" && takesAddress(from, reference) && startsAt(target, reference)) {
      if (before !== undefined) {
        const { symbol: expected, value } = this.#expect(source, target, before);
        return make(expected, symbol.value + addend - value);
      }
      this.#escaping.add(leadingSymbol(target)?.name ?? target.name);
    }
    return make(this.#carry(target).symbol, symbol.value + addend);
  }

  /** A new variable that several sources define (-fcommon) is one variable. */
  #sharedVariable(target: ObjectSection, { symbol }: Reference): NewSymbol | undefined {
    const first = target.kind === "writable" && isGlobal(symbol) ? this.#globals.get(symbol.name) : undefined;
    if (first === undefined || first.section === target || first.section.kind !== "writable") return undefined;
    const made = this.#carry(first.section).section;
    return this.#symbols.find((one) => one.section === made && one.name === symbol.name);
  }

  /** A name that this source does not define: another source of the patch may. */
  #undefined(source: PatchSource, from: ObjectSection, reference: Reference): NewSymbol {
    const { name } = reference.symbol;
    const other = this.#globals.get(name);
    if (other !== undefined) {
      const before = other.source.comparison.pairs.beforeOf(other.section);
      const old = before !== undefined && other.section.kind === "code" && takesAddress(from, reference);
      if (!old) {
        const made = this.#carry(other.section).section;
        const found = this.#symbols.find((symbol) => symbol.section === made && symbol.name === name);
        if (found !== undefined) return found;
      }
      if (old && before !== undefined) return this.#expect(other.source, other.section, before).symbol;
    }
    const { type, binding } = reference.symbol;
    return this.#expectName(name, source, { thread: type === symbolType.tls, weak: binding === symbolBinding.weak });
  }

  /** What no source defines. */
  #expectName(
    name: string,
    source: PatchSource,
    { thread = false, weak = false }: { readonly thread?: boolean; readonly weak?: boolean },
  ): NewSymbol {
    const key = `name ${name}`;
    const known = this.#expectations.get(key);
    if (known !== undefined) return known.symbol;
    const symbol: NewSymbol = {
      name: this.#unique(name, source),
      section: undefined,
      value: 0,
      size: 0,
      type: thread ? symbolType.tls : symbolType.noType,
    };
    this.#symbols.push(symbol);
    this.#expectations.set(key, { name, source, symbolName: name, defined: undefined, weak, thread, symbol });
    return symbol;
  }

  /** A symbol for a section that the process has, and where in the section it stands. */
  #expect(source: PatchSource, target: ObjectSection, before: ObjectSection): { symbol: NewSymbol; value: number } {
    const leading = leadingSymbol(before);
    const value = leadingSymbol(target)?.value ?? 0;
    const key =
      leading !== undefined && isGlobal(leading)
        ? `name ${leading.name}`
        : `source ${source.name} ${leading?.name ?? before.name}`;
    const known = this.#expectations.get(key);
    if (known !== undefined) return { symbol: known.symbol, value };
    const symbolName = leading?.name ?? before.name;
    const replaced = source.comparison.changedCode.has(target);
    const thread = before.kind === "tls";
    const name = this.#unique(replaced ? `${symbolName}.original` : symbolName, source);
    const symbol: NewSymbol = {
      name,
      section: undefined,
      value: 0,
      size: 0,
      type: thread ? symbolType.tls : symbolType.noType,
    };
    this.#symbols.push(symbol);
    this.#expectations.set(key, { name, source, symbolName, defined: before, weak: false, thread, symbol });
    return { symbol, value };
  }

  /** Strings and constants of one kind lie in one section, each once. */
  #pool(section: ObjectSection, entry: Uint8Array): { symbol: NewSymbol; offset: number } {
    const strings = section.kind === "strings";
    const { entrySize, align } = section.header;
    const name = strings ? `.rodata.str${entrySize}.${align}` : `.rodata.cst${entrySize}`;
    let pool = this.#pools.get(name);
    if (pool === undefined) {
      const made: MutableSection = {
        name,
        type: sectionType.progbits,
        flags: sectionFlag.alloc,
        align,
        bytes: new Uint8Array(0),
        size: 0,
        relocations: [],
      };
      const symbol: NewSymbol = { name: "", section: made, value: 0, size: 0, type: symbolType.section };
      this.#sections.push(made);
      this.#symbols.push(symbol);
      pool = { section: made, symbol, entries: new Map() };
      this.#pools.set(name, pool);
    }
    const key = Buffer.from(entry).toString("latin1");
    let offset = pool.entries.get(key);
    if (offset === undefined) {
      offset = Math.ceil(pool.section.size / align) * align;
      pool.section.bytes = Buffer.concat([pool.section.bytes, new Uint8Array(offset - pool.section.size), entry]);
      pool.section.size = pool.section.bytes.length;
      pool.entries.set(key, offset);
    }
    return { symbol: pool.symbol, offset };
  }

  /** The unwind entries of the code that travels, in a section of their own, which ends with a terminator. */
  #carryUnwinding(): void {
    const frames: MutableSection = {
      name: ".eh_frame",
      type: sectionType.progbits,
      flags: sectionFlag.alloc,
      align: 8,
      bytes: new Uint8Array(0),
      size: 0,
      relocations: [],
    };
    const parts: Uint8Array[] = [];
    let size = 0;
    const add = (source: PatchSource, entry: UnwindEntry): number => {
      const at = size;
      const bytes = Uint8Array.from(entry.section.bytes.subarray(entry.start, entry.end));
      parts.push(bytes);
      size += bytes.length;
      for (const reference of entry.references)
        frames.relocations.push(
          this.#relocation(source, entry.section, reference, reference.offset - entry.start + at),
        );
      return at;
    };
    const commons = new Map<string, number>();
    const addFunction = (source: PatchSource, entry: FunctionUnwind): void => {
      const key = `${source.name} ${entry.common.start}`;
      const commonAt = commons.get(key) ?? add(source, entry.common);
      commons.set(key, commonAt);
      const at = add(source, entry);
      // The pointer to the common entry is a distance backwards from its own field.
      Buffer.from((parts.at(-1) as Uint8Array).buffer).writeUInt32LE(at + 4 - commonAt, 4);
    };
    for (let done = 0; done < this.#code.length; done++) {
      const { source, section } = this.#code[done] as CarriedCode;
      for (const entry of readUnwindEntries(source.comparison.after))
        if (entry.code === section) addFunction(source, entry);
      for (let task = this.#queue.shift(); task !== undefined; task = this.#queue.shift()) task();
    }
    if (size === 0) return;
    frames.bytes = Buffer.concat([...parts, new Uint8Array(4)]);
    frames.size = frames.bytes.length;
    this.#sections.push(frames);
  }
}

/** Whether a reference wants the address rather than to go there: everything but calls, jumps and unwind information. */
function takesAddress(from: ObjectSection, { type, offset }: Reference): boolean {
  if (from.kind === "unwind" || callTypes.has(type)) return false;
  if (from.kind !== "code") return !(type === relocation.pc32);
  const opcode = from.bytes[offset - 1] ?? 0;
  if (type === relocation.pc32 && (opcode === 0xe8 || opcode === 0xe9)) return false;
  if (type === relocation.pc32 && from.bytes[offset - 2] === 0x0f && (opcode & 0xf0) === 0x80) return false;
  // call *slot(%rip) and jmp *slot(%rip)
  return !(from.bytes[offset - 2] === 0xff && (opcode === 0x15 || opcode === 0x25));
}

/** Whether a reference leads to the section's function itself rather than into it. */
function startsAt(section: ObjectSection, { symbol, addend, type }: Reference): boolean {
  const leading = leadingSymbol(section);
  const relative = type !== relocation.abs64 && type !== relocation.abs32 && type !== relocation.abs32Signed;
  const at = symbol.value + addend + (relative ? 4 : 0);
  return leading !== undefined && isFunction(leading) && at === leading.value;
}
