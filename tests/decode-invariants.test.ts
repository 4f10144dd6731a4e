/**
 * The laws of DECODING.md ("Invariants"), for every layout, on hashes (bit for bit), random weights and checkpoints. A new kind
 * of model is one more line in `MODELS`.
 */
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createBatch } from '../src/decode/batch.ts';
import { appendCanvas, fixedCanvas, MASKED } from '../src/decode/canvas.ts';
import type { Canvas } from '../src/decode/canvas.ts';
import { decode } from '../src/decode/decode.ts';
import { collect } from '../src/decode/events.ts';
import type { CommittedToken, LookEvent, DecodeEvent, DoneEvent, Transcript } from '../src/decode/events.ts';
import type { DecodeOptions } from '../src/decode/options.ts';
import { assert } from '../src/errors.ts';
import { createPrefixCache } from '../src/decode/prefix-cache.ts';
import type { Denoiser } from '../src/model/denoiser.ts';
import type { Overrides } from '../src/model/config-json.ts';
import { LAYOUTS } from '../src/model/config.ts';
import type { Layout } from '../src/model/config.ts';
import { loadDenoiser } from '../src/model/load.ts';
import { tinyDenoiser } from './tiny.ts';
import { createToyDenoiser, TOY_EOS } from './toy-denoiser.ts';

interface ModelUnderTest {
  name: string;
  open: () => Promise<Denoiser>;
  runs: number;
}

const toy = (options: Parameters<typeof createToyDenoiser>[0]): ModelUnderTest => ({
  name: `toy ${options.layout}${options.endless ? ', endless' : ''}`,
  open: async () => createToyDenoiser(options),
  runs: 40,
});

/** @param overrides what no file of the folder says */
const folder = (name: string, path: string, overrides: Overrides = {}, runs = 8): ModelUnderTest => ({
  name,
  open: async () => {
    const dir = fileURLToPath(new URL(`../${path}`, import.meta.url));
    return (await loadDenoiser(dir, { threads: 1, overrides })).denoiser;
  },
  runs,
});
const bundled = (name: string): ModelUnderTest => folder(name, `models/${name}`, {}, 3);

const MODELS: ModelUnderTest[] = [
  ...LAYOUTS.flatMap((layout) => [toy({ layout }), toy({ layout, endless: true })]),
  ...LAYOUTS.map((layout) => ({ name: `tiny ${layout}`, open: () => tinyDenoiser(layout), runs: 12 })),
  folder('ar-qwen3', 'fixtures/checkpoints/ar-qwen3'),
  folder('sdar', 'fixtures/checkpoints/sdar'),
  // Their logits are shifted: over the sequence, and inside blocks.
  folder('dream', 'fixtures/checkpoints/dream'),
  folder('fast-dllm-v2', 'fixtures/checkpoints/fast-dllm-v2', { maskTokenId: 173, blockLength: 4 }),
  ...['tintype-code', 'tintype-code-ar', 'tintype-sudoku', 'tintype-sudoku-ar'].map(bundled),
];

const run = (denoiser: Denoiser, canvas: Canvas, options: DecodeOptions): Promise<Transcript> =>
  collect(decode(denoiser, canvas, { now: () => 0, ...options }));

/**
 * Holds two runs to the same decisions, probabilities within 1e-4. Products of another shape sum in another order, so
 * that of two tokens equally sure the one or the other may come first; there the comparison ends. How sure they are is told
 * by entropies where the runs were inspected, else by probabilities.
 */
function expectAlike(a: Transcript, b: Transcript): void {
  let looks: [LookEvent, LookEvent] | null = null;
  for (const [i, event] of a.events.entries()) {
    const other = b.events[i];
    if (event.type === 'look' && other?.type === 'look') {
      looks = [event, other];
      continue;
    }
    if (event.type !== 'commit' || other?.type !== 'commit') {
      expect(other).toEqual(event);
      continue;
    }
    const [ours, theirs] = [event.tokens, other.tokens];
    for (const [j, token] of ours.entries()) {
      const twin = theirs[j];
      if (twin?.position !== token.position || twin.id !== token.id) {
        const [p, q] = [sureness(ours, theirs, looks?.[0]), sureness(theirs, ours, looks?.[1])];
        expect(Math.abs(p - q), `${p} against ${q} is no tie`).toBeLessThan(1e-4);
        return;
      }
      expect(Math.abs(twin.probability - token.probability)).toBeLessThan(1e-4);
    }
  }
  expect(b.events).toHaveLength(a.events.length);
}

