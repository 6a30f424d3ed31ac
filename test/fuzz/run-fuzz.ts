/** The fuzzer as a whole: originals compiled once, the work shared by processes, a hung one found and ended. */
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { compileOriginals } from "./elf-inputs.ts";
import type { Finding } from "./fuzz.ts";
import type { WorkerOrder, WorkerWord } from "./worker.ts";

export interface FuzzOptions {
  readonly seed: number;
  readonly count: number;
  readonly processes: number;
  readonly only?: string | undefined;
  /** Where inputs that were found are written. */
  readonly keepIn: string;
  progress(text: string): void;
}

export interface FuzzResult {
  readonly inputs: number;
  readonly findings: readonly Finding[];
  readonly tookMs: number;
}

const worker = join(import.meta.dirname, "worker.ts");
/** No word for so long, and the input that it is at hangs. */
const silenceMs = 60_000;
/** After so many something is wrong on the whole, and the rest says no more. */
const maxFindings = 50;

export async function runFuzz(options: FuzzOptions): Promise<FuzzResult> {
  const started = performance.now();
  const folder = mkdtempSync(join(tmpdir(), "rebootless-fuzz-"));
  const findings: Finding[] = [];
  const places = new Array<number>(options.processes).fill(0);
  let told = performance.now();
  try {
    writeOriginals(folder);
    const counts = await Promise.all(
      Array.from({ length: options.processes }, (_, index) => {
        const order: WorkerOrder = {
          seed: options.seed,
          from: index,
          to: options.count,
          step: options.processes,
          only: options.only,
          originals: folder,
        };
        return runWorker(order, {
          at(place) {
            places[index] = place;
            if (performance.now() - told < 5000) return;
            told = performance.now();
            options.progress(`input ${Math.min(...places)} of ${options.count}`);
          },
          found(finding) {
            if (findings.length >= maxFindings) return;
            findings.push(finding);
            options.progress(describeFinding(finding, keep(finding, options.keepIn)));
          },
        });
      }),
    );
    return { inputs: counts.reduce((sum, count) => sum + count, 0), findings, tookMs: performance.now() - started };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function writeOriginals(folder: string): void {
  const { linked, objects } = compileOriginals();
  for (const [index, bytes] of linked.entries()) writeFileSync(join(folder, `linked-${index}`), bytes);
  for (const [index, bytes] of objects.entries()) writeFileSync(join(folder, `objects-${index}`), bytes);
  writeFileSync(join(folder, "counts.json"), JSON.stringify({ linked: linked.length, objects: objects.length }));
}

interface Listener {
  at(place: number): void;
  found(finding: Finding): void;
}

/** Answers how many inputs it read; a process that dies or hangs is a finding of the input that it was at. */
async function runWorker(order: WorkerOrder, { at, found }: Listener): Promise<number> {
  const child = spawn(process.execPath, ["--max-old-space-size=768", worker, JSON.stringify(order)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let place = order.from;
  let done: number | undefined;
  let silence: NodeJS.Timeout | undefined;
  const listen = (): void => {
    clearTimeout(silence);
    silence = setTimeout(() => child.kill("SIGKILL"), silenceMs);
  };
  listen();
  createInterface({ input: child.stdout }).on("line", (line) => {
    listen();
    const word = JSON.parse(line) as WorkerWord;
    if ("done" in word) done = word.done;
    else if ("finding" in word) found({ ...word.finding, bytes: Buffer.from(word.finding.bytes, "base64") });
    else {
      place = word.at;
      at(place);
    }
  });
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve) =>
    child.once("close", (...ending) => resolve(ending)),
  );
  clearTimeout(silence);
  if (done === undefined)
    found({
      kind: "?",
      seed: order.seed,
      index: place,
      what: `the process ended with ${signal ?? code} behind this input`,
      bytes: Buffer.alloc(0),
    });
  return done ?? 0;
}

function keep({ kind, seed, index, bytes }: Finding, folder: string): string {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${kind === "?" ? "unknown" : kind}-${seed}-${index}.bin`);
  writeFileSync(file, bytes);
  return file;
}

export function describeFinding({ kind, seed, index, what }: Finding, file = ""): string {
  return `${kind}, seed ${seed}, input ${index}${file === "" ? "" : `, kept in ${file}`}: ${what}`;
}
