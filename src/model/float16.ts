/**
 * Half floats in both directions, on bit patterns: NaN payloads and signed zeros survive, and rounding is to
 * nearest, ties to even, as IEEE 754 and PyTorch do it. Typed arrays of bits in, typed arrays of bits out.
 */

/** binary16 to binary32, by table: 65,536 entries built once. */
export function floatsFromF16(halves: Uint16Array): Float32Array {
  f16Table ??= Uint32Array.from({ length: 65536 }, (_, half) => widenF16(half));
  const bits = new Uint32Array(halves.length);
  for (let i = 0; i < halves.length; i++) bits[i] = f16Table[halves[i]]!;
  return new Float32Array(bits.buffer);
}

let f16Table: Uint32Array | undefined;

/** Bits of one binary16 as bits of the binary32 with the same value. */
function widenF16(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >>> 10) & 31;
  const mantissa = half & 0x3ff;
  if (exponent === 31) return sign | 0x7f800000 | (mantissa << 13);
  if (exponent > 0) return sign | ((exponent + 112) << 23) | (mantissa << 13);
  if (mantissa === 0) return sign;
  // A subnormal m · 2^-24: shift the leading bit into the implicit place and lower the exponent as often.
  const shift = Math.clz32(mantissa) - 21;
  return sign | ((113 - shift) << 23) | (((mantissa << shift) & 0x3ff) << 13);
}

/** binary32 to binary16; beyond 65,520 in magnitude it becomes infinite. */
export function f16FromFloats(floats: Float32Array): Uint16Array {
  const bits = new Uint32Array(floats.buffer, floats.byteOffset, floats.length);
  const halves = new Uint16Array(floats.length);
  for (let i = 0; i < floats.length; i++) halves[i] = narrowF16(bits[i]);
  return halves;
}

function narrowF16(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const exponent = (bits >>> 23) & 255;
  let mantissa = bits & 0x7fffff;
  if (exponent === 255) {
    // A NaN whose payload lies below the ten kept bits must not turn into infinity.
    const payload = mantissa >>> 13;
    return sign | 0x7c00 | (mantissa !== 0 && payload === 0 ? 1 : payload);
  }
  if (exponent >= 143) return sign | 0x7c00;
  let dropped = 13;
  let half = 0;
  if (exponent > 112) {
    half = (exponent - 112) << 10;
  } else {
    dropped = 126 - exponent;
    if (dropped > 24) return sign; // under half of the least subnormal
    mantissa |= 0x800000;
  }
  half |= mantissa >>> dropped;
  const rest = mantissa & ((1 << dropped) - 1);
  const tie = 1 << (dropped - 1);
  // A carry runs from the mantissa into the exponent and at the top into infinity, as it should.
  if (rest > tie || (rest === tie && (half & 1) === 1)) half++;
  return sign | half;
}

/** bfloat16 is the upper half of a binary32. */
export function floatsFromBf16(halves: Uint16Array): Float32Array {
  const bits = new Uint32Array(halves.length);
  for (let i = 0; i < halves.length; i++) bits[i] = halves[i] << 16;
  return new Float32Array(bits.buffer);
}

export function bf16FromFloats(floats: Float32Array): Uint16Array {
  const bits = new Uint32Array(floats.buffer, floats.byteOffset, floats.length);
  const halves = new Uint16Array(floats.length);
  for (let i = 0; i < floats.length; i++) {
    const word = bits[i];
    const isNaN = (word & 0x7fffffff) > 0x7f800000;
    if (isNaN) halves[i] = (word >>> 16) | ((word & 0x7f0000) === 0 ? 1 : 0);
    else halves[i] = (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
  }
  return halves;
}
