/**
 * Opening a hotpatch: container, signatures, contents, in this order.
 *
 * The manifest is parsed after its signatures were checked, so that bytes nobody vouches for reach the parser only where an unsigned hotpatch was asked for.
 */
import { type Refusal, RefusalError } from "../base/refusal.ts";
import { decodeContainer, decodeContents, sha256 } from "./container.ts";
import type { KeyId } from "./dsse.ts";
import type { Hotpatch } from "./hotpatch.ts";
import { checkSignatures, type TrustStore } from "./signature.ts";

export interface OpenedHotpatch {
  readonly hotpatch: Hotpatch;
  /** Trusted keys whose signature was verified. */
  readonly signedBy: readonly KeyId[];
  /** Key ids that the file names and that are not trusted here: unproven. */
  readonly claimedBy: readonly KeyId[];
  /** Whether at least one trusted key signed. */
  readonly trusted: boolean;
  /** Why it is not trusted; absent when it is. */
  readonly untrusted?: Refusal;
  /** SHA-256 of the signed manifest, in hexadecimal: names the contents, whoever signed them. */
  readonly digest: string;
  /** SHA-256 of the file, in hexadecimal. */
  readonly fileDigest: string;
  readonly fileSizeBytes: number;
}

export interface OpenPolicy {
  /** Open a hotpatch as well that is unsigned, or signed by unknown keys only. An altered one is refused all the same. */
  readonly allowUnsigned: boolean;
}

/** Refuses with one of the `hotpatch/*` codes; throws nothing else, whatever the bytes are. */
export function openHotpatch(bytes: Uint8Array, trust: TrustStore, policy: OpenPolicy): OpenedHotpatch {
  const container = decodeContainer(bytes);
  const { signedBy, claimedBy, refusal } = checkSignatures(container, trust);
  if (refusal !== undefined && !policy.allowUnsigned) {
    throw new RefusalError(refusal);
  }
  const { hotpatch, digest } = decodeContents(container);
  return {
    hotpatch,
    signedBy,
    claimedBy,
    trusted: refusal === undefined,
    ...(refusal === undefined ? {} : { untrusted: refusal }),
    digest,
    fileDigest: sha256(bytes),
    fileSizeBytes: bytes.length,
  };
}
