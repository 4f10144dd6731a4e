/** Published configs, by their dimensions alone: families, layouts, shifts, and sizes. */
import { describe, expect, test } from 'vitest';
import { PUBLISHED } from '../../tests/published.ts';
import { parameterCount } from './config.ts';
import { configFromJson } from './config-json.ts';
import { configToJson } from './config-write.ts';
import type { Json } from './family.ts';
import { namesOf } from './family.ts';
import { storedShapes } from './names.ts';

const around = { generation: null, tokenizerMask: null, where: 'config.json' };

test('LLaDA2.2, which routes otherwise, is not taken for LLaDA2.1', () => {
  const { raw } = PUBLISHED.find(({ repository }) => repository.includes('LLaDA2.1'))!;
  expect(() => configFromJson({ ...raw, delete_token_id: 156900 }, around)).toThrow(/delete_token_id/);
});

describe.each(PUBLISHED)('$repository', ({ raw, overrides, parameters, facts, mask }) => {
  const config = configFromJson(raw, { ...around, overrides });

  test('has its facts and its size', () => {
    expect(config).toMatchObject(facts);
    expect(config.tokens.mask).toBe(mask);
    expect(parameterCount(config)).toBe(parameters);
  });

  test('is stored under names that are told apart, and holds as much', () => {
    const stored = storedShapes(config, namesOf(config));
    expect(new Set(stored.map(({ name }) => name)).size).toBe(stored.length);
    const elements = stored.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
    expect(elements).toBe(parameters);
  });

  test('is written as it is read', () => {
    const { config: written } = configToJson(config, 'BF16', null, null);
    expect(configFromJson(JSON.parse(JSON.stringify(written)) as Json, around)).toEqual(config);
  });
});
