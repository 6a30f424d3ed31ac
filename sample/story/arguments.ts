/** The command line of the story. */
import { parseArgs } from "node:util";

export interface StoryOptions {
  /** End after the story instead of leaving the service running. */
  readonly once: boolean;
  /** Print the figures as one JSON document; the telling goes to standard error. */
  readonly json: boolean;
  /** Of the service; 0: any free one. */
  readonly port: number;
}

export const helpText = `npm start [-- OPTION…]

Tells by doing how a hole in a running service is closed in memory, and leaves the service running.

  --once      end after the story: exit code 0, or 1 when a step did not hold
  --json      print the figures as one JSON document; the telling goes to standard error
  --port N    the port of the sample service (any free one unless told)
  --help      this text

Examples:
  npm start                        the story, then the service until Ctrl-C
  npm start -- --once              the story alone
  npm start -- --once --json       the same for a program
`;

export class UsageError extends Error {}

/** `"help"` when that is asked for; throws `UsageError`. */
export function parseStoryArguments(words: readonly string[]): StoryOptions | "help" {
  const { values } = parseWords(words);
  if (values.help) return "help";
  const port = Number(values.port);
  if (!/^\d+$/.test(values.port) || port > 65_535) {
    throw new UsageError(`--port takes a number from 0 to 65535, not ${JSON.stringify(values.port)}`);
  }
  return { once: values.once, json: values.json, port };
}

function parseWords(words: readonly string[]) {
  try {
    return parseArgs({
      args: [...words],
      options: {
        once: { type: "boolean", default: false },
        json: { type: "boolean", default: false },
        port: { type: "string", default: "0" },
        help: { type: "boolean", short: "h", default: false },
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error });
  }
}
