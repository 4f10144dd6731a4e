/**
 * Where published samplers differ by a comparison sign, a remainder or a token (CHECKPOINTS.md, section 3): what the fixtures
 * cannot show, on models that say what they are told to say.
 */
import { describe, expect, it } from 'vitest';
import { SCRIPT_EOS, SCRIPT_MASK, scriptedDenoiser } from '../../../tests/scripted-denoiser.ts';
import type { Said } from '../../../tests/scripted-denoiser.ts';
import type { Denoiser } from '../../model/denoiser.ts';
import { MASKED } from '../canvas.ts';
import { decode } from '../decode.ts';
import { collect } from '../events.ts';
import type { DecodeEvent } from '../events.ts';
import { planOfficial } from './plan.ts';
import { SAMPLER_NAMES, SAMPLERS } from './samplers.ts';
import type { OfficialOptions } from './plan.ts';
import type { SamplerName } from './samplers.ts';

const prompt = (length: number): number[] => Array.from({ length }, (_, i) => 1 + (i % 9));

async function run(
  name: SamplerName,
  denoiser: Denoiser,
  promptLength: number,
  options: OfficialOptions,
): Promise<{
  events: DecodeEvent[];
  done: DecodeEvent & { type: 'done' };
  final: number[];
  commits: number[][];
}> {
  const plan = planOfficial(name, denoiser.config, prompt(promptLength), options);
  const { events, done } = await collect(decode(denoiser, plan.canvas, { recipe: plan.recipe }));
  const ids = Array.from(plan.canvas.ids);
  let end = 0;
  const commits: number[][] = [];
  let denoising = false;
  for (const event of events) {
    if (event.type === 'step') {
      end = Math.max(end, event.block.end);
      denoising = event.kind === 'denoise';
      if (denoising) commits.push([]);
    }
    if (event.type === 'commit') {
      for (const { position, id } of event.tokens) ids[position] = id;
      if (denoising) commits.at(-1)!.push(...event.tokens.map(({ position }) => position));
    }
    if (event.type === 'remask') for (const position of event.positions) ids[position] = MASKED;
  }
  const final = plan.result(
    ids.map((id) => (id === MASKED ? SCRIPT_MASK : id)),
    end,
  );
  return { events, done, final, commits };
}

const layoutOf = (name: SamplerName) => SAMPLERS[name].layout;
const scripted = (name: SamplerName, say: (position: number, ids: Int32Array) => Said): Denoiser =>
  scriptedDenoiser(layoutOf(name), say, {
    reordersKnown: layoutOf(name) === 'causal',
    dit: { conditionWidth: 1, isToldNoise: name === 'sedd' },
    noise: name === 'diffusion-gemma' ? 'uniform' : 'mask',
  });

/** Powers of two, so that a probability is the same number wherever it is computed. */
const sure: Said = { id: 7, probability: 0.5 };
/** Blocks of four and as many tokens, for every sampler. */
const SMALL: OfficialOptions = { maxTokens: 8, blockLength: 4, subBlockLength: 4, steps: 8 };
const smallOf = (name: SamplerName): OfficialOptions => ({
  ...SMALL,
  steps: SAMPLERS[name].stepsOf === 'block' ? 4 : 8,
});

describe('a probability that equals the threshold', () => {
  // What exp(log(.5)) is in float32 and back.
  const threshold = Math.exp(Math.fround(Math.log(0.5)));
  it.each([
    ['fast-dllm-v1', 'passes'],
    ['stable-diffcoder', 'passes'],
    ['fast-dllm-v2', 'does not'],
    ['sdar', 'does not'],
    ['llada2.0', 'does not'],
    ['llada2.1', 'does not'],
  ] as const)('%s: %s', async (name, verdict) => {
    const options = { ...smallOf(name), threshold, cache: 'none' as const, minCommit: 1 };
    const { commits } = await run(
      name,
      scripted(name, () => sure),
      4,
      options,
    );
    expect(commits[0]).toEqual(verdict === 'passes' ? [4, 5, 6, 7] : [4]);
    // A little under it all pass everywhere.
    const under = await run(
      name,
      scripted(name, () => sure),
      4,
      { ...options, threshold: threshold - 1e-6 },
    );
    expect(under.commits[0]).toEqual([4, 5, 6, 7]);
  });

  it('an edit has to be above it', async () => {
    // The second round says something else, as surely.
    const say = (_: number, ids: Int32Array): Said => ({
      id: ids.includes(SCRIPT_MASK) ? 7 : 8,
      probability: 0.5,
    });
    const options = { ...SMALL, maxTokens: 4, threshold: 0.4, editThreshold: threshold };
    const kept = await run('llada2.1', scripted('llada2.1', say), 4, options);
    expect([kept.final, kept.commits.length]).toEqual([[7, 7, 7, 7], 2]);
    const edited = await run('llada2.1', scripted('llada2.1', say), 4, { ...options, editThreshold: 0.49 });
    expect([edited.final, edited.commits]).toEqual([
      [8, 8, 8, 8],
      [[4, 5, 6, 7], [4, 5, 6, 7], []],
    ]);
  });
});

