/**
 * The manifest of a hotpatch: what it changes, for whom, and which payloads carry the change.
 *
 * The schema is closed (no unknown fields) and every string, list and number in it is bounded, since a manifest is read before it is trusted.
 * Schema version 1; a reader refuses any other.
 */
import { type Static, Type } from "typebox";
import { limits } from "../base/limits.ts";
import { refuse } from "../base/refusal.ts";
import { ElfChange } from "./elf-manifest.ts";
import { closed, PayloadName, Sentence, Sha256 } from "./manifest-fields.ts";

const Name = Type.String({ minLength: 1, maxLength: 214 });
const Version = Type.String({ minLength: 1, maxLength: 64, pattern: "^[0-9A-Za-z.+~:_-]+$" });
/** A relative path with `/`; manifest-check.ts checks besides that it stays in its folder. */
export const RelativePath = Type.String({ minLength: 1, maxLength: limits.pathUnits });
/** An offset or a length in UTF-16 code units, as JavaScript counts them. */
const CodeUnits = Type.Integer({ minimum: 0, maximum: 0x3fff_ffff });

export const Advisory = Type.Object(
  {
    id: Type.String({ minLength: 1, maxLength: 64, pattern: "^[0-9A-Za-z-]+$" }),
    severity: Type.Optional(
      Type.Union([Type.Literal("low"), Type.Literal("moderate"), Type.Literal("high"), Type.Literal("critical")]),
    ),
    summary: Type.Optional(Sentence),
  },
  closed,
);
export type Advisory = Static<typeof Advisory>;

/** Whom the hotpatch is for. */
export const Target = Type.Union([
  Type.Object({ kind: Type.Literal("npm"), name: Name, version: Version, fixedVersion: Version }, closed),
  Type.Object({ kind: Type.Literal("files"), name: Name }, closed),
  /** A native program or library; `version` is that of its package, for people. */
  Type.Object({ kind: Type.Literal("elf"), name: Name, version: Type.Optional(Version) }, closed),
]);
export type Target = Static<typeof Target>;

/** A range of a text, in UTF-16 code units, end exclusive. */
export const TextRange = Type.Object({ start: CodeUnits, end: CodeUnits }, closed);
export type TextRange = Static<typeof TextRange>;

/** A function that may have several closures, and where a comment goes that makes its text another one. */
export const Mark = Type.Object({ at: CodeUnits, start: CodeUnits, end: CodeUnits }, closed);
export type Mark = Static<typeof Mark>;

/** A function that gets another text: where it stands after the live edit, and where it stood before. */
export const LiveFunction = Type.Object(
  {
    name: Type.String({ maxLength: 300 }),
    start: CodeUnits,
    end: CodeUnits,
    before: TextRange,
    /** Where the statements between its braces begin, in the new text and in the old; absent without braces. */
    body: Type.Optional(Type.Object({ start: CodeUnits, before: CodeUnits }, closed)),
    /** Ends of lines of the new statements where a comment can stand, in ascending order; only with `gate`. */
    lineEnds: Type.Optional(Type.Array(CodeUnits, { maxItems: 50_000 })),
    /** Old and new statements can stand side by side in it, behind a switch, without changing what closures made earlier do. */
    gate: Type.Optional(Type.Literal(true)),
    /** It has not changed itself; a function inside it has. */
    around: Type.Optional(Type.Literal(true)),
    /** Several closures of it may exist, and nothing need lead to them from the exports. */
    several: Type.Optional(Type.Literal(true)),
    /** None of its closures can be called once the call that made it has returned; only with `several`. */
    brief: Type.Optional(Type.Literal(true)),
    /** For a constructor: its class in the old text, which is what its closures show. */
    ofClass: Type.Optional(TextRange),
  },
  closed,
);
export type LiveFunction = Static<typeof LiveFunction>;

export const Unreachable = Type.Object(
  { name: Type.String({ maxLength: 300 }), line: CodeUnits, reason: Sentence },
  closed,
);
export type Unreachable = Static<typeof Unreachable>;

/** Live variables that the delta reads, and functions of the old text that keep them. */
export const ScopeRead = Type.Object(
  {
    names: Type.Array(Type.String({ minLength: 1, maxLength: 200 }), { maxItems: 5000 }),
    witnesses: Type.Array(TextRange, { maxItems: 64 }),
  },
  closed,
);
export type ScopeRead = Static<typeof ScopeRead>;

/** A program that the agent runs once, right after the live edit: it fills the registry object and defines properties. */
export const Delta = Type.Object(
  {
    text: PayloadName,
    scopes: Type.Array(ScopeRead, { maxItems: 64 }),
    /** Module specifiers that must be loaded before the edit, since the delta needs them at once. */
    imports: Type.Array(Type.String({ minLength: 1, maxLength: 512 }), { maxItems: 256 }),
  },
  closed,
);
export type Delta = Static<typeof Delta>;

