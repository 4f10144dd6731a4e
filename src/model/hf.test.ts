import { spawnSync } from 'node:child_process';
import { cp, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createRng } from '../rng.ts';
import { elementCount, type ModelConfig, parameterShapes } from './config.ts';
import { nodeDisk, verifyHashes } from './files.ts';
import { type Checkpoint, describeCheckpoint, loadCheckpoint, saveCheckpoint, type Tensor } from './hf.ts';
import { createHeader, parseSafetensors, safetensorsChunks } from './safetensors.ts';

const FIXTURES = fileURLToPath(new URL('../../fixtures/checkpoints/', import.meta.url));

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tintype-hf-'));
});
afterEach(() => rm(dir, { recursive: true }));

const sameFile = async (a: string, b: string): Promise<boolean> =>
  Buffer.compare(await readFile(a), await readFile(b)) === 0;
const editJson = async (path: string, change: object): Promise<void> =>
  writeFile(path, JSON.stringify({ ...(JSON.parse(await readFile(path, 'utf8')) as object), ...change }));

const NATIVE: ModelConfig = {
  modelType: 'tintype',
  layout: 'blockCausal',
  width: 8,
  layers: 1,
  heads: 2,
  kvHeads: 1,
  headDim: 4,
  ffnWidth: 12,
  vocabSize: 16,
  tiedHead: true,
  normEps: 1e-6,
  ropeTheta: 10000,
  contextLength: 64,
  blockLength: 4,
  tokens: { mask: 2, eos: [0], pad: 1, bos: null },
};

function randomTensors(config: ModelConfig, seed: number): Map<string, Tensor> {
  const rng = createRng(seed);
  return new Map(
    parameterShapes(config).map(({ name, shape }) => {
      return [name, { shape, data: Float32Array.from({ length: elementCount(shape) }, () => rng.normal()) }];
    }),
  );
}

