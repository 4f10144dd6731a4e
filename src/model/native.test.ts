/** The denoiser's cache against no cache, and its statistics; its logits are held to the official ones in eval/golden-families.test.ts. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { tinyConfig, tinyDenoiser } from '../../tests/tiny.ts';
import { positionsFrom } from './denoiser.ts';
import type { Statistics } from './denoiser.ts';

/** All V logits of every row, in id order: top-k with k = V. [T, V] */
function logitsOf({ ids, logits }: Statistics, V: number): Float32Array {
  const out = new Float32Array(ids.length);
  ids.forEach((id, i) => (out[Math.floor(i / V) * V + id] = logits[i]!));
  return out;
}

const everyRow = (length: number): Int32Array => Int32Array.from({ length }, (_, i) => i);

const maxDifference = (a: Float32Array, b: Float32Array): number => {
  expect(a.length).toBe(b.length);
  return a.reduce((worst, x, i) => Math.max(worst, Math.abs(x - b[i])), 0);
};

const TINY = tinyConfig('causalContext');

describe('cache', () => {
  it('gives the logits of a forward over everything, however the prefix was written', async () => {
    const denoiser = await tinyDenoiser('causalContext');
    const V = TINY.vocabSize;
    const token = fc.integer({ min: 0, max: V - 1 });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(token, { minLength: 1, maxLength: 50 }), { minLength: 1, maxLength: 4 }),
        fc.array(token, { minLength: 1, maxLength: 6 }),
        async (pieces, last) => {
          const cache = denoiser.createCache();
          for (const piece of pieces) {
            const ids = Int32Array.from(piece);
            await denoiser.forward(
              [
                {
                  ids,
                  positions: positionsFrom(cache.length, ids.length),
                  attention: { kind: 'causal' },
                  cache,
                  write: ids.length,
                  query: new Int32Array(0),
                },
              ],
              { topK: 1, entropy: false },
            );
          }
          const prefix = pieces.flat();
          expect(cache.length).toBe(prefix.length);
          const query = everyRow(last.length);
          const [cached] = await denoiser.forward(
            [
              {
                ids: Int32Array.from(last),
                positions: positionsFrom(prefix.length, last.length),
                attention: { kind: 'causal' },
                cache: cache.clone(),
                write: 0,
                query,
              },
            ],
            { topK: V, entropy: false },
          );
          const ids = Int32Array.from([...prefix, ...last]);
          const [whole] = await denoiser.forward(
            [
              {
                ids,
                positions: positionsFrom(0, ids.length),
                attention: { kind: 'causal' },
                cache: null,
                write: 0,
                query: query.map((row) => row + prefix.length),
              },
            ],
            { topK: V, entropy: false },
          );
          expect(maxDifference(logitsOf(cached, V), logitsOf(whole, V))).toBeLessThan(1e-4);
        },
      ),
      { numRuns: 25 },
    );
    await denoiser.close();
  });
});

describe('a run out of order', () => {
  it('gives masks what they would see if they could look ahead: known tokens first, each with its position', async () => {
    const denoiser = await tinyDenoiser('causalContext');
    const want = { topK: TINY.vocabSize, entropy: false };
    const mask = TINY.tokens.mask!;
    const cache = denoiser.createCache();
    const prompt = { ids: Int32Array.of(3, 7, 1), positions: positionsFrom(0, 3), query: new Int32Array(0) };
    await denoiser.forward([{ ...prompt, attention: { kind: 'causal' }, cache, write: 3 }], want);
    // Positions 3 to 6 are mask, 9, mask, 4: WeDLM's order is 9, 4, mask, mask.
    const [reordered] = await denoiser.forward(
      [
        {
          ids: Int32Array.of(9, 4, mask, mask),
          positions: Int32Array.of(4, 6, 3, 5),
          attention: { kind: 'causal' },
          cache,
          write: 0,
          query: Int32Array.of(2, 3),
        },
      ],
      want,
    );
    // Rows in order, keys as above: [prompt | mask, 9, mask, 4]
    const visible = [
      [1, 1, 1, 1, 1, 0, 1],
      [1, 1, 1, 0, 1, 0, 0],
      [1, 1, 1, 1, 1, 1, 1],
      [1, 1, 1, 0, 1, 0, 1],
    ];
    const [inOrder] = await denoiser.forward(
      [
        {
          ids: Int32Array.of(mask, 9, mask, 4),
          positions: positionsFrom(3, 4),
          attention: { kind: 'explicit', visible: Uint8Array.from(visible.flat()) },
          cache,
          write: 0,
          query: Int32Array.of(0, 2),
        },
      ],
      want,
    );
    const V = TINY.vocabSize;
    expect(maxDifference(logitsOf(reordered, V), logitsOf(inOrder, V))).toBeLessThan(1e-4);
    await denoiser.close();
  });
});

