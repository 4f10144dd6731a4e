/** The samplers of research checkpoints: in distribution, since they are nothing but draws. */
import { describe, expect, it } from 'vitest';
import { SCRIPT_EOS, scriptedDenoiser, type Said } from '../../../tests/scripted-denoiser.ts';
import type { Layout } from '../../model/config.ts';
import { decode } from '../decode.ts';
import { collect, type Transcript } from '../events.ts';
import { planOfficial, type OfficialOptions, type SamplerName } from './samplers.ts';

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
