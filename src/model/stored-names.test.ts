/** Folders whose tensors have other names than ours, or hold several of ours in one. */
import { cp, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createRng } from '../rng.ts';
import { elementCount, type ModelConfig, parameterShapes } from './config.ts';
import { describeCheckpoint, loadCheckpoint, saveCheckpoint } from './hf.ts';
import { loadWeights } from './quantized-folder.ts';
import { createHeader, parseSafetensors, safetensorsChunks, type TensorEntry } from './safetensors.ts';

const fixture = (name: string): string =>
  fileURLToPath(new URL(`../../fixtures/checkpoints/${name}`, import.meta.url));
const WEIGHTS = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tintype-names-'));
});
afterEach(() => rm(dir, { recursive: true }));

const masked = (maskTokenId: number) => ({ overrides: { maskTokenId } });

describe('a family with its own names', () => {
  test.each([
    ['llada', {}],
    ['llada-moe', masked(160)],
    // Its queries, keys and values are one matrix.
    ['llada2', masked(164)],
  ])('%s is saved as it was read', async (name, options) => {
    const checkpoint = await loadCheckpoint(fixture(name), options);
    expect([...checkpoint.tensors.keys()]).toEqual(
      parameterShapes(checkpoint.config).map((each) => each.name),
    );
    const out = join(dir, name);
    await saveCheckpoint(out, checkpoint);
    expect(
      Buffer.compare(await readFile(join(out, WEIGHTS)), await readFile(join(fixture(name), WEIGHTS))),
    ).toBe(0);
    // The new files say which token is the mask.
    const again = await loadCheckpoint(out);
    expect(again.config).toEqual(checkpoint.config);
    expect(again.tensors).toEqual(checkpoint.tensors);
  });

  test('Nemotron-Labs-Diffusion is written under its names and read again', async () => {
    const config: ModelConfig = {
      modelType: 'nemotron_labs_diffusion',
      family: 'nemotron-labs-diffusion',
      layout: 'causalContext',
      width: 8,
      layers: 1,
      heads: 2,
      kvHeads: 1,
      headDim: 6,
      ffnWidth: 12,
      vocabSize: 16,
      tiedHead: false,
      normEps: 1e-5,
      ropeTheta: 1e6,
      yarn: {
        factor: 16,
        originalLength: 16,
        betaFast: 32,
        betaSlow: 1,
        attentionFactor: 1,
        queryBeta: 0.1,
      },
      qkNorm: false,
      contextLength: 256,
      blockLength: 4,
      tokens: { mask: 2, eos: [0], pad: null, bos: 1 },
    };
    const rng = createRng(1);
    const tensors = new Map(
      parameterShapes(config).map(({ name, shape }) => [
        name,
        { shape, data: Float32Array.from({ length: elementCount(shape) }, () => rng.normal()) },
      ]),
    );
    await saveCheckpoint(dir, { config, tensors });
    const { header } = parseSafetensors(await readFile(join(dir, WEIGHTS)));
    const names = header.entries.map(({ name }) => name);
    expect(names).toContain('encoder.layers.0.self_attn.q_proj.weight');
    expect(names.filter((name) => !name.startsWith('encoder.'))).toEqual(['diffusion_head.weight']);
    const checkpoint = await loadCheckpoint(dir);
    expect(checkpoint.config).toEqual(config);
    expect(checkpoint.tensors).toEqual(tensors);
  });
});

/** Writes the weights of a fixture anew, in one file or in shards. */
async function rewrite(
  name: string,
  edit: (entry: TensorEntry) => { name: string; shape?: readonly number[]; file?: string } | null,
): Promise<void> {
  await cp(fixture(name), dir, { recursive: true });
  const { header, tensors } = parseSafetensors(await readFile(join(dir, WEIGHTS)));
  const files = new Map<string, { name: string; shape: readonly number[]; bytes: Uint8Array }[]>();
  for (const entry of header.entries) {
    const { name: to, shape = entry.shape, file = WEIGHTS } = edit(entry) ?? { name: '' };
    if (to === '') continue;
    const list = files.get(file) ?? [];
    list.push({ name: to, shape, bytes: tensors.get(entry.name)!.bytes });
    files.set(file, list);
  }
  await rm(join(dir, WEIGHTS));
  for (const [file, list] of files) {
    const made = createHeader(
      list.map((each) => ({ name: each.name, dtype: 'F32' as const, shape: each.shape })),
    );
    const chunks = safetensorsChunks(made, (entry) => list.find((each) => each.name === entry.name)!.bytes);
    await writeFile(join(dir, file), Buffer.concat([...chunks]));
  }
  if (files.has(WEIGHTS)) return;
  const map = [...files].flatMap(([file, list]) => list.map((each) => [each.name, file]));
  await writeFile(join(dir, INDEX), JSON.stringify({ weight_map: Object.fromEntries(map) }));
}