describe('round trip', () => {
  test.each(['ar-qwen3', 'ar-qwen2', 'sdar', 'dream', 'llada'])(
    '%s is saved as it was, byte for byte',
    async (name) => {
      const source = join(FIXTURES, name);
      const checkpoint = await loadCheckpoint(source);
      await saveCheckpoint(dir, checkpoint);
      expect(await sameFile(join(dir, 'model.safetensors'), join(source, 'model.safetensors'))).toBe(true);
      for (const file of ['config.json', 'generation_config.json']) {
        expect(JSON.parse(await readFile(join(dir, file), 'utf8'))).toEqual(
          JSON.parse(await readFile(join(source, file), 'utf8')),
        );
      }
      const again = await loadCheckpoint(dir);
      expect({ ...again, dir: '', sha256: {} }).toEqual({ ...checkpoint, dir: '' });
      expect(Object.keys(again.sha256)).toEqual([
        'config.json',
        'generation_config.json',
        'model.safetensors',
      ]);
    },
  );

  test.each(['F16', 'BF16'] as const)(
    '%s weights are saved as they were, in any order of the file',
    async (dtype) => {
      const shuffled = parameterShapes(NATIVE).toReversed();
      // Norms stay in F32, as some exporters do it.
      const header = createHeader(
        shuffled.map(({ name, shape }) => ({ name, shape, dtype: shape.length === 1 ? 'F32' : dtype })),
        { format: 'pt', made: 'elsewhere' },
      );
      await saveCheckpoint(dir, { config: NATIVE, tensors: randomTensors(NATIVE, 1), dtype, header });
      const checkpoint = await loadCheckpoint(dir);
      expect(checkpoint.dtype).toBe(dtype);
      expect(checkpoint.header).toEqual(header);
      await saveCheckpoint(join(dir, 'again'), checkpoint);
      expect(await sameFile(join(dir, 'model.safetensors'), join(dir, 'again/model.safetensors'))).toBe(true);
    },
  );

  test('another dtype makes another file, with rounded values', async () => {
    const checkpoint = await loadCheckpoint(join(FIXTURES, 'sdar'));
    await saveCheckpoint(dir, { ...checkpoint, dtype: 'BF16' });
    const rounded = await loadCheckpoint(dir);
    expect(rounded.dtype).toBe('BF16');
    expect(rounded.rawConfig['torch_dtype']).toBe('bfloat16');
    for (const [name, { data }] of rounded.tensors) {
      const original = checkpoint.tensors.get(name)!.data;
      expect(data.every((value, i) => Math.abs(value - original[i]) <= Math.abs(original[i]) / 256)).toBe(
        true,
      );
    }
  });

  test('shards are read through their index', async () => {
    const whole = await loadCheckpoint(join(FIXTURES, 'sdar'));
    await cp(join(FIXTURES, 'sdar'), dir, { recursive: true });
    const { header, tensors } = parseSafetensors(await readFile(join(dir, 'model.safetensors')));
    const weightMap: Record<string, string> = {};
    for (const [n, part] of [header.entries.slice(0, 9), header.entries.slice(9)].entries()) {
      const name = `model-0000${n + 1}-of-00002.safetensors`;
      for (const entry of part) weightMap[entry.name] = name;
      const chunks = safetensorsChunks(createHeader(part), (entry) => tensors.get(entry.name)!.bytes);
      await writeFile(join(dir, name), Buffer.concat([...chunks]));
    }
    await rm(join(dir, 'model.safetensors'));
    await writeFile(join(dir, 'model.safetensors.index.json'), JSON.stringify({ weight_map: weightMap }));
    const sharded = await loadCheckpoint(dir);
    expect(sharded.tensors).toEqual(whole.tensors);
    expect(sharded.weightFiles).toHaveLength(2);

    await writeFile(join(dir, 'model.safetensors.index.json'), '{"weight_map": {"a": "../x.safetensors"}}');
    await expect(loadCheckpoint(dir)).rejects.toThrow(/which file holds which tensor/);
    await writeFile(
      join(dir, 'model.safetensors.index.json'),
      JSON.stringify({ weight_map: { ...weightMap, x: 'x.safetensors' } }),
    );
    await expect(loadCheckpoint(dir)).rejects.toMatchObject({ code: 'not_found' });
  });

  test('tokenizer and further files travel along unchanged', async () => {
    const tokenizer =
      '{ "model": {"vocab": {"a": 15}},\n "added_tokens": [{"id": 2, "content": "<|MASK|>"}] }';
    const request = {
      config: NATIVE,
      tensors: randomTensors(NATIVE, 1),
      tokenizerFiles: { 'tokenizer.json': tokenizer },
    };
    await saveCheckpoint(dir, { ...request, extraFiles: { 'trainer.json': [Buffer.from('{}')] } });
    await saveCheckpoint(join(dir, 'again'), await loadCheckpoint(dir));
    expect(await readFile(join(dir, 'again/tokenizer.json'), 'utf8')).toBe(tokenizer);
    expect(await verifyHashes(dir, ['trainer.json'])).toHaveProperty('trainer.json');
  });
});

describe('heads', () => {
  const withHead = async (value: number): Promise<Checkpoint> => {
    const tensors = randomTensors(NATIVE, 1);
    const embedding = tensors.get('model.embed_tokens.weight')!;
    const untied = { ...NATIVE, tiedHead: false };
    const head = { ...embedding, data: embedding.data.with(0, embedding.data[0] + value) };
    await saveCheckpoint(dir, { config: untied, tensors: new Map([...tensors, ['lm_head.weight', head]]) });
    await editJson(join(dir, 'config.json'), { tie_word_embeddings: true });
    return loadCheckpoint(dir, { verify: false });
  };

  test('a stored copy of a tied head is passed over in silence and written again', async () => {
    const checkpoint = await withHead(0);
    expect(checkpoint.warnings).toEqual([]);
    expect(checkpoint.tensors.has('lm_head.weight')).toBe(false);
    await saveCheckpoint(join(dir, 'again'), checkpoint);
    expect(await sameFile(join(dir, 'model.safetensors'), join(dir, 'again/model.safetensors'))).toBe(true);
  });

  test('a different one is warned about, and the flag is obeyed', async () => {
    const checkpoint = await withHead(1);
    expect(checkpoint.warnings).toEqual([expect.stringContaining('the embedding is used')]);
    expect(checkpoint.tensors.has('lm_head.weight')).toBe(false);
  });
});

