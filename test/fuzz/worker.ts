/** A process of the fuzzer: tells after each thousand inputs where it is, and of each finding. Its arguments are a JSON object: the stretch, a kind, and a folder with the originals. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Originals } from "./elf-inputs.ts";
import { boundAllocations, type Finding, fuzz, type Stretch } from "./fuzz.ts";
import { kinds } from "./kinds.ts";

export interface WorkerOrder extends Stretch {
  readonly only: string | undefined;
  readonly originals: string;
}

export type WorkerWord =
  | { readonly at: number }
  | { readonly finding: Omit<Finding, "bytes"> & { readonly bytes: string } }
  | { readonly done: number };

const order = JSON.parse(process.argv[2] ?? "{}") as WorkerOrder;
const counts = JSON.parse(readFileSync(join(order.originals, "counts.json"), "utf8")) as {
  linked: number;
  objects: number;
};
const read = (name: string, count: number): Buffer[] =>
  Array.from({ length: count }, (_, index) => readFileSync(join(order.originals, `${name}-${index}`)));
const originals: Originals = { linked: read("linked", counts.linked), objects: read("objects", counts.objects) };
const all = kinds(originals).filter(({ name }) => order.only === undefined || name === order.only);
boundAllocations();

const say = (word: WorkerWord): void => void process.stdout.write(`${JSON.stringify(word)}\n`);
let count = 0;
let told = performance.now();
for (const found of fuzz(all, order)) {
  count++;
  if (typeof found !== "number") say({ finding: { ...found, bytes: found.bytes.toString("base64") } });
  else if (performance.now() - told > 500) {
    say({ at: found });
    told = performance.now();
  }
}
say({ done: count });
