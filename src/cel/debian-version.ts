/** The order of Debian versions: `[epoch:]upstream[-revision]` (deb-version(7), Sorting algorithm). */

interface Parts {
  readonly epoch: number;
  readonly upstream: string;
  readonly revision: string;
}

function partsOf(version: string): Parts {
  const colon = version.indexOf(":");
  const epoch = colon > 0 && /^\d+$/.test(version.slice(0, colon)) ? Number(version.slice(0, colon)) : 0;
  const rest = colon > 0 ? version.slice(colon + 1) : version;
  const dash = rest.lastIndexOf("-");
  return dash < 0
    ? { epoch, upstream: rest, revision: "0" }
    : { epoch, upstream: rest.slice(0, dash), revision: rest.slice(dash + 1) };
}

/** A tilde sorts before the end, the end before letters, and letters before all else. */
function rank(character: string | undefined): number {
  if (character === "~") return -1;
  if (character === undefined || /\d/.test(character)) return 0;
  const code = character.charCodeAt(0);
  return /[A-Za-z]/.test(character) ? code : code + 65_536;
}

/** Compares by turns what is no digit, character by character, and digits as numbers. */
function compareParts(left: string, right: string): number {
  let [a, b] = [0, 0];
  while (a < left.length || b < right.length) {
    while ((a < left.length && !isDigit(left[a])) || (b < right.length && !isDigit(right[b]))) {
      const difference = rank(left[a]) - rank(right[b]);
      if (difference !== 0) return difference;
      a += 1;
      b += 1;
    }
    const [inLeft, inRight] = [digitsAt(left, a), digitsAt(right, b)];
    const difference = compareDigits(inLeft, inRight);
    if (difference !== 0) return difference;
    a += inLeft.length;
    b += inRight.length;
  }
  return 0;
}

function isDigit(character: string | undefined): boolean {
  return character !== undefined && character >= "0" && character <= "9";
}

function digitsAt(text: string, start: number): string {
  let end = start;
  while (isDigit(text[end])) end += 1;
  return text.slice(start, end);
}

/** As numbers of any length. */
function compareDigits(left: string, right: string): number {
  const [a, b] = [left.replace(/^0+/, ""), right.replace(/^0+/, "")];
  if (a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Below zero where `left` is the older one, above where it is the newer one. */
export function compareDebianVersions(left: string, right: string): number {
  const [a, b] = [partsOf(left), partsOf(right)];
  if (a.epoch !== b.epoch) return a.epoch - b.epoch;
  return compareParts(a.upstream, b.upstream) || compareParts(a.revision, b.revision);
}
