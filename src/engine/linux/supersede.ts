/**
 * Which hotpatches of a process a new one takes the place of, and which stand in its way. Pure.
 *
 * One byte switches from the superseded hotpatches to the new one: every function of either has a gate of the new one,
 * which leads to the older gate while the flag is 2, and to the new function, or back to the original one, when it is 1.
 */
import { refuse } from "../../base/refusal.ts";
import type { Manifest } from "../../hotpatch/manifest.ts";
import { flagValue, isOn, type PatchRecord, type RecordedFunction, supersedes } from "./record.ts";

export interface Neighbours {
  /** It is in place already, from this very file. */
  readonly own: PatchRecord | undefined;
  /** In effect now, and replaced in the same stop. */
  readonly superseded: readonly PatchRecord[];
  /** What interrupted runs left behind, to be taken out first. */
  readonly leftovers: readonly PatchRecord[];
}

export interface Wanted {
  readonly pid: number;
  readonly digest: string;
  /** Addresses of the functions that the new one changes. */
  readonly addresses: ReadonlySet<number>;
}

/** Refuses with `target/conflicting-hotpatch`, naming the other one and the function. */
export function findNeighbours(records: readonly PatchRecord[], manifest: Manifest, wanted: Wanted): Neighbours {
  const { id } = manifest;
  const ended = records.filter((record) => records.some((other) => isOn(other) && supersedes(other, record)));
  const active = records.filter((record) => isOn(record) && !ended.includes(record));
  const leftovers = [
    ...ended,
    ...records.filter((record) => !isOn(record) && !ended.includes(record) && isOurs(record, manifest)),
  ];
  const own = active.find((record) => record.id === id && record.digest === wanted.digest);
  if (own !== undefined) return { own, superseded: [], leftovers };
  const superseded = active.filter((record) => manifest.supersedes.includes(record.id));
  for (const record of records.filter((other) => !superseded.includes(other) && !leftovers.includes(other)))
    checkApart(record, id, wanted, superseded);
  return { own, superseded, leftovers };
}

/** Of this hotpatch, or of one that it contains. */
function isOurs({ id }: PatchRecord, manifest: Manifest): boolean {
  return id === manifest.id || manifest.supersedes.includes(id);
}

function checkApart(
  record: PatchRecord,
  id: string,
  { pid, addresses }: Wanted,
  superseded: readonly PatchRecord[],
): void {
  const shared = record.functions.find(
    ({ address }) => addresses.has(address) || superseded.some((older) => supersedes(record, older)),
  );
  if (record.id !== id && shared === undefined) return;
  const what =
    record.id === id
      ? `another build of ${record.id}`
      : isOn(record)
        ? `${record.id}, which changes ${shared?.name} as well`
        : `the rest of an interrupted ${record.id}, which changes ${shared?.name} as well`;
  refuse(
    "target/conflicting-hotpatch",
    `Process ${pid} carries ${what}, and this hotpatch does not say that it supersedes it. Revert it first.`,
    { hotpatch: record.id, ...(shared === undefined ? {} : { function: shared.name }) },
  );
}

/** Functions that only superseded hotpatches change. */
export function droppedFunctions(
  superseded: readonly PatchRecord[],
  addresses: ReadonlySet<number>,
): readonly RecordedFunction[] {
  return superseded.flatMap(({ functions }) => functions.filter(({ address }) => !addresses.has(address)));
}

/** What the flag of a new record says before the switch. */
export function initialFlag(superseded: readonly PatchRecord[]): number {
  return superseded.length > 0 ? flagValue.chained : flagValue.off;
}
