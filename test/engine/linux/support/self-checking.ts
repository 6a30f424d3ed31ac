/** The self-checking program, its hotpatch, and what it says of itself. */
import { readFileSync } from "node:fs";
import type { TestContext } from "node:test";
import type { Hotpatch } from "../../../../src/hotpatch/hotpatch.ts";
import { buildNativeHotpatch } from "./native-hotpatch.ts";
import { compile, Target, temporaryFolder } from "./target.ts";

export const oldPair = 2002;
export const newPair = 3003;

export interface SelfReport {
  readonly pair: number;
  readonly rounds: number;
  readonly faults: number;
  readonly mixtures: number;
  readonly ticks: number;
  readonly first: string;
}

const fixed = `
static int added = 2;
int first_half(int x) { return x + added; }
int second_half(int x) { return x + added; }
int both(int x) { int a = first_half(x), b = second_half(x); return a * 1000 + b; }
`;

export interface SelfChecking {
  readonly program: string;
  readonly hotpatch: Hotpatch;
  readonly folder: string;
}

export function buildSelfChecking(context: TestContext): SelfChecking {
  const folder = temporaryFolder(context);
  const source = readFileSync(new URL("./self-checking.c", import.meta.url), "utf8");
  const program = compile(folder, "self-checking", source);
  const functions = ["first_half", "second_half", "both"];
  return { folder, program, hotpatch: buildNativeHotpatch({ folder, binary: program, source: fixed, functions }) };
}

export async function startSelfChecking(
  context: TestContext,
  { program }: SelfChecking,
  words: readonly string[] = [],
) {
  return await Target.start(context, program, words);
}

export async function reportOf(target: Target): Promise<SelfReport> {
  return JSON.parse(await target.ask("report")) as SelfReport;
}
