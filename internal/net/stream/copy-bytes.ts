// Copies of byte views. `slice` will not do: on a Buffer it gives another view of the same memory.

/** A copy with memory of its own, whatever kind of view is given. */
export function copyBytes(view: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(view);
}
