/**
 * Completion scripts for bash and zsh.
 *
 * Both walk the words in the same way: find the command, count its arguments, skip the values of options, then offer what fits the place of the cursor.
 */
import type { CompletedCommand, CompletionTable, Value } from "./table.ts";

/** A word of the shell that stands for itself, whatever is in it. */
function shellQuote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** `:` names the kind of a value, so no choice can be mistaken for one. */
function valueWord(value: Value): string {
  return value.kind === "words" ? value.words.join(" ") : `:${value.kind}`;
}

/** Both shells: sets `place` to what can stand at argument number `count` (from 0), and `after` to what can follow option `previous`. */
function commandCases(command: CompletedCommand): string[] {
  const valued = command.options.filter((option) => option.value !== undefined);
  const last = command.arguments.length - 1;
  const places = command.arguments.map((value, index) => {
    const pattern = index === last && command.variadic ? "*" : String(index);
    return `        ${pattern}) place=${shellQuote(valueWord(value))} ;;`;
  });
  return [
    `    ${shellQuote(command.name)})`,
    `      options=${shellQuote(command.options.flatMap((option) => option.flags).join(" "))}`,
    ...(valued.length === 0 ? [] : ['      case "$previous" in']),
    ...valued.map(
      ({ flags, value }) => `        ${flags.join("|")}) after=${shellQuote(valueWord(value as Value))} ;;`,
    ),
    ...(valued.length === 0 ? [] : ["      esac"]),
    ...(places.length === 0 ? [] : ['      case "$count" in', ...places, "      esac"]),
    "      ;;",
  ];
}

function tableFunctions(table: CompletionTable): string[] {
  return [
    "_rebootless_next() {",
    "  next=",
    '  case "$1" in',
    ...table.words.map(
      ({ path, next }) => `    ${shellQuote(path)}) next=${shellQuote(next.map(({ word }) => word).join(" "))} ;;`,
    ),
    "  esac",
    "}",
    "_rebootless_place() {",
    "  local previous=$2 count=$3",
    "  options= after= place=",
    '  case "$1" in',
    ...table.commands.flatMap(commandCases),
    "  esac",
    "}",
  ];
}

/** Reads the words before the cursor; both shells hand them over as arguments. */
const walk = `_rebootless_walk() {
  command= count=0 previous= ended=
  local word next options after place
  for word in "$@"; do
    if [ -n "$ended" ]; then
      count=$((count + 1))
      continue
    fi
    _rebootless_place "$command" "$previous" "$count"
    if [ -n "$after" ]; then
      previous=
      continue
    fi
    previous=
    case "$word" in
      --) ended=1 ;;
      --*=*) ;;
      -*) previous=$word ;;
      *)
        _rebootless_next "$command"
        case " $next " in
          *" $word "*) command="\${command:+$command }$word" ;;
          *) count=$((count + 1)) ;;
        esac
        ;;
    esac
  done
}`;

export function bashCompletion(table: CompletionTable): string {
  return `# bash completion for rebootless, made by: rebootless completion bash
${tableFunctions(table).join("\n")}
${walk}
_rebootless_offer() {
  case "$1" in
    :file) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$2") ;;
    :folder) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$2") ;;
    :*) COMPREPLY=() ;;
    *) mapfile -t COMPREPLY < <(compgen -W "$1" -- "$2") ;;
  esac
}
_rebootless() {
  local current=\${COMP_WORDS[COMP_CWORD]} command count previous ended next options after place
  COMPREPLY=()
  _rebootless_walk "\${COMP_WORDS[@]:1:COMP_CWORD-1}"
  _rebootless_next "$command"
  _rebootless_place "$command" "$previous" "$count"
  if [ -n "$after" ]; then
    _rebootless_offer "$after" "$current"
  elif [ -z "$ended" ] && [ "\${current:0:1}" = - ]; then
    _rebootless_offer "\${options:---help --version --json --quiet --no-color}" "$current"
  elif [ -n "$next" ]; then
    _rebootless_offer "$next" "$current"
  elif [ -n "$place" ]; then
    _rebootless_offer "$place" "$current"
  fi
}
complete -F _rebootless rebootless
`;
}

/** The summaries beside the words, which zsh shows. */
function zshSummaries(table: CompletionTable): string {
  const entries = table.words.map(({ path, next }) => {
    const shown = next.map(({ word, summary }) => shellQuote(`${word}:${summary.replaceAll(":", "\\:")}`));
    return `    ${shellQuote(path)}) shown=(${shown.join(" ")}) ;;`;
  });
  return ["_rebootless_shown() {", '  case "$1" in', ...entries, "  esac", "}"].join("\n");
}

export function zshCompletion(table: CompletionTable): string {
  return `#compdef rebootless
# zsh completion for rebootless, made by: rebootless completion zsh
${tableFunctions(table).join("\n")}
${walk}
${zshSummaries(table)}
_rebootless_offer() {
  case "$1" in
    :file) _files ;;
    :folder) _files -/ ;;
    :*) ;;
    *) compadd -- \${=1} ;;
  esac
}
_rebootless() {
  local command count previous ended next options after place
  local -a shown
  _rebootless_walk "\${(@)words[2,CURRENT-1]}"
  _rebootless_next "$command"
  _rebootless_place "$command" "$previous" "$count"
  if [[ -n $after ]]; then
    _rebootless_offer "$after"
  elif [[ -z $ended && \${words[CURRENT]} == -* ]]; then
    _rebootless_offer "\${options:---help --version --json --quiet --no-color}"
  elif [[ -n $next ]]; then
    _rebootless_shown "$command"
    _describe command shown
  elif [[ -n $place ]]; then
    _rebootless_offer "$place"
  fi
}
compdef _rebootless rebootless
`;
}
