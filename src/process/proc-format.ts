/**
 * Texts of /proc to values and back: pure, no I/O.
 *
 * The formats are those of proc(5) and of the kernel's Documentation/filesystems/proc.rst.
 * A process writes some of these texts itself (its name, its command line, its environment), so nothing here trusts what it reads: odd input gives `undefined` or is left out, and never throws.
 */

export interface ProcessStat {
  readonly pid: number;
  readonly comm: string;
  /** One letter: R running, S sleeping, D uninterruptible, Z zombie, T stopped, t stopped by a tracer, I idle, X dead. */
  readonly state: string;
  readonly parentPid: number;
  readonly threads: number;
  /** Clock ticks since boot (proc(5), stat field 22). */
  readonly startTicks: bigint;
  /** Where the first thread's stack began when the program was executed (field 28); above are its arguments and environment. 0 where this user may not see it. */
  readonly startStack: number;
  /** Another one once the process executes another program (fields 26 and 28: where its code and its stack begin); `0:0` where this user may not see it. */
  readonly addressSpace: string;
}

/** Reads /proc/PID/stat; the name stands between the first `(` and the last `)`, since it may hold both, and spaces. */
export function parseStat(text: string): ProcessStat | undefined {
  const open = text.indexOf("(");
  const close = text.lastIndexOf(")");
  if (open < 1 || close < open) return undefined;
  const pid = Number(text.slice(0, open).trim());
  // The first field after the name is the third of proc(5), the state.
  const fields = text
    .slice(close + 1)
    .trim()
    .split(" ");
  const [state, parent] = fields;
  const threads = fields[20 - 3];
  const start = fields[22 - 3];
  if (!Number.isInteger(pid) || state === undefined || !/^\d+$/.test(parent ?? "") || !/^\d+$/.test(start ?? ""))
    return undefined;
  return {
    pid,
    comm: text.slice(open + 1, close),
    state,
    parentPid: Number(parent),
    threads: Number(threads),
    startTicks: BigInt(start as string),
    startStack: Number(fields[28 - 3] ?? 0),
    addressSpace: `${fields[26 - 3] ?? 0}:${fields[28 - 3] ?? 0}`,
  };
}

export interface ProcessStatus {
  readonly uid: { readonly real: number; readonly effective: number };
  readonly gid: { readonly real: number; readonly effective: number };
  /** The id of the process in each PID namespace, the outermost first; the last is the id that the process itself sees. */
  readonly namespacePids: readonly number[];
  /** 0 when nothing traces the process. */
  readonly tracerPid: number;
  /** Bit n-1 stands for signal n. */
  readonly signalsCaught: bigint;
  readonly signalsIgnored: bigint;
}

/** Reads /proc/PID/status. */
export function parseStatus(text: string): ProcessStatus | undefined {
  const fields = new Map<string, string>();
  for (const line of text.split("\n")) {
    const colon = line.indexOf(":");
    // The first line of a name wins: a later one could only be forged by a name with a line break in it, which the kernel escapes.
    if (colon > 0 && !fields.has(line.slice(0, colon))) fields.set(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  const ids = (name: string) => (fields.get(name) ?? "").split(/\s+/).map(Number);
  const [realUid, effectiveUid] = ids("Uid");
  const [realGid, effectiveGid] = ids("Gid");
  if (realUid === undefined || effectiveUid === undefined || realGid === undefined || effectiveGid === undefined)
    return undefined;
  return {
    uid: { real: realUid, effective: effectiveUid },
    gid: { real: realGid, effective: effectiveGid },
    namespacePids: fields.has("NSpid") ? ids("NSpid") : ids("Pid"),
    tracerPid: Number(fields.get("TracerPid") ?? 0),
    signalsCaught: hexadecimal(fields.get("SigCgt")),
    signalsIgnored: hexadecimal(fields.get("SigIgn")),
  };
}

function hexadecimal(text: string | undefined): bigint {
  return text !== undefined && /^[0-9a-f]{1,32}$/i.test(text) ? BigInt(`0x${text}`) : 0n;
}

/** Reads a text of parts that each end in NUL (/proc/PID/cmdline, environ); a last part without its NUL was cut and still counts. */
export function parseNulTerminated(text: string): string[] {
  if (text === "") return [];
  return (text.endsWith("\0") ? text.slice(0, -1) : text).split("\0");
}

/** Reads /proc/PID/environ; the first of two values of one name wins, as getenv(3) has it. */
export function parseEnvironment(text: string): Map<string, string> {
  const environment = new Map<string, string>();
  for (const part of parseNulTerminated(text)) {
    const equals = part.indexOf("=");
    if (equals > 0 && !environment.has(part.slice(0, equals)))
      environment.set(part.slice(0, equals), part.slice(equals + 1));
  }
  return environment;
}

export interface TcpListener {
  /** As written in an address: `127.0.0.1`, `::1`, `0.0.0.0`, `::`. */
  readonly host: string;
  readonly port: number;
  readonly inode: string;
}

const tcpListenState = "0A";

/** Reads the listening sockets of /proc/PID/net/tcp or tcp6. */
export function parseTcpListeners(text: string): TcpListener[] {
  const listeners: TcpListener[] = [];
  for (const line of text.split("\n")) {
    // Most lines of a busy machine are connections; they are left before they are split.
    if (!line.includes(` ${tcpListenState} `)) continue;
    const fields = line.trim().split(/\s+/);
    const match = /^([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4})$/.exec(fields[1] ?? "");
    const inode = fields[9];
    if (match === null || fields[3] !== tcpListenState || inode === undefined) continue;
    listeners.push({ host: formatHost(match[1] as string), port: Number.parseInt(match[2] as string, 16), inode });
  }
  return listeners;
}

/** The kernel prints an address as 32-bit words of the machine's own byte order; on the machines we know, little-endian. */
function formatHost(hex: string): string {
  const bytes: number[] = [];
  for (let word = 0; word < hex.length; word += 8) {
    for (let at = word + 6; at >= word; at -= 2) bytes.push(Number.parseInt(hex.slice(at, at + 2), 16));
  }
  if (bytes.length === 4) return bytes.join(".");
  const groups: string[] = [];
  for (let at = 0; at < 16; at += 2)
    groups.push((((bytes[at] as number) << 8) | (bytes[at + 1] as number)).toString(16));
  if (groups.slice(0, 5).every((group) => group === "0") && groups[5] === "ffff") return bytes.slice(12).join(".");
  const longest = /(^|:)0(:0)+(:|$)/.exec(groups.join(":"));
  return longest === null ? groups.join(":") : groups.join(":").replace(longest[0], "::");
}

export interface UnixListener {
  /** As the process bound it, seen from its own root folder; an abstract name starts with `@`. */
  readonly path: string;
  readonly inode: string;
}

/** The kernel's __SO_ACCEPTCON, set on sockets that listen. */
const acceptConnections = 0x10000;

/** Reads the listening sockets of /proc/PID/net/unix. */
export function parseUnixListeners(text: string): UnixListener[] {
  const listeners: UnixListener[] = [];
  for (const line of text.split("\n")) {
    const match = /^[0-9a-f]+: [0-9A-F]{8} [0-9A-F]{8} ([0-9A-F]{8}) [0-9A-F]{4} [0-9A-F]{2}\s+(\d+) (.+)$/i.exec(line);
    if (match === null || (Number.parseInt(match[1] as string, 16) & acceptConnections) === 0) continue;
    listeners.push({ inode: match[2] as string, path: match[3] as string });
  }
  return listeners;
}
