/**
 * Whether a manifest holds together: the schema, and what a schema cannot say.
 *
 * Used by the writer and the reader alike, so that nothing can be written that would not be read.
 * Looks at the manifest alone; digests, sizes and texts of payloads are checked by the container.
 */
import { limits } from "../base/limits.ts";
import { quoted } from "../base/printable.ts";
import { refuse } from "../base/refusal.ts";
import { checkSchema, type SchemaFault } from "../base/schema-check.ts";
import type { ElfChange } from "./elf-manifest.ts";
import { Manifest, type NodeChange } from "./manifest.ts";

const schemaFamily = "rebootless.hotpatch/";
const knownSchema = `${schemaFamily}1`;

/** The value as a manifest. Refuses with `hotpatch/version-unknown`, `hotpatch/manifest-invalid`, `hotpatch/path-out-of-bounds`, `hotpatch/payload-size` or `hotpatch/too-large`. */
export function checkManifest(value: unknown): Manifest {
  checkSchemaVersion(value);
  const manifest = checkSchema(Manifest, value, failSchema);
  checkSections(manifest);
  checkPaths(manifest);
  checkPayloadUse(manifest);
  mustBeUnique(
    "/advisories",
    manifest.advisories.map((advisory) => advisory.id),
  );
  mustBeUnique("/supersedes", manifest.supersedes);
  if (manifest.supersedes.includes(manifest.id)) {
    manifestInvalid("/supersedes", "a hotpatch cannot supersede itself");
  }
  const totalBytes = manifest.payloads.reduce((sum, payload) => sum + payload.sizeBytes, 0);
  if (totalBytes > limits.hotpatchBytes) {
    refuse(
      "hotpatch/too-large",
      `The payloads add up to ${totalBytes} bytes; a hotpatch holds at most ${limits.hotpatchBytes}.`,
    );
  }
  return manifest;
}

/** Refuses with `hotpatch/manifest-invalid`, naming the field by its JSON Pointer. */
export function manifestInvalid(field: string, problem: string): never {
  const where = field === "" ? "" : ` ${field}`;
  refuse("hotpatch/manifest-invalid", `The manifest of the hotpatch is invalid:${where} ${problem}.`, { field });
}

/** Why a relative path could lead out of its folder, as a clause; undefined when it cannot. */
export function pathProblem(path: string): string | undefined {
  if (path.length > limits.pathUnits) {
    return `is longer than ${limits.pathUnits} characters`;
  }
  if (path.includes("\0")) {
    return "contains a NUL character";
  }
  if (path.includes("\\")) {
    return "contains a backslash";
  }
  if (path.startsWith("/")) {
    return "is absolute";
  }
  if (/^[A-Za-z]:/.test(path)) {
    return "names a drive";
  }
  const parts = path.split("/");
  if (parts.includes("..")) {
    return "climbs out with ..";
  }
  if (parts.includes(".")) {
    return "contains the part .";
  }
  if (parts.includes("")) {
    return "contains an empty part";
  }
  return undefined;
}

function checkSchemaVersion(value: unknown): void {
  if (typeof value !== "object" || value === null || !("schema" in value) || typeof value.schema !== "string") {
    return;
  }
  if (value.schema.startsWith(schemaFamily) && value.schema !== knownSchema) {
    refuse(
      "hotpatch/version-unknown",
      `The manifest has schema ${quoted(value.schema)}; this rebootless reads ${knownSchema}. Use a rebootless that knows the newer schema.`,
    );
  }
}

function failSchema(fault: SchemaFault): never {
  if (/^\/payloads\/\d+\/sizeBytes$/.test(fault.field)) {
    refuse("hotpatch/payload-size", `The size of a payload is out of bounds: ${fault.field} ${fault.problem}.`, {
      field: fault.field,
    });
  }
  manifestInvalid(fault.field, fault.problem);
}

function checkSections({ node, elf, target }: Manifest): void {
  if ((node === undefined) === (elf === undefined)) {
    manifestInvalid("", "must have exactly one of the sections node and elf");
  }
  if ((elf !== undefined) !== (target.kind === "elf")) {
    manifestInvalid("/target/kind", `must be ${elf === undefined ? '"npm" or "files"' : '"elf"'} here`);
  }
  if (elf !== undefined) checkElf(elf);
}

