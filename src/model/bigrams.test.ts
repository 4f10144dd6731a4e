import { describe, expect, it } from 'vitest';
import { bigramChunks, bigramTable, readBigrams } from './bigrams.ts';
import type { BigramCounts } from './bigrams.ts';
import { createHeader, safetensorsChunks } from './safetensors.ts';

/** 0 1 0 1 2 0: every pair of it. */
const COUNTS: BigramCounts = {
  tokens: Uint32Array.of(3, 2, 1, 0),
  offsets: Uint32Array.of(0, 1, 3, 4, 4),
  next: Uint32Array.of(1, 0, 2, 0),
  counts: Uint32Array.of(2, 1, 1, 1),
};
const file = (counts: BigramCounts): Uint8Array => Buffer.concat([...bigramChunks(counts)]);

describe('a table of bigrams', () => {
  it('comes back from its file', () => {
    const [made, read] = [bigramTable(COUNTS), readBigrams(file(COUNTS), 4, 'f')];
    expect([read.tokens, read.pairs]).toEqual([6, 4]);
    for (let a = 0; a < 4; a++) {
      expect(read.share(a)).toBe(made.share(a));
      for (let b = 0; b < 4; b++) expect(read.shareBehind(a, b)).toBe(made.shareBehind(a, b));
    }
  });

  it('has shares above 0 that sum to 1, but where a document ended', () => {
    const table = bigramTable(COUNTS);
    const ids = [0, 1, 2, 3];
    const sum = (share: (id: number) => number): number => ids.reduce((all, id) => all + share(id), 0);
    expect(sum((id) => table.share(id))).toBeCloseTo(1, 12);
    for (const before of [1, 2, 3]) expect(sum((id) => table.shareBehind(before, id))).toBeCloseTo(1, 12);
    // The last token is a 0 that nothing follows: 52 of 53.
    expect(sum((id) => table.shareBehind(0, id))).toBeCloseTo(52 / 53, 12);
    for (const a of ids) for (const b of ids) expect(table.shareBehind(a, b)).toBeGreaterThan(0);
    expect(table.shareBehind(0, 1)).toBeGreaterThan(table.share(1));
  });

  it.each<[string, () => Uint8Array, RegExp]>([
    ['another vocabulary', () => file({ ...COUNTS, tokens: Uint32Array.of(1) }), /counts of 1 tokens/],
    ['offsets that fall', () => file({ ...COUNTS, offsets: Uint32Array.of(0, 3, 1, 4, 4) }), /offsets/],
    [
      'offsets beyond the pairs',
      () => file({ ...COUNTS, offsets: Uint32Array.of(0, 1, 3, 4, 9) }),
      /offsets/,
    ],
    [
      'a pair without a count',
      () => file({ ...COUNTS, counts: Uint32Array.of(1) }),
      /4 followers and 1 counts/,
    ],
    ['half a file', () => file(COUNTS).subarray(0, -4), /cut short/],
    [
      'other tensors',
      () => Buffer.concat([...safetensorsChunks(createHeader([]), () => new Uint8Array())]),
      /no tokens of dtype U32/,
    ],
  ])('refuses %s', (_, make, message) => {
    expect(() => readBigrams(make(), 4, 'f')).toThrow(message);
  });
});
