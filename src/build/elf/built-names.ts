/** What the build's own objects define and refer to: it tells which source is worth compiling again. */
import { existsSync, readFileSync } from "node:fs";
import { RebootlessError } from "../../base/errors.ts";
import { sectionIndex } from "../../elf/constants.ts";
import type { CompileUnit } from "./compile-command.ts";
import { isGlobal, type ObjectFile, readObjectFile } from "./object-file.ts";

export interface GlobalNames {
  readonly defined: ReadonlySet<string>;
  readonly wanted: ReadonlySet<string>;
}

export function namesOf({ symbols }: Pick<ObjectFile, "symbols">): GlobalNames {
  const globals = symbols.filter((symbol) => symbol.name !== "" && isGlobal(symbol));
  const [wanted = [], defined = []] = [true, false].map((isUndefined) =>
    globals.filter(({ section }) => (section === sectionIndex.undefined) === isUndefined),
  );
  return {
    defined: new Set(defined.map(({ name }) => name)),
    wanted: new Set(wanted.map(({ name }) => name)),
  };
}

/** Of a tree that holds what its build made. */
export class BuiltNames {
  readonly #known = new Map<string, GlobalNames | undefined>();
  readonly #places = new Map<string, number>();

  constructor(units: readonly CompileUnit[]) {
    for (const { object } of units)
      if (object !== undefined) this.#places.set(object, (this.#places.get(object) ?? 0) + 1);
  }

  /** Undefined where the object does not tell: it has gone, another one took its place, or it holds what a linker is to compile. */
  of({ object }: CompileUnit): GlobalNames | undefined {
    if (object === undefined || this.#places.get(object) !== 1) return undefined;
    if (!this.#known.has(object)) this.#known.set(object, readNames(object));
    return this.#known.get(object);
  }
}

function readNames(path: string): GlobalNames | undefined {
  if (!existsSync(path)) return undefined;
  try {
    const object = readObjectFile(readFileSync(path), path);
    // Sections of GCC's link-time optimisation: the names are in its own tables.
    return object.elf.sections.some(({ name }) => name.startsWith(".gnu.lto_")) ? undefined : namesOf(object);
  } catch (error) {
    // Other compilers put their intermediate language there, which is no ELF file.
    if (error instanceof RebootlessError) return undefined;
    throw error;
  }
}
