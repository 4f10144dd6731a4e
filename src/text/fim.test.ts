import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fimIds, fimPrompt } from './fim.ts';
import { createByteLevelTokenizer } from './json.ts';

const json: unknown = JSON.parse(
  readFileSync(new URL('../../tests/golden/tokenizer/tokenizer.json', import.meta.url), 'utf8'),
);
const tokenizer = createByteLevelTokenizer(json);
const [PREFIX, SUFFIX, MIDDLE] = [3, 4, 5];

describe('fimPrompt', () => {
  test('psm and spm put the parts where the formats say', () => {
    const parts = { prefix: 'const a = ', suffix: ';\n' };
    const [before, after] = [tokenizer.encode(parts.prefix), tokenizer.encode(parts.suffix)];
    expect(fimPrompt(tokenizer, { ...parts, format: 'psm' }).ids).toEqual([
      PREFIX,
      ...before,
      SUFFIX,
      ...after,
      MIDDLE,
    ]);
    expect(fimPrompt(tokenizer, { ...parts, format: 'spm' }).ids).toEqual([
      PREFIX,
      SUFFIX,
      ...after,
      MIDDLE,
      ...before,
    ]);
  });

  test('a budget keeps the text nearest to the gap and accounts for the rest', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme', maxLength: 60 }),
        fc.string({ unit: 'grapheme', maxLength: 60 }),
        fc.integer({ min: 3, max: 80 }),
        (prefix, suffix, budget) => {
          const { ids, dropped } = fimPrompt(tokenizer, { prefix, suffix, format: 'psm', budget });
          expect(ids.length).toBeLessThanOrEqual(budget);
          const border = ids.indexOf(SUFFIX);
          expect(tokenizer.decode(ids.slice(1, border))).toBe(prefix.slice(dropped.prefixCharacters));
          expect(tokenizer.decode(ids.slice(border + 1, -1))).toBe(
            suffix.slice(0, suffix.length - dropped.suffixCharacters),
          );
        },
      ),
    );
  });

  test('three quarters of a tight budget are the prefix, and unused room goes to the other side', () => {
    const long = 'word '.repeat(200);
    const split = (prefix: string, suffix: string): [number, number] => {
      const { ids } = fimPrompt(tokenizer, { prefix, suffix, format: 'psm', budget: 103 });
      const border = ids.indexOf(SUFFIX);
      return [border - 1, ids.length - border - 2];
    };
    expect(split(long, long)).toEqual([75, 25]);
    expect(split(long, '')).toEqual([100, 0]);
    expect(split('', long)).toEqual([0, 100]);
  });

  test('says what is missing', () => {
    expect(() => fimPrompt(tokenizer, { prefix: '', suffix: '', format: 'psm', budget: 2 })).toThrow(
      /too small/,
    );
    expect(() => fimIds({ ...tokenizer, special: () => null })).toThrow(/no fill-in-the-middle tokens/);
  });
});
