import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { randomSchema } from '../../../scripts/constraints/random-schema.ts';
import { REALISTIC } from '../../../scripts/constraints/realistic.ts';
import { TintypeError } from '../../errors.ts';
import { createRng } from '../../rng.ts';
import { createAutomaton } from './automaton.ts';
import { createCompileThread } from './compile-thread.ts';
import { grammarOf } from './grammar.ts';
import type { Constraint } from './grammar.ts';
import type { Node } from './nodes.ts';
import { DEAD } from './language.ts';
import { receiveGrammar, sendGrammar } from './sent-grammar.ts';

/** Seconds of work, and nothing that can be refused early. */
const SLOW = {
  type: 'object',
  properties: Object.fromEntries(
    Array.from({ length: 2000 }, (_, i) => [
      `p${i}`,
      { allOf: [{ pattern: `^(a{97}|b${i})*$` }, { pattern: '^(a{101}|b)*$' }] },
    ]),
  ),
};

/** Walks two automata side by side for some random steps, over bytes that the first of them allows. */
function expectSame(a: Node, b: Node, seed: number): void {
  const [one, other] = [createAutomaton(a)!, createAutomaton(b)!];
  const rng = createRng(seed);
  for (let walk = 0; walk < 5; walk++) {
    let [here, there] = [one.start, other.start];
    for (let step = 0; step < 60 && here !== DEAD; step++) {
      expect(other.isAccepting(there)).toBe(one.isAccepting(here));
      expect(other.minBytes(there)).toBe(one.minBytes(here));
      const bytes = Array.from({ length: 256 }, (_, byte) => byte);
      const open = bytes.filter((byte) => one.next(here, byte) !== DEAD);
      expect(bytes.filter((byte) => other.next(there, byte) !== DEAD)).toEqual(open);
      if (open.length === 0) break;
      const byte = open[rng.int(open.length)];
      [here, there] = [one.next(here, byte), other.next(there, byte)];
    }
  }
}

const roundTrip = (constraint: Constraint, seed: number): void => {
  const grammar = grammarOf(constraint);
  // As a message is.
  expectSame(grammar, receiveGrammar(structuredClone(sendGrammar(grammar))), seed);
};

describe('a grammar between threads', () => {
  it('is the same language afterwards', () => {
    for (const [i, schema] of Object.values(REALISTIC).entries()) if (i % 9 === 0) roundTrip({ schema }, i);
    for (const regex of ['a|b*', '(ab?c){2,5}', '[^]*x', '(a{3}|b)+.', 'é[α-ω]{0,9}'])
      roundTrip({ regex }, 1);
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        try {
          roundTrip({ schema: randomSchema(createRng(seed, 'schema')) }, seed);
        } catch (error) {
          if (!(error instanceof TintypeError)) throw error;
        }
      }),
      { numRuns: 10 },
    );
  });

  it('may be deeper than any stack', () => {
    const regex = 'ab'.repeat(9000);
    roundTrip({ regex }, 1);
    const items = Array.from({ length: 4000 }, (_, i) => ({ const: i }));
    roundTrip({ schema: { type: 'array', prefixItems: items, minItems: 4000 } }, 1);
  });
});

describe('the thread', () => {
  it('compiles, refuses with the same words, and knows both a second time', async () => {
    const compiler = createCompileThread();
    const schema = { type: 'array', items: { enum: ['x', 'y'] } };
    const grammar = await compiler.compile({ schema });
    expectSame(grammar, grammarOf({ schema }), 1);
    expect(await compiler.compile({ schema })).toBe(grammar);
    const wrong = { schema: { type: 'string', minLength: 3, maxLength: 1 } };
    for (const _ of [1, 2]) {
      await expect(compiler.compile(wrong)).rejects.toMatchObject({
        code: 'bad_option',
        parts: { what: 'the JSON schema matches nothing, so no text could be written' },
      });
    }
    await compiler.close();
  });

  it('refuses what takes too long, gives up what nobody waits for, and goes on', async () => {
    const compiler = createCompileThread({ mostMs: 20 });
    await expect(compiler.compile({ schema: SLOW })).rejects.toMatchObject({ code: 'unsupported' });
    await compiler.close();

    const patient = createCompileThread();
    const leaving = new AbortController();
    const left = patient.compile({ schema: SLOW }, leaving.signal);
    const next = patient.compile({ regex: 'a+' });
    leaving.abort();
    await expect(left).rejects.toMatchObject({ code: 'aborted' });
    expectSame(await next, grammarOf({ regex: 'a+' }), 1);
    await patient.close();
  });
});
