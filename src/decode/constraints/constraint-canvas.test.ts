import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRng } from '../../rng.ts';
import type { Rng } from '../../rng.ts';
import { loadTokenizer } from '../../text/load.ts';
import type { Tokenizer } from '../../text/tokenizer.ts';
import { createConstraintCanvas, isAllowed, MOST_STATES, tokensOf } from './constraint-canvas.ts';
import { compileJsonSchema } from './json-schema.ts';
import { compileRegex } from './regex.ts';
import { createTokenAutomaton, ENDED } from './tokens.ts';

/** Id 0 ends the text; the others are what they say. */
const WORDS = ['', 'a', 'b', 'ab', 'ba', 'aab'];
const END = 0;
const tiny: Tokenizer = {
  vocabSize: WORDS.length,
  encode: (text) => Array.from(text, (char) => WORDS.indexOf(char)),
  decode: (ids) => Array.from(ids, (id) => WORDS[id]).join(''),
  bytes: (id) => new TextEncoder().encode(WORDS[id]),
  special: () => null,
  show: (id) => WORDS[id],
};
const { pattern } = fc.letrec<{ pattern: string }>((tie) => ({
  pattern: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom('a', 'b', '[ab]', 'aa', 'ba'),
    fc.tuple(tie('pattern'), tie('pattern')).map(([left, right]) => `${left}${right}`),
    fc.tuple(tie('pattern'), tie('pattern')).map(([left, right]) => `(?:${left}|${right})`),
    fc
      .tuple(tie('pattern'), fc.constantFrom('*', '+', '?', '{2}', '{1,3}', '{0,2}', '{0,3}'))
      .map(([inner, times]) => `(?:${inner})${times}`),
  ),
}));

/** Every full canvas whose text matches and after whose end nothing but ends stands. */
function everyAnswer(source: string, budget: number): number[][] {
  const expression = new RegExp(`^(?:${source})$`);
  const extend = (ids: number[]): number[][] => {
    if (ids.length === budget) {
      const text = ids.map((id) => WORDS[id]).join('');
      return expression.test(text) ? [ids] : [];
    }
    return WORDS.flatMap((_, id) => (ids.includes(END) && id !== END ? [] : extend([...ids, id])));
  };
  return extend([]);
}

const automatonOf = (source: string) => createTokenAutomaton(compileRegex(source), tiny, { ends: [END] });
const choose = (rng: Rng, list: readonly number[]): number => list[rng.int(list.length)];