describe('equal scores', () => {
  it.each([
    'llada',
    'dllm-mdlm',
    'dllm-bd3lm',
    'a2d-card-bd3lm',
    'sdar',
    'dream',
    'stable-diffcoder',
  ] as const)('%s takes the first positions', async (name) => {
    const options = { ...smallOf(name), threshold: 2 };
    const { commits, final } = await run(
      name,
      scripted(name, () => sure),
      4,
      options,
    );
    const order = commits.flat();
    expect(order).toEqual(order.toSorted((a, b) => a - b));
    expect(final.slice(-8)).toEqual(Array.from({ length: 8 }, () => 7));
  });
});

/** What each sampler makes of a prompt of P and ten tokens, in blocks of four: length of its result. */
const LENGTHS: Partial<Record<SamplerName, (P: number) => number>> = {
  'dllm-mdlm': (P) => P + 10,
  'dllm-bd3lm': (P) => Math.ceil(P / 4) * 4 + 10,
  'a2d-card-bd3lm': (P) => P + 10,
  sdar: (P) => Math.ceil((P + 10) / 4) * 4,
  'sdar-sequential': (P) => Math.ceil((P + 10) / 4) * 4,
  'fast-dllm-v2': (P) => (Math.floor(P / 4) + 2) * 4 + 1,
  dream: (P) => P + 10,
  'dream-origin': (P) => P + 10,
  'open-dcoder-p2': (P) => P + 10,
  dparallel: (P) => P + 10,
  rnd1: (P) => P + 10,
  'llada2.0': () => 10,
  'llada2.1': () => 10,
  wedlm: (P) => P + 10,
  'wedlm-blocks': (P) => P + 10,
  // An empty prompt becomes the token that begins every text.
  mdlm: (P) => Math.max(P, 1) + 10,
  'mdlm-semi-ar': (P) => Math.max(P, 1) + 10,
  bd3lm: (P) => Math.max(P, 1) + 10,
  sedd: (P) => P + 10,
  'diffusion-gemma': (P) => Math.max(P, 1) + 12,
};

describe.each(SAMPLER_NAMES)('%s', (name) => {
  const lengthOf = LENGTHS[name];
  const options = { ...smallOf(name), steps: undefined, maxTokens: 10 };

  it.each([0, 1, 3, 4, 5, 8])('takes a prompt of %d tokens', async (P) => {
    const eight = { ...options, maxTokens: 8 };
    if (P === 0 && layoutOf(name) === 'causal') {
      const nothing = run(
        name,
        scripted(name, () => sure),
        P,
        options,
      );
      return expect(nothing).rejects.toMatchObject({ code: 'bad_request' });
    }
    const { final, events, done } = await run(
      name,
      scripted(name, () => sure),
      P,
      lengthOf ? options : eight,
    );
    expect(final).toHaveLength(lengthOf?.(P) ?? P + 8);
    expect(final).not.toContain(SCRIPT_MASK);
    const text = events.flatMap((event) => (event.type === 'block' ? event.ids : []));
    expect(done.ids).toEqual(text);
    expect(done.ids.every((id) => id === 7)).toBe(true);
    expect(done.reason).toBe('length');
  });

  it('takes a length that is no multiple of its block, or says what it wants', async () => {
    if (lengthOf) return;
    await expect(
      run(
        name,
        scripted(name, () => sure),
        4,
        options,
      ),
    ).rejects.toMatchObject({ code: 'bad_option' });
  });

  it('says so when it is not for a model', () => {
    const other = scriptedDenoiser(layoutOf(name) === 'full' ? 'blockCausal' : 'full', () => sure);
    expect(() => planOfficial(name, other.config, [1])).toThrow(/is not for this model/);
  });
});

