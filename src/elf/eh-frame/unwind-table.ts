/**
 * Unwind information made for speed: functions' ranges sorted once, rows worked out when they are first asked for.
 *
 * `UnwindTable` is one object at link-time addresses; `UnwindSpace` is all objects of a process at the addresses they are loaded at.
 */
import { RebootlessError } from "../../base/errors.ts";
import { type Fde, FrameReader, type FrameSection } from "./frame-entries.ts";
import { type FrameRow, frameRows } from "./frame-rows.ts";
import { lastNotAfter, type SearchTable } from "./search-table.ts";
import { badUnwindInformation } from "./unwind-error.ts";

interface Known {
  readonly fde: Fde;
  readonly rows: readonly FrameRow[];
}

export class UnwindTable {
  readonly #reader: FrameReader;
  readonly #starts: Float64Array;
  /** Offsets of FDEs in the section. */
  readonly #offsets: Float64Array;
  readonly #known: (Known | undefined)[] = [];

  private constructor(reader: FrameReader, starts: Float64Array, offsets: Float64Array) {
    this.#reader = reader;
    this.#starts = starts;
    this.#offsets = offsets;
  }

  /** Scans the whole section. Throws `elf/unwind-information` or `binary/…` if an entry is damaged. */
  static scan(section: FrameSection): UnwindTable {
    const reader = new FrameReader(section);
    const found: { start: number; end: number; offset: number }[] = [];
    for (const { start, end, offset } of reader.fdes()) found.push({ start, end, offset });
    found.sort((one, other) => one.start - other.start || one.end - other.end);
    const starts = Float64Array.from(found, ({ start }) => start);
    return new UnwindTable(
      reader,
      starts,
      Float64Array.from(found, ({ offset }) => offset),
    );
  }

  /** Takes the linker's sorted table and reads no entry before it is needed; `section` may end early or late. */
  static fromSearchTable(section: FrameSection, table: SearchTable): UnwindTable {
    const offsets = table.fdes.map((address) => address - section.address);
    return new UnwindTable(new FrameReader(section), table.starts, offsets);
  }

  get size(): number {
    return this.#starts.length;
  }

  /** The entry of the function, or part of one, that an address is in. */
  fde(address: number): Fde | undefined {
    return this.#find(address)?.fde;
  }

  /** The row that holds at an address; undefined without unwind information. Throws as `frameRows` does. */
  row(address: number): FrameRow | undefined {
    const rows = this.#find(address)?.rows;
    if (rows === undefined) return undefined;
    let low = 0;
    let high = rows.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (rows[middle]!.start <= address) low = middle + 1;
      else high = middle;
    }
    return rows[low - 1];
  }

  #find(address: number): Known | undefined {
    const index = lastNotAfter(this.#starts, address);
    if (index < 0) return undefined;
    const known = this.#known[index] ?? this.#read(index);
    return address >= known.fde.start && address < known.fde.end ? known : undefined;
  }

  #read(index: number): Known {
    const offset = this.#offsets[index]!;
    if (!(offset >= 0)) badUnwindInformation("the search table points outside .eh_frame");
    const fde = this.#reader.fde(offset);
    const known = { fde, rows: frameRows(fde) };
    this.#known[index] = known;
    return known;
  }
}

/** A loaded object: `table` is at link-time addresses, `bias` is what is added to them in the process. */
export interface UnwindModule {
  /** First address of its code, and first address behind. */
  readonly start: number;
  readonly end: number;
  readonly bias: number;
  readonly table: UnwindTable;
}

/** So many code addresses keep their row at hand: more than a process has different return addresses on its stacks at one time. */
const maxRemembered = 1 << 16;

export class UnwindSpace {
  readonly #modules: readonly UnwindModule[];
  readonly #starts: Float64Array;
  readonly #rows = new Map<number, FrameRow | undefined>();

  constructor(modules: readonly UnwindModule[]) {
    this.#modules = modules.toSorted((one, other) => one.start - other.start);
    this.#starts = Float64Array.from(this.#modules, ({ start }) => start);
  }

  /** The object whose code an address is in. */
  module(address: number): UnwindModule | undefined {
    const found = this.#modules[lastNotAfter(this.#starts, address)];
    return found !== undefined && address < found.end ? found : undefined;
  }

  /** The row that holds at an address of the process; undefined without unwind information, damaged information included. */
  row(address: number): FrameRow | undefined {
    const known = this.#rows.get(address);
    if (known !== undefined || this.#rows.has(address)) return known;
    const found = this.module(address);
    const row = found && soundRow(found.table, address - found.bias);
    if (this.#rows.size >= maxRemembered) this.#rows.clear();
    this.#rows.set(address, row);
    return row;
  }
}

/** Damage in one function is for the unwinder the same as no information: the caller has to do without it. */
function soundRow(table: UnwindTable, address: number): FrameRow | undefined {
  try {
    return table.row(address);
  } catch (error) {
    if (error instanceof RebootlessError && error.kind === "input") return undefined;
    throw error;
  }
}
