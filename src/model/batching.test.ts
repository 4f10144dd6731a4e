/** A run's result does not depend on its neighbours: not by a bit, whatever they are and however many threads run. */
import { existsSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { tinyConfig } from '../../tests/tiny.ts';
import { nodeRuntime } from '../graph/node.ts';
import { createRng } from '../rng.ts';
import type { Mixture, ModelConfig } from './config.ts';
import { positionsFrom, type AttentionPattern, type Denoiser, type ForwardRun } from './denoiser.ts';
import { loadDenoiser } from './load.ts';
import { createDenoiser } from './native.ts';
import { createParameters, initialise, toTensors } from './parameters.ts';

/** A run that can be built anew, since forwards write caches. */
interface Recipe {
  seed: number;
  cached: number;
  rows: number;
  kind: AttentionPattern['kind'];
  write: boolean;
  queried: number;
}

const recipe = (most: { cached: number; rows: number }) =>
  fc.record({
    seed: fc.nat(999),
    cached: fc.nat(most.cached),
    rows: fc.integer({ min: 1, max: most.rows }),
    kind: fc.constantFrom<AttentionPattern['kind'][]>(
      'causal',
      'full',
      'blockCausal',
      'anchored',
      'explicit',
    ),
    write: fc.boolean(),
    queried: fc.nat(4),
  });

async function cook(
  denoiser: Denoiser,
  { seed, cached, rows, kind, write, queried }: Recipe,
): Promise<ForwardRun> {
  const rng = createRng(seed);
  const V = denoiser.config.vocabSize;
  const tokens = (length: number): Int32Array =>
    Int32Array.from({ length }, () => Math.floor(rng.next() * V));
  const cache = denoiser.createCache();
  if (cached > 0) {
    const prefix = { ids: tokens(cached), positions: positionsFrom(0, cached), cache, write: cached };
    const want = { topK: 1, entropy: false };
    await denoiser.forward([{ ...prefix, attention: { kind: 'causal' }, query: new Int32Array(0) }], want);
  }
  const clean = rows >> 1;
  const attention: AttentionPattern =
    kind === 'blockCausal'
      ? { kind, blockLength: 4, origin: 0 }
      : kind === 'anchored'
        ? { kind, clean }
        : kind === 'explicit'
          ? {
              kind,
              visible: Uint8Array.from({ length: rows * (cached + rows) }, () => Number(rng.next() < 0.7)),
            }
          : { kind };
  const query = Int32Array.from(
    { length: Math.min(queried, rows) },
    (_, i) => rows - Math.min(queried, rows) + i,
  );
  return {
    ids: tokens(rows),
    positions: positionsFrom(cached, rows),
    attention,
    cache,
    write: write ? rows : 0,
    query,
  };
}

/** What a later forward sees of a cache: the logits of a token behind it. */
async function probe(denoiser: Denoiser, { cache }: ForwardRun): Promise<Float32Array> {
  const run: ForwardRun = {
    ids: Int32Array.of(3, 4),
    positions: positionsFrom(cache!.length, 2),
    attention: { kind: 'full' },
    cache,
    write: 0,
    query: Int32Array.of(0, 1),
  };
  return (await denoiser.forward([run], { topK: 8, entropy: false }))[0].logits;
}

async function checkMix(denoiser: Denoiser, recipes: Recipe[], sampled: boolean): Promise<void> {
  const M = recipes.map(({ queried, rows }) => Math.min(queried, rows));
  const uniforms = Float32Array.from({ length: M.reduce((a, b) => a + b, 0) }, (_, i) => (i * 0.37) % 1);
  const want = (from: number, to: number) => ({
    topK: 3,
    entropy: true,
    sample: sampled ? { temperature: 0.8, uniforms: uniforms.slice(from, to) } : undefined,
  });
  const batch: ForwardRun[] = [];
  for (const each of recipes) batch.push(await cook(denoiser, each));
  const together = await denoiser.forward(batch, want(0, uniforms.length));
  let at = 0;
  for (const [i, each] of recipes.entries()) {
    const run = await cook(denoiser, each);
    const [alone] = await denoiser.forward([run], want(at, at + M[i]));
    at += M[i];
    expect(together[i]).toEqual(alone);
    expect(batch[i].cache!.length).toBe(run.cache!.length);
    if (each.write) expect(await probe(denoiser, batch[i])).toEqual(await probe(denoiser, run));
  }
}

const MIXTURE: Mixture = {
  experts: 8,
  perToken: 3,
  width: 20,
  router: 'sigmoidGroups',
  groups: 4,
  groupsPerToken: 2,
  scale: 2.5,
  sharedWidth: 20,
  denseLayers: 1,
};

describe.each([
  [1, 'f32'],
  [2, 'f32'],
  [1, 'int8'],
  [2, 'int8'],
  [2, 'int4'],
] as const)('with %i threads and %s', (threads, precision) => {
  const options = { threads, precision, spin: false };

  it.each([
    { of: 'one SwiGLU', more: {} },
    { of: 'one SwiGLU in one graph', more: {}, largeBytes: 0 },
    { of: 'a mixture', more: { mixture: MIXTURE, qkNorm: false, qkvBias: true, rotaryDim: 4 } },
  ])('tiny models of $of give the same bits alone and among neighbours', async ({ more, largeBytes }) => {
    const config: ModelConfig = { ...tinyConfig('causalContext'), ...more };
    const parameters = createParameters(config);
    initialise(parameters, config, createRng(3));
    const denoiser = createDenoiser(await nodeRuntime(), config, toTensors(parameters), {
      ...options,
      largeBytes,
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(recipe({ cached: 70, rows: 40 }), { minLength: 2, maxLength: 9 }),
        fc.boolean(),
        (recipes, sampled) => checkMix(denoiser, recipes, sampled),
      ),
      { numRuns: 12 },
    );
    await denoiser.close();
  });

  it.runIf(threads === 2 && existsSync('models/tintype-code/model.safetensors'))(
    'the bundled model does',
    async () => {
      const { denoiser } = await loadDenoiser('models/tintype-code', options);
      await fc.assert(
        fc.asyncProperty(
          fc.array(recipe({ cached: 300, rows: 40 }), { minLength: 2, maxLength: 6 }),
          (recipes) => checkMix(denoiser, recipes, false),
        ),
        { numRuns: 3 },
      );
      await denoiser.close();
    },
    60_000,
  );
});

it('more rows than the model has positions go through in several forwards', async () => {
  const config = tinyConfig('causalContext');
  const parameters = createParameters(config);
  initialise(parameters, config, createRng(3));
  const denoiser = createDenoiser(await nodeRuntime(), config, toTensors(parameters), { threads: 1 });
  const rows = config.contextLength / 4;
  const recipes = Array.from({ length: 8 }, (_, seed) => ({
    seed,
    cached: 0,
    rows,
    kind: 'causal' as const,
    write: true,
    queried: 2,
  }));
  await checkMix(denoiser, recipes, false);
  await denoiser.close();
});
