/** What can stand where on a command line, as data for the completion scripts. */
import type { CommandSpec } from "../command.ts";
import { globalOptions } from "../program.ts";

/** `nothing`: a value that only the user knows. Words are choices, such as those of `<bash|zsh>`. */
export type Value =
  | { readonly kind: "file" | "folder" | "nothing" }
  | { readonly kind: "words"; readonly words: readonly string[] };

export interface CompletedOption {
  /** `--pid`, `-p`: all spellings. */
  readonly flags: readonly string[];
  readonly description: string;
  /** Absent for a switch. */
  readonly value?: Value;
}

export interface CompletedCommand {
  readonly name: string;
  readonly summary: string;
  readonly options: readonly CompletedOption[];
  readonly arguments: readonly Value[];
  /** The last argument may be repeated. */
  readonly variadic: boolean;
}

export interface CompletionTable {
  readonly commands: readonly CompletedCommand[];
  /** What may follow each beginning of a command name; the empty beginning first. */
  readonly words: readonly {
    readonly path: string;
    readonly next: readonly { readonly word: string; readonly summary: string }[];
  }[];
}

export function completionTable(specs: readonly CommandSpec[]): CompletionTable {
  return { commands: specs.map(completedCommand), words: nextWords(specs) };
}

function completedCommand(spec: CommandSpec): CompletedCommand {
  const names = (spec.arguments ?? []).map((argument) => argument.name);
  return {
    name: spec.name,
    summary: spec.summary,
    options: [...(spec.options ?? []), ...globalOptions].map(completedOption),
    arguments: names.map(placeholderValue),
    variadic: names.at(-1)?.includes("...") ?? false,
  };
}

function completedOption({ flags, description }: { flags: string; description: string }): CompletedOption {
  const words = flags.split(/[ ,|]+(?![^<[]*[>\]])/);
  const spellings = words.filter((word) => word.startsWith("-"));
  const placeholder = words.find((word) => /^[<[]/.test(word));
  const option = { flags: spellings, description };
  return placeholder === undefined ? option : { ...option, value: placeholderValue(placeholder) };
}

/** Which values a placeholder such as `<file>`, `[DIR]` or `<bash|zsh>` stands for. */
function placeholderValue(placeholder: string): Value {
  const name = placeholder.replace(/[<>[\].]/g, "");
  if (name.includes("|")) return { kind: "words", words: name.split("|") };
  if (/(^|[-_])(file|path)s?$/i.test(name)) return { kind: "file" };
  if (/(^|[-_])(dir|directory|folder)$/i.test(name)) return { kind: "folder" };
  return { kind: "nothing" };
}

function nextWords(specs: readonly CommandSpec[]): CompletionTable["words"] {
  const tree = new Map<string, Map<string, string>>();
  for (const spec of specs) {
    const words = spec.name.split(" ");
    for (const [index, word] of words.entries()) {
      const path = words.slice(0, index).join(" ");
      const next = tree.get(path) ?? new Map<string, string>();
      const whole = index === words.length - 1;
      next.set(word, whole ? spec.summary : `commands about ${words.slice(0, index + 1).join(" ")}s`);
      tree.set(path, next);
    }
  }
  return [...tree].map(([path, next]) => ({ path, next: [...next].map(([word, summary]) => ({ word, summary })) }));
}
