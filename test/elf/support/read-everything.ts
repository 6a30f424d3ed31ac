/** Reads all that can be read of a file, so that damage anywhere in it is met. */
import { dynamicRelocations, dynamicSymbols, interpreter, readDynamic } from "../../../src/elf/dynamic.ts";
import { FrameReader } from "../../../src/elf/eh-frame/frame-entries.ts";
import { frameRows } from "../../../src/elf/eh-frame/frame-rows.ts";
import { fileUnwindTable, imageUnwindTable } from "../../../src/elf/eh-frame/unwind-information.ts";
import { innermostFrame, unwindStep } from "../../../src/elf/eh-frame/unwind-step.ts";
import { UnwindSpace } from "../../../src/elf/eh-frame/unwind-table.ts";
import { findSection, parseElf } from "../../../src/elf/elf-file.ts";
import { fileImage, memoryImage } from "../../../src/elf/image.ts";
import { buildId, controlFlowProtection, elfNotes } from "../../../src/elf/notes.ts";
import {
  mergeEntries,
  relocationSections,
  sectionContent,
  sectionGroups,
  symbolsBySection,
} from "../../../src/elf/section-contents.ts";
import { resolveSymbol } from "../../../src/elf/symbol-lookup.ts";
import { sectionSymbols } from "../../../src/elf/symbols.ts";

type Step = (bytes: Uint8Array) => void;

const steps: readonly Step[] = [
  (bytes) => {
    const elf = parseElf(bytes);
    for (const section of elf.sections)
      if (section.type === 2 || section.type === 11)
        symbolsBySection(sectionSymbols(elf, section), elf.sections.length);
  },
  (bytes) => void relocationSections(parseElf(bytes)),
  (bytes) => void sectionGroups(parseElf(bytes)),
  (bytes) => {
    const elf = parseElf(bytes);
    for (const section of elf.sections)
      if ((section.flags & 0x10) !== 0) mergeEntries(sectionContent(elf, section), section);
  },
  (bytes) => {
    const notes = elfNotes(parseElf(bytes));
    buildId(notes);
    controlFlowProtection(notes);
  },
  (bytes) => {
    for (const image of [fileImage(parseElf(bytes)), memoryImage(bytes, 0x7f00_0000_0000)]) {
      interpreter(image);
      const object = readDynamic(image);
      if (object === undefined) continue;
      dynamicSymbols(object);
      for (const name of ["puts", "main", "_init"]) resolveSymbol([object], { name, version: "GLIBC_2.2.5" });
      dynamicRelocations(object);
    }
  },
  (bytes) => {
    const elf = parseElf(bytes);
    const section = findSection(elf, ".eh_frame");
    if (section === undefined) return;
    for (const fde of new FrameReader({ bytes: sectionContent(elf, section), address: section.address }).fdes())
      frameRows(fde);
  },
  (bytes) => {
    const elf = parseElf(bytes);
    for (const table of [fileUnwindTable(elf), imageUnwindTable(fileImage(elf))]) {
      if (table === undefined) continue;
      const space = new UnwindSpace([{ start: 0, end: 2 ** 40, bias: 0, table }]);
      for (let address = 0; address < 0x8000; address += 13) {
        const frame = innermostFrame(
          Float64Array.from({ length: 17 }, (_, index) => (index === 16 ? address : 0x7000 + index)),
        );
        unwindStep(frame, { readWord: (place) => place * 7 }, space);
      }
    }
  },
];

/** Runs each reader by itself, so that the refusal of one does not spare the others; `told` hears of every error. */
export function readEverything(bytes: Uint8Array, told: (error: unknown) => void): void {
  for (const step of steps) {
    try {
      step(bytes);
    } catch (error) {
      told(error);
    }
  }
}
