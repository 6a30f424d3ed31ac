/** How the readers of unwind information say that it is damaged or beyond what .eh_frame holds. */
import { RebootlessError } from "../../base/errors.ts";

export function badUnwindInformation(message: string, details: Record<string, unknown> = {}): never {
  throw new RebootlessError("elf/unwind-information", message, { details });
}
