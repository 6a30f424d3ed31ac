/**
 * Finding an object file in the binary that runs.
 *
 * The object was compiled with the build's own flags, so that its code must stand in the binary byte for byte, but for what the linker filled in.
 * Where it stands proves that this source is that binary; the fields that were filled in give the address of every symbol that it refers to, static ones too.
 * Nothing is guessed: code that stands in several places is told apart by what is known already, or stays unfound.
 */
import { sectionIndex, symbolType } from "../../elf/constants.ts";
import type { ElfSymbol } from "../../elf/symbols.ts";
import type { BinaryImage } from "./binary-image.ts";
import { codeCandidates, mainAddress, maskedBytes } from "./code-search.ts";
import { type Reading, readLinkedField, relocation } from "./linked-fields.ts";
import { isFunction, type ObjectFile, type ObjectSection, type Reference, referredSection } from "./object-file.ts";
import { type RelaxedPlace, relaxedPlaces } from "./relaxed-match.ts";
import { plainName, type Resolution, resolutionOf, resolutionText, sameResolution } from "./resolution.ts";
import { mergeEntryAt } from "./section-bytes.ts";

/** A piece of code that is looked for as one. */
interface Piece {
  readonly section: ObjectSection;
  readonly start: number;
  readonly end: number;
  readonly name: string;
  /** Addresses of `start`. */
  candidates: readonly number[];
  found: number | undefined;
  /** By candidate, where jumps have other lengths than in the object. */
  relaxed?: ReadonlyMap<number, RelaxedPlace>;
}

/** What linked bytes say: of a section of the object, where it begins; of a name, what it is. */
interface Equation {
  readonly key: string;
  readonly value: Resolution;
}

export interface ObjectMatch {
  readonly object: ObjectFile;
  readonly binary: BinaryImage;
  /** Bytes of code that were found, and in all. */
  readonly foundBytes: number;
  readonly codeBytes: number;
  /** Where a symbol of the object is; undefined where the match does not say. */
  resolve(symbol: ElfSymbol): Resolution | undefined;
  /** Where a section begins. */
  baseOf(section: ObjectSection): number | undefined;
  /** How many bytes a section that is one function takes in the binary; undefined where it was not found as one. */
  sizeOf(section: ObjectSection): number | undefined;
  /** Why a function was not found, as a clause. */
  whyNot(name: string): string;
  /** Whether a function's code stands in several places of the binary, and nothing tells which is the one. */
  isAmbiguous(name: string): boolean;
}

export function matchObject(object: ObjectFile, binary: BinaryImage): ObjectMatch {
  return new Matcher(object, binary).run();
}

class Matcher implements ObjectMatch {
  readonly object: ObjectFile;
  readonly binary: BinaryImage;
  readonly #known = new Map<string, Resolution>();
  readonly #pieces: Piece[] = [];
  readonly #problems = new Map<string, string>();
  readonly #ambiguous = new Set<string>();
  readonly #relaxedSections = new Map<ObjectSection, RelaxedPlace>();

  constructor(object: ObjectFile, binary: BinaryImage) {
    this.object = object;
    this.binary = binary;
  }

