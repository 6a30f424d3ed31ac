/**
 * Proof from memory that a hotpatch is in place: patch memory against its digests, entries against the record, the text of each binary against its file, byte by byte.
 */
import { segmentFlag, segmentType } from "../../elf/constants.ts";
import { parseElf, segmentBytes } from "../../elf/elf-file.ts";
import type { ElfBinary } from "../../hotpatch/elf-manifest.ts";
import type { Hotpatch } from "../../hotpatch/hotpatch.ts";
import { elfChangeOf } from "../../hotpatch/manifest.ts";
import type { Finding } from "../engine.ts";
import { readImageFile } from "./image-file.ts";
import { contentDigest } from "./linux-plan.ts";
import { type LoadedImage, loadedImages } from "./loaded-image.ts";
import type { ProcessMemory } from "./process-memory.ts";
import { encodeRecord, type PatchRecord } from "./record.ts";

export function verifyRecord(
  memory: ProcessMemory,
  record: PatchRecord,
  all: readonly PatchRecord[],
  hotpatch: Hotpatch,
  digest: string,
): Finding[] {
  const images = loadedImages(memory, memory.maps());
  const change = elfChangeOf(hotpatch.manifest);
  const sameBuild: Finding = {
    subject: `record of ${record.id}`,
    state: record.digest === digest ? "proven" : "broken",
    evidence:
      record.digest === digest
        ? `applied ${new Date(record.preparedAt).toISOString()}, with the digest of this file`
        : `it was applied from another file, with the digest ${record.digest}`,
  };
  return [
    sameBuild,
    ...verifyAreas(memory, record),
    ...verifyEntries(memory, record),
    ...change.binaries.flatMap((binary) => verifyBinary(memory, binary, { images, record, all })),
  ];
}

interface Surroundings {
  readonly images: readonly LoadedImage[];
  readonly record: PatchRecord;
  readonly all: readonly PatchRecord[];
}

/** A binary that the process did not run at the apply was left out; one that it has loaded since has the old code. */
function verifyBinary(memory: ProcessMemory, binary: ElfBinary, { images, record, all }: Surroundings): Finding[] {
  const { name, buildId, functions } = binary;
  const image = images.find((candidate) => candidate.buildId === buildId);
  const isRecorded = record.functions.some((found) => found.binary === name);
  if (image === undefined)
    return isRecorded ? [{ subject: name, state: "broken", evidence: "it is not loaded any more" }] : [];
  const isRedirected = functions.some(({ replacement }) => replacement !== undefined);
  return isRecorded || !isRedirected
    ? [verifyText(memory, image, all)]
    : [
        {
          subject: name,
          state: "broken",
          evidence: "it was loaded after the hotpatch and has the old code: revert and apply again",
        },
      ];
}

function verifyAreas(memory: ProcessMemory, record: PatchRecord): Finding[] {
  const { address: _address, flag: _flag, ...body } = record;
  const recordBytes = encodeRecord(body).length;
  const mappings = memory.maps();
  return record.areas.map(({ kind, address, sizeBytes, sha256 }, index) => {
    const subject = `patch memory, ${kind}, at 0x${address.toString(16)}`;
    const permissions = { constant: "r--p", code: "r-xp", data: "rw-p" }[kind];
    const mapping = mappings.find(({ start, end }) => address >= start && address + sizeBytes <= end);
    if (mapping?.permissions !== permissions)
      return {
        subject,
        state: "broken",
        evidence: `it is ${mapping?.permissions ?? "not mapped"}, not ${permissions}`,
      };
    if (kind === "data")
      return { subject, state: "proven", evidence: `${sizeBytes} bytes, writable and not executable` };
    const bytes = memory.read(address, sizeBytes);
    if (index === 0) bytes.fill(0, 0, recordBytes);
    const isSame = contentDigest(bytes) === sha256;
    return {
      subject,
      state: isSame ? "proven" : "broken",
      evidence: isSame ? `${sizeBytes} bytes are as they were linked` : "its bytes are not those that were linked",
    };
  });
}

function verifyEntries(memory: ProcessMemory, { functions }: PatchRecord): Finding[] {
  return functions.map(({ name, binary, entry, jump, gate }) => {
    const bytes = memory.readSome(entry, jump.length / 2).toString("hex");
    return {
      subject: `${binary}: ${name}`,
      state: bytes === jump ? "proven" : "broken",
      evidence:
        bytes === jump
          ? `its entry leads to the gate at 0x${gate.toString(16)}`
          : `its entry has the bytes ${bytes}, not ${jump}`,
    };
  });
}

/** Executable segments in memory against those of the file, the entries of all hotpatches put in. */
function verifyText(memory: ProcessMemory, image: LoadedImage, records: readonly PatchRecord[]): Finding {
  const subject = `text of ${image.path}`;
  const file = readImageFile(memory.pid, image);
  if (file === undefined)
    return {
      subject,
      state: "unproven",
      evidence: "its file is gone or replaced, so there is nothing to compare with",
    };
  const elf = parseElf(file);
  let compared = 0;
  for (const segment of elf.segments) {
    if (segment.type !== segmentType.load || (segment.flags & segmentFlag.execute) === 0) continue;
    const wanted = Buffer.from(segmentBytes(elf, segment));
    const start = image.bias + segment.address;
    const found = memory.readSome(start, wanted.length);
    for (const record of records) putJumps(wanted, found, start, record);
    const at = firstDifference(found, wanted);
    if (at >= 0)
      return {
        subject,
        state: "broken",
        evidence: `memory differs from the file and its hotpatches at 0x${(start + at).toString(16)}`,
      };
    compared += wanted.length;
  }
  const evidence = `${compared} bytes are those of the file and its hotpatches`;
  return { subject, state: "proven", evidence, comparedBytes: compared };
}

/** Entries of a hotpatch that is not in effect (an interrupted one, a superseded one) count where they stand. */
function putJumps(wanted: Buffer, found: Buffer, start: number, record: PatchRecord): void {
  for (const { entry, jump } of [...record.functions, ...(record.dropped ?? [])]) {
    const at = entry - start;
    const size = jump.length / 2;
    if (at < 0 || at + size > wanted.length) continue;
    if (found.subarray(at, at + size).toString("hex") === jump) wanted.write(jump, at, "hex");
  }
}

function firstDifference(found: Buffer, wanted: Buffer): number {
  if (found.equals(wanted)) return -1;
  for (let at = 0; at < wanted.length; at++) if (found[at] !== wanted[at]) return at;
  return wanted.length;
}
