import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { nodeRuntime } from '../graph/node.ts';
import type { Parameters } from '../model/parameters.ts';
import { createRng, restoreRng } from '../rng.ts';
import type { BatchSource } from './batch.ts';
import { learningRateShare, modelConfigOf, parseTrainConfig, type TrainConfig } from './config.ts';
import { train, type TrainEvent, type TrainOptions } from './trainer.ts';

const VOCABULARY = { vocabSize: 24, tokens: { mask: 2, eos: [0], pad: 1, bos: null } };

/** Counts up from a random start, so that there is something to learn. */
function countingSource(): BatchSource {
  let rng = createRng(5, 'source');
  return {
    next: (rows, length) => {
      const ids = new Int32Array(rows * length);
      for (let row = 0; row < rows; row++) {
        const start = rng.int(20);
        for (let t = 0; t < length; t++) ids[row * length + t] = 3 + ((start + t) % 20);
      }
      return { rows, length, ids, segments: new Int32Array(rows * length), answer: null };
    },
    state: () => rng.state(),
    restore: (state) => void (rng = restoreRng(state as [number, number, number, number])),
    epochs: 0,
    description: 'counting',
  };
}

const tiny = (layout: 'causal' | 'full' | 'blockCausal' | 'causalContext', extra: object = {}): TrainConfig =>
  parseTrainConfig({
    name: 'test',
    model: {
      layout,
      width: 16,
      layers: 1,
      heads: 2,
      kvHeads: 1,
      headDim: 8,
      ffnWidth: 24,
      contextLength: 16,
      blockLength: 4,
    },
    objective: {
      kind: layout === 'causal' ? 'autoregressive' : layout === 'full' ? 'maskedDiffusion' : 'blockDiffusion',
    },
    data: { kind: 'sudoku' },
    batch: { rows: 8, length: 16, microBatches: 2 },
    optimizer: { learningRate: 0.02, muonLearningRate: 0.05 },
    schedule: { warmupTokens: 500, totalTokens: 256 * 24, decayTokens: 1000 },
    threads: 1,
    ...extra,
  });

let dir: string;
beforeEach(() => void (dir = mkdtempSync(join(tmpdir(), 'tintype-train-'))));
afterEach(() => rmSync(dir, { recursive: true, force: true }));

async function run(config: TrainConfig, parts: Partial<TrainOptions> = {}) {
  const events: TrainEvent[] = [];
  let published: Float32Array | null = null;
  const stream = train({
    runtime: await nodeRuntime(),
    config,
    model: modelConfigOf(config, VOCABULARY),
    source: countingSource(),
    dir,
    start: null,
    resume: false,
    stopped: () => false,
    publish: async (parameters: Parameters) => void (published = parameters.flat.slice()),
    ...parts,
  });
  for await (const event of stream) events.push(event);
  return { events, weights: published! };
}

const losses = (events: readonly TrainEvent[]) =>
  events.flatMap((event) => (event.type === 'step' ? [event.lossNats] : []));

describe.each(['causal', 'full', 'blockCausal', 'causalContext'] as const)('training %s', (layout) => {
  it('learns, and resumes bit for bit after a stop in the middle of a step', async () => {
    const config = tiny(layout);
    const through = await run(config);
    const curve = losses(through.events);
    expect(curve).toHaveLength(24);
    const mean = (part: number[]) => part.reduce((a, b) => a + b, 0) / part.length;
    expect(mean(curve.slice(-4))).toBeLessThan(mean(curve.slice(0, 4)) - 0.1);

    // Polled between micro-batches: the ninth call falls inside a step.
    let polls = 0;
    const first = await run(config, { dir: join(dir, 'cut'), stopped: () => ++polls > 8 });
    expect(first.events.at(-1)).toMatchObject({ type: 'end', reason: 'stopped' });
    expect(losses(first.events).length).toBeGreaterThan(0);
    expect(losses(first.events).length).toBeLessThan(24);
    const second = await run(config, { dir: join(dir, 'cut'), resume: true });
    expect([...losses(first.events), ...losses(second.events)]).toEqual(curve);
    expect(second.weights).toEqual(through.weights);
  });
});

