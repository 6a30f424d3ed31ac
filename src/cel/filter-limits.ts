/** The bounds of expressions over devices; docs/filters.md prints the same table, and a test compares the two. */
export const filterLimits = {
  /** Characters of an expression. */
  characters: 2_000,
  /** Values, names, operators and calls in it. */
  parts: 400,
  /** How deep they stand in one another. */
  depth: 32,
  /** Elements of one list that is written out. */
  elements: 100,
  /** Characters of a pattern of `matches`. */
  patternCharacters: 100,
  /** Instructions that a pattern comes to, which bounds the time for each character. */
  patternInstructions: 200,
  /** Steps that one evaluation may take at worst, by a count before the first one. */
  steps: 250_000,
} as const;
