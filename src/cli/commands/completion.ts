/** `rebootless completion bash|zsh|fish`: a completion script made from the very specs that the command runs by. */
import { RebootlessError } from "../../base/errors.ts";
import type { CommandSpec } from "../command.ts";
import { fishCompletion } from "../completion/fish-script.ts";
import { bashCompletion, zshCompletion } from "../completion/posix-script.ts";
import { completionTable } from "../completion/table.ts";

export function completionCommand(others: readonly CommandSpec[]): CommandSpec {
  const scripts = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion };
  const spec: CommandSpec = {
    name: "completion",
    summary: "print a completion script for bash, zsh or fish",
    arguments: [{ name: "<bash|zsh|fish>", description: "the shell" }],
    examples: [
      { command: "source <(rebootless completion bash)", what: "completion in this bash" },
      { command: "source <(rebootless completion zsh)", what: "completion in this zsh, after compinit" },
      { command: "rebootless completion fish | source", what: "completion in this fish" },
    ],
    async run(input) {
      const shell = input.arguments[0] ?? "";
      if (shell !== "bash" && shell !== "zsh" && shell !== "fish") {
        throw new RebootlessError("usage/arguments", `There is no completion for "${shell}"; give bash, zsh or fish.`);
      }
      const script = scripts[shell](completionTable([...others, spec]));
      return { data: { shell, script }, text: script };
    },
  };
  return spec;
}
