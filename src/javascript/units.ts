/**
 * The statements of a module or of a function that runs at load, cut into units that can be paired between two versions.
 *
 * A declaration of several variables, a sequence of expressions and an import of several names are cut up, since fixes touch their parts one by one and minifiers join what people write apart.
 */
import type { AnyNode, SourceFile } from "./syntax.ts";

export type UnitKind =
  | "function"
  | "variable"
  | "class"
  | "import"
  | "assignment"
  | "default-export"
  | "call"
  | "control"
  | "return"
  | "ignored";

export interface Unit {
  readonly kind: UnitKind;
  /** The declarator, the function, the expression: what is compared and, where needed, evaluated anew. */
  readonly node: AnyNode;
  /** The names that it declares. */
  readonly names: readonly string[];
  /** What pairs it with its counterpart when its text has changed. */
  readonly key: string;
  /** For imports: the module and the exported name (`*` for the namespace). */
  readonly imported?: { readonly specifier: string; readonly name: string };
}

/** The units of a list of statements, in source order. */
export function cutIntoUnits(source: SourceFile, statements: readonly AnyNode[]): Unit[] {
  return statements.flatMap((statement) => unitsOf(source, statement));
}

function unitsOf(source: SourceFile, node: AnyNode): Unit[] {
  switch (node.type) {
    case "FunctionDeclaration":
      return [named("function", node)];
    case "ClassDeclaration":
      return [named("class", node)];
    case "VariableDeclaration":
      return (node.declarations as AnyNode[]).map(variableUnit);
    case "ImportDeclaration":
      return importUnits(node);
    case "ExportNamedDeclaration":
      return node.declaration ? unitsOf(source, node.declaration as AnyNode) : [ignored(node)];
    case "ExportAllDeclaration":
    case "EmptyStatement":
    case "DebuggerStatement":
      return [ignored(node)];
    case "ExportDefaultDeclaration":
      return [defaultExportUnit(source, node)];
    case "ExpressionStatement":
      return node.directive === undefined ? expressionUnits(source, node.expression as AnyNode) : [ignored(node)];
    case "ReturnStatement":
      return [{ kind: "return", node, names: [], key: "return" }];
    case "BlockStatement":
      return cutIntoUnits(source, node.body as AnyNode[]);
    default:
      return [{ kind: "control", node, names: [], key: `control:${node.type}` }];
  }
}

function named(kind: "function" | "class", node: AnyNode): Unit {
  const name = ((node.id as AnyNode | null)?.name as string | undefined) ?? "default";
  return { kind, node, names: [name], key: `name:${name}` };
}

function ignored(node: AnyNode): Unit {
  return { kind: "ignored", node, names: [], key: "ignored" };
}

function variableUnit(node: AnyNode): Unit {
  const names = boundNames(node.id as AnyNode);
  return { kind: "variable", node, names, key: `name:${[...names].sort().join(",")}` };
}

function importUnits(node: AnyNode): Unit[] {
  const specifier = (node.source as AnyNode).value as string;
  const specifiers = node.specifiers as AnyNode[];
  if (specifiers.length === 0) {
    return [{ kind: "import", node, names: [], key: `import:${specifier}`, imported: { specifier, name: "" } }];
  }
  return specifiers.map((part) => {
    const local = (part.local as AnyNode).name as string;
    return {
      kind: "import",
      node: part,
      names: [local],
      key: `name:${local}`,
      imported: { specifier, name: importedName(part) },
    };
  });
}

function importedName(part: AnyNode): string {
  if (part.type === "ImportNamespaceSpecifier") return "*";
  if (part.type === "ImportDefaultSpecifier") return "default";
  const imported = part.imported as AnyNode;
  return (imported.type === "Literal" ? imported.value : imported.name) as string;
}

function defaultExportUnit(source: SourceFile, node: AnyNode): Unit {
  const declaration = node.declaration as AnyNode;
  if (declaration.type === "FunctionDeclaration") return named("function", declaration);
  if (declaration.type === "ClassDeclaration") return named("class", declaration);
  return { kind: "default-export", node: declaration, names: [], key: `default:${source.path.length}` };
}

function expressionUnits(source: SourceFile, node: AnyNode): Unit[] {
  if (node.type === "SequenceExpression") {
    return (node.expressions as AnyNode[]).flatMap((part) => expressionUnits(source, part));
  }
  if (node.type === "AssignmentExpression" && node.operator === "=") {
    const left = node.left as AnyNode;
    return [
      {
        kind: "assignment",
        node,
        names: [],
        key: `assign:${source.text.slice(left.start, left.end).replace(/\s+/g, "")}`,
      },
    ];
  }
  return [{ kind: "call", node, names: [], key: callKey(source, node) }];
}

function callKey(source: SourceFile, node: AnyNode): string {
  if (node.type !== "CallExpression") return `call:${node.type}`;
  const callee = node.callee as AnyNode;
  const first = (node.arguments as AnyNode[])[0];
  const literal =
    first?.type === "Literal" || first?.type === "Identifier" ? source.text.slice(first.start, first.end) : "";
  const name =
    callee.end - callee.start > 200 ? callee.type : source.text.slice(callee.start, callee.end).replace(/\s+/g, "");
  return `call:${name}(${literal}`;
}

/** The names that a binding pattern declares. */
export function boundNames(pattern: AnyNode | null): string[] {
  if (pattern === null) return [];
  switch (pattern.type) {
    case "Identifier":
      return [pattern.name as string];
    case "ObjectPattern":
      return (pattern.properties as AnyNode[]).flatMap((property) =>
        boundNames((property.type === "RestElement" ? property.argument : property.value) as AnyNode),
      );
    case "ArrayPattern":
      return (pattern.elements as (AnyNode | null)[]).flatMap(boundNames);
    case "AssignmentPattern":
      return boundNames(pattern.left as AnyNode);
    case "RestElement":
      return boundNames(pattern.argument as AnyNode);
    default:
      return [];
  }
}
