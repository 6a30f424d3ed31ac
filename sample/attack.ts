/** The attack on the settings service, and the judgement whether its hole is open. */
import type { SettingsAnswer, SettingsService } from "./settings-service.ts";

/** What an ordinary user sends. */
export const honestSettings = "{ theme: 'dark', pageSize: 0x32, /* JSON5 */ }";
/** What the service was written to refuse. */
export const clumsyAttack = "{ theme: 'dark', administrator: true }";
/** CVE-2022-46175: the key becomes the prototype of the parsed object. */
export const attack = "{ theme: 'dark', __proto__: { administrator: true } }";

export type HoleState = "open" | "closed";

/**
 * Open: the answer holds what only administrators get.
 * Closed: the service refused the key by its name, as it does on the fixed version, where `__proto__` is a key like any other.
 * Throws for any answer in between, which neither version gives.
 */
export function holeState(answer: SettingsAnswer): HoleState {
  if (answer.status === 200 && answer.body.administration !== undefined) return "open";
  if (answer.status === 400 && answer.body.error === '"__proto__" is not a setting') return "closed";
  throw new Error(
    `The service gave an answer to the attack that neither version gives: ${answer.status} ${answer.text}`,
  );
}

/** Throws unless honest users and the true administrator are served as ever. */
export async function expectOrdinaryService(service: SettingsService, administratorToken: string): Promise<void> {
  const honest = await service.send(honestSettings);
  const expected = { theme: "dark", language: "en", pageSize: 50 };
  if (JSON.stringify(honest.body.settings) !== JSON.stringify(expected) || honest.body.administration !== undefined) {
    throw new Error(`An honest user got a wrong answer: ${honest.status} ${honest.text}`);
  }
  const administrator = await service.send(honestSettings, administratorToken);
  if (administrator.body.administration === undefined) {
    throw new Error(`The true administrator did not get in: ${administrator.status} ${administrator.text}`);
  }
  const clumsy = await service.send(clumsyAttack);
  if (clumsy.status !== 400)
    throw new Error(`A setting that nobody may send was taken: ${clumsy.status} ${clumsy.text}`);
}
