/** Layouts of ELF64 (gABI chapters 4 and 5) and of GNU's version sections (LSB 5.0 core §10.7); a test compares them with those that gcc sees. */

export const elfHeaderTable = {
  name: "Elf64_Ehdr",
  sizeBytes: 64,
  fields: {
    e_type: ["u16", 16],
    e_machine: ["u16", 18],
    e_version: ["u32", 20],
    e_entry: ["u64", 24],
    e_phoff: ["u64", 32],
    e_shoff: ["u64", 40],
    e_flags: ["u32", 48],
    e_ehsize: ["u16", 52],
    e_phentsize: ["u16", 54],
    e_phnum: ["u16", 56],
    e_shentsize: ["u16", 58],
    e_shnum: ["u16", 60],
    e_shstrndx: ["u16", 62],
  },
} as const;

export const programHeaderTable = {
  name: "Elf64_Phdr",
  sizeBytes: 56,
  fields: {
    p_type: ["u32", 0],
    p_flags: ["u32", 4],
    p_offset: ["u64", 8],
    p_vaddr: ["u64", 16],
    p_paddr: ["raw64", 24],
    p_filesz: ["u64", 32],
    p_memsz: ["u64", 40],
    p_align: ["u64", 48],
  },
} as const;

export const sectionHeaderTable = {
  name: "Elf64_Shdr",
  sizeBytes: 64,
  fields: {
    sh_name: ["u32", 0],
    sh_type: ["u32", 4],
    sh_flags: ["u64", 8],
    sh_addr: ["u64", 16],
    sh_offset: ["u64", 24],
    sh_size: ["u64", 32],
    sh_link: ["u32", 40],
    sh_info: ["u32", 44],
    sh_addralign: ["u64", 48],
    sh_entsize: ["u64", 56],
  },
} as const;

export const symbolTable = {
  name: "Elf64_Sym",
  sizeBytes: 24,
  fields: {
    st_name: ["u32", 0],
    st_info: ["u8", 4],
    st_other: ["u8", 5],
    st_shndx: ["u16", 6],
    st_value: ["raw64", 8],
    st_size: ["u64", 16],
  },
} as const;

export const relaTable = {
  name: "Elf64_Rela",
  sizeBytes: 24,
  fields: { r_offset: ["u64", 0], r_info: ["raw64", 8], r_addend: ["raw64", 16] },
} as const;

export const dynamicTable = {
  name: "Elf64_Dyn",
  sizeBytes: 16,
  fields: { d_tag: ["raw64", 0], d_val: ["raw64", 8] },
} as const;

export const noteTable = {
  name: "Elf64_Nhdr",
  sizeBytes: 12,
  fields: { n_namesz: ["u32", 0], n_descsz: ["u32", 4], n_type: ["u32", 8] },
} as const;

export const compressionTable = {
  name: "Elf64_Chdr",
  sizeBytes: 24,
  fields: { ch_type: ["u32", 0], ch_size: ["u64", 8], ch_addralign: ["u64", 16] },
} as const;

export const verdefTable = {
  name: "Elf64_Verdef",
  sizeBytes: 20,
  fields: {
    vd_version: ["u16", 0],
    vd_flags: ["u16", 2],
    vd_ndx: ["u16", 4],
    vd_cnt: ["u16", 6],
    vd_hash: ["u32", 8],
    vd_aux: ["u32", 12],
    vd_next: ["u32", 16],
  },
} as const;

export const verdauxTable = {
  name: "Elf64_Verdaux",
  sizeBytes: 8,
  fields: { vda_name: ["u32", 0], vda_next: ["u32", 4] },
} as const;

export const verneedTable = {
  name: "Elf64_Verneed",
  sizeBytes: 16,
  fields: {
    vn_version: ["u16", 0],
    vn_cnt: ["u16", 2],
    vn_file: ["u32", 4],
    vn_aux: ["u32", 8],
    vn_next: ["u32", 12],
  },
} as const;

export const vernauxTable = {
  name: "Elf64_Vernaux",
  sizeBytes: 16,
  fields: {
    vna_hash: ["u32", 0],
    vna_flags: ["u16", 4],
    vna_other: ["u16", 6],
    vna_name: ["u32", 8],
    vna_next: ["u32", 12],
  },
} as const;
