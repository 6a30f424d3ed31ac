/** Notes (gABI chapter 5, "Note Section"): the build-id and the program properties (psABI, "Program Property"). */
import { byteString, Cursor } from "../binary/cursor.ts";
import { noteType, propertyType, sectionType, segmentType, x86Feature } from "./constants.ts";
import { type ElfFile, sectionBytes } from "./elf-file.ts";
import { fileImage, type Image } from "./image.ts";

export interface Note {
  readonly owner: string;
  readonly type: number;
  readonly descriptor: Uint8Array;
}

/** `align` is that of the segment or section: entries are padded to 8 where it is 8, else to 4. */
export function readNotes(bytes: Uint8Array, align: number): Note[] {
  const cursor = new Cursor(bytes, "a note");
  const unit = align === 8 ? 8 : 4;
  const toUnit = () => cursor.skip(Math.min(-cursor.offset & (unit - 1), cursor.remaining));
  const notes: Note[] = [];
  while (cursor.remaining >= 12) {
    const nameSize = cursor.u32();
    const descriptorSize = cursor.u32();
    const type = cursor.u32();
    const name = cursor.take(nameSize);
    toUnit();
    const descriptor = cursor.take(descriptorSize);
    toUnit();
    const end = name.indexOf(0);
    notes.push({ owner: byteString(name, 0, end < 0 ? name.length : end), type, descriptor });
  }
  return notes;
}

/** Of all PT_NOTE segments. */
export function imageNotes(image: Image): Note[] {
  return image.segments
    .filter(({ type, fileSize }) => type === segmentType.note && fileSize > 0)
    .flatMap((segment) => readNotes(image.bytesAt(segment.address, segment.fileSize), segment.align));
}

/** Of the segments, or of the sections where there are no segments (relocatable files). */
export function elfNotes(elf: ElfFile): Note[] {
  if (elf.segments.length > 0) return imageNotes(fileImage(elf));
  return elf.sections
    .filter(({ type }) => type === sectionType.note)
    .flatMap((section) => readNotes(sectionBytes(elf, section), section.align));
}

/** In lower-case hexadecimal digits; undefined without one. */
export function buildId(notes: readonly Note[]): string | undefined {
  const note = notes.find(({ owner, type }) => owner === "GNU" && type === noteType.gnuBuildId);
  return note && Buffer.from(note.descriptor).toString("hex");
}

export interface ControlFlowProtection {
  /** Indirect branch tracking: every indirect target begins with endbr64. */
  readonly ibt: boolean;
  readonly shadowStack: boolean;
}

/** GNU_PROPERTY_X86_FEATURE_1_AND of the note NT_GNU_PROPERTY_TYPE_0. */
export function controlFlowProtection(notes: readonly Note[]): ControlFlowProtection {
  let features = 0;
  for (const { owner, type, descriptor } of notes) {
    if (owner !== "GNU" || type !== noteType.gnuProperty) continue;
    const cursor = new Cursor(descriptor, "a program property");
    while (cursor.remaining >= 8) {
      const property = cursor.u32();
      const data = cursor.take(cursor.u32());
      cursor.skip(Math.min(-data.length & 7, cursor.remaining));
      if (property === propertyType.x86Feature1And) features = new Cursor(data, "a program property").u32();
    }
  }
  return { ibt: (features & x86Feature.ibt) !== 0, shadowStack: (features & x86Feature.shadowStack) !== 0 };
}
