/** GGUF files as models: what our writer wrote comes back, rows that llama.cpp moved return, and broken files are refused. */
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { codeTokenizer, saveTextModel } from '../../tests/text-model.ts';
import { createRng } from '../rng.ts';
import { createTokenizer } from '../text/json.ts';
import type { ModelConfig } from './config.ts';
import { elementCount, parameterShapes } from './config.ts';
import { positionsFrom, type Statistics } from './denoiser.ts';
import { floatsFromF16 } from './float16.ts';
import { ggufChunks, quantizeQ8, type GgufTensor, type GgufValue } from './gguf-format.ts';
import { ggufPlace } from './gguf-names.ts';
import { type GgufType, writeGguf } from './gguf-write.ts';
import { type Checkpoint, describeCheckpoint, loadCheckpoint } from './hf.ts';
import { loadDenoiser } from './load.ts';
import { dequantize, isQuantized, type Precision } from './quantize.ts';
import { loadWeights } from './quantized-folder.ts';

let root: string;
const models = new Map<string, Checkpoint>();
const fileOf = (layout: string, type: GgufType): string => join(root, layout, `${type}.gguf`);
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'tintype-gguf-'));
  vi.stubEnv('TINTYPE_CACHE_DIR', join(root, 'cache'));
  for (const layout of ['causal', 'causalContext'] as const) {
    await saveTextModel(join(root, `${layout}-folder`), layout);
    const model = await loadCheckpoint(join(root, `${layout}-folder`));
    models.set(layout, model);
    await mkdir(join(root, layout));
    for (const type of ['f32', 'f16', 'q8_0'] as const)
      await writeGguf(fileOf(layout, type), { ...model, name: 'tiny', type });
  }
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await rm(root, { recursive: true });
});

async function statisticsOf(path: string, largeBytes?: number, precision?: Precision): Promise<Statistics> {
  const { denoiser } = await loadDenoiser(path, { threads: 1, largeBytes, precision });
  const ids = Int32Array.of(3, 8, 1, 9, 4, 7);
  const run = { ids, positions: positionsFrom(0, 6), cache: null, write: 0, query: positionsFrom(0, 6) };
  const [statistics] = await denoiser.forward([{ ...run, attention: { kind: 'causal' } }], {
    topK: 8,
    entropy: true,
  });
  await denoiser.close();
  return statistics;
}

describe.each(['causal', 'causalContext'])('a file of a %s model', (layout) => {
  it('is the model again', async () => {
    const { config, tensors } = models.get(layout)!;
    const read = await loadCheckpoint(fileOf(layout, 'f32'));
    // Written as the Qwen3 model that it is.
    expect(read.config).toEqual({ ...config, modelType: 'qwen3' });
    expect(read.tensors).toEqual(tensors);
    expect(read).toMatchObject({ ggufType: 'F32', weightFiles: ['f32.gguf'], warnings: [] });
  });

  it('has the model’s tokenizer', async () => {
    const { tokenizerJson } = await describeCheckpoint(fileOf(layout, 'f16'));
    const [ours, theirs] = [createTokenizer(tokenizerJson), codeTokenizer()];
    for (const text of ['const a = 1;\n\n  return a;', 'naïve “quotes” 12345 <|mask|>', '\t\r\n  x'])
      expect(ours.encode(text)).toEqual(theirs.encode(text));
    expect(ours.special('<|fim_prefix|>')).toBe(theirs.special('<|fim_prefix|>'));
    expect(ours.decode([5, 300, 700])).toBe(theirs.decode([5, 300, 700]));
  });
});

describe('numbers', () => {
  it('of Q8_0 are the exact products of scale and byte', async () => {
    const { config, tensors } = await loadCheckpoint(fileOf('causal', 'q8_0'));
    const { data } = models.get('causal')!.tensors.get('model.layers.1.mlp.down_proj.weight')!;
    // Rows of 24 are no whole blocks, so that matrix is f16; the embedding has rows of 16. Width decides.
    expect(config.width % 32).not.toBe(0);
    const read = tensors.get('model.layers.1.mlp.down_proj.weight')!.data;
    expect(read.every((x, i) => Math.abs(x - data[i]) < 1e-3)).toBe(true);
  });

  it('decode to the same statistics as the folder, small and large', async () => {
    const plain = await statisticsOf(join(root, 'causal-folder'));
    expect(await statisticsOf(fileOf('causal', 'f32'))).toEqual(plain);
    expect(await statisticsOf(fileOf('causal', 'f32'), 0)).toEqual(plain);
  });
});

