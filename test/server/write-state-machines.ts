/** Writes docs/state-machines.md from the tables. */
import { writeFileSync } from "node:fs";
import { stateMachineDocument } from "../../src/server/actions/state-machine.ts";

writeFileSync(new URL("../../docs/state-machines.md", import.meta.url), stateMachineDocument());
