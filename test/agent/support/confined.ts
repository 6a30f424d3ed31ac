/**
 * An agent looks into every process that it may touch, so its tests run where there are no others: in namespaces of processes, mounts and network of their own.
 *
 * The hotpatch is built outside, since that needs the registry.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import path from "node:path";
import { test } from "node:test";
import { type Desk, openDesk } from "../../cli/desk.ts";
import { runProgram } from "../../cli/run-program.ts";

const root = process.geteuid?.() === 0;
const namespaces: readonly string[] = [
  ...(root ? [] : ["--user", "--map-root-user"]),
  ...["--mount", "--pid", "--fork", "--mount-proc", "--kill-child"],
];

/** Words of `unshare` before a program: processes, mounts and a network of its own, which end with it. */
export const alone: readonly string[] = [
  ...[...namespaces, "--net"],
  ...["sh", "-c", 'ip link set lo up && exec "$@"', "sh"],
];

const timeoutMs = 540_000;

export const isConfined = process.env.REBOOTLESS_TEST_CONFINED === "1";

/** What was made outside. */
export interface Made {
  readonly hotpatch: string;
  /** The public key of the hotpatch's author. */
  readonly author: string;
  /** The native program that the hotpatch is for; absent where it is for json5 2.2.1. */
  readonly program?: string;
}

export function made(): Made {
  return JSON.parse(process.env.REBOOTLESS_TEST_MADE ?? "{}");
}

interface Confinement {
  /** Why it cannot be run here. */
  readonly hindrance?: string | undefined;
  /** Without one, the registry can be reached, and nothing is made outside. */
  readonly ownNetwork?: boolean;
  readonly make?: (desk: Desk) => Promise<Made>;
}

/** Runs a file of tests in there, as one test; the file registers its own where `isConfined`. */
export function confine(
  name: string,
  file: string,
  { hindrance, ownNetwork = true, make = makeForJson5 }: Confinement = {},
): void {
  if (isConfined) return;
  const around = ownNetwork ? alone : [...namespaces, "sh", "-c", 'exec "$@"', "sh"];
  const possible = spawnSync("unshare", [...around, "true"], { encoding: "utf8" });
  const refused =
    possible.status === 0 ? undefined : `no namespaces can be made here: ${possible.stderr ?? String(possible.error)}`;
  const skip = refused ?? hindrance ?? false;
  test(name, { timeout: timeoutMs + 60_000, skip }, async (t) => {
    const env = {
      REBOOTLESS_TEST_CONFINED: "1",
      REBOOTLESS_TEST_MADE: ownNetwork ? JSON.stringify(await make(await openDesk(t))) : "",
    };
    const { code, out, error } = await runProgram([...around, process.execPath, "--test-reporter=tap", file], {
      ...{ command: "unshare", env, timeoutMs },
    });
    t.diagnostic(
      out
        .split("\n")
        .filter((line) =>
          /^\s*# (?!(?:tests|suites|pass|fail|cancelled|skipped|todo|duration_ms|Subtest:) )/.test(line),
        )
        .join("\n"),
    );
    assert.equal(code, 0, out + error);
  });
}

/** Fetches both versions from the registry. */
export async function makeForJson5(desk: Desk): Promise<Made> {
  const hotpatch = path.join(desk.folder, "json5.hotpatch");
  const words = ["--to", "2.2.2", "-o", hotpatch, "--key", desk.key, "--advisory", "CVE-2022-46175:high"];
  const built = await desk.say("build", "npm", "json5@2.2.1", ...words);
  assert.equal(built.code, 0, built.error);
  return { hotpatch, author: desk.key.replace(/\.key$/, ".pub") };
}
