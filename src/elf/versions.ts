/** Symbol versions (LSB 5.0 core §10.7): what an object defines, what it needs, and which version each dynamic symbol has. */
import { readStruct } from "../binary/struct.ts";
import { damaged } from "./damaged.ts";
import type { StringTable } from "./string-table.ts";
import { verdauxTable, verdefTable, vernauxTable, verneedTable } from "./structs.ts";

/** Version indices have 15 bits; so many entries, names of parents included, are all that an object can mean. */
const maxEntries = 0x10000;

/** `vd_flags` of the version that names the object itself. */
const versionBase = 1;

export interface VersionDefinition {
  readonly index: number;
  readonly name: string;
  readonly hash: number;
  /** Whether it is the object's own name rather than a version. */
  readonly base: boolean;
  readonly parents: readonly string[];
}

export interface VersionNeed {
  readonly index: number;
  readonly name: string;
  readonly hash: number;
  /** The object that has to define it, as DT_NEEDED calls it. */
  readonly file: string;
  /** Whether a missing version is tolerated. */
  readonly weak: boolean;
}

export interface Versions {
  readonly definitions: readonly VersionDefinition[];
  readonly needs: readonly VersionNeed[];
  /** By index of a version: definitions other than the base, and needs. */
  readonly byIndex: ReadonlyMap<number, { readonly name: string; readonly hash: number }>;
  /** One Elf64_Half a dynamic symbol, and what follows; undefined for an object without versions. */
  readonly symbolVersions: Uint8Array | undefined;
}

/** The high bit of an entry of .gnu.version. */
export const versionHidden = 0x8000;
export const versionIndexMask = 0x7fff;

/** `version` is what .gnu.version says of a symbol: undefined without one, or beyond its end. */
export function symbolVersion(versions: Versions, symbolIndex: number): number | undefined {
  const bytes = versions.symbolVersions;
  if (bytes === undefined || (symbolIndex + 1) * 2 > bytes.length) return undefined;
  return (bytes[symbolIndex * 2] ?? 0) | ((bytes[symbolIndex * 2 + 1] ?? 0) << 8);
}

/** `bytes` begin at the first entry; `count` is DT_VERDEFNUM or `sh_info`. */
export function readVersionDefinitions(bytes: Uint8Array, count: number, strings: StringTable): VersionDefinition[] {
  const budget = { left: maxEntries };
  return chain(bytes, count, budget, (at) => {
    const raw = readStruct(bytes, at, verdefTable);
    const names = chain(
      bytes.subarray(at),
      raw.vd_cnt,
      budget,
      (offset) => {
        const aux = readStruct(bytes, at + offset, verdauxTable);
        return { value: strings.at(aux.vda_name), next: aux.vda_next };
      },
      raw.vd_aux,
    );
    const [name = damaged(`version ${raw.vd_ndx} has no name`), ...parents] = names;
    const value = { index: raw.vd_ndx, name, hash: raw.vd_hash, base: (raw.vd_flags & versionBase) !== 0, parents };
    return { value, next: raw.vd_next };
  });
}

/** `bytes` begin at the first entry; `count` is DT_VERNEEDNUM or `sh_info`. */
export function readVersionNeeds(bytes: Uint8Array, count: number, strings: StringTable): VersionNeed[] {
  const budget = { left: maxEntries };
  return chain(bytes, count, budget, (at) => {
    const raw = readStruct(bytes, at, verneedTable);
    const file = strings.at(raw.vn_file);
    const value = chain(
      bytes.subarray(at),
      raw.vn_cnt,
      budget,
      (offset) => {
        const aux = readStruct(bytes, at + offset, vernauxTable);
        const name = strings.at(aux.vna_name);
        const index = aux.vna_other & versionIndexMask;
        return {
          value: { index, name, hash: aux.vna_hash, file, weak: (aux.vna_flags & 2) !== 0 },
          next: aux.vna_next,
        };
      },
      raw.vn_aux,
    );
    return { value, next: raw.vn_next };
  }).flat();
}

/** A list linked by distances from entry to entry; a distance is at least 1, so that a list of `count` entries cannot go round. */
function chain<T>(
  bytes: Uint8Array,
  count: number,
  budget: { left: number },
  read: (offset: number) => { readonly value: T; readonly next: number },
  start = 0,
): T[] {
  const values: T[] = [];
  let at = start;
  while (values.length < count) {
    if (at >= bytes.length || budget.left-- <= 0) damaged("a list of symbol versions leaves its section");
    const { value, next } = read(at);
    values.push(value);
    if (next === 0) break;
    at += next;
  }
  return values;
}

export function versionsOf(
  definitions: readonly VersionDefinition[],
  needs: readonly VersionNeed[],
  symbolVersions: Uint8Array | undefined,
): Versions {
  const named = [...definitions.filter(({ base }) => !base), ...needs];
  return {
    definitions,
    needs,
    byIndex: new Map(named.map(({ index, name, hash }) => [index & versionIndexMask, { name, hash }])),
    symbolVersions,
  };
}
