/**
 * The addresses that symbols of a hotpatch have in the running process, as the dynamic linker would find them.
 *
 * Nothing is guessed: what cannot be proven from the process is refused by name.
 */
import { refuse } from "../../base/refusal.ts";
import { symbolType } from "../../elf/constants.ts";
import { dynamicRelocations, dynamicSymbol } from "../../elf/dynamic.ts";
import { findSegment } from "../../elf/elf-file.ts";
import { type Definition, resolveSymbol } from "../../elf/symbol-lookup.ts";
import { symbolVersion, versionIndexMask } from "../../elf/versions.ts";
import type { ElfSymbol } from "../../hotpatch/elf-manifest.ts";
import type { LoadedImage } from "./loaded-image.ts";
import { type Mapping, mappingAt } from "./memory-map.ts";
import type { ProcessMemory } from "./process-memory.ts";

/** `thread`: a thread-local variable, by its distance from the thread pointer and by its module. */
export type ResolvedSymbol =
  | {
      readonly kind: "address";
      readonly address: number;
      /** A function, for which a stub within reach may stand. */
      readonly isCode?: boolean;
      /** Data that the process cannot change: its bytes, of which a copy within reach is as good. */
      readonly constant?: Buffer;
    }
  /** An IFUNC that nothing in the process has used yet: its resolver takes no argument on x86-64 and answers the address. */
  | { readonly kind: "resolver"; readonly resolver: number }
  | {
      readonly kind: "thread";
      readonly pointerOffset: number | undefined;
      readonly module: number | undefined;
      readonly offset: number;
    };

const maxConstantBytes = 64 * 1024;
const relocation = { globDat: 6, jumpSlot: 7, absolute: 1, dtpMod: 16, tpOff: 18, irelative: 37 } as const;

export class SymbolResolver {
  readonly #memory: ProcessMemory;
  /** In search order. */
  readonly #scope: readonly LoadedImage[];
  readonly #executable: LoadedImage;
  readonly #mappings: readonly Mapping[];
  readonly #maps: ReadonlyMap<LoadedImage, number>;

  /** `maps`: in search order, with the address of the `struct link_map` of each. */
  constructor(memory: ProcessMemory, maps: ReadonlyMap<LoadedImage, number>, executable: LoadedImage) {
    this.#memory = memory;
    this.#maps = maps;
    this.#scope = [...maps.keys()];
    this.#executable = executable;
    this.#mappings = memory.maps();
  }

  /** `binaries`: the loaded images of the hotpatch's binaries by name. Refuses with `target/symbol-missing`. */
  resolve(symbol: ElfSymbol, own: LoadedImage, binaries: ReadonlyMap<string, LoadedImage>): ResolvedSymbol {
    switch (symbol.kind) {
      case "address":
        return { kind: "address", address: own.bias + symbol.address };
      case "binary": {
        const other = binaries.get(symbol.binary);
        if (other === undefined) return missing(symbol.name, `${symbol.binary} is not loaded`);
        return { kind: "address", address: other.bias + symbol.address };
      }
      case "tls":
        return this.#threadLocal(own, symbol.offset);
      case "import":
        return this.#import(symbol);
    }
  }

