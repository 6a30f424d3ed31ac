/** How the readers of ELF files say that a file contradicts itself. */
import { RebootlessError } from "../base/errors.ts";

export function damaged(message: string, details: Record<string, unknown> = {}): never {
  throw new RebootlessError("elf/damaged", message, { details });
}
