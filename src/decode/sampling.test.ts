import { describe, expect, it } from 'vitest';
import { createToyDenoiser, TOY_MASK } from '../../tests/toy-denoiser.ts';
import type { Statistics } from '../model/denoiser.ts';
import { MASKED } from './canvas.ts';
import { createSampler } from './sampling.ts';
import type { Sampling } from './sampling.ts';

const GREEDY: Sampling = { temperature: 0, topK: null, topP: 1, seed: 5 };
const { config } = createToyDenoiser({ layout: 'full', vocabSize: 6 });
/** All masked. */
const CANVAS = new Int32Array(10_000).fill(MASKED);
const PROBABILITIES = [0.05, 0.3, 0.2, 0.25, 0.15, 0.05];

/** Statistics of one row with these probabilities. The second token is the mask token. */
function statisticsOf(topK: number, sampled: number[] = []): Statistics {
  const ids = PROBABILITIES.map((_, id) => id).sort((a, b) => PROBABILITIES[b] - PROBABILITIES[a] || a - b);
  const logitOf = (id: number): number => Math.log(PROBABILITIES[id]) + 3;
  return {
    ids: Int32Array.from(ids.slice(0, topK)),
    logits: Float32Array.from(ids.slice(0, topK), logitOf),
    logSumExp: Float32Array.of(3),
    entropy: Float32Array.of(1.5),
    sampled: Int32Array.from(sampled),
    sampledLogits: Float32Array.from(sampled, logitOf),
  };
}

/** How often each token is drawn. */
function frequencies(sampling: Sampling, runs: number): number[] {
  const sampler = createSampler(sampling, { topK: 1, entropy: false }, config);
  const counts = PROBABILITIES.map(() => 0);
  for (let position = 0; position < runs; position++) {
    const [candidate] = sampler.read(statisticsOf(sampler.request([position]).topK), [position], CANVAS);
    counts[candidate.id] += 1 / runs;
  }
  return counts;
}

describe('greedy', () => {
  it('takes the best token that is not the mask token, with the probability that the model gave it', () => {
    const sampler = createSampler(GREEDY, { topK: 2, entropy: true }, config);
    expect(sampler.request([7])).toEqual({ topK: 3, entropy: true });
    const [candidate] = sampler.read(statisticsOf(3), [7], CANVAS);
    expect(candidate).toMatchObject({ position: 7, id: 3, entropy: 1.5 });
    expect(candidate.probability).toBeCloseTo(0.25, 5);
    expect(candidate.runnerUp).toBeCloseTo(0.2, 5);
  });
});

describe('temperature', () => {
  const sampler = createSampler({ ...GREEDY, temperature: 0.5 }, { topK: 2, entropy: false }, config);

  it('asks the graph for one draw a row', () => {
    const { sample } = sampler.request([2, 3, 4]);
    expect(sample).toMatchObject({ temperature: 0.5 });
    expect(sample!.uniforms).toHaveLength(3);
    expect(Math.max(...sample!.uniforms)).toBeLessThan(1);
  });

  it('gives each position one number, whatever else is asked, until it is masked again', () => {
    const numbers = (positions: number[]): number[] => [...sampler.request(positions).sample!.uniforms];
    const [a, b, c] = numbers([2, 3, 4]);
    expect(numbers([4, 2])).toEqual([c, a]);
    expect(new Set([a, b, c]).size).toBe(3);
    const other = createSampler({ ...GREEDY, temperature: 0.5 }, { topK: 2, entropy: false }, config);
    other.redraw(3);
    expect([...other.request([2, 3]).sample!.uniforms][0]).toBe(a);
    expect([...other.request([2, 3]).sample!.uniforms][1]).not.toBe(b);
  });

  it('takes what was drawn, whose rival is the best token', () => {
    const [candidate] = sampler.read(statisticsOf(3, [5]), [7], CANVAS);
    expect(candidate.id).toBe(5);
    expect(candidate.probability).toBeCloseTo(0.05, 5);
    expect(candidate.runnerUp).toBeCloseTo(0.25, 5);
  });

  it('takes the best other token where the mask token was drawn', () => {
    expect(sampler.read(statisticsOf(3, [TOY_MASK]), [7], CANVAS)[0].id).toBe(3);
  });
});

describe('top-k and top-p', () => {
  it.each<[string, Sampling, number[]]>([
    ['draw among the k best', { temperature: 1, topK: 2, topP: 1, seed: 5 }, [0, 0, 20, 25, 0, 0]],
    [
      'draw from the fewest that reach p',
      { temperature: 1, topK: null, topP: 0.44, seed: 5 },
      [0, 0, 20, 25, 0, 0],
    ],
    [
      'draw one more for a larger p',
      { temperature: 1, topK: null, topP: 0.46, seed: 5 },
      [0, 0, 20, 25, 15, 0],
    ],
    [
      'reshape by the temperature',
      { temperature: 0.5, topK: 2, topP: 1, seed: 5 },
      [0, 0, 20 ** 2, 25 ** 2, 0, 0],
    ],
    ['are greedy near temperature 0', { temperature: 1e-3, topK: 4, topP: 1, seed: 5 }, [0, 0, 0, 1, 0, 0]],
  ])('%s', (_, sampling, weights) => {
    const sum = weights.reduce((a, b) => a + b);
    const counted = frequencies(sampling, 10_000);
    const errors = counted.map((frequency, id) => Math.abs(frequency - weights[id] / sum));
    // Four standard deviations of a fair coin.
    expect(Math.max(...errors)).toBeLessThan(0.02);
  });

  it('keep the probability that the model gave', () => {
    const sampling = { temperature: 3, topK: 5, topP: 1, seed: 5 };
    const sampler = createSampler(sampling, { topK: 1, entropy: false }, config);
    const drawn = Array.from(
      { length: 50 },
      (_, position) => sampler.read(statisticsOf(sampler.request([position]).topK), [position], CANVAS)[0],
    );
    expect(new Set(drawn.map(({ id }) => id)).size).toBe(5);
    const wrong = drawn.filter(({ id, probability }) => Math.abs(probability - PROBABILITIES[id]) > 1e-5);
    expect(wrong).toEqual([]);
  });
});
