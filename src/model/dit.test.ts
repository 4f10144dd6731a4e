/** MDLM's and BD3-LM's block against plain loops that read the tensors of a file as the official code does. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { naiveDit, type DitTensors } from '../../tests/naive-dit.ts';
import { nodeRuntime } from '../graph/node.ts';
import { createRng } from '../rng.ts';
import { elementCount } from './config.ts';
import { configFromJson } from './config-json.ts';
import { type AttentionPattern, positionsFrom, type Statistics } from './denoiser.ts';
import { type Json, namesOf } from './family.ts';
import { describeCheckpoint, loadCheckpoint, saveCheckpoint } from './hf.ts';
import { createLikelihood } from './likelihood.ts';
import { loadDenoiser } from './load.ts';
import { storedShapes } from './names.ts';
import { createHeader, parseSafetensors, safetensorsChunks } from './safetensors.ts';

const V = 23;
const MASK = V - 1;
const dimensions = {
  vocab_size: V,
  model_length: 32,
  hidden_dim: 16,
  n_blocks: 2,
  n_heads: 2,
  cond_dim: 6,
  dropout: 0.1,
  time_conditioning: false,
  mask_token_id: MASK,
};
const MDLM: Json = { model_type: 'mdlm', architectures: ['MDLM'], ...dimensions };
const BD3LM: Json = {
  model_type: 'bd3lm',
  architectures: ['BD3LM'],
  ...dimensions,
  block_size: 4,
  adaln: true,
  cross_attn: true,
  causal: false,
  var_min: true,
};
const PLAIN: Json = { ...BD3LM, adaln: false };

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tintype-dit-'));
});
afterEach(() => rm(dir, { recursive: true }));

/** A folder as the official code saves it, buffers included. */
async function folderOf(raw: Json): Promise<DitTensors> {
  const config = configFromJson(raw, { generation: null, tokenizerMask: null, where: 'config.json' });
  const rng = createRng(11, JSON.stringify(raw));
  const shapes: { name: string; shape: readonly number[] }[] = [
    ...storedShapes(config, namesOf(config)),
    { name: 'backbone.rotary_emb.inv_freq', shape: [config.headDim / 2] },
    ...(raw['var_min'] ? [{ name: 'sampling_eps_min', shape: [] }] : []),
  ];
  const tensors = new Map(
    shapes.map(({ name, shape }) => {
      const data = Float32Array.from({ length: elementCount(shape) }, () => 0.4 * rng.normal());
      return [name, data];
    }),
  );
  const header = createHeader(shapes.map(({ name, shape }) => ({ name, dtype: 'F32', shape })));
  const bytes = safetensorsChunks(header, ({ name }) => new Uint8Array(tensors.get(name)!.buffer));
  await writeFile(join(dir, 'config.json'), JSON.stringify(raw));
  await writeFile(join(dir, 'model.safetensors'), Buffer.concat([...bytes]));
  return tensors;
}

/** All V logits of every row, in id order. */
const logitsOf = ({ ids, logits }: Statistics): number[][] => {
  const rows = Array.from({ length: ids.length / V }, () => Array.from({ length: V }, () => 0));
  ids.forEach((id, i) => (rows[Math.floor(i / V)][id] = logits[i]));
  return rows;
};
/** The mask aside, whose logit is not read. */
const worst = (a: readonly number[][], b: readonly number[][]): number => {
  expect(a.length).toBe(b.length);
  return Math.max(...a.flatMap((row, i) => row.slice(0, MASK).map((x, j) => Math.abs(x - b[i][j]))));
};

const ids = [3, 22, 9, 9, 1, 22, 22, 17, 0, 22];
const block = (position: number): number => Math.floor(position / 4);

