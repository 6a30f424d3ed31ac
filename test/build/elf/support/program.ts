/** Programs to be started: what a project made, or one that uses its library. */
import { join } from "node:path";
import { run } from "../../../engine/linux/support/target.ts";
import { type Built, type Files, newFolder, writeFiles } from "./project.ts";

/** The binary that was patched, or a program that was linked with it. */
export function programOf({ report }: Pick<Built, "report">, own?: Files): string {
  const path = report.binaries[0]?.path ?? "";
  if (own === undefined) return path;
  const folder = newFolder();
  writeFiles(folder, own);
  const program = join(folder, "program");
  run("gcc", ["-O2", "-pthread", "-o", program, join(folder, "main.c"), path, `-Wl,-rpath,${join(path, "..")}`]);
  return program;
}
