/** Writes docs/state-machines.md from the tables. */
import { writeFileSync } from "node:fs";
import { stateMachinesDocument } from "./support/state-machines-document.ts";

writeFileSync(new URL("../../docs/state-machines.md", import.meta.url), stateMachinesDocument());
