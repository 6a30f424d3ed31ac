/**
 * A linker for the object of a hotpatch: sections get places in patch memory, relocations their values (psABI §4.4.1).
 *
 * Two steps, both pure: `measureObject` says how much of each kind of memory it takes, `linkObject` writes the bytes for given addresses.
 */
import { RebootlessError } from "../../base/errors.ts";
import { refuse } from "../../base/refusal.ts";
import { sectionFlag, sectionIndex, sectionType, symbolType } from "../../elf/constants.ts";
import { type ElfFile, parseElf, type Section } from "../../elf/elf-file.ts";
import { type Relocation, relocationTypes } from "../../elf/relocations.ts";
import { relocationSections, sectionContent } from "../../elf/section-contents.ts";
import { type ElfSymbol, staticSymbols } from "../../elf/symbols.ts";
import type { ResolvedSymbol } from "./resolve-symbols.ts";

/** The kinds of memory that patch memory has: never writable and executable at once. */
export type AreaKind = "code" | "constant" | "data";
export const areaKinds: readonly AreaKind[] = ["constant", "code", "data"];

interface Place {
  readonly area: AreaKind;
  readonly offset: number;
}

export interface MeasuredObject {
  readonly elf: ElfFile;
  readonly symbols: readonly ElfSymbol[];
  readonly relocations: readonly { readonly target: Section; readonly relocations: readonly Relocation[] }[];
  readonly sections: ReadonlyMap<number, Place>;
  /** SHN_COMMON symbols by index. */
  readonly common: ReadonlyMap<number, Place>;
  /** GOT slots by key; two words for `pair:`, `module:` and `descriptor:` ones. */
  readonly slots: ReadonlyMap<string, Place>;
  /** Stubs for calls beyond the reach of 32 bits, by symbol. */
  readonly stubs: ReadonlyMap<number, Place>;
  /** Copies of constants of other libraries, for fields of 32 bits, by symbol. */
  readonly copies: ReadonlyMap<number, Place>;
  /** What TLS descriptors call, where there are any. */
  readonly descriptorCode: Place | undefined;
  readonly sizes: Readonly<Record<AreaKind, number>>;
}

const stubBytes = 16;
/** `mov 8(%rax), %rax; ret`: the descriptor's second word is the distance from the thread pointer (as glibc's _dl_tlsdesc_return). */
const descriptorReturn = Buffer.from([0x48, 0x8b, 0x40, 0x08, 0xc3]);
const unwindSection = ".eh_frame";
/** An entry of the length 0 ends a list of unwind entries (LSB 5.0 core §10.6.1). */
const terminatorBytes = 8;
/** No hotpatch is larger; an object that says so is damaged. */
const maxAreaBytes = 256 * 1024 * 1024;

function areaOf({ flags, name }: Section): AreaKind {
  if ((flags & sectionFlag.execute) !== 0) return "code";
  if ((flags & sectionFlag.write) !== 0 && !name.startsWith(".data.rel.ro")) return "data";
  return "constant";
}

/** `external`: what the linker will be given, for copies of constants that may be out of reach. `reserved`: bytes at the beginning of each area that are not the object's. Throws `elf/…`; refuses with `target/relocation`. */
export function measureObject(
  bytes: Uint8Array,
  reserved: Readonly<Record<AreaKind, number>>,
  external: ReadonlyMap<string, ResolvedSymbol> = new Map(),
): MeasuredObject {
  const elf = parseElf(bytes);
  if (elf.type !== "relocatable")
    throw new RebootlessError("elf/unsupported", "The object of a hotpatch is relocatable.");
  const sizes = { ...reserved };
  const place = (area: AreaKind, sizeBytes: number, align: number): Place => {
    const offset = Math.ceil(sizes[area] / Math.max(align, 1)) * Math.max(align, 1);
    sizes[area] = offset + sizeBytes;
    if (sizes[area] > maxAreaBytes) refuse("target/relocation", "The object of the hotpatch is larger than 256 MiB.");
    return { area, offset };
  };
  const sections = new Map<number, Place>();
  for (const section of elf.sections) {
    if ((section.flags & sectionFlag.alloc) === 0 || section.size === 0 || section.type === sectionType.note) continue;
    if ((section.flags & sectionFlag.tls) !== 0)
      refuse(
        "target/relocation",
        `The hotpatch adds thread-local variables (${section.name}), for which there is no room.`,
      );
    const terminator = section.name === unwindSection ? terminatorBytes : 0;
    sections.set(section.index, place(areaOf(section), section.size + terminator, section.align));
  }
  const symbols = staticSymbols(elf);
  const common = new Map<number, Place>();
  for (const { index, section, size, value } of symbols)
    if (section === sectionIndex.common) common.set(index, place("data", size, value));
  const slots = new Map<string, Place>();
  const stubs = new Map<number, Place>();
  const copies = new Map<number, Place>();
  const relocations = relocationSections(elf).flatMap(({ target, relocations: list }) => {
    const section = elf.sections[target];
    return section !== undefined && sections.has(target) ? [{ target: section, relocations: list }] : [];
  });
  for (const { relocations: list } of relocations) {
    for (const { type, symbol } of list) {
      const slot = slotOf(type, symbol);
      if (slot !== undefined && !slots.has(slot.key)) slots.set(slot.key, place("constant", slot.words * 8, 8));
      if (
        mayTakeStub(type) &&
        symbol !== 0 &&
        symbols[symbol]?.section === sectionIndex.undefined &&
        !stubs.has(symbol)
      )
        stubs.set(symbol, place("code", stubBytes, 16));
      const constant = mayTakeStub(type) ? constantOf(external.get(symbols[symbol]?.name ?? "")) : undefined;
      if (constant === undefined || copies.has(symbol)) continue;
      copies.set(symbol, place("constant", constant.length, 32));
    }
  }
  const hasDescriptors = [...slots.keys()].some((key) => key.startsWith("descriptor:"));
  const descriptorCode = hasDescriptors ? place("code", stubBytes, 16) : undefined;
  return { elf, symbols, relocations, sections, common, slots, stubs, copies, descriptorCode, sizes };
}

