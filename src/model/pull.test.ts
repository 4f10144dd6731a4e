/** Pulling from a hub that breaks off, lies and refuses. */
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type FakeHub, REPO, startFakeHub } from '../../tests/fake-hub.ts';
import { describeCheckpoint, loadCheckpoint } from './hf.ts';
import { clearConverted, listModels, modelPath } from './library.ts';
import { loadDenoiser } from './load.ts';
import { pullModel, type PullOptions } from './pull.ts';

const fixture = fileURLToPath(new URL('../../fixtures/checkpoints/sdar', import.meta.url));

let root: string;
let hub: FakeHub;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'tintype-pull-'));
  vi.stubEnv('TINTYPE_CACHE_DIR', join(root, 'cache'));
  const files = new Map<string, Buffer>();
  for (const name of await readdir(fixture)) {
    if ((await stat(join(fixture, name))).isFile()) files.set(name, await readFile(join(fixture, name)));
  }
  files.set('README.md', Buffer.from('# A model\n'));
  files.set('model.gguf', Buffer.from('not one'));
  files.set('pytorch_model.bin', Buffer.from('not wanted'));
  files.set('training/optimizer.safetensors', Buffer.from('not wanted'));
  hub = await startFakeHub(files);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await hub.close();
  await rm(root, { recursive: true });
});

const dir = (): string => join(root, 'model');
const pull = (options: PullOptions = {}) =>
  pullModel(REPO, { dir: dir(), hub: { url: hub.url, token: undefined }, pauseMs: () => 0, ...options });
const downloads = (): string[] => hub.requests.filter((line) => line.includes('/resolve/'));

