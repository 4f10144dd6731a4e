import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gguf } from '@huggingface/gguf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { saveTextModel } from '../../tests/text-model.ts';
import { createRng } from '../rng.ts';
import { elementCount, LAYOUTS, parameterShapes } from './config.ts';
import { floatsFromF16 } from './float16.ts';
import { Q8_BLOCK, quantizeQ8 } from './gguf-format.ts';
import {
  ggufName,
  GGUF_TYPES,
  ggufWeightBytes,
  preTokenizerName,
  tensorType,
  writeGguf,
} from './gguf-write.ts';
import { type Checkpoint, loadCheckpoint } from './hf.ts';

let dir: string;
const models = new Map<string, Checkpoint>();
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tintype-gguf-'));
  for (const layout of LAYOUTS) {
    await saveTextModel(join(dir, layout), layout);
    models.set(layout, await loadCheckpoint(join(dir, layout)));
  }
});
afterAll(() => rm(dir, { recursive: true }));

const request = (layout: string, type: (typeof GGUF_TYPES)[number]) => ({
  ...models.get(layout)!,
  name: 'tiny',
  type,
});

describe.each(GGUF_TYPES)('a file of type %s, read by @huggingface/gguf', (type) => {
  it('says what the model is and holds its weights', async () => {
    const path = join(dir, `${type}.gguf`);
    const { config, tensors } = models.get('causal')!;
    const { sizeBytes } = await writeGguf(path, request('causal', type));
    const file = await readFile(path);
    expect(file.length).toBe(sizeBytes);

    const { metadata, tensorInfos, tensorDataOffset } = await gguf(path, { allowLocalFile: true });
    expect(metadata).toMatchObject({
      version: 3,
      'general.architecture': 'qwen3',
      'general.name': 'tiny',
      'general.file_type': { f32: 0, f16: 1, q8_0: 7, q4_0: 2 }[type],
      'qwen3.context_length': config.contextLength,
      'qwen3.embedding_length': config.width,
      'qwen3.block_count': config.layers,
      'qwen3.feed_forward_length': config.ffnWidth,
      'qwen3.attention.head_count': config.heads,
      'qwen3.attention.head_count_kv': config.kvHeads,
      'qwen3.attention.key_length': config.headDim,
      'qwen3.attention.value_length': config.headDim,
      'qwen3.rope.freq_base': config.ropeTheta,
      'tokenizer.ggml.model': 'gpt2',
      'tokenizer.ggml.pre': 'gpt-4o',
      'tokenizer.ggml.eos_token_id': 0,
      'tokenizer.ggml.padding_token_id': 1,
      'tokenizer.ggml.fim_pre_token_id': 3,
      'tokenizer.ggml.add_bos_token': false,
    });
    const record = metadata as unknown as Record<string, unknown>;
    expect(record['qwen3.attention.layer_norm_rms_epsilon']).toBeCloseTo(config.normEps, 12);
    const tokens = record['tokenizer.ggml.tokens'] as string[];
    const kinds = record['tokenizer.ggml.token_type'] as number[];
    expect(tokens).toHaveLength(config.vocabSize);
    expect([tokens[0], kinds[0]]).toEqual(['<|endoftext|>', 3]);
    expect(kinds.filter((kind) => kind === 1).length).toBeGreaterThan(700);
    const merges = record['tokenizer.ggml.merges'] as string[];
    expect(merges.every((merge) => merge.split(' ').length === 2)).toBe(true);

    // A tied head is not stored: one tensor for each parameter.
    const shapes = parameterShapes(config);
    expect(tensorInfos.map(({ name }) => name)).toEqual(shapes.map(({ name }) => ggufName(name)));
    let stored = 0;
    for (const [i, { name, shape, offset, dtype }] of tensorInfos.entries()) {
      expect(shape.map(Number).toReversed(), name).toEqual([...shapes[i].shape]);
      const start = Number(tensorDataOffset) + Number(offset);
      expect(start % 32).toBe(0);
      const data = tensors.get(shapes[i].name)!.data;
      const bytes = file.subarray(start);
      const kind = tensorType(type, shapes[i].shape);
      expect(dtype, name).toBe({ f32: 0, f16: 1, q8_0: 8, q4_0: 2 }[kind]);
      if (kind === 'f32') expect(bytes.readFloatLE(4)).toBe(data[1]);
      else if (kind === 'f16')
        expect(floatsFromF16(Uint16Array.of(bytes.readUInt16LE(2)))[0]).toBeCloseTo(data[1], 3);
      stored += { f32: 4, f16: 2, q8_0: 34 / 32, q4_0: 18 / 32 }[kind] * data.length;
    }
    expect(ggufWeightBytes(config, type)).toBe(stored);
  });
});

