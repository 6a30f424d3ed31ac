/**
 * Closures that a changed function handed out before the patch: middleware that a factory returned, methods that it put on an object.
 *
 * They keep the variables of the call that made them.
 * V8 gives them new code only if that call kept the same variables as the new version does, and what was computed into those variables stays as it was; where either matters, nothing but a restart helps.
 */
import { type Bindings, isCapturing, ownerOf } from "./bindings.ts";
import type { FileDifference, Gap, Replacement } from "./difference.ts";
import { descendants, type FunctionEntry, functionAt, isFunctionNode, ownTokens } from "./function-tree.ts";
import { pathTo, referencesIn } from "./rewrite.ts";
import { type AnyNode, lineOf, type SourceFile } from "./syntax.ts";

interface Version {
  readonly source: SourceFile;
  readonly bindings: Bindings;
}

/** What closures made before the patch would go on doing, by name. */
export function closureGaps(difference: FileDifference, bindings: { before: Bindings; after: Bindings }): Gap[] {
  const before: Version = { source: difference.before.source, bindings: bindings.before };
  const after: Version = { source: difference.after.source, bindings: bindings.after };
  return difference.replacements.flatMap((replacement) => gapsOf(replacement, before, after));
}

function gapsOf(replacement: Replacement, before: Version, after: Version): Gap[] {
  const kept = handedOut(replacement.before, before);
  if (kept.length === 0) return [];
  const candidates = handedOut(replacement.after, after);
  const layout = [capturedNames(replacement.before, before), capturedNames(replacement.after, after)] as const;
  const added = layout[1].filter((name) => !layout[0].includes(name));
  const changed = changedLocals(replacement, before, after);
  return kept.flatMap((closure, index) => {
    const counterpart =
      candidates.find(({ name, place }) => name === closure.name && place === closure.place) ?? candidates[index];
    const gap = (reason: string): Gap[] => [{ name: closure.name, line: lineOf(closure.node), reason }];
    if (counterpart === undefined)
      return gap(`${replacement.before.name} handed it out, and whoever took it keeps the old code`);
    const isSame = wholeText(closure, before) === wholeText(counterpart, after);
    if (!isSame && layout[0].join() !== layout[1].join()) {
      const what =
        added.length > 0
          ? `those made before the patch have no ${added.join(", ")}`
          : "V8 does not find those made before the patch again";
      return gap(`${replacement.before.name} makes it with other variables than before, and ${what}`);
    }
    const stale = [...changed].filter((name) => refersTo(counterpart, replacement.after, name, after));
    return stale.length === 0
      ? []
      : gap(
          `those that ${replacement.before.name} made before the patch keep their ${stale.join(", ")}, which it now computes otherwise`,
        );
  });
}

function wholeText(entry: FunctionEntry, { source }: Version): string {
  return [entry, ...descendants(entry)].map((inner) => ownTokens(source, inner).join(" ")).join("\n");
}

/** Functions made by a call that live on after it: those returned, and those put on objects. */
function handedOut(entry: FunctionEntry, version: Version): FunctionEntry[] {
  return entry.children.filter((child) => isHandedOut(child.node, entry, version));
}

function isHandedOut(node: AnyNode, within: FunctionEntry, version: Version, seen: Set<string> = new Set()): boolean {
  const path = pathTo(version.source.program, node.start, node.end, (candidate) => candidate === node);
  if (node.type === "FunctionDeclaration")
    return isNameHandedOut((node.id as AnyNode).name as string, within, version, seen);
  let inner = node;
  for (const outer of path.slice(0, -1).reverse()) {
    if (outer === within.node) return outer.type === "ArrowFunctionExpression" && outer.body === inner;
    if (outer.type === "ReturnStatement") return functionAt(version.bindings.root, outer.start) === within;
    if (outer.type === "VariableDeclarator")
      return namesIn(outer.id as AnyNode).some((name) => isNameHandedOut(name, within, version, seen));
    if (outer.type === "AssignmentExpression") {
      const left = outer.left as AnyNode;
      if (outer.right !== inner) return false;
      if (left.type === "MemberExpression") return !isEventHandler(left);
      if (left.type === "Identifier" && isNameHandedOut(left.name as string, within, version, seen)) return true;
    } else if (!isPassedThrough(outer, inner)) return false;
    inner = outer;
  }
  return false;
}

/** `request.onload = …` belongs to one operation, which comes to its end. */
function isEventHandler({ property }: AnyNode): boolean {
  return /^on[a-z]+$/.test(String((property as AnyNode).name));
}

