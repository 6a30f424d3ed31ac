/**
 * What the dynamic linker knows: the objects it has loaded, in the order in which it looks for symbols (`struct r_debug` and `struct link_map`, glibc's link.h; musl keeps the same).
 */
import { dynamicTag } from "../../elf/constants.ts";
import type { LoadedImage } from "./loaded-image.ts";
import type { ProcessMemory } from "./process-memory.ts";

/** More objects than any program loads; a damaged list ends here. */
const maxObjects = 10_000;

/** The images in search order, the executable first; those that are not in the list are left out. Empty for a static program. */
export function searchOrder(
  memory: ProcessMemory,
  images: readonly LoadedImage[],
  executable: LoadedImage,
): LoadedImage[] {
  return [...linkMaps(memory, images, executable).keys()];
}

/** Where the `struct link_map` of each image is, 0 where it is not known; in search order. */
export function linkMaps(
  memory: ProcessMemory,
  images: readonly LoadedImage[],
  executable: LoadedImage,
): Map<LoadedImage, number> {
  const debug = executable.dynamic?.entries.find(({ tag }) => tag === dynamicTag.debug)?.value;
  if (debug === undefined || !(debug > 0)) return new Map(executable.dynamic === undefined ? [] : [[executable, 0]]);
  const ordered = new Map<LoadedImage, number>();
  let entry = pointer(memory, debug + 8);
  for (let count = 0; entry !== 0 && count < maxObjects; count++) {
    const dynamicSection = pointer(memory, entry + 16);
    const image = images.find(({ start, end }) => dynamicSection >= start && dynamicSection < end);
    if (image !== undefined && !ordered.has(image)) ordered.set(image, entry);
    entry = pointer(memory, entry + 24);
  }
  return ordered;
}

function pointer(memory: ProcessMemory, address: number): number {
  const bytes = memory.readSome(address, 8);
  return bytes.length < 8 ? 0 : Number(bytes.readBigUInt64LE(0));
}