describe('training for fewer forwards', () => {
  const objectives = {
    full: { kind: 'maskedDiffusion', masking: 'trajectory' },
    blockCausal: { kind: 'blockDiffusion', blockLengths: [4, 8], masking: 'trajectory' },
    causalContext: { kind: 'blockDiffusion', blockLengths: [4, 8], masking: 'trajectory' },
  };
  it.each(['full', 'blockCausal', 'causalContext'] as const)('resumes bit for bit, %s', async (layout) => {
    const config = tiny(layout, {
      objective: { ...objectives[layout], leastMasked: 0.5, certainty: { weight: 0.5, temperature: 0.5 } },
      schedule: { totalTokens: 256 * 8 },
    });
    const through = await run(config);
    const terms = through.events.flatMap((event) => (event.type === 'step' ? [event] : []));
    expect(terms.some(({ certaintyNats }) => certaintyNats! > 0)).toBe(true);
    for (const { lossNats, diffusionNats, autoregressiveNats, certaintyNats } of terms) {
      expect(diffusionNats! + (autoregressiveNats ?? 0) + certaintyNats!).toBeCloseTo(lossNats, 5);
    }
    let polls = 0;
    await run(config, { dir: join(dir, 'cut'), stopped: () => ++polls > 7 });
    const resumed = await run(config, { dir: join(dir, 'cut'), resume: true });
    expect(resumed.weights).toEqual(through.weights);
  });
});

describe('training', () => {
  it('with an average publishes the average, and resumes it too', async () => {
    const config = tiny('causal', { ema: 0.9 });
    const through = await run(config);
    const plain = await run(tiny('causal'), { dir: join(dir, 'plain') });
    expect(losses(through.events)).toEqual(losses(plain.events));
    expect(through.weights).not.toEqual(plain.weights);
    let polls = 0;
    await run(config, { dir: join(dir, 'cut'), stopped: () => ++polls > 12 });
    const resumed = await run(config, { dir: join(dir, 'cut'), resume: true });
    expect(resumed.weights).toEqual(through.weights);
  });

  it('changes the shape of its rows at a stage, and resumes across it', async () => {
    const config = tiny('causal', {
      batch: { rows: 8, length: 16, microBatches: 2, stages: [{ fromTokens: 2000, rows: 16, length: 8 }] },
    });
    const through = await run(config);
    let polls = 0;
    await run(config, { dir: join(dir, 'cut'), stopped: () => ++polls > 30 });
    const resumed = await run(config, { dir: join(dir, 'cut'), resume: true });
    expect(resumed.weights).toEqual(through.weights);
  });

  it('starts from given weights', async () => {
    const config = tiny('causal', { schedule: { totalTokens: 1 } });
    const { weights } = await run(config, {
      start: async (parameters) => void parameters.flat.fill(0.5),
      stopped: () => true,
    });
    expect(new Set(weights)).toEqual(new Set([0.5]));
  });

  it('stops with a clear error when it diverges, and keeps the last good state', async () => {
    const good = await run(tiny('causal', { schedule: { totalTokens: 256 * 3 } }));
    const wild = tiny('causal', {
      optimizer: { kind: 'adamw', learningRate: 1e6, clipNorm: 1e9 },
      schedule: { warmupTokens: 0, totalTokens: 256 * 50 },
    });
    await expect(run(wild, { resume: true })).rejects.toMatchObject({ code: 'diverged' });
    const again = await run(tiny('causal', { schedule: { totalTokens: 256 * 3 } }), { resume: true });
    expect(again.weights).toEqual(good.weights);
  });

  it('refuses a state of another model', async () => {
    await run(tiny('causal', { schedule: { totalTokens: 256 } }));
    const other = tiny('causal', {
      model: {
        layout: 'causal',
        width: 32,
        layers: 1,
        heads: 2,
        kvHeads: 1,
        headDim: 8,
        ffnWidth: 24,
        contextLength: 16,
      },
    });
    await expect(run(other, { resume: true })).rejects.toMatchObject({ code: 'bad_checkpoint' });
  });
});

describe('configuration', () => {
  it('names an unknown key, and what does not fit together', () => {
    expect(() => parseTrainConfig({ ...tiny('causal'), learningRat: 1 })).toThrow(/learningRat/);
    expect(() => parseTrainConfig({ ...tiny('causal'), objective: { kind: 'maskedDiffusion' } })).toThrow(
      /causal/,
    );
    expect(() => parseTrainConfig({ ...tiny('causal'), batch: { length: 99 } })).toThrow(/contextLength/);
  });

  it('warms up, stays, and decays to zero', () => {
    const schedule = { warmupTokens: 100, totalTokens: 1000, decayTokens: 200 };
    expect(learningRateShare(schedule, 0)).toBe(0);
    expect(learningRateShare(schedule, 50)).toBe(0.5);
    expect(learningRateShare(schedule, 500)).toBe(1);
    expect(learningRateShare(schedule, 900)).toBe(0.5);
    expect(learningRateShare(schedule, 1000)).toBe(0);
  });
});
