/** The samplers of research checkpoints: in distribution, since they are nothing but draws. */
import { describe, expect, it } from 'vitest';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { SCRIPT_EOS, scriptedDenoiser, type Said } from '../../../tests/scripted-denoiser.ts';
import type { Layout } from '../../model/config.ts';
import type { Denoiser } from '../../model/denoiser.ts';
import { loadDenoiser } from '../../model/load.ts';
import { floatsFromBytes, parseSafetensors } from '../../model/safetensors.ts';
import { createRng } from '../../rng.ts';
import { decode } from '../decode.ts';
import { collect, type Transcript } from '../events.ts';
import { MASKED } from '../canvas.ts';
import { planOfficial, type OfficialOptions } from './plan.ts';
import { type SamplerName } from './samplers.ts';

const sure: Said = { id: 7, probability: 0.9 };

async function run(
  name: SamplerName,
  layout: Layout,
  options: OfficialOptions,
  seed: number,
  say: (position: number, ids: Int32Array) => Said = () => sure,
): Promise<Transcript & { result: number[] }> {
  const { canvas, recipe, result } = planOfficial(name, scriptedDenoiser(layout, say).config, [3], options);
  const transcript = await collect(decode(scriptedDenoiser(layout, say), canvas, { recipe, seed }));
  return { ...transcript, result: result([3, ...transcript.done.ids], canvas.ids.length) };
}

/** Tokens of each forward. */
const sizes = ({ events }: Transcript): number[] =>
  events.flatMap((event) => (event.type === 'commit' ? [event.tokens.length] : []));

describe('mdlm', () => {
  it('uncovers an even share of all masks in each of its times, and asks only after a change', async () => {
    const [steps, maxTokens, seeds] = [8, 64, 60];
    const first: number[] = [];
    const forwards: number[] = [];
    for (let seed = 0; seed < seeds; seed++) {
      const transcript = await run('mdlm', 'full', { steps, maxTokens }, seed);
      const each = sizes(transcript);
      expect(each.reduce((a, b) => a + b)).toBe(maxTokens);
      expect(transcript.done.nfe).toBe(each.length);
      first.push(each[0]);
      forwards.push(each.length);
    }
    // Binomial(64, 1/8): mean 8, standard deviation of the mean of 60 of them .34.
    const mean = first.reduce((a, b) => a + b) / seeds;
    expect(Math.abs(mean - maxTokens / steps)).toBeLessThan(1.5);
    expect(Math.max(...forwards)).toBeLessThanOrEqual(steps + 1);
  });

  it('takes as many forwards as there are times that change something', async () => {
    // 4 masks and 1000 times: nearly always each alone.
    for (let seed = 0; seed < 10; seed++) {
      const { done } = await run('mdlm', 'full', { steps: 1000, maxTokens: 4 }, seed);
      expect(done.nfe).toBeGreaterThanOrEqual(3);
      expect(done.nfe).toBeLessThanOrEqual(4);
    }
  });
});

describe('mdlm-semi-ar', () => {
  it('fills stride after stride, and never sees a mask behind its own', async () => {
    const seen = new Set<number>();
    const options = { steps: 4, maxTokens: 12, blockLength: 4 };
    const transcript = await run('mdlm-semi-ar', 'full', options, 1, (_, ids) => {
      seen.add(ids.length);
      return sure;
    });
    expect([...seen]).toEqual([5, 9, 13]);
    const order = transcript.events.flatMap((event) =>
      event.type === 'commit' ? event.tokens.map(({ position }) => Math.floor((position - 1) / 4)) : [],
    );
    expect(order).toEqual([0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]);
    expect(transcript.done.nfe).toBeLessThanOrEqual(12);
  });
});

describe('bd3lm', () => {
  it('uncovers one mask a forward, any of its block alike, and stores each block', async () => {
    const counts = [0, 0, 0];
    for (let seed = 0; seed < 90; seed++) {
      const { events, done } = await run('bd3lm', 'blockCausal', { maxTokens: 7, blockLength: 4 }, seed);
      const positions = events.flatMap((event) =>
        event.type === 'commit' ? event.tokens.map(({ position }) => position) : [],
      );
      expect(positions.slice(0, 3).toSorted((a, b) => a - b)).toEqual([1, 2, 3]);
      expect(positions.slice(3).toSorted((a, b) => a - b)).toEqual([4, 5, 6, 7]);
      expect(done.forwards).toEqual({ prefill: 0, denoise: 7, store: 2 });
      counts[positions[0] - 1]++;
    }
    // Binomial(90, 1/3): mean 30, standard deviation 4.5.
    for (const count of counts) expect(Math.abs(count - 30)).toBeLessThan(16);
  });

  it('ends at an end of text where that is asked for, from the 257th token on', async () => {
    const options = { maxTokens: 299, blockLength: 4 };
    const context = (position: number): Said =>
      [20, 270].includes(position) ? { id: SCRIPT_EOS, probability: 0.9 } : sure;
    const early = planOfficial(
      'bd3lm',
      { ...scriptedDenoiser('blockCausal', context).config, contextLength: 400 },
      [3],
      { ...options, earlyStop: true },
    );
    const denoiser = scriptedDenoiser('blockCausal', context, { contextLength: 400 });
    const { done } = await collect(decode(denoiser, early.canvas, { recipe: early.recipe }));
    expect(done.reason).toBe('eos');
    expect(done.ids).toHaveLength(19);
    // The block that ends at position 260 is the first in which it may stop.
    expect(done.forwards.denoise).toBe(259);
  });
});

