/**
 * WeDLM's samplers beside their algorithm in plain steps: the whole text in each forward, known tokens first, no cache.
 * A transcript of the official engine is not at hand; it needs a GPU.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { naiveLogits } from '../../../tests/naive-transformer.ts';
import { tinyConfig } from '../../../tests/tiny.ts';
import { createToyDenoiser, TOY_EOS, TOY_MASK } from '../../../tests/toy-denoiser.ts';
import { nodeRuntime } from '../../graph/node.ts';
import type { ModelConfig } from '../../model/config.ts';
import type { Denoiser } from '../../model/denoiser.ts';
import { createDenoiser } from '../../model/native.ts';
import { createParameters, initialise, toTensors } from '../../model/parameters.ts';
import { createRng } from '../../rng.ts';
import { MASKED } from '../canvas.ts';
import { decode } from '../decode.ts';
import { collect } from '../events.ts';
import { planOfficial } from './plan.ts';
import type { OfficialOptions } from './plan.ts';

interface Seen {
  id: number;
  probability: number;
  entropy: number;
}
/** What the masks among `window` say, in their order, after `before`. */
type Oracle = (before: readonly number[], window: readonly (number | null)[]) => Promise<Seen[]>;

/** The engine's loop over its window. Returns the text and the forwards over a window. */
async function engine(
  ask: Oracle,
  prompt: readonly number[],
  options: { maxTokens: number; windowLength: number; entropyThreshold: number; distancePenalty: number },
): Promise<{ text: number[]; forwards: number }> {
  const { maxTokens, windowLength, entropyThreshold, distancePenalty } = options;
  const text: number[] = [];
  let window: (number | null)[] = Array.from({ length: windowLength }, () => null);
  for (let forwards = 1; ; forwards++) {
    const open = window.indexOf(null);
    const ready = open < 0 ? window.length : open;
    window.push(...Array.from({ length: ready }, () => null));
    const seen = await ask([...prompt, ...text], window);
    for (const id of window.slice(0, ready)) {
      text.push(id!);
      if (id === TOY_EOS || text.length === maxTokens) return { text: [...prompt, ...text], forwards };
    }
    window = window.slice(ready);
    const masks = window.flatMap((id, place) => (id === null ? [place] : []));
    const scores = seen.map(({ entropy }, i) => entropy + distancePenalty * (masks[i] - masks[0]));
    const under = scores.flatMap((score, i) => (score < entropyThreshold ? [i] : []));
    const chosen = under.length > 0 ? under : [scores.indexOf(Math.min(...scores))];
    for (const i of chosen) window[masks[i]] = seen[i].id;
  }
}

/** The function beside the weights: a block after the other. */
async function blocks(
  ask: Oracle,
  prompt: readonly number[],
  { maxTokens, blockLength, threshold }: { maxTokens: number; blockLength: number; threshold: number },
): Promise<{ text: number[]; forwards: number }> {
  let text = [...prompt];
  let forwards = 0;
  for (let left = maxTokens; left > 0; left -= blockLength) {
    const block: (number | null)[] = Array.from({ length: Math.min(left, blockLength) }, () => null);
    while (block.includes(null)) {
      forwards++;
      const seen = await ask(text, block);
      const masks = block.flatMap((id, place) => (id === null ? [place] : []));
      const most = Math.max(...seen.map(({ probability }) => probability));
      const sure = seen.flatMap(({ probability }, i) => (probability >= threshold ? [i] : []));
      const chosen = sure.length > 0 ? sure : [seen.findIndex(({ probability }) => probability === most)];
      for (const i of chosen) block[masks[i]] = seen[i].id;
    }
    text = [...text, ...block.map((id) => id!)];
  }
  return { text, forwards };
}

async function official(
  name: 'wedlm' | 'wedlm-blocks',
  denoiser: Denoiser,
  prompt: readonly number[],
  options: OfficialOptions,
): Promise<{ text: number[]; forwards: number; prefills: number }> {
  const { canvas, recipe, result } = planOfficial(name, denoiser.config, prompt, options);
  const { events, done } = await collect(
    decode(denoiser, canvas, { recipe, logitBias: { [TOY_MASK]: -100 } }),
  );
  const ids = Array.from(canvas.ids);
  for (const event of events)
    if (event.type === 'commit') for (const { position, id } of event.tokens) ids[position] = id;
  const final = ids.map((id) => (id === MASKED ? TOY_MASK : id));
  return {
    text: result(final, final.length),
    forwards: done.forwards.denoise,
    prefills: done.forwards.prefill,
  };
}

const reordering = (config: ModelConfig): ModelConfig => ({
  ...config,
  layout: 'causal',
  reordersKnown: true,
  tokens: { ...config.tokens, mask: TOY_MASK, eos: [TOY_EOS], pad: null },
});