describe.each([
  ['MDLM', MDLM, { kind: 'full' }, () => true],
  ['BD3-LM', BD3LM, { kind: 'blockCausal', blockLength: 4, origin: 0 }, (q, k) => block(k) <= block(q)],
  [
    'BD3-LM without adaptive norms',
    PLAIN,
    { kind: 'blockCausal', blockLength: 4, origin: 0 },
    (q, k) => block(k) <= block(q),
  ],
] as [string, Json, AttentionPattern, (q: number, k: number) => boolean][])(
  '%s',
  (_, raw, attention, sees) => {
    test('has the logits of plain loops, with a cache as without', async () => {
      const tensors = await folderOf(raw);
      const { denoiser } = await loadDenoiser(dir, { threads: 1 });
      const naive = naiveDit(denoiser.config, tensors, ids, sees);
      const run = async (from: number, cache: ReturnType<typeof denoiser.createCache> | null, to: number) => {
        const rows = to - from;
        const [statistics] = await denoiser.forward(
          [
            {
              ids: Int32Array.from(ids.slice(from, to)),
              positions: positionsFrom(from, rows),
              attention,
              cache,
              write: cache ? rows : 0,
              query: positionsFrom(0, rows),
            },
          ],
          { topK: V, entropy: false },
        );
        return logitsOf(statistics);
      };
      const whole = await run(0, null, ids.length);
      expect(worst(whole, naive)).toBeLessThan(1e-4);
      expect(whole.every((row) => row[MASK] < -1e6)).toBe(true);
      if (attention.kind === 'blockCausal') {
        const cache = denoiser.createCache();
        const blocks = [await run(0, cache, 4), await run(4, cache, 8), await run(8, cache, 10)];
        expect(worst(blocks.flat(), naive)).toBeLessThan(1e-4);
      }
      await denoiser.close();
    });

    test('scores tokens as they do', async () => {
      const tensors = await folderOf(raw);
      const { config, tensors: loaded } = await loadCheckpoint(dir);
      const likelihood = await createLikelihood(await nodeRuntime(), config, loaded, {
        rows: 1,
        length: ids.length,
        threads: 1,
      });
      const isFull = attention.kind === 'full';
      const stream = isFull ? 'noisy' : 'clean';
      const nats = await likelihood.negativeLogLikelihoods({
        ids: Int32Array.from(ids),
        segments: new Int32Array(ids.length),
        noisy: Int32Array.from(ids),
        blocks: isFull ? null : Int32Array.from(ids, (_id, position) => block(position)),
        scored: ids.map((_id, position) => ({ stream, position, target: (5 * position) % MASK })),
      });
      naiveDit(config, tensors, ids, sees).forEach((all, position) => {
        const row = all.slice(0, MASK);
        const most = Math.max(...row);
        const logSum = most + Math.log(row.reduce((sum, x) => sum + Math.exp(x - most), 0));
        expect(nats[position]).toBeCloseTo(logSum - row[(5 * position) % MASK], 4);
      });
      await likelihood.close();
    });

    test('is saved under the names that it was read from', async () => {
      await folderOf(raw);
      const before = await readFile(join(dir, 'model.safetensors'));
      const checkpoint = await loadCheckpoint(dir);
      const out = join(dir, 'again');
      await saveCheckpoint(out, { ...checkpoint, header: null });
      const [a, b] = [
        parseSafetensors(before),
        parseSafetensors(await readFile(join(out, 'model.safetensors'))),
      ];
      for (const [name, { bytes }] of b.tensors) {
        expect([name, Buffer.compare(bytes, a.tensors.get(name)!.bytes)]).toEqual([name, 0]);
      }
      expect((await loadCheckpoint(out)).config).toEqual(checkpoint.config);
    });

    test('runs in 8 bits', async () => {
      await folderOf(raw);
      const top = async (precision: 'f32' | 'int8'): Promise<number[][]> => {
        const { denoiser } = await loadDenoiser(dir, { threads: 1, precision });
        const [statistics] = await denoiser.forward(
          [
            {
              ids: Int32Array.from(ids),
              positions: positionsFrom(0, ids.length),
              attention,
              cache: null,
              write: 0,
              query: positionsFrom(0, ids.length),
            },
          ],
          { topK: V, entropy: false },
        );
        await denoiser.close();
        return logitsOf(statistics);
      };
      const [exact, rounded] = [await top('f32'), await top('int8')];
      const difference = worst(exact, rounded);
      const reach = Math.max(...exact.flatMap((row) => row.slice(0, MASK).map(Math.abs)));
      expect(difference).toBeGreaterThan(0);
      expect(difference).toBeLessThan(0.1 * reach);
    });
  },
);

test('a model that is told the noise level is refused', async () => {
  await folderOf(MDLM);
  await writeFile(join(dir, 'config.json'), JSON.stringify({ ...MDLM, time_conditioning: true }));
  await expect(describeCheckpoint(dir)).rejects.toMatchObject({ code: 'unsupported' });
});