describe('sedd', () => {
  /** Scores that are right: at σ they sum to 1 / (e^σ − 1). */
  function rightScores(noises: number[]): Denoiser {
    const scripted = scriptedDenoiser('full', () => sure, { dit: { conditionWidth: 1, isToldNoise: true } });
    return {
      ...scripted,
      forward: async (runs, want) => {
        const [statistics] = await scripted.forward(runs, want);
        noises.push(runs[0].noise!);
        const total = -Math.log(Math.expm1(runs[0].noise!));
        return [{ ...statistics, logSumExp: statistics.logSumExp.map(() => total) }];
      },
    };
  }

  it('uncovers an even share of all masks between its times, in a forward for each', async () => {
    const [steps, maxTokens, seeds] = [8, 64, 60];
    const sums = Array.from({ length: steps }, () => 0);
    for (let seed = 0; seed < seeds; seed++) {
      const noises: number[] = [];
      const denoiser = rightScores(noises);
      const { canvas, recipe } = planOfficial('sedd', denoiser.config, [3], { steps, maxTokens });
      const { events, done } = await collect(decode(denoiser, canvas, { recipe, seed }));
      expect(done.usefulTokens).toBe(maxTokens);
      expect(done.nfe).toBe(noises.length);
      expect(noises[0]).toBeCloseTo(Math.log(1000), 5);
      noises.forEach((noise, i) => {
        const time = 1 + ((1e-5 - 1) * i) / steps;
        expect(noise).toBeCloseTo(-Math.log(1 - 0.999 * time), 10);
      });
      for (const event of events) {
        if (event.type === 'commit' && event.nfe <= steps) sums[event.nfe - 1] += event.tokens.length;
      }
    }
    // Of 60 · 64 masks an eighth each: mean 480, standard deviation 20.5.
    for (const sum of sums) expect(Math.abs(sum - (seeds * maxTokens) / steps)).toBeLessThan(90);
  });

  const folder = fileURLToPath(new URL('../../../fixtures/checkpoints/sedd/', import.meta.url));
  interface Update {
    step: number;
    steps: number;
    eps: number;
    input_ids: number[];
    probabilities: string;
  }
  const { updates } = JSON.parse(readFileSync(`${folder}golden.json`, 'utf8')) as { updates: Update[] };
  const { tensors } = parseSafetensors(readFileSync(`${folder}golden.safetensors`));

  it.each(updates)(
    'at step $step masks become what the official code gives them a probability of',
    async (update) => {
      const { step, steps, eps, input_ids: ids } = update;
      const { denoiser } = await loadDenoiser(folder, { threads: 1 });
      const { vocabSize: V, tokens } = denoiser.config;
      const official = floatsFromBytes('F32', tensors.get(update.probabilities)!.bytes);
      const isMask = (p: number): boolean => ids[p] === tokens.mask;
      const { recipe } = planOfficial('sedd', denoiser.config, [], { maxTokens: ids.length, steps, eps });
      const context = recipe.context(denoiser, 0);
      const query = [...ids.keys()].filter(isMask);
      const window = { start: 0, end: ids.length };
      const canvas = Int32Array.from(ids, (id, p) => (isMask(p) ? MASKED : id));
      const look = async () =>
        (await context.look({ ids: canvas, contextEnd: 0, window, query }, { topK: V, entropy: false }))
          .statistics;
      for (let i = 0; i < step; i++) await look();
      const statistics = await look();
      const rng = createRng(1, 'sedd', step);
      const draws = 4000;
      query.forEach((position, row) => {
        const places = Array.from({ length: V }, (_, i) => row * V + i);
        const shares = new Map(
          places.map((i) => [statistics.ids[i], Math.exp(statistics.logits[i] - statistics.logSumExp[row])]),
        );
        const candidate = {
          position,
          id: 0,
          probability: 0,
          runnerUp: 0,
          entropy: NaN,
          logSumExp: statistics.logSumExp[row],
          top: [],
          current: null,
        };
        const view = { candidates: [candidate], committed: [], step, masksAtStart: 1, mustCommit: true, rng };
        let uncovered = 0;
        for (let i = 0; i < draws; i++) uncovered += recipe.policy.choose(view, undefined).commit.length;
        // The official code draws in proportion to these numbers, where one below 0 is never drawn.
        const weights = official.subarray(position * V, (position + 1) * V).map((x) => Math.max(x, 0));
        const total = weights.reduce((a, b) => a + b);
        const wanted = 1 - weights[tokens.mask!] / total;
        // Binomial: a standard deviation of .008 at most.
        expect(Math.abs(uncovered / draws - wanted)).toBeLessThan(0.04);
        const ofTokens = total - weights[tokens.mask!];
        for (let id = 0; id < tokens.mask!; id++) {
          expect(shares.get(id)).toBeCloseTo(weights[id] / ofTokens, 4);
        }
      });
      await denoiser.close();
    },
  );
});
