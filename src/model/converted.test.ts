/** Converted weights: the same numbers as without, found again, made anew when anything has changed, never half there. */
import {
  chmod,
  cp,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CACHE_FOLDER, cacheRoots, userCacheFolder } from './cache-folder.ts';
import { positionsFrom, type Statistics } from './denoiser.ts';
import { loadCheckpoint, saveCheckpoint } from './hf.ts';
import { clearConverted } from './library.ts';
import { loadDenoiser, type LoadDenoiserOptions } from './load.ts';
import type { Precision } from './quantize.ts';

const fixture = (name: string): string =>
  fileURLToPath(new URL(`../../fixtures/checkpoints/${name}`, import.meta.url));

let root: string;
let model: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'tintype-converted-'));
  model = join(root, 'model');
  await cp(fixture('sdar'), model, { recursive: true });
  vi.stubEnv('TINTYPE_CACHE_DIR', join(root, 'user'));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await chmod(model, 0o755);
  await rm(root, { recursive: true });
});

/** Statistics, and how often the weights were converted. */
async function load(
  options: LoadDenoiserOptions & { precision?: Precision } = {},
): Promise<{ statistics: Statistics; made: boolean }> {
  let made = false;
  const { denoiser } = await loadDenoiser(model, {
    threads: 1,
    largeBytes: 0,
    ...options,
    onProgress: () => (made = true),
  });
  const ids = Int32Array.of(3, 8, 1, 9, 4, 7);
  const run = { ids, positions: positionsFrom(0, 6), cache: null, write: 0, query: positionsFrom(0, 6) };
  const [statistics] = await denoiser.forward([{ ...run, attention: { kind: 'full' } }], {
    topK: denoiser.config.vocabSize,
    entropy: true,
  });
  await denoiser.close();
  return { statistics, made };
}

const entries = (): Promise<string[]> => readdir(join(model, CACHE_FOLDER));
const dataFile = async (): Promise<string> => join(model, CACHE_FOLDER, (await entries())[0], 'weights.bin');

