/** The command line of the story. */
import { parseArgs } from "node:util";

export interface StoryOptions {
  /** End after the story instead of leaving everything running. */
  readonly once: boolean;
  /** Print the figures as one JSON document; the telling goes to standard error. */
  readonly json: boolean;
  /** Tell the story of the sample service; without it there are the control plane and the agent alone. */
  readonly sample: boolean;
  /** Of the sample service; 0: any free one. */
  readonly port: number;
  /** Of the control plane at its first start; undefined: 8443, or any free one where that is taken. */
  readonly serverPort: number | undefined;
  /** Undefined: the folder below the user's state folder. */
  readonly state: string | undefined;
}

export const helpText = `npm start [-- OPTION…]

Starts the control plane and the agent of this machine, tells by doing how a hole in a running service is closed in memory, and goes on running.

  --once             end after the story: exit code 0, or 1 when a step did not hold
  --no-sample        the control plane and the agent alone, with no sample service and no story
  --state FOLDER     where everything is kept, and where the next start goes on from
                     (by default rebootless/start in the XDG state folder, mostly ~/.local/state)
  --json             print the figures as one JSON document; the telling goes to standard error
  --port N           the port of the sample service (any free one unless told)
  --server-port N    the port of the control plane at its first start (8443, or any free one where that is taken)
  --help             this text

Examples:
  npm start                             the story, then everything goes on until Ctrl-C
  npm start -- --once                   the story alone
  npm start -- --no-sample              for hotpatches and services of your own
  npm start -- --once --json            the story for a program
`;

export class UsageError extends Error {}

/** `"help"` when that is asked for; throws `UsageError`. */
export function parseStoryArguments(words: readonly string[]): StoryOptions | "help" {
  const values = parseWords(words);
  if (values.help) return "help";
  const serverPort = values["server-port"];
  return {
    once: values.once,
    json: values.json,
    sample: !values["no-sample"],
    state: values.state,
    port: portOf("--port", values.port),
    serverPort: serverPort === undefined ? undefined : portOf("--server-port", serverPort),
  };
}

function portOf(option: string, value: string): number {
  if (/^\d{1,5}$/.test(value) && Number(value) <= 65_535) return Number(value);
  throw new UsageError(`${option} takes a number from 0 to 65535, not ${JSON.stringify(value)}`);
}

function parseWords(words: readonly string[]) {
  try {
    return parseArgs({
      args: [...words],
      options: {
        once: { type: "boolean", default: false },
        json: { type: "boolean", default: false },
        "no-sample": { type: "boolean", default: false },
        state: { type: "string" },
        port: { type: "string", default: "0" },
        "server-port": { type: "string" },
        help: { type: "boolean", short: "h", default: false },
      },
    }).values;
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error });
  }
}
