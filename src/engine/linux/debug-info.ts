/**
 * What debuggers and profilers need to see the hotpatches of a process: an ELF file each, made from what is in its memory alone.
 *
 * The files have the new functions' names and addresses, and their unwind entries at the addresses where they are; nothing of the process is changed.
 */
import { sectionFlag, sectionType, symbolBinding, symbolType } from "../../elf/constants.ts";
import { type SectionDescription, type SymbolDescription, writeElf } from "../../elf/write-elf.ts";
import type { ProcessReference } from "../engine.ts";
import { openProcess } from "./linux-probe.ts";
import { readRecords } from "./patch-memory.ts";
import type { ProcessMemory } from "./process-memory.ts";
import { isOn, type PatchRecord, type RecordedCode } from "./record.ts";

export interface NewCode {
  readonly name: string;
  readonly address: number;
  readonly sizeBytes: number;
}

export interface DebugFile {
  /** Of the hotpatch. */
  readonly id: string;
  readonly binary: string;
  /** An ELF file for `add-symbol-file`, its sections at their addresses in the process. */
  readonly bytes: Uint8Array;
  readonly functions: readonly NewCode[];
}

/** One for each binary of each hotpatch that is in place, since a debugger reads one `.eh_frame` of a file. Refuses as looking into a process does. */
export function debugFiles(target: ProcessReference): DebugFile[] {
  const memory = openProcess(target);
  try {
    return readRecords(memory, memory.maps())
      .filter(isOn)
      .flatMap((record) => (record.code ?? []).map((code) => debugFile(memory, record, code)));
  } finally {
    memory.close();
  }
}

function debugFile(memory: ProcessMemory, record: PatchRecord, code: RecordedCode): DebugFile {
  const sections: SectionDescription[] = [];
  const symbols: SymbolDescription[] = [];
  const functions = namedCode(record, code);
  for (const { kind, address, sizeBytes } of record.areas) {
    const own = functions.filter((found) => found.address >= address && found.address < address + sizeBytes);
    if (kind !== "code" || own.length === 0) continue;
    const name = sections.length === 0 ? ".text" : `.text.${sections.length}`;
    const flags = sectionFlag.alloc | sectionFlag.execute;
    sections.push({ name, type: sectionType.nobits, flags, address, content: { sizeBytes }, align: 16 });
    for (const found of own) {
      symbols.push({
        name: found.name,
        address: found.address,
        size: found.sizeBytes,
        type: symbolType.function,
        binding: symbolBinding.global,
        section: name,
      });
    }
  }
  if (code.unwind !== undefined) {
    const { address, sizeBytes } = code.unwind;
    const content = Buffer.concat([memory.read(address, sizeBytes), Buffer.alloc(4)]);
    const flags = sectionFlag.alloc;
    sections.push({ name: ".eh_frame", type: sectionType.progbits, flags, address, content, align: 8 });
  }
  return { id: record.id, binary: code.binary, bytes: writeElf(sections, symbols), functions };
}

/** By address: gates, replacements, and what else is new. */
function namedCode({ functions }: PatchRecord, code: RecordedCode): NewCode[] {
  const gates = functions
    .filter(({ binary }) => binary === code.binary)
    .map(({ name, gate }) => ({ name: `${name}@gate`, address: gate, sizeBytes: 16 }));
  return [...gates, ...code.functions].sort((one, other) => one.address - other.address);
}

/** Lines of a map as perf reads it from /tmp/perf-PID.map (perf-map format of the kernel's tools/perf/Documentation/jit-interface.txt). */
export function perfMap(files: readonly DebugFile[]): string {
  return files
    .flatMap(({ functions }) => functions)
    .map(({ address, sizeBytes, name }) => `${address.toString(16)} ${sizeBytes.toString(16)} ${name}\n`)
    .join("");
}