function constantOf(found: ResolvedSymbol | undefined): Buffer | undefined {
  return found?.kind === "address" ? found.constant : undefined;
}

function nameOf(type: number): string {
  return relocationTypes.get(type)?.name ?? `type ${type}`;
}

const narrow = new Set(["R_X86_64_PLT32", "R_X86_64_PLT32_BND", "R_X86_64_PC32", "R_X86_64_32", "R_X86_64_32S"]);

/** Fields of 32 bits, which may not reach a function of another library; the address of a stub does for it. */
function mayTakeStub(type: number): boolean {
  return narrow.has(nameOf(type));
}

const addressSlots = new Set([
  "R_X86_64_GOTPCREL",
  "R_X86_64_GOTPCRELX",
  "R_X86_64_REX_GOTPCRELX",
  "R_X86_64_GOTPCREL64",
]);

function slotOf(type: number, symbol: number): { readonly key: string; readonly words: number } | undefined {
  const name = nameOf(type);
  if (addressSlots.has(name)) return { key: `address:${symbol}`, words: 1 };
  if (name === "R_X86_64_GOTTPOFF") return { key: `offset:${symbol}`, words: 1 };
  if (name === "R_X86_64_TLSGD") return { key: `pair:${symbol}`, words: 2 };
  if (name === "R_X86_64_GOTPC32_TLSDESC") return { key: `descriptor:${symbol}`, words: 2 };
  if (name === "R_X86_64_TLSLD") return { key: `module:${symbol}`, words: 2 };
  return undefined;
}

export interface LinkInput {
  readonly areas: Readonly<Record<AreaKind, number>>;
  /** Undefined symbols of the object by name. */
  readonly external: ReadonlyMap<string, ResolvedSymbol>;
  /** What resolvers of IFUNC symbols have answered; until they are asked, their own addresses stand in. */
  readonly chosen: ReadonlyMap<number, number>;
  /** Replacements by name: where the replaced function is. Whoever takes the address of one gets the old, so that a function keeps one address. */
  readonly replaced: ReadonlyMap<string, number>;
}

export interface LinkedRange {
  readonly address: number;
  readonly sizeBytes: number;
}

export interface LinkedObject {
  readonly contents: Readonly<Record<AreaKind, Buffer>>;
  /** Where the unwind entries are; undefined without any. */
  readonly frames: LinkedRange | undefined;
  /** Every function of the object. */
  readonly functions: readonly (LinkedRange & { readonly name: string })[];
  /** Address and size of a symbol that the object defines. */
  find(name: string): { readonly address: number; readonly sizeBytes: number } | undefined;
}

/** Refuses with `target/relocation` or `target/symbol-missing`. */
export function linkObject(object: MeasuredObject, input: LinkInput): LinkedObject {
  return new Linker(object, input).link();
}

class Linker {
  readonly #object: MeasuredObject;
  readonly #input: LinkInput;
  readonly #contents: Record<AreaKind, Buffer>;