describe('what is wrong is said in the names of the file', () => {
  test('left over, missing and misshapen tensors of LLaDA', async () => {
    await rewrite('llada', ({ name, shape }) => {
      if (name === 'model.transformer.blocks.1.attn_out.weight') return null;
      if (name === 'model.transformer.ln_f.weight') return { name: 'model.transformer.ln_g.weight' };
      return { name, shape: name.endsWith('0.ff_proj.weight') ? shape.toReversed() : shape };
    });
    const error = await describeCheckpoint(dir).catch((cause: unknown) => cause);
    expect(error).toMatchObject({
      code: 'bad_checkpoint',
      parts: { wanted: expect.stringContaining('llada model') },
    });
    const { message } = error as Error;
    expect(message).toMatch(
      /2 missing: model\.transformer\.blocks\.1\.attn_out\.weight, model\.transformer\.ln_f\.weight; /,
    );
    expect(message).toMatch(/1 extra: model\.transformer\.ln_g\.weight; /);
    expect(message).toMatch(/blocks\.0\.ff_proj\.weight is \[48,80\], not \[80,48\]/);
  });

  test('a fused matrix of the wrong size, and an expert that is not there', async () => {
    await rewrite('llada2', ({ name, shape }) => {
      if (name === 'model.layers.1.mlp.experts.7.up_proj.weight') return null;
      const isFused = name === 'model.layers.0.attention.query_key_value.weight';
      return { name, shape: isFused ? [shape[0] * 2, shape[1] / 2] : shape };
    });
    await expect(describeCheckpoint(dir, masked(164))).rejects.toThrow(
      /1 missing: model\.layers\.1\.mlp\.experts\.7\.up_proj\.weight; .*query_key_value\.weight is \[256,24\], not \[128,48\]/,
    );
  });

  test("Qwen2's biases where a config has none, and the other way round", async () => {
    await rewrite('ar-qwen2', ({ name }) => ({ name }));
    const edit = async (change: object): Promise<void> => {
      const path = join(dir, 'config.json');
      const raw = JSON.parse(await readFile(path, 'utf8')) as object;
      await writeFile(path, JSON.stringify({ ...raw, ...change }));
    };
    await edit({ model_type: 'llama', architectures: ['LlamaForCausalLM'] });
    await expect(describeCheckpoint(dir)).rejects.toThrow(/6 extra: .*layers\.0\.self_attn\.k_proj\.bias/);
    await rewrite('ar-qwen2', ({ name }) => (name.endsWith('k_proj.bias') ? null : { name }));
    await expect(describeCheckpoint(dir)).rejects.toThrow(/2 missing: .*k_proj\.bias/);
  });
});

describe('shards', () => {
  const shardOf = ({ name }: { name: string }): { name: string; file: string } => ({
    name,
    file: `model-0000${name.includes('.1.') ? 2 : 1}-of-00002.safetensors`,
  });

  test('are read wherever a tensor lies', async () => {
    await rewrite('llada', shardOf);
    const whole = await loadCheckpoint(fixture('llada'));
    const { tensors, weightFiles } = await loadCheckpoint(dir);
    expect(tensors).toEqual(whole.tensors);
    expect(weightFiles).toHaveLength(2);
  });

  test('one that is missing is named', async () => {
    await rewrite('llada', shardOf);
    await rm(join(dir, 'model-00002-of-00002.safetensors'));
    await expect(loadWeights(dir)).rejects.toMatchObject({
      code: 'not_found',
      message: expect.stringContaining('model-00002-of-00002.safetensors'),
    });
  });

  test.each([
    ['in its tensors', 20_000],
    ['in its header', 100],
    ['before its header', 4],
  ])('one that is cut short %s is named', async (_, size) => {
    await rewrite('llada', shardOf);
    await truncate(join(dir, 'model-00002-of-00002.safetensors'), size);
    await expect(loadWeights(dir)).rejects.toMatchObject({
      code: 'bad_checkpoint',
      message: expect.stringContaining('model-00002-of-00002.safetensors'),
    });
  });
});

