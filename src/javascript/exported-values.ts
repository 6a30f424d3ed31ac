/**
 * Where the exports of a module hold its values: an object or a list that was handed out is changed in place, since whoever took it keeps it.
 */

import type { PlacedReference } from "./bindings.ts";
import type { ScopePair } from "./difference.ts";
import { pathTo } from "./rewrite.ts";
import type { AnyNode, SourceFile } from "./syntax.ts";
import { boundNames, type Unit } from "./units.ts";

export class ExportedValues {
  readonly #name: string;
  readonly #source: SourceFile;
  readonly #moduleScope: ScopePair | undefined;
  readonly #units: (scope: ScopePair) => readonly Unit[];

  /** `name` is the registry's; `units` gives the statements of the new version that ran in a scope. */
  constructor(
    name: string,
    source: SourceFile,
    moduleScope: ScopePair | undefined,
    units: (scope: ScopePair) => readonly Unit[],
  ) {
    this.#name = name;
    this.#source = source;
    this.#moduleScope = moduleScope;
    this.#units = units;
  }

  /** Where the exports hold the value: `const list = exports.list = []`, `exports.list = list`, `module.exports = list`, `module.exports = { list }`. */
  placeOfVariable(scope: ScopePair, name: string): string | undefined {
    const init = this.#units(scope).find((unit) => unit.names.includes(name))?.node.init as AnyNode | null | undefined;
    const own = init?.type === "AssignmentExpression" ? this.placeOf(init.left as AnyNode) : undefined;
    if (own !== undefined || scope !== this.#moduleScope) return own;
    for (const unit of this.#units(scope)) {
      const chain = assignedPlaces(unit);
      const [alias] = unit.names;
      // `var _default = validator; exports.default = _default`, as compilers write it.
      if (alias !== undefined && alias !== name && chain.value?.type === "Identifier" && chain.value.name === name) {
        const place = this.placeOfVariable(scope, alias);
        if (place !== undefined) return place;
      }
      const place = chain.places.map((left) => this.placeOf(left)).find((found) => found !== undefined);
      if (place === undefined || chain.value === undefined) continue;
      if (chain.value.type === "Identifier" && chain.value.name === name) return place;
      const isWhole = place === `${this.#name}.module.exports` && chain.value.type === "ObjectExpression";
      const property = isWhole
        ? (chain.value.properties as AnyNode[]).find((candidate) => isPropertyOf(candidate, name))
        : undefined;
      if (property) return `${place}.${(property.key as AnyNode).name}`;
    }
    return undefined;
  }

  placeOf(left: AnyNode): string | undefined {
    const text = this.#source.text.slice(left.start, left.end).replace(/\s+/g, "");
    const [, member] = /^(?:module\.)?exports\.([\w$]+)$/.exec(text) ?? [];
    if (member !== undefined) return `${this.#name}.exports.${member}`;
    return text === "module.exports" ? `${this.#name}.module.exports` : undefined;
  }

  /** The statement that assigns the export last. */
  unitExporting(scope: ScopePair, key: string): Unit | undefined {
    const wanted = `${this.#name}.exports.${key}`;
    return this.#units(scope).findLast((unit) =>
      assignedPlaces(unit).places.some((left) => this.placeOf(left) === wanted),
    );
  }

  /** Whether the variable's object was handed out, so that it gets properties with new values instead of being made anew. */
  isObject(scope: ScopePair, unit: Unit): boolean {
    const properties = unit.kind === "variable" ? assignedPlaces(unit).value?.properties : undefined;
    const isPlain = (properties as AnyNode[] | undefined)?.every(
      ({ type, computed }) => type === "Property" && computed !== true,
    );
    return (
      isPlain === true && unit.names.length === 1 && this.placeOfVariable(scope, unit.names[0] as string) !== undefined
    );
  }
}

/** `a = b = value`, also as the initialiser of a variable. */
export function assignedPlaces({ kind, node }: Unit): {
  readonly places: AnyNode[];
  readonly value: AnyNode | undefined;
} {
  const places: AnyNode[] = [];
  let value =
    kind === "variable" ? ((node.init as AnyNode | null) ?? undefined) : kind === "assignment" ? node : undefined;
  for (; value?.type === "AssignmentExpression"; value = value.right as AnyNode) places.push(value.left as AnyNode);
  return { places, value };
}

/** What a chain of assignments assigns. */
export function lastValue(node: AnyNode): AnyNode {
  return node.type === "AssignmentExpression" ? lastValue(node.right as AnyNode) : node;
}

/** `{ name }` or `{ key: name }`. */
function isPropertyOf(property: AnyNode, name: string): boolean {
  return (
    property.type === "Property" &&
    property.computed !== true &&
    (property.key as AnyNode).type === "Identifier" &&
    (property.value as AnyNode).type === "Identifier" &&
    (property.value as AnyNode).name === name
  );
}

/** Names that an ES module declares and exports under the same name. */
export function exportedNames(program: AnyNode): string[] {
  return (program.body as AnyNode[])
    .filter((node) => node.type === "ExportNamedDeclaration" && !node.source)
    .flatMap((node) => {
      const declaration = node.declaration as AnyNode | null;
      if (declaration?.type === "VariableDeclaration")
        return (declaration.declarations as AnyNode[]).flatMap(({ id }) => boundNames(id as AnyNode));
      if (declaration) return [(declaration.id as AnyNode).name as string];
      return (node.specifiers as AnyNode[]).map(({ local }) => (local as AnyNode).name as string);
    });
}

/** Whether a reference is the object that a statement fills: `table[key] = …`, `list.push(…)`, `Object.assign(table, …)`. */
export function isFilled(source: SourceFile, { start, end }: PlacedReference): boolean {
  const path = pathTo(source.program, start, end);
  let inner = path.at(-1);
  for (const outer of path.slice(0, -1).reverse()) {
    if (outer.type === "MemberExpression" && outer.object === inner) inner = outer;
    else if (outer.type === "AssignmentExpression") return outer.left === inner && inner?.type === "MemberExpression";
    else if (outer.type === "CallExpression")
      return outer.callee === inner
        ? inner?.type === "MemberExpression"
        : source.text.startsWith("Object.", (outer.callee as AnyNode).start) &&
            (outer.arguments as AnyNode[])[0] === inner;
    else return outer.type === "UpdateExpression";
  }
  return false;
}
