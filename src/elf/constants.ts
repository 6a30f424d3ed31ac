/** Numbers of the System V gABI (chapters 4 and 5), of the x86-64 psABI, and of GNU's extensions (LSB 5.0 core, glibc's elf.h). */

export const elfMachineX86 = 62;

export const fileType = { relocatable: 1, executable: 2, shared: 3, core: 4 } as const;

/** `sh_type`, gABI figure 4-11. */
export const sectionType = {
  null: 0,
  progbits: 1,
  symtab: 2,
  strtab: 3,
  rela: 4,
  hash: 5,
  dynamic: 6,
  note: 7,
  nobits: 8,
  rel: 9,
  dynsym: 11,
  initArray: 14,
  finiArray: 15,
  preinitArray: 16,
  group: 17,
  symtabShndx: 18,
  relr: 19,
  gnuHash: 0x6ffffff6,
  gnuVerdef: 0x6ffffffd,
  gnuVerneed: 0x6ffffffe,
  gnuVersym: 0x6fffffff,
  x86Unwind: 0x70000001,
} as const;

/** `sh_flags`, gABI figure 4-12. */
export const sectionFlag = {
  write: 0x1,
  alloc: 0x2,
  execute: 0x4,
  merge: 0x10,
  strings: 0x20,
  infoLink: 0x40,
  linkOrder: 0x80,
  group: 0x200,
  tls: 0x400,
  compressed: 0x800,
  retain: 0x200000,
} as const;

/** Special section indices, gABI figure 4-8. */
export const sectionIndex = {
  undefined: 0,
  reserved: 0xff00,
  absolute: 0xfff1,
  common: 0xfff2,
  extended: 0xffff,
} as const;

/** `p_type`, gABI figure 5-2. */
export const segmentType = {
  null: 0,
  load: 1,
  dynamic: 2,
  interpreter: 3,
  note: 4,
  programHeaders: 6,
  tls: 7,
  gnuEhFrame: 0x6474e550,
  gnuStack: 0x6474e551,
  gnuRelro: 0x6474e552,
  gnuProperty: 0x6474e553,
} as const;

export const segmentFlag = { execute: 1, write: 2, read: 4 } as const;

/** Low four bits of `st_info`, gABI figure 4-17. */
export const symbolType = {
  noType: 0,
  object: 1,
  function: 2,
  section: 3,
  file: 4,
  common: 5,
  tls: 6,
  gnuIfunc: 10,
} as const;

/** High four bits of `st_info`, gABI figure 4-16. */
export const symbolBinding = { local: 0, global: 1, weak: 2, gnuUnique: 10 } as const;

/** Low two bits of `st_other`, gABI figure 4-19. */
export const symbolVisibility = { default: 0, internal: 1, hidden: 2, protected: 3 } as const;

/** `d_tag`, gABI figure 5-10 and GNU's. */
export const dynamicTag = {
  null: 0,
  needed: 1,
  pltRelSize: 2,
  pltGot: 3,
  hash: 4,
  strtab: 5,
  symtab: 6,
  rela: 7,
  relaSize: 8,
  relaEntry: 9,
  strSize: 10,
  symEntry: 11,
  init: 12,
  fini: 13,
  soname: 14,
  rpath: 15,
  symbolic: 16,
  rel: 17,
  pltRel: 20,
  debug: 21,
  textRel: 22,
  jmpRel: 23,
  bindNow: 24,
  initArray: 25,
  finiArray: 26,
  initArraySize: 27,
  finiArraySize: 28,
  runpath: 29,
  flags: 30,
  preinitArray: 32,
  preinitArraySize: 33,
  relrSize: 35,
  relr: 36,
  relrEntry: 37,
  gnuHash: 0x6ffffef5,
  versym: 0x6ffffff0,
  relaCount: 0x6ffffff9,
  flags1: 0x6ffffffb,
  verdef: 0x6ffffffc,
  verdefCount: 0x6ffffffd,
  verneed: 0x6ffffffe,
  verneedCount: 0x6fffffff,
} as const;

/** Note types of the owner "GNU", and property types and bits inside them (psABI §"Program Property"). */
export const noteType = { gnuAbiTag: 1, gnuBuildId: 3, gnuProperty: 5 } as const;
export const propertyType = { x86Feature1And: 0xc0000002, x86IsaNeeded: 0xc0008002 } as const;
export const x86Feature = { ibt: 1, shadowStack: 2 } as const;

/** `ch_type` of a compressed section, gABI "Section Compression". */
export const compressionType = { zlib: 1, zstd: 2 } as const;
