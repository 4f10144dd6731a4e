/** The invariants of decoding, on tiny random models of every layout. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tinyDenoiser } from './tiny.ts';
import type { Layout } from '../src/model/config.ts';
import type { Denoiser } from '../src/model/denoiser.ts';
import { appendCanvas, fixedCanvas, MASKED } from '../src/decode/canvas.ts';
import { decode } from '../src/decode/decode.ts';
import { collect, type DecodeEvent } from '../src/decode/events.ts';
import type { DecodeOptions } from '../src/decode/options.ts';
import { confidenceThreshold } from '../src/decode/policies/confidence-threshold.ts';
import { fixedSteps } from '../src/decode/policies/fixed-steps.ts';
import type { UnmaskPolicy } from '../src/decode/policies/policy.ts';
import { random } from '../src/decode/policies/random.ts';

const LAYOUTS: Layout[] = ['causal', 'causalContext', 'blockCausal', 'full'];
const GREEDY: DecodeOptions = { temperature: 0 };

const models = new Map<Layout, Denoiser>();
beforeAll(async () => {
  for (const layout of LAYOUTS) models.set(layout, await tinyDenoiser(layout));
});
afterAll(async () => {
  for (const model of models.values()) await model.close();
});

const settings = (layout: Layout, parts: Partial<DecodeOptions> = {}): DecodeOptions => ({
  policy: confidenceThreshold(0.5),
  blockLength: layout === 'causal' ? 1 : layout === 'full' ? 64 : 4,
  seed: 1,
  ...parts,
});

/** Without clocks, so that two runs can be compared. */
const transcript = (events: readonly DecodeEvent[]) =>
  events.map((event) => JSON.parse(JSON.stringify(event, (key, value) => (key.endsWith('Ms') ? undefined : value))));

const token = fc.integer({ min: 1, max: 31 });
const prompts = fc.array(token, { minLength: 1, maxLength: 40 });
const policies = fc.constantFrom<UnmaskPolicy>(
  confidenceThreshold(0.3),
  confidenceThreshold(0.9),
  fixedSteps(2),
  fixedSteps(3, 'entropy'),
  fixedSteps(3, 'margin'),
  random(2),
);
const samplings = fc.constantFrom(
  GREEDY,
  { temperature: 0.8 },
  { temperature: 1, topP: 0.7 },
  { temperature: 1, topK: 5 },
);
const RUNS = { numRuns: 30 };

describe.each(LAYOUTS)('%s', (layout) => {
  const model = () => models.get(layout)!;

  it('gives the same transcript with the cache and without', async () => {
    await fc.assert(
      fc.asyncProperty(prompts, fc.integer({ min: 1, max: 14 }), policies, async (prompt, maxTokens, policy) => {
        const canvas = appendCanvas(prompt, maxTokens);
        const cached = await collect(decode(model(), canvas, settings(layout, { policy })));
        const plain = await collect(decode(model(), canvas, settings(layout, { policy, cache: 'none' })));
        expect(cached.done.ids).toEqual(plain.done.ids);
        const order = (events: DecodeEvent[]) =>
          events.flatMap((e) => (e.type === 'commit' ? e.tokens.map(({ position, id }) => `${position}:${id}`) : []));
        expect(order(cached.events)).toEqual(order(plain.events));
      }),
      RUNS,
    );
  });

  it('is a function of its seed', async () => {
    await fc.assert(
      fc.asyncProperty(prompts, policies, samplings, fc.nat(), async (prompt, policy, sampling, seed) => {
        const canvas = appendCanvas(prompt, 9);
        const run = () => collect(decode(model(), canvas, settings(layout, { policy, ...sampling, seed })));
        expect(transcript((await run()).events)).toEqual(transcript((await run()).events));
      }),
      RUNS,
    );
  });

  it('commits every position once and never retracts settled text', async () => {
    await fc.assert(
      fc.asyncProperty(prompts, policies, samplings, async (prompt, policy, sampling) => {
        const { events, done } = await collect(
          decode(model(), appendCanvas(prompt, 11), settings(layout, { policy, ...sampling })),
        );
        const committed = new Map<number, number>();
        const settled: number[] = [];
        for (const event of events) {
          if (event.type === 'commit') {
            expect(event.tokens.length).toBeGreaterThan(0);
            for (const { position, id, probability } of event.tokens) {
              expect(committed.has(position)).toBe(false);
              expect(position).toBeGreaterThanOrEqual(prompt.length + settled.length);
              expect(id).not.toBe(32);
              expect(probability).toBeGreaterThan(0);
              expect(probability).toBeLessThanOrEqual(1.0001);
              committed.set(position, id);
            }
          }
          if (event.type === 'block') {
            expect(event.start).toBe(prompt.length + settled.length);
            settled.push(...event.ids);
          }
        }
        expect(settled).toEqual(done.ids);
        settled.forEach((id, i) => expect(committed.get(prompt.length + i)).toBe(id));
      }),
      RUNS,
    );
  });

  it('counts its forwards', async () => {
    const { events, done } = await collect(decode(model(), appendCanvas([5, 6, 7], 10), settings(layout)));
    const steps = events.filter((event) => event.type === 'step');
    expect(done.nfe).toBe(steps.length);
    expect(done.forwards.prefill + done.forwards.denoise + done.forwards.commit).toBe(done.nfe);
    expect(done.usefulTokens).toBe(done.ids.length);
    expect(done.tpf).toBeCloseTo(done.usefulTokens / done.nfe);
  });

  it('stops when asked and leaves the model usable', async () => {
    const canvas = appendCanvas([5, 6, 7], 12);
    const before = await collect(decode(model(), canvas, settings(layout)));
    const controller = new AbortController();
    const events: DecodeEvent[] = [];
    for await (const event of decode(model(), canvas, settings(layout, { signal: controller.signal }))) {
      events.push(event);
      if (event.type === 'commit') controller.abort();
    }
    expect(events.at(-1)).toMatchObject({ type: 'done', reason: 'aborted' });
    expect(events.filter((event) => event.type === 'step').length).toBeLessThan(before.done.nfe);
    const after = await collect(decode(model(), canvas, settings(layout)));
    expect(transcript(after.events)).toEqual(transcript(before.events));
  });
});

