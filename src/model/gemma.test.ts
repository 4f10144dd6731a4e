/** DiffusionGemma's folder and block, beside what the golden files hold it to (fixtures/checkpoints/diffusion-gemma). */
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { embeddingScale } from './config-gemma.ts';
import { type Denoiser, type ForwardRun, positionsFrom } from './denoiser.ts';
import type { Json } from './family.ts';
import { describeCheckpoint, loadCheckpoint, saveCheckpoint } from './hf.ts';
import { loadDenoiser } from './load.ts';
import { quantizeFolder } from './quantized-folder.ts';
import { runMask } from './run-mask.ts';
import { createHeader, parseSafetensors, safetensorsChunks } from './safetensors.ts';
import { HIDDEN } from './visibility.ts';

const fixture = fileURLToPath(new URL('../../fixtures/checkpoints/diffusion-gemma', import.meta.url));

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gemma-'));
  for (const name of ['config.json', 'generation_config.json', 'model.safetensors'])
    await cp(join(fixture, name), join(dir, name));
});
afterEach(() => rm(dir, { recursive: true }));

const readConfig = async (): Promise<Json & { text_config: Json }> =>
  JSON.parse(await readFile(join(dir, 'config.json'), 'utf8')) as Json & { text_config: Json };
/** Changes keys of config.json and of its text_config; undefined removes one. */
async function change(file: Json, text: Json = {}): Promise<void> {
  const raw = await readConfig();
  const changed = { ...raw, text_config: { ...raw.text_config, ...text }, ...file };
  await writeFile(join(dir, 'config.json'), JSON.stringify(changed));
}

describe('config.json', () => {
  test('says the same in the keys of older files', async () => {
    const { config } = await describeCheckpoint(dir);
    await change(
      {},
      {
        per_layer_config: undefined,
        global_head_dim: 32,
        num_global_key_value_heads: 1,
        rope_parameters: null,
      },
    );
    expect((await describeCheckpoint(dir)).config).toEqual(config);
    expect(config).toMatchObject({ layout: 'causalContext', blockLength: 8, noise: 'uniform' });
    expect(config.tokens).toEqual({ mask: null, eos: [1, 94], pad: 0, bos: 2 });
  });

  test('has a full layer at the end whatever it says', async () => {
    const { config } = await describeCheckpoint(dir);
    const types = ['sliding_attention', 'full_attention', 'sliding_attention', 'sliding_attention'];
    await change({}, { layer_types: types });
    expect((await describeCheckpoint(dir)).config).toEqual(config);
  });

  test('scales embeddings as its dtype rounds', () => {
    expect(embeddingScale(2816, 'float32')).toBe(Math.fround(Math.sqrt(2816)));
    expect(embeddingScale(2816, 'bfloat16')).toBe(53);
    expect(embeddingScale(3072, 'bfloat16')).toBe(55.5);
  });

  test.each([
    ['no text_config', { text_config: undefined }, {}, 'text_config'],
    ['weights that are not tied', {}, { tie_word_embeddings: false }, 'tie_word_embeddings'],
    ['an encoder that sees both ways', {}, { use_bidirectional_attention: 'all' }, 'use_bidirectional'],
    ['another rotation', {}, { rope_parameters: { sliding_attention: { rope_type: 'yarn' } } }, 'rope_param'],
    ['layer_types of another length', {}, { layer_types: ['full_attention'] }, 'layer_types'],
    ['heads for layers that are not full', {}, { per_layer_config: { 0: { head_dim: 8 } } }, 'per_layer'],
    [
      'full layers unlike each other',
      {},
      { per_layer_config: { 1: { head_dim: 8 }, 3: { head_dim: 4 } } },
      'per_layer',
    ],
    ['heads that do not divide', {}, { num_attention_heads: 3 }, 'heads'],
    [
      'quantised weights of others',
      { quantization_config: { quant_method: 'modelopt' } },
      {},
      'quantization',
    ],
    ['a canvas of no length', { canvas_length: 0 }, {}, 'canvas_length'],
  ])('is refused with %s', async (_, file, text, named) => {
    await change(file, text);
    await expect(describeCheckpoint(dir)).rejects.toThrow(named);
  });
});