describe('a vocabulary and its tokenizer', () => {
  test('rows beyond the last id are real rows', async () => {
    await cp(fixture('llada'), dir, { recursive: true });
    await writeFile(join(dir, 'tokenizer.json'), '{"model":{"vocab":{"a":0,"b":160}},"added_tokens":[]}');
    const { config, warnings } = await describeCheckpoint(dir);
    expect([config.vocabSize, warnings]).toEqual([168, []]);
  });

  test.each([
    ['tokenizer_config.json', '{"mask_token": {"content": "<gap>"}}', 7],
    ['tokenizer_config.json', '{"mask_token": "<|mdm_mask|>"}', 8],
    ['README.md', 'nothing', 8],
  ])('%s %s: the mask comes from there', async (file, text, mask) => {
    await cp(fixture('llada-moe'), dir, { recursive: true });
    const added = [
      { id: 7, content: '<gap>' },
      { id: 8, content: '<|mdm_mask|>' },
      { id: 9, content: '<|role_end|>' },
    ];
    await writeFile(
      join(dir, 'tokenizer.json'),
      JSON.stringify({ model: { vocab: {} }, added_tokens: added }),
    );
    await writeFile(join(dir, file), text);
    const { config, origins } = await describeCheckpoint(dir);
    expect([config.tokens.mask, origins.mask]).toEqual([mask, 'tokenizer']);
    // What ends a turn of the template ends a text.
    expect(config.tokens.eos).toEqual([157, 9]);
  });
});

test('a folder without tokenizer.json has the one that vocab.json and merges.txt make', async () => {
  await cp(fixture('dream'), dir, { recursive: true });
  const raw = JSON.parse(await readFile(join(dir, 'config.json'), 'utf8')) as object;
  await writeFile(join(dir, 'config.json'), JSON.stringify({ ...raw, mask_token_id: undefined }));
  const files = {
    'vocab.json': '{"a":0,"b":1,"ab":2}',
    'merges.txt': 'a b\n',
    'tokenizer_config.json': JSON.stringify({
      tokenizer_class: 'DreamTokenizer',
      mask_token: '<|mask|>',
      added_tokens_decoder: { 159: { content: '<|mask|>', special: true } },
    }),
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(dir, name), text);
  const { config, origins, tokenizerJson } = await describeCheckpoint(dir);
  expect(tokenizerJson).toMatchObject({ model: { merges: ['a b'] } });
  expect([config.tokens.mask, origins.mask]).toEqual([159, 'tokenizer']);

  await writeFile(join(dir, 'tokenizer_config.json'), '{"tokenizer_class": "OtherTokenizer"}');
  const unknown = await describeCheckpoint(dir, masked(159));
  expect(unknown.tokenizerJson).toBeNull();
  expect(unknown.warnings).toEqual([expect.stringContaining('OtherTokenizer): add a tokenizer.json')]);
});

test('a head that is stored although it is tied, and differs, is warned about however the model is loaded', async () => {
  await cp(fixture('a2d-qwen3-mdlm'), dir, { recursive: true });
  const options = { overrides: { maskTokenId: 157, layout: 'full' as const } };
  expect((await loadWeights(dir, options)).description.warnings).toEqual([]);
  const path = join(dir, WEIGHTS);
  const bytes = await readFile(path);
  const { header } = parseSafetensors(bytes);
  const { end } = header.entries.find(({ name }) => name === 'lm_head.weight')!;
  const start = bytes.length - Math.max(...header.entries.map((entry) => entry.end));
  bytes[start + end - 1] ^= 1;
  await writeFile(path, bytes);
  const { description, weights } = await loadWeights(dir, options);
  expect(description.warnings).toEqual([expect.stringContaining('the embedding is used')]);
  expect(weights.has('lm_head.weight')).toBe(false);
});
