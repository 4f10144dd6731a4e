import { describe, expect, it } from 'vitest';
import type { InfillRow } from './documents.ts';
import { evaluateFim, scoredText, type Completion, type Prediction } from './fim.ts';

const row = (id: string, middle: string): InfillRow => ({
  id,
  prefix: 'const a = ',
  suffix: '\nconst b = 2;\n',
  middle,
});

/** Answers by id. */
function answering(texts: Record<string, Partial<Completion>>) {
  return async ({ id }: InfillRow): Promise<Completion> => ({
    text: '',
    tokens: 4,
    nfe: 2,
    elapsedMs: 10,
    ...texts[id],
  });
}

describe('what is scored', () => {
  it.each([
    ['1;\nconst c = 3;', '1;', '1;'],
    ['1; ', '1;', '1;'],
    ['1;\r\nx', '1;\n', '1;'],
    ['f(\n1);\n', 'f(\n  1);', 'f(\n1);'],
    ['', '1;', ''],
    ['\n1;', '1;', ''],
  ])('%j for the truth %j is %j', (prediction, truth, scored) =>
    expect(scoredText(prediction, truth)).toBe(scored),
  );
});

it('adds up rows', async () => {
  const rows = [
    row('p/a.ts:1:11', '1;'),
    row('p/b.ts:1:11', 'foo();'),
    row('p/c.ts:1:11', '))'),
    row('d', '3;'),
  ];
  const seen: Prediction[] = [];
  const result = await evaluateFim(
    rows,
    answering({
      'p/a.ts:1:11': { text: '1;\nmore', elapsedMs: 30 },
      'p/b.ts:1:11': { text: 'fob();', elapsedMs: 10, nfe: 6 },
      'p/c.ts:1:11': { text: ')' },
      d: { text: '(3' },
    }),
    { onRow: (prediction) => seen.push(prediction) },
  );
  expect(result).toEqual({
    exactMatch: 0.25,
    exactMatchStandardError: 0.25,
    // 1, 5/6, 1/2 and, since "(3" and "3;" need two edits, 0.
    editSimilarity: expect.closeTo((1 + 5 / 6 + 1 / 2 + 0) / 4, 12),
    // The truth of the third does not parse; the prediction for the fourth does not.
    parseRate: expect.closeTo(2 / 3, 12),
    tokensPerSecond: expect.closeTo(16 / 0.06, 9),
    nfe: 12,
    tpf: expect.closeTo(16 / 12, 12),
    p50Ms: 10,
    p95Ms: 30,
    tokens: 16,
    n: 4,
  });
  expect(seen[0]).toEqual({ id: 'p/a.ts:1:11', middle: '1;', ms: 30, nfe: 2, tokens: 4 });
  expect(seen).toHaveLength(4);
});

it('reads a file as its name says', async () => {
  const jsx = { prefix: 'const a = <b>', suffix: '</b>;', middle: 'x' };
  const rate = async (id: string) =>
    (await evaluateFim([{ id, ...jsx }], answering({ [id]: { text: 'y' } }))).parseRate;
  expect(await rate('p/a.tsx:1:14')).toBe(1);
  expect(await rate('p/a.ts:1:14')).toBe(null);
});

it('stops when asked to, and hands the signal on', async () => {
  const controller = new AbortController();
  const got: unknown[] = [];
  const stopped = evaluateFim(
    [row('a', '1;'), row('b', '1;')],
    async (_, signal) => {
      got.push(signal);
      controller.abort(new Error('enough'));
      return { text: '', tokens: 0, nfe: 1, elapsedMs: 1 };
    },
    { signal: controller.signal },
  );
  await expect(stopped).rejects.toThrow('enough');
  expect(got).toEqual([controller.signal]);
});