/** Probability of the first token that one list has and the other lacks, or entropy of its place if that is known. */
function sureness(list: CommittedToken[], other: CommittedToken[], look?: LookEvent): number {
  const own = list.find(
    (token) => !other.some(({ position, id }) => position === token.position && id === token.id),
  );
  const seen = look?.candidates.find(({ position }) => position === own?.position);
  return (look ? seen?.entropy : own?.probability) ?? NaN;
}

/** Options without their policy. */
const withoutPolicy = ({ temperature, topK, topP, seed, blockLength }: DecodeOptions): DecodeOptions => ({
  temperature,
  topK,
  topP,
  seed,
  blockLength,
});
/** Mode ar, with what it reads. */
const oneByOne = (options: DecodeOptions): DecodeOptions => ({
  ...withoutPolicy(options),
  mode: 'ar',
  blockLength: undefined,
});

/** The events of one type. */
const only = <T extends DecodeEvent['type']>(events: DecodeEvent[], type: T) =>
  events.filter((event): event is Extract<DecodeEvent, { type: T }> => event.type === type);

describe.each(MODELS)('$name', ({ name, open, runs }) => {
  let denoiser: Denoiser;
  beforeAll(async () => {
    denoiser = await open();
  });
  afterAll(() => denoiser.close());

  /** A canvas with 1 to 20 masks; for full attention also with given tokens among them. */
  const canvases = (): fc.Arbitrary<Canvas> => {
    const { vocabSize, layout, tokens } = denoiser.config;
    const token = fc.integer({ min: 0, max: vocabSize - 1 }).filter((id) => id !== tokens.mask);
    const prompts = fc.array(token, { minLength: layout === 'causal' ? 1 : 0, maxLength: 11 });
    const append = fc
      .tuple(prompts, fc.integer({ min: 1, max: 20 }))
      .map(([prompt, n]) => appendCanvas(prompt, n));
    if (layout !== 'full') return append;
    const fixed = fc
      .array(fc.oneof(token, fc.constant(MASKED)), { minLength: 1, maxLength: 20 })
      .map(fixedCanvas);
    return fc.oneof(append, fixed);
  };
  const blockLengths = (): fc.Arbitrary<number | undefined> =>
    denoiser.config.layout === 'causal' ? fc.constant(undefined) : fc.constantFrom(1, 3, 4, 8, undefined);
  const policies: fc.Arbitrary<DecodeOptions> = fc.oneof(
    fc.record({
      policy: fc.constant('confidenceThreshold' as const),
      threshold: fc.constantFrom(0, 0.3, 0.6, 1.1),
    }),
    fc.record({
      policy: fc.constant('fixedSteps' as const),
      steps: fc.integer({ min: 1, max: 5 }),
      order: fc.constantFrom('confidence' as const, 'margin' as const, 'entropy' as const),
    }),
    fc.record({ policy: fc.constant('random' as const), steps: fc.integer({ min: 1, max: 5 }) }),
    fc.constantFrom<DecodeOptions>(
      { policy: 'factor', factor: 2 },
      { policy: 'entropyBound', gamma: 0.5 },
      { policy: 'klass', threshold: 0.3, kl: 0.5, history: 1 },
      { policy: 'credit', threshold: 0.4 },
      { policy: 'prophet', inner: 'confidenceThreshold' },
    ),
  );
  /** Policies that take tokens back. */
  const revising: fc.Arbitrary<DecodeOptions> = fc.constantFrom<DecodeOptions>(
    { policy: 'edit', threshold: 0.3, editThreshold: 0.3, rounds: 3 },
    { policy: 'remdm', steps: 5, eta: 0.5 },
    { policy: 'remdm', steps: 7, remask: 'confidence' },
  );
  const samplings: fc.Arbitrary<DecodeOptions> = fc.constantFrom(
    {},
    { bigrams: 0.7 },
    { temperature: 0.8 },
    { temperature: 1.2, topK: 5 },
    { temperature: 0.7, topP: 0.9 },
  );
  const options = (chosen = policies): fc.Arbitrary<DecodeOptions> =>
    fc
      .tuple(chosen, samplings, blockLengths(), fc.nat(99))
      .map(([policy, sampling, blockLength, seed]) => ({ ...policy, ...sampling, blockLength, seed }));

  const holds = (
    law: (canvas: Canvas, options: DecodeOptions) => Promise<void>,
    chosen?: fc.Arbitrary<DecodeOptions>,
  ): Promise<void> => fc.assert(fc.asyncProperty(canvases(), options(chosen), law), { numRuns: runs });

  it('gives the same transcript for the same seed', () =>
    holds(async (canvas, options) => {
      expect(await run(denoiser, canvas, options)).toEqual(await run(denoiser, canvas, options));
    }));

  it('decides the same beside others in a batch, also when one of them is given up', () =>
    holds(async (canvas, options) => {
      const batch = createBatch(denoiser);
      const asked: DecodeOptions[] = [
        options,
        { seed: options.seed! + 1, temperature: 1 },
        { threshold: 0.3 },
      ];
      const together = await Promise.all(
        asked.map(async (each, i) => {
          const member = batch.join();
          const leaver = new AbortController();
          const events: DecodeEvent[] = [];
          for await (const event of decode(member, canvas, {
            now: () => 0,
            ...each,
            signal: leaver.signal,
          })) {
            events.push(event);
            if (i === 2 && event.type === 'step') leaver.abort();
          }
          batch.leave(member);
          return { events, done: events.at(-1) as DoneEvent };
        }),
      );
      for (const i of [0, 1]) expectAlike(await run(denoiser, canvas, asked[i]), together[i]);
    }));

  it('decides the same with a cache as without', () =>
    holds(async (canvas, options) => {
      // With full attention there is nothing to cache.
      const cache = denoiser.config.layout === 'full' ? undefined : 'block';
      const cached = await run(denoiser, canvas, { ...options, cache });
      const recomputed = await run(denoiser, canvas, { ...options, cache: 'none' });
      expectAlike(cached, recomputed);
    }));

  it('commits one token a step above threshold 1', () =>
    holds(async (canvas, options) => {
      const single = { ...withoutPolicy(options), threshold: 1.01 };
      const { events } = await run(denoiser, canvas, single);
      expect(only(events, 'commit').filter(({ tokens }) => tokens.length !== 1)).toEqual([]);
    }));

  it('uses exactly n forwards a block with fixedSteps(n) and random(n)', () =>
    holds(async (canvas, options) => {
      const steps = options.steps ?? 2;
      const policy = options.policy === 'random' ? 'random' : 'fixedSteps';
      const { events, done } = await run(denoiser, canvas, { ...withoutPolicy(options), policy, steps });
      const forwards = new Map<number, { count: number; masks: number }>();
      for (const { block } of only(events, 'step')) {
        const masks = canvas.ids.subarray(block.start, block.end).filter((id) => id === MASKED).length;
        const entry = forwards.get(block.start) ?? { count: 0, masks };
        forwards.set(block.start, { ...entry, count: entry.count + 1 });
      }
      const counted = [...forwards.values()];
      // The end of text cuts the last block short.
      const whole = done.reason === 'eos' ? counted.slice(0, -1) : counted;
      for (const { count, masks } of whole) expect(count).toBe(Math.min(steps, masks));
    }));

  it.each([
    ['policies that commit', undefined],
    ['policies that revise', revising],
  ])('never takes settled text back, and settles all of the answer (%s)', (_, chosen) =>
    holds(async (canvas, options) => {
      const activeBlocks = 1 + (options.seed! % 3);
      const many = { ...options, activeBlocks, ...(activeBlocks > 1 && { activateAt: 0.3 }) };
      const { events, done } = await run(denoiser, canvas, many);
      const ids = canvas.ids.slice();
      let settledEnd = canvas.answerStart;
      for (const event of events) {
        if (event.type === 'block') {
          assert(event.start === settledEnd, 'blocks follow each other');
          settledEnd += event.ids.length;
          assert(event.settledEnd === settledEnd, 'a block says how far the text is settled');
          expect(event.ids).toEqual([...ids.subarray(event.start, settledEnd)]);
        } else if (event.type === 'remask') {
          for (const position of event.positions) {
            assert(
              position >= settledEnd && ids[position] !== MASKED,
              'only committed tokens are taken back',
            );
            assert(canvas.ids[position] === MASKED, 'given tokens stay');
            ids[position] = MASKED;
          }
        } else if (event.type === 'commit') {
          for (const { position, id, probability } of event.tokens) {
            assert(
              position >= settledEnd && canvas.ids[position] === MASKED,
              'settled and given tokens stay',
            );
            assert(chosen !== undefined || ids[position] === MASKED, 'a commit fills a mask');
            assert(id !== denoiser.config.tokens.mask, 'the mask token is never committed');
            assert(probability > 0 && probability < 1.0001, 'a probability');
            ids[position] = id;
          }
        }
      }
      expect(only(events, 'block').flatMap((block) => block.ids)).toEqual(done.ids);
      expect(done.ids).toEqual([...ids.subarray(canvas.answerStart, settledEnd)]);
      expect(done.ids).not.toContain(MASKED);
      expect(settledEnd === ids.length).toBe(done.reason === 'length');
    }, chosen),
  );

  it('drafts and verifies to exactly what one token at a time gives', async () => {
    if (denoiser.config.layout !== 'causalContext') return;
    await holds(async (canvas, options) => {
      fc.pre(canvas.answerStart > 0 && !['fixedSteps', 'random'].includes(options.policy as string));
      const { events, done } = await run(denoiser, canvas, { ...options, mode: 'verify' });
      const single = await run(denoiser, canvas, oneByOne(options));
      expect(done.ids).toEqual(single.done.ids);
      expect(done.reason).toBe(single.done.reason);
      expect(done.nfe).toBeLessThanOrEqual(single.done.nfe);
      expect(only(events, 'block').flatMap(({ ids }) => ids)).toEqual(done.ids);
    });
  });

  it('drafts anew behind each draft that it checks: the same text, cached or not', async () => {
    if (denoiser.config.layout !== 'causalContext') return;
    await holds(async (canvas, options) => {
      fc.pre(canvas.answerStart > 0 && !['fixedSteps', 'random'].includes(options.policy as string));
      const verify = { ...options, mode: 'verify' } as const;
      const once = await run(denoiser, canvas, verify);
      for (const redrafts of [1, 2, 64]) {
        const again = await run(denoiser, canvas, { ...verify, redrafts });
        expect(again.done.ids).toEqual(once.done.ids);
        expect(again.done.reason).toBe(once.done.reason);
        const slow = await run(denoiser, canvas, { ...verify, redrafts, cache: 'none' });
        expect(slow.done.ids).toEqual(once.done.ids);
      }
    });
  });

  it('verifies what bigrams guess to exactly what one token at a time gives, also where nothing else drafts', async () => {
    if (!['causal', 'causalContext'].includes(denoiser.config.layout)) return;
    await holds(async (canvas, options) => {
      fc.pre(canvas.answerStart > 0 && !['fixedSteps', 'random'].includes(options.policy as string));
      const single = await run(denoiser, canvas, oneByOne(options));
      for (const blockLength of [1, options.blockLength ?? 1]) {
        const { done } = await run(denoiser, canvas, { ...options, mode: 'verify', blockLength, guesses: 3 });
        expect(done.ids).toEqual(single.done.ids);
        expect(done.reason).toBe(single.done.reason);
        expect(done.nfe).toBeLessThanOrEqual(single.done.nfe);
      }
    });
  });

  it('tolerates drafts that the model gives nearly as much as its best token, and none beyond', async () => {
    if (!['causal', 'causalContext'].includes(denoiser.config.layout)) return;
    const tolerance = 0.8;
    await holds(async (canvas, { blockLength }) => {
      fc.pre(canvas.answerStart > 0);
      const drafting: DecodeOptions = { mode: 'verify', threshold: 0, blockLength, guesses: 4, tolerance };
      const { done } = await run(denoiser, canvas, drafting);
      const text = [...canvas.ids.subarray(0, canvas.answerStart), ...done.ids];
      for (let at = canvas.answerStart; at < text.length; at++) {
        const next = await run(denoiser, appendCanvas(text.slice(0, at), 1), { mode: 'ar', inspect: 40 });
        const [{ top }] = only(next.events, 'look')[0].candidates;
        const own = top.find(({ id }) => id === text[at])?.probability ?? 0;
        expect(own).toBeGreaterThanOrEqual((1 - tolerance) * top[0].probability - 1e-6);
      }
    });
  });

  it('takes over the part of a draft that agrees', async () => {
    if (name !== 'toy causalContext, endless') return;
    let [accepted, drafted] = [0, 0];
    for (let seed = 0; seed < 20; seed++) {
      const options: DecodeOptions = {
        mode: 'verify',
        policy: 'confidenceThreshold',
        threshold: 0,
        blockLength: 4,
      };
      const { done } = await run(denoiser, appendCanvas([2 + (seed % 8), 3], 16), { ...options, seed });
      accepted += done.accepted;
      drafted += done.drafted;
    }
    // The draws are fixed: hashes agree with themselves now and then, not always.
    expect(accepted).toBeGreaterThan(0);
    expect(accepted).toBeLessThan(drafted);
  });

  it('drafts for another model and gives what that one writes alone', async () => {
    if (name !== 'toy causalContext') return;
    const verifier = createToyDenoiser({ layout: 'causal', seed: 5 });
    // Token 1 is a mask for the drafter alone.
    const alone: DecodeOptions = { logitBias: { 1: -100 } };
    await holds(async (canvas, options) => {
      fc.pre(canvas.answerStart > 0 && !['fixedSteps', 'random'].includes(options.policy as string));
      const given = canvas.ids.includes(1) ? appendCanvas([2], 9) : canvas;
      const { done } = await run(denoiser, given, { ...options, ...alone, verifier });
      const { temperature, topK, topP, seed } = options;
      const single = await run(verifier, given, { temperature, topK, topP, seed, ...alone });
      expect(done.ids).toEqual(single.done.ids);
      expect(done.nfe).toBeLessThanOrEqual(2 * single.done.nfe);
    });
    const refused = run(denoiser, appendCanvas([2], 4), {
      verifier: createToyDenoiser({ layout: 'causal', vocabSize: 9 }),
    });
    await expect(refused).rejects.toThrow('vocabularies of 24 and 9 tokens');
  });

  it('decides the same when an approximate cache is computed anew in every forward', async () => {
    if (denoiser.config.layout !== 'full') return;
    for (const cache of ['prefix', 'dual', 'interstep'] as const) {
      await holds(async (canvas, drawn) => {
        const options = 'order' in drawn && drawn.order === 'entropy' ? { ...drawn, inspect: 1 } : drawn;
        const frozen = await run(denoiser, canvas, { ...options, cache, refreshEvery: 1 });
        const whole = await run(denoiser, canvas, { ...options, cache: 'none' });
        expectAlike(frozen, whole);
      });
    }
  });

  it('grows until it sees the end, and fills what it has grown', async () => {
    if (denoiser.config.layout !== 'full') return;
    await holds(async (canvas, options) => {
      fc.pre(canvas.answerStart > 0);
      const grown = await run(denoiser, canvas, { ...options, grow: 3, blockLength: 2 });
      expect(grown.done.ids).not.toContain(MASKED);
      const committed = only(grown.events, 'commit').flatMap(({ tokens }) => tokens);
      const ended = committed.some(({ id }) => denoiser.config.tokens.eos.includes(id));
      expect(grown.done.reason).toBe(ended ? 'eos' : 'length');
      // As many masks as there may ever be, from the start: nothing grows.
      const whole = await run(denoiser, canvas, { ...options, grow: 99 });
      expect(whole).toEqual(await run(denoiser, canvas, options));
    });
  });

  it('runs fewer rows where something is frozen, and still fills the canvas', async () => {
    if (denoiser.config.layout !== 'full') return;
    const canvas = appendCanvas([3, 4, 5, 6], 16);
    const rows: Record<string, number> = {};
    for (const cache of ['none', 'prefix', 'dual', 'interstep'] as const) {
      const options = { cache, blockLength: 8, policy: 'fixedSteps', steps: 8 } as const;
      const { events, done } = await run(denoiser, canvas, options);
      expect(done.reason === 'eos' || done.ids.length === 16).toBe(true);
      if (done.reason === 'eos') return;
      rows[cache] = only(events, 'step').reduce((sum, { positions }) => sum + positions, 0);
    }
    // Two refreshes of 20 rows; between them the rest of the canvas, or the block.
    const exact = { none: 16 * 20, prefix: 40 + 7 * 16 + 7 * 8, dual: 40 + 14 * 8 };
    // With shifted logits the row before the block runs along while the block's first position is masked.
    const most = denoiser.config.logitShift === 'sequence' ? 14 : 0;
    for (const [cache, count] of Object.entries(exact)) {
      expect(rows[cache]).toBeGreaterThanOrEqual(count);
      expect(rows[cache]).toBeLessThanOrEqual(count + (cache === 'none' ? 0 : most));
    }
    expect(rows.interstep).toBeLessThan(rows.none);
  });

  it('gives the same transcript when the prompt is known from an earlier request', async () => {
    if (denoiser.config.layout === 'full') return;
    const prefixCache = createPrefixCache({ maxBytes: 1e9 });
    let found = 0;
    const start = Array.from({ length: 20 }, (_, i) => 2 + (i % 9));
    // An earlier request, so that already the first run has something to find.
    await run(denoiser, appendCanvas([...start, 2], 9), { prefixCache });
    await holds(async (canvas, options) => {
      fc.pre(canvas.answerStart > 0);
      const long = appendCanvas([...start, ...canvas.ids.filter((id) => id !== MASKED)], 9);
      const known = await run(denoiser, long, { ...options, prefixCache });
      const fresh = await run(denoiser, long, options);
      found += known.done.cachedTokens;
      expect(known.done.ids).toEqual(fresh.done.ids);
      expect(known.done.nfe).toBe(fresh.done.nfe);
    });
    expect(found).toBeGreaterThan(10 * (runs - 1));
  });

  it('counts its forwards', () =>
    holds(async (canvas, options) => {
      const { events, done } = await run(denoiser, canvas, options);
      const steps = only(events, 'step');
      expect(steps.map(({ nfe }) => nfe)).toEqual(steps.map((_, i) => i + 1));
      expect(done.nfe).toBe(steps.length);
      for (const kind of ['prefill', 'denoise'] as const) {
        expect(done.forwards[kind]).toBe(steps.filter((step) => step.kind === kind).length);
      }
      expect(done.tpf * done.nfe).toBeCloseTo(done.usefulTokens);
    }));

  it('stays usable after an abort, and after a reader who leaves', () =>
    holds(async (canvas, options) => {
      const whole = await run(denoiser, canvas, options);
      fc.pre(whole.done.nfe > 2);
      const controller = new AbortController();
      const events: DecodeEvent[] = [];
      for await (const event of decode(denoiser, canvas, { ...options, signal: controller.signal })) {
        events.push(event);
        if (event.type === 'step' && event.nfe === 2) controller.abort();
      }
      const done = events.at(-1);
      expect(done).toMatchObject({ type: 'done', reason: 'aborted', nfe: 2 });
      expect(done).toMatchObject({ ids: only(events, 'block').flatMap(({ ids }) => ids) });
      for await (const event of decode(denoiser, canvas, options)) if (event.type === 'step') break;
      expect(await run(denoiser, canvas, options)).toEqual(whole);
    }));

  it('with blocks of one position decodes as an autoregressive model does', async () => {
    const { layout } = denoiser.config;
    if (layout !== 'causalContext' && layout !== 'causal') return;
    const twin: Denoiser = {
      ...denoiser,
      config: { ...denoiser.config, layout: 'causal', blockLength: 1 },
    };
    await holds(async (canvas, options) => {
      fc.pre(canvas.answerStart > 0);
      const single = await run(denoiser, canvas, { ...options, blockLength: 1 });
      expect(single).toEqual(await run(twin, canvas, { ...options, blockLength: 1 }));
      expect(single.done.nfe).toBe(single.done.usefulTokens + Number(single.done.reason === 'eos'));
      expect(await run(denoiser, canvas, oneByOne(options))).toEqual(single);
    });
  });
});

