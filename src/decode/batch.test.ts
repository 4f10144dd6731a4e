import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createToyDenoiser } from '../../tests/toy-denoiser.ts';
import { LAYOUTS } from '../model/config.ts';
import { createBatch } from './batch.ts';
import { appendCanvas } from './canvas.ts';
import { decode } from './decode.ts';
import { collect } from './events.ts';
import type { Transcript } from './events.ts';
import type { DecodeOptions } from './options.ts';

const POLICIES: DecodeOptions[] = [
  { threshold: 0.3 },
  { policy: 'entropyBound', gamma: 0.5 },
  { policy: 'klass', threshold: 0.3, kl: 0.5 },
  { policy: 'random', steps: 3 },
  { temperature: 0.8 },
  { temperature: 0.8, logitBias: { 3: 2 } },
  { temperature: 1.1, topK: 4 },
  { logitBias: { 5: -100 } },
];

describe('a batch', () => {
  it.each(LAYOUTS)(
    'gives each run what it gets alone, also when neighbours are given up (%s)',
    async (layout) => {
      let calls = 0;
      let asked = 0;
      const denoiser = createToyDenoiser({
        layout,
        onForward: (runs) => {
          calls++;
          asked += runs.length;
        },
      });
      const request = fc.record({
        prompt: fc.array(fc.integer({ min: 2, max: 20 }), { minLength: 1, maxLength: 9 }),
        length: fc.integer({ min: 1, max: 14 }),
        options: fc.constantFrom(...POLICIES),
        seed: fc.nat(9),
        // Forward after which it is given up.
        patience: fc.constantFrom(2, Infinity, Infinity),
      });
      await fc.assert(
        fc.asyncProperty(fc.array(request, { minLength: 2, maxLength: 6 }), async (requests) => {
          const batch = createBatch(denoiser);
          const runOf = async (
            model: typeof denoiser,
            { prompt, length, options, seed, patience }: (typeof requests)[number],
          ): Promise<Transcript['events']> => {
            const controller = new AbortController();
            const canvas = appendCanvas(prompt, length);
            const stream = decode(model, canvas, {
              ...options,
              seed,
              now: () => 0,
              signal: controller.signal,
            });
            const events: Transcript['events'] = [];
            for await (const event of stream) {
              events.push(event);
              if (event.type === 'step' && event.nfe === patience) controller.abort();
            }
            return events;
          };
          const together = await Promise.all(
            requests.map(async (each) => {
              const member = batch.join();
              try {
                return await runOf(member, each);
              } finally {
                batch.leave(member);
              }
            }),
          );
          expect(batch.size).toBe(0);
          for (const [i, each] of requests.entries())
            expect(together[i]).toEqual(await runOf(denoiser, each));
        }),
        { numRuns: 20 },
      );
      expect(asked).toBeGreaterThan(1.05 * calls);
    },
  );

  it('gives an error to the run that caused it', async () => {
    const denoiser = createToyDenoiser({ layout: 'causal', endless: true });
    const batch = createBatch({
      ...denoiser,
      forward: async (runs, want) => {
        if (runs.some(({ ids }) => ids.includes(7))) throw new Error('seven');
        return denoiser.forward(runs, want);
      },
    });
    const [a, b] = [batch.join(), batch.join()];
    const [good, bad] = await Promise.allSettled([
      collect(decode(a, appendCanvas([2], 3), { logitBias: { 7: -100 } })).finally(() => batch.leave(a)),
      collect(decode(b, appendCanvas([7], 3))).finally(() => batch.leave(b)),
    ]);
    expect(good).toMatchObject({ status: 'fulfilled', value: { done: { reason: 'length' } } });
    expect(bad).toMatchObject({ status: 'rejected', reason: { message: 'seven' } });
  });
});