describe('an anchored run', () => {
  it('gives what a causal run and a run of the block alone give, and writes the clean rows alone', async () => {
    const denoiser = await tinyDenoiser('causalContext');
    const V = TINY.vocabSize;
    const mask = TINY.tokens.mask!;
    const prompt = Int32Array.of(3, 7, 1, 9, 4);
    const block = Int32Array.of(4, mask, 6, mask);
    const want = { topK: V, entropy: false };
    const apart = denoiser.createCache();
    const clean = {
      positions: positionsFrom(0, 5),
      attention: { kind: 'causal' } as const,
      query: everyRow(5),
    };
    const [causal] = await denoiser.forward([{ ids: prompt, ...clean, cache: apart, write: 5 }], want);
    // The block begins with the last clean token, whose causal keys it must not see.
    const placed = { ids: block, positions: positionsFrom(4, 4), query: everyRow(4), write: 0 };
    const [alone] = await denoiser.forward(
      [{ ...placed, attention: { kind: 'anchored', clean: 0 }, cache: apart }],
      want,
    );
    const before = apart.clone();
    before.truncate(4);
    const [full] = await denoiser.forward([{ ...placed, attention: { kind: 'full' }, cache: before }], want);
    for (const cached of [0, 2, 4]) {
      const cache = apart.clone();
      cache.truncate(cached);
      const [together] = await denoiser.forward(
        [
          {
            ids: Int32Array.from([...prompt.slice(cached), ...block]),
            positions: Int32Array.from([...positionsFrom(cached, 5 - cached), ...positionsFrom(4, 4)]),
            attention: { kind: 'anchored', clean: 5 - cached },
            cache,
            write: 5 - cached,
            query: everyRow(9 - cached),
          },
        ],
        want,
      );
      const logits = logitsOf(together, V);
      const rows = 5 - cached;
      expect(maxDifference(logits.slice(0, rows * V), logitsOf(causal, V).slice(cached * V))).toBeLessThan(
        1e-4,
      );
      expect(maxDifference(logits.slice(rows * V), logitsOf(alone, V))).toBeLessThan(1e-4);
      expect(maxDifference(logits.slice(rows * V), logitsOf(full, V))).toBeLessThan(1e-4);
      expect(cache.length).toBe(5);
    }
    await denoiser.close();
  });

  it('may have several blocks, which do not see one another', async () => {
    const denoiser = await tinyDenoiser('causalContext');
    const V = TINY.vocabSize;
    const mask = TINY.tokens.mask!;
    const prompt = Int32Array.of(3, 7, 1, 9, 4);
    const cache = denoiser.createCache();
    const starts = [4, 2, 3];
    const blocks = [4, 3, 2];
    const blockIds = starts.map((start, i) =>
      Int32Array.from({ length: blocks[i] }, (_, row) => (row === 0 ? prompt[start] : mask)),
    );
    const positions = starts.map((start, i) => positionsFrom(start, blocks[i]));
    const want = { topK: V, entropy: false };
    const clean = 4;
    const [together] = await denoiser.forward(
      [
        {
          ids: Int32Array.from([prompt.subarray(0, 4), ...blockIds].flatMap((ids) => [...ids])),
          positions: Int32Array.from([positionsFrom(0, 4), ...positions].flatMap((ids) => [...ids])),
          attention: { kind: 'anchored', clean, blocks },
          cache,
          write: clean,
          query: Int32Array.from({ length: 9 }, (_, row) => clean + row),
        },
      ],
      want,
    );
    let row = 0;
    for (const [i, start] of starts.entries()) {
      const before = cache.clone();
      before.truncate(start);
      const query = everyRow(blocks[i]);
      const alone = { ids: blockIds[i], positions: positions[i], query, write: 0, cache: before };
      const [logits] = await denoiser.forward([{ ...alone, attention: { kind: 'full' } }], want);
      const ours = logitsOf(together, V).slice(row * V, (row += blocks[i]) * V);
      expect(maxDifference(ours, logitsOf(logits, V))).toBeLessThan(1e-4);
    }
    await denoiser.close();
  });
});

describe('statistics', () => {
  it('are those of the softmax over all logits', async () => {
    const denoiser = await tinyDenoiser('causalContext');
    const V = TINY.vocabSize;
    const ids = Int32Array.of(3, 32, 9, 32);
    const uniforms = Float32Array.of(0, 0.3, 0.6, 0.999);
    const temperature = 0.7;
    const [all] = await denoiser.forward(
      [
        {
          ids,
          positions: positionsFrom(0, ids.length),
          attention: { kind: 'full' },
          cache: null,
          write: 0,
          query: everyRow(4),
        },
      ],
      { topK: V, entropy: true, sample: { temperature, uniforms } },
    );
    const logits = logitsOf(all, V);
    for (let row = 0; row < 4; row++) {
      const z = [...logits.subarray(row * V, (row + 1) * V)];
      const sum = z.reduce((s, x) => s + Math.exp(x), 0);
      expect(all.logSumExp[row]).toBeCloseTo(Math.log(sum), 4);
      const p = z.map((x) => Math.exp(x) / sum);
      expect(all.entropy[row]).toBeCloseTo(-p.reduce((s, x) => s + x * Math.log(x), 0), 4);
      const tempered = z.map((x) => Math.exp(x / temperature));
      const total = tempered.reduce((a, b) => a + b);
      let cumulative = 0;
      const drawn = tempered.findIndex((x) => (cumulative += x / total) > uniforms[row]);
      expect(all.sampled[row]).toBe(drawn);
    }
    await denoiser.close();
  });

  it('of rows nobody asked for are not returned', async () => {
    const denoiser = await tinyDenoiser('causalContext');
    const ids = Int32Array.of(3, 4);
    const [none] = await denoiser.forward(
      [
        {
          ids,
          positions: positionsFrom(0, ids.length),
          attention: { kind: 'full' },
          cache: null,
          write: 0,
          query: new Int32Array(0),
        },
      ],
      { topK: 2, entropy: false },
    );
    expect(none.ids).toHaveLength(0);
    await denoiser.close();
  });
});

describe('a run longer than the context', () => {
  it('says how long it is and how long it may be', async () => {
    const denoiser = await tinyDenoiser('causalContext');
    const ids = new Int32Array(300);
    await expect(
      denoiser.forward(
        [
          {
            ids,
            positions: positionsFrom(0, ids.length),
            attention: { kind: 'causal' },
            cache: null,
            write: 0,
            query: everyRow(1),
          },
        ],
        { topK: 1, entropy: false },
      ),
    ).rejects.toMatchObject({ code: 'prompt_too_long', parts: { got: '300 tokens', wanted: 'at most 256' } });
    await denoiser.close();
  });
});
