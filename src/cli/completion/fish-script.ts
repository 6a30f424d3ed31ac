/**
 * The completion script for fish.
 *
 * It walks the words as the ones for bash and zsh do; only the language differs.
 */
import type { CompletedCommand, CompletionTable, Value } from "./table.ts";

/** In single quotes fish takes but the quote and the backslash for more than they are. */
function quoted(text: string): string {
  return `'${text.replaceAll(/['\\]/g, "\\$&")}'`;
}

/** A word of an answer, with what fish shows beside it. */
function candidate(word: string, description: string): string {
  return `${quoted(word)}\\t${quoted(description)}`;
}

function valueWord(value: Value): string {
  return quoted(value.kind === "words" ? value.words.join(" ") : `:${value.kind}`);
}

/** Sets what can stand at argument number `$argv[3]` (from 0), what can follow option `$argv[2]`, and the options. */
function commandCase(command: CompletedCommand): string[] {
  const options = command.options.flatMap(({ flags, description }) =>
    flags.map((flag) => candidate(flag, description)),
  );
  const valued = command.options.flatMap(({ flags, value }) => (value === undefined ? [] : [{ flags, value }]));
  const last = command.arguments.length - 1;
  const places = command.arguments.map((value, index) => {
    const pattern = index === last && command.variadic ? "'*'" : String(index);
    return `        case ${pattern}; set -g __rebootless_at ${valueWord(value)}`;
  });
  return [
    `    case ${quoted(command.name)}`,
    `      set -g __rebootless_options ${options.join(" ")}`,
    ...(valued.length === 0 ? [] : ["      switch $argv[2]"]),
    ...valued.map(
      ({ flags, value }) => `        case ${flags.join(" ")}; set -g __rebootless_after ${valueWord(value)}`,
    ),
    ...(valued.length === 0 ? [] : ["      end"]),
    ...(places.length === 0 ? [] : ["      switch $argv[3]", ...places, "      end"]),
  ];
}

export function fishCompletion(table: CompletionTable): string {
  const words = table.words.map(({ path, next }) => {
    const shown = next.map(({ word, summary }) => candidate(word, summary));
    return `    case ${quoted(path)}; printf '%s\\n' ${shown.join(" ")}`;
  });
  return `# fish completion for rebootless, made by: rebootless completion fish
function __rebootless_next
  switch "$argv[1]"
${words.join("\n")}
  end
end
function __rebootless_place
  set -g __rebootless_options --help --version --json --quiet --no-color
  set -g __rebootless_after ''
  set -g __rebootless_at ''
  switch "$argv[1]"
${table.commands.flatMap(commandCase).join("\n")}
  end
end
function __rebootless_offer
  switch "$argv[1]"
    case ':file'; __fish_complete_path "$argv[2]"
    case ':folder'; __fish_complete_directories "$argv[2]" ''
    case ':*' ''
    case '*'; string split ' ' -- "$argv[1]"
  end
end
function __rebootless_complete
  set -l command ''
  set -l previous ''
  set -l ended ''
  set -l count 0
  set -l current (commandline -ct)
  for word in (commandline -opc)[2..-1]
    if test -n "$ended"
      set count (math $count + 1)
      continue
    end
    __rebootless_place "$command" "$previous" $count
    set previous ''
    if test -n "$__rebootless_after"
      continue
    end
    switch "$word"
      case '--'; set ended 1
      case '--*=*'
      case '-*'; set previous "$word"
      case '*'
        if contains -- "$word" (__rebootless_next "$command" | string replace -r '\\t.*' '')
          set command (string trim -- "$command $word")
        else
          set count (math $count + 1)
        end
    end
  end
  __rebootless_place "$command" "$previous" $count
  set -l next (__rebootless_next "$command")
  if test -n "$__rebootless_after"
    __rebootless_offer "$__rebootless_after" "$current"
  else if test -z "$ended"; and string match -q -- '-*' "$current"
    printf '%s\\n' $__rebootless_options
  else if test -n "$next[1]"
    printf '%s\\n' $next
  else
    __rebootless_offer "$__rebootless_at" "$current"
  end
end
complete -c rebootless -f -a '(__rebootless_complete)'
`;
}
