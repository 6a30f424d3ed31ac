/** Writes the tables of docs/device-states.md anew: `node scripts/with-node.mjs test/server/write-device-states.ts`. */
import { readFileSync, writeFileSync } from "node:fs";
import { deviceStatesFile, withTables } from "./support/device-states-document.ts";

writeFileSync(deviceStatesFile, withTables(readFileSync(deviceStatesFile, "utf8")));
