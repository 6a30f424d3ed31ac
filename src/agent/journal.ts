/**
 * What the agent has taken on, and what it has not told yet: an append-only file that is written before each effect.
 *
 * A line is the first 16 hexadecimal digits of the SHA-256 of its JSON, a space, the JSON, and a line feed.
 * Every line is on the disk (fsync) before anything that it announces is done.
 * A last line that is torn was never acted upon, and is cut off; a damaged line before it is an error, since what it said is not known.
 */
import { createHash } from "node:crypto";
import {
  closeSync,
  constants,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import path from "node:path";
import type { Report } from "../api/schemas/actions.ts";
import { RebootlessError } from "../base/errors.ts";
import { quoted } from "../base/printable.ts";
import { errnoOf } from "../base/stored-file.ts";
import type { Course } from "./course.ts";

export type Entry =
  /** A course is at a new stage, and the report that tells of it waits from now on. */
  | { readonly kind: "moved"; readonly course: Course; readonly report?: Report }
  | { readonly kind: "forgotten"; readonly actionId: string }
  /** The server has the report, or declined it for good. */
  | { readonly kind: "told"; readonly key: string; readonly changedAt?: string }
  | { readonly kind: "whole"; readonly courses: readonly Course[]; readonly reports: readonly Report[] };

export interface JournalState {
  /** By the id of the action. */
  readonly courses: Map<string, Course>;
  /** In the order in which they are to be told. */
  readonly reports: Report[];
}

const digits = 16;
const compactAboveBytes = 256 * 1024;

export class Journal {
  readonly state: JournalState;
  readonly #file: string;
  readonly #onPoint: (point: string) => void;
  #descriptor: number;
  #sizeBytes: number;

  private constructor(file: string, opened: { state: JournalState; sizeBytes: number }, onPoint: (p: string) => void) {
    this.#file = file;
    this.state = opened.state;
    this.#onPoint = onPoint;
    this.#descriptor = openSync(file, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT, 0o600);
    this.#sizeBytes = opened.sizeBytes;
    // What a torn line left would otherwise stand before the next one.
    ftruncateSync(this.#descriptor, this.#sizeBytes);
    fsyncSync(this.#descriptor);
  }

  /** `onPoint` is told before and after each write. Throws `agent/state-damaged`. */
  static open(file: string, onPoint: (point: string) => void = () => undefined): Journal {
    return new Journal(file, readJournal(file), onPoint);
  }

  /** On the disk when it returns. Throws `failure/file-write`, and the journal is as before then. */
  append(entry: Entry): void {
    const name = entry.kind === "moved" ? `journal ${entry.course.stage}` : `journal ${entry.kind}`;
    this.#onPoint(`before ${name}`);
    const bytes = Buffer.from(lineOf(entry));
    try {
      for (let written = 0; written < bytes.length; ) written += writeSync(this.#descriptor, bytes, written);
      fsyncSync(this.#descriptor);
    } catch (error) {
      // A full disk takes a part of a line at times.
      ftruncateSync(this.#descriptor, this.#sizeBytes);
      throw new RebootlessError(
        "failure/file-write",
        `The agent's journal ${quoted(this.#file)} cannot be written: ${errnoOf(error) ?? "unknown error"}. Nothing is begun that is not in it.`,
        { cause: error },
      );
    }
    this.#sizeBytes += bytes.length;
    apply(this.state, entry);
    this.#onPoint(`after ${name}`);
  }

  /**
   * Writes the state as one line into a new file that takes the place of the old one, where that has grown.
   * All in one turn: a line that came in between would be lost with the old file. Throws `failure/file-write`.
   */
  compactIfLarge(): void {
    if (this.#sizeBytes <= compactAboveBytes) return;
    const { courses, reports } = this.state;
    const bytes = Buffer.from(lineOf({ kind: "whole", courses: [...courses.values()], reports }));
    const temporary = `${this.#file}.new`;
    try {
      writeFileSync(temporary, bytes, { mode: 0o600, flush: true });
      renameSync(temporary, this.#file);
      syncFolder(path.dirname(this.#file));
    } catch (error) {
      rmSync(temporary, { force: true });
      throw new RebootlessError("failure/file-write", `${quoted(temporary)} cannot be written: ${errnoOf(error)}.`, {
        cause: error,
      });
    }
    closeSync(this.#descriptor);
    this.#descriptor = openSync(this.#file, constants.O_WRONLY | constants.O_APPEND);
    this.#sizeBytes = bytes.length;
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}

/** A new name in a folder survives a power cut only once the folder itself is synced (fsync(2)). */
function syncFolder(folder: string): void {
  const descriptor = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function lineOf(entry: Entry): string {
  const json = JSON.stringify(entry);
  return `${checksum(json)} ${json}\n`;
}

function checksum(json: string): string {
  return createHash("sha256").update(json).digest("hex").slice(0, digits);
}

function apply(state: JournalState, entry: Entry): void {
  const { courses, reports } = state;
  if (entry.kind === "forgotten") {
    courses.delete(entry.actionId);
  } else if (entry.kind === "moved") {
    courses.set(entry.course.actionId, entry.course);
    if (entry.report !== undefined) reports.push(entry.report);
  } else if (entry.kind === "told") {
    const index = reports.findIndex(({ key }) => key === entry.key);
    const [report] = index < 0 ? [] : reports.splice(index, 1);
    const course = report === undefined ? undefined : courses.get(report.actionId);
    if (course !== undefined && entry.changedAt !== undefined) {
      courses.set(course.actionId, { ...course, seenChangedAt: entry.changedAt });
    }
  } else {
    courses.clear();
    for (const course of entry.courses) courses.set(course.actionId, course);
    reports.splice(0, reports.length, ...entry.reports);
  }
}

/** The state that a journal tells of, and how many of its bytes are whole lines; a missing one tells of nothing. Throws `agent/state-damaged`. */
export function readJournal(file: string): { state: JournalState; sizeBytes: number } {
  const state: JournalState = { courses: new Map(), reports: [] };
  const bytes = bytesOf(file);
  let sizeBytes = 0;
  while (sizeBytes < bytes.length) {
    const end = bytes.indexOf(0x0a, sizeBytes);
    const entry = end < 0 ? undefined : entryOf(bytes.toString("utf8", sizeBytes, end));
    if (entry === undefined) {
      if (end < 0 || end === bytes.length - 1) break;
      throw new RebootlessError(
        "agent/state-damaged",
        `The agent's journal ${quoted(file)} is damaged at byte ${sizeBytes}: check the disk, then move the file away; what is in place stays, and the agent looks at every process again.`,
        { details: { file, offset: sizeBytes } },
      );
    }
    apply(state, entry);
    sizeBytes = end + 1;
  }
  return { state, sizeBytes };
}

function bytesOf(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return Buffer.alloc(0);
    throw new RebootlessError("agent/state-damaged", `The agent's journal ${quoted(file)} cannot be read.`, {
      cause: error,
    });
  }
}

/** The checksum proves that the agent wrote the line, so its fields are what the agent writes. */
function entryOf(line: string): Entry | undefined {
  const json = line.slice(digits + 1);
  return line[digits] === " " && line.slice(0, digits) === checksum(json) ? (JSON.parse(json) as Entry) : undefined;
}
