/** The commands around pulled models, as a user runs them. */
import { cp, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type FakeHub, REPO, startFakeHub } from '../../tests/fake-hub.ts';
import { runCommand } from '../../tests/run-command.ts';
import { register as registerComplete } from './complete.ts';
import { register as registerInspect } from './inspect.ts';
import { register as registerModels } from './models.ts';
import { register as registerPull } from './pull.ts';

const fixture = fileURLToPath(new URL('../../fixtures/checkpoints/sdar', import.meta.url));
const run = (...args: string[]) =>
  runCommand([registerPull, registerModels, registerInspect, registerComplete], args);

let root: string;
let hub: FakeHub;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'tintype-pull-'));
  const files = new Map<string, Buffer>();
  for (const name of await readdir(fixture)) {
    if ((await stat(join(fixture, name))).isFile()) files.set(name, await readFile(join(fixture, name)));
  }
  hub = await startFakeHub(files);
  vi.stubEnv('TINTYPE_CACHE_DIR', join(root, 'cache'));
  vi.stubEnv('HF_ENDPOINT', hub.url);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await hub.close();
  await rm(root, { recursive: true });
});

it('pull says where the model is, and other commands find it by name', async () => {
  const { out } = await run('pull', REPO);
  expect(out).toMatch(/folder +.*owner.tiny-model\ncommit +a{40}\nfetched +\d of \d files, \d\.\d MB\n/);
  expect((await run('inspect', REPO)).out).toContain('family      sdar');
  expect((await run('models')).out).toMatch(/owner\/tiny-model +pulled +\S+ +sdar +blockCausal/);
  const { models } = JSON.parse((await run('models', '--json')).out);
  expect(models.map(({ origin }: { origin: string }) => origin)).toContain('bundled');
  expect((await run('models', '--clear-cache')).out).toBe('freed 0.0 MB\n');
});

it('pull prints one document for scripts', async () => {
  const { out } = await run('pull', REPO, '--dir', join(root, 'here'), '--json');
  expect(JSON.parse(out)).toMatchObject({ repository: REPO, dir: join(root, 'here'), commit: hub.commit });
});

describe('a model whose repository has no tokenizer', () => {
  const GPT2 = 'openai-community/gpt2';
  const letters = Array.from({ length: 45 }, (_, i) =>
    String.fromCodePoint(97 + (i % 26)).repeat(1 + (i > 25 ? 1 : 0)),
  );
  /** As small as the fixture's vocabulary, and made as GPT-2's. */
  const tokenizer = {
    version: '1.0',
    truncation: null,
    padding: null,
    normalizer: null,
    post_processor: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: false },
    added_tokens: [
      {
        id: 46,
        content: '<|endoftext|>',
        special: true,
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
      },
    ],
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: true },
    decoder: { type: 'ByteLevel' },
    model: {
      type: 'BPE',
      vocab: Object.fromEntries([...letters, '<|endoftext|>'].map((text, i) => [text, i === 45 ? 46 : i])),
      merges: [],
    },
  };
  const mdlm = fileURLToPath(new URL('../../fixtures/checkpoints/mdlm', import.meta.url));
  const write = (model: string, ...more: string[]) =>
    run('complete', '-', '--prefix', 'ab', '--model', model, '--max-tokens', '4', '--json', ...more);

  beforeEach(async () => {
    hub.files.clear();
    for (const name of ['config.json', 'model.safetensors'])
      hub.files.set(name, await readFile(join(mdlm, name)));
    hub.others.set(
      GPT2,
      new Map([
        ['config.json', Buffer.from('{"model_type":"gpt2"}')],
        ['model.safetensors', Buffer.from('not wanted')],
        ['tokenizer.json', Buffer.from(JSON.stringify(tokenizer))],
        ['tokenizer_config.json', Buffer.from('{"model_max_length":1024}')],
      ]),
    );
  });

  it('is pulled with the one that its family names, and writes text', async () => {
    const dir = join(root, 'mdlm');
    const { out } = await run('pull', REPO, '--dir', dir);
    expect(out).toContain('fetched  4 of 4 files');
    expect((await readdir(dir)).toSorted()).toEqual(
      [
        'SHA256SUMS',
        'config.json',
        'model.safetensors',
        'tokenizer.json',
        'tokenizer_config.json',
      ].toSorted(),
    );
    expect(JSON.parse(await readFile(join(dir, 'config.json'), 'utf8'))).toMatchObject({
      model_type: 'mdlm',
    });
    expect(await readFile(join(dir, 'SHA256SUMS'), 'utf8')).toMatch(/ {2}tokenizer\.json\n/);
    expect(JSON.parse((await write(dir)).out)).toMatchObject({ model: 'mdlm' });
  });

  it('says what is missing where it came without, takes another folder, and is completed by one command', async () => {
    const dir = join(root, 'bare');
    await cp(mdlm, dir, { recursive: true });
    const command = `tintype pull ${GPT2} --tokenizer-only --dir ${dir}`;
    await expect(write(dir)).rejects.toMatchObject({
      code: 'bad_tokenizer',
      message: expect.stringContaining(command) as string,
    });
    const other = join(root, 'other');
    await expect(write(dir, '--tokenizer', other)).rejects.toMatchObject({ code: 'bad_tokenizer' });
    await run('pull', GPT2, '--tokenizer-only', '--dir', other);
    expect(await readdir(other)).not.toContain('model.safetensors');
    const named = JSON.parse((await write(dir, '--tokenizer', other)).out);
    await run(...command.split(' ').slice(1));
    const own = JSON.parse((await write(dir)).out);
    expect(own.text).toBe(named.text);
    expect(
      hub.requests.filter((line) => line.includes('/resolve/') && line.includes('model.safetensors')),
    ).toEqual([]);
  });

  it('fails to be pulled where the hub lacks the other repository', async () => {
    hub.others.clear();
    await expect(run('pull', REPO, '--dir', join(root, 'mdlm'))).rejects.toMatchObject({ code: 'not_found' });
  });
});
