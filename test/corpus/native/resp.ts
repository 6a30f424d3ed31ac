/** Replies in the protocol of Redis (RESP 2, "Redis serialization protocol specification"): as many are read as requests were sent, as its clients do. */

/** The texts of the whole values at the beginning of the bytes, in order; each without its last line break. */
export function respValues(text: string): string[] {
  const values: string[] = [];
  for (let at = 0; ; ) {
    const end = endOfValue(text, at);
    if (end === undefined) return values;
    values.push(text.slice(at, end - 2));
    at = end;
  }
}

/** Where the value that begins at `at` ends; undefined where it is not whole. Text in latin1, a byte a character. */
function endOfValue(text: string, at: number): number | undefined {
  const line = text.indexOf("\r\n", at);
  if (line < 0) return undefined;
  const count = Number(text.slice(at + 1, line));
  let end = line + 2;
  if (text[at] === "$" && count >= 0) end += count + 2;
  if (text[at] === "*")
    for (let item = 0; item < count; item++) {
      const next = endOfValue(text, end);
      if (next === undefined) return undefined;
      end = next;
    }
  return end <= text.length ? end : undefined;
}
