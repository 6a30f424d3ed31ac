/**
 * What differs between two versions of a source file, said in terms of what a running process holds: functions, bindings, and statements that ran at load.
 *
 * The comparison goes from the module inwards.
 * Where the own tokens of two functions are equal, only the functions inside are compared; where they differ, a function that can run again is replaced as a whole, and a function that ran at load is compared statement by statement, since it will never run again.
 */
import { buildFunctionTree, type FunctionEntry, isFunctionNode, ownTokens } from "./function-tree.ts";
import { type AnyNode, childNodes, lineOf, type SourceFile } from "./syntax.ts";
import { cutIntoUnits, type Unit } from "./units.ts";

export interface Version {
  readonly source: SourceFile;
  readonly root: FunctionEntry;
}

export function readVersion(source: SourceFile): Version {
  return { source, root: buildFunctionTree(source) };
}

export interface Replacement {
  readonly before: FunctionEntry;
  readonly after: FunctionEntry;
}

/** A function that ran at load, in both versions; the module itself is the first. */
export interface ScopePair {
  readonly before: FunctionEntry;
  readonly after: FunctionEntry;
}

/** Something that the new version does at load and the old one did not, to be done in the running process. */
export type Effect =
  | { readonly kind: "statement"; readonly scope: ScopePair; readonly node: AnyNode }
  /** Properties to be defined on an object that exists: `target` is a node of the new text or a name of its scope. */
  | {
      readonly kind: "define";
      readonly scope: ScopePair;
      readonly target: AnyNode | string;
      readonly onPrototype: boolean;
      readonly property: AnyNode;
    };

export interface BindingChange {
  readonly scope: ScopePair;
  readonly name: string;
  readonly unit: Unit;
  /** False for a binding that only the new version has. */
  readonly existed: boolean;
}

export interface Gap {
  readonly name: string;
  readonly line: number;
  readonly reason: string;
}

export interface FileDifference {
  readonly before: Version;
  readonly after: Version;
  readonly replacements: Replacement[];
  readonly scopes: ScopePair[];
  readonly bindings: BindingChange[];
  readonly effects: Effect[];
  readonly gaps: Gap[];
  /** Bindings whose object was filled at load by statements that changed: the object has to be made anew. */
  readonly rebuilt: { readonly scope: ScopePair; readonly name: string }[];
  /** Functions of the new version to their counterparts in the old one. */
  readonly counterparts: Map<FunctionEntry, FunctionEntry>;
}

/** Maps a token to what it is compared as; used to look through version numbers. */
export type Normalise = (token: string) => string;

export function compareVersions(
  before: SourceFile,
  after: SourceFile,
  normalise: Normalise = (token) => token,
): FileDifference {
  const difference: FileDifference = {
    before: readVersion(before),
    after: readVersion(after),
    replacements: [],
    scopes: [],
    bindings: [],
    effects: [],
    gaps: [],
    rebuilt: [],
    counterparts: new Map(),
  };
  new Comparison(difference, normalise).functions(difference.before.root, difference.after.root);
  return difference;
}

const onlyAtLoad =
  "this statement runs only while the module loads, and it cannot be run a second time without doing twice what it does";
const handedOut = "its value was handed out when the module was loaded, and whoever took it keeps it";

class Comparison {
  readonly #difference: FileDifference;
  readonly #normalise: Normalise;
  readonly #beforeEntries: Map<AnyNode, FunctionEntry>;
  readonly #afterEntries: Map<AnyNode, FunctionEntry>;

  constructor(difference: FileDifference, normalise: Normalise) {
    this.#difference = difference;
    this.#normalise = normalise;
    this.#beforeEntries = byNode(difference.before.root);
    this.#afterEntries = byNode(difference.after.root);
  }

  functions(before: FunctionEntry, after: FunctionEntry): void {
    this.#difference.counterparts.set(after, before);
    const scope: ScopePair = { before, after };
    const atLoad = before.runsAtLoad && after.runsAtLoad;
    if (atLoad) this.#difference.scopes.push(scope);
    if (this.#ownTokens(before, before.node, "before") === this.#ownTokens(after, after.node, "after")) {
      this.#inOrder(before.children, after.children);
    } else if (atLoad) this.#scope(scope);
    else this.#difference.replacements.push({ before, after });
  }

