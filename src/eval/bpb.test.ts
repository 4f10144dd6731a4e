import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { nodeRuntime } from '../graph/node.ts';
import type { Layout, ModelConfig } from '../model/config.ts';
import { createLikelihood, type Likelihood } from '../model/likelihood.ts';
import { positionsFrom } from '../model/denoiser.ts';
import { createDenoiser } from '../model/native.ts';
import { createParameters, initialise, toTensors } from '../model/parameters.ts';
import { createRng } from '../rng.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import { bitsPerByte, planWindow } from './bpb.ts';
import { mean } from './metrics.ts';

const MASK = 19;
const TINY: ModelConfig = {
  modelType: 'tintype',
  layout: 'causal',
  width: 16,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  headDim: 8,
  ffnWidth: 24,
  vocabSize: 20,
  tiedHead: true,
  normEps: 1e-6,
  ropeTheta: 10000,
  contextLength: 64,
  blockLength: 4,
  tokens: { mask: MASK, eos: [0], pad: 1, bos: null },
};

/** A token is a letter; token k has 1 + k mod 3 bytes. */
const LETTERS: Tokenizer = {
  vocabSize: TINY.vocabSize,
  encode: (text) => Array.from(text, (letter) => letter.charCodeAt(0) - 97),
  decode: (ids) => String.fromCharCode(...Array.from(ids, (id) => id + 97)),
  bytes: (id) => new Uint8Array(1 + (id % 3)),
  special: () => null,
  show: String,
};

const parameters = createParameters(TINY);
initialise(parameters, TINY, createRng(3));
// Large weights, so that different contexts give clearly different predictions.
for (const { shape, data } of parameters.list)
  if (shape.length === 2) data.forEach((x, i) => (data[i] = 4 * x));
const tensors = toTensors(parameters);

const open: Likelihood[] = [];
afterAll(() => Promise.all(open.map((likelihood) => likelihood.close())));

async function likelihoodOf(layout: Layout, rows: number, length: number): Promise<Likelihood> {
  const likelihood = await createLikelihood(await nodeRuntime(), { ...TINY, layout }, tensors, {
    rows,
    length,
    threads: 1,
  });
  open.push(likelihood);
  return likelihood;
}

function randomText(length: number, seed: number): string {
  const rng = createRng(seed);
  return LETTERS.decode(Array.from({ length }, () => rng.int(MASK)));
}

const bytesOf = (ids: readonly number[]): number =>
  ids.reduce((sum, id) => sum + LETTERS.bytes(id).length, 0);

describe('the plan of a window', () => {
  const layouts = fc.constantFrom<Layout>('causal', 'blockCausal', 'causalContext', 'full');
  it('scores every token but the first exactly once, and no span crosses a block', () => {
    fc.assert(
      fc.property(
        layouts,
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 9 }),
        (layout, length, block) => {
          const { free, spans, blocks } = planWindow(layout, length, block);
          const inSpans = spans.flatMap(({ start, end }) =>
            Array.from({ length: end - start }, (_, i) => start + i),
          );
          const scored = [...free, ...inSpans].toSorted((a, b) => a - b);
          expect(scored).toEqual(Array.from({ length: length - 1 }, (_, i) => i + 1));
          for (const { start, end } of spans) expect(blocks?.[start]).toBe(blocks?.[end - 1]);
        },
      ),
    );
  });

  it('lays blocks as the file head says', () => {
    expect(planWindow('causalContext', 7, 3)).toEqual({
      blocks: Int32Array.of(0, 1, 1, 1, 2, 2, 2),
      free: [1, 4],
      spans: [
        { start: 2, end: 4 },
        { start: 5, end: 7 },
      ],
    });
    expect(planWindow('blockCausal', 7, 3)).toEqual({
      blocks: Int32Array.of(1, 1, 1, 2, 2, 2, 3),
      free: [],
      spans: [
        { start: 1, end: 3 },
        { start: 3, end: 6 },
        { start: 6, end: 7 },
      ],
    });
  });
});

describe('a causal model', () => {
  it('gets what its denoiser says of each next token', async () => {
    const documents = [randomText(19, 1), randomText(8, 2), randomText(1, 3), randomText(3, 4)];
    const windowLength = 8;
    const denoiser = createDenoiser(await nodeRuntime(), TINY, tensors, { threads: 1 });
    let [bits, bytes, tokens] = [0, 0, 0];
    for (const document of documents) {
      for (let from = 0; from < document.length; from += windowLength) {
        const ids = LETTERS.encode(document.slice(from, from + windowLength));
        const query = Int32Array.from(ids.keys());
        const run = {
          ids: Int32Array.from(ids),
          positions: positionsFrom(0, ids.length),
          attention: { kind: 'causal' },
          cache: null,
          write: 0,
          query,
        } as const;
        const V = TINY.vocabSize;
        const [out] = await denoiser.forward([run], { topK: V, entropy: false });
        for (let p = 1; p < ids.length; p++) {
          const rank = out.ids.subarray((p - 1) * V, p * V).indexOf(ids[p]);
          bits += (out.logSumExp[p - 1] - out.logits[(p - 1) * V + rank]) / Math.LN2;
        }
        bytes += bytesOf(ids.slice(1));
        tokens += ids.length - 1;
      }
    }
    await denoiser.close();

    const seen: number[] = [];
    const result = await bitsPerByte(await likelihoodOf('causal', 3, windowLength), LETTERS, documents, {
      onProgress: (done) => seen.push(done),
    });
    expect(result).toEqual({
      bitsPerByte: expect.closeTo(bits / bytes, 5),
      standardError: expect.any(Number),
      bytes,
      tokens,
      documents: 3,
      samples: 0,
      blockLength: 1,
      windowLength,
    });
    expect(seen.at(-1)).toBe(bytes);
  });
});

