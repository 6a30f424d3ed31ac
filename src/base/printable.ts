/**
 * Text from outside made safe for a terminal.
 *
 * A hotpatch is shown before it is trusted, so no string of it may move the cursor, change colours, set titles, reverse the reading direction or hide characters.
 */

/**
 * Control characters (C0, DEL, C1), format characters (bidirectional controls, zero-width characters, tags), line and paragraph separators, private use and unpaired surrogates.
 * Line feed is among them: a string that is to stand on one line must not start another.
 */
const unsafe = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}]/gu;

/** The same text with each unsafe character written as `\u{1b}`. */
export function printable(text: string): string {
  return text.replace(unsafe, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
}

/** A string for a message: in double quotes, printable, and cut to a bounded length. */
export function quoted(text: string, maxCharacters = 120): string {
  const shown = text.length > maxCharacters ? `${text.slice(0, maxCharacters)}…` : text;
  return `"${printable(shown)}"`;
}

/** JSON with each unsafe character as a `\uXXXX` escape: the same document, safe to print. Line feeds and tabs between its tokens stay. */
export function printableJson(json: string): string {
  return json.replace(unsafe, (character) =>
    character === "\n" || character === "\t" ? character : jsonEscape(character),
  );
}

function jsonEscape(character: string): string {
  // One escape for each UTF-16 code unit, since JSON knows no longer ones.
  return character
    .split("")
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)
    .join("");
}
