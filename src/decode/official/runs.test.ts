/** Laws that hold for every published sampler, on hashes: bit for bit. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createToyDenoiser, TOY_EOS, TOY_MASK } from '../../../tests/toy-denoiser.ts';
import { positionsFrom } from '../../model/denoiser.ts';
import type { Denoiser } from '../../model/denoiser.ts';
import { MASKED } from '../canvas.ts';
import { decode } from '../decode.ts';
import { collect } from '../events.ts';
import type { DecodeEvent, Transcript } from '../events.ts';
import type { DecodeOptions } from '../options.ts';
import { createPrefixCache } from '../prefix-cache.ts';
import { linearCounts, floorCounts, timestepCount } from './counts.ts';
import { planOfficial } from './plan.ts';
import { SAMPLER_NAMES, SAMPLERS } from './samplers.ts';
import type { OfficialOptions } from './plan.ts';
import type { SamplerName } from './samplers.ts';
import { torchTopK } from './torch-topk.ts';

const B = 4;
const toyFor = (name: SamplerName): Denoiser => {
  const toy = createToyDenoiser({ layout: SAMPLERS[name].layout, blockLength: B });
  const shift = name === 'fast-dllm-v2' ? 'block' : name.startsWith('dream') ? 'sequence' : 'none';
  const { config } = toy;
  const reordersKnown = config.layout === 'causal';
  const dit = { conditionWidth: 1, isToldNoise: name === 'sedd' };
  const noise = name === 'diffusion-gemma' ? 'uniform' : 'mask';
  const tokens = { ...config.tokens, mask: TOY_MASK };
  return { ...toy, config: { ...config, logitShift: shift, reordersKnown, dit, noise, tokens } };
};
/** Hashes draw the mask token as any other; how samplers end then is another test's business. */
const NO_MASK = { [TOY_MASK]: -100 };

const prompts = fc.array(fc.integer({ min: 2, max: 23 }), { minLength: 1, maxLength: 11 });
const parameters: fc.Arbitrary<OfficialOptions> = fc.record({
  maxTokens: fc.constantFrom(8, 12),
  threshold: fc.constantFrom(0.2, 0.5, 0.9, 2),
  editThreshold: fc.constantFrom(0.3, 0.6),
  cache: fc.constantFrom('none', 'prefix', 'dual'),
  earlyStop: fc.boolean(),
});

async function run(
  name: SamplerName,
  prompt: number[],
  options: OfficialOptions,
  more: DecodeOptions = {},
): Promise<Transcript & { start: Int32Array }> {
  const denoiser = toyFor(name);
  const { canvas, recipe } = planOfficial(name, denoiser.config, prompt, {
    blockLength: B,
    subBlockLength: 2,
    maxTokens: 8,
    ...options,
  });
  const clock = { now: () => 0, logitBias: NO_MASK };
  return { ...(await collect(decode(denoiser, canvas, { recipe, ...clock, ...more }))), start: canvas.ids };
}

/** The canvas before each event. */
function* replayed(start: Int32Array, events: readonly DecodeEvent[]) {
  const ids = start.slice();
  for (const event of events) {
    yield { event, ids };
    if (event.type === 'commit') for (const { position, id } of event.tokens) ids[position] = id;
    if (event.type === 'remask') for (const position of event.positions) ids[position] = MASKED;
  }
}

describe.each(SAMPLER_NAMES)('%s', (name) => {
  it('never takes settled text back, and returns what settled', async () => {
    await fc.assert(
      fc.asyncProperty(prompts, parameters, async (prompt, options) => {
        const { events, done, start } = await run(name, prompt, options);
        let settledEnd = 0;
        for (const { event } of replayed(start, events)) {
          if (event.type === 'block') settledEnd = event.settledEnd;
          const touched =
            event.type === 'commit'
              ? event.tokens.map(({ position }) => position)
              : event.type === 'remask'
                ? event.positions
                : [];
          expect(touched.every((position) => position >= settledEnd)).toBe(true);
        }
        expect(events.flatMap((event) => (event.type === 'block' ? event.ids : []))).toEqual(done.ids);
        expect(done.ids).not.toContain(TOY_EOS);
      }),
      { numRuns: 25 },
    );
  });

  it('draws the same for the same seed, and stops when it is told to', async () => {
    const drawn = { temperature: 3, seed: 7 };
    const [once, again, other] = [
      await run(name, [3, 4, 5], {}, drawn),
      await run(name, [3, 4, 5], {}, drawn),
      await run(name, [3, 4, 5], {}, { ...drawn, seed: 8 }),
    ];
    expect(again.events).toEqual(once.events);
    expect(other.events).not.toEqual(once.events);
    const controller = new AbortController();
    const denoiser = toyFor(name);
    const { canvas, recipe } = planOfficial(name, denoiser.config, [3, 4, 5], {
      blockLength: B,
      subBlockLength: 2,
      maxTokens: 8,
    });
    const seen: DecodeEvent[] = [];
    for await (const event of decode(denoiser, canvas, { recipe, signal: controller.signal })) {
      seen.push(event);
      if (event.type === 'step') controller.abort(new Error('enough'));
    }
    expect(seen.at(-1)).toMatchObject({ type: 'done', reason: 'aborted' });
  });

  it('leaves prompts that are known to runs that can begin with them', async () => {
    const prefixCache = createPrefixCache({ maxBytes: 1e9 });
    const { done } = await run(name, [3, 4], {}, { prefixCache });
    expect([prefixCache.hits.asked, done.cachedTokens]).toEqual([0, 0]);
  });

  it('refuses a constraint and a mode', async () => {
    await expect(run(name, [3], {}, { mode: 'diffusion' })).rejects.toMatchObject({ code: 'bad_option' });
  });
});

