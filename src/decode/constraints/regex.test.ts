import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fillRandomly } from '../../../scripts/constraints/fill.ts';
import { TintypeError } from '../../errors.ts';
import { createRng } from '../../rng.ts';
import { loadTokenizer } from '../../text/load.ts';
import { DEAD } from './language.ts';
import type { Language } from './language.ts';
import { compileRegex } from './regex.ts';
import { createTokenAutomaton } from './tokens.ts';

const tokenizer = await loadTokenizer('models/tintype-code');
const ends = [tokenizer.special('<|endoftext|>')!];

function matches(language: Language, text: string): boolean {
  let state = language.start;
  for (const byte of new TextEncoder().encode(text)) {
    state = language.next(state, byte);
    if (state === DEAD) return false;
  }
  return language.isAccepting(state);
}

const { pattern } = fc.letrec<{ pattern: string }>((tie) => ({
  pattern: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom(
      'a',
      'b',
      'é',
      '[ab]',
      '[^a]',
      '\\d',
      '.',
      'ab',
      '[a-cü-ÿ]',
      '\\w',
      '\\s',
      '😀',
      '\\u{1F600}',
    ),
    fc.tuple(tie('pattern'), tie('pattern')).map(([left, right]) => `${left}${right}`),
    fc.tuple(tie('pattern'), tie('pattern')).map(([left, right]) => `(?:${left}|${right})`),
    fc
      .tuple(tie('pattern'), fc.constantFrom('*', '+', '?', '{2}', '{1,3}', '{2,}', '*?'))
      .map(([inner, times]) => `(${inner})${times}`),
  ),
}));
const text = fc.string({
  unit: fc.constantFrom('a', 'b', 'c', 'é', 'ý', '1', ' ', '\n', '😀', '€'),
  maxLength: 8,
});

describe('compileRegex', () => {
  it('accepts exactly what the same JavaScript expression matches as a whole', () => {
    fc.assert(
      fc.property(pattern, fc.array(text, { maxLength: 20 }), (source, texts) => {
        const language = compileRegex(source);
        const expression = new RegExp(`^(?:${source})$`, 'u');
        for (const each of texts)
          expect([each, matches(language, each)]).toEqual([each, expression.test(each)]);
      }),
      { numRuns: 100 },
    );
  });

  it('knows the fewest bytes to the end', () => {
    fc.assert(
      fc.property(pattern, (source) => {
        const language = compileRegex(source);
        let state = language.start;
        for (let left = language.minBytes(state); left > 0; left--) {
          expect(language.minBytes(state)).toBe(left);
          state = language.next(state, language.shortestByte(state));
        }
        expect(language.isAccepting(state)).toBe(true);
      }),
    );
  });

  it('makes every random fill a match within the budget', () => {
    fc.assert(
      fc.property(pattern, fc.nat(), fc.integer({ min: 0, max: 12 }), (source, seed, room) => {
        const automaton = createTokenAutomaton(compileRegex(source), tokenizer, { ends });
        const budget = Math.max(1, automaton.distance().shortest(automaton.start) + room);
        const filled = fillRandomly(automaton, { budget, blockLength: 1 + (seed % 9), rng: createRng(seed) });
        expect(filled.text).toMatch(new RegExp(`^(?:${source})$`, 'u'));
        expect(filled.tokens).toBeLessThanOrEqual(budget);
      }),
      { numRuns: 20 },
    );
  });

  it.each(['^abc$', '(^ab|a)c', '(?:a|b$)', '^(?:^a|b)$'])('tolerates anchors at the ends: %s', (source) => {
    const language = compileRegex(source);
    for (const each of ['abc', 'ac', 'a', 'b']) {
      expect(matches(language, each)).toBe(new RegExp(`^(?:${source})$`, 'u').test(each));
    }
  });

  it('takes no longer for nested repetitions', () => {
    const language = compileRegex('((a+)+)+b');
    expect(matches(language, `${'a'.repeat(20_000)}b`)).toBe(true);
    expect(language.stateCount).toBeLessThan(20);
    expect(matches(compileRegex('(a{1,30}){1,30}'), 'a'.repeat(900))).toBe(true);
    expect(matches(compileRegex('(a?){30}'), 'a'.repeat(30))).toBe(true);
  });

  it.each([
    ['(?=a)b', 'unsupported', 'look-around ((?=a))'],
    ['(?<!a)b', 'unsupported', 'look-around'],
    ['(a)\\1', 'unsupported', 'back-reference (\\1)'],
    ['a\\b', 'unsupported', 'word boundary'],
    ['a^b', 'unsupported', 'anchor in the middle'],
    ['(?i:a)', 'unsupported', 'change of flags'],
    ['((a{1000}){1000}){1000}', 'unsupported', '1000000000 positions'],
    ['a'.repeat(30_000), 'unsupported', '30000 characters'],
    ['[]', 'bad_option', 'matches nothing'],
    ['a[]|[]', 'bad_option', 'matches nothing'],
    ['(a', 'bad_option', 'not a regular expression'],
    ['a{2,1}', 'bad_option', 'not a regular expression'],
  ])('refuses %.30s', (source, code, message) => {
    const error = thrownBy(() => compileRegex(source));
    expect(error.message).toContain(message);
    expect(error.code).toBe(code);
  });

  it('refuses nesting that would exhaust the stack', () => {
    const error = thrownBy(() => compileRegex(`${'('.repeat(9_000)}a${')'.repeat(9_000)}`));
    expect(error.code).toBe('unsupported');
  });

  it('takes no more time for groups inside each other', () => {
    const nested = `${'('.repeat(500)}a${')'.repeat(500)}`;
    expect(matches(compileRegex(nested), 'a')).toBe(true);
  });

  it('gives up where sets of ways to match would be exponentially many', () => {
    const language = compileRegex('[^]*a[^]{100}');
    const wander = (): void => {
      const states = [language.start];
      for (let i = 0; i < 1e6; i++) states.push(language.next(states[i >> 1], i % 2 ? 0x61 : 0x62));
    };
    expect(wander).toThrow('so many ways to match');
    expect(language.isWorn).toBe(true);
    const renewed = language.renewed();
    expect(renewed.isWorn).toBe(false);
    expect(matches(renewed, `bab${'b'.repeat(99)}`)).toBe(true);
  });

  it('forgets states where they become too many, and finishes the text all the same', () => {
    const source = '(?:a|b)*a(?:a|b){30}';
    const automaton = createTokenAutomaton(compileRegex(source), tokenizer, { ends });
    const rng = createRng(2, 'fill');
    const { text } = fillRandomly(automaton, { budget: 40, blockLength: 8, rng, endChance: 0 });
    expect(automaton.language.isWorn).toBe(true);
    expect(text).toMatch(new RegExp(`^${source}$`));
  });
});

function thrownBy(action: () => unknown): TintypeError {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(TintypeError);
    return error as TintypeError;
  }
  throw new Error('nothing was thrown');
}