describe('counts of forwards', () => {
  it('are n for fixedSteps(n) on a whole canvas', async () => {
    const denoiser = createToyDenoiser({ layout: 'full', endless: true });
    const canvas = fixedCanvas([2, MASKED, 5, MASKED, MASKED, MASKED, MASKED, MASKED, MASKED, 9]);
    for (const steps of [1, 2, 3, 5, 7]) {
      const { done } = await run(denoiser, canvas, { policy: 'fixedSteps', steps });
      expect(done.forwards).toEqual({ prefill: 1, denoise: steps - 1 });
      expect(done.ids).toHaveLength(10);
      expect(done).toMatchObject({ usefulTokens: 7, tpf: 7 / steps });
    }
  });

  it.each([
    // Four blocks of three: the window begins with the last settled token.
    ['causalContext', { prefill: 1, denoise: 7 }],
    // Three blocks of four, each taken in by the forward that begins the next.
    ['blockCausal', { prefill: 1, denoise: 5 }],
    ['full', { prefill: 1, denoise: 5 }],
    ['causal', { prefill: 1, denoise: 11 }],
  ] as const)('are known beforehand for fixedSteps(2) (%s)', async (layout, forwards) => {
    const denoiser = createToyDenoiser({ layout, endless: true });
    const blockLength = layout === 'causal' ? 1 : 4;
    const { done } = await run(denoiser, appendCanvas([3, 4, 5, 6], 12), {
      policy: 'fixedSteps',
      steps: 2,
      blockLength,
    });
    expect(done.forwards).toEqual(forwards);
  });
});

