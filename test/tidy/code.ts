/** What is looked at inside one code file: its size, its functions, its empty catches, its skipped tests. */
import {
  isCode,
  isNode,
  lineOf,
  literalText,
  type Problem,
  type Syntax,
  type SyntaxNode,
  syntaxOf,
  type Tree,
  walk,
} from "./tree.ts";

const maxFileLines = 500;
/** Tables rather than programs: one entry for each case of a corpus. */
const tables = /^test\/corpus\/[^/]+\/(?:extra-)?probes\.cjs$/;
const maxFunctionLines = 70;

function eachCodeFile(tree: Tree, look: (file: string, syntax: Syntax) => readonly Problem[]): readonly Problem[] {
  return [...tree.files]
    .filter(([file]) => isCode(file))
    .flatMap(([file, source]) => look(file, syntaxOf(file, source)));
}

export function fileSizes(tree: Tree): readonly Problem[] {
  return [...tree.files]
    .filter(([file]) => isCode(file))
    .map(([file, source]) => ({ file, lines: source.trimEnd().split("\n").length }))
    .filter(({ file, lines }) => lines > maxFileLines && !tables.test(file))
    .map(({ file, lines }) => ({ file, message: `has ${lines} lines; split it (at most ${maxFileLines})` }));
}

/** `describe` groups tests, as a file does; its callback is no function that anybody reads as one. */
function isSuite(parent: SyntaxNode | undefined): boolean {
  const callee = parent?.type === "CallExpression" ? parent.callee : undefined;
  return isNode(callee) && callee.type === "Identifier" && (callee.name === "describe" || callee.name === "suite");
}

export function functionSizes(tree: Tree): readonly Problem[] {
  return eachCodeFile(tree, (file, { text, root }) => {
    const problems: Problem[] = [];
    walk(root, (node, parent) => {
      if (!/Function/.test(node.type) || isSuite(parent)) return;
      const first = lineOf(text, node.start);
      const lines = lineOf(text, node.end) - first + 1;
      if (lines <= maxFunctionLines) return;
      problems.push({ file, message: `line ${first}: a function of ${lines} lines (at most ${maxFunctionLines})` });
    });
    return problems;
  });
}

function isEmptyBlock(node: unknown): node is SyntaxNode {
  return isNode(node) && node.type === "BlockStatement" && (node.body as unknown[]).length === 0;
}

/** `catch {}` and `.catch(() => {})` swallow an error; the comment in them says why that is right. */
export function emptyCatches(tree: Tree): readonly Problem[] {
  return eachCodeFile(tree, (file, { text, root }) => {
    const problems: Problem[] = [];
    walk(root, (node) => {
      const callee = node.callee;
      const isCatchCall = isNode(callee) && isNode(callee.property) && callee.property.name === "catch";
      const [handler] = isCatchCall ? (node.arguments as SyntaxNode[]) : [];
      const body = node.type === "CatchClause" ? node.body : handler?.body;
      if (!isEmptyBlock(body) || /\/[/*]/.test(text.slice(body.start, body.end))) return;
      problems.push({ file, message: `line ${lineOf(text, body.start)}: an empty catch without a reason` });
    });
    return problems;
  });
}

/** A skipped test owes its reason as text; a test that runs alone hides the others. */
export function skippedTests(tree: Tree): readonly Problem[] {
  return eachCodeFile(tree, (file, { text, root }) => {
    if (!file.startsWith("test/")) return [];
    const problems: Problem[] = [];
    const add = (node: SyntaxNode, message: string) =>
      problems.push({ file, message: `line ${lineOf(text, node.start)}: ${message}` });
    walk(root, (node) => {
      if (node.type === "CallExpression") {
        const found = skipCall(node);
        if (found !== undefined) add(node, found);
      }
      const key = node.type === "Property" && isNode(node.key) ? node.key.name : undefined;
      const isTrue = isNode(node.value) && node.value.type === "Literal" && node.value.value === true;
      if (isTrue && (key === "skip" || key === "todo"))
        add(node, `${key} without a reason; give the reason as a string`);
      if (isTrue && key === "only") add(node, "only: hides the other tests");
    });
    return problems;
  });
}

const testFunctions = new Set(["test", "it", "describe", "suite"]);

function skipCall(node: SyntaxNode): string | undefined {
  const callee = node.callee;
  if (!isNode(callee) || callee.type !== "MemberExpression" || !isNode(callee.object) || !isNode(callee.property))
    return undefined;
  const object = callee.object.name as string | undefined;
  const method = callee.property.name as string | undefined;
  if (method === undefined || !["skip", "todo", "only"].includes(method)) return undefined;
  if (object !== undefined && testFunctions.has(object)) return `${object}.${method} has no place for a reason`;
  const [reason] = node.arguments as SyntaxNode[];
  const named = reason !== undefined && literalText(reason) !== "";
  return (object === "t" || object === "context") && !named ? `${object}.${method} without a reason` : undefined;
}