describe('a causal context', () => {
  it('with blocks of one token is the autoregressive model', async () => {
    const documents = [randomText(30, 5), randomText(11, 6)];
    const causal = await bitsPerByte(await likelihoodOf('causal', 2, 12), LETTERS, documents);
    const context = await bitsPerByte(await likelihoodOf('causalContext', 2, 12), LETTERS, documents, {
      blockLength: 1,
    });
    expect(context.bitsPerByte).toBeCloseTo(causal.bitsPerByte, 5);
    expect(context).toMatchObject({ bytes: causal.bytes, tokens: causal.tokens, samples: 0 });
  });

  it('with blocks of two tokens needs no draws', async () => {
    const likelihood = await likelihoodOf('causalContext', 2, 12);
    const [one, other] = await Promise.all(
      [1, 2].map((seed) => bitsPerByte(likelihood, LETTERS, [randomText(30, 7)], { blockLength: 2, seed })),
    );
    expect(one).toEqual(other);
    expect(one.samples).toBe(0);
  });
});

/** The bound of the tokens in a span, over every set of masks, plus the tokens scored by the clean copy. In bits. */
async function enumerated(likelihood: Likelihood, ids: Int32Array, blockLength: number): Promise<number> {
  const { free, spans, blocks } = planWindow(likelihood.config.layout, ids.length, blockLength);
  const score = async (
    noisy: Int32Array,
    scored: Parameters<Likelihood['negativeLogLikelihoods']>[0]['scored'],
  ) => {
    const segments = new Int32Array(ids.length);
    const nats = await likelihood.negativeLogLikelihoods({ ids, segments, noisy, blocks, scored });
    return nats.reduce((sum, x) => sum + x, 0);
  };
  let nats = await score(
    ids,
    free.map((p) => ({ stream: 'clean', position: p - 1, target: ids[p] })),
  );
  for (const { start, end } of spans) {
    const L = end - start;
    for (let set = 1; set < 1 << L; set++) {
      const masked = Array.from({ length: L }, (_, i) => i).filter((i) => set & (1 << i));
      const noisy = ids.slice();
      for (const i of masked) noisy[start + i] = MASK;
      const loss = await score(
        noisy,
        masked.map((i) => ({ stream: 'noisy', position: start + i, target: ids[start + i] })),
      );
      let subsets = 1;
      for (let i = 0; i < masked.length; i++) subsets = (subsets * (L - i)) / (i + 1);
      nats += ((1 / L) * (1 / subsets) * loss * L) / masked.length;
    }
  }
  return nats / Math.LN2;
}

describe.each<Layout>(['causalContext', 'blockCausal', 'full'])('the bound of %s', (layout) => {
  it('is unbiased against all sets of masks', async () => {
    const text = randomText(6, 8);
    const ids = LETTERS.encode(text);
    const exact = await enumerated(await likelihoodOf(layout, 1, 6), Int32Array.from(ids), 4);
    const likelihood = await likelihoodOf(layout, 8, 6);
    const blockLength = layout === 'full' ? undefined : 4;
    const draws: number[] = [];
    for (let seed = 0; seed < 400; seed++) {
      const result = await bitsPerByte(likelihood, LETTERS, [text], { blockLength, samples: 2, seed });
      draws.push(result.bitsPerByte);
    }
    const { value, standardError } = mean(draws);
    expect(standardError).toBeGreaterThan(0);
    expect(Math.abs(value - exact / bytesOf(ids.slice(1)))).toBeLessThan(4 * standardError!);
    expect(standardError! / value).toBeLessThan(0.01);
  });

  it('does not depend on how many rows run together, and only on the seed', async () => {
    const documents = [randomText(23, 9), randomText(9, 10), randomText(2, 11)];
    const options = { samples: 3, seed: 4 };
    const one = await bitsPerByte(await likelihoodOf(layout, 1, 10), LETTERS, documents, options);
    const five = await likelihoodOf(layout, 5, 10);
    expect((await bitsPerByte(five, LETTERS, documents, options)).bitsPerByte).toBeCloseTo(
      one.bitsPerByte,
      5,
    );
    const other = await bitsPerByte(five, LETTERS, documents, { ...options, seed: 5 });
    expect(other.bitsPerByte).not.toBe(one.bitsPerByte);
    expect(other).toMatchObject({ bytes: one.bytes, tokens: one.tokens, documents: 3, samples: 3 });
  });
});

describe('what cannot be scored', () => {
  it('documents without a second token', async () => {
    await expect(bitsPerByte(await likelihoodOf('causal', 1, 8), LETTERS, ['a', ''])).rejects.toMatchObject({
      code: 'bad_data',
    });
  });

  it('a block length that the layout does not have', async () => {
    const wrong = bitsPerByte(await likelihoodOf('causal', 1, 8), LETTERS, ['abc'], { blockLength: 4 });
    await expect(wrong).rejects.toMatchObject({ code: 'bad_option' });
  });

  it('stops when asked to', async () => {
    const signal = AbortSignal.abort();
    const stopped = bitsPerByte(await likelihoodOf('causal', 1, 8), LETTERS, ['abc'], { signal });
    await expect(stopped).rejects.toThrow(/abort/);
  });
});