describe('the end of text', () => {
  /** Every token ends the text. */
  const final = (layout: Layout): Denoiser => {
    const denoiser = createToyDenoiser({ layout });
    const eos = Array.from({ length: denoiser.config.vocabSize }, (_, id) => id);
    return { ...denoiser, config: { ...denoiser.config, tokens: { ...denoiser.config.tokens, eos } } };
  };

  it.each(LAYOUTS)('stops later blocks from being computed (%s)', async (layout) => {
    const options = { blockLength: layout === 'causal' ? 1 : 4, threshold: 0 };
    const { events, done } = await run(final(layout), appendCanvas([3, 4], 40), options);
    expect(done).toMatchObject({ reason: 'eos', ids: [], usefulTokens: 0, tpf: 0 });
    expect(done.nfe).toBe(1);
    expect(events.filter(({ type }) => type === 'block')).toEqual([]);
  });

  it('ends a block early, and what stands behind it is not useful', async () => {
    let early = 0;
    for (let seed = 1; seed <= 60; seed++) {
      const denoiser = createToyDenoiser({ layout: 'full', seed });
      const { events, done } = await run(denoiser, appendCanvas([3, 4], 12), { threshold: 0.5 });
      const last = events.findLast((event) => event.type === 'step')!;
      expect(last).toMatchObject({ masksLeft: 0 });
      const committed = events.flatMap((event) => (event.type === 'commit' ? event.tokens : []));
      const at = (position: number) => committed.find((token) => token.position === position)?.id;
      expect(at(2 + done.ids.length) === TOY_EOS).toBe(done.reason === 'eos');
      if (committed.length < 12) early++;
      expect(done.ids).toEqual(done.ids.map((_, i) => at(2 + i)));
      expect(done.ids).not.toContain(TOY_EOS);
    }
    expect(early).toBeGreaterThan(10);
  });

  it('is an ordinary token before given text', async () => {
    const { done } = await run(final('full'), fixedCanvas([3, MASKED, MASKED, 5]), { threshold: 0 });
    expect(done.reason).toBe('length');
    expect(done.ids).toHaveLength(4);
  });
});