/** A model of a family with wide enough rows for Q8_0. */
const wide = (more: Partial<ModelConfig>): ModelConfig => ({
  modelType: 'llama',
  layout: 'causal',
  width: 64,
  layers: 1,
  heads: 4,
  kvHeads: 2,
  headDim: 16,
  ffnWidth: 32,
  vocabSize: 40,
  tiedHead: false,
  qkNorm: false,
  normEps: 1e-5,
  ropeTheta: 5e5,
  contextLength: 128,
  blockLength: 1,
  tokens: { mask: null, eos: [2], pad: null, bos: null },
  ...more,
});

/** Writes a file as llama.cpp's converter would, and gives the tensors under our names. */
async function writeForeign(
  name: string,
  architecture: string,
  config: ModelConfig,
  {
    isPermuted,
    type = 'f32',
    values = [],
    leaveOut,
  }: {
    isPermuted: boolean;
    type?: 'f32' | 'q8_0';
    values?: [string, GgufValue][];
    leaveOut?: string;
  },
): Promise<{ path: string; wanted: Map<string, Float32Array> }> {
  const rng = createRng(5);
  const wanted = new Map<string, Float32Array>();
  const stored = new Map<string, { shape: number[]; data: Float32Array }>();
  for (const { name: ours, shape } of parameterShapes(config)) {
    let data = Float32Array.from({ length: elementCount(shape) }, () => rng.normal());
    if (type === 'q8_0' && shape.length === 2) data = dequantized(quantizeQ8(data));
    wanted.set(ours, data);
    const place = ggufPlace(ours)!;
    const heads = /[qk]_proj/.test(ours) && isPermuted ? (ours.includes('q_proj') ? 4 : 2) : 0;
    const moved = heads === 0 ? data : interleaved(data, heads, config.headDim);
    const before = stored.get(place.name);
    if (place.expert === null) stored.set(place.name, { shape: [...shape], data: moved });
    else {
      const all = Float32Array.from([...(before?.data ?? []), ...moved]);
      stored.set(place.name, { shape: [place.expert + 1, ...shape], data: all });
    }
  }
  if (leaveOut) stored.delete(leaveOut);
  const key = (tail: string, value: GgufValue): [string, GgufValue] => [`${architecture}.${tail}`, value];
  const metadata: [string, GgufValue][] = [
    ['general.architecture', { string: architecture }],
    key('context_length', { u32: config.contextLength }),
    key('embedding_length', { u32: config.width }),
    key('block_count', { u32: config.layers }),
    key('feed_forward_length', { u32: config.ffnWidth }),
    key('attention.head_count', { u32: config.heads }),
    key('attention.head_count_kv', { u32: config.kvHeads }),
    key('attention.layer_norm_rms_epsilon', { f32: config.normEps }),
    key('rope.freq_base', { f32: config.ropeTheta }),
    ['tokenizer.ggml.eos_token_id', { u32: 2 }],
    ...values,
  ];
  const tensors = [...stored].map(([tensor, { shape, data }]): GgufTensor => ({
    name: tensor,
    shape,
    type: shape.length > 1 ? type : 'f32',
    data: () => data,
  }));
  const path = join(root, name);
  await writeFile(path, Buffer.concat([...ggufChunks(metadata, tensors)]));
  return { path, wanted };
}

/** Halves of each head become neighbours: rows 0, d/2, 1, d/2 + 1, … */
function interleaved(data: Float32Array, heads: number, headDim: number): Float32Array {
  const rows = headDim * heads;
  const columns = data.length / rows;
  const out = new Float32Array(data.length);
  for (let row = 0; row < rows; row++) {
    const head = Math.floor(row / headDim);
    const place = row % headDim;
    const from = head * headDim + (place % 2) * (headDim / 2) + Math.floor(place / 2);
    out.set(data.subarray(from * columns, (from + 1) * columns), row * columns);
  }
  return out;
}