describe('nothing is lost', () => {
  const old = randomTensors(NATIVE, 1);

  test('kill -9 in the middle of a save: the previous checkpoint loads, hashes and all', async () => {
    await saveCheckpoint(dir, { config: NATIVE, tensors: old });
    // The child dies by its own hand at the given step: in the weights, and just before and after the commit.
    for (const [step, expected] of [
      [5, 'old'],
      [20, 'new'],
    ] as const) {
      const script = `
        import { nodeDisk } from ${JSON.stringify(new URL('files.ts', import.meta.url).href)};
        import { loadCheckpoint, saveCheckpoint } from ${JSON.stringify(new URL('hf.ts', import.meta.url).href)};
        let left = ${step};
        const step = () => { if (left-- === 0) process.kill(process.pid, 'SIGKILL'); };
        const checkpoint = await loadCheckpoint(process.argv[1]);
        for (const { data } of checkpoint.tensors.values()) data.fill(7);
        await saveCheckpoint(process.argv[1], { ...checkpoint, disk: {
          write: (file, bytes) => { step(); return nodeDisk.write(file, bytes); },
          rename: (from, to) => { step(); return nodeDisk.rename(from, to); },
        } });`;
      const child = spawnSync(
        process.execPath,
        ['--import', 'tsx', '--input-type=module', '-e', script, dir],
        {
          encoding: 'utf8',
        },
      );
      expect({ signal: child.signal, stderr: child.stderr }).toEqual({ signal: 'SIGKILL', stderr: '' });
      const { tensors } = await loadCheckpoint(dir);
      const filled = [...tensors.values()].map(({ data }) => data.every((value) => value === 7));
      expect(new Set(filled)).toEqual(new Set([expected === 'new']));
    }
  });

  test('a full disk: a clear error, and the previous checkpoint loads', async () => {
    await saveCheckpoint(dir, { config: NATIVE, tensors: old });
    let roomBytes = 4000;
    const disk = {
      ...nodeDisk,
      write: async (...[file, bytes]: Parameters<typeof nodeDisk.write>) => {
        roomBytes -= bytes.length;
        if (roomBytes < 0) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
        return nodeDisk.write(file, bytes);
      },
    };
    const saving = saveCheckpoint(dir, { config: NATIVE, tensors: randomTensors(NATIVE, 2), disk });
    await expect(saving).rejects.toThrow(
      /untouched\n {2}got: {4}the disk is full \(ENOSPC\)\n {2}try: {4}make room/,
    );
    expect((await loadCheckpoint(dir)).tensors).toEqual(old);
  });
});

