import { describe, expect, test } from 'vitest';
import { bf16FromFloats, f16FromFloats, floatsFromBf16, floatsFromF16 } from './float16.ts';

const ALL = Uint16Array.from({ length: 65536 }, (_, i) => i);
const bitsOf = (value: number): number => new Uint32Array(Float32Array.of(value).buffer)[0];
const fromBits = (bits: number): number => new Float32Array(Uint32Array.of(bits).buffer)[0];

describe.each([
  { name: 'f16', widen: floatsFromF16, narrow: f16FromFloats, infinity: 0x7c00 },
  { name: 'bf16', widen: floatsFromBf16, narrow: bf16FromFloats, infinity: 0x7f80 },
])('$name', ({ widen, narrow, infinity }) => {
  test('every one of the 65,536 patterns survives the way to f32 and back, NaN payloads included', () => {
    expect(narrow(widen(ALL))).toEqual(ALL);
  });

  test('between each two neighbours the midpoint goes to the even one and the rest to the nearer one', () => {
    const values = widen(ALL);
    const inputs: number[] = [];
    const wanted: number[] = [];
    for (let lower = 0; lower + 1 < infinity; lower++) {
      const middle = (values[lower] + values[lower + 1]) / 2; // exact: one more bit than either
      inputs.push(fromBits(bitsOf(middle) - 1), middle, fromBits(bitsOf(middle) + 1));
      wanted.push(lower, lower % 2 === 0 ? lower : lower + 1, lower + 1);
    }
    expect(narrow(Float32Array.from(inputs))).toEqual(Uint16Array.from(wanted));
    expect(narrow(Float32Array.from(inputs, (x) => -x))).toEqual(
      Uint16Array.from(wanted, (half) => half | 0x8000),
    );
  });

  test('beyond the largest finite value by half a step or more lies infinity', () => {
    const largest = widen(Uint16Array.of(infinity - 1))[0];
    const below = widen(Uint16Array.of(infinity - 2))[0];
    const edge = bitsOf(largest) + (bitsOf(largest) - bitsOf(below)) / 2;
    expect([...narrow(Float32Array.of(fromBits(edge - 1), fromBits(edge)))]).toEqual([
      infinity - 1,
      infinity,
    ]);
  });

  test('zeros keep their sign, infinities stay, and no NaN turns into infinity', () => {
    expect([...narrow(Float32Array.of(0, -0, Infinity, -Infinity))]).toEqual([
      0,
      0x8000,
      infinity,
      infinity | 0x8000,
    ]);
    const quietest = new Float32Array(Uint32Array.of(0x7f800001, 0xff800001).buffer);
    expect([...widen(narrow(quietest))]).toEqual([NaN, NaN]);
  });
});

test('known f16 values', () => {
  expect([...floatsFromF16(Uint16Array.of(0x3c00, 0xc000, 0x7bff, 0x0001, 0x0400))]).toEqual([
    1,
    -2,
    65504,
    2 ** -24,
    2 ** -14,
  ]);
});
