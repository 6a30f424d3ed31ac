/** One stretch of fuzzing: inputs by their numbers, each read with a bound in time and memory; what is wrong with one is a `Finding`. */
import { RebootlessError } from "../../src/base/errors.ts";
import { RefusalError } from "../../src/base/refusal.ts";
import type { Kind } from "./kinds.ts";
import { Random } from "./random.ts";

export interface Finding {
  readonly kind: string;
  readonly seed: number;
  readonly index: number;
  readonly what: string;
  readonly bytes: Buffer;
}

/** A reading of inputs of some ten kilobytes takes a few milliseconds; a machine with other work on it, a few hundred. */
const maxMs = 5_000;
/** The largest patch memory that there may be is 256 MiB an area. */
const maxAllocationBytes = 300 * 1024 * 1024;

/** Whether it is an error that says what is wrong with the input, and not one of ours. */
export function isTyped(error: unknown): boolean {
  return error instanceof RefusalError || (error instanceof RebootlessError && error.kind === "input");
}

/** Undefined when all is well. */
export function readOne(kind: Kind, bytes: Buffer): string | undefined {
  let wrong: string | undefined;
  const told = (error: unknown): void => {
    if (!isTyped(error)) wrong ??= `it threw ${(error as Error)?.stack ?? String(error)}`;
  };
  const started = performance.now();
  try {
    kind.read(bytes, told);
  } catch (error) {
    told(error);
  }
  const tookMs = performance.now() - started;
  return wrong ?? (tookMs > maxMs ? `reading took ${Math.round(tookMs)} ms` : undefined);
}

/** Of a seed and a number: the same kind and bytes in every run. */
export function inputOf(all: readonly Kind[], seed: number, index: number): { kind: Kind; bytes: Buffer } {
  const random = new Random(Math.imul(seed, 0x85ebca6b) ^ Math.imul(index + 1, 0xc2b2ae35));
  const turns = all.flatMap((kind) => new Array<Kind>(kind.share).fill(kind));
  const kind = turns[index % turns.length] as Kind;
  return { kind, bytes: kind.make(random) };
}

export interface Stretch {
  readonly seed: number;
  readonly from: number;
  readonly to: number;
  /** Every n-th number, so that several processes share the work. */
  readonly step: number;
}

export function* fuzz(all: readonly Kind[], { seed, from, to, step }: Stretch): Generator<Finding | number> {
  for (let index = from; index < to; index += step) {
    const { kind, bytes } = inputOf(all, seed, index);
    const what = readOne(kind, bytes);
    yield what === undefined ? index : { kind: kind.name, seed, index, what, bytes };
  }
}

/** From here on an allocation beyond every bound is an error of this process, wherever it is asked for. */
export function boundAllocations(): void {
  const scope = globalThis as unknown as Record<string, new (...words: unknown[]) => object>;
  for (const name of ["ArrayBuffer", "Uint8Array", "Uint32Array", "Int32Array", "Float64Array"]) {
    const original = scope[name] as new (...words: unknown[]) => object;
    const bytesEach = (original as unknown as { BYTES_PER_ELEMENT?: number }).BYTES_PER_ELEMENT ?? 1;
    scope[name] = new Proxy(original, {
      construct(target, words: unknown[], newTarget) {
        checkSize(words[0], bytesEach);
        return Reflect.construct(target, words, newTarget) as object;
      },
    });
  }
  for (const name of ["alloc", "allocUnsafe", "allocUnsafeSlow"] as const) {
    const original = Buffer[name].bind(Buffer) as (size: number, ...rest: never[]) => Buffer;
    (Buffer as unknown as Record<string, unknown>)[name] = (size: number, ...rest: never[]) => {
      checkSize(size, 1);
      return original(size, ...rest);
    };
  }
}

function checkSize(size: unknown, bytesEach: number): void {
  if (typeof size === "number" && size * bytesEach > maxAllocationBytes)
    throw new Error(`${size * bytesEach} bytes were asked for`);
}
