import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fillRandomly } from '../../../scripts/constraints/fill.ts';
import { randomSchema } from '../../../scripts/constraints/random-schema.ts';
import { REALISTIC } from '../../../scripts/constraints/realistic.ts';
import { createValidator } from '../../../scripts/constraints/validator.ts';
import { TintypeError } from '../../errors.ts';
import { createRng } from '../../rng.ts';
import { loadTokenizer } from '../../text/load.ts';
import { createConstraintCanvas, tokensOf } from './constraint-canvas.ts';
import { compileJsonSchema } from './json-schema.ts';
import { DEAD } from './language.ts';
import { createTokenAutomaton } from './tokens.ts';

const tokenizer = await loadTokenizer('models/tintype-code');
const ends = [tokenizer.special('<|endoftext|>')!];

/** `scripts/check-constraints.ts` does this a thousand times. */
function expectValidFill(schema: unknown, seed: number): void {
  const rng = createRng(seed, 'fill');
  const automaton = createTokenAutomaton(compileJsonSchema(schema), tokenizer, { ends });
  const budget =
    Math.max(1, automaton.distance().shortest(automaton.start)) + (rng.next() < 0.5 ? rng.int(4) : 64);
  const { text, tokens } = fillRandomly(automaton, { budget, blockLength: 16, rng });
  expect([text, createValidator(schema)(text)]).toEqual([text, null]);
  expect(tokens).toBeLessThanOrEqual(budget);
}

function accepts(schema: unknown, value: unknown): boolean {
  const language = compileJsonSchema(schema);
  let state = language.start;
  for (const byte of new TextEncoder().encode(JSON.stringify(value))) {
    state = language.next(state, byte);
    if (state === DEAD) return false;
  }
  return language.isAccepting(state);
}