describe('what is wrong is said', () => {
  beforeEach(() => cp(join(FIXTURES, 'ar-qwen3'), dir, { recursive: true }));
  const config = (): string => join(dir, 'config.json');
  const weights = (): string => join(dir, 'model.safetensors');

  /** Rewrites the weights without the tensors of one name, under other names or with other shapes. */
  async function rewriteWeights(
    edit: (name: string, shape: readonly number[]) => [string, readonly number[]] | null,
  ): Promise<void> {
    const { tensors } = parseSafetensors(await readFile(weights()));
    const edited = new Map(
      [...tensors].flatMap(([name, tensor]) => {
        const change = edit(name, tensor.shape);
        return change ? [[change[0], { ...tensor, shape: change[1] }] as const] : [];
      }),
    );
    const header = createHeader([...edited].map(([name, { dtype, shape }]) => ({ name, dtype, shape })));
    await writeFile(
      weights(),
      Buffer.concat([...safetensorsChunks(header, ({ name }) => edited.get(name)!.bytes)]),
    );
  }

  test('no folder, an empty one, no weights', async () => {
    await expect(loadCheckpoint(join(dir, 'none'))).rejects.toMatchObject({ code: 'not_found' });
    await expect(loadCheckpoint(weights())).rejects.toMatchObject({ code: 'not_found' });
    await rename(weights(), join(dir, 'elsewhere'));
    await expect(loadCheckpoint(dir)).rejects.toThrow(/there is no .*model\.safetensors/);
  });

  test('a missing, a misshapen and an extra tensor, in one error', async () => {
    await rewriteWeights((name, shape) =>
      name === 'model.norm.weight'
        ? null
        : name.endsWith('0.mlp.up_proj.weight')
          ? [name, shape.toReversed()]
          : name.endsWith('1.mlp.up_proj.weight')
            ? ['model.layers.9.mlp.up_proj.weight', shape]
            : [name, shape],
    );
    const error = await loadCheckpoint(dir).catch((e: unknown) => e);
    expect(error).toMatchObject({ code: 'bad_checkpoint' });
    expect((error as Error).message).toMatch(
      /2 missing: model\.layers\.1\.mlp\.up_proj\.weight, model\.norm\.weight; /,
    );
    expect((error as Error).message).toMatch(/1 extra: model\.layers\.9\.mlp\.up_proj\.weight; /);
    expect((error as Error).message).toMatch(
      /1 of the wrong shape: .*0\.mlp\.up_proj\.weight is \[48,96\], not \[96,48\]/,
    );
  });

  test('of many faults the first few', async () => {
    await editJson(config(), { num_hidden_layers: 3 });
    await expect(loadCheckpoint(dir)).rejects.toThrow(/11 missing: .* and 7 more/);
  });

  test('stored rotary frequencies are not extra', async () => {
    await rewriteWeights((name, shape) => [name, shape]);
    const { header, tensors } = parseSafetensors(await readFile(weights()));
    const extended = createHeader([
      ...header.entries,
      { name: 'model.rotary_emb.inv_freq', dtype: 'F32', shape: [8] },
    ]);
    const chunks = safetensorsChunks(extended, ({ name }) => tensors.get(name)?.bytes ?? new Uint8Array(32));
    await writeFile(weights(), Buffer.concat([...chunks]));
    expect((await loadCheckpoint(dir)).warnings).toEqual([]);
  });

  test('a wrong hash, unless it is not asked for', async () => {
    await saveCheckpoint(dir, await loadCheckpoint(dir));
    const bytes = await readFile(weights());
    bytes[bytes.length - 1] ^= 1;
    await writeFile(weights(), bytes);
    await expect(loadCheckpoint(dir)).rejects.toThrow(/model\.safetensors is not the file that was saved/);
    await expect(describeCheckpoint(dir)).rejects.toMatchObject({ code: 'bad_checkpoint' });
    expect((await loadCheckpoint(dir, { verify: false })).sha256).toEqual({});
  });

  test('a tokenizer larger than the embedding', async () => {
    await writeFile(
      join(dir, 'tokenizer.json'),
      '{"model":{"vocab":{"a":0,"b":159}},"added_tokens":[{"id":160,"content":"<|x|>"}]}',
    );
    await expect(loadCheckpoint(dir)).rejects.toMatchObject({
      code: 'bad_tokenizer',
      message: expect.stringContaining('ids up to 160'),
    });
    await writeFile(join(dir, 'tokenizer.json'), '{"model":{"vocab":{"a":0,"b":159}}}');
    expect((await loadCheckpoint(dir)).tokenizerJson).toEqual({ model: { vocab: { a: 0, b: 159 } } });
  });

  test.each([
    ['config.json', '{', 'bad_config'],
    ['config.json', '[]', 'bad_config'],
    ['generation_config.json', 'x', 'bad_config'],
    ['tokenizer.json', '{"model"', 'bad_tokenizer'],
  ])('%s = %s', async (file, text, code) => {
    await writeFile(join(dir, file), text);
    await expect(loadCheckpoint(dir)).rejects.toMatchObject({ code, message: expect.stringContaining(file) });
  });

  test('a text that is not UTF-8', async () => {
    await writeFile(config(), Uint8Array.of(0x7b, 0xff, 0x7d));
    await expect(loadCheckpoint(dir)).rejects.toThrow(/config\.json is not UTF-8/);
  });

  test('saving a model whose tensors are not its own', async () => {
    const tensors = randomTensors(NATIVE, 1);
    tensors.delete('model.norm.weight');
    await expect(saveCheckpoint(dir, { config: NATIVE, tensors })).rejects.toThrow(/model\.norm\.weight/);
  });
});