  run(): this {
    for (const section of this.object.sections)
      if (section.kind === "code" && section.header.size > 0) this.#pieces.push(...this.#piecesOf(section));
    this.#settleAll();
    if (this.#relax()) this.#settleAll();
    if (this.#orderTwins()) this.#settleAll();
    return this;
  }

  #settleAll(): void {
    for (let progress = true; progress; ) {
      progress = false;
      for (const piece of this.#pieces) if (piece.found === undefined && this.#settle(piece)) progress = true;
      for (const section of this.object.sections) if (this.#readData(section)) progress = true;
    }
  }

  /** Looks for functions with other lengths of jumps, once it is known that the object is in the binary. */
  #relax(): boolean {
    if (this.foundBytes === 0) return false;
    for (const piece of this.#pieces) {
      const { section } = piece;
      const alone = section.symbols.every((symbol) => !isFunction(symbol) || symbol.value === 0);
      if (piece.candidates.length > 0 || piece.start !== 0 || piece.end !== section.header.size || !alone) continue;
      const places = relaxedPlaces(this.binary, section);
      piece.relaxed = new Map(places.map((place) => [place.address, place]));
      piece.candidates = [...piece.relaxed.keys()];
    }
    return this.#pieces.some(({ relaxed }) => relaxed !== undefined && relaxed.size > 0);
  }

  get codeBytes(): number {
    return this.object.sections.reduce((sum, { kind, header }) => sum + (kind === "code" ? header.size : 0), 0);
  }

  get foundBytes(): number {
    return this.#pieces.reduce((sum, { found, start, end }) => sum + (found === undefined ? 0 : end - start), 0);
  }

  /** The whole section; where that is nowhere, its functions one by one. */
  #piecesOf(section: ObjectSection): Piece[] {
    const whole = {
      section,
      start: 0,
      end: section.header.size,
      name: section.symbols[0]?.name ?? section.name,
      found: undefined,
    };
    const candidates = codeCandidates(this.binary, maskedBytes(section, 0, section.header.size), section.header.align);
    if (candidates.length > 0) return [{ ...whole, candidates }];
    const functions = section.symbols.filter((symbol) => isFunction(symbol) && symbol.size > 0);
    if (functions.length < 2) {
      this.#problems.set(whole.name, "its code stands nowhere in the binary");
      return [{ ...whole, candidates }];
    }
    const seen = new Set<number>();
    return functions.flatMap(({ value, size, name }) => {
      if (seen.has(value)) return [];
      seen.add(value);
      const found = codeCandidates(this.binary, maskedBytes(section, value, value + size), 1);
      if (found.length === 0) this.#problems.set(name, "its code stands nowhere in the binary");
      return [{ section, start: value, end: value + size, name, candidates: found, found: undefined }];
    });
  }

  /** As many functions of one section with the same code as there are places for them stand there in their order. */
  #orderTwins(): boolean {
    const groups = Map.groupBy(
      this.#pieces.filter(({ found, candidates }) => found === undefined && candidates.length > 1),
      ({ section, candidates }) => `${section.header.index} ${candidates.join(" ")}`,
    );
    let progress = false;
    for (const group of groups.values()) {
      const places = group[0]?.candidates ?? [];
      if (group.length !== places.length || group.some((piece) => this.#expected(piece) !== undefined)) continue;
      for (const [index, piece] of group.entries()) piece.candidates = places.slice(index, index + 1);
      progress = true;
    }
    return progress;
  }

  /** Takes the one candidate that agrees with all that is known. */
  #settle(piece: Piece): boolean {
    const expected = this.#expected(piece);
    const possible = piece.candidates
      .filter((address) => expected === undefined || address === expected)
      .map((address) => ({ address, equations: this.#equations(piece, address) }))
      .filter(({ equations }) => equations !== undefined);
    const free = possible.length > 1 ? possible.filter(({ address }) => this.#isFree(piece, address)) : possible;
    const agreeing = free.length === 0 ? possible : free;
    if (agreeing.length !== 1) {
      const before = piece.candidates.length;
      if (before > 0) this.#problems.set(piece.name, this.#disagreement(piece, agreeing.length, expected));
      if (agreeing.length > 1) this.#ambiguous.add(piece.name);
      else this.#ambiguous.delete(piece.name);
      if (agreeing.length > 0 && agreeing.length < before) piece.candidates = agreeing.map(({ address }) => address);
      return false;
    }
    const [{ address, equations } = { address: 0, equations: undefined }] = agreeing;
    piece.found = address;
    this.#problems.delete(piece.name);
    this.#ambiguous.delete(piece.name);
    for (const { key, value } of equations ?? []) this.#known.set(key, value);
    this.#learnPiece(piece, address);
    return true;
  }

  /**
   * Whether a piece may stand at an address beside what was found: where no other code of the object stands, and in the order of its section.
   *
   * This tells functions with the very same code apart.
   */
  #isFree(piece: Piece, address: number): boolean {
    const isMain = piece.section.symbols.some(({ name, value }) => name === "main" && value === piece.start);
    const entry = isMain ? mainAddress(this.binary) : undefined;
    if (entry !== undefined) return address === entry;
    const end = address + piece.end - piece.start;
    return this.#pieces.every(({ section, start, end: otherEnd, found }) => {
      if (found === undefined) return true;
      const apart = end <= found || found + otherEnd - start <= address;
      return apart && (section !== piece.section || found < address === start < piece.start);
    });
  }

  #disagreement(piece: Piece, agreeing: number, expected: number | undefined): string {
    if (agreeing > 1) return `its code stands in ${agreeing} places and nothing tells which is the one`;
    if (expected !== undefined) return `other code refers to it at 0x${expected.toString(16)}, where it does not stand`;
    const [first] = piece.candidates;
    const why = first === undefined ? undefined : this.#contradiction(piece, first);
    return why ?? "what stands there refers to other things";
  }

  #expected(piece: Piece): number | undefined {
    const base = this.baseOf(piece.section);
    if (base !== undefined) return base + piece.start;
    for (const symbol of piece.section.symbols) {
      const known = this.#known.get(`name ${symbol.name}`);
      if (known?.kind === "address" && symbol.binding !== 0) return known.address - symbol.value + piece.start;
    }
    return undefined;
  }