/** Whether the value of `outer` is, or holds, that of `inner`. */
function isPassedThrough(outer: AnyNode, inner: AnyNode): boolean {
  if (
    [
      "Property",
      "ObjectExpression",
      "ArrayExpression",
      "LogicalExpression",
      "SequenceExpression",
      "ChainExpression",
    ].includes(outer.type)
  )
    return true;
  if (outer.type === "ConditionalExpression") return outer.test !== inner;
  const callee = outer.type === "CallExpression" ? (outer.callee as AnyNode) : undefined;
  return (
    callee?.type === "MemberExpression" &&
    (callee.object as AnyNode).name === "Object" &&
    (outer.arguments as AnyNode[]).includes(inner)
  );
}

function isNameHandedOut(name: string, within: FunctionEntry, version: Version, seen: Set<string>): boolean {
  if (seen.has(name)) return false;
  seen.add(name);
  for (const placed of referencesIn(version.bindings, within.node)) {
    if (
      placed.name !== name ||
      placed.variable === undefined ||
      ownerOf(version.bindings, placed.variable) !== within ||
      !placed.reference.isRead()
    )
      continue;
    const identifier = placed.reference.identifier as unknown as AnyNode;
    const [parent] = pathTo(version.source.program, identifier.start, identifier.end).slice(-2);
    if (
      parent !== undefined &&
      !(parent.type === "MemberExpression" && parent.object === identifier) &&
      isHandedOut(identifier, within, version, seen)
    )
      return true;
  }
  return false;
}

function namesIn(pattern: AnyNode): string[] {
  return pattern.type === "Identifier" ? [pattern.name as string] : [];
}

/** The variables of a function that functions inside it keep, in the order of their declaration. */
function capturedNames(entry: FunctionEntry, { bindings }: Version): string[] {
  const found = new Map<string, number>();
  for (const placed of referencesIn(bindings, entry.node)) {
    if (placed.variable === undefined || ownerOf(bindings, placed.variable) !== entry || !isCapturing(bindings, placed))
      continue;
    found.set(placed.name, (placed.variable.defs[0]?.name as unknown as AnyNode | undefined)?.start ?? 0);
  }
  return [...found].sort((a, b) => a[1] - b[1]).map(([name]) => name);
}

/** Local variables that both versions have and whose values are computed otherwise, directly or by way of others. */
function changedLocals(replacement: Replacement, before: Version, after: Version): Set<string> {
  const old = definitions(replacement.before, before);
  const fresh = definitions(replacement.after, after);
  const changed = new Set(
    [...fresh]
      .filter(
        ([name, { text }]) =>
          old.get(name) !== undefined && old.get(name)?.text !== text && !isGenerated(fresh.get(name)),
      )
      .map(([name]) => name),
  );
  for (let grew = true; grew; ) {
    grew = false;
    for (const [name, { uses }] of fresh) {
      if (
        changed.has(name) ||
        !old.has(name) ||
        isGenerated(fresh.get(name)) ||
        ![...uses].some((used) => changed.has(used) || !old.has(used))
      )
        continue;
      changed.add(name);
      grew = true;
    }
  }
  return changed;
}

/** Code made from a text, such as a compiled template, is a result of the old version and no part of it. */
function isGenerated(definition: Definition | undefined): boolean {
  return /(?:^|\W)Function \(/.test(definition?.text ?? "");
}

interface Definition {
  readonly text: string;
  /** Other local variables that go into it. */
  readonly uses: ReadonlySet<string>;
}

/** For each local variable: what the function itself writes into it, one after the other. */
function definitions(entry: FunctionEntry, { source, bindings }: Version): Map<string, Definition> {
  const found = new Map<string, { text: string; uses: Set<string> }>();
  for (const placed of referencesIn(bindings, entry.node)) {
    if (
      placed.variable === undefined ||
      placed.within !== entry ||
      ownerOf(bindings, placed.variable) !== entry ||
      !placed.reference.isWrite()
    )
      continue;
    const value = placed.reference.writeExpr as unknown as AnyNode | null;
    if (value === null || isFunctionNode(value)) continue;
    const definition = found.get(placed.name) ?? { text: "", uses: new Set<string>() };
    definition.text += `${ownTokens(source, entry, value).join(" ")};`;
    for (const used of referencesIn(bindings, value)) {
      if (used.variable && ownerOf(bindings, used.variable) === entry && used.name !== placed.name)
        definition.uses.add(used.name);
    }
    found.set(placed.name, definition);
  }
  for (const parameter of entry.node.params as AnyNode[]) {
    if (parameter.type === "Identifier" && !found.has(parameter.name as string))
      found.set(parameter.name as string, { text: "", uses: new Set() });
  }
  return found;
}

function refersTo(closure: FunctionEntry, owner: FunctionEntry, name: string, { bindings }: Version): boolean {
  for (const placed of referencesIn(bindings, closure.node)) {
    if (placed.name === name && placed.variable !== undefined && ownerOf(bindings, placed.variable) === owner)
      return true;
  }
  return false;
}