  constructor(object: MeasuredObject, input: LinkInput) {
    this.#object = object;
    this.#input = input;
    const { sizes } = object;
    this.#contents = {
      code: Buffer.alloc(sizes.code, 0xcc),
      constant: Buffer.alloc(sizes.constant),
      data: Buffer.alloc(sizes.data),
    };
  }

  link(): LinkedObject {
    const { elf, sections, slots, stubs, relocations, symbols } = this.#object;
    for (const [index, { area, offset }] of sections) {
      const section = elf.sections[index] as Section;
      const content = section.type === sectionType.nobits ? Buffer.alloc(section.size) : sectionContent(elf, section);
      this.#contents[area].set(content, offset);
    }
    const { descriptorCode } = this.#object;
    if (descriptorCode !== undefined) this.#contents.code.set(descriptorReturn, descriptorCode.offset);
    for (const [key, place] of slots) this.#fillSlot(key, place);
    for (const [symbol, place] of stubs) this.#fillStub(symbol, place);
    for (const [symbol, { offset }] of this.#object.copies)
      this.#contents.constant.set(constantOf(this.#external(this.#symbol(symbol))) ?? [], offset);
    for (const { target, relocations: list } of relocations) for (const one of list) this.#relocate(target, one);
    const find = (name: string) => {
      const symbol = symbols.find((candidate) => candidate.name === name && this.#placeOf(candidate) !== undefined);
      const place = symbol && this.#placeOf(symbol);
      return place === undefined || symbol === undefined
        ? undefined
        : { address: this.#address(place), sizeBytes: symbol.size };
    };
    return { contents: this.#contents, find, frames: this.#frames(), functions: this.#functions() };
  }

  #frames(): LinkedRange | undefined {
    for (const [index, place] of this.#object.sections) {
      const section = this.#object.elf.sections[index] as Section;
      if (section.name === unwindSection) return { address: this.#address(place), sizeBytes: section.size };
    }
    return undefined;
  }

  #functions(): (LinkedRange & { readonly name: string })[] {
    return this.#object.symbols.flatMap((symbol) => {
      const place = symbol.type === symbolType.function ? this.#placeOf(symbol) : undefined;
      if (place === undefined || symbol.size === 0) return [];
      return [{ name: symbol.name, address: this.#address(place), sizeBytes: symbol.size }];
    });
  }

  #address({ area, offset }: Place): number {
    return this.#input.areas[area] + offset;
  }

  #placeOf({ index, section, value }: ElfSymbol): Place | undefined {
    if (section === sectionIndex.common) return this.#object.common.get(index);
    const place = this.#object.sections.get(section);
    return place && { area: place.area, offset: place.offset + value };
  }

  #symbol(index: number): ElfSymbol {
    const symbol = this.#object.symbols[index];
    if (symbol === undefined) throw new RebootlessError("elf/damaged", `A relocation refers to symbol ${index}.`);
    return symbol;
  }

  /** `takesAddress`: the value may be kept and compared, rather than called at once. */
  #value(index: number, takesAddress: boolean): number {
    const symbol = this.#symbol(index);
    if (index === 0) return 0;
    if (symbol.section === sectionIndex.absolute) return symbol.value;
    if (symbol.section !== sectionIndex.undefined) {
      const old =
        takesAddress && symbol.type === symbolType.function ? this.#input.replaced.get(symbol.name) : undefined;
      const place = this.#placeOf(symbol);
      if (old !== undefined) return old;
      if (place !== undefined) return this.#address(place);
      refuse(
        "target/relocation",
        `The hotpatch refers to ${symbol.name || "a section"} that is not loaded into memory.`,
      );
    }
    const found = this.#external(symbol);
    const address = this.#addressOf(found);
    if (address !== undefined) return address;
    return refuse("target/relocation", `The hotpatch takes the thread-local ${symbol.name} for an ordinary variable.`);
  }

  /** Undefined for a thread-local variable. */
  #addressOf(found: ResolvedSymbol): number | undefined {
    if (found.kind === "resolver") return this.#input.chosen.get(found.resolver) ?? found.resolver;
    return found.kind === "address" ? found.address : undefined;
  }

  #external({ name }: ElfSymbol): ResolvedSymbol {
    const found = this.#input.external.get(name);
    if (found !== undefined) return found;
    return refuse("target/symbol-missing", `The manifest does not say where ${name} is, which the hotpatch needs.`);
  }

  #thread(index: number): Extract<ResolvedSymbol, { kind: "thread" }> {
    const symbol = this.#symbol(index);
    const found = this.#external(symbol);
    if (found.kind === "thread") return found;
    return refuse("target/relocation", `The hotpatch takes ${symbol.name} for a thread-local variable.`);
  }

  #pointerOffset(index: number): number {
    const { pointerOffset } = this.#thread(index);
    if (pointerOffset !== undefined) return pointerOffset;
    return refuse(
      "target/relocation",
      `The thread-local variable ${this.#symbol(index).name} has no fixed distance from the thread pointer in this process.`,
    );
  }

  #fillSlot(key: string, { offset }: Place): void {
    const [kind, number] = key.split(":");
    const index = Number(number);
    const put = (value: number, at: number) => this.#contents.constant.writeBigInt64LE(BigInt(value), at);
    if (kind === "address") return void put(this.#value(index, true), offset);
    if (kind === "offset") return void put(this.#pointerOffset(index), offset);
    if (kind === "descriptor") {
      const { descriptorCode } = this.#object;
      put(this.#address(descriptorCode as Place), offset);
      return void put(this.#pointerOffset(index), offset + 8);
    }
    const { module, offset: inBlock } = this.#thread(index);
    if (module === undefined)
      refuse("target/relocation", `The module of the thread-local ${this.#symbol(index).name} is not known.`);
    put(module, offset);
    put(kind === "pair" ? inBlock : 0, offset + 8);
  }

  /** `jmp *2(%rip)` and the address behind it. */
  #fillStub(index: number, { offset }: Place): void {
    const { code } = this.#contents;
    const address = this.#addressOf(this.#external(this.#symbol(index)));
    if (address === undefined) return;
    Buffer.from([0xff, 0x25, 2, 0, 0, 0, 0x0f, 0x0b]).copy(code, offset);
    code.writeBigUInt64LE(BigInt(address), offset + 8);
  }

  #relocate(target: Section, { type, offset, symbol, addend }: Relocation): void {
    const section = this.#object.sections.get(target.index) as Place;
    const at = section.offset + offset;
    const place = this.#address(section) + offset;
    const row = relocationTypes.get(type);
    if (row === undefined) refuse("target/relocation", `The hotpatch has a relocation of the unknown type ${type}.`);
    if (row.sizeBytes === 0) return;
    if (offset + row.sizeBytes > target.size)
      throw new RebootlessError("elf/damaged", "A relocation lies outside its section.");
    const value = this.#relocated(row.name, type, symbol, addend, place);
    this.#write(this.#contents[section.area], at, row.sizeBytes, value, row, symbol);
  }

  #relocated(name: string, type: number, symbol: number, addend: number, place: number): number {
    const slot = slotOf(type, symbol);
    if (slot !== undefined) return this.#address(this.#object.slots.get(slot.key) as Place) + addend - place;
    switch (name) {
      case "R_X86_64_32":
      case "R_X86_64_32S":
        return this.#nearTarget(symbol, true, addend, 0) + addend;
      case "R_X86_64_64":
      case "R_X86_64_16":
      case "R_X86_64_8":
        return this.#value(symbol, true) + addend;
      case "R_X86_64_PC8":
      case "R_X86_64_PC16":
      case "R_X86_64_PC64":
        return this.#value(symbol, true) + addend - place;
      case "R_X86_64_PC32":
        return this.#nearTarget(symbol, true, addend, place) + addend - place;
      case "R_X86_64_PLT32":
      case "R_X86_64_PLT32_BND":
        return this.#nearTarget(symbol, false, addend, place) + addend - place;
      case "R_X86_64_TPOFF32":
      case "R_X86_64_TPOFF64":
        return this.#pointerOffset(symbol) + addend;
      case "R_X86_64_DTPOFF32":
      case "R_X86_64_DTPOFF64":
        return this.#thread(symbol).offset + addend;
      case "R_X86_64_SIZE32":
      case "R_X86_64_SIZE64":
        return this.#symbol(symbol).size + addend;
      default:
        return refuse(
          "target/relocation",
          `The hotpatch has a relocation ${name}, which cannot be made in a running process.`,
        );
    }
  }

  /** Directly where 32 bits reach, else by the stub of a function. */
  #nearTarget(index: number, takesAddress: boolean, addend: number, place: number): number {
    const value = this.#value(index, takesAddress);
    const stub = this.#object.stubs.get(index);
    if (stub === undefined || Math.abs(value + addend - place) < 0x7fff_0000) return value;
    const found = this.#external(this.#symbol(index));
    const copy = this.#object.copies.get(index);
    if (copy !== undefined) return this.#address(copy);
    const isCode = !takesAddress || found.kind === "resolver" || (found.kind === "address" && found.isCode === true);
    return isCode ? this.#address(stub) : value;
  }

  #write(
    area: Buffer,
    at: number,
    sizeBytes: number,
    value: number,
    { name, overflow }: { readonly name: string; readonly overflow: "signed" | "unsigned" | "wrap" },
    symbol: number,
  ): void {
    if (sizeBytes === 8) return void area.writeBigInt64LE(BigInt(value), at);
    const bits = sizeBytes * 8;
    const least = overflow === "signed" ? -(2 ** (bits - 1)) : 0;
    const most = overflow === "signed" ? 2 ** (bits - 1) - 1 : 2 ** bits - 1;
    if (value < least || value > most) {
      refuse(
        "target/relocation",
        `${name} of ${this.#symbol(symbol).name || "a section"} is out of reach of ${bits} bits in this process.`,
      );
    }
    if (overflow === "signed") area.writeIntLE(value, at, sizeBytes);
    else area.writeUIntLE(value, at, sizeBytes);
  }
}