describe('pull', () => {
  it('brings what makes the model, with hashes, and nothing else', async () => {
    const steps: [number, number][] = [];
    const pulled = await pull({ onProgress: (done, total) => steps.push([done, total]) });
    const names = await readdir(dir());
    expect(names).toEqual(
      expect.arrayContaining(['config.json', 'model.safetensors', 'README.md', 'SHA256SUMS']),
    );
    for (const name of ['.pull', '.committed', 'pytorch_model.bin', 'model.gguf', 'training', '.commit'])
      expect(names).not.toContain(name);
    expect(pulled).toMatchObject({ dir: dir(), commit: hub.commit });
    expect(steps.at(-1)![0]).toBe(steps.at(-1)![1]);
    const { tensors, sha256 } = await loadCheckpoint(dir());
    expect(tensors).toEqual((await loadCheckpoint(fixture)).tensors);
    expect(Object.keys(sha256)).toContain('model.safetensors');
  });

  it('of what is here fetches no weights again', async () => {
    await pull();
    hub.requests.length = 0;
    const { files } = await pull();
    expect(files.find(({ name }) => name === 'model.safetensors')).toMatchObject({ isNew: false });
    expect(downloads().some((line) => line.endsWith('model.safetensors'))).toBe(false);
  });

  it('goes on where the connection broke off', async () => {
    hub.behave.breakAfterBytes = 9000;
    await pull();
    expect(downloads().filter((line) => /bytes=\d+-$/.test(line)).length).toBeGreaterThan(0);
    expect((await loadCheckpoint(dir())).tensors).toEqual((await loadCheckpoint(fixture)).tensors);
  });

  it('goes on in the next run, unless the model has changed', async () => {
    hub.behave.breakAfterBytes = 100;
    const stop = new AbortController();
    const stopped = pull({
      signal: stop.signal,
      onProgress: (_, __, name) => name === 'model.safetensors' && stop.abort(),
    });
    await expect(stopped).rejects.toMatchObject({ code: 'aborted' });
    expect(await readdir(dir())).toEqual(['.pull']);
    hub.behave.breakAfterBytes = null;
    hub.requests.length = 0;
    await pull();
    expect(downloads().some((line) => /model\.safetensors bytes=\d+-$/.test(line))).toBe(true);

    const other = Buffer.from(hub.files.get('config.json')!.toString().replace('{', '{ '));
    hub.files.set('config.json', other);
    hub.commit = 'b'.repeat(40);
    await pull();
    expect(await readFile(join(dir(), 'config.json'))).toEqual(other);
  });

  it('takes the whole from a server that knows no ranges', async () => {
    const stop = new AbortController();
    const stopped = pull({
      signal: stop.signal,
      onProgress: (_, __, name) => name === 'model.safetensors' && stop.abort(),
    });
    await expect(stopped).rejects.toMatchObject({ code: 'aborted' });
    await writeFile(
      join(dir(), '.pull/model.safetensors'),
      hub.files.get('model.safetensors')!.subarray(0, 50),
    );
    hub.behave.ignoresRanges = true;
    await pull();
    expect((await loadCheckpoint(dir())).tensors).toEqual((await loadCheckpoint(fixture)).tensors);
  });

  it('refuses other content than was promised, and keeps what was there', async () => {
    hub.behave.lies = true;
    await expect(pull()).rejects.toMatchObject({ code: 'bad_checkpoint' });
    expect(await readdir(dir())).toEqual(['.pull']);
    hub.behave.lies = false;
    await pull();
    await expect(describeCheckpoint(dir())).resolves.toBeDefined();
  });

  it('gives up on a server that brings nothing', async () => {
    hub.behave.file = 503;
    await expect(pull()).rejects.toMatchObject({ code: 'io' });
    expect(downloads()).toHaveLength(5);
    await hub.close();
    await expect(pull()).rejects.toMatchObject({ code: 'io' });
    hub = await startFakeHub(new Map());
  });

  it.each([
    [404, 'not_found'],
    [401, 'not_allowed'],
    [403, 'not_allowed'],
    [500, 'io'],
  ])('says what status %i of the listing means', async (status, code) => {
    hub.behave.listing = status;
    await expect(pull()).rejects.toMatchObject({ code });
  });

  it('shows the token that a closed repository wants', async () => {
    hub.behave.token = 'hf_test';
    await expect(pull()).rejects.toMatchObject({ code: 'not_allowed' });
    await pull({ hub: { url: hub.url, token: 'hf_test' } });
    hub.behave.file = 403;
    const again = pull({ dir: join(root, 'other'), hub: { url: hub.url, token: 'hf_test' } });
    await expect(again).rejects.toMatchObject({ code: 'not_allowed' });
  });

  it('brings one GGUF file, and names them where there is nothing else', async () => {
    await pull({ file: 'model.gguf' });
    expect((await readdir(dir())).toSorted()).toEqual(['SHA256SUMS', 'model.gguf']);
    await expect(pull({ file: 'none.gguf' })).rejects.toThrow('model.gguf (0.00 GB)');
    hub.files.delete('model.safetensors');
    await expect(pull()).rejects.toMatchObject({ code: 'unsupported' });
    await expect(pull()).rejects.toThrow('--file');
  });

  it('takes OWNER/NAME only', async () => {
    await expect(pullModel('../etc/passwd')).rejects.toMatchObject({ code: 'bad_option' });
  });
});

describe('the library', () => {
  it('lists what was pulled and converted, finds it by name, and clears what was converted', async () => {
    vi.stubEnv('HF_ENDPOINT', hub.url);
    const { dir: path } = await pullModel(REPO);
    expect(modelPath(REPO)).toBe(path);
    expect(modelPath('owner/none')).toBe('owner/none');
    const { denoiser } = await loadDenoiser(path, { largeBytes: 0, threads: 1 });
    await denoiser.close();
    const models = await listModels([]);
    expect(models).toEqual([
      expect.objectContaining({
        name: REPO,
        origin: 'pulled',
        family: 'sdar',
        layout: 'blockCausal',
        fault: null,
        converted: [{ precision: 'f32', sizeBytes: expect.any(Number) }],
      }),
    ]);
    expect(await clearConverted()).toBe(models[0].converted[0].sizeBytes);
    expect((await listModels([]))[0].converted).toEqual([]);
    expect(await clearConverted(path)).toBe(0);
  });

  it('says why a model that is there cannot be loaded', async () => {
    vi.stubEnv('HF_ENDPOINT', hub.url);
    await pullModel(REPO, { file: 'model.gguf' });
    expect(await listModels([])).toEqual([
      expect.objectContaining({ fault: expect.stringContaining('GGUF') }),
    ]);
  });
});