describe.each([
  'sdar',
  'sdar-sequential',
  'llada2.0',
  'llada2.1',
  'stable-diffcoder',
  'fast-dllm-v2',
] as const)('%s', (name) => {
  it('commits what a forward over everything, without a cache, says', async () => {
    const denoiser = toyFor(name);
    const shift = denoiser.config.logitShift === 'block' ? 1 : 0;
    await fc.assert(
      fc.asyncProperty(prompts, parameters, async (prompt, options) => {
        // With frozen parts, or a prompt that is not seen, it says something else.
        if (name === 'fast-dllm-v2' && prompt.length === B) return;
        const { events, start } = await run(name, prompt, { ...options, cache: 'block' });
        let before = start.slice();
        let wasStored = false;
        for (const { event, ids } of replayed(start, events)) {
          if (event.type === 'step') [before, wasStored] = [ids.slice(), event.kind !== 'denoise'];
          if (event.type !== 'commit') continue;
          const last = event.tokens.at(-1)!.position;
          const end = wasStored ? last : Math.min((Math.floor(last / B) + 1) * B, start.length);
          const tokens = Int32Array.from(before.subarray(0, end), (id) => (id === MASKED ? TOY_MASK : id));
          const query = event.tokens.map(({ position }) =>
            position % B === 0 && !wasStored ? position : position - shift,
          );
          const attention = { kind: 'blockCausal', blockLength: B, origin: 0 } as const;
          const runs = [
            {
              ids: tokens,
              positions: positionsFrom(0, end),
              attention,
              cache: null,
              write: 0,
              query: Int32Array.from(query),
            },
          ];
          const [{ ids: best }] = await denoiser.forward(runs, { topK: 2, entropy: false });
          event.tokens.forEach(({ id }, i) => {
            expect(id).toBe(best[2 * i] === TOY_MASK ? best[2 * i + 1] : best[2 * i]);
          });
        }
      }),
      { numRuns: 40 },
    );
  });
});

describe('counts', () => {
  it('add up to all masks, in steps that may be empty or not', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 70 }), fc.integer({ min: 1, max: 70 }), (masks, steps) => {
        const sum = (counts: number[]): number => counts.reduce((a, b) => a + b, 0);
        expect(sum(floorCounts(masks, steps))).toBe(masks);
        expect(floorCounts(masks, steps)).toHaveLength(steps);
        expect(sum(linearCounts(masks, steps))).toBe(masks);
        expect(linearCounts(masks, steps).every((count) => count > 0)).toBe(true);
        let left = masks;
        for (let step = 0; step < steps; step++) left -= timestepCount(left, { step, steps, eps: 1e-3 });
        expect(left).toBe(0);
      }),
    );
  });

  it('round as the official code does', () => {
    expect(floorCounts(8, 3)).toEqual([3, 3, 2]);
    expect(floorCounts(1, 4)).toEqual([1, 0, 0, 0]);
    // 5 · ½ and 1 · ½ are halves: to the even neighbour.
    expect(linearCounts(5, 2)).toEqual([2, 3]);
    expect(linearCounts(1, 2)).toEqual([1]);
    // With as many steps as tokens the first step commits none and the last two.
    const counts = [];
    let left = 16;
    for (let step = 0; step < 16; step++) {
      counts.push(timestepCount(left, { step, steps: 16, eps: 1e-3 }));
      left -= counts.at(-1)!;
    }
    expect(counts).toEqual([0, ...Array.from({ length: 14 }, () => 1), 2]);
  });
});

describe('the places that torch.topk picks', () => {
  it('are those of the largest values', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 40 }),
        fc.nat(),
        (values, n) => {
          const k = 1 + (n % values.length);
          const places = torchTopK(values, k);
          expect(new Set(places).size).toBe(k);
          const least = Math.min(...places.map((place) => values[place]));
          expect(places.map((place) => values[place]).sort((a, b) => b - a)).toEqual(
            values.toSorted((a, b) => b - a).slice(0, k),
          );
          expect(least).toBe(values.toSorted((a, b) => b - a)[k - 1]);
        },
      ),
    );
  });

  it('among equals are those that GCC nth_element leaves in front (a transcript of SDAR shows it)', () => {
    const no = -Infinity;
    expect(torchTopK([0.4, no, no, no, no, no, 0.3, no], 3)).toEqual([0, 4, 6]);
  });
});
