/**
 * A new expression for an arrow function without braces, in a form in which V8 finds the function again.
 *
 * V8 finds a function again only if its end lies outside of what changed, so the old expression stays at the end, as the branch that is never taken: `true ? (new) : old`.
 * Within a changed line V8 compares character by character and takes the first characters that match (liveedit-diff.cc): if the new expression held all characters of the old one in their order, the old end would be matched somewhere inside the new expression.
 * So the text in front lacks at least one character of the old expression; where it has all of them, one is written as an escape.
 */
import { tokenizer, tokTypes } from "acorn";

/** Names that lose their meaning when they are written with an escape. */
const contextual = new Set([
  "async",
  "await",
  "yield",
  "let",
  "static",
  "get",
  "set",
  "of",
  "new",
  "target",
  "meta",
  "import",
]);
const openings = ["true", "!0", "1", "[]"];

/** The conditional expression; undefined where no spelling helps. */
export function besideOld(expression: string, old: string): string | undefined {
  const candidates = [...new Set(old)].filter((character) => character.trim() !== "");
  for (const opening of openings) {
    const front = `${opening} ? (${expression}) : `;
    if (candidates.some((character) => !front.includes(character))) return front + old;
  }
  for (const character of candidates.filter((candidate) => /[A-Za-z_$]/.test(candidate))) {
    const escaped = withoutCharacter(expression, character);
    const opening = openings.find((text) => !text.includes(character));
    if (escaped !== undefined && opening !== undefined) return `${opening} ? (${escaped}) : ${old}`;
  }
  return undefined;
}

/** The same program without the character; undefined where it stands in something that has no other spelling. */
function withoutCharacter(text: string, character: string): string | undefined {
  const spelling = `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  if (spelling.includes(character)) return undefined;
  let result = "";
  let at = 0;
  for (const { start, end, type } of tokensOf(text)) {
    const raw = text.slice(start, end);
    const isMember = /\.\s*$/.test(text.slice(0, start));
    const isName = (type === tokTypes.name && (isMember || !contextual.has(raw))) || type === tokTypes.privateId;
    const isString = type === tokTypes.string && !raw.includes("\\");
    result += text.slice(at, start) + (isName || isString ? raw.replaceAll(character, spelling) : raw);
    at = end;
  }
  result += text.slice(at);
  return result.includes(character) ? undefined : result;
}

function tokensOf(text: string): { start: number; end: number; type: unknown }[] {
  try {
    return [...tokenizer(text, { ecmaVersion: "latest" })];
  } catch {
    // What cannot be cut into tokens on its own has no other spelling here.
    return [];
  }
}
