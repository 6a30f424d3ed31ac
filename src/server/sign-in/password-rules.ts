/**
 * Which passwords people may have (OWASP ASVS 4.0.3 clause 2.1): 12 to 128 characters of any kind, no rules of composition, and none that a guesser would try early.
 *
 * What is easy to guess is judged by zxcvbn with its list of known passwords, besides the person's own names.
 */
import { zxcvbn, zxcvbnOptions } from "@zxcvbn-ts/core";
import { adjacencyGraphs, dictionary } from "@zxcvbn-ts/language-common";
import { refuse } from "../../base/refusal.ts";

export const passwordLimits = { characters: { least: 12, most: 128 }, score: 3 } as const;

zxcvbnOptions.setOptions({ dictionary, graphs: adjacencyGraphs });

/** Characters look alike and differ in bytes: NFKC, as NIST SP 800-63B section 5.1.1.2 asks for. */
export function normalized(password: string): string {
  return password.normalize("NFKC");
}

/** Refuses with `access/password-weak`. */
export function checkPassword(password: string, names: readonly string[]): void {
  const { least, most } = passwordLimits.characters;
  const length = [...normalized(password)].length;
  if (length < least || length > most) {
    refuse(
      "access/password-weak",
      `A password has ${least} to ${most} characters; a few words that belong together nowhere else do well.`,
    );
  }
  const { score } = zxcvbn(normalized(password), [...names, "rebootless"]);
  if (score < passwordLimits.score) {
    refuse(
      "access/password-weak",
      "This password would be guessed soon: it is a known one, or made of few parts. Take a longer one, such as five words by chance.",
    );
  }
}
