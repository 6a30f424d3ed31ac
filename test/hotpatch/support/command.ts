/** Runs a command as the frame would, in a folder of its own. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after } from "node:test";
import type { CommandIo, CommandResult, CommandSpec } from "../../../src/cli/command.ts";

export interface Desk {
  readonly folder: string;
  readonly warnings: string[];
  readonly io: CommandIo;
  run(command: CommandSpec, given?: { arguments?: string[]; options?: Record<string, string> }): Promise<CommandResult>;
}

/** A temporary folder that is the user's home and working folder; removed when the tests are done. */
export function newDesk(env: NodeJS.ProcessEnv = {}): Desk {
  const folder = mkdtempSync(path.join(tmpdir(), "rebootless-test-"));
  after(() => rmSync(folder, { recursive: true, force: true }));
  const warnings: string[] = [];
  const io: CommandIo = {
    env: { HOME: folder, REBOOTLESS_TRUST_DIR: path.join(folder, "trusted"), ...env },
    cwd: folder,
    log: () => undefined,
    emit: async () => true,
    progress: () => {},
    warn: (message) => warnings.push(message),
  };
  return {
    folder,
    warnings,
    io,
    run: (command, given = {}) => command.run({ arguments: given.arguments ?? [], options: given.options ?? {} }, io),
  };
}

export function commandNamed(commands: readonly CommandSpec[], name: string): CommandSpec {
  const found = commands.find((command) => command.name === name);
  assert.ok(found, `there is no command ${name}`);
  return found;
}
