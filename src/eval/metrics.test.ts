import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRng } from '../rng.ts';
import { editSimilarity, exactMatch, levenshtein, mean, parses, percentile, ratio } from './metrics.ts';

/** The textbook recursion. */
function slowDistance(a: string, b: string): number {
  if (a === '' || b === '') return a.length + b.length;
  const [restA, restB] = [a.slice(1), b.slice(1)];
  if (a[0] === b[0]) return slowDistance(restA, restB);
  return 1 + Math.min(slowDistance(restA, b), slowDistance(a, restB), slowDistance(restA, restB));
}

describe('edit similarity', () => {
  it('is the textbook distance', () => {
    const word = fc.string({ maxLength: 6, unit: fc.constantFrom('a', 'b', 'c') });
    fc.assert(
      fc.property(word, word, (a, b) => {
        expect(levenshtein(a, b)).toBe(slowDistance(a, b));
      }),
      { numRuns: 300 },
    );
  });

  it('is a share of the longer text, symmetric, and counts characters', () => {
    expect(editSimilarity('kitten', 'sitting')).toBeCloseTo(1 - 3 / 7);
    expect(editSimilarity('', '')).toBe(1);
    expect(editSimilarity('', 'ab')).toBe(0);
    expect(editSimilarity('👍a', '👎a')).toBe(0.5);
    fc.assert(fc.property(fc.string(), fc.string(), (a, b) => editSimilarity(a, b) === editSimilarity(b, a)));
  });
});

it('exact match forgives white space at the end, not at the start', () => {
  expect(exactMatch('return x; \n', 'return x;')).toBe(true);
  expect(exactMatch(' return x;', 'return x;')).toBe(false);
  expect(exactMatch('return y;', 'return x;')).toBe(false);
});

describe('parses', () => {
  it.each([
    ['const x: number = 1;', 'a.ts', true],
    ['const x: number = ;', 'a.ts', false],
    ['const x: number = 1;', 'a.js', false],
    ['export const A = () => <b>{1}</b>;', 'a.tsx', true],
    ['export const A = () => <b>{1}</b>;', 'a.ts', false],
    ['let y = <T>x as unknown as U;', 'some id', true],
    ['function f( {', 'some id', false],
  ])('%s in %s: %s', (source, filename, expected) => expect(parses(source, filename)).toBe(expected));
});

it('percentiles are nearest ranks', () => {
  const hundred = Array.from({ length: 100 }, (_, i) => 100 - i);
  expect(percentile(hundred, 0.5)).toBe(50);
  expect(percentile(hundred, 0.95)).toBe(95);
  expect(percentile([3, 1, 2], 0.95)).toBe(3);
  expect(percentile([7], 0.5)).toBe(7);
  expect(percentile([2, 1], 0)).toBe(1);
});

describe('estimates', () => {
  it('mean has the usual standard error', () => {
    expect(mean([1, 2, 3, 4])).toEqual({
      value: 2.5,
      standardError: expect.closeTo(Math.sqrt(5 / 3 / 4), 12),
    });
    expect(mean([5])).toEqual({ value: 5, standardError: null });
  });

  it('ratio weighs units by their size', () => {
    const units = [
      { numerator: 10, denominator: 10 },
      { numerator: 2, denominator: 1 },
    ];
    expect(ratio(units).value).toBeCloseTo(12 / 11);
  });

  it("ratio's standard error is how much the ratio varies between samples", () => {
    const rng = createRng(5);
    const draws = Array.from({ length: 400 }, () =>
      ratio(
        Array.from({ length: 60 }, () => {
          const denominator = 1 + 20 * rng.next();
          return { numerator: denominator * (1.2 + 0.3 * rng.normal()), denominator };
        }),
      ),
    );
    const values = mean(draws.map(({ value }) => value));
    const observed = values.standardError! * Math.sqrt(draws.length);
    const claimed = mean(draws.map(({ standardError }) => standardError!)).value;
    expect(values.value).toBeCloseTo(1.2, 2);
    expect(claimed / observed).toBeGreaterThan(0.85);
    expect(claimed / observed).toBeLessThan(1.15);
  });
});
