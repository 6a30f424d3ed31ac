/**
 * What the command line and NODE_OPTIONS of a Node.js process say about its inspector.
 *
 * The reading leans to the safe side: whatever stands behind the script belongs to the script, and a flag that is missed here is caught by the signal mask, which alone decides whether a signal is sent.
 */

export interface InspectorOptions {
  /** Where SIGUSR1 would open the inspector; port 0 stands for any. */
  readonly host: string;
  readonly port: number;
  /** Started with --inspect, --inspect-brk or --inspect-wait. */
  readonly inspect: boolean;
  readonly signalDisabled: boolean;
  /** The permission model is on, and the inspector is not allowed. */
  readonly permissionModel: boolean;
}

/** Options whose value may stand in the next argument, so that the value is not taken for the script. */
const optionsWithValue = new Set([
  ...["-r", "--require", "--import", "--loader", "--experimental-loader", "-C", "--conditions", "--env-file"],
  ...["--env-file-if-exists", "--title", "--icu-data-dir", "--openssl-config", "--input-type", "--disable-warning"],
  ...["--inspect-port", "--debug-port", "--max-http-header-size", "--unhandled-rejections", "--dns-result-order"],
  ...[
    "--redirect-warnings",
    "--diagnostic-dir",
    "--report-dir",
    "--report-directory",
    "--watch-path",
    "--localstorage-file",
  ],
  ...[
    "--max-old-space-size",
    "--stack-trace-limit",
    "--tls-cipher-list",
    "--secure-heap",
    "--allow-fs-read",
    "--allow-fs-write",
  ],
]);

export function inspectorOptions(commandLine: readonly string[], nodeOptions: string | undefined): InspectorOptions {
  const found = {
    host: "127.0.0.1",
    port: 9229,
    inspect: false,
    signalDisabled: false,
    permission: false,
    allowed: false,
  };
  const fromEnvironment = splitNodeOptions(nodeOptions ?? "");
  for (const [name, value] of [...flags(fromEnvironment), ...flags(commandLine.slice(1))]) {
    if (name === "--disable-sigusr1") found.signalDisabled = true;
    if (name === "--permission" || name === "--experimental-permission") found.permission = true;
    if (name === "--allow-inspector") found.allowed = true;
    if (name === "--inspect" || name === "--inspect-brk" || name === "--inspect-wait") found.inspect = true;
    if (found.inspect || name === "--inspect-port" || name === "--debug-port") {
      if (/^--(inspect(-brk|-wait|-port)?|debug-port)$/.test(name) && value !== undefined)
        Object.assign(found, parseAddress(value));
    }
  }
  const { host, port, inspect, signalDisabled } = found;
  return { host, port, inspect, signalDisabled, permissionModel: found.permission && !found.allowed };
}

/** The options of Node itself, each with its value; ends at the script. */
function* flags(words: readonly string[]): Generator<readonly [string, string | undefined]> {
  for (let at = 0; at < words.length; at++) {
    const word = words[at] as string;
    if (word === "--" || word === "-" || !word.startsWith("-")) return;
    const equals = word.indexOf("=");
    // Node takes underscores for dashes in the names of its options.
    const name = (equals < 0 ? word : word.slice(0, equals)).replaceAll("_", "-");
    if (equals >= 0) yield [name, word.slice(equals + 1)];
    else if (optionsWithValue.has(name)) yield [name, words[++at]];
    else if (/^-(e|p|pe|-eval|-print)$/.test(name)) at++;
    else yield [name, undefined];
  }
}

function parseAddress(text: string): { host?: string; port?: number } {
  const match = /^(?:(?:\[([^\]]+)\]|([^:]+)):)?(\d{1,5})$/.exec(text);
  if (match === null) return /^[\w.-]+$/.test(text) ? { host: text } : {};
  const host = match[1] ?? match[2];
  return { ...(host === undefined ? {} : { host }), port: Number(match[3]) };
}

/** NODE_OPTIONS is split at spaces; double quotes keep spaces, and a backslash escapes within them (Node's ParseNodeOptionsEnvVar). */
export function splitNodeOptions(text: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const character = text[at] as string;
    if (character === "\\" && quoted) word = (word ?? "") + (text[++at] ?? "");
    else if (character === '"') {
      quoted = !quoted;
      word ??= "";
    } else if (character === " " && !quoted) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else word = (word ?? "") + character;
  }
  if (word !== undefined) words.push(word);
  return words;
}