describe('canvases that a model cannot fill', () => {
  it.each([
    ['causalContext', fixedCanvas([2, MASKED, 3]), 'unsupported'],
    ['full', fixedCanvas([2, MASKED, 99]), 'bad_request'],
    ['causal', appendCanvas([], 3), 'bad_request'],
    ['full', appendCanvas([2], 300), 'prompt_too_long'],
  ] as const)('are refused before the first forward (%s)', async (layout, canvas, code) => {
    await expect(run(createToyDenoiser({ layout }), canvas, {})).rejects.toMatchObject({ code });
  });
});

describe('options that others make sense of', () => {
  it.each([
    ['full', { mode: 'ar', blockLength: 1, activeBlocks: 1, policy: 'confidenceThreshold' }],
    ['full', { policy: 'prophet', steps: 2, order: 'margin' }],
    ['full', { policy: 'prophet', inner: 'factor', factor: 2 }],
    ['full', { cache: 'dual', refreshEvery: 4, activeBlocks: 2, activateAt: 0.3 }],
    // The same options for a model and its twin.
    ['causal', { threshold: 0.5 }],
    ['full', { topP: 0.9, temperature: 0 }],
  ] as const)('are taken (%s %o)', async (layout, options) => {
    const { done } = await run(createToyDenoiser({ layout }), appendCanvas([2], 4), options);
    expect(done.nfe).toBeGreaterThan(0);
  });
});

