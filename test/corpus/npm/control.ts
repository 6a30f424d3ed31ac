/**
 * The control of a case: what its probes say about the vulnerable and the fixed version when nothing is patched.
 *
 * A probe that cannot tell the two apart says nothing about a hotpatch either; such a case counts neither for nor against.
 */
import type { CorpusCase } from "./cases.ts";
import type { Installation, Side } from "./installation.ts";
import { type ProbeAnswer, type ProbeName, startTarget, type Target } from "./target.ts";

export interface Bench {
  readonly node: string;
  readonly installation: Installation;
  readonly heapMegabytes: number;
}

export interface UsableProbes {
  /** The probe that decides whether the hole is open. */
  readonly deciding: ProbeName;
  /** Every probe that must say that the hole is closed. */
  readonly closing: readonly ProbeName[];
  /** The deciding probe answers truly once in a process only, such as where the package caches what it answered. */
  readonly once: boolean;
  /** Closing probes of which the same holds. */
  readonly onceOnly: readonly ProbeName[];
  readonly nodeVersion: string;
  readonly notes: readonly string[];
}

export type Control =
  | { readonly usable: true; readonly probes: UsableProbes }
  | { readonly usable: false; readonly reason: string; readonly nodeVersion: string };

/** One more call than tells whether an answer can be had again. */
const calls = 2;

/** What one probe said, call by call; `undefined` where the case has no such probe. */
type Answers = readonly ProbeAnswer[] | undefined;

export async function control(one: CorpusCase, bench: Bench): Promise<Control> {
  const quick = { ...bench, heapMegabytes: 0 };
  let nodeVersion = "";
  try {
    const target = await startOn("vulnerable", one, quick);
    nodeVersion = target.nodeVersion;
    const open = await askEach(target, calls);
    const closed = await askEach(await startOn("fixed", one, quick), 1);
    const companion = judge(open.companion, closed.companion);
    const given = judge(open.given, await againIfSlow(closed.given, one, quick));
    return weigh({ given, companion, nodeVersion });
  } catch (error) {
    return { usable: false, reason: (error as Error).message, nodeVersion };
  }
}

export function startOn(side: Side, one: CorpusCase, bench: Bench): Promise<Target> {
  const { node, heapMegabytes } = bench;
  return startTarget({ node, heapMegabytes, folder: bench.installation.folders[side], case: one });
}

/** Asks both probes so many times, and ends the target. */
async function askEach(target: Target, times: number): Promise<Record<ProbeName, Answers>> {
  const ask = async (probe: ProbeName): Promise<Answers> => {
    if (!target.probes[probe]) return undefined;
    const answers: ProbeAnswer[] = [];
    while (answers.length < times) answers.push(await target.ask(probe));
    return answers;
  };
  try {
    return { companion: await ask("companion"), given: await ask("given") };
  } finally {
    await target.end();
  }
}

/** How long a probe of a slow regular expression took, in milliseconds; undefined for other probes. */
export function slowness(answer: ProbeAnswer): number | undefined {
  const [, digits] = /^([0-9.]+) ?ms$/.exec(answer.info ?? "") ?? [];
  return digits === undefined ? undefined : Number(digits);
}

/** A machine that was busy for a moment makes the fixed version look slow; a second process tells. */
async function againIfSlow(answers: Answers, one: CorpusCase, bench: Bench): Promise<Answers> {
  const [answer] = answers ?? [];
  if (answer?.vuln !== true || slowness(answer) === undefined) return answers;
  return (await askEach(await startOn("fixed", one, bench), 1)).given;
}

type Judgement =
  | { readonly usable: true; readonly once: boolean }
  | { readonly usable: false; readonly reason: string };

function judge(open: Answers, closed: Answers): Judgement | undefined {
  const [first, second] = open ?? [];
  const [fixed] = closed ?? [];
  if (first === undefined || second === undefined || fixed === undefined) return undefined;
  const unusable = (reason: string): Judgement => ({ usable: false, reason });
  if (first.vuln !== true) return unusable(`on the vulnerable version it ${told(first)}`);
  if (fixed.vuln !== false) return unusable(`on the fixed version it ${told(fixed)}`);
  return { usable: true, once: second.vuln !== true };
}

/** An answer as the end of a sentence. */
export function told({ vuln, info, error }: ProbeAnswer): string {
  if (error !== undefined) return `throws "${error}"`;
  const answer = vuln === null ? "cannot tell" : `says ${vuln ? "open" : "closed"}`;
  return info === undefined || info === "" ? answer : `${answer} (${info})`;
}

interface Weighed {
  readonly given: Judgement | undefined;
  readonly companion: Judgement | undefined;
  readonly nodeVersion: string;
}

function weigh({ given, companion, nodeVersion }: Weighed): Control {
  const usable = { given: given?.usable === true, companion: companion?.usable === true };
  const once = { given: usable.given && given?.usable === true && given.once, companion: false };
  if (companion?.usable === true) once.companion = companion.once;
  const closing = (["given", "companion"] as const).filter((name) => usable[name]);
  const deciding = usable.companion ? "companion" : "given";
  if (closing.length === 0) {
    const reasons = [given, companion].flatMap((one) => (one?.usable === false ? [one.reason] : []));
    return { usable: false, reason: reasons.join("; its companion: ") || "there is no probe for it", nodeVersion };
  }
  const notes: string[] = [];
  if (given?.usable === false) notes.push(`the given probe is unusable (${given.reason}); its companion decides`);
  if (companion?.usable === false) notes.push(`the companion probe is unusable (${companion.reason})`);
  if (once.given && deciding === "companion") {
    notes.push(
      "the given probe answers truly once only; its companion decides, and the given one must agree on closing",
    );
  }
  if (once[deciding]) notes.push("the probe answers truly once only; each step is shown in a process of its own");
  const onceOnly = closing.filter((name) => once[name]);
  return { usable: true, probes: { deciding, closing, once: once[deciding], onceOnly, nodeVersion, notes } };
}
