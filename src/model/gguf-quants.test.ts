/** Blocks written by hand from the description of the format; what they stand for is computed here another way. */
import { describe, expect, it } from 'vitest';
import { createRng } from '../rng.ts';
import { f16FromFloats, floatsFromF16 } from './float16.ts';
import { quantizeQ8 } from './gguf-format.ts';
import { QUANTS, type QuantName, typeName } from './gguf-quants.ts';

const half = (x: number): number[] => {
  const [bits] = f16FromFloats(Float32Array.of(x));
  return [bits & 255, bits >> 8];
};
const decode = (name: QuantName, bytes: ArrayLike<number>, elements: number): number[] => {
  const out = new Float32Array(elements);
  QUANTS[name].decode(Uint8Array.from(bytes), out);
  return [...out];
};

describe('floats', () => {
  it('are read as they are', () => {
    const bytes = new Uint8Array(Float32Array.of(1.5, -3e-9).buffer);
    expect(decode('F32', bytes, 2)).toEqual([1.5, Math.fround(-3e-9)]);
    expect(decode('F16', [...half(0.25), ...half(-7)], 2)).toEqual([0.25, -7]);
    expect(decode('BF16', [0x80, 0x3f, 0x40, 0xc0], 2)).toEqual([1, -3]);
  });
});

describe('Q8_0', () => {
  it('is scale times signed byte', () => {
    const block = [...half(0.5), ...Array.from({ length: 32 }, (_, i) => (i * 8 - 128) & 255)];
    expect(decode('Q8_0', block, 32)).toEqual(Array.from({ length: 32 }, (_, i) => 0.5 * (i * 8 - 128)));
  });

  it('of what the writer made is exact', () => {
    const rng = createRng(1);
    const floats = Float32Array.from({ length: 320 }, () => rng.normal());
    const bytes = quantizeQ8(floats);
    const view = new DataView(bytes.buffer);
    const expected = Array.from({ length: 320 }, (_, i) => {
      const at = Math.floor(i / 32) * 34;
      const [d] = floatsFromF16(Uint16Array.of(view.getUint16(at, true)));
      return Math.fround(d * view.getInt8(at + 2 + (i % 32)));
    });
    expect(decode('Q8_0', bytes, 320)).toEqual(expected);
    for (const [i, x] of expected.entries()) expect(Math.abs(x - floats[i])).toBeLessThan(0.03);
  });
});

describe('Q4_0', () => {
  it('has the first half of the block in the low nibbles, eight being zero', () => {
    const values = Array.from({ length: 32 }, (_, i) => (i * 7) % 16);
    const bytes = Array.from({ length: 16 }, (_, i) => values[i] | (values[i + 16] << 4));
    expect(decode('Q4_0', [...half(-0.25), ...bytes], 32)).toEqual(values.map((q) => -0.25 * (q - 8)));
  });
});

describe('Q4_K', () => {
  it('has eight scales and minima of six bits, the last four in two pieces', () => {
    const scales = [1, 63, 17, 40, 33, 62, 5, 48];
    const minima = [0, 9, 63, 32, 47, 21, 60, 3];
    const packed = Array.from({ length: 12 }, () => 0);
    for (let j = 0; j < 4; j++) {
      packed[j] = scales[j] | ((scales[j + 4] >> 4) << 6);
      packed[j + 4] = minima[j] | ((minima[j + 4] >> 4) << 6);
      packed[j + 8] = (scales[j + 4] & 15) | ((minima[j + 4] & 15) << 4);
    }
    const values = Array.from({ length: 256 }, (_, i) => (i * 5 + (i >> 4)) % 16);
    const nibbles = Array.from({ length: 128 }, (_, i) => {
      const group = (i >> 5) * 64;
      return values[group + (i & 31)] | (values[group + 32 + (i & 31)] << 4);
    });
    // Powers of two, so that every step is exact.
    const block = [...half(0.25), ...half(0.5), ...packed, ...nibbles];
    expect(block).toHaveLength(QUANTS.Q4_K.bytes);
    expect(decode('Q4_K', block, 256)).toEqual(
      values.map((q, i) => 0.25 * scales[i >> 5] * q - 0.5 * minima[i >> 5]),
    );
  });
});

describe('Q6_K', () => {
  it('has nibbles, upper bits apart, and sixteen signed scales', () => {
    const scales = Array.from({ length: 16 }, (_, i) => (i % 2 === 0 ? 1 : -1) * (i * 8 + 1));
    const values = Array.from({ length: 256 }, (_, i) => (i * 11 + (i >> 3)) % 64);
    const low = Array.from({ length: 128 }, () => 0);
    const high = Array.from({ length: 64 }, () => 0);
    for (const [i, value] of values.entries()) {
      const [side, group, l] = [i >> 7, (i >> 5) & 3, i & 31];
      low[side * 64 + (group % 2) * 32 + l] |= (value & 15) << (group < 2 ? 0 : 4);
      high[side * 32 + l] |= (value >> 4) << (2 * group);
    }
    const block = [...low, ...high, ...scales.map((x) => x & 255), ...half(0.125)];
    expect(block).toHaveLength(QUANTS.Q6_K.bytes);
    expect(decode('Q6_K', block, 256)).toEqual(values.map((q, i) => 0.125 * scales[i >> 4] * (q - 32)));
  });
});

it('types have names, those that are not read as well', () => {
  expect([typeName(12), typeName(20), typeName(999)]).toEqual(['Q4_K', 'IQ4_NL', 'type 999']);
});
