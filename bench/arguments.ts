/** The command line of the load bench. */
import { parseArgs } from "node:util";

export interface LoadBenchOptions {
  readonly rounds: number;
  readonly connections: number;
  /** Of all connections together. */
  readonly requestsPerSecond: number;
  readonly json: boolean;
}

export const loadBenchHelp = `npm run bench:load [-- OPTION…]

  --rounds N        times that the service is patched and reverted (100)
  --connections N   keep-alive connections of the client (8)
  --rate N          requests a second, all connections together (400)
  --json            print the figures as one JSON document
  --help            this text
`;

/** `"help"` when that is asked for; throws an `Error` with a sentence for a wrong command line. */
export function parseLoadBenchArguments(words: readonly string[]): LoadBenchOptions | "help" {
  const { values } = parseArgs({
    args: [...words],
    options: {
      rounds: { type: "string", default: "100" },
      connections: { type: "string", default: "8" },
      rate: { type: "string", default: "400" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return "help";
  return {
    rounds: positive("--rounds", values.rounds),
    connections: positive("--connections", values.connections),
    requestsPerSecond: positive("--rate", values.rate),
    json: values.json,
  };
}

function positive(option: string, text: string): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 1) {
    throw new Error(`${option} takes a whole number from 1 on, not ${JSON.stringify(text)}`);
  }
  return number;
}