  #inOrder(before: readonly FunctionEntry[], after: readonly FunctionEntry[]): void {
    for (const [index, entry] of before.entries()) {
      const counterpart = after[index];
      if (counterpart) this.functions(entry, counterpart);
    }
  }

  #ownTokens(entry: FunctionEntry, node: AnyNode, side: "before" | "after"): string {
    return ownTokens(this.#difference[side].source, entry, node, this.#normalise).join("\u0001");
  }

  #scope(scope: ScopePair): void {
    this.#units(
      scope,
      cutIntoUnits(this.#difference.before.source, bodyOf(scope.before.node)),
      cutIntoUnits(this.#difference.after.source, bodyOf(scope.after.node)),
    );
  }

  #units(scope: ScopePair, before: readonly Unit[], after: readonly Unit[]): void {
    const pairs = this.#pairUnits(scope, before, after);
    const taken = new Set(pairs.values());
    for (const unit of after) {
      const counterpart = pairs.get(unit);
      if (counterpart) this.#unit(scope, counterpart, unit);
      else this.#newUnit(scope, unit);
    }
    for (const unit of before) if (!taken.has(unit)) this.#removedUnit(scope, unit);
  }

  /** Equal text first, then the same name or target, in order. */
  #pairUnits(scope: ScopePair, before: readonly Unit[], after: readonly Unit[]): Map<Unit, Unit> {
    const pairs = new Map<Unit, Unit>();
    const left = new Set(before.filter((unit) => unit.kind !== "ignored"));
    const wanted = after.filter((unit) => unit.kind !== "ignored");
    for (const identify of [
      (unit: Unit, side: "before" | "after") => `${unit.key}\u0000${this.#ownTokens(scope[side], unit.node, side)}`,
      (unit: Unit) => `${unit.kind === "class" || unit.kind === "function" ? "variable" : unit.kind}\u0000${unit.key}`,
    ]) {
      const byIdentity = Map.groupBy(left, (unit) => identify(unit, "before"));
      for (const unit of wanted) {
        if (pairs.has(unit)) continue;
        const counterpart = byIdentity.get(identify(unit, "after"))?.shift();
        if (!counterpart) continue;
        pairs.set(unit, counterpart);
        left.delete(counterpart);
      }
    }
    return pairs;
  }

  #unit(scope: ScopePair, before: Unit, after: Unit): void {
    if (before.kind === "import") {
      if (before.imported?.specifier !== after.imported?.specifier || before.imported?.name !== after.imported?.name) {
        this.#changedBinding(scope, after, true);
      }
      return;
    }
    const changed = (): void => this.#changedUnit(scope, before, after);
    if (before.kind === "variable" && after.kind === "variable") {
      if (!this.#sameShape(scope, before.node.id as AnyNode, after.node.id as AnyNode)) return changed();
      const target = after.names.length === 1 ? after.names[0] : undefined;
      this.#value(scope, before.node.init as AnyNode | null, after.node.init as AnyNode | null, target, changed);
    } else if (before.kind === "assignment" && after.kind === "assignment") {
      this.#value(
        scope,
        before.node.right as AnyNode,
        after.node.right as AnyNode,
        after.node.left as AnyNode,
        changed,
      );
    } else if (before.kind === "control" && after.kind === "control") this.#control(scope, before.node, after.node);
    else if (before.kind === "variable" || after.kind === "variable") {
      this.#value(scope, unitValue(before), unitValue(after), after.names[0], changed);
    } else this.#value(scope, before.node, after.node, after.names[0], changed);
  }

  #sameShape(scope: ScopePair, before: AnyNode, after: AnyNode): boolean {
    return this.#ownTokens(scope.before, before, "before") === this.#ownTokens(scope.after, after, "after");
  }

  /**
   * Compares two values that were computed at load.
   * `target` leads to the object that exists: the node of an assignment's left side, or a name; `changed` is called when the value itself differs and not just functions in it.
   */
  #value(
    scope: ScopePair,
    before: AnyNode | null,
    after: AnyNode | null,
    target: AnyNode | string | undefined,
    changed: () => void,
  ): void {
    if (before === null || after === null) {
      if (before !== after) changed();
    } else if (isFunctionNode(before) && isFunctionNode(after)) {
      this.functions(this.#entry(before, "before"), this.#entry(after, "after"));
    } else if (
      before.type === "AssignmentExpression" &&
      after.type === "AssignmentExpression" &&
      this.#sameShape(scope, before.left as AnyNode, after.left as AnyNode)
    ) {
      this.#value(scope, before.right as AnyNode, after.right as AnyNode, target, changed);
    } else if (isClass(before) && isClass(after) && target !== undefined)
      this.#classes(scope, before, after, target, changed);
    else if (
      before.type === "ObjectExpression" &&
      after.type === "ObjectExpression" &&
      target !== undefined &&
      !this.#sameShape(scope, before, after)
    ) {
      this.#objects(scope, before, after, target, changed);
    } else {
      const functions: [AnyNode, AnyNode][] = [];
      if (this.#aligned(scope, before, after, functions)) {
        for (const [one, other] of functions) this.#value(scope, one, other, undefined, changed);
      } else changed();
    }
  }

  /** True when the two trees are alike but for functions and classes, which are collected in pairs. */
  #aligned(scope: ScopePair, before: AnyNode, after: AnyNode, functions: [AnyNode, AnyNode][]): boolean {
    if (isFunctionNode(before) && isFunctionNode(after)) {
      functions.push([before, after]);
      return true;
    }
    if (before.type !== after.type) return false;
    const one = childNodes(before);
    const other = childNodes(after);
    if (one.length === 0 || other.length === 0) return this.#sameShape(scope, before, after);
    if (one.length !== other.length || !this.#sameSkeleton(before, after)) return false;
    return one.every((child, index) => this.#aligned(scope, child, other[index] as AnyNode, functions));
  }

  /** Operators, kinds and flags: everything of a node that is neither a child nor a place. */
  #sameSkeleton(before: AnyNode, after: AnyNode): boolean {
    return Object.entries(before).every(
      ([key, value]) => typeof value === "object" || key === "start" || key === "end" || value === after[key],
    );
  }

  #objects(scope: ScopePair, before: AnyNode, after: AnyNode, target: AnyNode | string, changed: () => void): void {
    const old = new Map(
      (before.properties as AnyNode[]).map((property) => [this.#memberKey(property, "before"), property]),
    );
    const wanted = new Set((after.properties as AnyNode[]).map((property) => this.#memberKey(property, "after")));
    const isExports = typeof target !== "string" && /^(module\.)?exports$/.test(this.#text(target, "after"));
    if (!isExports && [...old].some(([key, { value }]) => !wanted.has(key) && isData(value as AnyNode | undefined)))
      return changed();
    for (const property of after.properties as AnyNode[]) {
      const counterpart = old.get(this.#memberKey(property, "after"));
      if (property.type !== "Property" || (counterpart !== undefined && counterpart.kind !== property.kind)) {
        if (counterpart === undefined || !this.#sameShape(scope, counterpart, property)) changed();
        continue;
      }
      const define = (): void => {
        this.#difference.effects.push({ kind: "define", scope, target, onPrototype: false, property });
      };
      if (counterpart === undefined) define();
      else this.#value(scope, counterpart.value as AnyNode, property.value as AnyNode, undefined, define);
    }
  }

  #classes(scope: ScopePair, before: AnyNode, after: AnyNode, target: AnyNode | string, changed: () => void): void {
    const heritage = [before.superClass, after.superClass] as [AnyNode | null, AnyNode | null];
    const isSameHeritage =
      heritage[0] && heritage[1] ? this.#sameShape(scope, heritage[0], heritage[1]) : heritage[0] === heritage[1];
    if (!isSameHeritage)
      this.#gap(
        after,
        this.#text(after.id as AnyNode | undefined, "after") || "class",
        "it extends another class than before, and whoever has taken it keeps the old one",
      );
    const members = (node: AnyNode): AnyNode[] => (node.body as AnyNode).body as AnyNode[];
    const old = new Map(members(before).map((member) => [this.#memberKey(member, "before"), member]));
    for (const member of members(after)) {
      const counterpart = old.get(this.#memberKey(member, "after"));
      const name = this.#text(member.key as AnyNode | undefined, "after");
      if (member.type === "MethodDefinition" && counterpart?.type === "MethodDefinition") {
        this.functions(
          this.#entry(counterpart.value as AnyNode, "before"),
          this.#entry(member.value as AnyNode, "after"),
        );
      } else if (
        member.type === "MethodDefinition" &&
        member.kind !== "constructor" &&
        (member.key as AnyNode).type !== "PrivateIdentifier"
      ) {
        this.#difference.effects.push({
          kind: "define",
          scope,
          target,
          onPrototype: member.static !== true,
          property: member,
        });
      } else if (counterpart === undefined || !this.#sameShape(scope, counterpart, member)) {
        this.#gap(
          member,
          name || "class member",
          "a class that exists cannot be given this member; only instances of a new class would have it",
        );
      } else this.#value(scope, counterpart, member, undefined, changed);
    }
  }

  #memberKey(member: AnyNode, side: "before" | "after"): string {
    const kind = member.kind === "get" || member.kind === "set" ? member.kind : "value";
    return `${member.static === true}:${kind}:${this.#text((member.key ?? member) as AnyNode, side).replace(/^(["'])(.*)\1$/, "$2")}`;
  }

  #control(scope: ScopePair, before: AnyNode, after: AnyNode): void {
    if (this.#sameShape(scope, before, after)) {
      const functions: [AnyNode, AnyNode][] = [];
      this.#aligned(scope, before, after, functions);
      for (const [one, other] of functions) this.functions(this.#entry(one, "before"), this.#entry(other, "after"));
      return;
    }
    this.#rerun(scope, before, after, `${after.type} at line ${lineOf(after)}`);
  }

  /** A statement that only fills objects of the module can run again, once those objects are made anew. */
  #rerun(scope: ScopePair, before: AnyNode, after: AnyNode, name: string): void {
    const roots = [...filledObjects(before), ...filledObjects(after)];
    if (containsFunction(before) || containsFunction(after) || roots.includes(undefined)) {
      return this.#gap(after, name, onlyAtLoad);
    }
    for (const root of roots) if (root !== undefined) this.#difference.rebuilt.push({ scope, name: root });
    this.#difference.effects.push({ kind: "statement", scope, node: after });
  }

  #changedUnit(scope: ScopePair, before: Unit, after: Unit): void {
    if (after.names.length > 0) return this.#changedBinding(scope, after, true);
    if (after.key === "assign:module.exports") {
      this.#gap(after.node, "module.exports", handedOut);
    } else if (after.kind === "assignment" || this.#isIdempotentCall(after)) {
      this.#doAgain(scope, after);
    } else if (after.kind === "return" || after.kind === "default-export") {
      this.#gap(after.node, this.#describe(after), handedOut);
    } else {
      this.#rerun(scope, before.node, after.node, this.#describe(before));
    }
  }

  /** Defining a property again leaves what defining it once leaves. */
  #isIdempotentCall(unit: Unit): boolean {
    return /^call:(Object|Reflect)\.(defineProperty|defineProperties|assign|setPrototypeOf)\(/.test(unit.key);
  }

  #changedBinding(scope: ScopePair, unit: Unit, existed: boolean): void {
    for (const name of unit.names) this.#difference.bindings.push({ scope, name, unit, existed });
  }

  #newUnit(scope: ScopePair, unit: Unit): void {
    if (unit.kind === "ignored") return;
    if (unit.names.length > 0) this.#changedBinding(scope, unit, false);
    else if (unit.kind === "default-export" || unit.kind === "return")
      this.#gap(unit.node, this.#describe(unit), "a module that is loaded cannot be given this export");
    else this.#doAgain(scope, unit);
  }

  /** A variable that a statement writes is made anew, since the functions that keep it cannot be given another value. */
  #doAgain(scope: ScopePair, { kind, node }: Unit): void {
    const left = kind === "assignment" ? (node.left as AnyNode) : undefined;
    if (left?.type === "Identifier") this.#difference.rebuilt.push({ scope, name: left.name as string });
    this.#difference.effects.push({ kind: "statement", scope, node });
  }

  #removedUnit(scope: ScopePair, unit: Unit): void {
    // What is no longer declared, assigned or exported may stay: nothing new refers to it, and code outside may.
    const isVariable = unit.kind === "assignment" && (unit.node.left as AnyNode).type === "Identifier";
    if (unit.kind !== "call" && unit.kind !== "control" && !isVariable) return;
    const roots = filledObjects(unit.node);
    if (!containsFunction(unit.node) && !roots.includes(undefined)) {
      for (const name of roots) if (name !== undefined) this.#difference.rebuilt.push({ scope, name });
      return;
    }
    this.#difference.gaps.push({
      name: this.#describe(unit),
      line: lineOf(unit.node),
      reason: "the old version did this while it was loaded, the new one does not, and it cannot be undone in general",
    });
  }

  #gap(node: AnyNode, name: string, reason: string): void {
    this.#difference.gaps.push({ name, line: lineOf(node), reason });
  }

  #describe(unit: Unit): string {
    return unit.key.replace(/^(name|assign|call|control):/, "").slice(0, 120) || unit.kind;
  }

  #text(node: AnyNode | undefined, side: "before" | "after"): string {
    return node === undefined ? "" : this.#difference[side].source.text.slice(node.start, node.end);
  }

  #entry(node: AnyNode, side: "before" | "after"): FunctionEntry {
    const entry = (side === "before" ? this.#beforeEntries : this.#afterEntries).get(node);
    if (entry === undefined) throw new Error(`no function entry for the node at ${node.start}`);
    return entry;
  }
}

