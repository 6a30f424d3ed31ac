/** What a publisher says of a staged hotpatch, beside its file until the next publish. */
import path from "node:path";
import { canonicalJson } from "../../base/canonical-json.ts";
import { readRegularFile, writeFileAtomically } from "../../base/stored-file.ts";
import { checkRelease, type Release } from "../release-facts.ts";
import { damaged, exists, type RepositoryFolder } from "./repository-folder.ts";

const ending = ".release.json";

/** Throws `failure/file-write`. */
export async function stageRelease(repository: RepositoryFolder, id: string, release: Release): Promise<void> {
  const file = path.join(repository.stagedFolder, `${id}.hotpatch${ending}`);
  await writeFileAtomically(file, canonicalJson(release), { mode: 0o600, replace: true });
}

/** `file` is that of the hotpatch; undefined where nothing is said. Throws `repository/damaged`. */
export async function readStagedRelease(file: string): Promise<Release | undefined> {
  const name = `${file}${ending}`;
  if (!(await exists(name))) return undefined;
  const text = (await readRegularFile(name, { what: "release" })).toString("utf8");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw damaged(name, "is not JSON", error);
  }
  return checkRelease(value, (problem) => {
    throw damaged(name, problem);
  });
}
