/**
 * Canonical JSON: one text for each value, so that what is signed and what is read cannot differ.
 *
 * The form is RFC 8785 (JSON Canonicalization Scheme): no white space, members sorted by the UTF-16 code units of their names, numbers and strings as ECMAScript writes them.
 * The reader accepts nothing but that form, which rules out duplicate names, byte-order marks and second spellings of one value.
 * Beyond RFC 8785, a member named `__proto__` is refused both ways, since assigning it changes an object's prototype.
 */
import { RebootlessError } from "./errors.ts";

/** Far deeper than any document of the project, and far from the end of the stack. */
const writeDepth = 256;

export interface JsonBounds {
  readonly maxDepth: number;
  /** Commas in the document. */
  readonly maxElements: number;
  /** The longest string or member name, in bytes as written. */
  readonly maxStringBytes: number;
}

/** Says why a value has no canonical form; both public functions turn it into an error of their own. */
class NoCanonicalForm extends Error {}

/**
 * The canonical text of a value made of null, booleans, finite numbers, well-formed strings, arrays and plain objects.
 * Throws `bug/invariant` for anything else: the caller built the value and should have known.
 */
export function canonicalJson(value: unknown): string {
  try {
    return write(value, 0);
  } catch (error) {
    if (!(error instanceof NoCanonicalForm)) {
      throw error;
    }
    throw new RebootlessError("bug/invariant", `This value has no canonical JSON: ${error.message}.`, { cause: error });
  }
}

/**
 * The value of a canonical JSON text in UTF-8.
 * Depth, element count and string lengths are bounded before parsing.
 * Throws `input/json-invalid`, whose message is a clause such as `the JSON is nested deeper than 16`.
 */
export function parseCanonicalJson(bytes: Uint8Array, bounds: JsonBounds): unknown {
  checkJsonBounds(bytes, bounds);
  const text = decodeUtf8(bytes);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    // The engine's own message quotes the document, which is not trusted, so it stays in the cause.
    throw invalid("it is not JSON", error);
  }
  let canonical: string;
  try {
    canonical = write(value, 0);
  } catch (error) {
    if (!(error instanceof NoCanonicalForm)) {
      throw error;
    }
    throw invalid(error.message, error);
  }
  if (canonical !== text) {
    throw invalid(
      "it is not canonical JSON (RFC 8785): a member is written twice, out of order, or in another spelling",
    );
  }
  return value;
}

function write(value: unknown, depth: number): string {
  if (depth > writeDepth) {
    throw new NoCanonicalForm(`it is nested deeper than ${writeDepth}`);
  }
  if (value === null || typeof value === "boolean") {
    return String(value);
  }
  if (typeof value === "number") {
    if (!Number.isFinite(value)) {
      throw new NoCanonicalForm("a number is not finite");
    }
    return JSON.stringify(value);
  }
  if (typeof value === "string") {
    return writeString(value);
  }
  if (Array.isArray(value)) {
    return `[${Array.from(value, (element) => write(element, depth + 1)).join(",")}]`;
  }
  if (typeof value === "object") {
    return writeObject(value, depth);
  }
  throw new NoCanonicalForm(`it contains a value of type ${typeof value}`);
}

function writeString(value: string): string {
  // RFC 8785 §3.2.2.2: a lone surrogate has no UTF-8 form and must end in an error.
  if (!value.isWellFormed()) {
    throw new NoCanonicalForm("a string contains half of a surrogate pair");
  }
  return JSON.stringify(value);
}

function writeObject(value: object, depth: number): string {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    throw new NoCanonicalForm("it contains an object that is not plain data");
  }
  const members = Object.entries(value);
  // RFC 8785 §3.2.3: by UTF-16 code units, which is how ECMAScript compares strings.
  members.sort(([left], [right]) => (left < right ? -1 : 1));
  const written = members.map(([name, member]) => {
    if (name === "__proto__") {
      throw new NoCanonicalForm("a member is named __proto__");
    }
    return `${writeString(name)}:${write(member, depth + 1)}`;
  });
  return `{${written.join(",")}}`;
}

const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;

/**
 * Holds a JSON text, canonical or not, to its bounds before it is parsed. Throws `input/json-invalid` with a clause.
 *
 * Walks the bytes once, without building anything; bytes of a multi-byte character are never taken for punctuation in UTF-8.
 */
export function checkJsonBounds(bytes: Uint8Array, bounds: JsonBounds): void {
  let depth = 0;
  let elements = 0;
  let stringStart = -1;
  for (let offset = 0; offset < bytes.length; offset++) {
    const byte = bytes[offset];
    if (stringStart >= 0) {
      if (byte === backslash) {
        offset++;
      } else if (byte === quote) {
        stringStart = -1;
      }
      if (stringStart >= 0 && offset - stringStart > bounds.maxStringBytes) {
        throw invalid(`a string is longer than ${bounds.maxStringBytes} bytes`);
      }
    } else if (byte === quote) {
      stringStart = offset;
    } else if (byte === 0x5b || byte === 0x7b) {
      depth++;
      if (depth > bounds.maxDepth) {
        throw invalid(`the JSON is nested deeper than ${bounds.maxDepth}`);
      }
    } else if (byte === 0x5d || byte === 0x7d) {
      depth--;
    } else if (byte === comma) {
      elements++;
      if (elements > bounds.maxElements) {
        throw invalid(`it has more than ${bounds.maxElements} elements`);
      }
    }
  }
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    // Without `ignoreBOM` the decoder would drop a byte-order mark, and two different texts would read alike.
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw invalid("it is not UTF-8", error);
  }
}

function invalid(reason: string, cause?: unknown): RebootlessError {
  return new RebootlessError("input/json-invalid", reason, cause === undefined ? {} : { cause });
}