/** What the section for native programs refers to is there, and nothing in it is said twice. */
function checkElf({ binaries, hooks }: ElfChange): void {
  const names = binaries.map(({ name }) => name);
  mustBeUnique("/elf/binaries", names);
  mustBeUnique(
    "/elf/binaries",
    binaries.map(({ buildId }) => buildId),
  );
  const mustBeListed = (field: string, name: string): void => {
    if (!names.includes(name)) manifestInvalid(field, `names the binary ${quoted(name)}, which is not in the list`);
  };
  for (const [index, { functions, symbols }] of binaries.entries()) {
    const field = `/elf/binaries/${index}`;
    mustBeUnique(
      `${field}/symbols`,
      symbols.map(({ name }) => name),
    );
    for (const [place, symbol] of symbols.entries()) {
      if (symbol.kind === "binary") mustBeListed(`${field}/symbols/${place}/binary`, symbol.binary);
    }
    const byAddress = functions.toSorted((left, right) => left.address - right.address);
    for (const [place, found] of byAddress.entries()) {
      const next = byAddress[place + 1];
      if (next !== undefined && found.address + found.sizeBytes > next.address) {
        manifestInvalid(`${field}/functions`, `has ${quoted(found.name)} and ${quoted(next.name)} overlap`);
      }
    }
  }
  for (const [moment, found] of Object.entries(hooks))
    for (const [index, hook] of found.entries()) mustBeListed(`/elf/hooks/${moment}/${index}/binary`, hook.binary);
}

function checkPaths(manifest: Manifest): void {
  const { files, added } = manifest.node ?? { files: [], added: [] };
  const paths = [
    ...files.map((file, index) => ({ field: `/node/files/${index}/path`, path: file.path })),
    ...added.map((file, index) => ({ field: `/node/added/${index}/path`, path: file.path })),
  ];
  const names = manifest.payloads.map((payload, index) => ({ field: `/payloads/${index}/name`, path: payload.name }));
  for (const { field, path } of [...paths, ...names]) {
    const problem = pathProblem(path);
    if (problem !== undefined) {
      refuse(
        "hotpatch/path-out-of-bounds",
        `The hotpatch names a path that is out of bounds: ${field} ${quoted(path)} ${problem}.`,
        { field },
      );
    }
  }
  mustBeUnique(
    "/node",
    paths.map(({ path }) => path),
  );
  mustBeUnique(
    "/payloads",
    names.map(({ path }) => path),
  );
}

function checkPayloadUse(manifest: Manifest): void {
  const listed = new Set(manifest.payloads.map((payload) => payload.name));
  const used = new Set<string>();
  const use = (field: string, name: string): void => {
    if (!listed.has(name)) {
      manifestInvalid(field, `names the payload ${quoted(name)}, which is not in the list`);
    }
    used.add(name);
  };
  for (const [index, binary] of (manifest.elf?.binaries ?? []).entries()) {
    use(`/elf/binaries/${index}/object`, binary.object);
  }
  if (manifest.node !== undefined) useNodePayloads(manifest.node, use);
  for (const [index, { name }] of manifest.payloads.entries()) {
    if (!used.has(name)) {
      manifestInvalid(`/payloads/${index}`, `${quoted(name)} is used by nothing`);
    }
  }
}

function useNodePayloads(node: NodeChange, use: (field: string, name: string) => void): void {
  for (const [index, file] of node.files.entries()) {
    use(`/node/files/${index}/after`, file.after);
    if (file.live !== undefined) {
      use(`/node/files/${index}/live`, file.live);
    } else if (file.functions.length > 0) {
      manifestInvalid(`/node/files/${index}/functions`, "needs a live text that contains them");
    }
    if (file.delta !== undefined) {
      use(`/node/files/${index}/delta/text`, file.delta.text);
    }
  }
  for (const [index, file] of node.added.entries()) {
    use(`/node/added/${index}/text`, file.text);
  }
}

function mustBeUnique(field: string, names: readonly string[]): void {
  const seen = new Set<string>();
  for (const name of names) {
    if (seen.has(name)) {
      manifestInvalid(field, `names ${quoted(name)} twice`);
    }
    seen.add(name);
  }
}