describe('weights', () => {
  /** Writes model.safetensors anew with some tensors changed; null removes one. */
  async function store(
    edit: (name: string, shape: readonly number[]) => readonly number[] | null,
  ): Promise<void> {
    const { tensors } = parseSafetensors(await readFile(join(dir, 'model.safetensors')));
    const kept = [...tensors].flatMap(([name, { dtype, shape, bytes }]) => {
      const changed = edit(name, shape);
      return changed ? [{ name, dtype, shape: changed, bytes }] : [];
    });
    const header = createHeader(kept.map(({ name, dtype, shape }) => ({ name, dtype, shape })));
    const bytes = new Map(kept.map((each) => [each.name, each.bytes]));
    const chunks = safetensorsChunks(header, ({ name }) => bytes.get(name)!);
    await writeFile(join(dir, 'model.safetensors'), Buffer.concat([...chunks]));
  }

  test('load without the vision tower', async () => {
    const { config } = await describeCheckpoint(dir);
    await store((name, shape) => (/vision/.test(name) ? null : shape));
    expect((await describeCheckpoint(dir)).config).toEqual(config);
  });

  test.each([
    ['without the scalar of an encoder layer', /language_model\.layers\.1\.layer_scalar/, null],
    ['with experts of another shape', /layers\.0\.experts\.down_proj/, [4, 24, 32]],
    ['with experts as one matrix', /layers\.0\.experts\.gate_up_proj/, [192, 32]],
  ] as const)('are refused %s', async (_, pattern, shape) => {
    await store((name, own) => (pattern.test(name) ? shape : own));
    await expect(describeCheckpoint(dir)).rejects.toMatchObject({ code: 'bad_checkpoint' });
  });

  test('are saved under the published names and read back', async () => {
    const checkpoint = await loadCheckpoint(dir);
    const to = join(dir, 'saved');
    await saveCheckpoint(to, checkpoint);
    const again = await loadCheckpoint(to);
    expect(again.config).toEqual(checkpoint.config);
    expect(again.tensors).toEqual(checkpoint.tensors);
    const stored = (name: string) => parseSafetensors(name === dir ? original : saved).tensors;
    const [original, saved] = await Promise.all(
      [dir, to].map((each) => readFile(join(each, 'model.safetensors'))),
    );
    const text = [...stored(dir)].filter(([name]) => !/vision/.test(name));
    expect(new Set(stored(to).keys())).toEqual(new Set(text.map(([name]) => name)));
    for (const [name, { shape }] of text) expect(stored(to).get(name)!.shape).toEqual(shape);
  });
});

const tokens = Array.from({ length: 40 }, (_, i) => (17 * i + 5) % 90);

/** A canvas of 8 tokens after `clean` ones, all in one run. */
function together(clean: number, expected?: Float32Array): ForwardRun {
  return {
    ids: Int32Array.from(tokens.slice(0, clean + 8)),
    positions: positionsFrom(0, clean + 8),
    attention: { kind: 'anchored', clean },
    cache: null,
    write: 0,
    query: positionsFrom(clean, 8),
    expected,
  };
}
const ALL = { topK: 96, entropy: false };
const worst = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  expect(a.length).toBe(b.length);
  return Array.from(a).reduce((most, x, i) => Math.max(most, Math.abs(x - b[i])), 0);
};