describe('policies in the loop', () => {
  it.each(LAYOUTS)('a threshold above 1 commits exactly one token a step (%s)', async (layout) => {
    const { events } = await collect(
      decode(models.get(layout)!, appendCanvas([3, 4], 9), settings(layout, { policy: confidenceThreshold(1.1) })),
    );
    for (const event of events) if (event.type === 'commit') expect(event.tokens).toHaveLength(1);
  });

  it('fixedSteps(n) uses exactly n forwards on a fixed canvas', async () => {
    const canvas = fixedCanvas([2, MASKED, 5, MASKED, MASKED, MASKED, MASKED, MASKED, MASKED, 9]);
    for (const n of [1, 2, 3, 5, 7]) {
      const { done } = await collect(
        decode(models.get('full')!, canvas, settings('full', { policy: fixedSteps(n) })),
      );
      expect(done.nfe).toBe(n);
      expect(done.ids).toHaveLength(10);
    }
  });

  it('fixedSteps(n) uses n forwards a block, and one more to cache it', async () => {
    // No end of text, so that the number of blocks is known.
    const denoiser = models.get('blockCausal')!;
    const endless = { ...denoiser, config: { ...denoiser.config, tokens: { ...denoiser.config.tokens, eos: [] } } };
    const { done } = await collect(
      decode(endless, appendCanvas([3, 4, 5, 6], 12), settings('blockCausal', { policy: fixedSteps(2) })),
    );
    expect(done.forwards).toEqual({ prefill: 1, denoise: 6, commit: 2 });
  });
});

describe('block length 1 over a causal context', () => {
  it('is autoregressive decoding', async () => {
    const context = models.get('causalContext')!;
    // The same weights read as an autoregressive model.
    const config = { ...context.config, layout: 'causal' as const };
    const causal: Denoiser = { ...context, config };
    await fc.assert(
      fc.asyncProperty(prompts, async (prompt) => {
        const canvas = appendCanvas(prompt, 10);
        const blocks = await collect(decode(context, canvas, settings('causalContext', { blockLength: 1 })));
        const plain = await collect(decode(causal, canvas, settings('causal')));
        expect(transcript(blocks.events)).toEqual(transcript(plain.events));
      }),
      RUNS,
    );
  });
});

describe('the end of text', () => {
  it('stops later blocks from being computed', async () => {
    const denoiser = models.get('causalContext')!;
    // Every token ends the text, so the first one does.
    const eos = Array.from({ length: 33 }, (_, i) => i);
    const final: Denoiser = { ...denoiser, config: { ...denoiser.config, tokens: { ...denoiser.config.tokens, eos } } };
    const { done, events } = await collect(decode(final, appendCanvas([3, 4], 40), settings('causalContext')));
    expect(done).toMatchObject({ reason: 'eos', ids: [], usefulTokens: 0, nfe: 1 });
    expect(events.filter((event) => event.type === 'block')).toHaveLength(1);
  });
});

describe('canvases that a model cannot fill', () => {
  it('are refused before the first forward', async () => {
    const run = (layout: Layout, canvas: ReturnType<typeof fixedCanvas>) =>
      collect(decode(models.get(layout)!, canvas, settings(layout)));
    await expect(run('causalContext', fixedCanvas([1, MASKED, 2]))).rejects.toMatchObject({ code: 'unsupported' });
    await expect(run('full', fixedCanvas([1, MASKED, 99]))).rejects.toMatchObject({ code: 'bad_request' });
    await expect(run('causal', appendCanvas([], 3))).rejects.toMatchObject({ code: 'bad_request' });
    await expect(run('full', appendCanvas([1], 300))).rejects.toMatchObject({ code: 'prompt_too_long' });
  });
});