function dequantized(bytes: Uint8Array): Float32Array<ArrayBuffer> {
  const view = new DataView(bytes.buffer);
  return Float32Array.from({ length: (bytes.length / 34) * 32 }, (_, i) => {
    const at = Math.floor(i / 32) * 34;
    return floatsFromF16(Uint16Array.of(view.getUint16(at, true)))[0] * view.getInt8(at + 2 + (i % 32));
  });
}

const asData = (tensors: Checkpoint['tensors']): Map<string, Float32Array> =>
  new Map([...tensors].map(([name, { data }]) => [name, data]));

describe('files of llama.cpp’s converter', () => {
  it.each([
    ['f32', 'f32'],
    ['q8_0', 'q8_0'],
  ] as const)('of llama have their rotary rows put back, in %s', async (name, type) => {
    const { path, wanted } = await writeForeign(`llama-${name}.gguf`, 'llama', wide({}), {
      isPermuted: true,
      type,
    });
    const { config, tensors } = await loadCheckpoint(path);
    expect(config).toEqual(wide({}));
    expect(asData(tensors)).toEqual(wanted);
  });

  it.each([true, false])(
    'of 8 bits go to int8 as they are, without a second rounding (one head as wide as a block: %s)',
    async (isWide) => {
      const config = wide(isWide ? { width: 128, headDim: 32 } : {});
      const { path, wanted } = await writeForeign(`int8-${isWide}.gguf`, 'llama', config, {
        isPermuted: true,
        type: 'q8_0',
      });
      const { weights } = await loadWeights(path, { precision: 'int8' });
      const quantized = [...weights].flatMap(([name, weight]) =>
        isQuantized(weight) ? [{ name, weight }] : [],
      );
      expect(quantized).toHaveLength(8);
      const exact = quantized.filter(({ name, weight }) => {
        const numbers = dequantize(weight);
        return numbers.every((x, i) => x === wanted.get(name)![i]);
      });
      expect(exact.length === quantized.length).toBe(isWide);
      if (isWide) expect(new Set(quantized.map(({ weight }) => weight.block))).toEqual(new Set([32]));
      // The denoiser, from memory and from a file of converted weights, is that of those numbers.
      const float = await statisticsOf(path, undefined, 'f32');
      for (const largeBytes of [undefined, 0]) {
        const { ids, logSumExp } = await statisticsOf(path, largeBytes, 'int8');
        expect(ids[0]).toBe(float.ids[0]);
        expect(Math.abs(logSumExp[0] - float.logSumExp[0])).toBeLessThan(0.5);
      }
    },
  );

  it('of qwen2 and dream keep their rows, and have biases', async () => {
    const facts = { qkvBias: true } as const;
    for (const [architecture, more] of [
      ['qwen2', { modelType: 'qwen2' }],
      ['dream', { modelType: 'Dream', layout: 'full', blockLength: 128 }],
    ] as const) {
      const config = wide({ ...facts, ...more });
      const { path, wanted } = await writeForeign(`${architecture}.gguf`, architecture, config, {
        isPermuted: false,
        values: [['tokenizer.ggml.mask_token_id', { u32: 7 }]],
      });
      const read = await loadCheckpoint(path);
      expect(asData(read.tensors)).toEqual(wanted);
      expect(read.config).toMatchObject({ modelType: more.modelType, qkvBias: true });
      if (architecture === 'dream')
        expect(read.config).toMatchObject({ layout: 'full', logitShift: 'sequence', tokens: { mask: 7 } });
    }
  });

  it('of llada are LLaDA models', async () => {
    const config = wide({ layout: 'full' });
    const { path, wanted } = await writeForeign('llada.gguf', 'llada', config, {
      isPermuted: true,
      values: [['tokenizer.ggml.mask_token_id', { u32: 9 }]],
    });
    const read = await loadCheckpoint(path);
    expect(read.config).toMatchObject({ modelType: 'llada', layout: 'full', tokens: { mask: 9 } });
    expect(asData(read.tensors)).toEqual(wanted);
  });

  it('of mixtures have their experts in one tensor', async () => {
    const config = wide({
      qkNorm: true,
      mixture: {
        experts: 4,
        perToken: 2,
        width: 32,
        router: 'softmaxRenorm',
        groups: 1,
        groupsPerToken: 1,
        scale: 1,
        sharedWidth: 0,
        denseLayers: 0,
      },
    });
    for (const architecture of ['rnd1', 'llada-moe']) {
      const { path, wanted } = await writeForeign(`${architecture}.gguf`, architecture, config, {
        isPermuted: false,
        type: 'q8_0',
        values: [
          [`${architecture}.attention.key_length`, { u32: 16 }],
          [`${architecture}.expert_count`, { u32: 4 }],
          [`${architecture}.expert_used_count`, { u32: 2 }],
          ['tokenizer.ggml.mask_token_id', { u32: 9 }],
        ],
      });
      const read = await loadCheckpoint(path);
      expect(read.config.mixture).toMatchObject({ experts: 4, perToken: 2, width: 32 });
      expect(asData(read.tensors)).toEqual(wanted);
    }
  });
});

