/** What `readelf -W` prints, as values: the yardstick of the readers. */
import { spawnSync } from "node:child_process";

/** Lines of its output, bytes as UTF-16 units. */
export function readelf(path: string, ...options: readonly string[]): string[] {
  const answer = spawnSync("readelf", ["-W", ...options, path], {
    encoding: "latin1",
    maxBuffer: 1 << 30,
    timeout: 120_000,
    env: { ...process.env, LC_ALL: "C" },
  });
  if (answer.error !== undefined) throw answer.error;
  return answer.stdout.split("\n");
}

const hex = (digits: string) => Number.parseInt(digits, 16);

/** `[name, type, address, offset, size, entry size, link, info, align]` of each section. */
export function sectionRows(path: string): (string | number)[][] {
  const pattern =
    /^ {2}\[ *(\d+)\] (.*?) +([A-Z0-9_:+]\S*) +([0-9a-f]{16}) ([0-9a-f]{6,}) ([0-9a-f]{6,}) ([0-9a-f]{2,}) +([A-Za-z]*) +(\d+) +(\d+) +(\d+)$/;
  return readelf(path, "-S").flatMap((line) => {
    const found = pattern.exec(line);
    if (found === null) return [];
    const [, index = "", name = "", , address = "", offset = "", size = "", entry = "", , link, info, align] = found;
    return [
      [
        Number(index),
        name.trim(),
        hex(address),
        hex(offset),
        hex(size),
        hex(entry),
        Number(link),
        Number(info),
        Number(align),
      ],
    ];
  });
}

/** `[offset, address, file size, memory size, flags, align]` of each segment. */
export function segmentRows(path: string): (string | number)[][] {
  const pattern =
    /^ {2}\S+ +0x([0-9a-f]+) 0x([0-9a-f]{16}) 0x[0-9a-f]{16} 0x([0-9a-f]+) 0x([0-9a-f]+) (R| )(W| )(E| ) (?:0x)?([0-9a-f]+)$/;
  return readelf(path, "-l").flatMap((line) => {
    const found = pattern.exec(line);
    if (found === null) return [];
    const [, offset = "", address = "", fileSize = "", memorySize = "", r, w, x, align = ""] = found;
    return [[hex(offset), hex(address), hex(fileSize), hex(memorySize), `${r}${w}${x}`, hex(align)]];
  });
}

/** By the name of the table: `[index, value, size, type, binding, visibility, section, name with version]`. */
export function symbolRows(path: string): Map<string, (string | number)[][]> {
  const tables = new Map<string, (string | number)[][]>();
  let rows: (string | number)[][] = [];
  for (const printed of readelf(path, "-s")) {
    // Without GNU's mark in the ELF header, as in clang's objects, readelf does not name GNU's type.
    const line = printed.replace("<OS specific>: 10", "IFUNC");
    const table = /^Symbol table '(.*)' contains/.exec(line)?.[1];
    if (table !== undefined) {
      rows = [];
      tables.set(table, rows);
    }
    const found = /^ *(\d+): ([0-9a-f]{16}) +(\S+) (\S+) +(\S+) +(\S+) +(?:\[.*\] )? *(\S+) ?(.*)$/.exec(line);
    if (found === null) continue;
    const [, index, value = "", size, type = "", binding = "", visibility = "", section = "", name = ""] = found;
    rows.push([
      Number(index),
      hex(value),
      Number(size),
      type,
      binding,
      visibility,
      section,
      name.replace(/ \(\d+\)$/, ""),
    ]);
  }
  return tables;
}

/** `[offset, type, symbol index, addend or undefined]` in the order of the file's sections. */
export function relocationRows(path: string): { rela: (string | number)[][]; relative: number[] } {
  const rela: (string | number)[][] = [];
  const relative: number[] = [];
  for (const line of readelf(path, "-r")) {
    const found = /^([0-9a-f]{16}) {2}([0-9a-f]{8})([0-9a-f]{8}) (R_X86_64_\S+)(.*)$/.exec(line);
    if (found !== null) {
      const [, offset = "", symbol = "", , type = "", rest = ""] = found;
      const addend = /([+-]) ([0-9a-f]+)$/.exec(rest) ?? /()\b(-?[0-9a-f]+)$/.exec(rest);
      const value = addend === null ? 0 : hex(addend[2] ?? "") * (addend[1] === "-" ? -1 : 1);
      rela.push([hex(offset), type, hex(symbol), value]);
      continue;
    }
    if (/^[0-9a-f]{16}$/.test(line.trim())) relative.push(hex(line.trim()));
  }
  return { rela, relative };
}

/** Tags and values of the dynamic section, as numbers or as the strings that they point to. */
export function dynamicRows(path: string): { tag: number; text: string }[] {
  return readelf(path, "-d").flatMap((line) => {
    const found = /^ 0x([0-9a-f]{16}) \(\S+\) +(.*)$/.exec(line);
    return found === null ? [] : [{ tag: hex(found[1] ?? ""), text: (found[2] ?? "").trim() }];
  });
}

export interface FrameTable {
  readonly start: number;
  readonly end: number;
  readonly columns: readonly string[];
  /** The last row that readelf prints for each address, the columns side by side. */
  readonly rows: Map<number, readonly string[]>;
}

/** Every FDE as `--debug-dump=frames-interp` shows it; those without operations of their own have no rows. */
export function frameTables(path: string): FrameTable[] {
  const tables: FrameTable[] = [];
  let current: { start: number; end: number; columns: string[]; rows: Map<number, readonly string[]> } | undefined;
  for (const line of readelf(path, "--debug-dump=frames-interp")) {
    const range = / FDE cie=\S+ pc=([0-9a-f]+)\.\.([0-9a-f]+)/.exec(line);
    if (range !== null) {
      current = { start: hex(range[1] ?? ""), end: hex(range[2] ?? ""), columns: [], rows: new Map() };
      tables.push(current);
    } else if (/ CIE | ZERO terminator/.test(line)) current = undefined;
    else if (/^ +LOC +CFA/.test(line)) current?.columns.push(...line.trim().split(/ +/).slice(2));
    else if (/^[0-9a-f]{16} /.test(line)) {
      const [at = "", ...cells] = line
        .trim()
        .replaceAll(/r\d+ \((\w+)\)/g, "$1")
        .split(/ +/);
      current?.rows.set(hex(at), cells);
    }
  }
  return tables;
}
