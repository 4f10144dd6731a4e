/** Folders with quantised weights: the same numbers as quantising at load, and clear refusals. */
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BIGRAMS, bigramChunks } from './bigrams.ts';
import type { Overrides } from './config-json.ts';
import { positionsFrom, type Statistics } from './denoiser.ts';
import { commitFiles, HASH_FILE } from './files.ts';
import { describeCheckpoint, loadCheckpoint } from './hf.ts';
import { loadDenoiser, type LoadDenoiserOptions } from './load.ts';
import { inBlocks, type Precision, scalesOf, storedShapeOf } from './quantize.ts';
import { quantizeFolder } from './quantized-folder.ts';
import {
  bytesFromFloats,
  createHeader,
  floatsFromBytes,
  parseSafetensors,
  safetensorsChunks,
} from './safetensors.ts';

const fixture = (name: string): string =>
  fileURLToPath(new URL(`../../fixtures/checkpoints/${name}`, import.meta.url));

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'tintype-quantize-'));
});
afterAll(() => rm(root, { recursive: true }));

async function statisticsOf(
  dir: string,
  precision?: Precision,
  overrides?: Overrides,
  options: LoadDenoiserOptions = {},
): Promise<Statistics> {
  const { denoiser } = await loadDenoiser(dir, { threads: 1, precision, overrides, ...options });
  const ids = Int32Array.of(3, 8, 1, 9, 4, 7);
  const run = { ids, positions: positionsFrom(0, 6), cache: null, write: 0, query: positionsFrom(0, 6) };
  const [statistics] = await denoiser.forward([{ ...run, attention: { kind: 'full' } }], {
    topK: denoiser.config.vocabSize,
    entropy: true,
  });
  await denoiser.close();
  return statistics;
}

// A tied head, one of its own, biases, other names, mixtures.
describe.each([
  ['ar-qwen3', undefined],
  ['sdar', undefined],
  ['ar-qwen2', undefined],
  ['llada', undefined],
  // Their masks stand in no file; the copies state them.
  ['llada-moe', 160],
  ['llada2', 164],
])('%s', (name, maskTokenId) => {
  const overrides = { maskTokenId };

  it.each(['int8', 'int4'] as const)(
    'quantised ahead to %s is what quantising at load gives',
    async (precision) => {
      const out = join(root, `${name}-${precision}`);
      await quantizeFolder(fixture(name), out, precision, { overrides });
      const ahead = await statisticsOf(out);
      expect(ahead).toEqual(await statisticsOf(fixture(name), precision, overrides));
      expect(await statisticsOf(out, precision)).toEqual(ahead);
      const exact = await statisticsOf(fixture(name), undefined, overrides);
      expect(ahead).not.toEqual(exact);
      const most = precision === 'int8' ? 0.2 : 3;
      ahead.logSumExp.forEach((each, i) => expect(Math.abs(each - exact.logSumExp[i])).toBeLessThan(most));
      expect(await describeCheckpoint(out)).toMatchObject({ precision, dtype: 'F32' });
    },
  );
});

describe('a quantised folder', () => {
  it('is refused where floating point is needed, and for another precision', async () => {
    const out = join(root, 'int8');
    await quantizeFolder(fixture('sdar'), out, 'int8');
    await expect(quantizeFolder(out, join(root, 'twice'), 'int4')).rejects.toMatchObject({
      code: 'unsupported',
      parts: { got: 'int8', next: 'use the model that it was made from' },
    });
    await expect(loadCheckpoint(out)).rejects.toMatchObject({ code: 'unsupported' });
    await expect(loadDenoiser(out, { precision: 'int4' })).rejects.toMatchObject({
      code: 'bad_option',
      parts: { wanted: 'int8' },
    });
    await expect(quantizeFolder(out, out, 'int8')).rejects.toMatchObject({ code: 'bad_option' });
  });

  it('of before rows had one scale, in blocks, is read as it is; and another device multiplies rows in blocks', async () => {
    const dir = fixture('sdar');
    const rows = join(root, 'rows');
    const blocks = join(root, 'blocks');
    await quantizeFolder(dir, rows, 'int8');
    await cp(rows, blocks, { recursive: true });
    const path = join(blocks, 'model.safetensors');
    const { header, tensors } = parseSafetensors(await readFile(path));
    for (const [name, { shape, bytes }] of [...tensors].filter(([, { dtype }]) => dtype === 'U8')) {
      const [N, , K] = shape;
      const scales = tensors.get(scalesOf(name))!;
      const whole = { shape: [N, K] as const, bits: 8 as const, block: K, packed: bytes };
      const cut = inBlocks({ ...whole, scales: floatsFromBytes('F32', scales.bytes) });
      tensors.set(name, { dtype: 'U8', shape: storedShapeOf(cut), bytes: cut.packed });
      const cutScales = bytesFromFloats('F32', cut.scales);
      tensors.set(scalesOf(name), { dtype: 'F32', shape: storedShapeOf(cut).slice(0, 2), bytes: cutScales });
    }
    const cutHeader = createHeader(header.entries.map(({ name }) => ({ name, ...tensors.get(name)! })));
    await rm(join(blocks, HASH_FILE));
    await writeFile(path, [...safetensorsChunks(cutHeader, ({ name }) => tensors.get(name)!.bytes)]);
    const [byRow, inOneDevice, inAnother] = [
      await statisticsOf(rows),
      await statisticsOf(blocks),
      await statisticsOf(rows, undefined, undefined, { portable: true }),
    ];
    // The same weights; activations are rounded otherwise.
    for (const here of [byRow, inOneDevice]) {
      here.logSumExp.forEach((each, i) => expect(Math.abs(each - inAnother.logSumExp[i])).toBeLessThan(0.05));
    }
  });

  it('keeps the bigrams of the model, and a broken table stops it from loading', async () => {
    const [dir, out] = [join(root, 'counted'), join(root, 'counted-int8')];
    await cp(fixture('sdar'), dir, { recursive: true });
    const { vocabSize } = (await describeCheckpoint(dir)).config;
    const none = { tokens: new Uint32Array(vocabSize), offsets: new Uint32Array(vocabSize + 1) };
    const counts = { ...none, next: new Uint32Array(0), counts: new Uint32Array(0) };
    await commitFiles(dir, [[BIGRAMS, bigramChunks(counts)]]);
    await quantizeFolder(dir, out, 'int8');
    const { denoiser, description } = await loadDenoiser(out, { threads: 1 });
    expect(denoiser.bigrams).toMatchObject({ tokens: 0, pairs: 0 });
    expect(Object.keys(description.sha256)).toContain(BIGRAMS);
    await denoiser.close();
    expect(await readFile(join(out, BIGRAMS))).toEqual(await readFile(join(dir, BIGRAMS)));
    await writeFile(join(out, BIGRAMS), 'half');
    await expect(loadDenoiser(out)).rejects.toMatchObject({ code: 'bad_checkpoint' });
  });

  it('with a config of another precision, or an unknown one, says so', async () => {
    const out = join(root, 'mixed');
    await quantizeFolder(fixture('sdar'), out, 'int8');
    const path = join(out, 'config.json');
    const config = JSON.parse(await readFile(path, 'utf8'));
    await writeFile(path, JSON.stringify({ ...config, tintype_precision: 'int4' }));
    await expect(loadDenoiser(out)).rejects.toMatchObject({ code: 'bad_checkpoint' });
    await writeFile(path, JSON.stringify({ ...config, tintype_precision: 'int3' }));
    await expect(loadDenoiser(out)).rejects.toMatchObject({ code: 'bad_config' });
  });
});
