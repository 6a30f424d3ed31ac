/** What a symbol is in the binary, and what linked bytes say about it. */
import type { BinaryImage, Import, Slot } from "./binary-image.ts";
import type { Reading } from "./linked-fields.ts";

export type Resolution =
  | { readonly kind: "address"; readonly address: number }
  | { readonly kind: "import"; readonly symbol: Import }
  /** `offset` bytes into PT_TLS. */
  | { readonly kind: "tls"; readonly offset: number };

/** Without the version that `.symver` adds. */
export function plainName(name: string): string {
  return name.replace(/@.*$/, "");
}

export function sameResolution(one: Resolution, other: Resolution): boolean {
  if (one.kind === "address" && other.kind === "address") return one.address === other.address;
  if (one.kind === "tls" && other.kind === "tls") return one.offset === other.offset;
  if (one.kind === "import" && other.kind === "import") return one.symbol.name === other.symbol.name;
  // The one reference goes through the dynamic linker and the other does not: both may be true of an exported symbol.
  return one.kind !== "tls" && other.kind !== "tls";
}

export function resolutionText(resolution: Resolution): string {
  if (resolution.kind === "import") return `the import ${resolution.symbol.name}`;
  if (resolution.kind === "tls") return `${resolution.offset} bytes into the thread-local block`;
  return `at 0x${resolution.address.toString(16)}`;
}

export function resolutionOf(reading: Reading, binary: BinaryImage): Resolution | undefined {
  if (reading.kind === "nothing") return undefined;
  if (reading.kind === "block-offset") return { kind: "tls", offset: reading.offset };
  if (reading.kind === "thread-offset") return threadOffset(reading.offset, binary);
  if (reading.kind === "address") {
    const imported = binary.pltImport(reading.address);
    return imported === undefined ? reading : { kind: "import", symbol: imported };
  }
  const slot = binary.slots.get(reading.address);
  if (slot === undefined) return staticSlot(reading, binary);
  return slotResolution(slot);
}

function slotResolution(slot: Slot): Resolution {
  if (slot.kind === "address") return slot;
  if (slot.kind === "import") return { kind: "import", symbol: slot.symbol };
  return slot.symbol === undefined ? { kind: "tls", offset: slot.addend } : { kind: "import", symbol: slot.symbol };
}

/** Nothing is left for a dynamic linker to do: the entry holds the value. */
function staticSlot(reading: Reading & { readonly address: number }, binary: BinaryImage): Resolution | undefined {
  const bytes = binary.bytesAt(reading.address, 8);
  if (bytes === undefined) return undefined;
  const value = Number(Buffer.from(bytes).readBigInt64LE());
  return reading.kind === "thread-slot" ? threadOffset(value, binary) : { kind: "address", address: value };
}

/** The block of an executable ends at the thread pointer ("ELF Handling For Thread-Local Storage" §3.4.2, variant II). */
function threadOffset(offset: number, { tls }: BinaryImage): Resolution | undefined {
  if (tls === undefined) return undefined;
  const align = Math.max(tls.align, 1);
  return { kind: "tls", offset: offset + Math.ceil(tls.memorySize / align) * align };
}
