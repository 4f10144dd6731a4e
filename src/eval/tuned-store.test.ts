import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { writeTinyModel } from '../../tests/e2e/tiny-model.ts';
import { readTuned, tunedFolder, tunedKey, writeTuned, type Tuned } from './tuned-store.ts';
import { createToyDenoiser } from '../../tests/toy-denoiser.ts';
import { coarseGrid, neighbours } from './tune-grid.ts';

let dir: string;
let model: string;
let folder: string;
let tuned: Tuned;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tintype-tuned-'));
  model = join(dir, 'model');
  await writeTinyModel(model);
  tuned = {
    version: 1,
    name: 'model',
    key: await tunedKey(model, 1),
    createdAt: '2026-01-02T03:04:05.000Z',
    precision: 'f32',
    options: { mode: 'diffusion', blockLength: 8, policy: 'factor', factor: 1 },
    tokensPerSecond: 200,
    baselineTokensPerSecond: 100,
    exactLossPoints: 0.5,
    rows: 100,
    curves: [],
  };
});
beforeEach(async () => {
  folder = join(await mkdtemp(join(dir, 'cache-')), 'tuned');
});
afterAll(() => rm(dir, { recursive: true }));

const read = async (threads = 1, at = model): Promise<{ found: Tuned | null; warnings: string[] }> => {
  const warnings: string[] = [];
  const found = await readTuned(at, { threads, folder, warn: (sentence) => warnings.push(sentence) });
  return { found, warnings };
};

describe('what was tuned', () => {
  it('is found again for the same model, machine and threads, and for nothing else', async () => {
    expect(await read()).toEqual({ found: null, warnings: [] });
    await writeTuned(tuned, folder);
    await writeTuned(tuned, folder);
    expect(await readdir(folder)).toHaveLength(1);
    expect(await read()).toEqual({ found: tuned, warnings: [] });
    expect((await read(2)).found).toBeNull();
    const twin = join(dir, 'twin');
    await writeTinyModel(twin, 'causal');
    expect((await read(1, twin)).found).toBeNull();
  });

  it('keeps every option that can be chosen', async () => {
    const { config } = createToyDenoiser({ layout: 'causalContext' });
    const points = coarseGrid(config, 'f32');
    const kinds = new Map(
      [...points, ...points.flatMap(neighbours)].map(({ options }) => [
        String(Object.keys(options)),
        options,
      ]),
    );
    expect([...kinds.keys()].join()).toContain('redrafts');
    for (const options of kinds.values()) {
      await writeTuned({ ...tuned, options }, folder);
      expect((await read()).found?.options).toEqual(options);
    }
  });

  it.each([
    ['no JSON', '{"version":1,'],
    ['another version', JSON.stringify({ version: 2 })],
    ['options out of range', ''],
  ])('is passed over with a warning when it is broken: %s', async (_, text) => {
    const path = await writeTuned(tuned, folder);
    const broken = { ...tuned, options: { ...tuned.options, factor: -1 } };
    await writeFile(path, text === '' ? JSON.stringify(broken) : text);
    const { found, warnings } = await read();
    expect(found).toBeNull();
    expect(warnings).toEqual([expect.stringContaining('run tintype tune again')]);
  });

  it('says when it cannot be stored', async () => {
    await writeFile(join(dir, 'file'), '');
    await expect(writeTuned(tuned, join(dir, 'file', 'tuned'))).rejects.toMatchObject({ code: 'io' });
  });

  it('lies where the environment says', () => {
    expect(tunedFolder({ TINTYPE_CACHE_DIR: '/a', XDG_CACHE_HOME: '/b' })).toBe(join('/a', 'tuned'));
    expect(tunedFolder({ XDG_CACHE_HOME: '/b' })).toBe(join('/b', 'tintype', 'tuned'));
    expect(tunedFolder({ TINTYPE_CACHE_DIR: '' })).toMatch(/\.cache[\\/]tintype[\\/]tuned$/);
  });
});
