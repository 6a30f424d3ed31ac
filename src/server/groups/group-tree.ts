/**
 * Who is in which group, as a rule without a database.
 *
 * A group has devices of its own, put in by hand or found by its filter, and all devices of the groups below it; of those, the devices of excluded groups and excepted devices are left out.
 * So the membership of a group depends on its children and on the groups that it excludes, and these must not lead back to it.
 */

export interface GroupNode {
  readonly id: string;
  /** Null of `all` alone. */
  readonly parentId: string | null;
  readonly excludes: readonly string[];
}

/** Each group behind all that it depends on; undefined where they lead in a circle. */
export function inOrder<Node extends GroupNode>(nodes: readonly Node[]): readonly Node[] | undefined {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const children = childrenOf(nodes);
  const state = new Map<string, "under way" | "done">();
  const ordered: Node[] = [];
  const visit = (node: Node): boolean => {
    const known = state.get(node.id);
    if (known !== undefined) return known === "done";
    state.set(node.id, "under way");
    for (const id of [...(children.get(node.id) ?? []), ...node.excludes]) {
      const next = byId.get(id);
      if (next !== undefined && !visit(next)) return false;
    }
    state.set(node.id, "done");
    ordered.push(node);
    return true;
  };
  return nodes.every(visit) ? ordered : undefined;
}

export function childrenOf(nodes: readonly GroupNode[]): ReadonlyMap<string, readonly string[]> {
  const children = new Map<string, string[]>();
  for (const { id, parentId } of nodes) {
    if (parentId === null) continue;
    const known = children.get(parentId);
    if (known === undefined) children.set(parentId, [id]);
    else known.push(id);
  }
  return children;
}

/** These groups and all that stand below them in the tree. */
export function groupsBelow(nodes: readonly GroupNode[], ids: readonly string[]): readonly string[] {
  const children = childrenOf(nodes);
  const found = new Set(ids);
  // Grows while it is gone through.
  for (const id of found) for (const child of children.get(id) ?? []) found.add(child);
  return [...found];
}

/** How many groups stand above and at this one; endless circles count as infinite. */
export function depthOf(nodes: readonly GroupNode[], id: string): number {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  let depth = 0;
  for (let node = byId.get(id); node !== undefined; node = byId.get(node.parentId ?? "")) {
    depth += 1;
    if (depth > nodes.length) return Number.POSITIVE_INFINITY;
  }
  return depth;
}

/** The group and all whose membership hangs on its, each behind what it depends on. `ordered` is what `inOrder` answered. */
export function hangingOn<Node extends GroupNode>(ordered: readonly Node[], id: string): readonly Node[] {
  const children = childrenOf(ordered);
  const touched = new Set([id]);
  for (const node of ordered) {
    const needs = [...(children.get(node.id) ?? []), ...node.excludes];
    if (needs.some((need) => touched.has(need))) touched.add(node.id);
  }
  return ordered.filter((node) => touched.has(node.id));
}

export interface Standing {
  /** Groups that the device is in of its own: by hand, or by the filter. */
  readonly own: ReadonlySet<string>;
  /** Groups that it is excepted from. */
  readonly excepted: ReadonlySet<string>;
}

/** The groups that one device is in. `ordered` is what `inOrder` answered. */
export function groupsOfDevice(ordered: readonly GroupNode[], { own, excepted }: Standing): Set<string> {
  const children = childrenOf(ordered);
  const inside = new Set<string>();
  for (const { id, excludes } of ordered) {
    const wanted = own.has(id) || (children.get(id) ?? []).some((child) => inside.has(child));
    if (wanted && !excepted.has(id) && !excludes.some((excluded) => inside.has(excluded))) inside.add(id);
  }
  return inside;
}
