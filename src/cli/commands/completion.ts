/** `rebootless completion bash|zsh`: a completion script made from the very specs that the command runs by. */
import { RebootlessError } from "../../base/errors.ts";
import type { CommandSpec } from "../command.ts";
import { bashCompletion, zshCompletion } from "../completion-script.ts";
import { completionTable } from "../completion-table.ts";

export function completionCommand(others: readonly CommandSpec[]): CommandSpec {
  const scripts = { bash: bashCompletion, zsh: zshCompletion };
  const spec: CommandSpec = {
    name: "completion",
    summary: "print a completion script for bash or zsh",
    arguments: [{ name: "<bash|zsh>", description: "the shell" }],
    examples: [
      { command: "source <(rebootless completion bash)", what: "completion in this bash" },
      { command: "source <(rebootless completion zsh)", what: "completion in this zsh, after compinit" },
    ],
    async run(input) {
      const shell = input.arguments[0] ?? "";
      if (shell !== "bash" && shell !== "zsh") {
        throw new RebootlessError("usage/arguments", `There is no completion for "${shell}"; give bash or zsh.`);
      }
      const script = scripts[shell](completionTable([...others, spec]));
      return { data: { shell, script }, text: script };
    },
  };
  return spec;
}