describe('compileJsonSchema', () => {
  it('writes only valid JSON for schemas of every kind', () => {
    Object.values(REALISTIC).forEach((schema, i) => i % 5 === 0 && expectValidFill(schema, i));
  });

  it('writes only valid JSON for random schemas', () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const schema = randomSchema(createRng(seed, 'schema'));
        try {
          expectValidFill(schema, seed);
        } catch (error) {
          // Parts of an allOf may contradict each other.
          if (!(error instanceof TintypeError && error.code === 'bad_option')) throw error;
        }
      }),
      { numRuns: 4 },
    );
  });

  // Each of these once led into a canvas that nothing could complete.
  it.each([
    [374, 1],
    [429, 1],
    [674, 1],
  ])('is never stuck in a tight budget whose distances only suffice: %i', (seed, fill) => {
    const language = compileJsonSchema(randomSchema(createRng(seed, 'schema')));
    for (const mostExpansions of [0, 3]) {
      const automaton = createTokenAutomaton(language, tokenizer, { ends, mostExpansions });
      const rng = createRng(seed, fill);
      const budget = Math.max(1, automaton.distance().shortest(automaton.start) + rng.int(25));
      const { tokens } = fillRandomly(automaton, { budget, blockLength: 32, rng, endChance: 0.1 });
      expect(tokens).toBeLessThanOrEqual(budget);
    }
  });

  it('fills long answers of a language that has states without end, in few of them', () => {
    const $defs = {
      list: { type: 'array', items: { anyOf: [{ const: '' }, { $ref: '#/$defs/list' }] }, maxItems: 3 },
    };
    const automaton = createTokenAutomaton(compileJsonSchema({ $ref: '#/$defs/list', $defs }), tokenizer, {
      ends,
    });
    const canvas = createConstraintCanvas(automaton, { budget: 128 });
    const ids: number[] = [];
    while (!canvas.isComplete) {
      // As many lists as the budget has room to close.
      const text = tokensOf(canvas.allowedAt(ids.length)).filter((id) => !ends.includes(id));
      const opens = (id: number): number => tokenizer.decode([id]).split('[').length;
      const [first] = text.sort((a, b) => opens(b) - opens(a));
      canvas.commit(ids.length, first ?? ends[0]);
      ids.push(first ?? ends[0]);
    }
    expect(createValidator({ $ref: '#/$defs/list', $defs })(tokenizer.decode(ids))).toBe(null);
    expect(tokenizer.decode(ids)).toMatch(/^\[{50}/);
    expect(automaton.language.stateCount).toBeLessThan(50_000);
  });

  it.each([
    [{ type: 'integer', minimum: -3, exclusiveMaximum: 12 }, [-3, -1, 0, 9, 11], [-4, 12, 1.5, 100]],
    [{ type: 'integer', multipleOf: 7, minimum: 20 }, [21, 700], [14, 22, -21]],
    [
      { type: 'number', minimum: -0.5, exclusiveMaximum: 1.25 },
      [-0.5, -0.25, 0, 1, 1.249],
      [1.25, -0.51, 2, 10],
    ],
    [{ type: 'number', exclusiveMinimum: 0 }, [0.000001, 1, 12_345], [0, -1]],
    [{ type: 'number', multipleOf: 0.25 }, [0.25, 7.5, -1, 3], [0.3, 0.125]],
    // Beyond, a quotient of doubles is not whole any more.
    [{ type: 'number', multipleOf: 0.1 }, [0.7, 99999999.9], [444444444444444.4]],
    [{ type: 'number', multipleOf: 0.1, minimum: 5e11 }, [500000000000.3], [0.7]],
    [{ type: 'string', minLength: 2, maxLength: 3 }, ['ab', 'é\n"', '😀😀'], ['a', 'abcd']],
    [{ type: 'string', pattern: 'b+' }, ['abc', 'b'], ['a', '']],
    [{ type: 'string', pattern: '^a|b$' }, ['ax', 'xb'], ['xa', 'bx']],
    [{ type: 'string', format: 'date' }, ['2024-02-29', '1999-12-31'], ['2023-02-29', '2024-13-01']],
    [{ type: 'string', format: 'ipv6' }, ['::', '1::2', '1:2:3:4:5:6:7:8', '::1'], ['1:2', ':::', '1::2::3']],
    [{ enum: [1, 'a', null, { b: [true] }] }, [1, 'a', null, { b: [true] }], [2, {}, { b: [] }]],
    [{ type: 'string', enum: ['a', 1, 'bb'], minLength: 2 }, ['bb'], ['a', 1]],
    [
      { type: 'array', prefixItems: [{ const: 1 }, { const: 2 }], items: false },
      [[], [1], [1, 2]],
      [[2], [1, 2, 3]],
    ],
    [
      { type: 'array', items: { type: 'null' }, minItems: 1, maxItems: 2 },
      [[null], [null, null]],
      [[], [null, null, null]],
    ],
    [
      { type: 'array', items: { enum: [1, 2, 3] }, uniqueItems: true, minItems: 2 },
      [
        [1, 2],
        [1, 3],
        [1, 2, 3],
      ],
      [[1], [1, 1], [3, 1]],
    ],
    [
      { properties: { a: { type: 'null' }, b: { type: 'null' } }, required: ['b'] },
      [{ b: null }, { a: null, b: null }],
      [{}, { a: null }, { b: null, c: 1 }],
    ],
    [
      { type: 'object', properties: { a: true }, additionalProperties: { type: 'null' } },
      [{}, { a: 1, x: null }, { ab: null }],
      [{ x: 1 }, { x: null, a: 1 }],
    ],
    [
      { type: 'object', minProperties: 1, maxProperties: 2 },
      [{ a: 1 }, { a: 1, b: 2 }],
      [{}, { a: 1, b: 2, c: 3 }],
    ],
    [{ allOf: [{ minimum: 3 }, { maximum: 5 }], type: 'integer' }, [3, 5], [2, 6]],
    [
      { anyOf: [{ type: 'null' }, { $ref: '#/$defs/s' }], $defs: { s: { type: 'string' } } },
      [null, 'x'],
      [1],
    ],
    [{ type: ['boolean', 'null'] }, [true, false, null], [0, 'true']],
    [
      { type: 'object', propertyNames: { pattern: '^x' }, additionalProperties: { const: 1 } },
      [{}, { xa: 1 }],
      [{ a: 1 }],
    ],
    [{ type: 'object', patternProperties: { '^x': { const: 1 } } }, [{}, { xa: 1 }], [{ a: 1 }, { xa: 2 }]],
  ])('%j', (schema, good, bad) => {
    for (const value of good) expect([value, accepts(schema, value)]).toEqual([value, true]);
    for (const value of bad) expect([value, accepts(schema, value)]).toEqual([value, false]);
  });

  it('writes spaces where asked to', () => {
    const language = compileJsonSchema({ const: { a: [1, 2] } }, { spacing: 'spaced' });
    expect(language.minBytes(language.start)).toBe('{"a": [1, 2]}'.length);
  });

  it.each([
    [{ properties: { a: { not: {} } } }, 'unsupported', '#/properties/a/not'],
    [{ type: 'object', if: {} }, 'unsupported', '#/if'],
    [{ dependentRequired: {} }, 'unsupported', '#/dependentRequired'],
    [{ type: 'array', contains: {} }, 'unsupported', '#/contains'],
    [{ type: 'array', items: [{}] }, 'unsupported', 'prefixItems'],
    [{ type: 'array', uniqueItems: true }, 'unsupported', '#/uniqueItems'],
    [{ items: { type: 'string', format: 'iri' } }, 'unsupported', '#/items/format'],
    [{ type: 'string', pattern: '(?=a)' }, 'unsupported', '#/pattern'],
    [{ oneOf: [{ type: 'integer' }, { type: 'number' }] }, 'unsupported', '#/oneOf'],
    [{ oneOf: [{ required: ['a'] }, { required: ['b'] }] }, 'unsupported', '#/oneOf'],
    [{ $ref: '#' }, 'unsupported', 'leads back to itself'],
    [{ anyOf: [{ type: 'null' }, { $ref: '#' }] }, 'unsupported', 'leads back to itself'],
    [{ $ref: 'https://example.com/other' }, 'unsupported', 'another document'],
    [{ $ref: '#/$defs/a' }, 'bad_option', '#/$defs/a'],
    [{ type: 'strin' }, 'bad_option', '#/type'],
    [{ properties: { 'a/b': 3 } }, 'bad_option', '#/properties/a~1b'],
    [{ minLength: -1 }, 'bad_option', '#/minLength'],
    [false, 'bad_option', 'matches nothing'],
    [{ type: 'integer', minimum: 3, maximum: 2 }, 'bad_option', 'matches nothing'],
    [{ enum: [] }, 'bad_option', 'matches nothing'],
    [{ type: 'object', properties: { a: { $ref: '#' } }, required: ['a'] }, 'bad_option', 'matches nothing'],
    [
      { allOf: Array.from({ length: 10 }, () => ({ anyOf: [{ minimum: 1 }, { maximum: 5 }] })) },
      'unsupported',
      'anyOf',
    ],
    [{ type: 'string', pattern: '((a{900}){900}){900}b' }, 'unsupported', '#/pattern'],
    ['a string', 'bad_option', 'an object, true or false'],
    [
      { type: 'object', properties: { ['k'.repeat(500)]: true }, additionalProperties: true },
      'unsupported',
      '500',
    ],
    [
      { items: { enum: Array.from({ length: 300 }, (_, i) => i) }, uniqueItems: true },
      'unsupported',
      '300 values',
    ],
  ])('refuses %j', (schema, code, message) => {
    let error: unknown;
    try {
      compileJsonSchema(schema);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(TintypeError);
    expect((error as TintypeError).message).toContain(message);
    expect((error as TintypeError).code).toBe(code);
  });

  it('refuses schemas nested too deep to look through', () => {
    expect(() => compileJsonSchema(nested(5_000))).toThrow('nesting');
  });

  it('tells the branches of a recursive oneOf apart', () => {
    const branch = (op: string) => ({
      properties: { left: { $ref: '#' }, op: { const: op } },
      required: ['left', 'op'],
    });
    const schema = {
      oneOf: [{ type: 'null' }, ...['+', '-'].map((op) => ({ type: 'object', ...branch(op) }))],
    };
    expect(accepts(schema, { left: { left: null, op: '-' }, op: '+' })).toBe(true);
    expect(accepts(schema, { left: null, op: '*' })).toBe(false);
  });

  it('takes huge counts and many properties without writing them out', () => {
    const language = compileJsonSchema({
      type: 'array',
      items: { type: 'string', maxLength: 1e9 },
      minItems: 1e6,
    });
    expect(language.minBytes(language.start)).toBe(3e6 + 1);
    expect(language.stateCount).toBeLessThan(10);
    const names = Array.from({ length: 1000 }, (_, i) => `p${i}`);
    const wide = compileJsonSchema({ properties: Object.fromEntries(names.map((name) => [name, true])) });
    expect(wide.minBytes(wide.start)).toBe(2);
  });
});

function nested(depth: number): object {
  let schema: object = { type: 'null' };
  for (let i = 0; i < depth; i++) schema = { items: schema };
  return schema;
}