describe('Q8_0', () => {
  /** What ggml computes back: scale times byte. */
  const dequantize = (bytes: Uint8Array): number[] => {
    const view = new DataView(bytes.buffer);
    return Array.from({ length: (bytes.length / 34) * Q8_BLOCK }, (_, i) => {
      const at = Math.floor(i / Q8_BLOCK) * 34;
      const scale = floatsFromF16(Uint16Array.of(view.getUint16(at, true)))[0];
      return scale * view.getInt8(at + 2 + (i % Q8_BLOCK));
    });
  };

  it('is a half float and 32 bytes a block, halves rounded away from zero', () => {
    // The largest value is 127, so the scale is 1 and the bytes are the rounded values.
    const block = new Float32Array(32);
    block.set([127, -127, 0.5, -0.5, 1.5, -2.5, 0.49, -0.49, 100.2]);
    const bytes = quantizeQ8(block);
    expect([...bytes.subarray(0, 2)]).toEqual([0x00, 0x3c]);
    expect([...new Int8Array(bytes.buffer, 2, 9)]).toEqual([127, -127, 1, -1, 2, -3, 0, 0, 100]);
  });

  it('of zeros is zeros', () => {
    expect(quantizeQ8(new Float32Array(64)).every((byte) => byte === 0)).toBe(true);
  });

  it('is within half a step of each value, and a little for the rounding of the scale', () => {
    const rng = createRng(5);
    const floats = Float32Array.from({ length: 1024 }, () => rng.normal());
    const back = dequantize(quantizeQ8(floats));
    for (let block = 0; block < 1024; block += 32) {
      const largest = Math.max(...floats.subarray(block, block + 32).map(Math.abs));
      for (let i = block; i < block + 32; i++) {
        expect(Math.abs(back[i] - floats[i])).toBeLessThan(largest / 127 / 2 + largest * 2 ** -11 + 1e-7);
      }
    }
  });
});

it('a matrix whose rows are no whole blocks becomes f16, a vector stays f32', () => {
  expect(tensorType('q8_0', [4, 48])).toBe('f16');
  expect(tensorType('q8_0', [48, 64])).toBe('q8_0');
  expect(tensorType('f16', [64])).toBe('f32');
});

it('an untied head is stored as output.weight', () => {
  expect(ggufName('lm_head.weight')).toBe('output.weight');
  expect(ggufName('model.layers.11.self_attn.q_norm.weight')).toBe('blk.11.attn_q_norm.weight');
  expect(() => ggufName('model.layers.0.self_attn.q_proj.bias')).toThrow('no place for a parameter');
});

it('pre-tokenizers are named by the nearest that llama.cpp knows', () => {
  expect(preTokenizerName(null)).toBe('gpt-2');
  const qwen2 = String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;
  expect(preTokenizerName(qwen2)).toBe('qwen2');
});

it('what is no autoregressive model, and what has no byte-level tokenizer, is refused', async () => {
  const path = join(dir, 'refused.gguf');
  await expect(writeGguf(path, request('full', 'f32'))).rejects.toMatchObject({ code: 'unsupported' });
  await expect(writeGguf(path, request('blockCausal', 'f32'))).rejects.toMatchObject({ code: 'unsupported' });
  const wordless = { ...request('causal', 'f32'), tokenizerJson: null };
  await expect(writeGguf(path, wordless)).rejects.toMatchObject({ code: 'unsupported' });
  expect(await readdir(dir)).not.toContain('refused.gguf');
});

it('a causalContext model is exported as the Qwen3 model that it is', async () => {
  const path = join(dir, 'context.gguf');
  await writeGguf(path, request('causalContext', 'f32'));
  const { parameterCount } = await gguf(path, { allowLocalFile: true, computeParametersCount: true });
  const shapes = parameterShapes(models.get('causalContext')!.config);
  expect(parameterCount).toBe(shapes.reduce((sum, { shape }) => sum + elementCount(shape), 0));
});

it('an abort, and a folder that is not there, leave what was there before', async () => {
  const path = join(dir, 'kept.gguf');
  await writeFile(path, 'old');
  const aborted = writeGguf(path, request('causal', 'f32'), { signal: AbortSignal.abort() });
  await expect(aborted).rejects.toMatchObject({ name: 'AbortError' });
  expect(await readFile(path, 'utf8')).toBe('old');
  expect((await readdir(dir)).filter((name) => name.endsWith('.part'))).toEqual([]);
  await expect(writeGguf(join(dir, 'nowhere', 'x.gguf'), request('causal', 'f32'))).rejects.toMatchObject({
    code: 'io',
  });
});