describe('refusals', () => {
  const harmed = async (name: string, harm: (bytes: Buffer) => Buffer): Promise<string> => {
    const path = join(root, `${name}.gguf`);
    await writeFile(path, harm(await readFile(fileOf('causal', 'f32'))));
    return path;
  };

  it.each([
    ['cut short in its tensors', (b: Buffer) => b.subarray(0, b.length - 100), 'bad_checkpoint'],
    ['cut short in its header', (b: Buffer) => b.subarray(0, 200), 'bad_checkpoint'],
    ['of other first bytes', (b: Buffer) => Buffer.concat([Buffer.from('PK'), b]), 'bad_checkpoint'],
    [
      'of an older version',
      (b: Buffer) => Buffer.concat([b.subarray(0, 4), Buffer.of(1), b.subarray(5)]),
      'bad_checkpoint',
    ],
    [
      'of a type that is not read',
      (b: Buffer) => {
        // Type of the first tensor: name, two dimensions, then the number.
        const at = b.indexOf('token_embd.weight') + 'token_embd.weight'.length + 4 + 16;
        return Buffer.concat([b.subarray(0, at), Buffer.of(13), b.subarray(at + 1)]);
      },
      'unsupported',
    ],
  ])('a file %s', async (name, harm, code) => {
    const path = await harmed(name, harm);
    await expect(loadCheckpoint(path)).rejects.toMatchObject({ code });
    if (code === 'unsupported')
      await expect(loadCheckpoint(path)).rejects.toThrow('Q5_K (token_embd.weight)');
  });

  it('name what is unknown or missing', async () => {
    const config = wide({});
    const files = [
      await writeForeign('mamba.gguf', 'mamba', config, { isPermuted: false }),
      await writeForeign('less.gguf', 'llama', config, { isPermuted: true, leaveOut: 'blk.0.ffn_up.weight' }),
      await writeForeign('yarn.gguf', 'llama', config, {
        isPermuted: true,
        values: [['llama.rope.scaling.type', { string: 'yarn' }]],
      }),
      await writeForeign('pre.gguf', 'llama', config, {
        isPermuted: true,
        values: [
          ['tokenizer.ggml.model', { string: 'gpt2' }],
          ['tokenizer.ggml.pre', { string: 'jais' }],
          ['tokenizer.ggml.tokens', { strings: ['a', 'b'] }],
        ],
      }),
    ];
    for (const [i, words] of ['mamba', 'up_proj.weight is missing', 'yarn', 'jais'].entries())
      await expect(loadCheckpoint(files[i].path)).rejects.toThrow(words);
    await expect(loadCheckpoint(join(root, 'none.gguf'))).rejects.toMatchObject({ code: 'not_found' });
  });

  it('are lifted by a tokenizer.json beside the file', async () => {
    const dir = join(root, 'beside');
    await mkdir(dir);
    const { path } = await writeForeign('pre2.gguf', 'llama', wide({ vocabSize: 768 }), {
      isPermuted: true,
      values: [
        ['tokenizer.ggml.model', { string: 'gpt2' }],
        ['tokenizer.ggml.pre', { string: 'jais' }],
        ['tokenizer.ggml.tokens', { strings: ['a', 'b'] }],
      ],
    });
    await copyFile(path, join(dir, 'model.gguf'));
    await copyFile(join(root, 'causal-folder', 'tokenizer.json'), join(dir, 'tokenizer.json'));
    const { tokenizerJson } = await describeCheckpoint(join(dir, 'model.gguf'));
    expect(createTokenizer(tokenizerJson).vocabSize).toBe(codeTokenizer().vocabSize);
  });
});