describe('a canvas', () => {
  test('has the same logits over a cache, written in any pieces, as in one run', async () => {
    const { denoiser } = await loadDenoiser(dir, { threads: 1 });
    for (const [first, second] of [
      [0, 3],
      [5, 0],
      [4, 9],
      [6, 6],
      [13, 10],
    ]) {
      const clean = first + second;
      const cache = denoiser.createCache();
      for (const [from, to] of [
        [0, first],
        [first, clean],
      ]) {
        if (from === to) continue;
        const ids = Int32Array.from(tokens.slice(from, to));
        const run = { ids, positions: positionsFrom(from, to - from), cache, write: to - from };
        await denoiser.forward([{ ...run, attention: { kind: 'causal' }, query: new Int32Array(0) }], ALL);
      }
      const whole = together(clean);
      const [one] = await denoiser.forward([whole], ALL);
      const [cached] = await denoiser.forward(
        [
          {
            ids: whole.ids.subarray(clean),
            positions: positionsFrom(clean, 8),
            attention: { kind: 'anchored', clean: 0 },
            cache,
            write: 0,
            query: positionsFrom(0, 8),
          },
        ],
        ALL,
      );
      expect(cached.ids).toEqual(one.ids);
      expect(worst(cached.logits, one.logits)).toBeLessThan(2e-5);
    }
    await denoiser.close();
  });

  test('does not notice its neighbours, and hears what was expected', async () => {
    const { denoiser } = await loadDenoiser(dir, { threads: 1 });
    const want = { ...ALL, expected: true, logitTemperature: 0.6 };
    const [first] = await denoiser.forward([together(5)], want);
    expect(first.expected).toHaveLength(8 * 32);
    const expected = new Float32Array(13 * 32);
    expected.set(first.expected!, 5 * 32);
    const [alone] = await denoiser.forward([together(5, expected)], want);
    const [, beside] = await denoiser.forward([together(9), together(5, expected), together(2)], want);
    expect(beside.logits).toEqual(alone.logits);
    expect(beside.expected).toEqual(alone.expected);
    expect(worst(alone.logits, first.logits)).toBeGreaterThan(0.1);
    await denoiser.close();
  });

  test('divides logits by the temperature, entropies with them', async () => {
    const { denoiser } = await loadDenoiser(dir, { threads: 1 });
    const [plain] = await denoiser.forward([together(4)], { ...ALL, entropy: true });
    const [soft] = await denoiser.forward([together(4)], { ...ALL, entropy: true, logitTemperature: 2 });
    expect(
      worst(
        soft.logits.map((z) => 2 * z),
        plain.logits,
      ),
    ).toBeLessThan(1e-5);
    plain.entropy.forEach((entropy, row) => expect(soft.entropy[row]).toBeGreaterThan(entropy));
    await denoiser.close();
  });

  test.each(['int8', 'int4'] as const)('is nearly the same in %s', async (precision) => {
    const exact = await loadDenoiser(dir, { threads: 1 });
    const made = join(dir, precision);
    await quantizeFolder(dir, made, precision);
    const logits = async (denoiser: Denoiser): Promise<Float32Array> => {
      const [{ ids, logits: z }] = await denoiser.forward([together(7)], ALL);
      await denoiser.close();
      const byId = new Float32Array(z.length);
      ids.forEach((id, i) => (byId[Math.floor(i / 96) * 96 + id] = z[i]));
      return byId;
    };
    const [own, loaded, folder] = [
      await logits(exact.denoiser),
      await logits((await loadDenoiser(dir, { threads: 1, precision })).denoiser),
      await logits((await loadDenoiser(made, { threads: 1 })).denoiser),
    ];
    expect(folder).toEqual(loaded);
    const size = Math.sqrt(own.reduce((sum, z) => sum + z * z, 0));
    const error = Math.sqrt(own.reduce((sum, z, i) => sum + (z - loaded[i]) ** 2, 0));
    expect(error / size).toBeLessThan(precision === 'int8' ? 0.05 : 0.6);
  });
});

test('a window hides what stands so far before a row, and before the first row of a block', () => {
  const seen = (attention: ForwardRun['attention'], start: number, T: number, length: number): string[] => {
    const mask = runMask(attention, positionsFrom(start, T), positionsFrom(0, T), {
      G: 1,
      length,
      window: 3,
    });
    return Array.from({ length: T }, (_, q) =>
      Array.from(mask.subarray(q * (length + T), (q + 1) * (length + T)), (x) =>
        x === HIDDEN ? '.' : 'x',
      ).join(''),
    );
  };
  expect(seen({ kind: 'causal' }, 0, 5, 0)).toEqual(['x....', 'xx...', 'xxx..', '.xxx.', '..xxx']);
  expect(seen({ kind: 'causal' }, 4, 2, 4)).toEqual(['..xxx.', '...xxx']);
  expect(seen({ kind: 'anchored', clean: 0 }, 5, 4, 5)).toEqual(Array.from({ length: 4 }, () => '...xxxxxx'));
  expect(seen({ kind: 'anchored', clean: 3 }, 0, 5, 0)).toEqual([
    'x....',
    'xx...',
    'xxx..',
    '.xxxx',
    '.xxxx',
  ]);
});