it('steps without a policy are fixed steps', async () => {
  const denoiser = createToyDenoiser({ layout: 'full' });
  const { done } = await run(denoiser, appendCanvas([2], 8), { steps: 3 });
  const named = await run(denoiser, appendCanvas([2], 8), { steps: 3, policy: 'fixedSteps' });
  expect(done.ids).toEqual(named.done.ids);
  expect(done.nfe).toBe(3);
});

describe('options that a model cannot follow', () => {
  it.each([
    ['full', { cache: 'block' }, 'cache is not usable'],
    ['causalContext', { cache: 'dual' }, 'block or none'],
    ['full', { mode: 'verify' }, 'diffusion or ar for a model with layout full'],
    ['causalContext', { mode: 'verify', policy: 'random' }, 'neither counts steps nor changes its mind'],
    ['causal', { refreshEvery: 0 }, 'a whole number from 1 to 65536'],
    ['causal', { blockLength: 4 }, 'blockLength is not usable'],
    ['full', { threshold: 3 }, 'a number from 0 to 2'],
    ['full', { steps: 1.5 }, 'a whole number from 1 to 65536'],
    ['full', { topK: 65 }, 'a whole number from 1 to 64'],
    ['full', { policy: 'best' }, 'one of confidenceThreshold, fixedSteps, random'],
    ['full', { tresh: 1 }, 'there is no option "tresh"'],
    ['full', { mode: 'ar', blockLength: 8 }, 'blockLength would not be read'],
    ['causalContext', { mode: 'ar', threshold: 0.5 }, 'ar writes one token at a time'],
    ['causal', { mode: 'ar', policy: 'random' }, 'policy would not be read'],
    ['full', { mode: 'ar', activeBlocks: 2 }, 'activeBlocks would not be read'],
    ['full', { policy: 'klass', steps: 4 }, 'fixedSteps, random, remdm; this one is klass'],
    ['causalContext', { mode: 'verify', steps: 4 }, 'neither counts steps nor changes its mind'],
    ['full', { mode: 'ar', steps: 4 }, 'steps would not be read'],
    ['full', { policy: 'klass', factor: 2 }, 'factor; this one is klass'],
    ['full', { policy: 'prophet', inner: 'factor', gamma: 1 }, 'entropyBound; this one is prophet'],
    ['full', { guidance: 1 }, 'guidance would not be read'],
    ['full', { activateAt: 0.3 }, 'activeBlocks of 2 or more'],
    ['full', { cache: 'none', refreshEvery: 4 }, 'prefix, dual or interstep'],
    ['full', { redrafts: 2 }, 'only verify refuses drafts'],
    ['blockCausal', { guesses: 2 }, 'only verify checks them'],
    ['causalContext', { tolerance: 0.2 }, 'mode verify and temperature 0'],
    ['causalContext', { mode: 'verify', tolerance: 0.2, temperature: 1 }, 'mode verify and temperature 0'],
    ['causalContext', { bigrams: 0.5, temperature: 1 }, 'each drawn for itself'],
    ['causal', { mode: 'ar', bigrams: 0.5 }, 'another mode'],
    ['full', { logitBias: { word: 1 } }, 'logitBias is not usable'],
    ['full', { logitBias: { 24: 1 } }, '0 to 23'],
  ] as const)('are refused with what would be right (%s %o)', async (layout, options, message) => {
    const refused = run(createToyDenoiser({ layout }), appendCanvas([2], 4), options as DecodeOptions);
    await expect(refused).rejects.toMatchObject({ code: 'bad_option' });
    await expect(
      run(createToyDenoiser({ layout }), appendCanvas([2], 4), options as DecodeOptions),
    ).rejects.toThrow(message);
  });
});
