/**
 * Is this process Node.js, and which version? Told by the content of the executable, never by its name and never by running it.
 *
 * The program that asks may be root and the executable a stranger's, so it is only read, in a bounded stream.
 * Node carries its own version in the text `node.js/vX.Y.Z`, which its inspector sends (src/inspector_socket_server.cc), beside the names of its own scripts; programs that merely embed V8, Deno and Bun carry neither.
 * Electron carries both, and beside them the name of the variable that makes it act as Node.
 */
import { closeSync, openSync, readSync } from "node:fs";
import { absenceOf, readProcText } from "./proc-file.ts";
import type { ProcessInfo } from "./process.ts";

export type NodeClassification =
  | { readonly kind: "node" /** Such as `26.10.0`. */; readonly version: string }
  | { readonly kind: "other"; readonly reason: string }
  | { readonly kind: "unknown"; readonly reason: string };

/** Smaller files cannot hold V8; they are left unread unless they load Node as a library. */
const engineBytesMin = 8n * 1024n * 1024n;
const scanBytesMax = 1024 * 1024 * 1024;
const chunkBytes = 4 * 1024 * 1024;
const mapsBytes = 4 * 1024 * 1024;

const cache = new Map<string, NodeClassification>();
const cacheEntriesMax = 4096;

export function classifyNode(process: ProcessInfo): NodeClassification {
  const { executable, pid } = process;
  if (executable === undefined) {
    return process.commandLine.length === 0
      ? { kind: "other", reason: "It has no executable (a kernel thread or a process that has ended)." }
      : { kind: "unknown", reason: "This user may not look at its executable." };
  }
  const key = `${executable.device}:${executable.inode}:${executable.sizeBytes}:${executable.modifiedNs}`;
  const known = cache.get(key);
  if (known !== undefined) return known;
  const library = executable.sizeBytes < engineBytesMin ? nodeLibrary(pid) : undefined;
  if (library === undefined && executable.sizeBytes < engineBytesMin) {
    return { kind: "other", reason: `${executable.path} is not Node.js.` };
  }
  const answer = scan(library ?? `/proc/${pid}/exe`, executable.path);
  // What could not be read now may be readable later; a small program may load another library next time.
  if (answer.kind !== "unknown" && library === undefined) {
    if (cache.size >= cacheEntriesMax) cache.clear();
    cache.set(key, answer);
  }
  return answer;
}

/** Some distributions keep Node in libnode.so; the path that is opened is that of the mapping itself, in the process's own mount namespace. */
function nodeLibrary(pid: number): string | undefined {
  for (const line of (readProcText(`/proc/${pid}/maps`, mapsBytes) ?? "").split("\n")) {
    const match = /^([0-9a-f]+-[0-9a-f]+) .*\/libnode\.so[.0-9]*$/.exec(line);
    if (match !== null) return `/proc/${pid}/map_files/${match[1]}`;
  }
  return undefined;
}

const nodeMarker = Buffer.from("node.js/v");
const scriptMarker = Buffer.from("internal/bootstrap/node");
const electronMarker = Buffer.from("ELECTRON_RUN_AS_NODE");
/** Longer than any marker with what follows it, so that one on the border of two chunks is seen. */
const overlapBytes = 64;

interface Markers {
  version: string | undefined;
  scripts: boolean;
  electron: boolean;
}

function scan(path: string, shownPath: string): NodeClassification {
  let markers: Markers | undefined;
  try {
    markers = readMarkers(path);
  } catch (error) {
    const absence = absenceOf(error);
    return { kind: "unknown", reason: absence === "gone" ? "It has ended." : "This user may not read its executable." };
  }
  if (markers === undefined) return { kind: "other", reason: `${shownPath} is not an ELF program.` };
  if (markers.electron) return { kind: "other", reason: `${shownPath} is Electron, which is not Node.js itself.` };
  if (markers.version === undefined || !markers.scripts)
    return { kind: "other", reason: `${shownPath} is not Node.js.` };
  return { kind: "node", version: markers.version };
}

function readMarkers(path: string): Markers | undefined {
  const descriptor = openSync(path, "r");
  try {
    const buffer = Buffer.allocUnsafe(overlapBytes + chunkBytes);
    const markers: Markers = { version: undefined, scripts: false, electron: false };
    let kept = 0;
    for (let position = 0; position < scanBytesMax; ) {
      const count = readSync(descriptor, buffer, kept, chunkBytes, position);
      if (count === 0) break;
      const window = buffer.subarray(0, kept + count);
      if (position === 0 && !window.subarray(0, 4).equals(Buffer.from("\x7fELF", "latin1"))) return undefined;
      look(window, markers);
      position += count;
      kept = Math.min(overlapBytes, window.length);
      window.copy(buffer, 0, window.length - kept);
    }
    return markers;
  } finally {
    closeSync(descriptor);
  }
}

function look(window: Buffer, markers: Markers): void {
  markers.scripts ||= window.includes(scriptMarker);
  markers.electron ||= window.includes(electronMarker);
  for (
    let at = window.indexOf(nodeMarker);
    at >= 0 && markers.version === undefined;
    at = window.indexOf(nodeMarker, at + 1)
  ) {
    const end = at + nodeMarker.length + 32;
    // A version that the border cuts would be read wrong; the overlap brings it again as a whole.
    if (end > window.length) return;
    const text = window.toString("latin1", at + nodeMarker.length, end);
    markers.version = /^(\d{1,3}\.\d{1,3}\.\d{1,3}(?:-[0-9A-Za-z.]{1,16})?)(?![0-9.])/.exec(text)?.[1];
  }
}
