/** Sections of unwind information: CIEs and FDEs whose augmentations and programs are made of true operations, with operands that are not always true. */
import { damageBlindly, edges, type Random } from "./random.ts";

/** DW_CFA_… (DWARF 5 §6.4.2, and GNU's) with the kinds of their operands. */
const operations: readonly (readonly [number, string])[] = [
  [0x00, ""],
  [0x01, "a"],
  [0x02, "1"],
  [0x03, "2"],
  [0x04, "4"],
  [0x05, "uu"],
  [0x06, "u"],
  [0x07, "u"],
  [0x08, "u"],
  [0x09, "uu"],
  [0x0a, ""],
  [0x0b, ""],
  [0x0c, "uu"],
  [0x0d, "u"],
  [0x0e, "u"],
  [0x0f, "b"],
  [0x10, "ub"],
  [0x11, "us"],
  [0x12, "us"],
  [0x13, "s"],
  [0x14, "uu"],
  [0x15, "us"],
  [0x16, "ub"],
  [0x2d, ""],
  [0x2e, "u"],
  [0x2f, "uu"],
];

/** Unsigned LEB128, sometimes longer than it need be. */
function leb(value: bigint, random: Random): number[] {
  const bytes: number[] = [];
  let left = value;
  do {
    bytes.push(Number(left & 0x7fn) | 0x80);
    left >>= 7n;
  } while (left > 0n);
  if (random.oneIn(12)) for (let count = random.below(20); count > 0; count--) bytes.push(0x80);
  const last = bytes.length - 1;
  bytes[last] = (bytes[last] as number) & 0x7f;
  return bytes;
}

function operand(kind: string, random: Random): number[] {
  switch (kind) {
    case "u":
      return leb(random.oneIn(4) ? random.pick(edges) : BigInt(random.below(40)), random);
    case "s":
      return leb(random.oneIn(4) ? random.pick(edges) : BigInt(random.below(128)), random);
    case "b": {
      const expression = expressionBytes(random);
      return [...leb(random.oneIn(6) ? random.pick(edges) : BigInt(expression.length), random), ...expression];
    }
    case "a":
      return [...random.bytes(random.pick([4, 8]))];
    default:
      return [...random.bytes(Number(kind))];
  }
}

/** A DWARF expression: mostly true operations (§2.5), on a stack that is not always deep enough. */
export function expressionBytes(random: Random): number[] {
  const bytes: number[] = [];
  for (let count = random.below(12); count > 0; count--) {
    const code = random.pick([
      0x06,
      0x08,
      0x09,
      0x0a,
      0x0c,
      0x10,
      0x11,
      0x12,
      0x13,
      0x14,
      0x15,
      0x16,
      0x19,
      0x1a,
      0x1b,
      0x1c,
      0x1d,
      0x1e,
      0x20,
      0x21,
      0x22,
      0x23,
      0x24,
      0x25,
      0x28,
      0x2a,
      0x2f,
      0x30 + random.below(32),
      0x50,
      0x70 + random.below(17),
      0x94,
      0x96,
      random.below(256),
    ]);
    bytes.push(code);
    if (code >= 0x70 && code <= 0x91) bytes.push(...leb(BigInt(random.below(300)), random));
    else if (code === 0x23 || code === 0x10 || code === 0x11) bytes.push(...leb(random.pick(edges), random));
    else if (code === 0x28 || code === 0x2f || code === 0x0a) bytes.push(random.below(256), random.pick([0, 0xff]));
    else if (code === 0x08 || code === 0x09 || code === 0x15 || code === 0x94) bytes.push(random.below(256));
    else if (code === 0x0c) bytes.push(...random.bytes(4));
  }
  return bytes;
}

function program(random: Random): number[] {
  const bytes: number[] = [];
  for (let count = random.below(24); count > 0; count--) {
    const kind = random.below(5);
    if (kind === 0) bytes.push(0x40 | random.below(64));
    else if (kind === 1) bytes.push(0x80 | random.below(64), ...leb(BigInt(random.below(64)), random));
    else if (kind === 2) bytes.push(0xc0 | random.below(64));
    else {
      const [code, operands] = random.pick(operations);
      bytes.push(code);
      for (const one of operands) bytes.push(...operand(one, random));
    }
  }
  return bytes;
}

function entry(body: readonly number[], random: Random): Buffer {
  const padded = [...body, ...new Array<number>((8 - ((body.length + 4) % 8)) % 8).fill(0)];
  const bytes = Buffer.alloc(4 + padded.length);
  bytes.writeUInt32LE(random.oneIn(40) ? random.below(2 ** 32) : padded.length, 0);
  bytes.set(padded, 4);
  return bytes;
}

/** A whole section, ended with a zero entry or not. */
export function unwindSection(random: Random): Buffer {
  const parts: Buffer[] = [];
  let cieAt = 0;
  let length = 0;
  const add = (part: Buffer): void => {
    parts.push(part);
    length += part.length;
  };
  for (let count = 1 + random.below(6); count > 0; count--) {
    if (parts.length === 0 || random.oneIn(4)) {
      const augmentation = random.pick(["zR", "zR", "zPLR", "zRS", "", "zB", "zPR", "eh", "zRRRR", "z"]);
      const data = [...random.bytes(augmentation.length * 3)];
      if (augmentation === "zR") data.splice(0, data.length, random.pick([0x1b, 0x1b, 0x00, 0x0b, 0x9b, 0x50, 0xff]));
      cieAt = length;
      const size = augmentation.startsWith("z") ? leb(BigInt(data.length), random) : [];
      const head = [0, 0, 0, 0, random.pick([1, 1, 1, 3, 4, 9]), ...Buffer.from(augmentation), 0];
      const factors = [
        ...leb(BigInt(random.pick([1, 1, 4, 0])), random),
        ...leb(BigInt(random.pick([0x78, 0x7f, 0])), random),
        16,
      ];
      add(entry([...head, ...factors, ...size, ...data, ...program(random)], random));
    } else {
      const back = random.oneIn(20) ? random.below(2 ** 31) : length + 4 - cieAt;
      const pointer = Buffer.alloc(12);
      pointer.writeUInt32LE(back >>> 0, 0);
      pointer.writeInt32LE(random.below(0x4000) - 0x2000, 4);
      pointer.writeInt32LE(random.below(0x200), 8);
      add(entry([...pointer, ...leb(BigInt(random.oneIn(10) ? 200 : 0), random), ...program(random)], random));
    }
  }
  if (!random.oneIn(3)) add(Buffer.alloc(4));
  const bytes = Buffer.concat(parts);
  return random.oneIn(3) ? damageBlindly(bytes, random) : bytes;
}
