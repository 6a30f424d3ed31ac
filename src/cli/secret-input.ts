/** A secret that a person types, or a program pipes in: never on the command line, which every user of the machine can read. */
import { createInterface } from "node:readline";
import { Writable } from "node:stream";
import { text as textOf } from "node:stream/consumers";
import { RebootlessError } from "../base/errors.ts";

/** The first line of standard input; at a terminal asked for twice, and not shown. Throws `usage/arguments`. */
export async function readSecret(prompt: string): Promise<string> {
  if (process.stdin.isTTY !== true) {
    const [line = ""] = (await textOf(process.stdin)).split(/\r?\n/);
    if (line === "") throw new RebootlessError("usage/arguments", "Nothing came on standard input.");
    return line;
  }
  const first = await askHidden(`${prompt}: `);
  if (first !== (await askHidden(`${prompt}, once more: `))) {
    throw new RebootlessError("usage/arguments", "The two differ; nothing was changed.");
  }
  return first;
}

/** The first two lines of standard input; at a terminal the second is asked for twice. Throws `usage/arguments`. */
export async function readSecrets([first, second]: readonly [string, string]): Promise<readonly [string, string]> {
  if (process.stdin.isTTY === true) return [await askHidden(`${first}: `), await readSecret(second)];
  const [one = "", other = ""] = (await textOf(process.stdin)).split(/\r?\n/);
  if (one === "" || other === "") {
    throw new RebootlessError("usage/arguments", `Standard input has two lines: ${first}, and ${second}.`);
  }
  return [one, other];
}

async function askHidden(prompt: string): Promise<string> {
  process.stderr.write(prompt);
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: nowhere, terminal: true });
  try {
    return await new Promise<string>((resolve, reject) => {
      lines.question("", resolve);
      lines.once("SIGINT", () => reject(new RebootlessError("usage/arguments", "Interrupted; nothing was changed.")));
    });
  } finally {
    lines.close();
    process.stderr.write("\n");
  }
}
