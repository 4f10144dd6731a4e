import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createMerger, type Merge } from './merger.ts';

/** The textbook: look over everything, merge one pair, begin again. */
function plainly(given: readonly number[], merges: readonly Merge[]): number[] {
  const ids = [...given];
  for (;;) {
    const ranks = ids.slice(1).map((right, i) => merges.findIndex(([a, b]) => a === ids[i] && b === right));
    const lowest = Math.min(...ranks.filter((rank) => rank >= 0));
    if (lowest === Infinity) return ids;
    ids.splice(ranks.indexOf(lowest), 2, merges[lowest][2]);
  }
}

const LETTERS = 3;
/** Pairs of letters and earlier results, as training makes them, or in any order. */
const merges = fc
  .tuple(
    fc.array(fc.tuple(fc.nat(), fc.nat()), { minLength: 1, maxLength: 12 }),
    fc.option(fc.array(fc.nat(), { minLength: 12, maxLength: 12 })),
  )
  .map(([pairs, order]) => {
    const born = pairs.map(([a, b], i): Merge => [a % (LETTERS + i), b % (LETTERS + i), LETTERS + i]);
    const seen = new Set<string>();
    const once = born.filter(([a, b]) => !seen.has(`${a} ${b}`) && seen.add(`${a} ${b}`));
    return order === null
      ? once
      : once
          .map((merge, i) => ({ merge, key: order[i] }))
          .sort((a, b) => a.key - b.key)
          .map(({ merge }) => merge);
  });
const word = fc.oneof(
  fc.array(fc.nat({ max: LETTERS - 1 }), { maxLength: 120 }),
  fc
    .tuple(fc.nat({ max: LETTERS - 1 }), fc.nat({ max: 120 }))
    .map(([letter, n]) => Array.from({ length: n }, () => letter)),
);

test('short words and long ones are merged as the textbook does it, whatever the order of the merges', () => {
  fc.assert(
    fc.property(merges, word, (table, ids) => {
      expect(createMerger(table)([...ids])).toEqual(plainly(ids, table));
    }),
    { numRuns: 500 },
  );
});

test('a pair that is listed twice has its last rank, and no merges leave all as it is', () => {
  const twice: Merge[] = [
    [0, 1, 3],
    [1, 0, 4],
    [0, 1, 5],
  ];
  expect(createMerger(twice)([0, 1, 0])).toEqual([0, 4]);
  expect(createMerger([])([2, 1])).toEqual([2, 1]);
});
