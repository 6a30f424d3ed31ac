/**
 * The telling of the story: headings, sentences, command lines and a table, with a little colour where the terminal has it.
 *
 * Everything passes through `printable`, since some of it is quoted from answers and outputs.
 */
import { styleText } from "node:util";
import { printable } from "../../src/base/printable.ts";

type Style = "plain" | "heading" | "command" | "bad" | "good";

const formats = { heading: "bold", command: "cyan", bad: "red", good: "green" } as const;

export class Teller {
  readonly #stream: NodeJS.WriteStream;
  #chapters = 0;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  title(text: string): void {
    this.#line(text, "heading");
  }

  chapter(text: string): void {
    this.#chapters += 1;
    this.#line("", "plain");
    this.#line(`${this.#chapters}. ${text}`, "heading");
  }

  /** A sentence of the story. */
  say(text: string): void {
    this.#line(`   ${text}`, "plain");
  }

  /** A sentence that tells of danger, such as a hole that is open. */
  bad(text: string): void {
    this.#line(`   ${text}`, "bad");
  }

  /** A sentence that tells of something achieved. */
  good(text: string): void {
    this.#line(`   ${text}`, "good");
  }

  /** A command line that is run now, or that the reader may run. */
  command(line: string): void {
    this.#line(`   $ ${line}`, "command");
  }

  /** What goes over the wire, beside who sends it. */
  wire(who: string, text: string): void {
    this.#line(`   ${who.padEnd(24)} ${text}`, "plain");
  }

  /** Rows of equal length; all columns but the first stand to the right. */
  table(rows: readonly (readonly string[])[]): void {
    const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? "").length)));
    for (const row of rows) {
      const cells = row.map((cell, column) => {
        const width = widths[column] ?? 0;
        return column === 0 ? cell.padEnd(width) : cell.padStart(width);
      });
      this.#line(`   ${cells.join("   ")}`, "plain");
    }
  }

  #line(text: string, style: Style): void {
    const safe = text.split("\n").map(printable).join("\n   ");
    // `stream` makes styleText look whether it is a terminal, and heed NO_COLOR.
    this.#stream.write(
      `${style === "plain" ? safe : styleText(formats[style], safe, { stream: this.#stream, validateStream: true })}\n`,
    );
  }
}

/** Milliseconds with as many digits as they deserve. */
export function milliseconds(valueMs: number): string {
  return `${valueMs.toFixed(valueMs < 10 ? 1 : 0)} ms`;
}

export function grouped(count: number): string {
  return count.toLocaleString("en");
}
