/**
 * State that instances got from an old constructor and that a changed constructor would have made otherwise.
 *
 * A fix of this kind does nothing for instances that exist, so their methods bring them up to date the first time that one is called.
 * Known: an empty object that becomes one without a prototype (the usual fix for prototype pollution), and a literal that becomes another.
 */
import { type FunctionEntry, isFunctionNode } from "./function-tree.ts";
import { type AnyNode, childNodes, type SourceFile } from "./syntax.ts";

export interface StateChange {
  readonly property: string;
  /** Statements that bring `self` up to date and note in `changes` how to take that back; undefined where only the author of the patch can say how. */
  readonly migration: string | undefined;
}

export interface VersionedFunction {
  readonly source: SourceFile;
  readonly entry: FunctionEntry;
}

/** Properties that a constructor sets to something else than before, as far as the difference matters to instances that exist. */
export function stateChanges(before: VersionedFunction, after: VersionedFunction): StateChange[] {
  const old = initialValues(before);
  const changes: StateChange[] = [];
  for (const [property, value] of initialValues(after)) {
    const former = old.get(property);
    if (former === undefined || former.text === value.text || !isOwnState(former.node)) continue;
    changes.push({ property, migration: migrationOf(property, former, value) });
  }
  return changes;
}

interface InitialValue {
  readonly node: AnyNode;
  readonly text: string;
}

/** What the function assigns to properties of `this`, by property; the last assignment counts. */
function initialValues({ source, entry }: VersionedFunction): Map<string, InitialValue> {
  const values = new Map<string, InitialValue>();
  const visit = (node: AnyNode): void => {
    if (node !== entry.node && isFunctionNode(node)) return;
    const left = node.type === "AssignmentExpression" && node.operator === "=" ? (node.left as AnyNode) : undefined;
    if (
      left?.type === "MemberExpression" &&
      left.computed !== true &&
      (left.object as AnyNode).type === "ThisExpression"
    ) {
      const right = node.right as AnyNode;
      values.set(source.text.slice((left.property as AnyNode).start, left.end), {
        node: right,
        text: source.text.slice(right.start, right.end),
      });
    }
    for (const child of childNodes(node)) visit(child);
  };
  visit(entry.node);
  return values;
}

/** Containers and literals are the instance's own state; what was computed from arguments was right for those arguments. */
function isOwnState(node: AnyNode): boolean {
  return ["ObjectExpression", "ArrayExpression", "Literal", "NewExpression"].includes(node.type) || isNullObject(node);
}

function isNullObject(node: AnyNode): boolean {
  const callee = node.type === "CallExpression" ? (node.callee as AnyNode) : undefined;
  const [argument] = (node.arguments as AnyNode[] | undefined) ?? [];
  return (
    callee?.type === "MemberExpression" &&
    (callee.object as AnyNode).name === "Object" &&
    (callee.property as AnyNode).name === "create" &&
    argument?.type === "Literal" &&
    argument.value === null
  );
}

function migrationOf(property: string, former: InitialValue, value: InitialValue): string | undefined {
  const held = `self.${property}`;
  if (former.text.replace(/\s+/g, "") === "{}" && isNullObject(value.node)) return `dropPrototypes(${held});`;
  if (former.node.type === "Literal" && value.node.type === "Literal")
    return `if (${held} === ${former.text}) {
      ${held} = ${value.text};
      note(self, (it) => { if (it.${property} === ${value.text}) it.${property} = ${former.text}; });
    }`;
  return undefined;
}

/** A function that brings an instance up to date once, and has that taken back at a revert; the text of an expression within a delta. */
export function migrationFunction(changes: readonly StateChange[]): string {
  return `((seen) => {
  const changes = [];
  const note = (it, takeBack) => changes.push({ it: new WeakRef(it), takeBack });
  define.atRevert(() => {
    for (const { it, takeBack } of changes.reverse()) if (it.deref() !== undefined) takeBack(it.deref());
  });
  const dropPrototypes = (value) => {
    if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) return;
    Object.setPrototypeOf(value, null);
    note(value, (it) => Object.setPrototypeOf(it, Object.prototype));
    for (const key of Object.keys(value)) dropPrototypes(value[key]);
  };
  return (self) => {
    if (typeof self !== "object" || self === null || seen.has(self)) return;
    seen.add(self);
    ${changes.map(({ migration }) => migration).join("\n    ")}
  };
})(new WeakSet())`;
}

/** The class around a constructor, by the functions of its instances: methods and accessors, in source order. */
export function instanceMethods(root: FunctionEntry, maker: FunctionEntry, source: SourceFile): FunctionEntry[] {
  const methods: FunctionEntry[] = [];
  const owner = maker.constructorOf;
  const prototypeOf = owner === undefined ? new RegExp(`^${escapePattern(maker.name)}\\.prototype\\.`) : undefined;
  const members =
    owner === undefined
      ? []
      : ((owner.body as AnyNode).body as AnyNode[]).filter(
          (member) => member.type === "MethodDefinition" && member.static !== true && member.kind !== "constructor",
        );
  const visit = (entry: FunctionEntry): void => {
    for (const child of entry.children) {
      const isMember = members.some((member) => member.value === child.node);
      const isAssigned =
        prototypeOf?.test(child.name) === true && source.text.slice(child.node.start).startsWith("function");
      if (isMember || isAssigned) methods.push(child);
      visit(child);
    }
  };
  visit(root);
  return methods;
}

function escapePattern(name: string): string {
  return name.replace(/[^\w]/g, "\\$&");
}
