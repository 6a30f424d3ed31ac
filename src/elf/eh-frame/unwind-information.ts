/** The unwind information of an object, from its file or from its image in memory. */
import { type ElfFile, findSection, findSegment } from "../elf-file.ts";
import type { Image } from "../image.ts";
import { sectionContent } from "../section-contents.ts";
import { readSearchTable } from "./search-table.ts";
import { UnwindTable } from "./unwind-table.ts";

/** From .eh_frame of a file; undefined without one. */
export function fileUnwindTable(elf: ElfFile): UnwindTable | undefined {
  const section = findSection(elf, ".eh_frame");
  return section && UnwindTable.scan({ bytes: sectionContent(elf, section), address: section.address });
}

/**
 * From PT_GNU_EH_FRAME of an image, which needs no section headers; undefined without that segment.
 *
 * A search table without entries leaves the length of .eh_frame unknown; such an object has a table without functions.
 */
export function imageUnwindTable(image: Image): UnwindTable | undefined {
  const segment = findSegment(image.segments, "gnuEhFrame");
  if (segment === undefined) return undefined;
  const table = readSearchTable(image.bytesAt(segment.address, segment.fileSize), segment.address);
  return UnwindTable.fromSearchTable(
    { bytes: image.bytesFrom(table.frameAddress), address: table.frameAddress },
    table,
  );
}