function byNode(root: FunctionEntry): Map<AnyNode, FunctionEntry> {
  const map = new Map<AnyNode, FunctionEntry>();
  const visit = (entry: FunctionEntry): void => {
    map.set(entry.node, entry);
    for (const child of entry.children) visit(child);
  };
  visit(root);
  return map;
}

function bodyOf(node: AnyNode): readonly AnyNode[] {
  if (node.type === "Program") return node.body as AnyNode[];
  const body = node.body as AnyNode;
  return body.type === "BlockStatement" ? (body.body as AnyNode[]) : [{ ...body, type: "ReturnStatement" }];
}

/** A setting rather than code: taking it away from an object changes what the code does. */
function isData(value: AnyNode | undefined): boolean {
  return (
    value !== undefined &&
    ["Literal", "TemplateLiteral", "UnaryExpression", "ArrayExpression", "ObjectExpression"].includes(value.type)
  );
}

function unitValue(unit: Unit): AnyNode | null {
  return unit.kind === "variable" ? (unit.node.init as AnyNode | null) : unit.node;
}

function isClass(node: AnyNode): boolean {
  return node.type === "ClassDeclaration" || node.type === "ClassExpression";
}

function containsFunction(node: AnyNode): boolean {
  return isFunctionNode(node) || childNodes(node).some(containsFunction);
}

