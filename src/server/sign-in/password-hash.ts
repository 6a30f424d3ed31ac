/** Passwords as they are kept: Argon2id (RFC 9106) with the least parameters that OWASP names, as a PHC string. */
import { argon2, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";
import { RebootlessError } from "../../base/errors.ts";
import { normalized } from "./password-rules.ts";

const derive = promisify(argon2);
/** 19 MiB, two passes, one lane. */
const present = { memory: 19_456, passes: 2, parallelism: 1, tagLength: 32 } as const;

type Parameters = Omit<typeof present, "memory" | "passes" | "parallelism"> & {
  readonly memory: number;
  readonly passes: number;
  readonly parallelism: number;
};

/** `nonce`: 16 bytes by chance. */
export async function hashPassword(password: string, nonce: Buffer): Promise<string> {
  const tag = await derive("argon2id", { message: normalized(password), nonce, ...present });
  const { memory, passes, parallelism } = present;
  return `$argon2id$v=19$m=${memory},t=${passes},p=${parallelism}$${nonce.toString("base64url")}$${tag.toString("base64url")}`;
}

/** Without a hash it takes as long and answers false, so that time does not tell who has a password. */
export async function matchesPassword(password: string, kept: string | null): Promise<boolean> {
  const { parameters, nonce, tag } = kept === null ? nobody : read(kept);
  const found = await derive("argon2id", { message: normalized(password), nonce, ...parameters });
  return timingSafeEqual(found, tag) && kept !== null;
}

interface Kept {
  readonly parameters: Parameters;
  readonly nonce: Buffer;
  readonly tag: Buffer;
}

const nobody: Kept = { parameters: present, nonce: Buffer.alloc(16), tag: Buffer.alloc(present.tagLength) };

function read(kept: string): Kept {
  const found = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([\w-]+)\$([\w-]+)$/.exec(kept);
  if (found === null)
    throw new RebootlessError("server/state-damaged", "A password of the database is kept in no known form.");
  const [, memory, passes, parallelism, nonce = "", tag = ""] = found;
  return {
    parameters: { memory: Number(memory), passes: Number(passes), parallelism: Number(parallelism), tagLength: 32 },
    nonce: Buffer.from(nonce, "base64url"),
    tag: Buffer.from(tag, "base64url"),
  };
}
