/** One hotpatch for each case, built once by the command from the registry, whatever number of Node.js versions it is tried on. */
import { join } from "node:path";
import type { CorpusCase } from "./cases.ts";
import { type CommandAnswer, type Desk, reasonOf } from "./command.ts";
import { firstLine } from "./report.ts";

export interface BuiltFile {
  readonly path: string;
  /** Functions that the live edit changes; none where values alone change. */
  readonly functions: readonly string[];
  readonly unreachable: readonly unknown[];
}

export type Built =
  | { readonly kind: "built"; readonly file: string; readonly files: readonly BuiltFile[]; readonly tookMs: number }
  | { readonly kind: "refused" | "failed"; readonly reason: string; readonly tookMs: number };

const buildTimeoutMs = 300_000;
/** Each build starts processes of its own for its rehearsal. */
const atOnce = 2;

export async function buildAll(
  cases: readonly CorpusCase[],
  desk: Desk,
  say: (line: string) => void,
): Promise<ReadonlyMap<string, Built>> {
  const built = new Map<string, Built>();
  const waiting = [...cases];
  const work = async () => {
    for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) {
      const result = await build(one, desk);
      built.set(one.id, result);
      const ending = result.kind === "built" ? "built" : `${result.kind} (${firstLine(result.reason)})`;
      say(`${built.size}/${cases.length} ${one.id}: ${ending}, ${(result.tookMs / 1000).toFixed(1)} s`);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return built;
}

async function build(one: CorpusCase, desk: Desk): Promise<Built> {
  const file = join(desk.folder, `${one.id}.hotpatch`);
  const advisory = one.cve === "" ? [] : ["--advisory", one.cve];
  const fix = ["build", "npm", `${one.package}@${one.vulnerable}`, "--to", one.fixed];
  const answer = await desk.run([...fix, "--output", file, "--key", desk.key, ...advisory], buildTimeoutMs);
  return asBuilt(answer, file);
}

function asBuilt(answer: CommandAnswer, file: string): Built {
  const { tookMs } = answer;
  if (answer.kind !== "done") return { kind: answer.kind, reason: reasonOf(answer), tookMs };
  return { kind: "built", file, files: (answer.data.files ?? []) as BuiltFile[], tookMs };
}
