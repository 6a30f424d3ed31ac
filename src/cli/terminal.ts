/**
 * What reaches the terminal: every text passes through here, so that no string from outside can move the cursor, change colours or forge a line.
 *
 * Colours are put on by the frame alone, and only on its own words.
 */
import { printable, printableJson } from "../base/printable.ts";

export interface OutputStream {
  readonly isTTY?: boolean | undefined;
  write(text: string, done: (error?: Error | null) => void): unknown;
  on(event: "error", listener: (error: NodeJS.ErrnoException) => void): unknown;
}

/** Control characters as visible escapes; line feeds and tabs, which are layout, stay. */
export function printableText(text: string): string {
  return text.replace(/[^\n\t]+/g, printable);
}

/** The text as one line: line breaks become spaces, so that a message cannot pass for two. */
export function printableLine(text: string): string {
  return printable(text.replace(/\s*[\r\n]+\s*/g, " ").trim());
}

/** One JSON document on one line. A bigint becomes a number where that is exact, and otherwise a string. */
export function jsonLine(data: unknown): string {
  const json = JSON.stringify(data, (_key, value: unknown) => {
    if (typeof value !== "bigint") return value;
    return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString();
  });
  return `${printableJson(json ?? "null")}\n`;
}

export type Colour = "red" | "yellow" | "plain";

const colourCodes = { red: "31", yellow: "33" } as const;

export function coloured(text: string, colour: Colour, enabled: boolean): string {
  return enabled && colour !== "plain" ? `\u001b[${colourCodes[colour]}m${text}\u001b[0m` : text;
}

/** https://no-color.org: any value but the empty one switches colours off; so does a terminal that knows none. */
export function wantsColour(stream: OutputStream, env: NodeJS.ProcessEnv, argv: readonly string[]): boolean {
  if (argv.includes("--no-color") || (env.NO_COLOR ?? "") !== "" || env.TERM === "dumb") return false;
  return stream.isTTY === true;
}

/**
 * Writes to one stream, in order.
 *
 * A reader that has gone away (EPIPE, as with `| head`) is no failure of ours: what is left unread is dropped.
 */
export class Writer {
  readonly #stream: OutputStream;
  #pending: Promise<void> = Promise.resolve();
  #failure: NodeJS.ErrnoException | undefined;
  #unread = false;

  constructor(stream: OutputStream) {
    this.#stream = stream;
    stream.on("error", (error) => this.#note(error));
  }

  /** Whether the reader has gone away. */
  get unread(): boolean {
    return this.#unread;
  }

  write(text: string): void {
    const written = new Promise<void>((resolve) => {
      this.#stream.write(text, (error) => {
        if (error) this.#note(error);
        resolve();
      });
    });
    this.#pending = Promise.all([this.#pending, written]).then(() => undefined);
  }

  /** Waits until everything is handed over; answers what went wrong with it, such as a full disk, if anything did. */
  async flush(): Promise<NodeJS.ErrnoException | undefined> {
    await this.#pending;
    return this.#failure;
  }

  #note(error: NodeJS.ErrnoException): void {
    if (error.code === "EPIPE") this.#unread = true;
    else this.#failure ??= error;
  }
}