  #learnPiece(piece: Piece, address: number): void {
    const relaxed = piece.relaxed?.get(address);
    if (relaxed !== undefined) {
      this.#relaxedSections.set(piece.section, relaxed);
      for (const symbol of piece.section.symbols) {
        const place = relaxed.placeOf(symbol.value);
        if (place !== undefined) this.#known.set(`symbol ${symbol.index}`, { kind: "address", address: place });
      }
      return;
    }
    const whole = piece.start === 0 && piece.end === piece.section.header.size;
    if (whole) this.#known.set(`section ${piece.section.header.index}`, { kind: "address", address });
    for (const symbol of piece.section.symbols)
      if (symbol.value >= piece.start && symbol.value < piece.end)
        this.#known.set(`symbol ${symbol.index}`, { kind: "address", address: address + symbol.value - piece.start });
  }

  /** Undefined if the bytes contradict each other or what is known. */
  #equations(piece: Piece, address: number): readonly Equation[] | undefined {
    const answer = this.#readPiece(piece, address);
    return typeof answer === "string" ? undefined : answer;
  }

  #contradiction(piece: Piece, address: number): string | undefined {
    const answer = this.#readPiece(piece, address);
    return typeof answer === "string" ? answer : undefined;
  }

  #readPiece({ section, start, end, relaxed }: Piece, address: number): readonly Equation[] | string {
    const place = relaxed?.get(address);
    const read = place === undefined ? this.#readerAt(section, address - start) : place.reading.bind(place);
    return this.#readReferences(section, { start, end }, read);
  }

  #readerAt({ bytes }: ObjectSection, base: number): (reference: Reference) => Reading | undefined {
    return (reference) => readLinkedField({ binary: this.binary, base, assembled: bytes }, reference);
  }

  /** The equations of all references between two offsets of a section, or the contradiction as a clause. */
  #readReferences(
    section: ObjectSection,
    { start, end }: { readonly start: number; readonly end: number },
    read: (reference: Reference) => Reading | undefined,
  ): readonly Equation[] | string {
    const found = new Map<string, Resolution>();
    const tlsCalls = new Set<number>();
    for (const reference of section.references) {
      if (reference.offset < start || reference.offset >= end || tlsCalls.has(reference.offset)) continue;
      // The call of __tls_get_addr belongs to the sequence and may have been relaxed away with it.
      // That of local dynamic is a byte longer where it goes through a table (-fno-plt).
      if (reference.type === relocation.tlsGd) tlsCalls.add(reference.offset + 8);
      if (reference.type === relocation.tlsLd) tlsCalls.add(reference.offset + 5).add(reference.offset + 6);
      const reading = read(reference);
      if (reading === undefined)
        return `the bytes of its reference to ${this.#nameOf(reference)} are none that a linker makes`;
      const equation = this.#equation(reference, reading);
      if (typeof equation === "string") return equation;
      if (equation === undefined) continue;
      const known = found.get(equation.key) ?? this.#known.get(equation.key);
      if (known !== undefined && !sameResolution(known, equation.value))
        return `${this.#nameOf(reference)} is ${resolutionText(equation.value)} here and ${resolutionText(known)} elsewhere`;
      found.set(equation.key, equation.value);
    }
    return [...found].map(([key, value]) => ({ key, value }));
  }

  #equation(reference: Reference, reading: Reading): Equation | string | undefined {
    const { symbol } = reference;
    const value = resolutionOf(reading, this.binary);
    if (value === undefined) return undefined;
    const target = referredSection(this.object, reference);
    if (value.kind === "import") {
      const name = plainName(symbol.name);
      if (name !== "" && name !== value.symbol.name)
        return `it refers to ${value.symbol.name} where the source has ${name}`;
      return name === ""
        ? `it refers to ${value.symbol.name} where the source has something of its own`
        : { key: `name ${name}`, value };
    }
    if (target !== undefined && (target.kind === "strings" || target.kind === "constants"))
      return this.#checkEntry(target, reference, value);
    // What stands behind the beginning of a function with shortened jumps is nowhere that an offset would tell.
    if (target !== undefined && this.#relaxedSections.has(target)) return undefined;
    if (target !== undefined) {
      const offset = value.kind === "tls" ? value.offset - symbol.value : value.address - symbol.value;
      const key = `section ${target.header.index}`;
      if (value.kind === "tls") return { key, value: { kind: "tls", offset } };
      // What was imported by its own name may be another library's; an address is where it really is.
      return this.#inBinary(offset)
        ? { key, value: { kind: "address", address: offset } }
        : `${this.#nameOf(reference)} would lie outside of the binary`;
    }
    if (symbol.section === sectionIndex.absolute) return undefined;
    if (value.kind === "address" && value.address === 0 && symbol.binding === 2) return undefined;
    if (value.kind === "address" && !this.#inBinary(value.address))
      return `${this.#nameOf(reference)} would lie outside of the binary`;
    return { key: `name ${plainName(symbol.name)}`, value };
  }

  /** A merged entry is wherever one with its content is; the content has to be there. */
  #checkEntry(section: ObjectSection, reference: Reference, value: Resolution): string | undefined {
    const entry = mergeEntryAt(section, reference);
    if (entry === undefined || value.kind !== "address") return undefined;
    const address = value.address - reference.symbol.value + entry.start;
    const there = this.binary.bytesAt(address, entry.bytes.length);
    // A string that holds a path depends on the folder of the build; nothing is taken from the binary for it.
    if (section.kind === "strings" && entry.bytes.includes(0x2f)) return undefined;
    return there !== undefined && Buffer.compare(there, entry.bytes) === 0
      ? undefined
      : `a ${section.kind === "strings" ? "string" : "constant"} that it refers to is another one`;
  }

  /** References of data whose place is known; once for each section. */
  readonly #readSections = new Set<ObjectSection>();

  #readData(section: ObjectSection): boolean {
    if (section.kind !== "constant" && section.kind !== "writable") return false;
    const base = this.baseOf(section);
    if (base === undefined || this.#readSections.has(section)) return false;
    this.#readSections.add(section);
    const whole = { start: 0, end: section.header.size };
    const answer = this.#readReferences(section, whole, this.#readerAt(section, base));
    if (typeof answer === "string") {
      this.#problems.set(section.name, answer);
      return false;
    }
    for (const { key, value } of answer) this.#known.set(key, value);
    return answer.length > 0;
  }

  #inBinary(address: number): boolean {
    return this.binary.bytesAt(address, 1) !== undefined || this.binary.bytesAt(address - 1, 1) !== undefined;
  }

  #nameOf({ symbol }: Reference): string {
    if (symbol.name !== "") return symbol.name;
    return this.object.section(symbol.section)?.name ?? `symbol ${symbol.index}`;
  }

  baseOf(section: ObjectSection): number | undefined {
    const known = this.#known.get(`section ${section.header.index}`);
    return known?.kind === "address" ? known.address : undefined;
  }

  sizeOf(section: ObjectSection): number | undefined {
    const relaxed = this.#relaxedSections.get(section);
    if (relaxed !== undefined) return relaxed.sizeBytes;
    return this.baseOf(section) === undefined ? undefined : section.header.size;
  }

  resolve(symbol: ElfSymbol): Resolution | undefined {
    const direct = this.#known.get(`symbol ${symbol.index}`);
    if (direct !== undefined) return direct;
    const section = this.object.section(symbol.section);
    const base = section && this.#known.get(`section ${section.header.index}`);
    if (base?.kind === "address") return { kind: "address", address: base.address + symbol.value };
    if (base?.kind === "tls") return { kind: "tls", offset: base.offset + symbol.value };
    if (symbol.type === symbolType.section) return undefined;
    return this.#known.get(`name ${plainName(symbol.name)}`);
  }

  isAmbiguous(name: string): boolean {
    return this.#ambiguous.has(name);
  }

  whyNot(name: string): string {
    return this.#problems.get(name) ?? "nothing that was found refers to it";
  }
}