describe('converted weights', () => {
  it.each(['f32', 'int8', 'int4'] as const)(
    'in %s give the same bits, first and from the cache',
    async (precision) => {
      const { statistics: plain } = await load({ precision, largeBytes: Infinity });
      expect(await load({ precision })).toEqual({ statistics: plain, made: true });
      expect(await load({ precision })).toEqual({ statistics: plain, made: false });
      expect(await entries()).toEqual([expect.stringMatching(new RegExp(`^${precision}-[0-9a-f]{16}$`))]);
    },
  );

  it.each(['BF16', 'F16'] as const)('keep an embedding in %s that is only looked up', async (dtype) => {
    const sizeOf = async (): Promise<number> => (await stat(await dataFile())).size;
    await load({ precision: 'int8' });
    const wide = await sizeOf();
    const checkpoint = await loadCheckpoint(model);
    await saveCheckpoint(model, { ...checkpoint, header: null, dtype });
    for (const precision of ['int8', 'f32'] as const) {
      await clearConverted(model);
      const { statistics: plain } = await load({ precision, largeBytes: Infinity });
      expect(await load({ precision })).toEqual({ statistics: plain, made: true });
      expect(await load({ precision })).toEqual({ statistics: plain, made: false });
      if (precision === 'f32') continue;
      const { vocabSize, width } = checkpoint.config;
      // The runtime maps whole pages, so places are rounded up.
      expect(Math.abs(wide - (await sizeOf()) - 2 * vocabSize * width)).toBeLessThan(4096);
    }
  });

  it('may stay in their file', async () => {
    const [packed, unpacked] = [await load(), await load({ packed: false })];
    expect(unpacked.made).toBe(false);
    expect(unpacked.statistics.ids).toEqual(packed.statistics.ids);
    unpacked.statistics.logits.forEach((logit, i) =>
      expect(logit).toBeCloseTo(packed.statistics.logits[i], 4),
    );
    await expect(load({ packed: false, precision: 'int8' })).rejects.toMatchObject({ code: 'bad_option' });
  });

  it('keeps an entry for each precision', async () => {
    await load({ precision: 'int8' });
    await load({ precision: 'int4' });
    expect((await load({ precision: 'int8' })).made).toBe(false);
    expect(await entries()).toHaveLength(2);
  });

  it('finds them although the checkpoint was copied or touched', async () => {
    await load();
    await utimes(join(model, 'model.safetensors'), 1, 1);
    expect((await load()).made).toBe(false);
    // And without hashing the next time: the record is renewed.
    const [entry] = await entries();
    const { source } = JSON.parse(await readFile(join(model, CACHE_FOLDER, entry, 'manifest.json'), 'utf8'));
    expect(source[0].mtimeNs).toBe('1000000000');
  });

  it('reads a copy of them through once, and then knows it', async () => {
    const before = await load();
    const [entry] = await entries();
    const manifest = join(model, CACHE_FOLDER, entry, 'manifest.json');
    const stampOf = async (): Promise<unknown> => JSON.parse(await readFile(manifest, 'utf8')).data.stamp;
    const made = await stampOf();
    await utimes(await dataFile(), 1, 1);
    expect(await load()).toEqual({ ...before, made: false });
    expect(await stampOf()).toMatchObject({ mtimeNs: '1000000000' });
    expect(await stampOf()).not.toEqual(made);
    // Entries of before stamps were kept are read through as well.
    const { data, ...rest } = JSON.parse(await readFile(manifest, 'utf8'));
    await writeFile(manifest, JSON.stringify({ ...rest, data: { ...data, stamp: undefined } }));
    expect((await load()).made).toBe(false);
    expect(await stampOf()).toMatchObject({ mtimeNs: '1000000000' });
  });

  it('makes them anew for other weights, and drops the old', async () => {
    const before = await load();
    const path = join(model, 'model.safetensors');
    const bytes = await readFile(path);
    bytes[bytes.length - 1] ^= 1;
    await writeFile(path, bytes);
    const after = await load();
    expect(after.made).toBe(true);
    expect(after.statistics).not.toEqual(before.statistics);
    expect(await entries()).toHaveLength(1);
  });

  it.each([
    [
      'one bit is another',
      async (path: string) => {
        const file = await open(path, 'r+');
        const byte = Buffer.alloc(1);
        await file.read(byte, 0, 1, 5000);
        await file.write(Buffer.of(byte[0] ^ 4), 0, 1, 5000);
        await file.close();
      },
    ],
    [
      'the file is cut short',
      async (path: string) => {
        const file = await open(path, 'r+');
        await file.truncate((await file.stat()).size - 1);
        await file.close();
      },
    ],
    ['the file is gone', (path: string) => rm(path)],
    [
      'the manifest is no JSON',
      (path: string) => writeFile(path.replace('weights.bin', 'manifest.json'), '{'),
    ],
  ])('makes them anew where %s', async (_, harm) => {
    const before = await load();
    await harm(await dataFile());
    expect(await load()).toEqual({ ...before, made: true });
    expect((await load()).made).toBe(false);
  });

  it('passes over what a process that died has left, and removes it', async () => {
    const before = await load();
    const [entry] = await entries();
    // No process has this number.
    await rename(join(model, CACHE_FOLDER, entry), join(model, CACHE_FOLDER, `.${entry}.${2 ** 30}.tmp`));
    expect(await load()).toEqual({ ...before, made: true });
    expect(await entries()).toEqual([entry]);
  });

  it('refuses weights that are not those that were saved', async () => {
    await writeFile(join(model, 'SHA256SUMS'), `${'0'.repeat(64)}  model.safetensors\n`);
    await expect(load()).rejects.toMatchObject({ code: 'bad_checkpoint' });
    expect(await entries().catch(() => [])).toEqual([]);
  });

  it.skipIf(process.getuid?.() === 0)(
    'goes to the user cache where the checkpoint is read-only',
    async () => {
      await chmod(model, 0o555);
      await load();
      expect((await load()).made).toBe(false);
      expect(await readdir(join(root, 'user/converted'))).toEqual([
        expect.stringMatching(/^model-[0-9a-f]{8}$/),
      ]);
    },
  );

  it('goes to the user cache where the checkpoint cannot hold a folder', async () => {
    await writeFile(join(model, CACHE_FOLDER), 'a file is in the way');
    await load();
    expect((await load()).made).toBe(false);
    expect(await readdir(join(root, 'user/converted'))).toHaveLength(1);
  });

  it('leaves nothing behind when it is told not to keep them', async () => {
    vi.stubEnv('TMPDIR', root);
    expect((await load({ cache: false })).made).toBe(true);
    expect((await load({ cache: false })).made).toBe(true);
    expect((await readdir(root)).toSorted()).toEqual(['model']);
    await expect(stat(join(model, CACHE_FOLDER))).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('cache folders', () => {
  it('follow the environment and the system', () => {
    expect(userCacheFolder({ TINTYPE_CACHE_DIR: '/c' }, 'linux')).toBe('/c');
    expect(userCacheFolder({ XDG_CACHE_HOME: '/x' }, 'linux')).toBe('/x/tintype');
    expect(userCacheFolder({}, 'linux')).toMatch(/\.cache\/tintype$/);
    expect(userCacheFolder({}, 'darwin')).toMatch(/Library\/Caches\/tintype$/);
    expect(userCacheFolder({ LOCALAPPDATA: '/l' }, 'win32')).toBe('/l/tintype/Cache');
  });

  it('tell models of one name apart', () => {
    expect(cacheRoots('/a/model')[1]).not.toBe(cacheRoots('/b/model')[1]);
  });
});
