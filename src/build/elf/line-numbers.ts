/**
 * Keeping line numbers still: the fixed source gets `#line` directives, so that what the fix did not touch keeps the numbers that it had.
 *
 * Without them, one line added at the top of a file changes `__LINE__` in every assertion below it, and every function with an assertion would count as changed.
 * A directive only goes where a line begins in plain code: outside of comments, strings, continued lines and parentheses (C11 6.10.4; a directive among the arguments of a macro is undefined, 6.10.3 p11).
 */

/** Lines `start` to `end` (from 0, end exclusive) of the old text became lines of the new one. */
export interface LineChange {
  readonly oldStart: number;
  readonly oldEnd: number;
  readonly newStart: number;
  readonly newEnd: number;
}

/** From the output of `diff` in its normal format (POSIX diff, "Diff Default Output Format"). */
export function parseNormalDiff(text: string): LineChange[] {
  const changes: LineChange[] = [];
  for (const [, a = "", b, kind, c = "", d] of text.matchAll(/^(\d+)(?:,(\d+))?([acd])(\d+)(?:,(\d+))?$/gm)) {
    // `a` and `d` name the line after which something was added or is missing.
    const oldStart = kind === "a" ? Number(a) : Number(a) - 1;
    const newStart = kind === "d" ? Number(c) : Number(c) - 1;
    changes.push({
      oldStart,
      oldEnd: kind === "a" ? oldStart : Number(b ?? a),
      newStart,
      newEnd: kind === "d" ? newStart : Number(d ?? c),
    });
  }
  return changes;
}

/** The new text with directives; unchanged where the text numbers its lines itself, as the output of bison and flex does. */
export function keepLineNumbers(text: string, changes: readonly LineChange[]): string {
  if (/^[ \t]*#[ \t]*(line[ \t]|\d)/m.test(text)) return text;
  const lines = text.split("\n");
  const plain = plainLineStarts(lines);
  const directives = new Map<number, string>();
  // By how much the compiler's count is ahead of the place in the text.
  let ahead = 0;
  for (const [index, change] of changes.entries()) {
    const wanted = change.oldEnd - change.newEnd;
    if (wanted === ahead) continue;
    const limit = changes[index + 1]?.newStart ?? lines.length - 1;
    const line = plain.findIndex((isPlain, place) => isPlain && place >= change.newEnd && place < limit);
    if (line < 0) continue;
    directives.set(line, `#line ${line + wanted + 1}`);
    ahead = wanted;
  }
  return lines
    .flatMap((line, index) => {
      const directive = directives.get(index);
      return directive === undefined ? [line] : [directive, line];
    })
    .join("\n");
}

interface LexState {
  inComment: boolean;
  parentheses: number;
  rawEnd: string | undefined;
}

/** Which lines begin in plain code. */
function plainLineStarts(lines: readonly string[]): boolean[] {
  const state: LexState = { inComment: false, parentheses: 0, rawEnd: undefined };
  let continued = false;
  let directive = false;
  return lines.map((line) => {
    const plain = !continued && !state.inComment && state.parentheses === 0 && state.rawEnd === undefined;
    if (!continued) directive = plain && /^[ \t]*#/.test(line);
    const before = state.parentheses;
    scanLine(line, state);
    // Parentheses of a macro's definition need not balance, and those of a condition are closed on its own lines.
    if (directive) state.parentheses = before;
    continued = /\\\r?$/.test(line);
    return plain;
  });
}

function scanLine(line: string, state: LexState): void {
  for (let at = 0; at < line.length; at++) {
    if (state.rawEnd !== undefined) {
      const end = line.indexOf(state.rawEnd, at);
      if (end < 0) return;
      at = end + state.rawEnd.length - 1;
      state.rawEnd = undefined;
    } else if (state.inComment) {
      const end = line.indexOf("*/", at);
      if (end < 0) return;
      at = end + 1;
      state.inComment = false;
    } else if (line.startsWith("//", at)) return;
    else if (line.startsWith("/*", at)) {
      state.inComment = true;
      at++;
    } else if (line[at] === '"' || line[at] === "'") at = endOfLiteral(line, at, state);
    else if (line[at] === "(") state.parentheses++;
    else if (line[at] === ")") state.parentheses = Math.max(0, state.parentheses - 1);
  }
}

/** The place of a literal's last character; a raw string of C++ may go on behind the line. */
function endOfLiteral(line: string, start: number, state: LexState): number {
  const raw = line[start] === '"' && line[start - 1] === "R" ? /^"([^()\\\s]{0,16})\(/.exec(line.slice(start)) : null;
  if (raw !== null) {
    state.rawEnd = `)${raw[1]}"`;
    return start + raw[0].length - 1;
  }
  // An apostrophe between digits separates them in C++14.
  if (
    line[start] === "'" &&
    /[0-9a-fA-F]/.test(line[start - 1] ?? "") &&
    /[0-9a-fA-F]/.test(line[start + 1] ?? "") &&
    line[start + 2] !== "'"
  )
    return start;
  for (let at = start + 1; at < line.length; at++) {
    if (line[at] === "\\") at++;
    else if (line[at] === line[start]) return at;
  }
  return line.length;
}
