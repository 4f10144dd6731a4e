/** The sampler of a model without masks, beside the transcripts of the official code (`npm run golden`). */
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Denoiser, ForwardRun } from '../../model/denoiser.ts';
import { loadDenoiser } from '../../model/load.ts';
import { createRng } from '../../rng.ts';
import { createTokenizer } from '../../text/json.ts';
import { createBatch } from '../batch.ts';
import { appendCanvas } from '../canvas.ts';
import { completeText } from '../complete.ts';
import { decode } from '../decode.ts';
import { collect } from '../events.ts';
import type { Candidate } from '../policies/policy.ts';
import { chooseSampler, samplersFor } from './choose.ts';
import { planOfficial, type OfficialOptions } from './plan.ts';
import { acceptOrRenoise } from './uniform-samplers.ts';

const fixture = fileURLToPath(new URL('../../../fixtures/checkpoints/diffusion-gemma', import.meta.url));

let denoiser: Denoiser;
beforeAll(async () => void ({ denoiser } = await loadDenoiser(fixture, { threads: 1 })));
afterAll(() => denoiser.close());

const prompt = [2, 40, 41, 42, 43];
async function run(options: OfficialOptions = {}, seed = 1, model = denoiser, temperature = 1) {
  const { canvas, recipe, result } = planOfficial('diffusion-gemma', model.config, prompt, {
    maxTokens: 16,
    steps: 5,
    eos: [],
    ...options,
  });
  const transcript = await collect(decode(model, canvas, { recipe, seed, temperature }));
  return { ...transcript, result: result([...prompt, ...transcript.done.ids], canvas.ids.length) };
}

const candidate = (
  position: number,
  entropy: number,
  current: number | null,
  id = 7,
  best = id,
): Candidate => ({
  position,
  id,
  probability: 0.5,
  runnerUp: 0,
  entropy,
  logSumExp: 0,
  top: [{ id: best, probability: 0.6 }],
  current,
});

describe('acceptOrRenoise', () => {
  const facts = { gamma: 0.1, steps: 4, stableSteps: 1, meanEntropy: 0.005 };
  const choose = (policy = acceptOrRenoise(facts), memory = policy.start!()) => ({
    policy,
    at: (step: number, all: readonly Candidate[]) =>
      policy.choose(
        {
          candidates: all.filter(({ current }) => current === null),
          committed: all.filter(({ current }) => current !== null),
          step,
          masksAtStart: all.length,
          mustCommit: true,
          rng: createRng(0),
        },
        memory,
      ),
  });
  const isDone = (policy: ReturnType<typeof acceptOrRenoise>): boolean =>
    policy.finished!({ step: 1, masksAtStart: 4, masksLeft: 0 });

  it('takes positions while the entropies before them sum to gamma, and masks all others again', () => {
    const { at } = choose();
    // In order .04, .06, .07, .5: before them stand 0, .04, .1 and .17.
    const all = [
      candidate(0, 0.07, null),
      candidate(1, 0.5, 3),
      candidate(2, 0.04, 3),
      candidate(3, 0.06, 7),
    ];
    const { commit, remask } = at(0, all);
    // Position 3 holds its token already.
    expect(commit.map(({ position }) => position)).toEqual([2, 0]);
    expect(remask).toEqual([1]);
  });

  it('always takes one', () => {
    const { commit, remask } = choose().at(0, [candidate(0, 3, null), candidate(1, 2, 5)]);
    expect(commit.map(({ position }) => position)).toEqual([1]);
    expect(remask).toEqual([]);
  });

  it('ends with the best tokens, drawn or not, when they stood still and are sure', () => {
    const { policy, at } = choose();
    const sure = [candidate(0, 0.001, 7, 8, 9), candidate(1, 0.002, null, 7)];
    at(0, sure);
    expect(isDone(policy)).toBe(false);
    const { commit } = at(1, sure);
    expect(isDone(policy)).toBe(true);
    expect(commit.map(({ position, id }) => [position, id])).toEqual([
      [0, 9],
      [1, 7],
    ]);
  });

  it('goes on while they move or are not sure, and forgets the block before', () => {
    const { policy, at } = choose();
    const sure = [candidate(0, 0.001, null)];
    at(0, sure);
    at(1, [candidate(0, 0.006, null)]);
    expect(isDone(policy)).toBe(false);
    at(2, [candidate(0, 0.001, null, 8)]);
    expect(isDone(policy)).toBe(false);
    at(0, [candidate(0, 0.001, null, 8)]);
    expect(isDone(policy)).toBe(false);
    for (const step of [1, 2, 3]) at(step, [candidate(0, 2, null)]);
    expect(isDone(policy)).toBe(true);
  });
});

