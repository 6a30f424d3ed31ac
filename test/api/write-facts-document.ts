/** Writes docs/facts.md from the catalog. */
import { writeFileSync } from "node:fs";
import { factsDocument } from "./facts-document.ts";

writeFileSync(new URL("../../docs/facts.md", import.meta.url), factsDocument());
