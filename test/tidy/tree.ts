/** The checkout as data: the texts that the tidy checks look at, and what each JavaScript or TypeScript file imports and declares. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import path from "node:path";
import { type Node, parse } from "acorn";
import { parseSync } from "vite";

/** A finding: the file, and what is wrong with it. */
export interface Problem {
  readonly file: string;
  readonly message: string;
}

export interface Tree {
  /** Texts by their path in the checkout, with `/`. */
  readonly files: ReadonlyMap<string, string>;
  /** Whether a path in the checkout exists, file or folder. */
  exists(file: string): boolean;
}

const unseenFolders = new Set(["node_modules", ".git", ".cache", "out", "fixtures"]);
const seenSuffixes = [".ts", ".tsx", ".mjs", ".cjs", ".js", ".json", ".md"];

export function readTree(root: string): Tree {
  const files = new Map<string, string>();
  const visit = (folder: string) => {
    for (const entry of readdirSync(path.join(root, folder), { withFileTypes: true })) {
      const file = path.posix.join(folder, entry.name);
      if (entry.isDirectory() && !unseenFolders.has(entry.name)) visit(file);
      if (entry.isFile() && seenSuffixes.some((suffix) => file.endsWith(suffix))) {
        files.set(file, readFileSync(path.join(root, file), "utf8"));
      }
    }
  };
  visit("");
  return { files, exists: (file) => existsSync(path.join(root, file)) };
}

/** A tree of a few texts, for showing that a check can fail. */
export function treeOf(texts: Readonly<Record<string, string>>): Tree {
  const files = new Map(Object.entries(texts));
  const exists = (file: string) => [...files.keys()].some((known) => known === file || known.startsWith(`${file}/`));
  return { files, exists };
}

export function isCode(file: string): boolean {
  return /\.(tsx?|mjs|cjs|js)$/.test(file);
}

/** A syntax tree's node with whatever fields its type has. */
export type SyntaxNode = Node & Record<string, unknown>;

export interface Syntax {
  /** The text that offsets refer to: types blanked out, comments kept. */
  readonly text: string;
  readonly root: SyntaxNode;
}

const parsed = new Map<string, Syntax>();

export function syntaxOf(file: string, source: string): Syntax {
  const known = parsed.get(source);
  if (known !== undefined) return known;
  if (file.endsWith(".tsx")) return remembered(source, { text: source, root: tsxTree(file, source) });
  const text = file.endsWith(".ts") ? stripTypeScriptTypes(keepTypeImports(source)) : source;
  const sourceType = file.endsWith(".cjs") ? "commonjs" : "module";
  const root = parse(text, { ecmaVersion: "latest", sourceType, allowHashBang: true }) as unknown as SyntaxNode;
  return remembered(source, { text, root });
}

function remembered(source: string, syntax: Syntax): Syntax {
  parsed.set(source, syntax);
  return syntax;
}

/** Node strips no types from JSX; the bundler's parser reads it as it is, types and all. */
function tsxTree(file: string, source: string): SyntaxNode {
  const { program, errors } = parseSync(file, source, { lang: "tsx", sourceType: "module" });
  const [error] = errors;
  if (error !== undefined) throw new Error(`${file}: ${error.message}`);
  return program as unknown as SyntaxNode;
}

/** Imports of types are imports: without the word `type`, the stripper leaves them where they are. */
function keepTypeImports(source: string): string {
  return source.replace(/^(import|export) type (?=[{*]|\w+ from|\w+,)/gm, "$1      ");
}

/** Calls `visitor` for every node, parents first. */
export function walk(node: SyntaxNode, visitor: (node: SyntaxNode, parent: SyntaxNode | undefined) => void): void {
  const visit = (current: SyntaxNode, parent: SyntaxNode | undefined) => {
    visitor(current, parent);
    for (const value of Object.values(current)) {
      for (const child of Array.isArray(value) ? value : [value]) if (isNode(child)) visit(child, current);
    }
  };
  visit(node, undefined);
}

export function isNode(value: unknown): value is SyntaxNode {
  return typeof value === "object" && value !== null && typeof (value as { type?: unknown }).type === "string";
}

export function literalText(node: unknown): string | undefined {
  if (!isNode(node)) return undefined;
  return node.type === "Literal" && typeof node.value === "string" ? node.value : undefined;
}

export function lineOf(text: string, offset: number): number {
  return text.slice(0, offset).split("\n").length;
}

/** Everything that a file imports: statements, `import()`, `require()`, and `new URL("./…", import.meta.url)`. */
export function importsOf(file: string, source: string): readonly string[] {
  const specifiers: string[] = [];
  const add = (value: unknown) => {
    const text = literalText(value);
    if (text !== undefined) specifiers.push(text);
  };
  walk(syntaxOf(file, source).root, (node) => {
    if (/^(Import|ExportNamed|ExportAll)(Declaration|Expression)$/.test(node.type)) add(node.source);
    const callee = node.callee;
    if (!isNode(callee) || callee.type !== "Identifier") return;
    const [first] = node.arguments as unknown[];
    if (node.type === "CallExpression" && callee.name === "require") add(first);
    if (node.type === "NewExpression" && callee.name === "URL" && /^\.\.?\//.test(literalText(first) ?? "")) add(first);
  });
  return specifiers;
}

/** The code files of the tree that a file imports. */
export function importedFiles(tree: Tree, file: string): readonly string[] {
  return importsOf(file, tree.files.get(file) ?? "")
    .filter((specifier) => specifier.startsWith("."))
    .map((specifier) => path.posix.join(path.posix.dirname(file), specifier))
    .filter((imported) => tree.files.has(imported) && isCode(imported));
}
