/**
 * How ggml stores numbers in blocks (ggml-common.h), and the way back to floats in the arithmetic of its `dequantize_row_*`:
 * f32, rounded at each step. `q` is a small integer, `d` a scale in half precision.
 */
import { floatsFromBf16, floatsFromF16 } from './float16.ts';

interface Quant {
  /** Elements of a block, and its bytes. */
  block: number;
  bytes: number;
  /** Block after block, to `out`. */
  decode: (bytes: Uint8Array, out: Float32Array) => void;
}

/** Every half float by its bits: a scale a block is looked up, not converted. */
let halves: Float32Array | undefined;
const f16 = (bytes: Uint8Array, at: number): number => {
  halves ??= floatsFromF16(Uint16Array.from({ length: 65536 }, (_, bits) => bits));
  return halves[bytes[at] | (bytes[at + 1] << 8)];
};
const round = Math.fround;
const signed = (byte: number): number => (byte << 24) >> 24;

/** Bytes as 16-bit words, wherever they begin. */
const words = (bytes: Uint8Array): Uint16Array => new Uint16Array(bytes.slice().buffer);

/** d, then 32 signed bytes. */
function decodeQ8_0(bytes: Uint8Array, out: Float32Array): void {
  for (let from = 0, to = 0; to < out.length; from += 34, to += 32) {
    const d = f16(bytes, from);
    for (let i = 0; i < 32; i++) out[to + i] = d * signed(bytes[from + 2 + i]);
  }
}

/** The same as `MatMulNBits` takes it, 128 added: whole blocks to `packed`, and a scale for each to `scales`. */
export function unpackQ8_0(bytes: Uint8Array, packed: Uint8Array, scales: Float32Array): void {
  for (let from = 0, block = 0; from < bytes.length; from += 34, block++) {
    scales[block] = f16(bytes, from);
    for (let i = 0; i < 32; i++) packed[block * 32 + i] = bytes[from + 2 + i] ^ 128;
  }
}

/** d, then 32 nibbles: the low ones are the first half of the block. q − 8 */
function decodeQ4_0(bytes: Uint8Array, out: Float32Array): void {
  for (let from = 0, to = 0; to < out.length; from += 18, to += 32) {
    const d = f16(bytes, from);
    for (let i = 0; i < 16; i++) {
      const byte = bytes[from + 2 + i];
      out[to + i] = d * ((byte & 15) - 8);
      out[to + 16 + i] = d * ((byte >> 4) - 8);
    }
  }
}

/**
 * d and dmin, twelve bytes with eight scales and eight minima of six bits, then 256 nibbles in four groups of 64, the low
 * ones first. d · scale · q − dmin · minimum
 */
function decodeQ4_K(bytes: Uint8Array, out: Float32Array): void {
  for (let from = 0, to = 0; to < out.length; from += 144, to += 256) {
    const [d, dmin] = [f16(bytes, from), f16(bytes, from + 2)];
    for (let j = 0; j < 8; j++) {
      const { scale, minimum } = sixBits(bytes, from + 4, j);
      const [d1, m1] = [round(d * scale), round(dmin * minimum)];
      const at = from + 16 + (j >> 1) * 32;
      const shift = (j & 1) * 4;
      for (let i = 0; i < 32; i++) out[to + j * 32 + i] = round(d1 * ((bytes[at + i] >> shift) & 15)) - m1;
    }
  }
}

/** The first four have bytes of their own; the others' low bits are nibbles, their high bits lie atop the first four. */
function sixBits(bytes: Uint8Array, at: number, j: number): { scale: number; minimum: number } {
  if (j < 4) return { scale: bytes[at + j] & 63, minimum: bytes[at + j + 4] & 63 };
  const low = bytes[at + j + 4];
  return {
    scale: (low & 15) | ((bytes[at + j - 4] >> 6) << 4),
    minimum: (low >> 4) | ((bytes[at + j] >> 6) << 4),
  };
}

/**
 * 128 bytes of low nibbles, 64 of upper bit pairs, sixteen signed scales, d. In each half of 128 the nibbles of 64 bytes are
 * four groups of 32 (low, low, high, high), and each of 32 bytes holds the bit pairs of all four. d · scale · (q − 32)
 */
function decodeQ6_K(bytes: Uint8Array, out: Float32Array): void {
  for (let from = 0, to = 0; to < out.length; from += 210, to += 256) {
    const d = f16(bytes, from + 208);
    for (let i = 0; i < 256; i++) {
      const [side, within] = [i >> 7, i & 127];
      const [group, l] = [within >> 5, within & 31];
      const nibble = (bytes[from + side * 64 + (group & 1) * 32 + l] >> (group >> 1 ? 4 : 0)) & 15;
      const pair = (bytes[from + 128 + side * 32 + l] >> (2 * group)) & 3;
      const scale = signed(bytes[from + 192 + (i >> 4)]);
      out[to + i] = round(d * scale) * ((nibble | (pair << 4)) - 32);
    }
  }
}

export const QUANTS = {
  F32: {
    block: 1,
    bytes: 4,
    decode: (bytes, out) => out.set(new Float32Array(bytes.slice().buffer)),
  },
  F16: { block: 1, bytes: 2, decode: (bytes, out) => out.set(floatsFromF16(words(bytes))) },
  BF16: { block: 1, bytes: 2, decode: (bytes, out) => out.set(floatsFromBf16(words(bytes))) },
  Q8_0: { block: 32, bytes: 34, decode: decodeQ8_0 },
  Q4_0: { block: 32, bytes: 18, decode: decodeQ4_0 },
  Q4_K: { block: 256, bytes: 144, decode: decodeQ4_K },
  Q6_K: { block: 256, bytes: 210, decode: decodeQ6_K },
} as const satisfies Record<string, Quant>;

export type QuantName = keyof typeof QUANTS;

/** Numbers of `enum ggml_type`, those that are not read too, so that errors can name them. */
const TYPE_NAMES: Readonly<Record<number, string>> = {
  0: 'F32',
  1: 'F16',
  2: 'Q4_0',
  3: 'Q4_1',
  6: 'Q5_0',
  7: 'Q5_1',
  8: 'Q8_0',
  9: 'Q8_1',
  10: 'Q2_K',
  11: 'Q3_K',
  12: 'Q4_K',
  13: 'Q5_K',
  14: 'Q6_K',
  15: 'Q8_K',
  16: 'IQ2_XXS',
  17: 'IQ2_XS',
  18: 'IQ3_XXS',
  19: 'IQ1_S',
  20: 'IQ4_NL',
  21: 'IQ3_S',
  22: 'IQ2_S',
  23: 'IQ4_XS',
  24: 'I8',
  25: 'I16',
  26: 'I32',
  27: 'I64',
  28: 'F64',
  29: 'IQ1_M',
  30: 'BF16',
  34: 'TQ1_0',
  35: 'TQ2_0',
  39: 'MXFP4',
};

export const typeName = (number: number): string => TYPE_NAMES[number] ?? `type ${number}`;