describe('the canvas against every possible answer', () => {
  it('allows exactly the tokens that some answer has there, after any commits', () => {
    fc.assert(
      fc.property(pattern, fc.integer({ min: 1, max: 4 }), fc.nat(), (source, budget, seed) => {
        const rng = createRng(seed);
        let answers = everyAnswer(source, budget);
        const automaton = automatonOf(source);
        if (answers.length === 0) {
          expect(() => createConstraintCanvas(automaton, { budget })).toThrow('has no text that fits');
          return;
        }
        const canvas = createConstraintCanvas(automaton, { budget });
        const open = new Set(Array.from({ length: budget }, (_, i) => i));
        while (open.size > 0) {
          for (const position of open) {
            const possible = [...new Set(answers.map((answer) => answer[position]))].sort((a, b) => a - b);
            expect(tokensOf(canvas.allowedAt(position))).toEqual(possible);
            WORDS.forEach((_, id) => expect(canvas.canCommit(position, id)).toBe(possible.includes(id)));
          }
          const position = choose(rng, [...open]);
          const token = choose(rng, tokensOf(canvas.allowedAt(position)));
          canvas.commit(position, token);
          answers = answers.filter((answer) => answer[position] === token);
          open.delete(position);
        }
        expect(canvas.isComplete).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it('is never stuck where distances are only known to suffice', () => {
    fc.assert(
      fc.property(pattern, fc.integer({ min: 0, max: 4 }), fc.nat(), (source, room, seed) => {
        const rng = createRng(seed);
        const automaton = createTokenAutomaton(compileRegex(source), tiny, {
          ends: [END],
          mostExpansions: 0,
        });
        const budget = automaton.distance().shortest(automaton.start) + room;
        fc.pre(budget > 0 && budget < 12);
        const canvas = createConstraintCanvas(automaton, { budget });
        const ids = Array.from({ length: budget }, () => -1);
        while (ids.includes(-1)) {
          const open = ids.flatMap((id, position) => (id < 0 ? [position] : []));
          const position = choose(rng, open);
          for (const asked of [...open].sort(() => rng.next() - 0.5)) canvas.allowedAt(asked);
          expect(tokensOf(canvas.allowedAt(canvas.settled))).not.toEqual([]);
          const allowed = tokensOf(canvas.allowedAt(position));
          if (allowed.length > 0) canvas.commit(position, (ids[position] = choose(rng, allowed)));
        }
        const end = ids.includes(END) ? ids.indexOf(END) : budget;
        expect(tiny.decode(ids.slice(0, end))).toMatch(new RegExp(`^(?:${source})$`));
      }),
      { numRuns: 60 },
    );
  });

  it('forces only what every text has, and stays completable', () => {
    fc.assert(
      fc.property(pattern, fc.integer({ min: 1, max: 4 }), fc.nat(), (source, budget, seed) => {
        const rng = createRng(seed);
        let answers = everyAnswer(source, budget);
        fc.pre(answers.length > 0);
        const canvas = createConstraintCanvas(automatonOf(source), { budget });
        const textsOf = (list: number[][]) => new Set(list.map((answer) => tiny.decode(answer)));
        while (!canvas.isComplete) {
          const texts = textsOf(answers.filter((answer) => answer.length > 0));
          for (const { position, token } of canvas.commitForced()) {
            answers = answers.filter((answer) => answer[position] === token);
          }
          expect(answers.length).toBeGreaterThan(0);
          // Another cut into tokens may have been possible; at the first mask the text so far is in all of them.
          const settled = tiny.decode(answers[0].slice(0, canvas.settled));
          expect([...texts].some((each) => each.startsWith(settled))).toBe(true);
          if (canvas.isComplete) break;
          const token = choose(rng, tokensOf(canvas.allowedAt(canvas.settled)));
          const position = canvas.settled;
          canvas.commit(position, token);
          answers = answers.filter((answer) => answer[position] === token);
        }
      }),
      { numRuns: 40 },
    );
  });

  it('takes a commit back', () => {
    fc.assert(
      fc.property(pattern, fc.nat(), (source, seed) => {
        const rng = createRng(seed);
        const automaton = automatonOf(source);
        fc.pre(automaton.distance().fits(automaton.start, 4));
        const canvas = createConstraintCanvas(automaton, { budget: 4 });
        const fresh = () => [0, 1, 2, 3].map((position) => tokensOf(canvas.allowedAt(position)));
        const before = fresh();
        const order = [0, 1, 2, 3].sort(() => rng.next() - 0.5).slice(0, 3);
        for (const position of order)
          canvas.commit(position, choose(rng, tokensOf(canvas.allowedAt(position))));
        for (const position of order) canvas.remask(position);
        expect(fresh()).toEqual(before);
      }),
      { numRuns: 20 },
    );
  });
});

describe('createTokenAutomaton', () => {
  it('counts the fewest tokens exactly', () => {
    fc.assert(
      fc.property(pattern, (source) => {
        const automaton = automatonOf(source);
        const shortest = [0, 1, 2, 3, 4].findIndex((budget) => everyAnswer(source, budget).length > 0);
        fc.pre(shortest >= 0);
        expect(automaton.distance().shortest(automaton.start)).toBe(shortest);
        expect(automatonOf(source).distance().fits(automaton.start, shortest)).toBe(true);
        if (shortest > 0)
          expect(
            automatonOf(source)
              .distance()
              .fits(automaton.start, shortest - 1),
          ).toBe(false);
      }),
    );
  });

  it('lists as allowed what its steps allow, for a real vocabulary', async () => {
    const tokenizer = await loadTokenizer('models/tintype-code');
    const ends = [tokenizer.special('<|endoftext|>')!];
    const language = compileJsonSchema({
      type: ['object', 'string'],
      additionalProperties: { type: 'integer' },
    });
    const automaton = createTokenAutomaton(language, tokenizer, { ends });
    let states = [automaton.start];
    for (let depth = 0; depth < 3; depth++) {
      for (const state of states) {
        const mask = automaton.allowed(state);
        for (let token = 0; token < tokenizer.vocabSize; token++) {
          if (isAllowed(mask, token) === (automaton.next(state, token) === -1))
            throw new Error(`token ${token}`);
        }
      }
      states = [...new Set(states.flatMap((state) => [...automaton.edges(state).targets]))].filter(
        (s) => s !== ENDED,
      );
    }
  });

  it('works for a tokenizer with few tokens, and says when it cannot', async () => {
    const tokenizer = await loadTokenizer('models/tintype-sudoku');
    const row = createTokenAutomaton(compileRegex('[1-6]{6}'), tokenizer, { ends: [0] });
    expect(row.distance().shortest(row.start)).toBe(6);
    const canvas = createConstraintCanvas(row, { budget: 6 });
    expect(tokenizer.decode(tokensOf(canvas.allowedAt(3)))).toBe('123456');
    expect(() => createTokenAutomaton(compileJsonSchema(true), tokenizer, { ends: [0] })).toThrow(
      'no token for the byte',
    );
  });
});

describe('createConstraintCanvas', () => {
  it('says how many tokens are needed', async () => {
    const tokenizer = await loadTokenizer('models/tintype-code');
    const language = compileJsonSchema({
      type: 'object',
      properties: { name: { type: 'string' } },
      required: ['name'],
    });
    const automaton = createTokenAutomaton(language, tokenizer, { ends: [0] });
    const needed = automaton.distance().shortest(automaton.start);
    createConstraintCanvas(automaton, { budget: needed });
    expect(() => createConstraintCanvas(automaton, { budget: needed - 1 })).toThrow(
      `at least ${needed} tokens`,
    );
  });

  it('writes certain text before anything is asked', async () => {
    const tokenizer = await loadTokenizer('models/tintype-code');
    const language = compileJsonSchema({
      type: 'object',
      properties: { name: { type: 'string' } },
      required: ['name'],
    });
    const automaton = createTokenAutomaton(language, tokenizer, { ends: [0] });
    const canvas = createConstraintCanvas(automaton, { budget: 32 });
    expect(tokenizer.decode(canvas.commitForced().map(({ token }) => token))).toBe('{"name":"');
    const [quote] = tokenizer.encode('"}');
    canvas.commit(canvas.settled, quote);
    const end = canvas.commitForced().map(({ token }) => token);
    expect(end.at(-1)).toBe(0);
    expect(canvas.isComplete).toBe(true);
  });

  it('lets far positions wait where too much is possible, and never the first', async () => {
    const tokenizer = await loadTokenizer('models/tintype-code');
    const automaton = createTokenAutomaton(compileJsonSchema(true), tokenizer, { ends: [0] });
    const canvas = createConstraintCanvas(automaton, { budget: 64 });
    expect(tokensOf(canvas.allowedAt(63))).toEqual([]);
    expect(canvas.canCommit(63, 0)).toBe(false);
    expect(tokensOf(canvas.allowedAt(0)).length).toBeGreaterThan(10);
    expect(MOST_STATES).toBeGreaterThan(1);
  });
});
