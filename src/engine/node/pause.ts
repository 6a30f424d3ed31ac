/**
 * Predicting for how long the event loop will stand still.
 *
 * A live edit walks the heap, and so does turning the debugger on, so both grow with the heap: about linearly, with a slope that depends on machine, Node.js version and the shape of the heap.
 * Two samples from a rehearsal on this machine give the line; without samples, cautious figures stand in.
 */
import type { PauseSample } from "./rehearsal.ts";

export interface PauseModel {
  /** In milliseconds, for a heap of so many bytes. */
  predict(heapUsedBytes: number): { readonly enableMs: number; readonly editMs: number };
}

/** Measured on a two-core machine with Node 20 to 26; a fresh process has about 5 MB. */
const cautious = { enableMs: 40, enableMsPerMb: 1.5, editMsPerCall: 45, editMsPerMbAndCall: 9 };
const freshHeapBytes = 6 * 1024 * 1024;
/** The heap of an application is knottier than the ballast of a rehearsal, and the machine may be busier later. */
const margin = 1.25;

export function modelFromRehearsal(light: PauseSample, heavy: PauseSample): PauseModel {
  const spanBytes = Math.max(1, heavy.heapUsedBytes - light.heapUsedBytes);
  const line = (one: number, other: number) => {
    const slope = Math.max(0, (other - one) / spanBytes);
    return (heapUsedBytes: number): number =>
      margin * Math.max(one * 0.5, one + slope * (heapUsedBytes - light.heapUsedBytes));
  };
  const enable = line(light.enableMs, heavy.enableMs);
  const edit = line(light.pauseMs, heavy.pauseMs);
  return { predict: (heapUsedBytes) => ({ enableMs: enable(heapUsedBytes), editMs: edit(heapUsedBytes) }) };
}

/** For so many calls of live edit; used where nothing could be rehearsed. */
export function cautiousModel(calls: number): PauseModel {
  return {
    predict(heapUsedBytes) {
      const extraMb = Math.max(0, heapUsedBytes - freshHeapBytes) / (1024 * 1024);
      return {
        enableMs: cautious.enableMs + cautious.enableMsPerMb * extraMb,
        editMs: calls * (cautious.editMsPerCall + cautious.editMsPerMbAndCall * extraMb),
      };
    },
  };
}
