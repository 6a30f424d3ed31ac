/**
 * The unwinders of a process, and how each is told of new code: what throws, and what walks the stack, finds its way by them.
 *
 * libgcc takes a whole .eh_frame (`__register_frame_info` of unwind-dw2-fde.c, with a `struct object` that the caller provides), LLVM's libunwind as well (`__unw_add_dynamic_eh_frame_section` of libunwind_ext.h).
 * Both may allocate and take locks, so that they are called by a thread that holds none.
 */
import { readFileSync } from "node:fs";
import { RebootlessError } from "../../base/errors.ts";
import { refuse } from "../../base/refusal.ts";
import { sectionIndex, symbolType } from "../../elf/constants.ts";
import { dynamicRelocations, dynamicSymbol } from "../../elf/dynamic.ts";
import { parseElf } from "../../elf/elf-file.ts";
import { buildId, elfNotes } from "../../elf/notes.ts";
import { relocationSections } from "../../elf/section-contents.ts";
import { staticSymbols } from "../../elf/symbols.ts";
import type { MeasuredObject } from "./link-object.ts";
import type { LoadedImage } from "./loaded-image.ts";
import type { SymbolResolver } from "./resolve-symbols.ts";

export interface Unwinder {
  readonly kind: "libgcc" | "llvm";
  /** The object that has it. */
  readonly path: string;
  readonly register: number;
  readonly deregister: number;
}

const entryPoints = {
  libgcc: { register: "__register_frame_info", deregister: "__deregister_frame_info" },
  llvm: { register: "__unw_add_dynamic_eh_frame_section", deregister: "__unw_remove_dynamic_eh_frame_section" },
} as const;
const kinds = ["libgcc", "llvm"] as const;

/** Those that can be told; one that is linked into the executable is found by the symbol table of its file, if it has one. */
export function findUnwinders(pid: number, resolver: SymbolResolver, executable: LoadedImage): Unwinder[] {
  const exported = kinds.flatMap((kind): Unwinder[] => {
    const register = resolver.exported(entryPoints[kind].register);
    const deregister = resolver.exported(entryPoints[kind].deregister);
    if (register === undefined || deregister?.image !== register.image) return [];
    return [{ kind, path: register.image.path, register: register.address, deregister: deregister.address }];
  });
  return exported.some(({ path }) => path === executable.path) ? exported : [...exported, ...linkedIn(pid, executable)];
}

/** What every unwinder that finds its tables by itself asks the C library. */
const tableFinders: ReadonlySet<string> = new Set(["dl_iterate_phdr", "_dl_find_object"]);

/**
 * Whether an unwinder may be linked into something of the process without being seen.
 *
 * A static program may have one; of objects that have libraries, only those that ask for the others' tables, but for the C library, which defines what is asked.
 */
export function mayHideUnwinder(images: readonly LoadedImage[], executable: LoadedImage): boolean {
  if ((executable.dynamic?.needed.length ?? 0) === 0) return true;
  return images.some(({ dynamic }) => {
    if (dynamic === undefined) return false;
    const { rela, plt } = dynamicRelocations(dynamic);
    return [...rela, ...plt].some(({ symbol }) => {
      const { name, section } = symbol === 0 ? noSymbol : dynamicSymbol(dynamic, symbol);
      return tableFinders.has(name) && section === sectionIndex.undefined;
    });
  });
}

const noSymbol = { name: "", section: 0 };

function linkedIn(pid: number, { path, bias, buildId: wanted }: LoadedImage): Unwinder[] {
  const names = new Map<string, number>();
  try {
    const elf = parseElf(readFileSync(`/proc/${pid}/exe`));
    if (wanted === undefined || buildId(elfNotes(elf)) !== wanted) return [];
    for (const { name, type, section, value } of staticSymbols(elf))
      if (type === symbolType.function && section !== 0) names.set(name, bias + value);
  } catch (error) {
    // A file that is gone, not ours to read or not whole has no table to offer; the plan says that no unwinder was found.
    if (!(error instanceof RebootlessError) && (error as NodeJS.ErrnoException).code === undefined) throw error;
    return [];
  }
  return kinds.flatMap((kind): Unwinder[] => {
    const register = names.get(entryPoints[kind].register);
    const deregister = names.get(entryPoints[kind].deregister);
    return register === undefined || deregister === undefined ? [] : [{ kind, path, register, deregister }];
  });
}

/** Functions of the object that handle exceptions: their unwind entry leads to a table of handlers. */
export function functionsWithHandlers({ elf, symbols }: MeasuredObject): string[] {
  const names: string[] = [];
  for (const { target, relocations } of relocationSections(elf)) {
    if (elf.sections[target]?.name !== ".eh_frame") continue;
    // The pointer to the code stands before the one to the table in every entry (LSB 5.0 core §10.6.1.2).
    let last = "";
    for (const { symbol: index, addend } of relocations.toSorted((one, other) => one.offset - other.offset)) {
      const symbol = symbols[index];
      const section = symbol && elf.sections[symbol.section];
      if (symbol === undefined || section === undefined) continue;
      if (!section.name.startsWith(".gcc_except_table")) {
        last = nameAt(symbols, symbol.section, symbol.value + addend) ?? last;
      } else if (last !== "" && !names.includes(last)) names.push(last);
    }
  }
  return names;
}

function nameAt(symbols: MeasuredObject["symbols"], section: number, value: number): string | undefined {
  return symbols.find(
    (symbol) => symbol.type === symbolType.function && symbol.section === section && symbol.value === value,
  )?.name;
}

/**
 * Whether exceptions can pass where no unwinder can be told: refuses with `target/unwinder`, by name, where they would have to.
 *
 * `names`: of the functions that change.
 */
export function checkWithoutUnwinder(object: MeasuredObject, names: readonly string[], path: string): void {
  const handlers = functionsWithHandlers(object);
  const thrown = object.symbols.some(({ name }) =>
    /^(_Unwind_|__cxa_throw|__cxa_rethrow|__gxx_personality)/.test(name),
  );
  const concerned = thrown ? [...new Set([...handlers, ...names])] : names.filter((name) => name.startsWith("_Z"));
  if (concerned.length === 0) return;
  refuse(
    "target/unwinder",
    `Exceptions may pass through ${concerned.join(", ")}, and the unwinder of ${path} cannot be told of new code: it is linked into the program, and no symbol says where.`,
    { functions: concerned },
  );
}
