/** What the object of a hotpatch brings into a process: functions, variables, constants and their sizes. */
import { sectionFlag, sectionIndex, symbolType } from "../../elf/constants.ts";
import { type ElfFile, parseElf } from "../../elf/elf-file.ts";
import { type ElfSymbol, staticSymbols } from "../../elf/symbols.ts";

export interface Named {
  readonly name: string;
  readonly sizeBytes: number;
}

/** What one object brings along. */
export interface ObjectContents {
  /** By name, the size of every function. */
  readonly functions: ReadonlyMap<string, number>;
  readonly variables: readonly Named[];
  readonly constants: readonly Named[];
  readonly codeBytes: number;
  readonly dataBytes: number;
}

/** Throws `elf/…` and `binary/…` where the bytes are no whole ELF file. */
export function objectContents(bytes: Uint8Array): ObjectContents {
  const elf = parseElf(bytes);
  const symbols = staticSymbols(elf).filter(({ section, name }) => section !== sectionIndex.undefined && name !== "");
  const data = symbols.filter(({ type }) => type === symbolType.object || type === symbolType.tls);
  const named = ({ name, size }: ElfSymbol): Named => ({ name, sizeBytes: size });
  return {
    functions: new Map(
      symbols.filter(({ type }) => type === symbolType.function).map(({ name, size }) => [name, size]),
    ),
    variables: data.filter((symbol) => isWritable(elf, symbol)).map(named),
    constants: data.filter((symbol) => !isWritable(elf, symbol)).map(named),
    codeBytes: loadedBytes(elf, (flags) => (flags & sectionFlag.execute) !== 0),
    dataBytes: loadedBytes(elf, (flags) => (flags & sectionFlag.execute) === 0),
  };
}

function isWritable(elf: ElfFile, { section }: ElfSymbol): boolean {
  const found = elf.sections[section];
  // What is read-only but for its relocations is writable in the object alone.
  return found !== undefined && (found.flags & sectionFlag.write) !== 0 && !found.name.startsWith(".data.rel.ro");
}

function loadedBytes(elf: ElfFile, wanted: (flags: number) => boolean): number {
  return elf.sections
    .filter(({ flags }) => (flags & sectionFlag.alloc) !== 0 && wanted(flags))
    .reduce((sum, { size }) => sum + size, 0);
}
