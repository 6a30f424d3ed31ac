/**
 * Which definition a name means, decided as glibc's dynamic linker does (elf/dl-lookup.c: check_match, do_lookup_x).
 *
 * Given: a scope in search order, a name, and the version that the reference asks for.
 * What the answer's type asks of the caller: an IFUNC's value is a resolver to be called, a TLS symbol's an offset in its module's block.
 */
import { sectionIndex, symbolBinding, symbolType, symbolVisibility } from "./constants.ts";
import { type DynamicObject, dynamicSymbol } from "./dynamic.ts";
import { gnuHash, gnuHashCandidates, sysvHash, sysvHashCandidates } from "./hash-tables.ts";
import type { ElfSymbol } from "./symbols.ts";
import { symbolVersion, versionHidden, versionIndexMask } from "./versions.ts";

export interface SymbolReference {
  readonly name: string;
  /** As .gnu.version_r has it; without one, the base version counts, as for objects linked before there were versions. */
  readonly version?: string;
  /** dlvsym's way: a definition without a version does not do for one that is asked for by version. */
  readonly exactVersion?: boolean;
  /** For a call or TLS: an undefined symbol with a value (the executable's own PLT entry) is no definition then. */
  readonly forCall?: boolean;
  /** dlsym's way where there is no version: the default version counts. */
  readonly newest?: boolean;
}

export interface Definition {
  readonly object: DynamicObject;
  readonly symbol: ElfSymbol;
  /** `plain` and `ifunc` values get the load bias of their object added, `absolute` ones and offsets into TLS do not. */
  readonly kind: "plain" | "absolute" | "ifunc" | "tls";
}

const definingTypes: ReadonlySet<number> = new Set([
  symbolType.noType,
  symbolType.object,
  symbolType.function,
  symbolType.common,
  symbolType.tls,
  symbolType.gnuIfunc,
]);

const visibleBindings: ReadonlySet<number> = new Set([
  symbolBinding.global,
  symbolBinding.weak,
  symbolBinding.gnuUnique,
]);

/** The first object of the scope with a definition that matches; a weak one is as good as another (LD_DYNAMIC_WEAK unset). */
export function resolveSymbol(scope: readonly DynamicObject[], reference: SymbolReference): Definition | undefined {
  for (const object of scope) {
    const symbol = lookUpSymbol(object, reference);
    if (symbol === undefined) continue;
    return { object, symbol, kind: kindOf(symbol) };
  }
  return undefined;
}

function kindOf(symbol: ElfSymbol): Definition["kind"] {
  if (symbol.type === symbolType.gnuIfunc) return "ifunc";
  if (symbol.type === symbolType.tls) return "tls";
  return symbol.section === sectionIndex.absolute ? "absolute" : "plain";
}

/** The definition in one object. Throws `elf/damaged` or `binary/string` if its tables lead nowhere. */
export function lookUpSymbol(object: DynamicObject, reference: SymbolReference): ElfSymbol | undefined {
  let onlyVersioned: ElfSymbol | undefined;
  let versionedCount = 0;
  for (const index of candidates(object, reference.name)) {
    const symbol = dynamicSymbol(object, index);
    if (!defines(symbol, reference)) continue;
    const match = matchVersion(object, index, reference);
    if (match === "yes") return visible(symbol);
    if (match === "versioned" && versionedCount++ === 0) onlyVersioned = symbol;
  }
  return versionedCount === 1 && onlyVersioned !== undefined ? visible(onlyVersioned) : undefined;
}

function candidates(object: DynamicObject, name: string): Iterable<number> {
  if (object.hashes.gnu !== undefined) return gnuHashCandidates(object.hashes.gnu, gnuHash(name));
  if (object.hashes.sysv !== undefined) return sysvHashCandidates(object.hashes.sysv, sysvHash(name));
  return [];
}

function defines(symbol: ElfSymbol, { name, forCall }: SymbolReference): boolean {
  const noValue = symbol.value === 0 && symbol.section !== sectionIndex.absolute && symbol.type !== symbolType.tls;
  if (noValue || (forCall === true && symbol.section === sectionIndex.undefined)) return false;
  return definingTypes.has(symbol.type) && symbol.name === name;
}

/** `versioned`: not asked for by name, and acceptable only if no other version is there. */
function matchVersion(object: DynamicObject, index: number, reference: SymbolReference): "yes" | "no" | "versioned" {
  const raw = symbolVersion(object.versions, index);
  if (raw === undefined) return "yes";
  const versionIndex = raw & versionIndexMask;
  const hidden = (raw & versionHidden) !== 0;
  if (reference.version === undefined) {
    if (versionIndex < (reference.newest === true ? 2 : 3)) return "yes";
    return hidden ? "no" : "versioned";
  }
  const own = object.versions.byIndex.get(versionIndex);
  if (own !== undefined && own.name === reference.version && own.hash === sysvHash(reference.version)) return "yes";
  return own === undefined && !hidden && reference.exactVersion !== true ? "yes" : "no";
}

/** Symbols of hidden or internal visibility and local binding are nobody else's. */
function visible(symbol: ElfSymbol): ElfSymbol | undefined {
  const bindsLocally = symbol.visibility === symbolVisibility.hidden || symbol.visibility === symbolVisibility.internal;
  return !bindsLocally && visibleBindings.has(symbol.binding) ? symbol : undefined;
}
