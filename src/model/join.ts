/** Typed arrays, one after another; a single one as it is. */
export function joined<A extends Float32Array | Int32Array | Uint8Array>(parts: readonly A[]): A {
  const [first] = parts;
  if (parts.length === 1) return first;
  // Not `first.constructor`: bytes may come as a Buffer, which is made otherwise.
  const Kind = [Float32Array, Int32Array, Uint8Array].find((Each) => first instanceof Each)!;
  const out = new Kind(parts.reduce((length, part) => length + part.length, 0)) as A;
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
