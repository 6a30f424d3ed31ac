/** A hotpatch in the form in which the agent takes it: the manifest's files with their texts in place of payload names. */
import { type Hotpatch, payloadText } from "../../hotpatch/hotpatch.ts";
import { type NodeFile, nodeChangeOf } from "../../hotpatch/manifest.ts";

export interface WireFile extends Omit<NodeFile, "delta"> {
  readonly delta?: Omit<NonNullable<NodeFile["delta"]>, "text"> & { readonly text: string };
}

export interface WireHotpatch {
  readonly id: string;
  readonly digest: string;
  readonly files: readonly WireFile[];
  readonly added: readonly { readonly path: string; readonly text: string }[];
}

export function wireHotpatch(hotpatch: Hotpatch, digest: string): WireHotpatch {
  const { id } = hotpatch.manifest;
  const node = nodeChangeOf(hotpatch.manifest);
  const text = (name: string): string => payloadText(hotpatch, name);
  const files = node.files.map(({ delta, live, after, ...file }) => ({
    ...file,
    after: text(after),
    ...(live === undefined ? {} : { live: text(live) }),
    ...(delta === undefined ? {} : { delta: { ...delta, text: text(delta.text) } }),
  }));
  return { id, digest, files, added: node.added.map(({ path, text: name }) => ({ path, text: text(name) })) };
}
