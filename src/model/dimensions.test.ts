/** Dimensions that no fixture has: any config a family can state gives what plain loops give, with and without a cache. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { naiveLogits } from '../../tests/naive-transformer.ts';
import { nodeRuntime } from '../graph/node.ts';
import { createRng } from '../rng.ts';
import type { Mixture, ModelConfig } from './config.ts';
import {
  positionsFrom,
  type AttentionPattern,
  type Denoiser,
  type KvCache,
  type Statistics,
} from './denoiser.ts';
import { createDenoiser } from './native.ts';
import { createParameters, initialise, toTensors, type Parameters } from './parameters.ts';

const mixtures = fc
  .record({
    groups: fc.constantFrom(1, 2, 3),
    inGroup: fc.integer({ min: 2, max: 4 }),
    router: fc.constantFrom<Mixture['router'][]>('softmax', 'softmaxRenorm', 'sigmoidGroups'),
    width: fc.integer({ min: 1, max: 9 }),
    scale: fc.constantFrom(1, 2.5),
    shared: fc.nat(2),
    denseLayers: fc.nat(1),
    perToken: fc.integer({ min: 1, max: 4 }),
  })
  .map(({ groups, inGroup, shared, ...rest }): Mixture => {
    const groupsPerToken = rest.router === 'sigmoidGroups' ? Math.max(1, groups - 1) : groups;
    return {
      ...rest,
      experts: groups * inGroup,
      groups,
      groupsPerToken,
      perToken: Math.min(rest.perToken, groupsPerToken * inGroup),
      sharedWidth: shared * rest.width,
    };
  });

const configs = fc
  .record({
    width: fc.integer({ min: 3, max: 20 }),
    kvHeads: fc.integer({ min: 1, max: 3 }),
    group: fc.integer({ min: 1, max: 7 }),
    halfHead: fc.integer({ min: 2, max: 7 }),
    turns: fc.double({ min: 0, max: 1, noNaN: true }),
    ffnWidth: fc.integer({ min: 1, max: 24 }),
    qkvBias: fc.boolean(),
    qkNorm: fc.boolean(),
    tiedHead: fc.boolean(),
    mixture: fc.option(mixtures, { nil: undefined }),
    yarn: fc.option(
      fc.record({
        factor: fc.constantFrom(2, 16),
        originalLength: fc.integer({ min: 3, max: 40 }),
        betaFast: fc.constantFrom(2, 32),
        betaSlow: fc.constantFrom(0.2, 1),
        attentionFactor: fc.constantFrom(1, 1.3),
        queryBeta: fc.constantFrom(0, 0.1),
      }),
      { nil: undefined },
    ),
    blockLength: fc.integer({ min: 1, max: 5 }),
  })
  .map(({ group, halfHead, turns, mixture, yarn, ...facts }): ModelConfig => ({
    ...facts,
    ...(mixture ? { mixture } : {}),
    ...(yarn ? { yarn } : {}),
    modelType: 'any',
    layout: 'blockCausal',
    layers: 2,
    heads: facts.kvHeads * group,
    headDim: 2 * halfHead,
    rotaryDim: 2 * Math.max(1, Math.round(turns * halfHead)),
    vocabSize: 19,
    normEps: 1e-6,
    ropeTheta: 100,
    contextLength: 64,
    tokens: { mask: 18, eos: [0], pad: null, bos: null },
  }));

/** Weights large enough that everything matters, and biases that are not zero. */
function randomParameters(config: ModelConfig, seed: number): Parameters {
  const parameters = createParameters(config);
  initialise(parameters, config, createRng(seed));
  const rng = createRng(seed, 'more');
  for (const { name, shape, data } of parameters.list) {
    if (shape.length === 2) data.forEach((x, i) => (data[i] = 2 * x));
    else data.forEach((x, i) => (data[i] = x + 0.2 * rng.normal()));
    if (name.endsWith('embed_tokens.weight')) data.forEach((x, i) => (data[i] = 20 * x));
  }
  return parameters;
}

const logitsOf = ({ ids, logits }: Statistics, V: number): number[][] => {
  const rows = Array.from({ length: ids.length / V }, () => Array.from({ length: V }, () => 0));
  ids.forEach((id, i) => (rows[Math.floor(i / V)][id] = logits[i]));
  return rows;
};

async function forward(
  denoiser: Denoiser,
  ids: readonly number[],
  from: { start: number; cache: KvCache | null; write: number; attention: AttentionPattern },
): Promise<number[][]> {
  const { start, cache, write, attention } = from;
  const positions = positionsFrom(start, ids.length);
  const V = denoiser.config.vocabSize;
  const [statistics] = await denoiser.forward(
    [{ ids: Int32Array.from(ids), positions, attention, cache, write, query: positionsFrom(0, ids.length) }],
    { topK: V, entropy: false },
  );
  return logitsOf(statistics, V);
}

/** Of logits that reach a few tens. */
const TOLERANCE = 2e-4;

const worst = (a: number[][], b: number[][]): number => {
  expect(a.length).toBe(b.length);
  return Math.max(...a.flatMap((row, i) => row.map((x, j) => Math.abs(x - b[i][j]))));
};

describe('any dimensions', () => {
  it('give what plain loops give, and cached blocks what a forward over everything gives', async () => {
    const runtime = await nodeRuntime();
    await fc.assert(
      fc.asyncProperty(
        configs,
        fc.nat(999),
        fc.array(fc.nat(18), { minLength: 1, maxLength: 12 }),
        async (config, seed, ids) => {
          const parameters = randomParameters(config, seed);
          const denoiser = createDenoiser(runtime, config, toTensors(parameters), { threads: 1 });
          const { blockLength } = config;
          const attention: AttentionPattern = { kind: 'blockCausal', blockLength, origin: 0 };
          const block = (position: number): number => Math.floor(position / blockLength);
          const whole = await forward(denoiser, ids, { start: 0, cache: null, write: 0, attention });
          const naive = naiveLogits(config, toTensors(parameters), ids, (q, k) => block(k) <= block(q));
          expect(worst(whole, naive)).toBeLessThan(TOLERANCE);

          const cache = denoiser.createCache();
          const cached: number[][] = [];
          for (let start = 0; start < ids.length; start += blockLength) {
            const piece = ids.slice(start, start + blockLength);
            cached.push(
              ...(await forward(denoiser, piece, { start, cache, write: piece.length, attention })),
            );
          }
          expect(worst(whole, cached)).toBeLessThan(TOLERANCE);
          await denoiser.close();
        },
      ),
      { numRuns: 30 },
    );
  });
});
