/** Long runs go through in pieces, and nobody can tell; runs that share a cache do not disturb each other. */
import { describe, expect, it } from 'vitest';
import { tinyConfig } from '../../tests/tiny.ts';
import { nodeRuntime } from '../graph/node.ts';
import { createRng } from '../rng.ts';
import { createCache } from './cache.ts';
import {
  positionsFrom,
  type AttentionPattern,
  type Denoiser,
  type ForwardRun,
  type Statistics,
} from './denoiser.ts';
import { createDenoiser, type DenoiserOptions } from './native.ts';
import { createParameters, initialise, toTensors } from './parameters.ts';
import { piecesOf } from './pieces.ts';

const CONFIG = { ...tinyConfig('causalContext'), contextLength: 1024 };
const WANT = { topK: 5, entropy: true };

async function tiny(options: DenoiserOptions = {}): Promise<Denoiser> {
  const parameters = createParameters(CONFIG);
  initialise(parameters, CONFIG, createRng(3));
  for (const { shape, data } of parameters.list)
    if (shape.length === 2) data.forEach((x, i) => (data[i] = 4 * x));
  return createDenoiser(await nodeRuntime(), CONFIG, toTensors(parameters), { threads: 1, ...options });
}

const rng = createRng(11);
const tokens = (length: number): Int32Array => Int32Array.from({ length }, () => Math.floor(rng.next() * 32));

const expectNear = (a: Float32Array, b: Float32Array): void => {
  expect(a.length).toBe(b.length);
  a.forEach((x, i) => expect(Math.abs(x - b[i])).toBeLessThan(1e-3));
};

describe.each<[string, AttentionPattern, number]>([
  ['causal', { kind: 'causal' }, 20],
  ['blockCausal', { kind: 'blockCausal', blockLength: 12, origin: 3 }, 12],
])('a long %s run', (_, attention, step) => {
  it('gives what short ones one after another give', async () => {
    const denoiser = await tiny();
    const [T, before] = [603, 27];
    const ids = tokens(before + T);
    const run = (from: number, to: number, cache: ForwardRun['cache']): ForwardRun => ({
      ids: ids.slice(from, to),
      positions: positionsFrom(from, to - from),
      attention,
      cache,
      write: to - from,
      query: positionsFrom(0, to - from),
    });
    const [apart, whole] = [denoiser.createCache(), denoiser.createCache()];
    const wanted = [];
    for (let from = 0; from < before + T; from += step) {
      // Blocks start at 3.
      const to = Math.min(
        before + T,
        from === 0 && attention.kind === 'blockCausal' ? 3 + step : from + step,
      );
      wanted.push((await denoiser.forward([run(from, to, apart)], WANT))[0]);
      if (to - from > step) from = to - step;
    }
    await denoiser.forward([run(0, before, whole)], WANT);
    const [got] = await denoiser.forward([run(before, before + T, whole)], WANT);
    expect(whole.length).toBe(before + T);
    const rows = wanted.flatMap(({ logSumExp }) => [...logSumExp]).slice(before);
    expectNear(got.logSumExp, Float32Array.from(rows));
    const entropies = wanted.flatMap(({ entropy }) => [...entropy]).slice(before);
    expectNear(got.entropy, Float32Array.from(entropies));
    await denoiser.close();
  });
});

describe('a long anchored run', () => {
  it('gives what its context and then its block give', async () => {
    const denoiser = await tiny();
    const [clean, block] = [598, 7];
    const ids = tokens(clean + block);
    const apart = denoiser.createCache();
    const context = {
      ids: ids.slice(0, clean),
      positions: positionsFrom(0, clean),
      cache: apart,
      write: clean,
    };
    const asked = Int32Array.of(2, 255, 256, 597);
    const [causal] = await denoiser.forward(
      [{ ...context, attention: { kind: 'causal' }, query: asked }],
      WANT,
    );
    const [alone] = await denoiser.forward(
      [
        {
          ids: ids.slice(clean),
          positions: positionsFrom(clean, block),
          attention: { kind: 'full' },
          cache: apart,
          write: 0,
          query: positionsFrom(0, block),
        },
      ],
      WANT,
    );
    const cache = denoiser.createCache();
    const [together] = await denoiser.forward(
      [
        {
          ids,
          positions: positionsFrom(0, clean + block),
          attention: { kind: 'anchored', clean },
          cache,
          write: clean,
          query: Int32Array.from([...asked, ...positionsFrom(clean, block)]),
        },
      ],
      WANT,
    );
    expectNear(together.logSumExp, Float32Array.from([...causal.logSumExp, ...alone.logSumExp]));
    expect(cache.length).toBe(clean);
    await denoiser.close();
  });
});