function toy(seed: number): { denoiser: Denoiser; ask: Oracle } {
  const made = createToyDenoiser({ layout: 'causal', seed });
  const denoiser = { ...made, config: reordering(made.config) };
  const ask: Oracle = async (before, window) => {
    const places = window.map((id, place) => ({ id, place: before.length + place }));
    const known = [...before.map((id, place) => ({ id, place })), ...places.filter(({ id }) => id !== null)];
    const masks = places.filter(({ id }) => id === null);
    const rows = [...known, ...masks];
    const [{ ids, logits, logSumExp, entropy }] = await denoiser.forward(
      [
        {
          ids: Int32Array.from(rows, ({ id }) => id ?? TOY_MASK),
          positions: Int32Array.from(rows, ({ place }) => place),
          attention: { kind: 'causal' },
          cache: null,
          write: 0,
          query: Int32Array.from(masks, (_, i) => known.length + i),
        },
      ],
      { topK: 2, entropy: true, logitBias: biasOf(masks.length, denoiser.config.vocabSize) },
    );
    return masks.map((_, i) => ({
      id: ids[2 * i],
      probability: Math.exp(logits[2 * i] - logSumExp[i]),
      entropy: entropy[i],
    }));
  };
  return { denoiser, ask };
}

const biasOf = (rows: number, V: number): Float32Array =>
  Float32Array.from({ length: rows * V }, (_, i) => (i % V === TOY_MASK ? -100 : 0));

const prompts = fc.array(fc.integer({ min: 2, max: 23 }), { minLength: 1, maxLength: 9 });

describe('wedlm', () => {
  it('writes what the engine writes, in as many forwards', async () => {
    await fc.assert(
      fc.asyncProperty(
        prompts,
        fc.nat(99),
        fc.record({
          maxTokens: fc.integer({ min: 1, max: 14 }),
          windowLength: fc.integer({ min: 1, max: 6 }),
          entropyThreshold: fc.constantFrom(0, 0.4, 1.2, 2.5),
          distancePenalty: fc.constantFrom(0, 0.02, 0.5),
        }),
        async (prompt, seed, options) => {
          const { denoiser, ask } = toy(seed);
          const reference = await engine(ask, prompt, options);
          const { text, forwards, prefills } = await official('wedlm', denoiser, prompt, options);
          expect(text).toEqual(reference.text);
          expect([prefills, forwards]).toEqual([1, reference.forwards]);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('writes what plain loops over real weights write', async () => {
    const config = reordering({ ...tinyConfig('causal'), qkvBias: true, qkNorm: false });
    const parameters = createParameters(config);
    initialise(parameters, config, createRng(8));
    for (const { shape, data } of parameters.list)
      data.forEach((x, i) => (data[i] = shape.length === 2 ? 12 * x : x + 0.01 * (i % 5)));
    const tensors = toTensors(parameters);
    const ask: Oracle = async (before, window) => {
      const ids = [...before, ...window];
      const rank = (place: number): number => (ids[place] === null ? ids.length : 0) + place;
      const logits = naiveLogits(
        config,
        tensors,
        ids.map((id) => id ?? TOY_MASK),
        (q, k) => rank(k) <= rank(q),
      );
      return ids.flatMap((id, place) => {
        if (id !== null) return [];
        const row = logits[place].map((logit, token) => (token === TOY_MASK ? -Infinity : logit));
        const most = Math.max(...row);
        const powers = row.map((logit) => Math.exp(logit - most));
        const sum = powers.reduce((a, b) => a + b, 0);
        const p = powers.map((power) => power / sum);
        return [
          {
            id: row.indexOf(most),
            probability: 1 / sum,
            entropy: p.reduce((h, x) => h - (x > 0 ? x * Math.log(x) : 0), 0),
          },
        ];
      });
    };
    const denoiser = createDenoiser(await nodeRuntime(), config, tensors, { threads: 1 });
    const options = { maxTokens: 12, windowLength: 5, entropyThreshold: 3.35, distancePenalty: 0.05 };
    const reference = await engine(ask, [3, 9, 4, 7], options);
    expect(await official('wedlm', denoiser, [3, 9, 4, 7], options)).toEqual({ ...reference, prefills: 1 });
    const written = reference.text.length - 4;
    expect(written).toBeGreaterThan(6);
    expect(reference.forwards).toBeLessThan(written);
    await denoiser.close();
  });

  it('is not for an autoregressive model', () => {
    const { config } = createToyDenoiser({ layout: 'causal' });
    expect(() => planOfficial('wedlm', config, [3], {})).toThrow(/not for this model/);
  });
});

describe('wedlm-blocks', () => {
  it('writes what the function beside the weights writes', async () => {
    await fc.assert(
      fc.asyncProperty(
        prompts,
        fc.nat(99),
        fc.record({
          maxTokens: fc.integer({ min: 1, max: 14 }),
          blockLength: fc.integer({ min: 1, max: 6 }),
          threshold: fc.constantFrom(0.2, 0.5, 0.9, 2),
        }),
        async (prompt, seed, options) => {
          const { denoiser, ask } = toy(seed);
          const reference = await blocks(ask, prompt, options);
          const made = await official('wedlm-blocks', denoiser, prompt, options);
          expect(made).toEqual({ ...reference, prefills: 0 });
        },
      ),
      { numRuns: 40 },
    );
  });
});