describe('diffusion-gemma', () => {
  it('is what its models are decoded by, and nobody else is', () => {
    const { config } = denoiser;
    expect(samplersFor(config)).toEqual(['diffusion-gemma']);
    expect(chooseSampler('official', config)).toBe('diffusion-gemma');
    expect(chooseSampler('uniform-entropy', config)).toBe('diffusion-gemma');
    const masked = { ...config, noise: 'mask' as const, tokens: { ...config.tokens, mask: 5 } };
    expect(samplersFor(masked)).toEqual([]);
  });

  it('is a function of its seed, whatever runs beside it', async () => {
    const [one, again, other] = [await run(), await run(), await run({}, 2)];
    expect(again.done.ids).toEqual(one.done.ids);
    expect(other.done.ids).not.toEqual(one.done.ids);
    const batch = createBatch(denoiser);
    const members = [batch.join(), batch.join()];
    const both = await Promise.all(
      members.map(async (member, i) => {
        const transcript = await run({}, 1 + i, member);
        batch.leave(member);
        return transcript;
      }),
    );
    expect(both.map(({ done }) => done.ids)).toEqual([one.done.ids, other.done.ids]);
  });

  it('shows masks as noise, other noise in each forward, and writes keys for finished text alone', async () => {
    const seen: ForwardRun[] = [];
    const forward: Denoiser['forward'] = (runs, want) => {
      seen.push(...runs);
      return denoiser.forward(runs, want);
    };
    const { done } = await run({ maxTokens: 13 }, 3, { ...denoiser, forward });
    expect(done.forwards).toEqual({ prefill: 1, denoise: 10, store: 1 });
    expect(seen.map(({ write }) => write)).toEqual([5, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0]);
    const canvases = seen.filter(({ attention }) => attention.kind === 'anchored');
    expect(canvases.every(({ ids }) => ids.every((id) => id >= 0 && id < 96))).toBe(true);
    expect(canvases.map(({ expected }) => expected !== undefined)).toEqual([
      false,
      true,
      true,
      true,
      true,
      false,
      true,
      true,
      true,
      true,
    ]);
    expect(new Set(canvases.map(({ ids }) => String(ids))).size).toBe(canvases.length);
    // Whole canvases are denoised; what was not asked for is no part of the answer.
    expect(done.ids).toHaveLength(13);
  });

  it('begins with the first token where there is no prompt', () => {
    const { canvas } = planOfficial('diffusion-gemma', denoiser.config, []);
    expect([canvas.answerStart, canvas.ids[0]]).toEqual([1, 2]);
  });

  it('refuses images, foreign samplers, and canvases without its recipe', async () => {
    const { config } = denoiser;
    expect(() => planOfficial('diffusion-gemma', config, [2, 93, 5])).toThrow(/image/);
    expect(() => planOfficial('llada', config, prompt)).toThrow(/not for this model/);
    await expect(collect(decode(denoiser, appendCanvas(prompt, 8)))).rejects.toThrow(/no masks to fill/);
  });
});

it('completes text with the sampler that its model needs', async () => {
  // 90 characters, then tokens of single bytes.
  const vocab = Object.fromEntries(
    Array.from({ length: 96 }, (_, id) => [id < 90 ? String.fromCodePoint(0x100 + id) : `<0x${id}>`, id]),
  );
  const tokenizer = createTokenizer({
    model: { type: 'BPE', vocab, merges: [], byte_fallback: true },
    decoder: { type: 'Sequence', decoders: [{ type: 'ByteFallback' }, { type: 'Fuse' }] },
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
    added_tokens: [],
  });
  const options = { maxTokens: 8, temperature: 1, seed: 4, steps: 3 };
  const completion = await completeText({ denoiser, tokenizer }, { prefix: 'ĄąĆ', suffix: null }, options);
  const official = await completeText(
    { denoiser, tokenizer },
    { prefix: 'ĄąĆ', suffix: null },
    { ...options, sampler: 'official' },
  );
  expect(completion.done.ids).toEqual(official.done.ids);
  expect(completion.done.nfe).toBe(4);
  // A byte by itself is half a character and not a replacement sign.
  expect(tokenizer.bytes(91)).toEqual(Uint8Array.of(0x91));
});