/**
 * The variables that a statement writes, or whose objects its calls fill (`list.push(…)` fills `list`).
 * A call that is not of this form may do anything, which shows as `undefined` in the result.
 */
function filledObjects(node: AnyNode): (string | undefined)[] {
  if (node.type === "ExpressionStatement") return filledObjects(node.expression as AnyNode);
  if (node.type === "CallExpression") {
    const callee = node.callee as AnyNode;
    const root = callee.type === "MemberExpression" ? (callee.object as AnyNode) : undefined;
    const isLocal = root?.type === "Identifier" && !foreignRoots.has(root.name as string);
    return [isLocal ? (root.name as string) : undefined];
  }
  if (node.type === "IfStatement") {
    return [node.consequent, node.alternate].flatMap((part) => (part ? filledObjects(part as AnyNode) : []));
  }
  if (node.type === "BlockStatement") return (node.body as AnyNode[]).flatMap(filledObjects);
  if (node.type === "TryStatement")
    return [node.block, (node.handler as AnyNode | null)?.body, node.finalizer].flatMap((part) =>
      part ? filledObjects(part as AnyNode) : [],
    );
  if (node.type === "AssignmentExpression" && node.operator === "=") {
    const left = node.left as AnyNode;
    return left.type === "Identifier" ? [left.name as string] : [];
  }
  return [undefined];
}

/** Objects that do not belong to the module, so that filling them again is not filling them anew. */
const foreignRoots = new Set(["module", "exports", "process", "global", "globalThis", "Object", "Reflect", "console"]);