describe('an end of text as the first token', () => {
  const ends: Said = { id: SCRIPT_EOS, probability: 0.99 };
  it.each([
    // It stores the block that ended it, and returns the masks behind that.
    ['sdar', 3, 12],
    ['llada2.0', 1, 1],
    ['fast-dllm-v2', 1, 5],
    ['stable-diffcoder', 2, 8],
    ['dllm-bd3lm', 5, 8],
    ['a2d-card-bd3lm', 2, 8],
  ] as const)('ends %s after %d forwards', async (name, forwards, length) => {
    const options = { ...smallOf(name), threshold: 0.9, maxTokens: 8 };
    const { done, final } = await run(
      name,
      scripted(name, () => ends),
      4,
      options,
    );
    expect(done).toMatchObject({ reason: 'eos', ids: [], usefulTokens: 0, nfe: forwards });
    expect(final).toHaveLength(length);
  });

  it.each(['llada', 'dllm-mdlm', 'fast-dllm-v1', 'dream', 'llada2.1'] as const)(
    'does not end %s, but its text',
    async (name) => {
      const { done, final } = await run(
        name,
        scripted(name, () => ends),
        4,
        { ...smallOf(name), threshold: 2, steps: name === 'llada2.1' ? undefined : 8 },
      );
      expect(done).toMatchObject({ reason: 'eos', ids: [] });
      expect(done.nfe).toBeGreaterThanOrEqual(8);
      expect(final.filter((id) => id === SCRIPT_EOS).length).toBe(name === 'llada2.1' ? 1 : 8);
    },
  );

  it('ends LLaDA2.1 where that is asked for, once the block is full', async () => {
    const { done, final } = await run(
      'llada2.1',
      scripted('llada2.1', () => ends),
      4,
      {
        ...SMALL,
        threshold: 0.9,
        earlyStop: true,
      },
    );
    expect([done.nfe, final]).toEqual([2, [SCRIPT_EOS]]);
  });
});

describe('a predicted mask token', () => {
  /** Position 5 is predicted to be masked, for ever or as long as others are. */
  const stubborn = (position: number): Said => ({ id: position === 5 ? SCRIPT_MASK : 7, probability: 0.9 });
  const waiting = (position: number, ids: Int32Array): Said => {
    if (position !== 5) return { id: 7, probability: 0.9 };
    return ids[8] === SCRIPT_MASK ? { id: SCRIPT_MASK, probability: 0.5 } : { id: 7, probability: 0.95 };
  };

  it('uses up its turn and stays masked (LLaDA)', async () => {
    const { commits, final } = await run('llada', scripted('llada', stubborn), 4, SMALL);
    expect(commits).toHaveLength(8);
    expect(final[5]).toBe(SCRIPT_MASK);
    // What a block leaves behind, the next may fill, at the cost of its own.
    const { final: filled } = await run('llada', scripted('llada', waiting), 4, SMALL);
    expect([filled[5], filled[11]]).toEqual([7, SCRIPT_MASK]);
  });

  it('is text of a mask in the answer, and settled text never changes', async () => {
    const { events, done } = await run('llada', scripted('llada', stubborn), 4, SMALL);
    expect(done.ids).toEqual([7, SCRIPT_MASK, ...done.ids.slice(2)]);
    expect(events.flatMap((event) => (event.type === 'block' ? event.ids : []))).toEqual(done.ids);
  });

  it('ends LLaDA2.0 by its steps, and is an error where a loop would never end', async () => {
    const { final } = await run('llada2.0', scripted('llada2.0', stubborn), 4, {
      ...SMALL,
      steps: 4,
      threshold: 0.8,
    });
    expect(final[1]).toBe(SCRIPT_MASK);
    for (const name of ['sdar', 'fast-dllm-v2', 'llada2.1', 'fast-dllm-v1'] as const) {
      await expect(
        run(name, scripted(name, stubborn), 4, { ...smallOf(name), threshold: 0.8 }),
      ).rejects.toMatchObject({
        code: 'diverged',
      });
    }
  });
});