/** `direct`: one live edit, although a switch were possible; `stepwise`: function by function; `bridged`: by a text that holds the old and the new statements. */
export const EditWay = Type.Union([
  Type.Literal("direct"),
  Type.Literal("switched"),
  Type.Literal("stepwise"),
  Type.Literal("bridged"),
]);
export type EditWay = Static<typeof EditWay>;

/** What is done to one JavaScript file. */
export const NodeFile = Type.Object(
  {
    path: RelativePath,
    format: Type.Union([Type.Literal("commonjs"), Type.Literal("module")]),
    /** The source as V8 holds it in the unpatched process: how the loaded copy is recognised. */
    before: Type.Object({ sha256: Sha256, length: CodeUnits }, closed),
    /** The fixed file as a whole, for copies that are loaded after the patch. */
    after: PayloadName,
    /** The whole text to hand to V8's live edit; absent when nothing that is already loaded has to change its code. */
    live: Type.Optional(PayloadName),
    /** Functions that need a mark wherever the old or the live text is given to V8, in ascending order of `at`. */
    marks: Type.Optional(
      Type.Object(
        { before: Type.Array(Mark, { maxItems: 50_000 }), live: Type.Array(Mark, { maxItems: 50_000 }) },
        closed,
      ),
    ),
    /** How V8 is led to the new text and back where one live edit does not do; found by a rehearsal when the hotpatch was built. */
    ways: Type.Optional(Type.Object({ there: Type.Optional(EditWay), back: Type.Optional(EditWay) }, closed)),
    /** Every change lies inside a function marked `gate`, so that the file can be edited ahead and take effect at a switch. */
    switchable: Type.Optional(Type.Literal(true)),
    /** The functions that must show their new text after the live edit. */
    functions: Type.Array(LiveFunction, { maxItems: 20_000 }),
    delta: Type.Optional(Delta),
    /** The name of the global registry object that rewritten references go through. */
    registry: Type.String({ pattern: "^__rebootless_[0-9a-f]{12}$" }),
    /** Differences that cannot take effect in a process that has loaded the file already. */
    unreachable: Type.Array(Unreachable, { maxItems: 1000 }),
  },
  closed,
);
export type NodeFile = Static<typeof NodeFile>;

/** A file that only the fixed version has. */
export const NodeAddedFile = Type.Object({ path: RelativePath, text: PayloadName }, closed);

export const NodeChange = Type.Object(
  {
    files: Type.Array(NodeFile, { minItems: 1, maxItems: 5000 }),
    added: Type.Array(NodeAddedFile, { maxItems: 5000 }),
  },
  closed,
);
export type NodeChange = Static<typeof NodeChange>;

export const Payload = Type.Object(
  { name: PayloadName, sizeBytes: Type.Integer({ minimum: 0, maximum: limits.payloadBytes }), sha256: Sha256 },
  closed,
);
export type Payload = Static<typeof Payload>;

export const Manifest = Type.Object(
  {
    schema: Type.Literal("rebootless.hotpatch/1"),
    /** Unique among the hotpatches of a catalog, such as `npm-lodash-4.17.20-to-4.17.21`. */
    id: Type.String({ minLength: 1, maxLength: 200, pattern: "^[0-9A-Za-z][0-9A-Za-z._@+-]*$" }),
    /** Within one baseline, the higher sequence contains and replaces the lower ones. */
    sequence: Type.Integer({ minimum: 1, maximum: 0x7fff_ffff }),
    title: Type.String({ minLength: 1, maxLength: 300 }),
    description: Type.Optional(Type.String({ maxLength: 20_000 })),
    advisories: Type.Array(Advisory, { maxItems: 1000 }),
    target: Target,
    supersedes: Type.Array(Type.String({ maxLength: 200 }), { maxItems: 1000 }),
    requirements: Type.Object({ node: Type.Optional(Type.String({ maxLength: 64 })) }, closed),
    /** Exactly one section: the engine that has work to do. */
    node: Type.Optional(NodeChange),
    elf: Type.Optional(ElfChange),
    payloads: Type.Array(Payload, { maxItems: limits.payloads }),
  },
  closed,
);
export type Manifest = Static<typeof Manifest>;

/** The section for Node.js; refuses with `target/not-this-runtime` when the hotpatch is for another runtime. */
export function nodeChangeOf({ id, node }: Manifest): NodeChange {
  return node ?? refuse("target/not-this-runtime", `${id} is not for Node.js programs.`);
}

/** The section for native programs; refuses with `target/not-this-runtime` when the hotpatch is for another runtime. */
export function elfChangeOf({ id, elf }: Manifest): ElfChange {
  return elf ?? refuse("target/not-this-runtime", `${id} is not for native programs.`);
}