describe('pieces', () => {
  it('have fewer rows the more they see, and at least sixteen', () => {
    const config = { ...CONFIG, contextLength: 1 << 20 };
    const sizes = (cached: number): number[] => {
      const cache = createCache({ ...config, layers: 0 });
      cache.reserve(cached);
      cache.keep(cached);
      const run: ForwardRun = {
        ids: new Int32Array(1000),
        positions: positionsFrom(cached, 1000),
        attention: { kind: 'causal' },
        cache,
        write: 1000,
        query: new Int32Array(0),
      };
      return piecesOf(run, cache, 0, 16).map(({ ids }) => ids.length);
    };
    expect(sizes(0)).toEqual([256, 256, 256, 232]);
    expect(Math.max(...sizes(31_768))).toBe(32);
    expect(Math.max(...sizes(1 << 19))).toBe(16);
  });
});

describe('runs that share a cache', () => {
  it('see it as it was, and the one that writes has written', async () => {
    const denoiser = await tiny();
    const ids = tokens(40);
    const prefix = (): ForwardRun => ({
      ids: ids.slice(0, 20),
      positions: positionsFrom(0, 20),
      attention: { kind: 'causal' },
      cache: denoiser.createCache(),
      write: 20,
      query: new Int32Array(0),
    });
    const [shared, own] = [prefix(), prefix()];
    await denoiser.forward([shared, own], WANT);
    const run = (cache: ForwardRun['cache'], from: number, write: number): ForwardRun => ({
      ids: ids.slice(from, from + 6),
      positions: positionsFrom(20, 6),
      attention: { kind: 'full' },
      cache,
      write,
      query: positionsFrom(0, 6),
    });
    const runs = (cache: ForwardRun['cache']): ForwardRun[] => [
      run(cache, 20, 6),
      run(cache, 26, 0),
      run(cache, 32, 0),
    ];
    const together = await denoiser.forward(runs(shared.cache), WANT);
    const apart = [];
    for (const each of runs(own.cache).toReversed()) apart.unshift((await denoiser.forward([each], WANT))[0]);
    expect(together).toEqual(apart);
    const after = (cache: ForwardRun['cache']) =>
      denoiser.forward([{ ...run(cache, 26, 0), positions: positionsFrom(26, 6) }], WANT);
    expect(await after(shared.cache)).toEqual(await after(own.cache));
    await denoiser.close();
  });
});

describe('a graph for other devices than the CPU', () => {
  const ids = tokens(60);

  /** A prompt, then two sequences over it. */
  async function answersOf(denoiser: Denoiser): Promise<Statistics[]> {
    const cache = denoiser.createCache();
    const run = { ids: ids.slice(0, 50), positions: positionsFrom(0, 50), cache, write: 50 };
    const first = await denoiser.forward(
      [{ ...run, attention: { kind: 'causal' }, query: Int32Array.of(49) }],
      WANT,
    );
    const next = {
      ids: ids.slice(50),
      positions: positionsFrom(50, 10),
      attention: { kind: 'full' as const },
      write: 0,
      query: positionsFrom(0, 10),
    };
    const both = await denoiser.forward(
      [
        { ...next, cache },
        { ...next, cache: cache.clone() },
      ],
      WANT,
    );
    await denoiser.close();
    return [...first, ...both];
  }

  it('gives the same bits where it does not write caches in place', async () => {
    expect(await answersOf(await tiny({ inPlace: false }))).toEqual(await answersOf(await tiny()));
  });

  it('gives the same numbers where norms have one row of weights', async () => {
    const [plain, portable] = [
      await answersOf(await tiny()),
      await answersOf(await tiny({ portable: true })),
    ];
    for (const [index, { ids, logits, entropy }] of portable.entries()) {
      expect(ids).toEqual(plain[index].ids);
      for (const [row, logit] of logits.entries()) expect(logit).toBeCloseTo(plain[index].logits[row], 4);
      for (const [row, nats] of entropy.entries()) expect(nats).toBeCloseTo(plain[index].entropy[row], 4);
    }
  });
});

describe('a large model', () => {
  it('has fewer graphs and the same bits', async () => {
    const [small, large] = [await tiny(), await tiny({ largeBytes: 0 })];
    expect(large.memory).toMatchObject({ placeBytes: 2 * 2 * 2 * 8 * 4 });
    const V = CONFIG.vocabSize;
    const runs = Array.from({ length: 5 }, (_, i): ForwardRun => {
      const ids = tokens(3 + i);
      return {
        ids,
        positions: positionsFrom(0, ids.length),
        attention: { kind: i % 2 === 0 ? 'full' : 'causal' },
        cache: null,
        write: 0,
        query: Int32Array.of(0, 2),
      };
    });
    const uniforms = Float32Array.from({ length: 10 }, (_, i) => i / 10);
    const logitBias = Float32Array.from({ length: 10 * V }, (_, i) => (i % 7) / 3);
    for (const want of [
      { topK: 1, entropy: false },
      WANT,
      { topK: 1, entropy: false, sample: { temperature: 0.5, uniforms } },
      { topK: 3, entropy: true, logitBias },
    ]) {
      expect(await large.forward(runs, want)).toEqual(await small.forward(runs, want));
    }
    await small.close();
    await large.close();
  });
});