  #import(symbol: Extract<ElfSymbol, { kind: "import" }>): ResolvedSymbol {
    const name = symbol.symbol ?? symbol.name;
    const scope = this.#scope.flatMap(({ dynamic }) => dynamic ?? []);
    const reference = symbol.version === undefined ? { name, newest: true } : { name, version: symbol.version };
    const found = resolveSymbol(scope, { ...reference, forCall: true });
    if (found === undefined) {
      if (symbol.weak === true) return { kind: "address", address: 0 };
      const version = symbol.version === undefined ? "" : `@${symbol.version}`;
      return missing(symbol.name, `no loaded library defines ${name}${version}`);
    }
    const image = this.#scope.find(({ dynamic }) => dynamic === found.object) as LoadedImage;
    if (found.kind === "tls") return this.#threadLocal(image, found.symbol.value);
    if (found.kind === "ifunc") {
      const address = this.#resolvedIfunc(found, image);
      return address === undefined
        ? { kind: "resolver", resolver: image.bias + found.symbol.value }
        : { kind: "address", address, isCode: true };
    }
    const address = (found.kind === "absolute" ? 0 : image.bias) + found.symbol.value;
    const isCode = found.symbol.type === symbolType.function || image.hasCode(address);
    const constant = isCode ? undefined : this.#constant(address, found.symbol.size);
    return { kind: "address", address, isCode, ...(constant === undefined ? {} : { constant }) };
  }

  #constant(address: number, sizeBytes: number): Buffer | undefined {
    if (sizeBytes === 0 || sizeBytes > maxConstantBytes) return undefined;
    const mapping = mappingAt(this.#mappings, address);
    if (mapping === undefined || mapping.permissions.includes("w") || address + sizeBytes > mapping.end)
      return undefined;
    return this.#memory.read(address, sizeBytes);
  }

  /** Where a function of some loaded object is; undefined when none exports it. */
  exported(name: string): { readonly address: number; readonly image: LoadedImage } | undefined {
    for (const image of this.#scope) {
      const found = image.dynamic === undefined ? undefined : resolveSymbol([image.dynamic], { name, newest: true });
      if (found?.kind === "plain") return { address: image.bias + found.symbol.value, image };
    }
    return undefined;
  }

  /** What the resolver answered when the dynamic linker asked it: it stands in a GOT slot of whoever uses the function. */
  #resolvedIfunc(found: Definition, home: LoadedImage): number | undefined {
    for (const image of this.#scope) {
      for (const { type, offset, addend, symbol } of relocationsOf(image)) {
        const isOwn = image === home && type === relocation.irelative && addend === found.symbol.value;
        if (!isOwn && !this.#isSlotOf(image, type, symbol, found)) continue;
        const value = this.#word(image.bias + offset);
        // A slot that was not used yet leads back into the object's own PLT.
        if (value !== 0 && (image === home || value < image.start || value >= image.end)) return value;
      }
    }
    return undefined;
  }

  #isSlotOf(image: LoadedImage, type: number, index: number, { object, symbol }: Definition): boolean {
    if (index === 0 || (type !== relocation.globDat && type !== relocation.jumpSlot && type !== relocation.absolute))
      return false;
    const { dynamic } = image;
    if (dynamic === undefined || dynamicSymbol(dynamic, index).name !== symbol.name) return false;
    const wanted = dynamic.versions.byIndex.get((symbolVersion(dynamic.versions, index) ?? 0) & versionIndexMask)?.name;
    const reference = wanted === undefined ? { name: symbol.name } : { name: symbol.name, version: wanted };
    const scope = this.#scope.flatMap((candidate) => candidate.dynamic ?? []);
    const meant = resolveSymbol(scope, { ...reference, forCall: true });
    return meant?.object === object && meant.symbol.value === symbol.value;
  }

  #threadLocal(image: LoadedImage, offset: number): ResolvedSymbol {
    const base = this.#threadBase(image);
    const module = this.#threadModule(image);
    return { kind: "thread", pointerOffset: base === undefined ? undefined : base + offset, module, offset };
  }

  /** Where the object's block lies from the thread pointer: variant II of "ELF Handling For Thread-Local Storage", for objects with static TLS. */
  #threadBase(image: LoadedImage): number | undefined {
    if (image === this.#executable) {
      const segment = findSegment(image.segments, "tls");
      if (segment === undefined) return undefined;
      const align = Math.max(segment.align, 1);
      const misalignment = segment.address % align;
      return misalignment - Math.ceil((segment.memorySize + misalignment) / align) * align;
    }
    for (const { type, offset, addend, symbol } of relocationsOf(image)) {
      if (type !== relocation.tpOff || image.dynamic === undefined) continue;
      const referred = symbol === 0 ? undefined : dynamicSymbol(image.dynamic, symbol);
      if (referred !== undefined && referred.section === 0) continue;
      return Number(BigInt.asIntN(64, this.#bigWord(image.bias + offset))) - addend - (referred?.value ?? 0);
    }
    const distance = this.#linkerField(image, "l_tls_offset");
    // NO_TLS_OFFSET and FORCED_DYNAMIC_TLS_OFFSET (glibc's ldsodefs.h): every thread has its block elsewhere.
    return distance === undefined || distance === 0 || distance === -1 ? undefined : -distance;
  }

  /** A field of the dynamic linker's own record of an object; glibc tells debuggers where it is (nptl_db/structs.def: size in bits, count, offset). */
  #linkerField(image: LoadedImage, field: "l_tls_modid" | "l_tls_offset"): number | undefined {
    const map = this.#maps.get(image);
    const described = this.exported(`_thread_db_link_map_${field}`);
    if (map === undefined || map === 0 || described === undefined) return undefined;
    const words = this.#memory.read(described.address, 12);
    if (words.readUInt32LE(0) !== 64) return undefined;
    return Number(BigInt.asIntN(64, this.#bigWord(map + words.readUInt32LE(8))));
  }

  #threadModule(image: LoadedImage): number | undefined {
    if (image === this.#executable) return 1;
    for (const { type, offset, symbol } of relocationsOf(image)) {
      if (type !== relocation.dtpMod || image.dynamic === undefined) continue;
      if (symbol === 0 || dynamicSymbol(image.dynamic, symbol).section !== 0) return this.#word(image.bias + offset);
    }
    const module = this.#linkerField(image, "l_tls_modid");
    return module === undefined || module <= 0 ? undefined : module;
  }

  #word(address: number): number {
    return Number(this.#bigWord(address));
  }

  #bigWord(address: number): bigint {
    return this.#memory.read(address, 8).readBigUInt64LE(0);
  }
}

function relocationsOf(image: LoadedImage) {
  if (image.dynamic === undefined) return [];
  const { rela, plt } = dynamicRelocations(image.dynamic);
  return [...rela, ...plt];
}

function missing(name: string, why: string): never {
  refuse("target/symbol-missing", `The hotpatch needs ${name}, which has no address in this process: ${why}.`, {
    name,
  });
}
